"""What one client says over one pair of streams: each message goes to the loop of its protocol era.

mcp serves one era for each pair of streams, and forgets a request when its id is used again. Here each era has a loop
with streams of its own, and each request an id of ours, which its answer loses again. So a client may probe with
`server/discover` and shake hands whenever it gives that up, and a client that counts anew loses nothing.
"""

import itertools
import json
from collections.abc import Mapping
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
    PROTOCOL_VERSION_META_KEY,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic_core import PydanticSerializationError

from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.mcp_server.answers import Answer
from blockrun_image_mcp.mcp_server.frames import Frame, Refusal, without_lone_surrogates
from blockrun_image_mcp.mcp_server.origin import Origin

Era: TypeAlias = Literal["modern", "handshake"]
"""Since 2026-07-28 every request says which protocol it speaks; before, a handshake said it once."""

_PROBE = "server/discover"


class Output(Protocol):
    """Where lines go: each whole, and all in their order."""

    async def send(self, line: bytes, answer: Answer | None = None) -> None:
        """Take a line to be written, once there is room; `answer` is settled when that is done, or cannot be."""
        ...


class Conversation:
    """Serves one client until it hangs up.

    The loops run in `tasks`; what is told of deliveries runs in `reports`, which must outlive them.
    """

    def __init__(self, server: Server[Backend], backend: Backend, output: Output, reports: TaskGroup) -> None:
        self.has_ended = anyio.Event()
        self._server = server
        self._backend = backend
        self._output = output
        self._reports = reports
        self._tasks = anyio.create_task_group()
        self._loops: dict[Era, MemoryObjectSendStream[SessionMessage | Exception]] = {}
        self._ids = itertools.count(1)
        self._answers: dict[int, Answer] = {}
        self._session = 0

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for loop in self._loops.values():
            loop.close()
        await self._tasks.__aexit__(kind, error, traceback)

    def hang_up(self) -> None:
        """Take no more messages, because a stream has closed."""
        self.has_ended.set()

    def abandon(self) -> None:
        """Report the answers that were never sent; after the end."""
        for answer in [*self._answers.values()]:
            answer.settle(is_written=False)

    async def take(self, frame: Frame | Refusal) -> None:
        """Serve one message of the client, or answer what cannot be read."""
        if self.has_ended.is_set():
            return
        if isinstance(frame, Refusal):
            await self._output.send(frame.to_line())
        elif "method" not in frame:
            await self._give("handshake", frame)  # the only era in which a server asks its client
        elif "id" in frame:
            await self._take_request(frame)
        else:
            await self._take_notification(frame)

    async def _take_request(self, frame: Frame) -> None:
        if frame["method"] == "initialize":
            self._begin_session()
        id = next(self._ids)
        answer = Answer(frame["id"], frame["method"], self._session, self._reports, lambda: self._answers.pop(id, None))
        self._answers[id] = answer
        era: Era = "modern" if frame["method"] != "initialize" and _has_envelope(frame) else "handshake"

        async def settle_unanswered() -> None:
            answer.settle(is_written=False)

        metadata = ServerMessageMetadata(
            request_context=Origin(self._backend.process, answer), on_request_unanswered=settle_unanswered
        )
        await self._give(era, {**frame, "id": id}, metadata)

    async def _take_notification(self, frame: Frame) -> None:
        if frame["method"] == "notifications/cancelled":
            await self._take_cancellation(frame)
        elif _has_envelope(frame) or set(self._loops) == {"modern"}:
            await self._give("modern", frame)
        else:
            await self._give("handshake", frame)

    async def _take_cancellation(self, frame: Frame) -> None:
        params = _params(frame)
        id = self._id_of(params.get("requestId"))
        if id is None:
            return  # it was answered, or never asked
        for era in tuple(self._loops):  # ids are ours, so that only one loop knows it
            await self._give(era, {**frame, "params": {**params, "requestId": id}})

    def _begin_session(self) -> None:
        """Forget the probes that a handshake makes obsolete: their answers would be taken for those of later ids."""
        self._session += 1
        for answer in self._answers.values():
            answer.is_unwanted |= answer.method == _PROBE

    def _id_of(self, client_id: object) -> int | None:
        """Return our id of the newest unanswered request with this id, or with the same number as text."""
        if not isinstance(client_id, int | str) or isinstance(client_id, bool):
            return None
        unanswered = [(id, answer.client_id) for id, answer in self._answers.items() if not answer.is_sent]
        same = [id for id, other in unanswered if (type(other), other) == (type(client_id), client_id)]
        alike = [id for id, other in unanswered if coerce_request_id(other) == coerce_request_id(client_id)]
        return max(same or alike, default=None)

    async def _give(self, era: Era, frame: Frame, metadata: ServerMessageMetadata | None = None) -> None:
        """Hand a message to the loop of its era, which is started with the first one."""
        if era not in self._loops:
            self._loops[era] = self._start_loop()
        message = jsonrpc_message_adapter.validate_python(frame, by_name=False)
        try:
            await self._loops[era].send(SessionMessage(message, metadata))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.hang_up()

    def _start_loop(self) -> MemoryObjectSendStream[SessionMessage | Exception]:
        send, receive = anyio.create_memory_object_stream[SessionMessage | Exception](0)

        async def serve() -> None:
            await serve_dual_era_loop(self._server, receive, _LoopOutput(self), lifespan_state=self._backend)

        self._tasks.start_soon(serve)
        return send

    async def put(self, message: SessionMessage) -> None:
        """Send what a loop has to say, with the client's own ids."""
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
        if answer is None or answer.is_sent:
            return
        answer.is_sent, answer.is_result = True, isinstance(response, JSONRPCResponse)
        answer.is_unwanted |= self._is_reused(answer)
        response = response.model_copy(update={"id": answer.client_id})
        if isinstance(response, JSONRPCResponse):
            _restore_subscription(response.result, answer)
        try:
            await self._output.send(_line(response), answer)
        except BaseException:  # cancelled before there was room
            answer.settle(is_written=False)
            raise

    async def _put_notification(self, notification: JSONRPCNotification, related: object) -> None:
        answer = self._answers.get(related) if isinstance(related, int) else None
        if answer is not None and answer.session != self._session:
            return  # its token or subscription is of a client that has begun anew
        if answer is not None:
            _restore_subscription(notification.params or {}, answer)
        await self._output.send(_line(notification))

    def _is_reused(self, answer: Answer) -> bool:
        """Return whether the client has begun a new session and given this request's id to another one there."""
        return any(
            other.client_id == answer.client_id and other.session > answer.session and not other.is_sent
            for other in self._answers.values()
        )


