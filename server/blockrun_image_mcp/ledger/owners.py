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
_HEX_ID = re.compile(r"[0-9a-f]{32}")
_TRIES = 10
_IDENTITY = "identity"
_IDENTITY_PAUSE_SECONDS = 0.02
_FACTS_BYTES = 200
"""Every text is padded to this length, so that it replaces the whole earlier one."""

_NO_FORK = RLock()
"""Blocks forks while a lock file is open that no `Owners` knows of.

A child forked at that moment would inherit the descriptor and could not close it, so the file would stay locked after
the parent's death.
"""


@dataclass(frozen=True)
class LiveProcess:
    """A live process.

    `ledger_identity` is the identity of its ledger, and `sent_count` the number of sent requests it has seen there.
    """

    id: str
    pid: int
    ledger_identity: str
    sent_count: int


@dataclass(frozen=True)
class _OwnLock:
    id: str
    path: Path
    descriptor: int


def owners_beside(ledger: Path) -> "Owners":
    """Return the processes of the ledger at a path."""
    path = ledger.resolve()  # every process must find the same folder
    return Owners(path.with_name(f"{path.name}.locks"))


class Owners:
    """The processes of a ledger. Each holds the lock of its own file in `folder`.

    The folder is made when it is first needed, readable by its user alone (0700). Methods raise `OSError`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._own_lock: _OwnLock | None = None
        self.locks_work = True
        """As found by `acquire`; if not, no other process counts as alive."""
        with _NO_FORK:
            _all.add(self)

    @property
    def id(self) -> str | None:
        """This process's id, `None` before `acquire`."""
        own_lock = self._own_lock
        return own_lock and own_lock.id

    def acquire(self) -> str:
        """Lock a file for this process, if it has none yet, and return the process's id."""
        with _NO_FORK:
            if self._own_lock is None:
                self._own_lock = self._take()
            return self._own_lock.id

    def release(self, *, remove: bool) -> None:
        """Free the lock, and remove its file if `remove`; otherwise a later sweep removes it."""
        with _NO_FORK:
            own_lock, self._own_lock = self._own_lock, None
            if own_lock is None:
                return
            if remove:
                _remove(own_lock.path, own_lock.descriptor)
            else:
                os.close(own_lock.descriptor)

    def is_alive(self, id: str) -> bool:
        """Return whether a process is alive; in doubt, it counts as dead."""
        if id == self.id:
            return True
        if not self.locks_work or _HEX_ID.fullmatch(id) is None:
            return False
        try:
            return not _is_free(self._path(id))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def note(self, ledger_identity: str, sent_count: int) -> None:
        """Publish the identity and the number of sent requests of this process's ledger."""
        if self._own_lock is not None:
            with suppress(OSError):  # other processes then detect a replaced ledger later
                _write_facts(self._own_lock.descriptor, ledger_identity, sent_count)

    def live_processes(self) -> Sequence[LiveProcess]:
        """Return the live processes, without those with an unreadable file."""
        return [process for path in self._files(_LOCK) if (process := self._live_process(path)) is not None]

    def folder_identity(self) -> str:
        """Return the folder's random identity, written by its first process."""
        for _ in range(_TRIES - 1):
            with suppress(FileNotFoundError):
                return self._read_identity()
            self._write_identity()
        return self._read_identity()

    def mend_folder_identity(self) -> None:
        """Remove a folder's identity that cannot be read; the next process writes another."""
        try:
            self._read_identity()
        except FileNotFoundError:
            pass
        except OSError:
            remove(self._folder / _IDENTITY)

    def sweep(self, in_use: Callable[[str], bool] | AbstractSet[str]) -> int:
        """Remove the lock files of dead processes, and return their number.

        Those of processes `in_use`, which the ledger still refers to, stay. `.new` files that a crash left behind are
        removed, too.
        """
        is_in_use = in_use if callable(in_use) else in_use.__contains__
        ended = [path for path in self._files(_LOCK) if not is_in_use(path.stem)]
        return sum(_remove_if_free(path) for path in [*ended, *self._files(_UNFINISHED)])

    def forget_parent(self) -> None:
        """In a forked child, close the copy of the descriptor; the parent keeps the lock."""
        own_lock, self._own_lock = self._own_lock, None
        if own_lock is not None:
            os.close(own_lock.descriptor)  # unlocking it would free the parent's lock too

    def _path(self, id: str) -> Path:
        return self._folder / f"{id}{_LOCK}"

    def _files(self, suffix: str) -> list[Path]:
        return [path for path in self._folder.glob(f"*{suffix}") if _HEX_ID.fullmatch(path.stem)]

    def _take(self) -> _OwnLock:
        for _ in range(_TRIES - 1):
            with suppress(FileNotFoundError, BlockingIOError):  # a sweep came between making and locking it
                return self._try_to_take()
        return self._try_to_take()

    def _try_to_take(self) -> _OwnLock:
        id = uuid4().hex
        path = self._path(id)
        # the file gets its final name once it is locked, except on Windows, where a locked file cannot be renamed
        first = path if sys.platform == "win32" else path.with_suffix(_UNFINISHED)
        descriptor = self._create(first)
        try:
            _lock_or_raise(descriptor, first)
            self.locks_work = not _is_free(first)  # some file systems grant every lock
            _write_facts(descriptor, "", 0)
            if first != path:
                first.rename(path)
        except BaseException:
            with suppress(OSError):  # the first error says more
                _remove(first, descriptor)
            raise
        return _OwnLock(id, path, descriptor)

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
        # on a file system without hard links, `_publish` creates the file first and fills it afterwards
        while not text and tries:
            time.sleep(_IDENTITY_PAUSE_SECONDS)
            text, tries = path.read_text("ascii", "replace"), tries - 1
        if _HEX_ID.fullmatch(text) is None:
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


