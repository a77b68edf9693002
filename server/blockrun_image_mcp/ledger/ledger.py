"""The rules of spending, independent of the database.

Each attempt is owned by the process working on it, and has callers, perhaps in other processes. A process counts as
alive while it holds its lock. If a live process is taken for dead, it does no harm: it sends a request only if it still
owns the reserved attempt.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio

from blockrun_image.attempts import AttemptState, AttemptStatus, CallInfo, ExpectedCost, Job, Order
from blockrun_image.callers import Caller
from blockrun_image.errors import BudgetExceededError, LedgerError
from blockrun_image.images import Image, ImageRequest
from blockrun_image.ports import Begun, Collected, NeedsApproval, NothingFound, Reserved, SlotBooked
from blockrun_image_mcp.ledger.attempt import LedgerAttempt
from blockrun_image_mcp.ledger.earlier import EarlierAttempts, IsAlive, keys_of
from blockrun_image_mcp.ledger.limits import Limits, from_micro_usd, utc_day
from blockrun_image_mcp.ledger.memory import Memory
from blockrun_image_mcp.ledger.payees import end_of, is_usable
from blockrun_image_mcp.ledger.rate_limits import book_slot
from blockrun_image_mcp.ledger.records import ending
from blockrun_image_mcp.ledger.report import ALL_DAYS, AttemptReport, DailySpending, Days, GroupedBy, Spending
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

_SEARCHED_FOR_FILES = 100  # of the newest attempts


@dataclass(eq=False)
class Ledger:
    """Keeps attempts in a database, and spending within the limits. Every method may raise `LedgerError`.

    One folder beside `path` holds the locks of the processes using it, another the records waiting for the database.
    Attempts can be made only inside `async with`. `process` stands in as the caller of calls that
    name none.
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
        """The id of this process, by which others find its lock."""
        return self.owners.id or ""

    @property
    def is_working(self) -> bool:
        """Whether this process works on any attempt."""
        return bool(self.memory.working)

    def now(self) -> Moment:
        """Return the current time by both clocks."""
        return Moment(self.clock(), self.monotonic())

    def today(self) -> str:
        """Return the current UTC day."""
        return utc_day(self.clock())

    async def begin(self, call: CallInfo, order: Order | None) -> Begun:
        """Collect the result of an earlier call, or begin the order, in one transaction.

        Raises `BudgetExceededError`, and `ConfirmationError` if the approval was used for an attempt that failed.
        """
        if order is None and not self.path.exists():  # a call that buys nothing must not make the file
            return NothingFound()
        arrived_at = None  # by the ledger's own clock: the transaction runs in a thread, without anyio's clock
        if call.arrived_at is not None:
            arrived_at = self.monotonic() - (anyio.current_time() - call.arrived_at)
        id = str(uuid.uuid4())
        self.memory.working.add(id)  # first, or another task could release the new row, as nobody works on it
        try:
            begun = await self.write(lambda store: self._begin(store, call, order, id, arrived_at))
        except BaseException:
            self.memory.working.discard(id)
            raise
        if not isinstance(begun, Reserved):
            self.memory.working.discard(id)
        return begun

    async def write(self, work: Callable[[AttemptStore], T]) -> T:
        """Run work in a transaction that first applies the records waiting in the outbox."""
        return await self.database.write(work)

    async def status(self, id: str) -> AttemptStatus:
        """Return the status of an attempt of any process."""
        return await self.database.read_after_records(lambda store: self._status(store.find(id)))

    async def claim(self, id: str) -> int | None:
        """Claim a job, and return the sequence number of this process's last record about it.

        Return 0 if there is no such record, and `None` if the job is not free.
        """
        return await self.write(lambda store: self._claim(store, id))

    async def sweep(self) -> "Mapping[LedgerAttempt, Job]":
        """End the attempts of dead processes, and return the account's jobs to claim.

        An idle ledger is only read, not written.
        """
        # a write syncs the disk, and this runs every minute in each server
        jobs, is_tidy = await self.database.read(self._survey)
        if not is_tidy or self.outbox.has_spilled:
            await self.write(lambda store: self._end_dead(store, self._liveness()))
        return {self._attempt_from(row, self.process): job for row, job in jobs}

    async def spending_today(self) -> DailySpending:
        """Return the spending of the current UTC day."""
        return await self.write(self._spending_today)

    async def spending(self, days: Days, by: GroupedBy) -> Spending:
        """Return the spending in a range of days, by day or by model."""
        return Spending(days, by, await self.database.read_after_records(lambda store: store.spending(days, by)))

    async def recent(self, limit: int, *states: AttemptState, days: Days = ALL_DAYS) -> Sequence[AttemptReport]:
        """Return up to `limit` attempts, newest first.

        With `states`, only those in one of the states; otherwise, all but the released ones.
        """
        return await self.database.read_after_records(lambda store: store.recent(limit, *states, days=days))

    async def forget(self, id: str) -> bool:
        """Remove a finished attempt's prompt and revised prompts, and return whether there is such an attempt."""
        return await self.write(lambda store: _forget(store, id))

    async def picture(self, id: str) -> Image | None:
        """Return the image whose file has an id, or `None`."""
        return await self.database.read_after_records(lambda store: store.picture(id))

    async def last_pictures(self, caller: Caller | None) -> Sequence[Image]:
        """Return the pictures of a caller's newest call.

        If it has made none, they are those of the newest call whose callers' processes have all ended.
        """
        return await self.database.read_after_records(lambda store: self._last_pictures(store, caller or self.process))

    async def remove_before(self, day: str) -> int:
        """Remove the settled and released attempts before a UTC day, and return their number."""
        return await self.write(lambda store: store.remove_before(day))

    async def release(self, id: str) -> str | None:
        """Release an unknown or held attempt, or return why not, in a sentence.

        This is for the operator, who has checked the account or the wallet.
        """
        return await self.write(lambda store: self._release(store, id))

    async def charged_lately(self, requests: Sequence[ImageRequest]) -> Sequence[Decimal | None]:
        """Return the last charge for one image of each request, in US dollars.

        It is `None` if there was no charge in the last 24 hours.
        """
        try:
            if not self.path.exists():
                return [None] * len(requests)
        except OSError as error:
            raise LedgerError(f"The ledger cannot be read ({type(error).__name__}).") from error
        return await self.database.read_after_records(
            lambda store: [self._charged_lately(store, each) for each in requests]
        )

    async def users(self) -> Sequence[int]:
        """Return the pids of the processes using the ledger."""
        return await self.database.users()

    async def trust(self, host: str, address: str) -> None:
        """Trust an address for a host, in place of the previous one.

        This is for the operator.
        """
        await self.write(lambda store: store.trust_payee(host.lower(), address, self.clock()))

    # the rules: each method below runs inside a transaction, in a thread

    def _begin(
        self, store: AttemptStore, call: CallInfo, order: Order | None, id: str, arrived_at: float | None
    ) -> Begun:
        owner, is_alive = self.owners.acquire(), self._liveness()
        caller = call.caller or self.process
        self._end_dead(store, is_alive)
        keys = keys_of(call, order)
        now = self.now()  # read here, because the transaction may have waited for the database
        waited = 0.0 if arrived_at is None else self.monotonic() - arrived_at
        name = "" if call.save_as is None else call.save_as.template
        attempts = EarlierAttempts(
            store, self.account, caller.id, is_alive, self.memory, self.timings, now, waited, name
        )
        found = attempts.approved(order) or attempts.abandoned(keys)
        repeated = None if found else attempts.repeatable(keys)
        earlier = found or repeated
        uncollected = attempts.uncollected(earlier)
        if earlier is not None:
            store.add_caller(earlier.id, caller.id, caller.process or owner, name)
            return Collected(self._attempt_from(earlier, caller), uncollected, is_repeat=repeated is not None)
        if order is None:
            return NothingFound(uncollected)
        try:
            reserved = self._reserve(store, call, order, id, caller)
        except BudgetExceededError as error:
            error.append_hints([each.to_text() for each in uncollected])
            raise
        return Reserved(reserved, uncollected) if isinstance(reserved, LedgerAttempt) else reserved

    def _reserve(
        self, store: AttemptStore, call: CallInfo, order: Order, id: str, caller: Caller
    ) -> LedgerAttempt | SlotBooked | NeedsApproval:
        """Reserve the order, unless it needs an approval or must wait for a slot.

        Raises `BudgetExceededError`.
        """
        day, cost, approval = self.today(), self._cost(store, order), order.approval
        spent = store.spent_on(day)
        amount = self.limits.amount_to_reserve(cost, spent)
        self.limits.check(amount, spent)
        has_no_upper_limit = cost.max_usd is None and self.limits.call_micro_usd is None
        price_usd = None if has_no_upper_limit else from_micro_usd(amount)
        if self.limits.needs_approval(cost, amount) and not (approval and approval.covers(price_usd)):
            return NeedsApproval(price_usd)
        # last, because an order that is refused or waits for the user must not take a slot
        slot = book_slot(store, self.account, order, self.clock(), self.timings.rate_window_seconds)
        if slot is not None:
            return slot
        new = NewAttempt(
            id=id,
            owner=self.owner,
            account=self.account,
            key=call.key,
            request=order.request,
            held_micro_usd=amount,
            day=day,
            created_at=self.clock(),
            approval=approval and approval.id,
        )
        store.add(new)
        name = "" if call.save_as is None else call.save_as.template
        store.add_caller(id, caller.id, caller.process or self.owner, name)
        return LedgerAttempt(self, id, order.request, caller, from_micro_usd(amount), cost.max_usd, new, approval)

    def _last_pictures(self, store: AttemptStore, caller: Caller) -> Sequence[Image]:
        newest, is_alive = store.newest_pictures(self.account), self._liveness()
        own = (images for images, callers in newest if any(each.caller == caller.id for each in callers))
        left = (images for images, callers in newest if not any(is_alive(each.process) for each in callers))
        return next(own, None) or next(left, ())

    def _cost(self, store: AttemptStore, order: Order) -> ExpectedCost:
        """Return the cost of an order: the estimate, or the last charge if that was higher."""
        image_usd, cost = self._charged_lately(store, order.request), order.cost
        charged_usd = (image_usd or Decimal(0)) * order.request.n
        if cost.max_usd is None:
            return replace(cost, min_usd=max(cost.min_usd, charged_usd))
        return replace(cost, max_usd=max(cost.max_usd, charged_usd))

    def _charged_lately(self, store: AttemptStore, request: ImageRequest) -> Decimal | None:
        charge = store.last_charge(self.account, request, self.clock() - self.timings.recent_charge_seconds)
        return None if charge is None else from_micro_usd(charge[0]) / charge[1]

    def _attempt_from(self, row: StoredAttempt, caller: Caller) -> LedgerAttempt:
        return LedgerAttempt(self, row.id, row.request, caller, from_micro_usd(row.held_micro_usd))

    def _end_dead(self, store: AttemptStore, is_alive: IsAlive) -> None:
        """End the attempts without a live owner, and mark those as abandoned whose callers were in dead processes.

        A reserved attempt is released, and a sent one becomes unknown. An accepted job stays for another process to
        poll.
        """
        for row in store.unfinished():
            state = self._state(row, is_alive)
            if state is not row.state:
                store.change(row.id, **ending(row, state, self.now()))
        for process in store.waiting_processes():
            if not is_alive(process):
                store.abandon_all(process)

    def _state(self, row: StoredAttempt, is_alive: IsAlive) -> AttemptState:
        """Return an attempt's state, or the state it ends in without a live owner."""
        if not row.state.is_open or self._is_worked_on(row, is_alive):
            return row.state
        gone = {AttemptState.RESERVED: AttemptState.RELEASED, AttemptState.SENT: AttemptState.UNKNOWN}
        return gone.get(row.state, row.state)

    def _is_worked_on(self, row: StoredAttempt, is_alive: IsAlive) -> bool:
        if row.owner == self.owner:
            # this process is alive, but perhaps none of its tasks works on the attempt; a record still in the outbox
            # counts as work
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

    def _survey(self, store: AttemptStore) -> tuple[Sequence[tuple[StoredAttempt, Job]], bool]:
        """Return the account's jobs to claim, and whether there is nothing to end.

        It also removes the lock files of dead processes.
        """
        is_alive = self._liveness()
        self.owners.sweep(store.names)
        rows = store.unfinished()
        is_tidy = all(self._state(row, is_alive) is row.state for row in rows)
        is_tidy = is_tidy and all(is_alive(process) for process in store.waiting_processes())
        jobs = [
            (row, Job(row.job, row.payment))
            for row in store.jobs(self.account)
            if row.job and not self._is_worked_on(row, is_alive) and self._is_due(row)
        ]
        return jobs, is_tidy

    def _is_due(self, row: StoredAttempt) -> bool:
        """Return whether a job should be polled.

        One with an unknown outcome is polled once an hour, for a day.
        """
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
        if row.payment is not None and is_usable(
            row.payment, self.now(), self.timings
        ):  # the gateway can still move the money
            return f"Its payment can be used until {end_of(row.payment, self.timings)}: try again after that."
        store.change(id, state=AttemptState.RELEASED)
        return None

    def _spending_today(self, store: AttemptStore) -> DailySpending:
        self._end_dead(store, self._liveness())
        day = self.today()
        return DailySpending(day, self.limits, store.totals(day))

    def _liveness(self) -> IsAlive:
        """Return `owners.is_alive` with cached answers."""
        # one transaction must not see a process both alive and dead
        return cache(self.owners.is_alive)


def _forget(store: AttemptStore, id: str) -> bool:
    row = store.find(id)
    if row is None or row.state.is_open:  # an open one may still be collected by its prompt
        return False
    images = [replace(image, revised_prompt=None) for image in row.response.images]
    request = replace(row.request, prompt="", images=(), mask=None)
    store.change(id, request=request, response=replace(row.response, images=images))
    return True
