"""The connection to a running worker, with the calls that it performs."""

import itertools
import logging
import math
from contextlib import suppress
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from threading import Thread

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from blockrun_image.callers import DeliveryEvent
from blockrun_image.errors import ConfigurationError, ConfirmationError, OutcomeUnknownError
from blockrun_image.text import clean
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.folders import NAME
from blockrun_image_mcp.ledger.confirmation import Question
from blockrun_image_mcp.ledger.owners import owners_beside
from blockrun_image_mcp.paid_call import CallEnded, Outcome, PaidCall
from blockrun_image_mcp.settings import VARIABLES
from blockrun_image_mcp.worker.launch import LOG, Launched
from blockrun_image_mcp.worker.messages import (
    Asked,
    Began,
    Begin,
    Cancel,
    Delivered,
    Ended,
    Message,
    Ready,
    Refused,
    Reply,
    Start,
    Status,
)
from blockrun_image_mcp.worker.pipes import Pipes

_GRACE_SECONDS = 30.0
"""Added to the call's timeout for each message, because the ledger or the list may delay it."""

_log = logging.getLogger(__name__)


class WorkerConnection:
    """The server's connection to a running worker, with the open calls by number."""

    def __init__(self, launched: Launched, backend: Backend) -> None:
        self.has_ended = anyio.Event()
        self._launched = launched
        self._backend = backend
        self._timings = backend.timings
        self._pipes = Pipes(launched.read, launched.write, self._take, self._end)
        self._locks = owners_beside(backend.ledger_path)
        self._process = ""
        self._numbers = itertools.count(1)
        self._calls: dict[int, MemoryObjectSendStream[Message]] = {}
        self._used_at = anyio.current_time()
        self._answered = anyio.Event()
        self._other_version: str | None = None

    async def start(self, version: str) -> None:
        """Wait until the worker is ready; raises `ConfigurationError`."""
        Thread(target=self._launched.process.wait, name="worker's end", daemon=True).start()  # else it stays a zombie
        self._process = await anyio.to_thread.run_sync(self._lock)
        self._pipes.start()
        self._pipes.send(Start(version, asdict(self._timings)))
        with anyio.move_on_after(self._timings.worker_start_seconds):
            await self._answered.wait()
        if self._other_version is not None:
            raise ConfigurationError(
                f"{NAME} was changed from {version} to {self._other_version} while this server ran. Nothing was sent.",
                hint="Restart the server.",
            )
        if self.has_ended.is_set() or not self._answered.is_set():
            raise not_started(self._backend)

    async def perform(self, call: PaidCall) -> Outcome | None:
        """Perform a call, or return `None` if the worker had gone before it took the call.

        Raises `CallEnded`, and `OutcomeUnknownError` if the worker has gone since, or does not answer.
        """
        number = next(self._numbers)
        self._calls[number], messages = anyio.create_memory_object_stream[Message](math.inf)
        if self.has_ended.is_set():
            self._calls[number].close()
        arrived_at, caller = call.arrived_at, call.caller.id
        self._pipes.send(Begin(number, call.arguments, caller, self._process, arrived_at))
        try:
            return await self._follow(number, call, messages)
        except anyio.get_cancelled_exc_class():
            self._pipes.send(Cancel(number))
            raise
        finally:
            self._calls.pop(number).close()
            messages.close()
            self._used_at = anyio.current_time()

    async def close_when_idle(self) -> None:
        """Close the worker once it has had nothing to do for a while."""
        while not self.has_ended.is_set():
            if self._calls:
                self._used_at = anyio.current_time()
            idle_seconds = anyio.current_time() - self._used_at
            if idle_seconds >= self._timings.worker_idle_seconds:
                await self.close()
                return
            with anyio.move_on_after(self._timings.worker_idle_seconds - idle_seconds):
                await self.has_ended.wait()

    async def close(self) -> None:
        """Close the pipe to the worker, which then finishes what was paid for, and ends."""
        self.has_ended.set()
        await self._pipes.close(self._timings.worker_close_seconds)

    def _lock(self) -> str:
        """Lock a file while this process lives, so that the worker sees that the callers are still there.

        Return an empty text if locks do not work; the callers then count as alive until the pipe closes.
        """
        try:
            id = self._locks.acquire()
        except OSError:  # the worker cannot use the ledger either, and says so
            return ""
        return id if self._locks.locks_work else ""

    async def _follow(
        self, number: int, call: PaidCall, messages: MemoryObjectReceiveStream[Message]
    ) -> Outcome | None:
        has_begun, ended = False, None
        while (message := await self._next(number, messages)) is not None:
            match message:
                case Began():
                    has_begun = True
                case Status(words=words):
                    call.on_status(words)
                case Asked():
                    ended = await self._ask(number, call, message)
                case Ended(content=dict(content)):
                    self._report_delivery(number, call)
                    return Outcome(message.text, content, message.is_error, [Path(path) for path in message.paths])
                case _:  # it ended with its question
                    raise ended or CallEnded
        if not has_begun:
            return None
        raise self._lost("ended unexpectedly")

    async def _next(self, number: int, messages: MemoryObjectReceiveStream[Message]) -> Message | None:
        """Return the next message about a call, or `None` if the worker has gone."""
        try:
            with anyio.fail_after(self._timings.call_timeout_seconds + _GRACE_SECONDS):
                return await messages.receive()
        except anyio.EndOfStream:
            return None
        except TimeoutError as error:
            self._pipes.send(Cancel(number))
            raise self._lost("does not answer") from error

    async def _ask(self, number: int, call: PaidCall, asked: Asked) -> Exception | None:
        """Ask the user, and send the reply; return what ends the call here, if the question ends it."""
        max_usd = None if asked.max_usd is None else Decimal(asked.max_usd)
        try:
            approval = await call.ask(Question(asked.what, asked.price, asked.prompt, max_usd))
        except ConfirmationError as error:
            self._pipes.send(Reply(number, refusal=error.message, hint=error.hint))
        except Exception as error:  # noqa: BLE001 - raised once the worker has ended the call
            self._pipes.send(Reply(number))
            return error
        else:
            limit = None if approval.max_usd is None else str(approval.max_usd)
            self._pipes.send(Reply(number, approval.id, limit))
        return None

    def _report_delivery(self, number: int, call: PaidCall) -> None:
        async def report(event: DeliveryEvent) -> None:
            self._pipes.send(Delivered(number, event.name))

        if call.delivery is not None:
            call.delivery.on_report(report)
        else:
            self._pipes.send(Delivered(number, DeliveryEvent.WRITTEN.name))

    def _take(self, message: Message) -> None:
        match message:
            case Ready():
                self._answered.set()
            case Refused(version=version):
                self._other_version = version
                self._answered.set()
            case Began(call) | Status(call) | Asked(call) | Ended(call) if call in self._calls:
                with suppress(anyio.BrokenResourceError):
                    self._calls[call].send_nowait(message)
            case _:  # about a call that has been cancelled
                pass

    def _end(self) -> None:
        """Note that the worker has gone, with all that it was to do for its callers."""
        self.has_ended.set()
        self._answered.set()
        for call in self._calls.values():
            call.close()
        self._locks.release(remove=False)  # so that another worker treats the calls as abandoned

    def _lost(self, how: str) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"The process that performs this call {how}.",
            hint="Repeat the call unchanged: if this one was sent, the answer says what became of it, and nothing is"
            f" bought again. {_see_log(self._backend)}",
        )


def not_started(backend: Backend) -> ConfigurationError:
    """Return the error of a worker that could not be started."""
    return ConfigurationError(
        "The process for paid calls could not be started. Nothing was sent.",
        hint=f"{_see_log(backend)} {VARIABLES['worker']}=off performs the calls in the server itself.",
    )


def _see_log(backend: Backend) -> str:
    return f"Its log is {clean(backend.ledger_path.with_name(LOG), 200)}."
