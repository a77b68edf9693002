"""One SQLite file, used in a thread, a transaction at a time; what was written is on disk when a method returns."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from blockrun_image.errors import LedgerError
from blockrun_image.text import clean
from blockrun_image_mcp.ledger.migrations import migrate
from blockrun_image_mcp.timings import DEFAULT, Timings

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Database:
    """The file at `path`, which is made with the first transaction, for its user alone (0700 and 0600).

    It is in write-ahead mode, with synchronous FULL.
    """

    def __init__(self, path: Path, timings: Timings = DEFAULT) -> None:
        self.path = path
        self._timings = timings
        self._lock = anyio.Lock()
        self._connection: sqlite3.Connection | None = None

    async def do(self, work: Work[T]) -> T:
        """Do the work in a transaction; a cancellation stops it before it begins, or not at all.

        Raises `LedgerError`.
        """
        async with self._lock:
            return await anyio.to_thread.run_sync(self._in_thread, work)

    async def close(self) -> None:
        """Close the file."""
        async with self._lock:
            if self._connection is not None:
                await anyio.to_thread.run_sync(self._connection.close)
                self._connection = None

    def _in_thread(self, work: Work[T]) -> T:
        try:
            if self._connection is None:
                self._connection = _open(self.path, self._timings.busy_seconds)
            return _in_transaction(self._connection, work)
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(
                f"The ledger of what is spent cannot be used ({clean(error, 120)}): {clean(self.path, 200)}",
                hint="No picture is paid for without it. Mend that file or its folder.",
            ) from error


def _open(path: Path, busy_seconds: float) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _in_transaction(connection, migrate)
    except BaseException:
        connection.close()
        raise
    return connection


def _in_transaction(connection: sqlite3.Connection, work: Work[T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
