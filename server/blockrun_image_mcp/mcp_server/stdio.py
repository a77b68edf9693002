"""Serves MCP over stdin and stdout.

One thread reads and another writes. A blocked read or write cannot be interrupted, so both threads are daemons.
Cancellation does not reach the writer, so a line is cut only if the process ends or the client closes the stream.
"""

import logging
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import Thread

import anyio
import anyio.from_thread
from anyio.lowlevel import current_token
from mcp.server.lowlevel import Server
from mcp_types import INTERNAL_ERROR

from blockrun_image_mcp import STARTED_AT
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.front import UNOPENED, Opening
from blockrun_image_mcp.mcp_server.answers import Answer
from blockrun_image_mcp.mcp_server.conversation import Conversation
from blockrun_image_mcp.mcp_server.frames import MAX_FRAME_BYTES, TOO_LONG, ErrorReply, Frame, read_frame
from blockrun_image_mcp.signals import ending_signals
from blockrun_image_mcp.timings import Timings

_CHUNK_BYTES = 2**16
_MAX_WAITING_BYTES = 2**20

_CAN_DETECT_EMPTY = sys.platform != "win32"  # on Windows, select supports only sockets

_LOOP_HAS_ENDED = (RuntimeError, CancelledError)
"""Raised in a thread by a call into an event loop that is ending or has ended."""

_log = logging.getLogger(__name__)


async def serve_stdio(
    server: Server[Backend],
    timings: Timings,
    opening: Opening = UNOPENED,
    before_exit: Callable[[], None] = lambda: None,
) -> None:
    """Serve until stdin closes, or until a signal ends the process within a second.

    `opening` is what the client was answered before. After a signal such as Ctrl-C, `before_exit` is called at the very
    end.
    """
    closed = anyio.Event()
    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()
        tasks.start_soon(_exit_on_signal, scope, closed, timings.shutdown_seconds, before_exit)
        arrivals = ArrivalTimes(timings, started_at=STARTED_AT)
        with scope, _private_streams() as (stdin, stdout), arrivals.watch_for_stops():
            await serve_streams(server, timings, stdin, stdout, opening, arrivals)
        closed.set()
        if scope.cancelled_caught:
            await anyio.sleep_forever()  # _exit_on_signal ends the process
        tasks.cancel_scope.cancel()


async def serve_streams(  # noqa: PLR0913, PLR0917 - tests replace these
    server: Server[Backend],
    timings: Timings,
    stdin: int,
    stdout: int,
    opening: Opening = UNOPENED,
    arrivals: "ArrivalTimes | None" = None,
) -> None:
    """Serve one client over two descriptors until either closes."""
    arrivals = arrivals or ArrivalTimes(timings)
    async with server.lifespan(server) as backend, anyio.create_task_group() as report_tasks:
        writer = LineWriter(stdout)
        conversation = Conversation(server, backend, writer, report_tasks, arrivals.arrived_at, opening)
        output_seconds = timings.shutdown_seconds / 4  # after a signal, the deliveries must still be recorded in time
        try:
            async with conversation:
                writer.start(on_broken=conversation.hang_up)
                _Reader(conversation, arrivals, stdin, opening.already_read).start()
                await conversation.has_ended.wait()
            output_seconds = timings.output_seconds
        finally:
            with anyio.CancelScope(shield=True):
                await writer.finish(output_seconds)
            conversation.abandon()


class _Reader:
    """Reads lines from a descriptor into a conversation."""

    def __init__(
        self, conversation: Conversation, arrivals: "ArrivalTimes", descriptor: int, already_read: bytes
    ) -> None:
        self._conversation = conversation
        self._arrivals = arrivals
        self._descriptor = descriptor
        self._already_read = already_read
        self._token = current_token()

    def start(self) -> None:
        """Read in a thread until the end of the stream."""
        Thread(target=self._run, name="stdin", daemon=True).start()

    def _run(self) -> None:
        with suppress(*_LOOP_HAS_ENDED):
            try:
                for line in _lines(self._descriptor, self._already_read, self._arrivals):
                    frame = _read(line)
                    if frame is not None:
                        anyio.from_thread.run(self._conversation.take, frame, token=self._token)
            finally:
                anyio.from_thread.run_sync(self._conversation.hang_up, token=self._token)


def _lines(descriptor: int, already_read: bytes, arrivals: "ArrivalTimes") -> Generator[bytes | None]:
    """Yield each line, or `None` for an overlong one; the last line may lack its newline."""
    pending, searched, is_skipped = bytearray(already_read), 0, False
    while True:
        while (end := pending.find(b"\n", searched)) >= 0:
            line = bytes(pending[:end])
            del pending[: end + 1]
            searched = 0
            yield None if is_skipped else line
            is_skipped = False
        searched = len(pending)  # a long line is not searched again from its beginning
        if searched > MAX_FRAME_BYTES:
            pending.clear()
            searched, is_skipped = 0, True
        if not pending:
            arrivals.note_if_empty(descriptor)
        chunk = _chunk(descriptor)
        arrivals.note_read()
        if not chunk:
            break
        pending += chunk
    yield None if is_skipped else bytes(pending)


def _chunk(descriptor: int) -> bytes:
    """Return the next bytes, empty at the end of the stream."""
    while True:
        try:
            return os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:  # another process with this pipe may have made it non-blocking
            select.select([descriptor], [], [])
        except OSError as error:
            _log.warning("stdin can no longer be read: %s", error)
            return b""


def _read(line: bytes | None) -> Frame | ErrorReply | None:
    if line is None:
        return TOO_LONG
    try:
        return read_frame(line)
    except Exception:  # noqa: BLE001 - the next lines must still be read
        _log.exception("a line could not be read")
        return ErrorReply(INTERNAL_ERROR, "The line could not be read.")


