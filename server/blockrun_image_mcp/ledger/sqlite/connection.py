"""A connection to a ledger's file, used in a thread, one transaction at a time.

Only SQLite may open and close the file: as soon as a process closes any descriptor of a file, POSIX releases all locks
that the process holds on it.
"""

import ctypes
import os
import sqlite3
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread

from blockrun_image.errors import LedgerError
from blockrun_image.text import clean
from blockrun_image_mcp.files import create, make_folder
from blockrun_image_mcp.ledger.sqlite.migrations import VERSION, NewerLedgerError, migrate
from blockrun_image_mcp.ledger.sqlite.store import SqliteStore
from blockrun_image_mcp.ledger.store import Header, UnstorableError
from blockrun_image_mcp.timings import DEFAULT, Timings

T = TypeVar("T")
Work = Callable[[SqliteStore], T]

_WRITE_AHEAD_PAUSE_SECONDS = 0.01

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class SqliteConnection:
    """Implements `Transactions` for the SQLite file at `path`.

    The first transaction makes the file, readable by its user alone (folder 0700, file 0600), in write-ahead mode, with
    synchronous FULL. If another file takes its place, it is used only if it is a copy with all the sent requests;
    otherwise every transaction raises `LedgerError`.
    """

    def __init__(self, path: Path, timings: Timings = DEFAULT) -> None:
        self.path = path
        self._timings = timings
        self._lock = anyio.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._seen: Header | None = None
        self._is_forked = False
        _CONNECTIONS.add(self)

    async def write(self, work: Work[T]) -> T:
        """Run work while no other process can write.

        A cancellation stops it before it begins, or never.
        """
        return await self._run("BEGIN IMMEDIATE", work)

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads."""
        return await self._run("BEGIN", work)

    async def check_alone(self) -> None:
        """Raise `LedgerError` if a process has the file open, by any path.

        This process must not have it open.
        """
        async with self._lock:
            await anyio.to_thread.run_sync(self._check_alone)

    async def close(self) -> None:
        """Close the file."""
        async with self._lock:
            if self._connection is not None:
                await anyio.to_thread.run_sync(self._drop)

    def leave_to_parent(self) -> None:
        """In a forked process, never use or close the connection, which is the parent's."""
        # a connection must not cross a fork: "How To Corrupt An SQLite Database File", 2.6
        self._is_forked = True
        if self._connection is not None:
            _keep_forever(self._connection)
            self._connection = None

    async def _run(self, begin: str, work: Work[T]) -> T:
        async with self._lock:
            return await anyio.to_thread.run_sync(self._in_thread, begin, work)

    def _in_thread(self, begin: str, work: Work[T]) -> T:
        try:
            connection = self._current_connection()
            result, before, self._seen = _in_transaction(
                connection, begin, lambda: self._run_on_same_ledger(connection, work)
            )
            if before.lock_folder != self._seen.lock_folder:
                # a process with another path to the file has another log, and must see the new lock folder
                connection.execute("PRAGMA wal_checkpoint(FULL)")
            self._check_file()  # nothing may be sent after a write to a file that is no longer the ledger
        except (sqlite3.Error, OSError, UnstorableError) as error:
            raise self._error(error) from error
        return result

    def _check_alone(self) -> None:
        try:
            with closing(sqlite3.connect(f"{_uri(self.path)}?mode=rw", uri=True, timeout=0)) as connection:
                # every connection locks the file itself, whatever its path; the next statement needs all of that lock
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _current_connection(self) -> sqlite3.Connection:
        if self._is_forked:
            raise OSError("this process was forked from one that uses it; start a new process instead")
        if self._connection is not None and self._file != _file_at(self.path):
            self._drop()
        if self._connection is None:
            if self._seen is None:
                _make(self.path)
            self._file = _file_at(self.path)
            self._connection = _open(self.path, self._timings.busy_seconds)
            self._check_file()  # it may have been replaced between the two lines
        _check_one_name(self.path)
        return self._connection

    def _run_on_same_ledger(self, connection: sqlite3.Connection, work: Work[T]) -> tuple[T, Header, Header]:
        """Do the work if the file is still the same ledger, and return its headers before and after, too."""
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            raise NewerLedgerError
        store = SqliteStore(connection)
        header, seen = store.header(), self._seen
        if seen is not None and (header.identity != seen.identity or header.sent_count < seen.sent_count):
            raise OSError("another file has taken its place while this server used it; restart the server")
        return work(store), header, store.header()

    def _check_file(self) -> None:
        if self._file != _file_at(self.path):
            raise OSError("another file has taken its place")

    def _drop(self) -> None:
        """Close the connection; SQLite keeps the write-ahead log of a moved file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _error(self, error: Exception) -> LedgerError:
        code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended code
        failure = LedgerError(
            f"The spending ledger cannot be used ({clean(error, 200)}): {clean(self.path, 200)}",
            hint="No picture is paid for without it. Repair that file or its folder.",
        )
        failure.is_busy = code in _BUSY
        return failure


_CONNECTIONS: "weakref.WeakSet[SqliteConnection]" = weakref.WeakSet()


def _leave_connections_to_parent() -> None:
    for connection in _CONNECTIONS:
        connection.leave_to_parent()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_leave_connections_to_parent)


def _keep_forever(connection: sqlite3.Connection) -> None:
    """Keep a connection from ever being closed, even when the process exits."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _check_one_name(path: Path) -> None:
    """Raise `OSError` if the file has a hard link: a process that uses it has a log and locks of its own."""
    if path.stat().st_nlink > 1:
        raise OSError("it has a second name, a hard link; put a copy in its place, or remove the other name")


def _make(path: Path) -> None:
    make_folder(path.parent)
    with suppress(FileExistsError):
        os.close(create(path))


def _open(path: Path, busy_seconds: float) -> sqlite3.Connection:
    # mode=rw: SQLite must not make the file, because others could read it
    connection = sqlite3.connect(
        f"{_uri(path)}?mode=rw",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _write_ahead(connection, busy_seconds)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # on macOS, fsync alone does not flush the disk's own cache
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            _in_transaction(connection, "BEGIN IMMEDIATE", lambda: migrate(connection))
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Put a new file into write-ahead mode."""
    # SQLite does not wait for another process that does the same, whatever its timeout
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_WRITE_AHEAD_PAUSE_SECONDS)
        else:
            return


def _uri(path: Path) -> str:
    """Return a path as a URI for SQLite."""
    # SQLite refuses a host in a URI, so that the server of a Windows share must be part of the path
    text = path.absolute().as_posix()
    return f"file://{'' if text.startswith('/') else '/'}{quote(os.fsencode(text))}"  # whatever its encoding


def _in_transaction(connection: sqlite3.Connection, begin: str, work: Callable[[], T]) -> T:
    connection.execute(begin)
    try:
        result = work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
