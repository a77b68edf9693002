"""Ledgers on one file, as several processes that share it, and what is bought with them."""

import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus
from tests.support.fakes import Clock, at_most

from blockrun_image.attempts import Approval, CallInfo, ExpectedCost, Order, Payment, Quote
from blockrun_image.callers import Caller
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Begun, Collected, Reserved
from blockrun_image_mcp.ledger.attempt import LedgerAttempt
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection
from blockrun_image_mcp.ledger.store import Account
from blockrun_image_mcp.timings import DEFAULT, Timings

NEW_YEARS_EVE = 1_798_761_599.0  # 2026-12-31 23:59:59 UTC
REQUEST = ImageRequest("A red fox", "dall-e-3", "1024x1024", "standard", 1)
PRICE = Decimal("0.042")
CALL = CallInfo("the same call")
URL = "https://pictures.example/1.png"
PAYEE, OTHER_PAYEE = "0x" + "Ab" * 20, "0x" + "cd" * 20
RESPONSE = ImagesResponse([Image(URL, Path("/1.png"), None, "A vixen")], PRICE, ["Odd."])
MINE = Account("https://gateway.example/v1", "mine")
PAYMENT = Payment("eip155:8453", PAYEE, PRICE, "0x" + "01" * 32, int(NEW_YEARS_EVE) + 300, "signed")
UNLIMITED = Limits(None, None)
HASTY = Timings(busy_seconds=0.01, spill_seconds=0.02, outbox_retry_seconds=0.002, drain_seconds=0.01)
"""Gives a locked database up at once."""
PATIENT = replace(HASTY, outbox_retry_seconds=600.0, max_outbox_retry_seconds=600.0)
"""Gives a locked database up at once, and does not try again while the test lasts."""


class Processes:
    """Several processes that share one file and one clock, each with a ledger and a connection of its own."""

    def __init__(self, path: Path, clock: Clock, tasks: TaskGroup) -> None:
        self.path = path
        self.clock = clock
        self.monotonic: Callable[[], float] = clock
        """By default both clocks go together."""
        self._tasks = tasks
        self._end = anyio.Event()

    async def start(
        self,
        account: Account = MINE,
        limits: Limits = UNLIMITED,
        timings: Timings = DEFAULT,
        process: Caller | None = None,
    ) -> Ledger:
        """Return the ledger of a new process, which ends with the test."""
        connection = SqliteConnection(self.path, timings)
        process = process or Caller.new()
        ledger = Ledger(connection, self.path, limits, account, self.clock, self.monotonic, timings, process)
        await self._tasks.start(self._run, ledger)
        return ledger

    async def end(self) -> None:
        self._end.set()

    async def _run(self, ledger: Ledger, *, task_status: TaskStatus[None]) -> None:
        async with ledger:
            task_status.started()
            await self._end.wait()
        await ledger.transactions.close()


@asynccontextmanager
async def open_ledger(path: Path, clock: Callable[[], float] = time.time) -> AsyncGenerator[Ledger]:
    """Yield the ledger of the only process that uses a file."""
    connection = SqliteConnection(path)
    try:
        async with Ledger(connection, path, UNLIMITED, clock=clock) as ledger:
            yield ledger
    finally:
        await connection.close()


@asynccontextmanager
async def running_processes(path: Path, clock: Clock) -> AsyncGenerator[Processes]:
    async with anyio.create_task_group() as tasks:
        processes = Processes(path, clock, tasks)
        yield processes
        await processes.end()


def die(ledger: Ledger) -> None:
    """End a process as a kill would: its lock is free, and its rows stay."""
    ledger.owners.release(remove=False)


def order(cost: Decimal | ExpectedCost = PRICE, request: ImageRequest = REQUEST, **others: Any) -> Order:
    approval = others.pop("approval", None)
    return Order(
        request,
        cost if isinstance(cost, ExpectedCost) else at_most(cost),
        approval=Approval(approval) if approval else None,
        **others,
    )


def quote(amount_usd: Decimal = PRICE, host: str = "blockrun.ai", payee: str = PAYEE) -> Quote:
    """Return what a gateway wants to be paid."""
    return Quote(amount_usd, host, payee)


def called_by(name: str, call: CallInfo = CALL) -> CallInfo:
    return CallInfo(call.key, Caller(name))


async def reserve(
    ledger: Ledger, cost: Decimal | ExpectedCost = PRICE, call: CallInfo = CALL, **others: Any
) -> LedgerAttempt:
    """Begin a call that buys, and return its attempt."""
    begun = await ledger.begin(call, order(cost, **others))
    assert isinstance(begun, Reserved), begun
    return attempt_of(begun)


async def sent(ledger: Ledger, job: str | None = None, call: CallInfo = CALL) -> LedgerAttempt:
    """Return an attempt whose request has left, and become a job if that is named."""
    attempt = await reserve(ledger, call=call)
    await attempt.sent()
    if job is not None:
        assert await attempt.accepted(job)
    return attempt


async def settled(ledger: Ledger, call: CallInfo = CALL) -> LedgerAttempt:
    """Return an attempt whose pictures have come, and whose caller waits for them."""
    attempt = await sent(ledger, call=call)
    assert await attempt.settled(RESPONSE) == ()
    return attempt


async def spilled_settlement(ledger: Ledger) -> LedgerAttempt:
    """Return an attempt whose settlement the locked database has not taken."""
    attempt = await sent(ledger)
    with locked(ledger.path):
        assert await attempt.settled(RESPONSE) == ()
        assert len(spilled(ledger)) == 1
    return attempt


async def collected(ledger: Ledger, call: CallInfo = CALL) -> str | None:
    """Return the id of the attempt that the same call collects, which buys nothing."""
    begun = await ledger.begin(call, None)
    return begun.attempt.id if isinstance(begun, Collected) else None


def attempt_of(begun: Begun) -> LedgerAttempt:
    assert isinstance(begun, Reserved | Collected), begun
    assert isinstance(begun.attempt, LedgerAttempt)
    return begun.attempt


async def state_of(ledger: Ledger, id: str) -> str:
    """Return the state of an attempt as a process sees it."""
    return (await ledger.status(id)).state.value


async def spent(ledger: Ledger) -> int:
    return (await ledger.spending_today()).spent_micro_usd


async def states(ledger: Ledger) -> list[str]:
    return [total.state for total in (await ledger.spending_today()).totals]


def rows(path: Path, query: str, *values: object) -> Sequence[tuple[Any, ...]]:
    """Return what is on disk."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, values).fetchall()


def change(path: Path, statement: str, *values: object) -> None:
    """Change what is on disk."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, values)


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Keep the database locked, as another process that writes for long."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")


def spilled(ledger: Ledger) -> list[Path]:
    folder = ledger.outbox.folder
    return sorted(folder.iterdir()) if folder.is_dir() else []


async def until_written(ledger: Ledger) -> None:
    """Wait until the ledger has written all that it was told."""
    for _ in range(2_000):
        if not ledger.outbox.pending:
            return
        await anyio.sleep(0.002)
    raise AssertionError(ledger.outbox.pending)
