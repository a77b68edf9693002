"""Protocols for the toolset's adapters."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from blockrun_image.attempts import (
    Approval,
    AttemptStatus,
    CallInfo,
    Job,
    Order,
    Payment,
    Quote,
    UncollectedPictures,
)
from blockrun_image.callers import Caller
from blockrun_image.document import Editing
from blockrun_image.file_names import SaveAs
from blockrun_image.images import Image, ImageRequest, ImagesResponse, PictureDetails, SavedPicture

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

OnStatus: TypeAlias = Callable[[str], None]
"""A callback for progress: it gets a few words about what a call is waiting for."""


class JobPending(Exception):  # noqa: N818 - not an error: the job goes on, and can be polled again later
    """Raised if a job is still running after enough polls."""


class PriceNotApproved(Exception):  # noqa: N818 - not an error: the user can be asked
    """Raised if the user must approve an exact price before it is paid."""

    def __init__(self, price_usd: Decimal) -> None:
        super().__init__(f"the user has not approved ${price_usd}")
        self.price_usd = price_usd


class Attempt(Protocol):
    """An attempt to spend, recorded before each irreversible step.

    Its `id` is the idempotency key. Before such a step, a method raises `LedgerError` if it cannot record it, and the
    step must not be taken. After a step, methods raise nothing: the record is kept in memory until it is on disk.
    """

    @property
    def id(self) -> str:
        """A UUID, the same each time the request is sent."""
        ...

    @property
    def max_usd(self) -> Decimal | None:
        """The highest cost expected at the reservation, in US dollars, or `None`."""
        ...

    @property
    def reserved_usd(self) -> Decimal:
        """The amount in US dollars set aside, as far as this process knows."""
        ...

    @property
    def request(self) -> ImageRequest:
        """The request to pay for."""
        ...

    async def quoted(self, quote: Quote) -> None:
        """Set aside the exact price instead of the estimate; the payment comes next.

        Raises `PriceNotApproved` (then no more is set aside than before), `BudgetExceededError`, `LedgerError`, and
        `PaymentRequiredError` if the payee is not trusted.
        """
        ...

    async def approve(self, approval: Approval) -> bool:
        """Record the user's approval of the price, and return whether it was unused.

        Raises `LedgerError`.
        """
        ...

    async def signed(self, payment: Payment) -> None:
        """Record a payment before it is sent; raises `LedgerError`."""
        ...

    async def sent(self) -> None:
        """Record the request before it is sent and may be charged.

        Raises `LedgerError` if that is not on disk or the attempt's callers have gone, and `BudgetExceededError` if the
        day's limit no longer allows it.
        """
        ...

    async def refused_for_now(self) -> None:
        """Record a rate-limited request, which was not charged.

        It must pass `sent` before it is sent again.
        """
        ...

    async def accepted(self, job: str, charged_usd: Decimal | None = None) -> bool:
        """Record the gateway's job, and return whether other processes can see it now.

        `charged_usd` is the amount charged already, if the gateway says so.
        """
        ...

    async def polled(self, next_seconds: float) -> None:
        """Record a poll of its job, and the seconds until the next one."""
        ...

    async def settled(self, response: ImagesResponse) -> Sequence[str]:
        """Record its result and its charge, and return warnings.

        If the response does not say what was charged, the amount set aside counts as the charge.
        """
        ...

    async def note_files(self, images: Sequence[Image]) -> None:
        """Record the paths of saved pictures; nothing is lost if that fails."""
        ...

    async def released(self) -> None:
        """Record that nothing was charged."""
        ...

    async def mark_unknown(self, warnings: Sequence[str] = (), *, is_over: bool = False) -> None:
        """Record that it may have been charged, with warnings to show.

        If it `is_over`, its job is not polled again.
        """
        ...

    async def stopped(self) -> None:
        """Record that its work was stopped.

        An unsent request is released, and a job is handed over.
        """
        ...

    async def status(self) -> AttemptStatus:
        """Return its status, even if another process works on it; raises `LedgerError`."""
        ...

    async def claim(self) -> bool:
        """Claim its job if no process polls it, and return whether that succeeded.

        Raises `LedgerError`.
        """
        ...

    async def mark_abandoned(self) -> None:
        """Record that its caller has gone; an identical call then collects its result."""
        ...

    async def mark_delivered(
        self,
        *,
        is_repeatable: bool = False,
        is_unknown: bool = False,
        mentioned_ids: Sequence[str] = (),
    ) -> None:
        """Record that its caller was answered.

        An identical call is then another purchase. If `is_repeatable`, the caller may have given up before; an
        identical call, of any caller, gets the same pictures for some minutes. With `is_unknown`, the answer said that
        the outcome is unknown; pictures that come later can still be collected. `mentioned_ids` are the attempts whose
        uncollected pictures the answer mentioned.
        """
        ...


@dataclass(frozen=True)
class ReadyPicture:
    """A picture as it is sent: its bytes, their media type, and its size in pixels."""

    content: bytes
    media_type: str
    width: int
    height: int


@dataclass(frozen=True)
class Reserved:
    """A new attempt of this caller, with money set aside."""

    attempt: Attempt
    uncollected: Sequence[UncollectedPictures] = ()


@dataclass(frozen=True)
class Collected:
    """An earlier attempt at the same call.

    With `is_repeat`, its pictures were delivered moments ago.
    """

    attempt: Attempt
    uncollected: Sequence[UncollectedPictures] = ()
    is_repeat: bool = False


@dataclass(frozen=True)
class SlotBooked:
    """The order must wait `seconds` for the model's rate limit.

    `id` is `None` if that is too far away to book.
    """

    order: Order
    id: str | None
    seconds: float


@dataclass(frozen=True)
class NeedsApproval:
    """The user must approve the call first.

    `max_usd` is the most that it can cost, `None` if nothing limits its price. While the user is asked about an exact
    price of the gateway, no more than the estimate stays set aside; otherwise nothing is.
    """

    max_usd: Decimal | None
    is_exact: bool = False


@dataclass(frozen=True)
class NothingFound:
    """No earlier call has bought this, and there was no order."""

    uncollected: Sequence[UncollectedPictures] = ()


Begun: TypeAlias = Reserved | Collected | SlotBooked | NeedsApproval | NothingFound
"""The ways in which a call can begin."""


class SpendLedger(Protocol):
    """Records attempts to spend, and keeps them within the operator's limits."""

    async def begin(self, call: CallInfo, order: Order | None) -> Begun:
        """Collect an earlier call's purchase, or begin the order.

        It runs in one transaction. Without an order, it only looks for a purchase. Raises `BudgetExceededError` if the
        limits do not allow the order, and `LedgerError`.
        """
        ...

    async def charged_lately(self, requests: Sequence[ImageRequest]) -> Sequence[Decimal | None]:
        """Return the latest charge for an image of each request's kind.

        It is the charge of one image in US dollars, or `None` without one in the last 24 hours. Raises `LedgerError`.
        """
        ...

    async def picture(self, id: str) -> Image | None:
        """Return the image whose file has an id, or `None`; raises `LedgerError`."""
        ...

    async def last_pictures(self, caller: Caller | None) -> Sequence[Image]:
        """Return the pictures of the caller's newest call, empty without one; raises `LedgerError`."""
        ...


