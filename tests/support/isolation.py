"""Runs a program in this process, with to itself what a process of its own would have.

These are its arguments, streams, environment, log, warnings, signal handlers and context variables. The event loop is
its own, too: if one runs in this thread, the program runs in another thread while this one waits.

What it cannot have to itself is what Python loads once: modules and their caches. The tests of this module list the
caches; none holds what a setting says.
"""

import asyncio
import io
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import Context
from dataclasses import dataclass
from unittest.mock import patch

_SIGNALS = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


@dataclass(frozen=True)
class Ended:
    """A program's exit status, and what it has written."""

    status: int
    stdout: bytes
    stderr: bytes


def can_isolate() -> bool:
    """Return whether this thread can run a program: in others, the tests' own code would go on beside it."""
    return threading.current_thread() is threading.main_thread()


def run_isolated(main: Callable[[], None], arguments: Sequence[str], environ: Mapping[str, str], input: str) -> Ended:
    """Run a program to its end, and return what came of it.

    It is as if Python had started in this environment, of whose own variables PYTHONIOENCODING is observed. A program
    that handles signals needs the main thread, so it cannot be run while an event loop runs there.
    """
    assert can_isolate()
    if not _is_loop_running():
        return _run(main, arguments, environ, input)
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(_run, main, arguments, environ, input).result()


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run(main: Callable[[], None], arguments: Sequence[str], environ: Mapping[str, str], input: str) -> Ended:
    encoding, _, errors = environ.get("PYTHONIOENCODING", "").partition(":")
    bystanders = {*threading.enumerate()} - {threading.current_thread()}
    stdin = io.TextIOWrapper(io.BytesIO(input.encode("utf-8", "surrogateescape")), encoding or "utf-8", errors or None)
    stdout = _Output(encoding or "utf-8", errors or "surrogateescape", bystanders)
    stderr = _Output(encoding or "utf-8", "backslashreplace", bystanders)
    own = {"argv": list(arguments), "stdin": stdin, "stdout": stdout, "stderr": stderr}
    own |= {f"__{name}__": own[name] for name in ("stdin", "stdout", "stderr")}
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, environ, clear=True))
        for name, value in own.items():
            stack.enter_context(patch.object(sys, name, value))
        stack.enter_context(_own_log())
        stack.enter_context(_own_signal_handlers())
        with _own_warnings() as caught:
            status = Context().run(_status_of, main)
        for each in caught:
            stderr.write(warnings.formatwarning(each.message, each.category, each.filename, each.lineno, each.line))
        return Ended(status, stdout.written(), stderr.written())


class _Output(io.TextIOWrapper):
    """Keeps what the program writes, and drops what threads that were there before it write, such as a sandbox's."""

    def __init__(self, encoding: str, errors: str, bystanders: AbstractSet[threading.Thread]) -> None:
        self._bytes = io.BytesIO()
        self._bystanders = bystanders
        super().__init__(self._bytes, encoding, errors)

    def write(self, text: str, /) -> int:
        return len(text) if threading.current_thread() in self._bystanders else super().write(text)

    def written(self) -> bytes:
        self.flush()
        return self._bytes.getvalue()


def _status_of(main: Callable[[], None]) -> int:
    """Run a program, and return the exit status that Python would end with."""
    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except Exception:  # noqa: BLE001 - a process would print any of them
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def _own_log() -> Generator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = []
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers = handlers
        root.setLevel(level)


@contextmanager
def _own_warnings() -> Generator[Sequence[warnings.WarningMessage]]:
    """Yield the warnings that the program would print: pytest makes errors of some that Python ignores."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        for ignored in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", ignored)
        yield caught


@contextmanager
def _own_signal_handlers() -> Generator[None]:
    """Restore the handlers that the program changes; only the main thread can have any."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if can_isolate() and signal.getsignal(number) != handler:
                signal.signal(number, handler)
