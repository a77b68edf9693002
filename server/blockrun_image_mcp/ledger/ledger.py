"""The rules of spending, over any database.

Each attempt belongs to the process that works on it, and has callers, perhaps in other processes. A process counts as
alive while it holds its lock. To take a living one for dead harms nothing: a request is sent only if its attempt is
still reserved by the process that sends it.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio

from blockrun_image.attempts import AttemptState, AttemptStatus, ExpectedCost, Job, MadeCall, Order
from blockrun_image.callers import Caller
from blockrun_image.errors import BudgetExceededError, LedgerError
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.ports import Begun, Collected, NeedsApproval, NothingFound, Reserved, SlotBooked
from blockrun_image_mcp.ledger.attempt import LedgerAttempt
from blockrun_image_mcp.ledger.earlier import EarlierAttempts, IsAlive, keys_of
from blockrun_image_mcp.ledger.limits import Limits, from_micro_usd
from blockrun_image_mcp.ledger.memory import Memory
from blockrun_image_mcp.ledger.payees import end_of, is_usable
from blockrun_image_mcp.ledger.rate_limits import book_slot
from blockrun_image_mcp.ledger.records import ending
from blockrun_image_mcp.ledger.report import ALL_DAYS, Days, Entry, GroupedBy, Spending, Statement
from blockrun_image_mcp.ledger.shared import SharedDatabase
from blockrun_image_mcp.ledger.store import (
    Account,
    AttemptStore,
    Moment,
    NewAttempt,
    StoredAttempt,
    Transactions,
)
from blockrun_image_mcp.timings import DEFAULT, Timings

T = TypeVar("T")

_MAX_SAVED = 100
_LATELY_SECONDS = 86_400


@dataclass(eq=False)
class Ledger:
    """Keeps attempts in a database, within the limits. Every method raises `LedgerError`.

    Beside `path` are a folder with the locks of the processes that use it, and one with what the database could not
    take yet. Attempts can be made inside `async with`. `process` is the caller of calls that name none.
    """

    transactions: Transactions
    path: Path
    limits: Limits
    account: Account = field(default_factory=Account)
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    timings: Timings = DEFAULT
    process: Caller = field(default_factory=Caller.new)

    def __post_init__(self) -> None:
        self.database = SharedDatabase(self.transactions, self.path, self.now, self.timings)
        self.owners, self.outbox = self.database.owners, self.database.outbox
        self.memory = Memory(self.timings)

    async def __aenter__(self) -> Self:
        await self.database.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.database.__aexit__(kind, error, traceback)

    @property
    def identity(self) -> str:
        """The ledger's identity, empty before the first transaction."""
        return self.database.identity

    @property
    def owner(self) -> str:
        """The id of this process, by which others see whether it is alive."""
        return self.owners.id or ""

    def now(self) -> Moment:
        """Return the time by both clocks."""
        return Moment(self.clock(), self.monotonic())

    def today(self) -> str:
        """Return the UTC day."""
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%d")

    async def begin(self, call: MadeCall, order: Order | None) -> Begun:
        """Collect what an earlier call has bought, or begin the order, in one transaction.

        Raises `BudgetExceededError`, and `ConfirmationError` if the approval was used for an attempt that failed.
        """
        if order is None and not self.path.exists():
            return NothingFound()
        arrived_at = None  # by this ledger's own clock, which a thread can read
        if call.arrived_at is not None:
            arrived_at = self.monotonic() - (anyio.current_time() - call.arrived_at)
        id = str(uuid.uuid4())
        self.memory.working.add(id)  # before its row is there, which nobody works on otherwise
        try:
            begun = await self.write(lambda store: self._begin(store, call, order, id, arrived_at))
        except BaseException:
            self.memory.working.discard(id)
            raise
        if not isinstance(begun, Reserved):
            self.memory.working.discard(id)
        return begun

    async def write(self, work: Callable[[AttemptStore], T]) -> T:
        """Run work in a transaction that first applies what the database could not take before."""
        return await self.database.write(work)

    async def status(self, id: str) -> AttemptStatus:
        """Return where an attempt stands, whoever works on it."""
        return await self.database.look(lambda store: self._status(store.find(id)))

    async def claim(self, id: str) -> int | None:
        """Take over a job that nobody polls.

        Return the number of this process's last record of it, or `None` if the job was not free.
        """
        return await self.write(lambda store: self._claim(store, id))

    async def sweep(self) -> "Mapping[LedgerAttempt, Job]":
        """End what dead processes have left, and return the account's jobs that nobody polls.

        An idle ledger is only read.
        """
        jobs, is_tidy = await self.database.read(self._look_around)
        if not is_tidy or self.outbox.has_spilled:
            await self.write(lambda store: self._end_dead(store, self._liveness()))
        return {self._stored(row, self.process.id): job for row, job in jobs}

    async def statement(self) -> Statement:
        """Return what was spent on the current UTC day."""
        return await self.write(self._statement)

    async def spending(self, days: Days, by: GroupedBy) -> Spending:
        """Return what was spent in a range of days, by day or by model."""
        return Spending(days, by, await self.database.look(lambda store: store.spending(days, by)))

    async def recent(self, limit: int, *states: AttemptState, days: Days = ALL_DAYS) -> Sequence[Entry]:
        """Return the newest attempts that were not released, or only those in the states, the newest first."""
        return await self.database.look(lambda store: store.recent(limit, *states, days=days))

    async def note_files(self, files: Mapping[str, Path]) -> None:
        """Note where pictures were saved, by their URLs."""
        if files:
            await self.write(lambda store: _note_files(store, files))

    async def remove_before(self, day: str) -> int:
        """Remove the settled and released attempts of the UTC days before, and return how many there were."""
        return await self.write(lambda store: store.remove_before(day))

    async def release(self, id: str) -> str | None:
        """Take an attempt that is unknown or held out of the budget, or return why it stays in, in a sentence.

        This is for the operator, who has looked into the account or at the wallet.
        """
        return await self.write(lambda store: self._release(store, id))

    async def charged_lately(self, requests: Sequence[ImageRequest]) -> Sequence[Decimal | None]:
        """Return what one image of each kind was charged last, in US dollars, if that was in the last 24 hours."""
        try:
            if not self.path.exists():
                return [None] * len(requests)
        except OSError as error:
            raise LedgerError(f"The ledger cannot be looked into ({type(error).__name__}).") from error
        return await self.database.look(lambda store: [self._charged_lately(store, each) for each in requests])

    async def users(self) -> Sequence[int]:
        """Return the process ids of the servers that use the ledger."""
        return await self.database.users()

    async def trust(self, host: str, address: str) -> None:
        """Trust another address for a host from now on; this is for the operator."""
        await self.write(lambda store: store.trust_payee(host.lower(), address, self.clock()))

    # the rules, in a transaction

    def _begin(
        self, store: AttemptStore, call: MadeCall, order: Order | None, id: str, arrived_at: float | None
    ) -> Begun:
        owner, is_alive = self.owners.acquire(), self._liveness()
        caller = (call.caller or self.process).id
        self._end_dead(store, is_alive)
        keys = keys_of(call, order)
        now = self.now()
        waited = 0.0 if arrived_at is None else self.monotonic() - arrived_at
        attempts = EarlierAttempts(store, self.account, caller, is_alive, self.memory, self.timings, now, waited)
        found = attempts.approved(order) or attempts.abandoned(keys)
        repeated = None if found else attempts.repeatable(keys)
        earlier = found or repeated
        uncollected = attempts.uncollected(earlier)
        if earlier is not None:
            store.add_caller(earlier.id, caller, owner)
            return Collected(self._stored(earlier, caller), uncollected, is_repeat=repeated is not None)
        if order is None:
            return NothingFound(uncollected)
        try:
            reserved = self._reserve(store, call, order, id, caller)
        except BudgetExceededError as error:
            error.append_hints([each.to_text() for each in uncollected])
            raise
        return Reserved(reserved, uncollected) if isinstance(reserved, LedgerAttempt) else reserved

    def _reserve(
        self, store: AttemptStore, call: MadeCall, order: Order, id: str, caller: str
    ) -> LedgerAttempt | SlotBooked | NeedsApproval:
        """Set aside the most that the order can cost; if that is unknown, the most that one call may."""
        day, cost, approval = self.today(), self._cost(store, order), order.approval
        spent = store.spent_on(day)
        held = self.limits.held_for(cost, spent)
        self.limits.check(held, spent)
        is_open = cost.most_usd is None and self.limits.call_micro_usd is None
        price_usd = None if is_open else from_micro_usd(held)
        if self.limits.needs_approval(cost, held) and not (approval and approval.covers(price_usd)):
            return NeedsApproval(price_usd)
        slot = book_slot(store, self.account, order, self.clock(), self.timings.rate_window_seconds)
        if slot is not None:
            return slot
        new = NewAttempt(
            id=id,
            owner=self.owner,
            account=self.account,
            key=call.key,
            request=order.request,
            held_micro_usd=held,
            day=day,
            created_at=self.clock(),
            approval=approval and approval.id,
        )
        store.add(new)
        store.add_caller(id, caller, self.owner)
        return LedgerAttempt(self, id, order.request, caller, from_micro_usd(held), cost.most_usd, new, approval)

    def _cost(self, store: AttemptStore, order: Order) -> ExpectedCost:
        """Return what an order can cost: by the list, or what such images were charged lately, if that is more."""
        image_usd, cost = self._charged_lately(store, order.request), order.cost
        charged_usd = (image_usd or Decimal(0)) * order.request.n
        if cost.most_usd is None:
            return replace(cost, least_usd=max(cost.least_usd, charged_usd))
        return replace(cost, most_usd=max(cost.most_usd, charged_usd))

    def _charged_lately(self, store: AttemptStore, request: ImageRequest) -> Decimal | None:
        charge = store.last_charge(self.account, request, self.clock() - _LATELY_SECONDS)
        return None if charge is None else from_micro_usd(charge[0]) / charge[1]

    def _stored(self, row: StoredAttempt, caller: str) -> LedgerAttempt:
        return LedgerAttempt(self, row.id, row.request, caller, from_micro_usd(row.held_micro_usd))

    def _end_dead(self, store: AttemptStore, is_alive: IsAlive) -> None:
        """End what nobody works on any more, and abandon for callers that have gone.

        What had not left is released, what had is unknown. A job is left to whoever polls it.
        """
        for row in store.unfinished():
            state = self._state(row, is_alive)
            if state is not row.state:
                store.change(row.id, **ending(row, state, self.now()))
        for process in store.waiting_processes():
            if not is_alive(process):
                store.abandon_all(process)

    def _state(self, row: StoredAttempt, is_alive: IsAlive) -> AttemptState:
        """Return an attempt's state, and if nobody works on it any more, what that means."""
        if not row.state.is_open or self._is_worked_on(row, is_alive):
            return row.state
        gone = {AttemptState.RESERVED: AttemptState.RELEASED, AttemptState.SENT: AttemptState.UNKNOWN}
        return gone.get(row.state, row.state)

    def _is_worked_on(self, row: StoredAttempt, is_alive: IsAlive) -> bool:
        if row.owner == self.owner:
            return row.id in self.memory.working or self.outbox.holds(row.id)
        return is_alive(row.owner)

    def _status(self, row: StoredAttempt | None) -> AttemptStatus:
        if row is None:
            return AttemptStatus(AttemptState.UNKNOWN)
        is_alive = self._liveness()
        job = Job(row.job, row.payment) if row.job else None
        return AttemptStatus(
            self._state(row, is_alive),
            job,
            row.response,
            is_claimable=self._is_claimable(row, is_alive),
            is_overdue=row.state is AttemptState.SENT and self.memory.is_overdue(row.id),
        )

    def _is_claimable(self, row: StoredAttempt, is_alive: IsAlive) -> bool:
        is_job = row.job is not None and row.state in (AttemptState.ACCEPTED, AttemptState.UNKNOWN)
        if not is_job or (row.owner == self.owner and row.id in self.memory.working):
            return False
        return not self._is_worked_on(row, is_alive) or self.memory.has_missed_polls(row)

    def _claim(self, store: AttemptStore, id: str) -> int | None:
        row = store.find(id)
        owner = self.owners.acquire()
        if row is None or not self._is_claimable(row, self._liveness()):
            return None
        self.memory.working.add(id)
        store.change(id, owner=owner, state=AttemptState.ACCEPTED, ended=None)
        return row.sequence if row.writer == owner else 0

    def _look_around(self, store: AttemptStore) -> tuple[Sequence[tuple[StoredAttempt, Job]], bool]:
        """Return the account's jobs that nobody works on, and whether nothing is to be ended."""
        is_alive = self._liveness()
        self.owners.sweep(store.names)
        rows = store.unfinished()
        is_tidy = all(self._state(row, is_alive) is row.state for row in rows)
        is_tidy = is_tidy and all(is_alive(process) for process in store.waiting_processes())
        jobs = [
            (row, Job(row.job, row.payment))
            for row in store.jobs(self.account)
            if row.job and not self._is_worked_on(row, is_alive) and self._is_to_be_asked(row)
        ]
        return jobs, is_tidy

    def _is_to_be_asked(self, row: StoredAttempt) -> bool:
        """Return whether to poll a job again: one that the gateway told nothing of, now and then for a day."""
        if row.ended is None:
            return True
        is_recent = row.ended.seconds_until(self.now()) < self.timings.pictures_seconds
        return is_recent and self.memory.may_ask_again(row.id)

    def _release(self, store: AttemptStore, id: str) -> str | None:
        row = store.find(id)
        if row is None:
            return "There is no attempt with that id."
        if row.state not in (AttemptState.UNKNOWN, AttemptState.HELD):
            return f"That attempt is {row.state.value}: only one that is unknown or held can be released."
        if row.owner and self._liveness()(row.owner):
            return "The server that sent it still works on it: close that one, or try again later."
        if row.payment is not None and is_usable(row.payment, self.now()):
            return f"Its payment can be used until {end_of(row.payment)}: try again after that."
        store.change(id, state=AttemptState.RELEASED)
        return None

    def _statement(self, store: AttemptStore) -> Statement:
        self._end_dead(store, self._liveness())
        day = self.today()
        return Statement(day, self.limits, store.totals(day))

    def _liveness(self) -> IsAlive:
        """Return a function that tells whether a process is alive, which asks only once for each."""
        return cache(self.owners.is_alive)


def _note_files(store: AttemptStore, files: Mapping[str, Path]) -> None:
    """Note where pictures of the newest attempts were saved; what was made before is not looked through."""
    for entry in store.recent(_MAX_SAVED):
        if any(image.url in files for image in entry.images):
            images = [replace(image, path=files.get(image.url or "", image.path)) for image in entry.images]
            store.change(entry.id, response=ImagesResponse(images, None, entry.warnings))