class ImageGateway(Protocol):
    """An image service that charges money."""

    @property
    def name(self) -> str:
        """The name shown to users: the gateway's host, or `sandbox`."""
        ...

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        """Make the pictures, with at most one chargeable request.

        The attempt records the request before it is sent, which must happen within `within_seconds`, or it is not sent.
        A cancellation takes effect only while nothing is in progress that may be charged. Raises `ImageError`, and
        `JobPending` for a job that takes long.
        """
        ...

    async def poll(self, job: Job, attempt: Attempt, on_status: OnStatus) -> ImagesResponse:
        """Poll an attempt's job to its end, and return its pictures.

        Raises as `generate` does.
        """
        ...

    async def quote(self, request: ImageRequest) -> Decimal | None:
        """Return the price of a request in US dollars, without paying.

        Returns `None` if the gateway has no quotes.
        """
        ...

    async def fetch(self, url: str) -> bytes:
        """Return the picture at a URL from one of its answers, for free and without credentials.

        Raises `StorageError`.
        """
        ...


class ImageStore(Protocol):
    """A folder for pictures, and for very long URLs."""

    async def save(self, picture: bytes, details: PictureDetails, name: SaveAs | None = None) -> SavedPicture:
        """Write a picture to a new file and return its absolute path.

        A `name` is relative to the folder, and its suffix decides the format. If nothing can be written there, the
        store names the file itself, as it does without a name. Raises `StorageError`, also if it is not a picture.
        """
        ...

    async def copy(self, path: Path, details: PictureDetails, name: SaveAs) -> SavedPicture:
        """Save a picture of this store under another name; raises `StorageError`."""
        ...

    async def holds(self, path: Path, name: SaveAs | None) -> bool:
        """Return whether a picture that was saved is still there, and has that name if one is given."""
        ...

    async def check_room(self) -> None:
        """Raise `StorageError` if the pictures that nobody named have reached the folder's limit."""
        ...

    async def save_url(self, url: str) -> Path:
        """Write a URL to a text file and return its absolute path.

        Raises `StorageError`.
        """
        ...

    async def url_in(self, path: Path) -> str | None:
        """Return the URL in a file that `save_url` wrote, or `None` for other files."""
        ...

    async def keep(self, content: bytes) -> Path:
        """Write unusable but paid content unchanged, and return its absolute path.

        Raises `StorageError` if it cannot be written to any folder.
        """
        ...

    async def check(self, name: SaveAs | None = None) -> None:
        """Raise `StorageError` if nothing can be written, or not under that name; called before paying."""
        ...


