"""What the toolset needs from the world, as protocols for adapters to fulfil."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from blockrun_image.attempts import (
    Approval,
    AttemptStatus,
    Job,
    MadeCall,
    Order,
    Payment,
    Quote,
    UncollectedPictures,
)
from blockrun_image.images import ImageRequest, ImagesResponse, SavedPicture

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

OnStatus: TypeAlias = Callable[[str], None]
"""Is told in a few words what a call is waiting for."""


class JobPending(Exception):  # noqa: N818 - not an error: the job goes on, and can be polled again later
    """Raised when a job was polled for long enough and goes on."""


class PriceNotApproved(Exception):  # noqa: N818 - not an error: the user can be asked
    """Raised for an exact price that the user must approve before it is paid."""

    def __init__(self, price_usd: Decimal) -> None:
        super().__init__(f"the user has not approved ${price_usd}")
        self.price_usd = price_usd


class Attempt(Protocol):
    """One attempt to spend, written down before each step that cannot be taken back; `id` is its idempotency key.

    What cannot be written before a step raises `LedgerError`, and the step must not be taken. What comes after it
    raises nothing: it is kept until it is on disk.
    """

    @property
    def id(self) -> str:
        """A UUID, the same however often the request is sent."""
        ...

    @property
    def most_usd(self) -> Decimal | None:
        """The most that it was expected to cost when it was reserved; `None` if that was unknown."""
        ...

    @property
    def held_usd(self) -> Decimal:
        """What is set aside for it, as far as this process knows."""
        ...

    @property
    def request(self) -> ImageRequest:
        """The request that it is for."""
        ...

    async def quoted(self, quote: Quote) -> None:
        """Set aside the exact price instead, which is paid next.

        Raises `PriceNotApproved`, with no more set aside than before, `BudgetExceededError`, `LedgerError`, and
        `PaymentRequiredError` for a payee that is not trusted.
        """
        ...

    async def approve(self, approval: Approval) -> bool:
        """Note the user's approval of the price, and return whether it was not used before; raises `LedgerError`."""
        ...

    async def signed(self, payment: Payment) -> None:
        """Note a payment that is about to leave; raises `LedgerError`."""
        ...

    async def sent(self) -> None:
        """Note that the request, which may be charged, is about to leave.

        Raises `LedgerError` if that is not on disk or its callers have gone, and `BudgetExceededError` if the day's
        limit no longer allows it.
        """
        ...

    async def refused_for_now(self) -> None:
        """Note that it was refused for its rate without a charge; it must pass `sent` before it leaves again."""
        ...

    async def accepted(self, job: str, charged_usd: Decimal | None = None) -> bool:
        """Note that the gateway has made it a job, and return whether another process can know of it now.

        `charged_usd` is what it has charged already, if it tells.
        """
        ...

    async def polled(self, next_seconds: float) -> None:
        """Note that its job was polled, and when it is polled next."""
        ...

    async def settled(self, response: ImagesResponse) -> Sequence[str]:
        """Note its result and its charge: what is set aside if the response does not tell; return warnings."""
        ...

    async def released(self) -> None:
        """Note that nothing was charged."""
        ...

    async def unknown(self, warnings: Sequence[str] = (), *, is_over: bool = False) -> None:
        """Note that whether it was charged is unknown; the warnings are shown with it.

        If it `is_over`, its job is not asked after again.
        """
        ...

    async def stopped(self) -> None:
        """Note that its work was stopped: what had not left is released, and a job is handed over."""
        ...

    async def status(self) -> AttemptStatus:
        """Return where it stands, also if another process works on it; raises `LedgerError`."""
        ...

    async def claim(self) -> bool:
        """Take over its job if nobody polls it, and return whether that was so; raises `LedgerError`."""
        ...

    async def mark_abandoned(self) -> None:
        """Note that its caller has gone, so that the same call collects it."""
        ...

    async def mark_delivered(
        self,
        *,
        is_repeatable: bool = False,
        is_cancelled: bool = False,
        is_unknown: bool = False,
        named: Sequence[str] = (),
    ) -> None:
        """Note that its caller was answered.

        The same call is another purchase then. If `is_repeatable`, for some minutes it returns the same pictures to
        this caller, or to anyone once its process has ended; if `is_cancelled`, to anyone. With `is_unknown`, the
        answer said that its outcome is unknown; pictures that come later can still be collected. `named` are the ids
        of uncollected pictures that the answer told.
        """
        ...


@dataclass(frozen=True)
class Reserved:
    """Money is set aside for an attempt, which the caller now works on."""

    attempt: Attempt
    uncollected: Sequence[UncollectedPictures] = ()


