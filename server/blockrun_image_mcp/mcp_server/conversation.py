"""Routes the messages of one client between its streams and mcp's loops.

A loop of mcp serves only one protocol era, and forgets a request if its id is reused. Each era therefore gets its own
loop, and each request our own id, which the answer replaces by the client's. A client may then probe with
`server/discover`, give up, and shake hands at any time.
"""

import itertools
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias, cast

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_dual_era_loop
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    PROTOCOL_VERSION_META_KEY,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic_core import PydanticSerializationError

from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.front import UNOPENED, Opening
from blockrun_image_mcp.mcp_server.answers import Answer
from blockrun_image_mcp.mcp_server.frames import ErrorReply, Frame, without_lone_surrogates
from blockrun_image_mcp.mcp_server.origin import Origin
from blockrun_image_mcp.mcp_server.replay import Replay

Era: TypeAlias = Literal["modern", "handshake"]
"""Since 2026-07-28, each request names its protocol version; before, a handshake set it."""

_PROBE = "server/discover"
_MAX_CLOSED = 256
"""The number of answers remembered for late cancellations."""

_log = logging.getLogger(__name__)


class Output(Protocol):
    """Writes whole lines, in order."""

    async def send(self, line: bytes, answer: Answer | None = None) -> None:
        """Queue a line, and close `answer` once the line is written or lost."""
        ...


class Conversation:
    """Serves one client until a stream closes.

    Reports of deliveries run in `reports`, which must outlive the conversation. `arrived_at` returns when the
    message taken now arrived, in seconds by anyio's clock, and minus infinity if it may have waited before. `opening`
    is what the client was answered before.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - tests replace these
        self,
        server: Server[Backend],
        backend: Backend,
        output: Output,
        reports: TaskGroup,
        arrived_at: Callable[[], float] = anyio.current_time,
        opening: Opening = UNOPENED,
    ) -> None:
        self.has_ended = anyio.Event()
        self._arrived_at = arrived_at
        self._replay = Replay(opening, backend, reports)
        self._server = server
        self._backend = backend
        self._output = output
        self._reports = reports
        self._tasks = anyio.create_task_group()
        self._loops: dict[Era, MemoryObjectSendStream[SessionMessage | Exception]] = {}
        self._ids = itertools.count(1)
        self._answers: dict[int, Answer] = {}
        self._closed: deque[Answer] = deque(maxlen=_MAX_CLOSED)
        self._session = 0

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.hang_up()
        for loop in self._loops.values():
            loop.close()
        await self._tasks.__aexit__(kind, error, traceback)

    def hang_up(self) -> None:
        """End the conversation, because a stream has closed."""
        self.has_ended.set()

    def abandon(self) -> None:
        """After the end, report every open answer as lost."""
        for answer in [*self._answers.values()]:
            answer.close(is_written=False)

    async def take(self, frame: Frame | ErrorReply) -> None:
        """Serve one message of the client, or send its refusal."""
        if self.has_ended.is_set():
            return
        if isinstance(frame, ErrorReply):
            await self._output.send(frame.to_line())
            return
        try:
            await self._route(frame)
        except Exception:  # noqa: BLE001 - one message must not end the others
            _log.exception("a message could not be served")
            await self._output.send(
                ErrorReply(INTERNAL_ERROR, "The message could not be served.", frame.get("id")).to_line()
            )

    async def _route(self, frame: Frame) -> None:
        if "method" not in frame:
            response = jsonrpc_message_adapter.validate_python(frame, by_name=False)
            await self._give("handshake", response)  # only in this era do servers send requests
        elif "id" in frame:
            await self._take_request(frame)
        else:
            await self._take_notification(frame)

    async def _take_request(self, frame: Frame) -> None:
        if frame["method"] == "initialize":
            self._begin_session()
        id = next(self._ids)
        token = _meta_of(frame).get("progressToken")
        answer = Answer(frame["id"], token, frame["method"], self._session, self._reports, lambda: self._forget(id))
        answer.about, answer.told = self._replay.take(frame), self._replay.next_told()
        self._answers[id] = answer
        era: Era = "modern" if frame["method"] != "initialize" and _has_envelope(frame) else "handshake"

        async def close_unanswered() -> None:
            answer.close(is_written=False)

        metadata = ServerMessageMetadata(
            request_context=Origin(self._backend.process, answer, self._arrived_at()),
            on_request_unanswered=close_unanswered,
        )
        request = JSONRPCRequest(jsonrpc="2.0", id=id, method=frame["method"], **_params_of(frame))
        await self._give(era, request, metadata)

    async def _take_notification(self, frame: Frame) -> None:
        self._replay.take(frame)
        notification = JSONRPCNotification(jsonrpc="2.0", method=frame["method"], **_params_of(frame))
        if notification.method == "notifications/cancelled":
            await self._take_cancellation(notification)
        elif _has_envelope(frame) or set(self._loops) == {"modern"}:  # the only era it can be of
            await self._give("modern", notification)
        else:
            await self._give("handshake", notification)

    async def _take_cancellation(self, notification: JSONRPCNotification) -> None:
        params = notification.params or {}
        id = self._id_of(params.get("requestId"))
        if id is None:
            self._cancel_closed(params.get("requestId"))
            return
        if self._answers[id].is_sent:  # its answer is still queued
            self._answers[id].cancel()
            return
        self._answers[id].is_cancelled = True  # the loop may answer all the same, if the call has just ended
        notification.params = {**params, "requestId": id}
        for era in tuple(self._loops):  # only one loop knows the id, because ids are ours
            await self._give(era, notification)

    def _cancel_closed(self, client_id: object) -> None:
        """Mark an answered request as cancelled: the client may have given up before reading the answer."""
        newest = [*reversed(self._closed)]
        same = [each for each in newest if (type(each.client_id), each.client_id) == (type(client_id), client_id)]
        alike = [each for each in newest if str(each.client_id) == str(client_id)]
        for answer in (same or alike)[:1]:
            answer.cancel()

    def _forget(self, id: int) -> None:
        self._closed.append(self._answers.pop(id))

    def _begin_session(self) -> None:
        """Begin a session; the client has given up its probes, and may reuse their ids."""
        self._session += 1
        for answer in self._answers.values():
            answer.is_unwanted |= answer.method == _PROBE

    def _id_of(self, client_id: object) -> int | None:
        """Return our id of the newest request with this id, unanswered ones first.

        If none matches exactly, 7 also matches "7": some clients turn numbers into text.
        """
        # True is an int to Python, and equals 1
        if not isinstance(client_id, int | str) or isinstance(client_id, bool):
            return None
        waiting = [(not answer.is_sent, id, answer.client_id) for id, answer in self._answers.items()]
        same = [each for each in waiting if (type(each[2]), each[2]) == (type(client_id), client_id)]
        alike = [each for each in waiting if coerce_request_id(each[2]) == coerce_request_id(client_id)]
        return max((each[:2] for each in same or alike), default=(False, None))[1]

    async def _give(self, era: Era, message: JSONRPCMessage, metadata: ServerMessageMetadata | None = None) -> None:
        """Send a message to the loop of its era; the first message starts the loop."""
        if era not in self._loops:
            self._loops[era] = self._start_loop()
        try:
            await self._loops[era].send(SessionMessage(message, metadata))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):  # the loop has ended
            self.hang_up()

    def _start_loop(self) -> MemoryObjectSendStream[SessionMessage | Exception]:
        send, receive = anyio.create_memory_object_stream[SessionMessage | Exception](0)

        async def serve() -> None:
            await serve_dual_era_loop(self._server, receive, _LoopOutput(self), lifespan_state=self._backend)

        self._tasks.start_soon(serve)
        return send

    async def put(self, message: SessionMessage) -> None:
        """Write a message from a loop, with the client's own ids."""
        match message.message:
            case JSONRPCResponse(id=int(id)) | JSONRPCError(id=int(id)) as response:
                await self._put_answer(id, response)
            case JSONRPCNotification() as notification:
                related = (
                    message.metadata.related_request_id if isinstance(message.metadata, ServerMessageMetadata) else None
                )
                await self._put_notification(notification, related)
            case other:
                await self._output.send(_line(other))

    async def _put_answer(self, id: int, response: JSONRPCResponse | JSONRPCError) -> None:
        answer = self._answers.get(id)
        if answer is None or answer.is_sent:  # the client expects one answer to a request
            return
        answer.is_sent, answer.is_result = True, isinstance(response, JSONRPCResponse)
        answer.is_unwanted |= self._is_reused(answer)  # the client would take it for the later request's
        response = response.model_copy(update={"id": answer.client_id})
        if isinstance(response, JSONRPCResponse):
            _restore_subscription(response.result, answer)
        line = _line(response)
        if answer.told is not None:
            self._replay.compare(answer, line)
            answer.close(is_written=True)
            return
        try:
            await self._output.send(line, answer)
        except BaseException:  # cancelled before there was room
            answer.close(is_written=False)
            raise
        self._replay.note(answer, line)

    async def _put_notification(self, notification: JSONRPCNotification, related: object) -> None:
        answer = self._answers.get(related) if isinstance(related, int) else None
        if answer is not None and self._is_reused(answer):
            return
        if answer is not None:
            _restore_subscription(notification.params or {}, answer)
        await self._output.send(_line(notification))

    def _is_reused(self, answer: Answer) -> bool:
        """Return whether a later session has reused this request's id or progress token.

        It does not matter whether that request has been answered: the client no longer waits for this one.
        """
        later = [each for each in (*self._answers.values(), *self._closed) if each.session > answer.session]
        return any(
            each.client_id == answer.client_id or (answer.token is not None and each.token == answer.token)
            for each in later
        )


