"""What the toolset needs from the world, as protocols for adapters to fulfil."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar

from blockrun_image.callers import Caller
from blockrun_image.errors import ConfigurationError
from blockrun_image.images import ImageRequest, ImagesResponse

T = TypeVar("T")

OnStatus: TypeAlias = Callable[[str], None]
"""Is told in a few words what a call is waiting for."""

State: TypeAlias = Literal["reserved", "sent", "accepted", "settled", "released", "unknown"]


class StillDrawingError(Exception):
    """A job goes on that was asked after for long enough; it can be asked after again later."""


@dataclass(frozen=True)
class Payment:
    """A payment that a wallet has signed; whoever holds `header` can move this amount to this payee, once.

    `header` is what the gateway is sent, `nonce` what makes a second move impossible, `valid_before` the end of its
    life in seconds since 1970.
    """

    network: str
    payee: str
    amount_usd: Decimal
    nonce: str
    valid_before: int
    header: str = field(repr=False)


@dataclass(frozen=True)
class Job:
    """Work that a gateway has accepted, and the payment that its polls carry, where a wallet pays for it."""

    id: str
    payment: Payment | None = None


@dataclass(frozen=True)
class Standing:
    """Where an attempt stands: what is set aside for it, its job once there is one, and what came of it in the end."""

    state: State
    held_usd: Decimal = Decimal(0)
    job: Job | None = None
    response: ImagesResponse | None = None


@dataclass(frozen=True)
class ExpectedCost:
    """What a request can cost, in US dollars: at least, and at most, which is `None` where nobody knows."""

    least_usd: Decimal = Decimal(0)
    most_usd: Decimal | None = None


class Attempt(Protocol):
    """One attempt to spend, written down before each step that cannot be taken back. `id` is its idempotency key.

    Each method returns when it is on disk; raises `LedgerError`.
    """

    @property
    def id(self) -> str:
        """A UUID, the same however often the request is sent."""
        ...

    @property
    def most_usd(self) -> Decimal | None:
        """The most that it was expected to cost when it was reserved; `None` where nobody knew."""
        ...

    async def quoted(self, exact_usd: Decimal) -> None:
        """Set aside the exact price instead; raises `BudgetExceededError` where the limits do not allow it."""
        ...

    async def signed(self, payment: Payment) -> None:
        """Note the payment that is about to leave; what is set aside for it stays so until it can no longer be used."""
        ...

    async def sent(self) -> None:
        """Note that the request, which may be charged, is about to leave."""
        ...

    async def accepted(self, job: str) -> None:
        """Note that the gateway has taken it on as a job, which can be asked after."""
        ...

    async def settled(self, response: ImagesResponse) -> None:
        """Note what came of it, and what it cost: the most that it could where the response does not say."""
        ...

    async def released(self) -> None:
        """Note that nothing was charged."""
        ...

    async def unknown(self) -> None:
        """Note that nobody knows whether it was charged; it counts as if it had been."""
        ...

    async def stopped(self) -> None:
        """Note that its work was stopped: nothing is charged for what had not left, and a job is left to others."""
        ...

    async def left(self) -> None:
        """Note that its caller has gone: the same call again may collect it."""
        ...

    async def told(self) -> None:
        """Note that its caller has been told what came of it: the same call again is another purchase."""
        ...

    async def look(self) -> Standing:
        """Return where it stands, also where another process works on it."""
        ...

    async def adopt(self) -> bool:
        """Become the one who asks after its job, and tell whether that was possible: nobody else does."""
        ...


class SpendLedger(Protocol):
    """Where attempts to spend are written down, and kept within the operator's limits."""

    async def find(self, request: ImageRequest, caller: Caller | None = None) -> Attempt | None:
        """Return an attempt at the same request whose caller has gone, to be collected; raises `LedgerError`.

        `caller` is who asks now; without one it is the process itself.
        """
        ...

    async def reserve(self, request: ImageRequest, cost: ExpectedCost, approval: str | None = None) -> Attempt:
        """Set aside the most that a request can cost, or where nobody knows that, the most that one call may.

        `approval`, the id of the user's, is good for one attempt.

        Raises `BudgetExceededError` where the limits do not allow it, `ConfirmationError` where the approval was used
        before, and `LedgerError` where it cannot be noted.
        """
        ...

    async def book(self, model: str, per_minute: int, within_seconds: float) -> float:
        """Book the next turn of a model that takes so many requests a minute, and return the seconds until then.

        A turn that is further away than `within_seconds` is not booked. Raises `LedgerError`.
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
        `StillDrawingError` for a job that takes long.
        """
        ...

    async def follow(self, job: Job, most: int, on_status: OnStatus) -> ImagesResponse:
        """Ask after a job until it has ended, and return its pictures, at most so many; raises as `generate` does."""
        ...

    async def quote(self, request: ImageRequest) -> Decimal | None:
        """Ask what a request would cost, in US dollars, for free; `None` where the gateway does not tell."""
        ...