@dataclass(frozen=True)
class Collected:
    """An earlier attempt at the same call; with `is_repeat`, its pictures were delivered moments ago."""

    attempt: Attempt
    uncollected: Sequence[UncollectedPictures] = ()
    is_repeat: bool = False


@dataclass(frozen=True)
class SlotBooked:
    """The model's rate limit allows the order after `seconds`; `id` is `None` if that is too far away to book."""

    order: Order
    id: str | None
    seconds: float


@dataclass(frozen=True)
class NeedsApproval:
    """The user must approve the call first.

    `most_usd` is what it can cost, `None` if nothing limits its price. If that is the gateway's exact price, no more is
    set aside than the estimate meanwhile, and otherwise nothing.
    """

    most_usd: Decimal | None
    is_exact: bool = False


@dataclass(frozen=True)
class NothingFound:
    """No earlier call has bought this, and there was no order."""

    uncollected: Sequence[UncollectedPictures] = ()


Begun: TypeAlias = Reserved | Collected | SlotBooked | NeedsApproval | NothingFound
"""What begins a call."""


class SpendLedger(Protocol):
    """Where attempts to spend are written down, and kept within the operator's limits."""

    async def begin(self, call: MadeCall, order: Order | None) -> Begun:
        """Collect what an earlier call has bought, or begin the order.

        All of it happens in one transaction. Without an order, it only looks. Raises `BudgetExceededError` if the
        limits do not allow the order, and `LedgerError`.
        """
        ...

    async def charged_lately(self, requests: Sequence[ImageRequest]) -> Sequence[Decimal | None]:
        """Return what one image of each kind was charged last, in US dollars, if that was in the last 24 hours.

        Raises `LedgerError`.
        """
        ...


class ImageGateway(Protocol):
    """Something that makes pictures and charges for them."""

    @property
    def name(self) -> str:
        """What users know it by: its host, or `sandbox`."""
        ...

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        """Make the pictures, sending a request that may be charged at most once.

        It tells the attempt before the request leaves, which happens within so many seconds or not at all. It lets a
        cancellation through only while nothing is under way that may be charged. Raises `ImageError`, and
        `JobPending` for a job that takes long.
        """
        ...

    async def poll(self, job: Job, attempt: Attempt, on_status: OnStatus) -> ImagesResponse:
        """Poll an attempt's job until it has ended, and return its pictures; raises as `generate` does."""
        ...

    async def quote(self, request: ImageRequest) -> Decimal | None:
        """Ask what a request would cost, in US dollars, for free; `None` where the gateway does not tell."""
        ...


class ImageStore(Protocol):
    """A place for what a result cannot hold: pictures that come as data, and URLs that are too long to tell."""

    async def save(self, picture: bytes) -> SavedPicture:
        """Write the picture and return its absolute path; raises `StorageError`, also for what is no picture."""
        ...

    async def save_url(self, url: str) -> Path:
        """Write the URL to a text file and return its absolute path; raises `StorageError`."""
        ...

    async def keep(self, content: bytes) -> Path:
        """Write what was paid for and cannot be used, as it came, and return its absolute path.

        Raises `StorageError` if no folder takes it.
        """
        ...

    async def check(self) -> None:
        """Raise `StorageError` if nothing can be written; it is asked before anything is paid."""
        ...


class Ports(Protocol):
    """The adapters that a purchase uses, each opened when it is first needed."""

    @property
    def store(self) -> ImageStore | None:
        """The folder for pictures that come as data."""
        ...

    @property
    def gateway_name(self) -> str:
        """The gateway's name, which does not open it; raises `ConfigurationError`."""
        ...

    @property
    def is_sandbox(self) -> bool:
        """Whether no money is spent there, whatever the gateway says that it charged."""
        ...

    async def gateway(self) -> ImageGateway:
        """Return the gateway; raises `ConfigurationError`."""
        ...

    async def ledger(self) -> SpendLedger:
        """Return the ledger; raises `ConfigurationError`."""
        ...


class SharedTask(Protocol[T_co]):
    """Work that several callers may wait for."""

    async def wait(self, timeout_seconds: float, on_last_left: Callable[[], Awaitable[None]], /) -> T_co | None:
        """Return what the work returns, or raise what it raises; `None` if it takes longer.

        If the last caller leaves before the end, the work is told so by `on_last_left`, and if that caller was
        cancelled, so is the work.
        """
        ...


class Runner(Protocol):
    """Starts work that costs money, perhaps where it outlives its callers."""

    def __call__(self, work: Callable[[], Awaitable[T]], /) -> SharedTask[T]:
        """Start the work."""
        ...
