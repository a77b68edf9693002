"""A `SpendLedger` in one SQLite file, which all processes of one user share."""

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from blockrun_image.callers import Caller
from blockrun_image.errors import ConfirmationError, LedgerError
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.ports import ExpectedCost, Payment, Standing
from blockrun_image_mcp.ledger import attempts, turns
from blockrun_image_mcp.ledger.attempts import Account
from blockrun_image_mcp.ledger.database import Database
from blockrun_image_mcp.ledger.limits import Limits, in_usd, micro_usd
from blockrun_image_mcp.ledger.statement import Entry, Statement
from blockrun_image_mcp.timings import DEFAULT, Timings


@dataclass
class SqliteLedger:
    """Keeps attempts in the file at `path`, which is made with the first one and open until `async with` ends.

    `process` is who works on its attempts, and `connection` what it shares with other ledgers of this process. Every
    method raises `LedgerError` if the file cannot be used.
    """

    path: Path
    limits: Limits
    account: Account = field(default_factory=Account)
    clock: Callable[[], float] = time.time
    timings: Timings = DEFAULT
    process: Caller = field(default_factory=Caller.new)
    connection: Database | None = None

    def __post_init__(self) -> None:
        self.owner = self.process.id
        self.open: set[str] = set()
        self.database = self.connection or Database(self.path, self.timings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def find(self, request: ImageRequest, caller: Caller | None = None) -> "SqliteAttempt | None":
        """Return an attempt at the same request whose caller has gone, for this caller to collect.

        Where another caller has such an attempt, this waits for a sign of life: its lease is renewed, or it expires.
        """
        caller = caller or self.process
        seen: dict[str, float] = {}
        while True:
            id, waiting = await self.database.do(lambda connection: self._find(connection, request, caller))
            if id is not None:
                return SqliteAttempt(self, id, Decimal(0))
            if all(seen.get(twin.id, twin.lease_until) < twin.lease_until for twin in waiting):
                return None
            seen = {twin.id: seen.get(twin.id, twin.lease_until) for twin in waiting}
            await anyio.sleep(self.timings.sign_of_life_seconds)

    async def reserve(self, request: ImageRequest, cost: ExpectedCost, approval: str | None = None) -> "SqliteAttempt":
        """Set aside the most that a request can cost, in the transaction that checks the limits and the approval.

        Where nobody knows that, it is the most that one call may cost, or all that is left of the day. Raises
        `BudgetExceededError` or `ConfirmationError`.
        """
        attempt = SqliteAttempt(self, str(uuid.uuid4()), cost.most_usd)
        new = attempts.New(attempt.id, self.owner, self.account, request, approval)
        await self.database.do(lambda connection: self._reserve(connection, new, cost))
        self.open.add(attempt.id)
        return attempt

    async def book(self, model: str, per_minute: int, within_seconds: float) -> float:
        """Book the next turn of a model, and return the seconds until then; one too far away is not booked."""
        turn = turns.Turn(model, per_minute, within_seconds, self.timings.rate_window_seconds)
        return await self.database.do(lambda connection: turns.book(connection, self.account, turn, self.clock()))

    async def renew(self) -> None:
        """Say that this process still works on its attempts."""
        ids = [*self.open]
        if ids:
            await self.database.do(lambda connection: attempts.renew(connection, ids, self.owner, self.lease_until()))

    async def jobs(self) -> "Mapping[SqliteAttempt, ImageRequest]":
        """End the attempts whose process is gone, and return the jobs that nobody asks after."""
        found = await self.database.do(self._jobs)
        return {SqliteAttempt(self, id, Decimal(0)): request for id, request in found.items() if id not in self.open}

    async def statement(self) -> Statement:
        """Return what was spent on the current UTC day."""
        return await self.database.do(self._statement)

    async def recent(self, most: int, *states: str) -> Sequence[Entry]:
        """Return the newest attempts that were not released, or only those in the states, the newest first."""
        return await self.database.do(lambda connection: attempts.entries(connection, most, *states))

    async def release(self, id: str) -> bool:
        """Take an attempt whose outcome is unknown out of the budget, and tell whether there was one.

        This is for the operator, who has looked into the account.
        """
        return await self.database.do(lambda connection: attempts.update(connection, id, ["unknown"], state="released"))

    async def payee(self, host: str, seen: str) -> str:
        """Return the address that is trusted for a host, which is `seen` where there was none; raises `LedgerError`.

        The host is written with its port, where it has one. An address that differs only in case is the same.
        """
        return await self.database.do(lambda connection: self._payee(connection, host.lower(), seen))

    async def trust(self, host: str, address: str) -> None:
        """Trust another address for a host from now on; this is for the operator. Raises `LedgerError`."""
        await self.database.do(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO payees VALUES (?, ?, ?)", (host.lower(), address, self.clock())
            )
        )

    async def close(self) -> None:
        """Close the file."""
        await self.database.close()

    def end_expired(self, connection: sqlite3.Connection) -> float:
        """End the attempts whose process is gone, and return the time."""
        now = self.clock()
        attempts.end_expired(connection, now, [*self.open], self.timings.max_job_seconds)
        return now

    def lease_until(self) -> float:
        """Return when a lease ends that is taken or renewed now."""
        return self.clock() + self.timings.lease_seconds

    def _find(
        self, connection: sqlite3.Connection, request: ImageRequest, caller: Caller
    ) -> tuple[str | None, Sequence[attempts.Twin]]:
        now = self.end_expired(connection)
        twins = attempts.twins(connection, self.account, request, now, now - self.timings.collectable_seconds)
        for twin in twins:
            if twin.has_left:
                attempts.give(connection, twin.id, self.lease_until())
                return twin.id, ()
        return None, [twin for twin in twins if twin.owner != caller.id]

    def _reserve(self, connection: sqlite3.Connection, new: attempts.New, cost: ExpectedCost) -> None:
        now = self.end_expired(connection)
        attempts.check_unused(connection, new.approval)
        spent = attempts.spent_on(connection, attempts.day_of(now))
        most = self.limits.held_for(cost, spent)
        self.limits.check(most, spent)
        attempts.insert(connection, new, most, now, self.lease_until())

    def _jobs(self, connection: sqlite3.Connection) -> Mapping[str, ImageRequest]:
        jobs = attempts.jobs_to_adopt(connection, self.account, self.end_expired(connection))
        for id in jobs:
            attempts.note_caller(connection, id, "left")  # and not one of the process that asks after it from now on
        return jobs

    def _payee(self, connection: sqlite3.Connection, host: str, seen: str) -> str:
        connection.execute("INSERT OR IGNORE INTO payees VALUES (?, ?, ?)", (host, seen, self.clock()))
        (trusted,) = connection.execute("SELECT address FROM payees WHERE host = ?", (host,)).fetchone()
        return seen if trusted.lower() == seen.lower() else trusted

    def _statement(self, connection: sqlite3.Connection) -> Statement:
        day = attempts.day_of(self.end_expired(connection))
        return Statement(day, self.limits, attempts.totals(connection, day))


