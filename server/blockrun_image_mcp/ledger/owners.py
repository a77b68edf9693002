"""Finds the live processes by their file locks.

The operating system frees the locks of a process when it dies. A pid does not prove that a process is alive: pids are
reused, and every container counts from one.
"""

import errno
import json
import os
import re
import sys
import time
from collections.abc import Callable, Generator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any
from uuid import uuid4
from weakref import WeakSet

from blockrun_image_mcp.files import create, make_folder, remove, rename

_LOCK = ".lock"
_UNFINISHED = ".new"
_RANDOM = re.compile(r"[0-9a-f]{32}")
_TRIES = 10
_IDENTITY = "identity"
_IDENTITY_PAUSE_SECONDS = 0.02
_FACTS_BYTES = 200
"""A fixed length: a shorter text overwrites all of a longer one."""

_FORKS_WAIT = RLock()
"""Held while a descriptor is open that no `Owners` knows yet: a child forked then would keep the lock alive."""


@dataclass(frozen=True)
class LiveProcess:
    """A live process, and the identity and sent requests it has seen in its ledger."""

    id: str
    pid: int
    ledger: str
    sent_count: int


@dataclass(frozen=True)
class _Held:
    id: str
    path: Path
    descriptor: int


class Owners:
    """The processes of a ledger. Each holds the lock of its own file in `folder`.

    The folder is made when it is first needed, readable by its user alone (0700). Methods raise `OSError`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._held: _Held | None = None
        self.can_judge = True
        """Whether locks work in the folder, as found by `acquire`; if not, no other process counts as alive."""
        with _FORKS_WAIT:
            _all.add(self)

    @property
    def id(self) -> str | None:
        """This process's id, `None` before `acquire`."""
        held = self._held
        return held and held.id

    def acquire(self) -> str:
        """Lock a file for this process, if it has none yet, and return the process's id."""
        with _FORKS_WAIT:
            if self._held is None:
                self._held = self._take()
            return self._held.id

    def release(self, *, remove: bool) -> None:
        """Free the lock, and remove its file if `remove`; otherwise a later sweep removes it."""
        with _FORKS_WAIT:
            held, self._held = self._held, None
            if held is None:
                return
            if remove:
                _remove(held.path, held.descriptor)
            else:
                os.close(held.descriptor)

    def is_alive(self, id: str) -> bool:
        """Return whether a process is alive; in doubt, it counts as dead."""
        if id == self.id:
            return True
        if not self.can_judge or _RANDOM.fullmatch(id) is None:
            return False
        try:
            return not _is_free(self._path(id))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def note(self, ledger: str, sent_count: int) -> None:
        """Publish the identity and the number of sent requests of this process's ledger."""
        if self._held is not None:
            with suppress(OSError):  # other processes then detect a replaced ledger later
                _write_facts(self._held.descriptor, ledger, sent_count)

    def live_processes(self) -> Sequence[LiveProcess]:
        """Return the live processes, without those with an unreadable file."""
        return [process for path in self._files(_LOCK) if (process := self._live_process(path)) is not None]

    def identity(self) -> str:
        """Return the folder's random identity, written by its first process."""
        for _ in range(_TRIES - 1):
            with suppress(FileNotFoundError):
                return self._read_identity()
            self._write_identity()
        return self._read_identity()

    def mend_identity(self) -> None:
        """Remove an identity that cannot be read; the next process writes another."""
        try:
            self._read_identity()
        except FileNotFoundError:
            pass
        except OSError:
            remove(self._folder / _IDENTITY)

    def sweep(self, named: Callable[[str], bool] | AbstractSet[str]) -> int:
        """Remove the lock files of dead processes, and return their number.

        Those with an id in `named` stay. Unfinished files are removed, too.
        """
        is_named = named if callable(named) else named.__contains__
        ended = [path for path in self._files(_LOCK) if not is_named(path.stem)]
        return sum(_remove_if_free(path) for path in [*ended, *self._files(_UNFINISHED)])

    def forget_parent(self) -> None:
        """In a forked child, close the copy of the descriptor; the parent keeps the lock."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held.descriptor)  # unlocking it would free the parent's lock too

    def _path(self, id: str) -> Path:
        return self._folder / f"{id}{_LOCK}"

    def _files(self, suffix: str) -> list[Path]:
        return [path for path in self._folder.glob(f"*{suffix}") if _RANDOM.fullmatch(path.stem)]

    def _take(self) -> _Held:
        for _ in range(_TRIES - 1):
            with suppress(FileNotFoundError, BlockingIOError):  # a sweep came between making and locking it
                return self._try_to_take()
        return self._try_to_take()

    def _try_to_take(self) -> _Held:
        id = uuid4().hex
        path = self._path(id)
        # the file gets its final name once it is locked, except on Windows, where a locked file cannot be renamed
        first = path if sys.platform == "win32" else path.with_suffix(_UNFINISHED)
        descriptor = self._create(first)
        try:
            _lock_or_raise(descriptor, first)
            self.can_judge = not _is_free(first)  # some file systems grant every lock
            _write_facts(descriptor, "", 0)
            if first != path:
                first.rename(path)
        except BaseException:
            with suppress(OSError):  # the first error says more
                _remove(first, descriptor)
            raise
        return _Held(id, path, descriptor)

    def _create(self, path: Path) -> int:
        make_folder(self._folder)
        return create(path)

    def _live_process(self, path: Path) -> LiveProcess | None:
        try:
            if self.is_alive(path.stem):
                facts: dict[str, Any] = json.loads(path.read_bytes())
                return LiveProcess(path.stem, int(facts["pid"]), str(facts["ledger"]), int(facts["sent_count"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def _read_identity(self) -> str:
        path = self._folder / _IDENTITY
        text, tries = path.read_text("ascii", "replace"), _TRIES
        while not text and tries:  # without hard links, it is written under its own name
            time.sleep(_IDENTITY_PAUSE_SECONDS)
            text, tries = path.read_text("ascii", "replace"), tries - 1
        if _RANDOM.fullmatch(text) is None:
            raise OSError(errno.EINVAL, "not the identity of a folder", str(path))
        return text

    def _write_identity(self) -> None:
        """Write the identity atomically, unless another process is faster."""
        path = self._folder / _IDENTITY
        first = self._folder / f"{uuid4().hex}{_UNFINISHED}"
        descriptor = self._create(first)
        try:
            try:
                os.write(descriptor, uuid4().hex.encode())
                os.fsync(descriptor)  # unlike a lock's file, it must outlast a power cut
            finally:
                os.close(descriptor)
            with suppress(FileExistsError, FileNotFoundError):  # another process or a sweep was faster
                _publish(first, path)
        finally:
            remove(first)


_all: WeakSet[Owners] = WeakSet()


def _end_waiting_in_child() -> None:
    for owners in _all:
        owners.forget_parent()
    _FORKS_WAIT.release()


if sys.platform == "win32":
    import msvcrt

    _PROBES = 5  # another prober may hold the lock for a moment
    _PROBE_PAUSE_SECONDS = 0.002
    _FAR_FROM_THE_PID = 1 << 30  # a locked byte cannot be read

    def _lock(descriptor: int, *, shared: bool) -> bool:  # noqa: ARG001 - the C library has no shared locks
        """Lock the file, and return whether that was possible."""
        os.lseek(descriptor, _FAR_FROM_THE_PID, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    _PROBES = 1
    _PROBE_PAUSE_SECONDS = 0

    os.register_at_fork(
        before=_FORKS_WAIT.acquire, after_in_parent=_FORKS_WAIT.release, after_in_child=_end_waiting_in_child
    )

    def _lock(descriptor: int, *, shared: bool) -> bool:
        """Lock the file, and return whether that was possible."""
        try:  # `lockf` would free the lock as soon as any descriptor of the file is closed
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _write_facts(descriptor: int, ledger: str, sent_count: int) -> None:
    facts = {"pid": os.getpid(), "ledger": ledger, "sent_count": sent_count}
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(facts).ljust(_FACTS_BYTES).encode())


def _lock_or_raise(descriptor: int, path: Path) -> None:
    if not _lock(descriptor, shared=False):
        raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), str(path))


def _is_free(path: Path) -> bool:
    """Return whether the file's lock is free."""
    with _opened(path, os.O_RDONLY) as descriptor:
        for _ in range(_PROBES - 1):  # a shared lock, because several probers must not disturb one another
            if _lock(descriptor, shared=True):
                return True
            time.sleep(_PROBE_PAUSE_SECONDS)
        return _lock(descriptor, shared=True)


