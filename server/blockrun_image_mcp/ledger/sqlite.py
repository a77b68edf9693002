"""A `SpendLedger` in one SQLite file, which all processes of one user share."""

import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.to_thread

from blockrun_image.errors import ConfirmationError, LedgerError
from blockrun_image.images import Image, ImageRequest
from blockrun_image.text import clean
from blockrun_image_mcp.ledger.limits import Limits, micro_usd
from blockrun_image_mcp.ledger.migrations import migrate
from blockrun_image_mcp.ledger.statement import Entry, Statement, Total

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

LEASE_SECONDS = 600.0
"""How long an attempt is its process's own; more than any call takes."""

_BUSY_SECONDS = 5.0
_MOST_URLS_CHARACTERS = 100_000

_COUNTED = "CASE state WHEN 'released' THEN 0 ELSE coalesce(charged_micro_usd, reserved_micro_usd) END"


@dataclass
class SqliteLedger:
    """Keeps attempts in the file at `path`, which is made with the first one and open until `async with` ends.

    A transaction is on disk when its method returns (write-ahead log, synchronous FULL).
    """

    path: Path
    limits: Limits
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._lock = anyio.Lock()
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def reserve(self, request: ImageRequest, most_usd: Decimal, approval: str | None = None) -> "SqliteAttempt":
        """Set aside the most that a request can cost, in the transaction that checks the limits and the approval.

        Raises `BudgetExceededError`, `ConfirmationError` or `LedgerError`.
        """
        attempt = SqliteAttempt(self, str(uuid.uuid4()))
        most = micro_usd(most_usd)
        await self._do(lambda connection: self._reserve(connection, attempt.id, request, most, approval))
        return attempt

    async def statement(self) -> Statement:
        """Return what was spent on the current UTC day; raises `LedgerError`."""
        return await self._do(self._statement)

    async def recent(self, most: int) -> Sequence[Entry]:
        """Return the newest attempts that were not released, the newest first; raises `LedgerError`."""
        return await self._do(lambda connection: _entries(connection, most))

    async def release(self, id: str) -> bool:
        """Take an attempt whose outcome is unknown out of the budget, and tell whether there was one.

        This is for the operator, who has looked into the account. Raises `LedgerError`.
        """
        return await self._do(lambda connection: _move(connection, id, ["unknown"], "released"))

    async def close(self) -> None:
        """Close the file."""
        async with self._lock:
            if self._connection is not None:
                await anyio.to_thread.run_sync(self._connection.close)
                self._connection = None

    async def move(self, id: str, from_states: Sequence[str], state: str, **values: object) -> None:
        """Take an attempt from one of the states to another one, with what is known of it; raises `LedgerError`."""
        moved = await self._do(lambda connection: _move(connection, id, from_states, state, **values))
        if not moved:
            raise LedgerError(f"The attempt {id} is not {' or '.join(from_states)}, so it cannot be {state}.")

    def _reserve(
        self, connection: sqlite3.Connection, id: str, request: ImageRequest, most_micro_usd: int, approval: str | None
    ) -> None:
        now = self.clock()
        _take_over(connection, now)
        _check_unused(connection, approval)
        self.limits.check(most_micro_usd, _spent(connection, _day(now)))
        connection.execute(
            "INSERT INTO attempts (id, state, day, created_at, lease_until, model, size, quality, n, prompt,"
            " reserved_micro_usd, approval) VALUES (?, 'reserved', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(id, _day(now), now, now + LEASE_SECONDS),
                *(request.model, request.size, request.quality, request.n, request.prompt, most_micro_usd),
                approval,
            ),
        )

    def _statement(self, connection: sqlite3.Connection) -> Statement:
        now = self.clock()
        _take_over(connection, now)
        rows = connection.execute(
            f"SELECT model, state, count(*), sum({_COUNTED}) FROM attempts WHERE day = ? GROUP BY model, state"  # noqa: S608 - our own words
            " ORDER BY model, state",
            (_day(now),),
        )
        return Statement(_day(now), self.limits, [Total(*row) for row in rows])

    async def _do(self, work: Work[T]) -> T:
        """Do the work in a transaction, in a thread; a cancellation stops it before it begins, or not at all."""
        async with self._lock:
            return await anyio.to_thread.run_sync(self._in_thread, work)

    def _in_thread(self, work: Work[T]) -> T:
        try:
            if self._connection is None:
                self._connection = _open(self.path)
            return _in_transaction(self._connection, work)
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(
                f"The ledger of what is spent cannot be used ({clean(error, 120)}): {clean(self.path, 200)}",
                hint="No picture is paid for without it. Mend that file or its folder.",
            ) from error