@dataclass(frozen=True)
class SqliteAttempt:
    """One row of the ledger, as an `Attempt`."""

    ledger: SqliteLedger = field(compare=False, repr=False)
    id: str
    most_usd: Decimal | None

    async def quoted(self, exact_usd: Decimal) -> None:
        """Set aside the exact price instead, within the limits."""
        await self.ledger.database.do(lambda connection: self._quoted(connection, micro_usd(exact_usd)))

    async def signed(self, payment: Payment) -> None:
        """Note the payment that is about to leave."""
        await self._move(["reserved"], payment=attempts.payment_as_json(payment))

    async def sent(self) -> None:
        """Note that the request is about to leave, the first time or again."""
        await self._move(["reserved", "sent"], state="sent")

    async def accepted(self, job: str) -> None:
        """Note the job."""
        await self._move(["sent"], state="accepted", job=job)

    async def settled(self, response: ImagesResponse) -> None:
        """Note the charge and the pictures, also where the attempt had been given up meanwhile."""
        charged = response.charged_usd
        values: dict[str, object] = {
            "charged_micro_usd": None if charged is None else micro_usd(charged),
            "images": attempts.as_json(response.images),
            "warnings": json.dumps(list(response.warnings)),
        }
        with self._ending():
            await self._move(["reserved", "sent", "accepted", "unknown", "settled"], state="settled", **values)

    async def released(self) -> None:
        """Note that nothing was charged; a payment that is still valid holds it until it no longer is."""
        ledger = self.ledger
        with self._ending():
            await ledger.database.do(lambda connection: attempts.release(connection, self.id, ledger.clock()))

    async def unknown(self) -> None:
        """Note that nobody knows."""
        with self._ending():
            await self._move(["reserved", "sent", "accepted", "unknown"], state="unknown")

    async def stopped(self) -> None:
        """Note that its work was stopped: what had not left is released, and a job is left to others."""
        ledger = self.ledger
        with self._ending():
            await ledger.database.do(lambda connection: attempts.stop(connection, self.id, ledger.clock()))

    async def left(self) -> None:
        """Note that its caller has gone."""
        await self._is_called("left")

    async def told(self) -> None:
        """Note that its caller has been told what came of it."""
        await self._is_called("told")

    async def look(self) -> Standing:
        """Return where it stands."""
        return await self.ledger.database.do(self._look)

    async def adopt(self) -> bool:
        """Become the one who asks after its job, and tell whether it was to be had."""
        ledger = self.ledger
        adopted = await ledger.database.do(
            lambda connection: attempts.adopt(connection, self.id, ledger.owner, ledger.clock(), ledger.lease_until())
        )
        if adopted:
            ledger.open.add(self.id)
        return adopted

    @contextmanager
    def _ending(self) -> Generator[None]:
        """Renew the lease no more, also where the end cannot be noted: it then expires, which explains the attempt."""
        try:
            yield
        finally:
            self.ledger.open.discard(self.id)

    async def _move(self, from_states: Sequence[str], **values: object) -> None:
        moved = await self.ledger.database.do(
            lambda connection: attempts.update(connection, self.id, from_states, **values)
        )
        if not moved:
            raise LedgerError(f"The attempt {self.id} is not {' or '.join(from_states)} any more.")

    async def _is_called(self, caller: str) -> None:
        await self.ledger.database.do(lambda connection: attempts.note_caller(connection, self.id, caller))

    def _look(self, connection: sqlite3.Connection) -> Standing:
        self.ledger.end_expired(connection)
        return attempts.standing(connection, self.id)

    def _quoted(self, connection: sqlite3.Connection, exact_micro_usd: int) -> None:
        day, reserved, approval = attempts.reservation(connection, self.id)
        if approval is not None and self.most_usd is not None and exact_micro_usd > micro_usd(self.most_usd):
            raise ConfirmationError(
                f"The gateway wants {in_usd(exact_micro_usd)}, more than the user has approved. Nothing was signed.",
                hint="Ask for something cheaper, or let the user look at the gateway's prices.",
            )
        self.ledger.limits.check(exact_micro_usd, attempts.spent_on(connection, day) - reserved)
        attempts.update(connection, self.id, ["reserved"], reserved_micro_usd=exact_micro_usd)
