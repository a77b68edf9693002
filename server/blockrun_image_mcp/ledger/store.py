"""What the rules of spending need from a database, within one of its transactions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol, TypeVar

from blockrun_image.attempts import AttemptState, Payment
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image_mcp.ledger.report import ALL_DAYS, Days, Entry, Group, GroupedBy, Total

T = TypeVar("T")


class UnstorableError(Exception):
    """Raised for values that the database will never take."""


@dataclass(frozen=True)
class Account:
    """Who pays at which gateway. Only the account that made an attempt collects it."""

    gateway: str = ""
    principal: str = ""


@dataclass(frozen=True)
class Moment:
    """A time in seconds since 1970, and by the machine's monotonic clock, which is `None` if that is unknown."""

    wall: float
    monotonic: float | None = None

    def seconds_until(self, now: "Moment") -> float:
        """Return how long ago it was, by the clock that says less.

        The wall clock may be wrong, and the monotonic one begins anew when the machine starts.
        """
        ages = [now.wall - self.wall]
        if self.monotonic is not None and now.monotonic is not None and now.monotonic >= self.monotonic:
            ages.append(now.monotonic - self.monotonic)
        return min(ages)


@dataclass(frozen=True)
class NewAttempt:
    """A new attempt. Amounts are in millionths of a US dollar, times in seconds since 1970.

    `owner` is the process that works on it, and `key` is the same for the same call.
    """

    id: str
    owner: str
    account: Account
    key: str
    request: ImageRequest
    held_micro_usd: int
    day: str
    created_at: float
    approval: str | None = None


@dataclass(frozen=True)
class StoredAttempt:
    """An attempt as it is stored; `ended` is `None` while work on it goes on.

    `payee` is the address that was about to be paid for the gateway at `host`. `writer` and `sequence` say which record
    of the outbox was applied last. `polls` counts the polls of its job, the next of which follows in `poll_seconds`.
    """

    id: str
    state: AttemptState
    owner: str
    day: str
    request: ImageRequest
    held_micro_usd: int
    charged_micro_usd: int | None
    approval: str | None
    job: str | None
    payment: Payment | None
    host: str
    payee: str | None
    response: ImagesResponse
    ended: Moment | None
    writer: str
    sequence: int
    polls: int
    poll_seconds: float
    is_unknown_told: bool


class Repeatable(IntEnum):
    """Who gets delivered pictures again for some minutes."""

    BY_NOBODY = 0
    BY_CALLER = 1
    """The caller, or anyone once its process has ended: it may have given up before the answer came."""
    BY_ANYONE = 2
    """The call was cancelled after its answer was written: its caller no longer waits, wherever it calls next."""


@dataclass(frozen=True)
class StoredCaller:
    """A caller of an attempt: who called, in which process, and whether an answer is still awaited."""

    caller: str
    process: str
    is_pending: bool


@dataclass(frozen=True)
class Delivered:
    """An attempt whose pictures were delivered to a caller who may have given up before."""

    id: str
    delivered: Moment
    repeatable: Repeatable
    callers: Sequence[StoredCaller] = field(default_factory=tuple[StoredCaller, ...])


@dataclass(frozen=True)
class Header:
    """What identifies a ledger: its own id, that of its lock folder, and how many requests were sent."""

    identity: str
    lock_folder: str
    sent_count: int