class ImageStore(Protocol):
    """A place for what a result cannot hold: pictures that come as data, and URLs that are too long to tell."""

    async def save(self, picture: bytes) -> Path:
        """Write the picture and return its absolute path; raises `StorageError`."""
        ...

    async def save_url(self, url: str) -> Path:
        """Write the URL to a text file and return its absolute path; raises `StorageError`."""
        ...


class Ports(Protocol):
    """The adapters that a purchase uses, each opened when it is first needed."""

    @property
    def store(self) -> ImageStore | None:
        """Where pictures are kept that come as data."""
        ...

    @property
    def gateway_name(self) -> str:
        """The gateway's name, which does not open it; raises `ConfigurationError`."""
        ...

    async def gateway(self) -> ImageGateway:
        """Return the gateway; raises `ConfigurationError`."""
        ...

    async def ledger(self) -> SpendLedger:
        """Return the ledger; raises `ConfigurationError`."""
        ...


@dataclass(frozen=True)
class FixedPorts:
    """`Ports` whose adapters are open already; without a gateway, nothing can be made."""

    image_gateway: ImageGateway | None = None
    spend_ledger: SpendLedger | None = None
    store: ImageStore | None = None

    @property
    def gateway_name(self) -> str:
        """The gateway's name."""
        return self._gateway().name

    async def gateway(self) -> ImageGateway:
        """Return the gateway; raises `ConfigurationError` without one."""
        return self._gateway()

    async def ledger(self) -> SpendLedger:
        """Return the ledger; without one, nothing is written down."""
        return self.spend_ledger or Unrecorded()

    def _gateway(self) -> ImageGateway:
        if self.image_gateway is None:
            raise ConfigurationError("This toolset has no gateway.")
        return self.image_gateway


class Unrecorded:
    """A `SpendLedger` without limits that writes nothing down, and its `Attempt`."""

    def __init__(self, most_usd: Decimal | None = None) -> None:
        self.id = str(uuid.uuid4())
        self.most_usd = most_usd

    async def find(self, request: ImageRequest, caller: Caller | None = None) -> "Unrecorded | None":
        """Return nothing."""

    async def reserve(self, request: ImageRequest, cost: ExpectedCost, approval: str | None = None) -> "Unrecorded":
        """Return an attempt of its own."""
        return Unrecorded(cost.most_usd)

    async def book(self, model: str, per_minute: int, within_seconds: float) -> float:
        """Return that it is everybody's turn."""
        return 0

    async def quoted(self, exact_usd: Decimal) -> None:
        """Note nothing."""

    async def signed(self, payment: Payment) -> None:
        """Note nothing."""

    async def sent(self) -> None:
        """Note nothing."""

    async def accepted(self, job: str) -> None:
        """Note nothing."""

    async def settled(self, response: ImagesResponse) -> None:
        """Note nothing."""

    async def released(self) -> None:
        """Note nothing."""

    async def unknown(self) -> None:
        """Note nothing."""

    async def stopped(self) -> None:
        """Note nothing."""

    async def left(self) -> None:
        """Note nothing."""

    async def told(self) -> None:
        """Note nothing."""

    async def look(self) -> Standing:
        """Return that nobody knows."""
        return Standing("unknown")

    async def adopt(self) -> bool:
        """Return that it was not."""
        return False


class Runner(Protocol):
    """Does work that costs money, perhaps where it outlives a caller who leaves."""

    async def __call__(
        self, work: Callable[[], Awaitable[T]], timeout_seconds: float, left: Callable[[], Awaitable[None]], /
    ) -> T | None:
        """Return what the work returns, or raise what it raises; `None` when it takes longer than its caller waits.

        `left` is awaited when the work goes on without its caller, before that caller is told.
        """
        ...


async def run_here(
    work: Callable[[], Awaitable[T]], _timeout_seconds: float, _left: Callable[[], Awaitable[None]], /
) -> T | None:
    """Do the work in its caller's own task, to its end, as a `Runner`."""
    return await work()
