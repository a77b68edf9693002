"""Signals to end the process, such as Ctrl-C."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

import anyio


def ending_signals(*, hangup: bool = False) -> AbstractContextManager[AsyncIterator[int]]:
    """Receive the signals to end this process; in the block, they do nothing else.

    They are Ctrl-C, SIGTERM, Ctrl-Break on Windows, and with `hangup` also SIGHUP, which reports a closed terminal.
    After the block, they have their default effect.
    """
    names = ["SIGINT", "SIGTERM", "SIGBREAK", *(["SIGHUP"] if hangup else [])]
    numbers = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    return _receive_on_windows(numbers) if sys.platform == "win32" else anyio.open_signal_receiver(*numbers)


@contextmanager
def _receive_on_windows(numbers: Sequence[signal.Signals]) -> Generator[AsyncIterator[int]]:
    """Receive signals on Windows, where event loops cannot.

    asyncio's loops call `signal.set_wakeup_fd`, so a signal still ends their wait.
    """
    loop = asyncio.get_running_loop()
    came: asyncio.Queue[int] = asyncio.Queue()

    def note(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(came.put_nowait, number)

    for number in numbers:
        signal.signal(number, note)
    try:
        yield _numbers_from(came)
    finally:
        for number in numbers:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


async def _numbers_from(came: "asyncio.Queue[int]") -> AsyncIterator[int]:
    while True:
        yield await came.get()
