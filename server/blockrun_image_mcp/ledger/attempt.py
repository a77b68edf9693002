"""The ledger's implementation of `Attempt`.

A step that cannot be undone is written to the database before it is taken, or it is not taken. Its outcome goes through
the outbox, which keeps it if the database cannot take it now.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from blockrun_image.attempts import Approval, AttemptState, AttemptStatus, Payment, Quote
from blockrun_image.callers import Caller
from blockrun_image.errors import LedgerError
from blockrun_image.images import Image, ImageRequest, ImagesResponse, SavedPicture
from blockrun_image.ports import PriceNotApproved
from blockrun_image_mcp.ledger.limits import Limits, micro_usd
from blockrun_image_mcp.ledger.memory import Memory
from blockrun_image_mcp.ledger.outbox import Outbox
from blockrun_image_mcp.ledger.owners import Owners
from blockrun_image_mcp.ledger.payees import check_payee
from blockrun_image_mcp.ledger.records import Event, Record, settlement
from blockrun_image_mcp.ledger.store import AttemptStore, Header, Moment, NewAttempt, StoredAttempt
from blockrun_image_mcp.timings import Timings

T = TypeVar("T")

_NOT_ON_DISK = "This result could not be written to disk yet, so it may be lost if the server is killed now."


class AttemptLedger(Protocol):
    """The part of the ledger used by its attempts."""

    limits: Limits
    outbox: Outbox
    timings: Timings
    owners: Owners
    memory: Memory

    @property
    def identity(self) -> str:
        """The ledger's identity."""
        ...

    @property
    def owner(self) -> str:
        """The id of this process."""
        ...

    def now(self) -> Moment:
        """Return the current time."""
        ...

    def today(self) -> str:
        """Return the current UTC day."""
        ...

    async def write(self, work: Callable[[AttemptStore], T]) -> T:
        """Run work in a transaction."""
        ...

    async def status(self, id: str) -> AttemptStatus:
        """Return the status of an attempt."""
        ...

    async def claim(self, id: str) -> int | None:
        """Claim a job, and return the sequence number of this process's last record about it.

        Return 0 if there is no such record, and `None` if the job is not free.
        """
        ...