class _LoopOutput:
    """The write stream of one loop."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    async def send(self, item: SessionMessage, /) -> None:
        await self._conversation.put(item)

    async def aclose(self) -> None:
        """Leave the client's stream open, which another loop may use."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        return None


def _has_envelope(frame: Frame) -> bool:
    """Return whether a message says that it is of the era without handshakes; mcp's loop decides by the same key."""
    meta = _params(frame).get("_meta")
    return isinstance(meta, Mapping) and PROTOCOL_VERSION_META_KEY in meta


def _params(frame: Frame) -> Mapping[str, Any]:
    return frame.get("params") or {}


def _restore_subscription(holder: dict[str, Any], answer: Answer) -> None:
    meta = holder.get("_meta")
    if isinstance(meta, dict) and SUBSCRIPTION_ID_META_KEY in meta:
        holder["_meta"] = {**cast("dict[str, Any]", meta), SUBSCRIPTION_ID_META_KEY: answer.client_id}


def _line(message: JSONRPCMessage) -> bytes:
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    except PydanticSerializationError:  # half of a surrogate pair, in a client's id or a gateway's words
        content = message.model_dump(by_alias=True, exclude_unset=True)
        mended = cast("Frame", without_lone_surrogates(content))
        if "id" in content:
            mended["id"] = content["id"]
        return json.dumps(mended).encode() + b"\n"