@dataclass(frozen=True)
class SqliteAttempt:
    """One row of the ledger, as an `Attempt`."""

    ledger: SqliteLedger
    id: str

    async def sent(self) -> None:
        """Note that the request is about to leave, the first time or again."""
        await self.ledger.move(self.id, ["reserved", "sent"], "sent")

    async def accepted(self, job: str) -> None:
        """Note the job."""
        await self.ledger.move(self.id, ["sent"], "accepted", job=job)

    async def settled(self, charged_usd: Decimal | None, images: Sequence[Image]) -> None:
        """Note the charge and the URLs, also where the attempt had been given up meanwhile."""
        urls = json.dumps([image.url for image in images if image.url and len(image.url) <= _MOST_URLS_CHARACTERS])
        charged = None if charged_usd is None else micro_usd(charged_usd)
        states = ["reserved", "sent", "accepted", "unknown"]
        await self.ledger.move(self.id, states, "settled", charged_micro_usd=charged, images=urls)

    async def released(self) -> None:
        """Note that nothing was charged."""
        await self.ledger.move(self.id, ["reserved", "sent", "accepted"], "released")

    async def unknown(self) -> None:
        """Note that nobody knows; a job that was accepted stays so, because it can still be asked after."""
        await self.ledger.move(self.id, ["reserved", "sent", "unknown"], "unknown")


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
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


def _take_over(connection: sqlite3.Connection, now: float) -> None:
    """End the attempts whose process is gone: what had not left is released, what had is unknown."""
    for state, ending in (("reserved", "released"), ("sent", "unknown")):
        connection.execute("UPDATE attempts SET state = ? WHERE state = ? AND lease_until < ?", (ending, state, now))


def _check_unused(connection: sqlite3.Connection, approval: str | None) -> None:
    """Raise `ConfirmationError` where an attempt, in whatever state, was made with the approval."""
    for id, state in connection.execute("SELECT id, state FROM attempts WHERE approval = ?", (approval,)):
        raise ConfirmationError(
            f"This call was approved and made before, as attempt {id} ({state}). Nothing was sent again.",
            hint="The command images tells what came of it. A new call asks the user again.",
        )


def _spent(connection: sqlite3.Connection, day: str) -> int:
    (spent,) = connection.execute(f"SELECT coalesce(sum({_COUNTED}), 0) FROM attempts WHERE day = ?", (day,)).fetchone()  # noqa: S608 - our own words
    return spent


def _move(connection: sqlite3.Connection, id: str, from_states: Sequence[str], state: str, **values: object) -> bool:
    columns = "".join(f", {name} = ?" for name in values)
    marks = ", ".join("?" * len(from_states))
    moved = connection.execute(
        f"UPDATE attempts SET state = ?{columns} WHERE id = ? AND state IN ({marks})",  # noqa: S608 - our own words
        (state, *values.values(), id, *from_states),
    )
    return moved.rowcount == 1


def _entries(connection: sqlite3.Connection, most: int) -> Sequence[Entry]:
    rows = connection.execute(
        "SELECT id, state, created_at, model, size, n, prompt, reserved_micro_usd, charged_micro_usd, images"
        " FROM attempts WHERE state <> 'released' ORDER BY created_at DESC, rowid DESC LIMIT ?",
        (most,),
    )
    return [Entry(*row[:-1], images=json.loads(row[-1])) for row in rows]


def _day(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