class PictureReader(Protocol):
    """Reads the pictures that calls start from, and makes them ready to be sent.

    Every method raises `InvalidRequestError` in words for the agent.
    """

    async def read(self, path: str) -> tuple[bytes, str]:
        """Return the content of a file that a call names, and its real path."""
        ...

    async def saved(self, image: Image, id: str) -> tuple[bytes, str] | None:
        """Return the content of an image's file and its path, or `None` if it has no such file any more."""
        ...

    async def ready(self, content: bytes, limits: Editing) -> ReadyPicture:
        """Return a picture without its metadata, as large as a model takes it."""
        ...

    async def ready_mask(self, content: bytes, width: int, height: int) -> ReadyPicture:
        """Return a mask for a picture of that size."""
        ...


class Ports(Protocol):
    """The adapters a purchase uses, each opened on first use."""

    @property
    def reader(self) -> PictureReader | None:
        """The reader of pictures to start from, if there is one."""
        ...

    @property
    def store(self) -> ImageStore | None:
        """The store for pictures, if there is one."""
        ...

    @property
    def keeps_pictures(self) -> bool:
        """Whether each picture is saved; otherwise only those with a name, and those that come as data."""
        ...

    @property
    def gateway_name(self) -> str:
        """The gateway's name, known without opening it; raises `ConfigurationError`."""
        ...

    @property
    def is_sandbox(self) -> bool:
        """Whether no money is spent, even if the gateway reports a charge."""
        ...

    async def gateway(self) -> ImageGateway:
        """Return the gateway; raises `ConfigurationError`."""
        ...

    async def ledger(self) -> SpendLedger:
        """Return the ledger; raises `ConfigurationError`."""
        ...


class SharedTask(Protocol[T_co]):
    """Work with one or more waiting callers."""

    async def wait(self, timeout_seconds: float, on_abandoned: Callable[[], Awaitable[None]], /) -> T_co | None:
        """Return or raise the work's result, or return `None` at the timeout.

        If the last caller leaves before the end, `on_abandoned` is called; if that caller was cancelled, the work is
        cancelled too.
        """
        ...


class Runner(Protocol):
    """Starts work that may be charged, and may outlive its callers."""

    def __call__(self, work: Callable[[], Awaitable[T]], /) -> SharedTask[T]:
        """Start the work."""
        ...
