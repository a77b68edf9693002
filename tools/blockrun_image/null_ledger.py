"""A ledger without limits that records nothing."""

import uuid
from collections.abc import Sequence
from decimal import Decimal

from blockrun_image.attempts import Approval, AttemptState, AttemptStatus, CallInfo, Order, Payment, Quote
from blockrun_image.callers import Caller
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import NothingFound, Reserved


class NullLedger:
    """A `SpendLedger` without limits or earlier calls."""

    async def begin(self, call: CallInfo, order: Order | None) -> Reserved | NothingFound:
        """Return an attempt at the order."""
        return NothingFound() if order is None else Reserved(NullAttempt(order.request, order.cost.max_usd))

    async def charged_lately(self, requests: Sequence[ImageRequest]) -> Sequence[Decimal | None]:
        """Return no charges."""
        return [None] * len(requests)

    async def picture(self, id: str) -> Image | None:
        """Return no image."""
        return None

    async def last_pictures(self, caller: Caller | None) -> Sequence[Image]:
        """Return no images."""
        return ()


class NullAttempt:
    """An `Attempt` that records nothing."""

    def __init__(self, request: ImageRequest, max_usd: Decimal | None = None) -> None:
        self.id = str(uuid.uuid4())
        self.request = request
        self.max_usd = max_usd
        self.reserved_usd = Decimal(0)

    async def quoted(self, quote: Quote) -> None:
        """Record nothing."""

    async def approve(self, approval: Approval) -> bool:
        """Accept the approval."""
        return True

    async def signed(self, payment: Payment) -> None:
        """Record nothing."""

    async def sent(self) -> None:
        """Record nothing."""

    async def refused_for_now(self) -> None:
        """Record nothing."""

    async def accepted(self, job: str, charged_usd: Decimal | None = None) -> bool:
        """Return `False`: no other process knows of the job."""
        return False

    async def polled(self, next_seconds: float) -> None:
        """Record nothing."""

    async def settled(self, response: ImagesResponse) -> Sequence[str]:
        """Record nothing."""
        return ()

    async def note_files(self, images: Sequence[Image]) -> None:
        """Record nothing."""

    async def released(self) -> None:
        """Record nothing."""

    async def mark_unknown(self, warnings: Sequence[str] = (), *, is_over: bool = False) -> None:
        """Record nothing."""

    async def stopped(self) -> None:
        """Record nothing."""

    async def status(self) -> AttemptStatus:
        """Return an unknown status."""
        return AttemptStatus(AttemptState.UNKNOWN)

    async def claim(self) -> bool:
        """Return `False`: there is no job to claim."""
        return False

    async def mark_abandoned(self) -> None:
        """Record nothing."""

    async def mark_delivered(
        self,
        *,
        is_repeatable: bool = False,
        is_unknown: bool = False,
        mentioned_ids: Sequence[str] = (),
    ) -> None:
        """Record nothing."""