class AttemptStore(Protocol):
    """Reads and changes the stored attempts; a state is changed as it is told, whatever it was before."""

    def header(self) -> Header:
        """Return what identifies the ledger."""
        ...

    def set_lock_folder(self, identity: str) -> None:
        """Store which lock folder belongs to the ledger."""
        ...

    def count_sent(self) -> None:
        """Count one more sent request."""
        ...

    def add(self, new: NewAttempt) -> None:
        """Store a reserved attempt."""
        ...

    def find(self, id: str) -> StoredAttempt | None:
        """Return an attempt."""
        ...

    def find_approved(self, approval: str) -> StoredAttempt | None:
        """Return the attempt that was made with an approval."""
        ...

    def change(self, id: str, **values: Any) -> None:  # noqa: ANN401 - a column's value
        """Change columns of an attempt."""
        ...

    def unfinished(self) -> Sequence[StoredAttempt]:
        """Return the attempts that are reserved, sent or accepted."""
        ...

    def jobs(self, account: Account) -> Sequence[StoredAttempt]:
        """Return the account's attempts with jobs that are accepted or unknown, the oldest first."""
        ...

    def undelivered(self, account: Account, keys: Sequence[str]) -> Sequence[StoredAttempt]:
        """Return attempts at a call that no caller has got, the oldest first; released ones are left out."""
        ...

    def repeatable(self, account: Account, keys: Sequence[str]) -> Sequence[Delivered]:
        """Return attempts at a call whose pictures may be delivered again, the least often repeated first."""
        ...

    def uncollected(self, account: Account) -> Sequence[StoredAttempt]:
        """Return attempts with pictures that no caller has and no answer has named, the newest first."""
        ...

    def callers(self, id: str) -> Sequence[StoredCaller]:
        """Return the callers of an attempt."""
        ...

    def add_caller(self, id: str, caller: str, process: str) -> None:
        """Store that a caller waits for an attempt, which counts as not delivered until it has got it."""
        ...

    def abandon(self, id: str, caller: str, process: str) -> None:
        """Store that a caller no longer waits, unless it has got the pictures."""
        ...

    def deliver(self, id: str, caller: str, process: str, at: Moment, repeatable: Repeatable) -> None:
        """Store that a caller has got the pictures, or what there is instead."""
        ...

    def waiting_processes(self) -> Sequence[str]:
        """Return the processes whose callers wait."""
        ...

    def abandon_all(self, process: str) -> None:
        """Store that no caller in a process waits any more."""
        ...

    def names(self, process: str) -> bool:
        """Return whether an unfinished attempt or a waiting caller names a process."""
        ...

    def spent_on(self, day: str) -> int:
        """Return what counts against a day's budget, in millionths of a US dollar."""
        ...

    def totals(self, day: str) -> Sequence[Total]:
        """Return what a day's attempts count for, by model and state."""
        ...

    def spending(self, days: Days, by: GroupedBy) -> Sequence[Group]:
        """Return what the attempts of a range of days count for, by day or by model; released ones are left out."""
        ...

    def recent(self, limit: int, *states: AttemptState, days: Days = ALL_DAYS) -> Sequence[Entry]:
        """Return the newest attempts that were not released, or only those in the states, the newest first."""
        ...

    def remove_before(self, day: str) -> int:
        """Remove the settled and released attempts of the days before, and return how many there were."""
        ...

    def slot_before(self, account: Account, model: str, number: int, until: float) -> float | None:
        """Return when the last but `number` slot of a model is, of those until a time."""
        ...

    def add_slot(self, account: Account, model: str, at: float) -> str:
        """Store a slot and return its id."""
        ...

    def has_slot(self, id: str) -> bool:
        """Return whether there is such a slot."""
        ...

    def remove_slots_before(self, at: float) -> None:
        """Remove old slots."""
        ...

    def trusted_payee(self, host: str) -> str | None:
        """Return the address that is trusted for a host."""
        ...

    def trust_payee(self, host: str, address: str, at: float, *, is_first: bool = False) -> None:
        """Trust an address for a host; with `is_first`, only if none was trusted before."""
        ...

    def payments_at(self, host: str) -> Sequence[tuple[str, str, Payment | None]]:
        """Return the ids, addresses and payments of attempts that a host may still be paid for.

        A payment that is about to be signed is `None`.
        """
        ...

    def last_charge(self, account: Account, request: ImageRequest, since: float) -> tuple[int, int] | None:
        """Return the charge and the number of images of the last request of a kind, if it ended since a time."""
        ...


class Transactions(Protocol):
    """Runs work in transactions; what was written is on disk when a method returns. Raises `LedgerError`."""

    async def write(self, work: Callable[[AttemptStore], T]) -> T:
        """Run work alone. A cancellation stops it before it begins, or not at all."""
        ...

    async def read(self, work: Callable[[AttemptStore], T]) -> T:
        """Run work that only reads."""
        ...

    async def check_alone(self) -> None:
        """Raise `LedgerError` if a process has the database open, by whatever path, before this one opens it."""
        ...

    async def close(self) -> None:
        """Close the database."""
        ...
