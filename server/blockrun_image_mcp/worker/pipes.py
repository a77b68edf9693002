"""One end of the two pipes between the server and its worker."""

import logging
import os
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

import anyio
import anyio.from_thread
from anyio.lowlevel import current_token

from blockrun_image_mcp.worker.messages import Message, from_line, to_line

_log = logging.getLogger(__name__)

_LOOP_HAS_ENDED = (RuntimeError, CancelledError)
"""Raised in a thread by a call into an event loop that is ending or has ended."""


class Pipes:
    """Reads and writes messages in threads: a blocked pipe must delay neither the event loop nor the process's exit.

    `on_message` is called for each message of the other side, in the event loop, and `on_end` when it has gone.
    """

    def __init__(
        self, read: int, write: int, on_message: Callable[[Message], object], on_end: Callable[[], object]
    ) -> None:
        self._read, self._write = read, write
        self._on_message, self._on_end = on_message, on_end
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._is_flushed = anyio.Event()
        self._token = current_token()

    def start(self) -> None:
        """Start to read and to write."""
        Thread(target=self._run_reader, name="pipe in", daemon=True).start()
        Thread(target=self._run_writer, name="pipe out", daemon=True).start()

    def send(self, message: Message) -> None:
        """Queue a message; it is lost if the other side has gone."""
        self._lines.put(to_line(message))

    async def close(self, within_seconds: float) -> None:
        """Write the queued messages, and close the pipe to the other side; give up after `within_seconds`."""
        self._lines.put(None)
        with anyio.move_on_after(within_seconds, shield=True):
            await self._is_flushed.wait()

    def _run_reader(self) -> None:
        with suppress(*_LOOP_HAS_ENDED):
            try:
                for message in self._messages():
                    anyio.from_thread.run_sync(self._on_message, message, token=self._token)
            finally:
                anyio.from_thread.run_sync(self._on_end, token=self._token)

    def _messages(self) -> Generator[Message]:
        """Yield the messages until the other side closes its pipe, or sends a line that is no message."""
        with os.fdopen(self._read, "rb") as stream, suppress(OSError):
            for line in stream:
                try:
                    yield from_line(line)
                except (ValueError, TypeError, KeyError) as error:  # such as a part of one, from a killed process
                    _log.warning("a line is no message: %s", type(error).__name__)
                    return

    def _run_writer(self) -> None:
        with suppress(*_LOOP_HAS_ENDED):
            while (line := self._lines.get()) is not None:
                rest = memoryview(line)
                with suppress(OSError):  # the reader reports that the other side has gone
                    while rest:
                        rest = rest[os.write(self._write, rest) :]
            os.close(self._write)
            anyio.from_thread.run_sync(self._is_flushed.set, token=self._token)
