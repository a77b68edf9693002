"""What the toolset needs from the world, as protocols for adapters to fulfil."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from blockrun_image.images import Image, ImageRequest, ImagesResponse

T = TypeVar("T")

OnStatus: TypeAlias = Callable[[str], None]
"""Is told in a few words what a call is waiting for."""


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


class Attempt(Protocol):
    """One attempt to spend, written down before each step that cannot be taken back. `id` is its idempotency key.

    Each method returns when it is on disk; raises `LedgerError`.
    """

    @property
    def id(self) -> str:
        """A UUID, the same however often the request is sent."""
        ...

    @property
    def most_usd(self) -> Decimal:
        """The most that it was expected to cost when it was reserved."""
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

    async def settled(self, charged_usd: Decimal | None, images: Sequence[Image]) -> None:
        """Note what it cost, the most that it could cost where that is `None`, and the pictures' URLs."""
        ...

    async def released(self) -> None:
        """Note that nothing was charged."""
        ...

    async def unknown(self) -> None:
        """Note that nobody knows whether it was charged; it counts as if it had been."""
        ...


class SpendLedger(Protocol):
    """Where attempts to spend are written down, and kept within the operator's limits."""

    async def reserve(self, request: ImageRequest, most_usd: Decimal, approval: str | None = None) -> Attempt:
        """Set aside the most that a request can cost; `approval`, the id of the user's, is good for one attempt.

        Raises `BudgetExceededError` where the limits do not allow it, `ConfirmationError` where the approval was used
        before, and `LedgerError` where it cannot be noted.
        """
        ...


class ImageGateway(Protocol):
    """Something that makes pictures and charges for them."""

    @property
    def name(self) -> str:
        """What to call it before the asker: its host, or `sandbox`."""
        ...

    async def generate(self, request: ImageRequest, attempt: Attempt, on_status: OnStatus) -> ImagesResponse:
        """Make the pictures, sending a request that may be charged at most once; raises `ImageError`.

        It tells the attempt before the request leaves. It lets a cancellation through only while nothing is under way
        that may be charged.
        """
        ...


class ImageStore(Protocol):
    """A place for what a result cannot hold: pictures that come as data, and URLs that are too long to tell."""

    async def save(self, picture: bytes) -> Path:
        """Write the picture and return its absolute path; raises `StorageError`."""
        ...

    async def save_url(self, url: str) -> Path:
        """Write the URL to a text file and return its absolute path; raises `StorageError`."""
        ...


class Unrecorded:
    """A `SpendLedger` without limits that writes nothing down, and its `Attempt`."""

    def __init__(self, most_usd: Decimal = Decimal(0)) -> None:
        self.id = str(uuid.uuid4())
        self.most_usd = most_usd

    async def reserve(self, request: ImageRequest, most_usd: Decimal, approval: str | None = None) -> "Unrecorded":
        """Return an attempt of its own."""
        return Unrecorded(most_usd)

    async def quoted(self, exact_usd: Decimal) -> None:
        """Note nothing."""

    async def signed(self, payment: Payment) -> None:
        """Note nothing."""

    async def sent(self) -> None:
        """Note nothing."""

    async def accepted(self, job: str) -> None:
        """Note nothing."""

    async def settled(self, charged_usd: Decimal | None, images: Sequence[Image]) -> None:
        """Note nothing."""

    async def released(self) -> None:
        """Note nothing."""

    async def unknown(self) -> None:
        """Note nothing."""


class Runner(Protocol):
    """Does work that costs money, perhaps where it outlives a caller who leaves."""

    async def __call__(self, work: Callable[[], Awaitable[T]], /) -> T:
        """Return what the work returns, or raise what it raises."""
        ...


async def run_here(work: Callable[[], Awaitable[T]], /) -> T:
    """Do the work in its caller's own task, as a `Runner`."""
    return await work()