def _leave_locks_to_parent() -> None:
    for owners in _all:
        owners.forget_parent()
    _NO_FORK.release()


if sys.platform == "win32":
    import msvcrt

    _PROBES = 5  # another prober may hold the lock for a moment
    _PROBE_PAUSE_SECONDS = 0.002
    _LOCK_OFFSET = 1 << 30  # beyond the facts: a locked byte cannot be read

    def _lock(descriptor: int, *, shared: bool) -> bool:  # noqa: ARG001 - the C library has no shared locks
        """Lock the file, and return whether that was possible."""
        os.lseek(descriptor, _LOCK_OFFSET, os.SEEK_SET)
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
        before=_NO_FORK.acquire, after_in_parent=_NO_FORK.release, after_in_child=_leave_locks_to_parent
    )

    def _lock(descriptor: int, *, shared: bool) -> bool:
        """Lock the file, and return whether that was possible."""
        try:  # `lockf` would free the lock as soon as any descriptor of the file is closed
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _write_facts(descriptor: int, ledger_identity: str, sent_count: int) -> None:
    facts = {"pid": os.getpid(), "ledger": ledger_identity, "sent_count": sent_count}
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(facts).ljust(_FACTS_BYTES).encode())


def _lock_or_raise(descriptor: int, path: Path) -> None:
    if not _lock(descriptor, shared=False):
        raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), str(path))


def _is_free(path: Path) -> bool:
    """Return whether the file's lock is free."""
    with _open(path, os.O_RDONLY) as descriptor:
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
        with _NO_FORK, _open(path, os.O_RDWR) as descriptor:
            # a lock proves nothing if locks do not work here, or if the path now leads to another file
            if not _lock(descriptor, shared=False) or _is_free(path):
                return False
            if not os.path.samestat(os.fstat(descriptor), path.stat()):
                return False
            if sys.platform != "win32":
                path.unlink()
                return True
        # Windows, where a file can be removed only after it is closed; refused if another process has opened it since
        path.unlink()
    except (FileNotFoundError, PermissionError):  # another sweep was faster, or the file is another user's
        return False
    return True


@contextmanager
def _open(path: Path, flags: int) -> Generator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