def _publish(first: Path, path: Path) -> None:
    """Rename a file; raises `FileExistsError` if the name is taken."""
    if sys.platform == "win32":
        rename(first, path)  # on Windows, this never overwrites
        return
    try:
        path.hardlink_to(first)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:  # the file system has no hard links, and a rename could overwrite
        content = first.read_bytes()
        descriptor = create(path)
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)


def _remove(path: Path, descriptor: int) -> None:
    """Remove a file and free its lock, in this order if possible."""
    if sys.platform == "win32":
        os.close(descriptor)
        with suppress(PermissionError):  # it is being probed; a sweep removes it later
            path.unlink(missing_ok=True)
    else:
        try:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _remove_if_free(path: Path) -> bool:
    try:
        with _FORKS_WAIT, _opened(path, os.O_RDWR) as descriptor:
            # a lock proves nothing if locks do not work here, or if the path now leads to another file
            if not _lock(descriptor, shared=False) or _is_free(path):
                return False
            if not os.path.samestat(os.fstat(descriptor), path.stat()):
                return False
            if sys.platform != "win32":
                path.unlink()
                return True
        path.unlink()  # refused if another process has opened it since
    except (FileNotFoundError, PermissionError):  # another sweep was faster, or the file is another user's
        return False
    return True


@contextmanager
def _opened(path: Path, flags: int) -> Generator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
