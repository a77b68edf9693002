"""The database that the rules of spending need, as protocols."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from blockrun_image.attempts import AttemptState, Payment
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image_mcp.ledger.report import ALL_DAYS, AttemptReport, Days, Group, GroupedBy, Total

T = TypeVar("T")


class UnstorableError(Exception):
    """Raised for values the database cannot store, now or later."""


@dataclass(frozen=True)
class Account:
    """A payer at a gateway. Only the account that made an attempt can collect it."""

    gateway: str = ""
    principal: str = ""


@dataclass(frozen=True)
class Moment:
    """A time in seconds since 1970, and by the machine's monotonic clock, `None` if unknown."""

    wall: float
    monotonic: float | None = None

    def seconds_until(self, now: "Moment") -> float:
        """Return the seconds from this moment to `now`, by the clock with the smaller difference.

        The wall clock may be wrong, and the monotonic clock restarts with the machine.
        """
        ages = [now.wall - self.wall]
        if self.monotonic is not None and now.monotonic is not None and now.monotonic >= self.monotonic:
            ages.append(now.monotonic - self.monotonic)
        return min(ages)


@dataclass(frozen=True)
class NewAttempt:
    """A new attempt. Amounts are in millionths of a US dollar, times in seconds since 1970.

    `owner` is the process working on it. Identical calls have the same `key`.
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

    `payee` is the address to pay for the gateway at `host`. `writer` and `sequence` identify the record applied last.
    `polls` counts the polls of its job, and `poll_seconds` is the time from the last poll to the next. If
    `is_unknown_told`, a caller has been told that the outcome is unknown.
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


@dataclass(frozen=True)
class StoredCaller:
    """A caller of an attempt, its process, whether it still waits, and the name for its pictures, if any."""

    caller: str
    process: str
    is_pending: bool
    save_as: str = ""


@dataclass(frozen=True)
class Delivered:
    """An attempt with delivered pictures; the caller may have given up before."""

    id: str
    delivered: Moment
    callers: Sequence[StoredCaller] = field(default_factory=tuple[StoredCaller, ...])


@dataclass(frozen=True)
class Header:
    """The identities of a ledger and its lock folder, and its number of sent requests."""

    identity: str
    lock_folder: str
    sent_count: int


class AttemptStore(Protocol):
    """Reads and changes the stored attempts, without checking transitions of state."""

    def header(self) -> Header:
        """Return the ledger's header."""
        ...

    def set_lock_folder(self, identity: str) -> None:
        """Store the identity of the ledger's lock folder."""
        ...

    def count_sent(self) -> None:
        """Count one more sent request."""
        ...

    def add(self, new: NewAttempt) -> None:
        """Store a new attempt, as reserved."""
        ...

    def find(self, id: str) -> StoredAttempt | None:
        """Return the attempt with an id."""
        ...

    def find_approved(self, approval: str) -> StoredAttempt | None:
        """Return the attempt made with an approval."""
        ...

    def change(self, id: str, **values: Any) -> None:  # noqa: ANN401 - a column's value
        """Change columns of an attempt."""
        ...

    def unfinished(self) -> Sequence[StoredAttempt]:
        """Return the attempts that are reserved, sent or accepted."""
        ...

    def jobs(self, account: Account) -> Sequence[StoredAttempt]:
        """Return the account's accepted or unknown attempts with a job, oldest first."""
        ...

    def undelivered(self, account: Account, keys: Sequence[str]) -> Sequence[StoredAttempt]:
        """Return the newest undelivered attempts at a call, oldest first.

        Released ones are left out, and those without a result whose caller was told that the outcome is unknown.
        """
        ...

    def repeatable(self, account: Account, keys: Sequence[str]) -> Sequence[Delivered]:
        """Return attempts at a call with repeatable pictures, fewest callers first."""
        ...

    def uncollected(self, account: Account) -> Sequence[StoredAttempt]:
        """Return attempts with undelivered pictures not named in any answer, newest first."""
        ...

    def callers(self, id: str) -> Sequence[StoredCaller]:
        """Return the callers of an attempt."""
        ...

    def add_caller(self, id: str, caller: str, process: str, save_as: str = "") -> None:
        """Store that a caller waits for an attempt, and the name for its pictures.

        The attempt counts as undelivered until this caller has got it, too.
        """
        ...

    def abandon(self, id: str, caller: str, process: str) -> None:
        """Store that a caller no longer waits, unless it was answered."""
        ...

    def deliver(self, id: str, caller: str, process: str, at: Moment, *, is_repeatable: bool) -> None:
        """Store that a caller has got the pictures, or an error in their place."""
        ...

    def waiting_processes(self) -> Sequence[str]:
        """Return the processes with waiting callers."""
        ...

    def abandon_all(self, process: str) -> None:
        """Store that the callers in a process no longer wait."""
        ...

    def names(self, process: str) -> bool:
        """Return whether an unfinished attempt or a waiting caller names a process."""
        ...

    def spent_on(self, day: str) -> int:
        """Return the sum that counts against a day's budget, in millionths of a US dollar."""
        ...

    def totals(self, day: str) -> Sequence[Total]:
        """Return the totals of a day, by model and state."""
        ...

    def spending(self, days: Days, by: GroupedBy) -> Sequence[Group]:
        """Return the spending in a range of days, by day or by model, without released attempts."""
        ...

    def recent(self, limit: int, *states: AttemptState, days: Days = ALL_DAYS) -> Sequence[AttemptReport]:
        """Return up to `limit` attempts, newest first.

        With `states`, only those in one of the states; otherwise, all but the released ones.
        """
        ...

    def remove_before(self, day: str) -> int:
        """Remove the settled and released attempts before a day, and return their number."""
        ...

    def picture(self, id: str) -> Image | None:
        """Return the newest image whose file has an id."""
        ...

    def newest_pictures(self, account: Account) -> Sequence[tuple[Sequence[Image], Sequence[StoredCaller]]]:
        """Return the pictures of the newest settled attempts, with their callers, newest first."""
        ...

    def slot_before(self, account: Account, model: str, number: int, until: float) -> float | None:
        """Return the time of a model's slot, of those until a time.

        `number` counts back from the last one, which is 0.
        """
        ...

    def add_slot(self, account: Account, model: str, at: float) -> str:
        """Store a slot and return its id."""
        ...

    def has_slot(self, id: str) -> bool:
        """Return whether a slot exists."""
        ...

    def remove_slots_before(self, at: float) -> None:
        """Remove the slots before a time."""
        ...

    def trusted_payee(self, host: str) -> str | None:
        """Return the trusted address of a host."""
        ...

    def trust_payee(self, host: str, address: str, at: float, *, is_first: bool = False) -> None:
        """Trust an address for a host; with `is_first`, only if none was trusted before."""
        ...

    def payments_at(self, host: str) -> Sequence[tuple[str, str, Payment | None]]:
        """Return the ids, addresses and payments of the attempts that may still pay a host.

        The payment is `None` if it is not signed yet.
        """
        ...

    def last_charge(self, account: Account, request: ImageRequest, since: float) -> tuple[int, int] | None:
        """Return the charge and the number of images of the last request like this one.

        It has the same gateway, model, size and quality, and ended since a time. The charge is in millionths of a US
        dollar. Return `None` if there is no such request.
        """
        ...


class Transactions(Protocol):
    """Runs work in transactions, on disk when a method returns. Methods raise `LedgerError`."""

    async def write(self, work: Callable[[AttemptStore], T]) -> T:
        """Run work while no other process can write.

        A cancellation stops it before it begins, or never.
        """
        ...

    async def read(self, work: Callable[[AttemptStore], T]) -> T:
        """Run work that only reads."""
        ...

    async def check_alone(self) -> None:
        """Raise `LedgerError` if a process has the database open, by any path.

        This process must not have it open.
        """
        ...

    async def close(self) -> None:
        """Close the database."""
        ...