@dataclass(eq=False)
class LedgerAttempt:
    """An attempt this process works on or waits for.

    `caller` is the waiting caller. `new` is the attempt as it was reserved, or `None` if this process did not
    reserve it. `sequence` numbers this process's records of the attempt.
    """

    ledger: AttemptLedger = field(repr=False)
    id: str
    request: ImageRequest
    caller: Caller
    reserved_usd: Decimal
    max_usd: Decimal | None = None
    new: NewAttempt | None = None
    approval: Approval | None = None
    sequence: int = 0

    async def quoted(self, quote: Quote) -> None:
        """Reserve the exact price instead of the estimate, within the limits."""
        await self.ledger.write(lambda store: self._reserve_price(store, quote))
        self.reserved_usd = quote.amount_usd
        self.new = self.new and replace(self.new, held_micro_usd=micro_usd(quote.amount_usd))

    async def approve(self, approval: Approval) -> bool:
        """Record the user's approval, and return whether it was unused."""
        is_new = await self.ledger.write(lambda store: self._approve(store, approval))
        self.approval = approval if is_new else self.approval
        return is_new

    async def signed(self, payment: Payment) -> None:
        """Record a payment before it is sent."""
        await self.ledger.write(lambda store: self._record_payment(store, payment))

    async def sent(self) -> None:
        """Record that the request is about to be sent, if still allowed."""
        # the point of no return: once this is on disk, the request counts as spent until its outcome is known
        day, header = await self.ledger.write(self._record_sent)
        self.new = self.new and replace(self.new, day=day)
        # other processes compare this count with the file's, to detect an older copy in its place
        self.ledger.owners.note(header.identity, header.sent_count)

    async def refused_for_now(self) -> None:
        """Record a refusal by rate limit, without a charge."""
        await self._put(Event.REFUSED_FOR_NOW)

    async def accepted(self, job: str, charged_usd: Decimal | None = None) -> bool:
        """Record the job and any charge so far, and return whether that is on disk."""
        charged_micro_usd = None if charged_usd is None else micro_usd(charged_usd)
        return await self._put(Event.ACCEPTED, job=job, charged_micro_usd=charged_micro_usd)

    async def polled(self, next_seconds: float) -> None:
        """Record a poll of the job, if the ledger can be written now."""
        with suppress(LedgerError):  # others take the job over only after several missed polls
            await self.ledger.write(lambda store: self._record_poll(store, next_seconds))

    async def settled(self, response: ImagesResponse) -> Sequence[str]:
        """Record the charge and the pictures, even of an attempt that had ended."""
        self.ledger.memory.working.discard(self.id)  # the outbox holds it now
        is_on_disk = await self._put(Event.SETTLED, **settlement(response))
        return () if is_on_disk else [_NOT_ON_DISK]

    async def note_files(self, images: Sequence[Image]) -> None:
        """Record the paths of saved pictures, if the ledger can be written now."""
        with suppress(LedgerError):  # the files are there all the same, and the result has told their paths
            await self.ledger.write(lambda store: self._record_files(store, images))

    async def released(self) -> None:
        """Record that nothing was charged.

        An attempt whose signed payment was sent is held instead, until the operator releases it.
        """
        await self._end(Event.RELEASED)

    async def mark_unknown(self, warnings: Sequence[str] = (), *, is_over: bool = False) -> None:
        """Record that the charge is unknown."""
        await self._end(Event.UNKNOWN, warnings=list(warnings), is_over=is_over)

    async def stopped(self) -> None:
        """Record that work on the attempt was stopped."""
        await self._end(Event.STOPPED)

    async def status(self) -> AttemptStatus:
        """Return the attempt's status."""
        return await self.ledger.status(self.id)

    async def claim(self) -> bool:
        """Claim its job, and return whether the job was free."""
        sequence = await self.ledger.claim(self.id)
        if sequence is not None:
            self.sequence = sequence
        return sequence is not None

    async def mark_abandoned(self) -> None:
        """Record that its caller no longer waits."""
        await self._put(Event.ABANDONED, **self._entry)

    async def mark_delivered(
        self,
        *,
        is_repeatable: bool = False,
        is_unknown: bool = False,
        mentioned_ids: Sequence[str] = (),
    ) -> None:
        """Record that its caller got the answer."""
        await self._put(
            Event.DELIVERED,
            **self._entry,
            at=astuple(self.ledger.now()),
            repeatable=is_repeatable,
            is_unknown=is_unknown,
            named=list(mentioned_ids),
        )

    @property
    def _entry(self) -> dict[str, Any]:
        return {"caller": self.caller.id, "process": self.caller.process or self.ledger.owner}

    async def _end(self, event: Event, **values: Any) -> None:  # noqa: ANN401 - JSON
        self.ledger.memory.working.discard(self.id)  # the outbox holds it now
        await self._put(event, **values)

    async def _put(self, event: Event, **values: Any) -> bool:  # noqa: ANN401 - JSON
        self.sequence += 1
        new = None if self.new is None else {**asdict(self.new), "request": self.new.request.to_record()}
        ledger = self.ledger
        return await ledger.outbox.put(
            Record(self.id, event, ledger.owner, self.sequence, ledger.identity, values, new)
        )

    def _own(self, store: AttemptStore) -> StoredAttempt:
        """Return the stored attempt if this process may still send it.

        Raises `LedgerError` otherwise.
        """
        row = store.find(self.id)
        if row is None or row.state is not AttemptState.RESERVED or row.owner != self.ledger.owner:
            raise LedgerError(f"Attempt {self.id} was given up. Nothing was sent.")
        return row

    def _record_sent(self, store: AttemptStore) -> tuple[str, Header]:
        row = self._own(store)
        is_alive = self.ledger.owners.is_alive  # a caller whose process was killed could not say that it has gone
        if not any(caller.is_pending and is_alive(caller.process) for caller in store.callers(self.id)):
            raise LedgerError("This call was abandoned. Nothing was sent.")
        day = self.ledger.today()  # the request may have waited past midnight, and then counts for the new day
        others = store.spent_on(day) - (row.held_micro_usd if row.day == day else 0)
        self.ledger.limits.check(row.held_micro_usd, others)
        self.sequence += 1
        store.change(self.id, state=AttemptState.SENT, day=day, writer=self.ledger.owner, sequence=self.sequence)
        store.count_sent()
        return day, store.header()

    def _reserve_price(self, store: AttemptStore, quote: Quote) -> None:
        row, limits, price = self._own(store), self.ledger.limits, micro_usd(quote.amount_usd)
        check_payee(store, quote, self.id, self.ledger.now(), self.ledger.timings)
        limits.check(price, store.spent_on(row.day) - row.held_micro_usd)
        is_approved = self.approval is not None and self.approval.covers(quote.amount_usd)
        if limits.is_above_confirmation(price) and not is_approved:
            raise PriceNotApproved(quote.amount_usd)
        store.change(self.id, held_micro_usd=price, host=quote.host.lower(), payee=quote.payee)

    def _approve(self, store: AttemptStore, approval: Approval) -> bool:
        row = self._own(store)
        if store.find_approved(approval.id) is not None:
            return False
        store.change(row.id, approval=approval.id)
        return True

    def _record_payment(self, store: AttemptStore, payment: Payment) -> None:
        self._own(store)
        store.change(self.id, payment=payment)

    def _record_files(self, store: AttemptStore, images: Sequence[Image]) -> None:
        row, saved = store.find(self.id), {image.url: image for image in images}
        if row is not None and row.response.images:  # its settlement may still be in the outbox
            stored = [_with_files_of(image, saved.get(image.url, image)) for image in row.response.images]
            store.change(self.id, response=replace(row.response, images=stored))

    def _record_poll(self, store: AttemptStore, next_seconds: float) -> None:
        row = store.find(self.id)
        if row is not None:
            store.change(self.id, polls=row.polls + 1, poll_seconds=next_seconds)


def _with_files_of(earlier: Image, image: Image) -> Image:
    """Return an image with the pictures that it was saved to before as its copies; they may still be there."""
    copies = (SavedPicture(path, id) for path, id in earlier.files if id and path != image.path)
    return replace(image, copies=tuple(copies))