class _LoopOutput:
    """The write stream of a loop of mcp."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    async def send(self, item: SessionMessage, /) -> None:
        await self._conversation.put(item)

    async def aclose(self) -> None:
        """Do nothing: another loop may still write to the client."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        return None


def _has_envelope(frame: Frame) -> bool:
    """Return whether a message is of the modern era, by the key checked by mcp's loop."""
    return PROTOCOL_VERSION_META_KEY in _meta_of(frame)


def _meta_of(frame: Frame) -> Mapping[str, Any]:
    meta = cast("Frame", frame.get("params") or {}).get("_meta")
    return cast("Mapping[str, Any]", meta) if isinstance(meta, Mapping) else {}


def _params_of(frame: Frame) -> dict[str, Any]:
    """Return the params as an argument, or nothing if they are absent."""
    # null would not be JSON-RPC
    return {"params": frame["params"]} if "params" in frame else {}


def _restore_subscription(holder: dict[str, Any], answer: Answer) -> None:
    meta = holder.get("_meta")
    if isinstance(meta, dict) and SUBSCRIPTION_ID_META_KEY in meta:
        holder["_meta"] = {**cast("dict[str, Any]", meta), SUBSCRIPTION_ID_META_KEY: answer.client_id}


def _line(message: JSONRPCMessage) -> bytes:
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    except PydanticSerializationError:  # a lone surrogate, in a client's id or a gateway's text
        content = message.model_dump(by_alias=True, exclude_unset=True)
        mended = cast("Frame", without_lone_surrogates(content))
        if "id" in content:
            mended["id"] = content["id"]
        return json.dumps(mended).encode() + b"\n"