class LineWriter:
    """Writes lines to a descriptor, in order, and reports whether each was written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: SimpleQueue[tuple[bytes, Answer | None] | None] = SimpleQueue()
        self._waiting_bytes = 0
        self._has_room = anyio.Event()
        self._is_broken = False
        self._has_ended = anyio.Event()
        self._token = current_token()

    def start(self, on_broken: Callable[[], None]) -> None:
        """Write in a thread; `on_broken` is called when the client has closed the stream."""
        self._on_broken = on_broken
        Thread(target=self._run, name="stdout", daemon=True).start()

    async def send(self, line: bytes, answer: Answer | None = None) -> None:
        """Queue a line, after waiting for room in the queue."""
        while self._waiting_bytes > _MAX_WAITING_BYTES and not self._is_broken:
            await self._has_room.wait()
        self._waiting_bytes += len(line)
        self._lines.put((line, answer))

    async def finish(self, within_seconds: float) -> None:
        """Write the queued lines, or give up after `within_seconds`."""
        self._lines.put(None)
        with anyio.move_on_after(within_seconds):
            await self._has_ended.wait()
        self._is_broken = True

    def _run(self) -> None:
        with suppress(*_LOOP_HAS_ENDED):
            while (item := self._lines.get()) is not None:
                line, answer = item
                is_written = not (answer and answer.is_unwanted) and self._write(line)
                anyio.from_thread.run_sync(self._note, len(line), answer, is_written, token=self._token)
            anyio.from_thread.run_sync(self._has_ended.set, token=self._token)

    def _write(self, line: bytes) -> bool:
        if self._is_broken:
            return False
        rest = memoryview(line)
        while rest:  # a pipe may take only a part
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # as for stdin
                select.select([], [self._descriptor], [])
            except OSError as error:
                _log.warning("the client disconnected: %s", error)
                self._is_broken = True
                return False
        return True

    def _note(self, length: int, answer: Answer | None, is_written: bool) -> None:
        self._waiting_bytes -= length
        if self._waiting_bytes <= _MAX_WAITING_BYTES or self._is_broken:
            self._has_room.set()
            self._has_room = anyio.Event()  # an event cannot be cleared
        if answer is not None:
            answer.close(is_written=is_written)
        if self._is_broken:
            self._on_broken()


class ArrivalTimes:
    """Knows when the last line arrived, or that this cannot be known.

    A line arrives when the reading thread reads it: the event loop, which takes it, may be busy for seconds.

    A line may have waited in the pipe while this process was starting or stopped (SIGSTOP). Its true time is then
    unknown, and the call must be treated as old. A start that took less than `join_seconds` is ignored: calls that
    close together are never taken for repetitions.

    On Windows, a program cannot find out that it was stopped, or that a pipe is empty. There, every line in the first
    `started_seconds` after a slow start may have waited.
    """

    def __init__(self, timings: Timings, started_at: float = math.inf) -> None:
        self._resumed_at = self._read_at = time.monotonic()
        self._stale_until = -math.inf
        if self._resumed_at - started_at >= timings.join_seconds:
            self._stale_until = math.inf if _CAN_DETECT_EMPTY else self._resumed_at + timings.started_seconds

    def may_have_waited(self) -> bool:
        """Return whether a line read now may have been written long ago."""
        return time.monotonic() < self._stale_until

    def arrived_at(self) -> float:
        """Return when the last read line arrived, by anyio's clock; minus infinity if it may have waited."""
        if self.may_have_waited():
            return -math.inf
        return anyio.current_time() - (time.monotonic() - self._read_at)

    def note_read(self) -> None:
        """Record that lines were read."""
        self._read_at = time.monotonic()

    def note_if_empty(self, descriptor: int) -> None:
        """Record that no line waits any more, if the descriptor has nothing to read.

        Lines that the client could not write until now, because the pipe was full, are taken for new ones.
        """
        now = time.monotonic()
        if self.may_have_waited() and _is_empty(descriptor) and self._resumed_at < now:
            self._stale_until = -math.inf

    @contextmanager
    def watch_for_stops(self) -> Generator[None]:
        """In the block, notice when the process continues after a stop."""
        if sys.platform == "win32":
            yield
            return
        before = signal.signal(signal.SIGCONT, self._note_continued)
        try:
            yield
        finally:
            signal.signal(signal.SIGCONT, before)

    def _note_continued(self, _signal: int, _frame: object) -> None:
        self._resumed_at = time.monotonic()
        self._stale_until = math.inf


def _is_empty(descriptor: int) -> bool:
    return _CAN_DETECT_EMPTY and not select.select([descriptor], [], [], 0)[0]


@contextmanager
def _private_streams() -> Generator[tuple[int, int]]:
    """Yield private duplicates of stdin and stdout.

    In the block, descriptor 0 is empty and 1 is stderr, so that no stray print reaches the client. On Windows, this is
    not undone: restoring a descriptor would wait for the threads that still read or write it.
    """
    stdin, stdout = os.dup(0), os.dup(1)
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        yield stdin, stdout
    finally:
        with suppress(OSError, ValueError):  # first, or a stray print would reach the client after all
            sys.stdout.flush()
        if sys.platform != "win32":
            os.dup2(stdin, 0)
            os.dup2(stdout, 1)


async def _exit_on_signal(
    scope: anyio.CancelScope, closed: anyio.Event, within_seconds: float, before_exit: Callable[[], None]
) -> None:
    with ending_signals() as signals:
        async for number in signals:
            scope.cancel()
            with anyio.move_on_after(within_seconds):
                await closed.wait()
            before_exit()
            logging.shutdown()
            os._exit(128 + number)  # calls that are still under way must not delay the end
