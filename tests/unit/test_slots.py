"""Purchases that wait for a slot, and how long their requests may wait."""

from dataclasses import replace

import pytest
from tests.support.fakes import (
    URL,
    FakeGateway,
    FakeLedger,
)
from tests.support.purchases import (
    ORDER,
    REQUEST,
    made,
    purchase,
)

from blockrun_image.attempts import CallInfo, Order
from blockrun_image.catalog import Catalog
from blockrun_image.errors import (
    RateLimitError,
)
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.null_ledger import NullLedger
from blockrun_image.ports import (
    Attempt,
    NothingFound,
    OnStatus,
    Reserved,
    SlotBooked,
)
from blockrun_image.timings import CallTimings
from blockrun_image.toolset import ImageToolset

pytestmark = pytest.mark.anyio


def queue(seconds: float, id: str | None = "slot-1") -> FakeLedger:
    """Return a ledger whose next slot is so many seconds away."""
    return FakeLedger(SlotBooked(ORDER, id, seconds))


@pytest.mark.parametrize(("seconds", "id"), [(12.34, "slot-1"), (12.34, None), (0.0, None)])
async def test_slot_that_is_too_late_raises_with_the_wait(seconds: float, id: str | None) -> None:
    gateway, ledger = FakeGateway(Image(URL)), queue(seconds, id)
    with pytest.raises(RateLimitError) as caught:
        await made(purchase(ledger, gateway, timings=CallTimings(call_timeout_seconds=12.5)))
    error = caught.value
    assert error.message == f"dall-e-3 accepts 50 requests a minute; the next one can be sent in {seconds:.0f} s."
    assert (error.code, error.charged, error.retryable) == ("rate_limit", "no", True)
    assert error.answer.retry_after_seconds == round(seconds, 1)
    assert f"Wait {seconds:.0f} seconds" in error.hint
    assert (gateway.requests, ledger.notes) == ([], [])


async def test_slot_in_time_is_awaited_and_used() -> None:
    gateway, told, ledger = FakeGateway(Image(URL)), list[str](), queue(0.02)
    await made(purchase(ledger, gateway, listeners=[told.append]))
    assert told == ["waiting 0 s, because dall-e-3 accepts 50 requests a minute", "drawing"]
    assert gateway.requests == [REQUEST]
    assert ledger.orders == [ORDER, replace(ORDER, slot="slot-1")]


async def test_order_carries_the_remaining_time_to_send() -> None:
    class Watched(NullLedger):
        async def begin(self, call: CallInfo, order: Order | None) -> Reserved | NothingFound:
            assert order is not None
            seen.append(order.send_seconds)
            return await super().begin(call, order)

    seen: list[float] = []
    await made(purchase(Watched(), timings=CallTimings(call_timeout_seconds=12.5)))
    assert 9 < seen[0] <= 10


async def test_gateway_receives_the_remaining_time_to_send() -> None:
    class Watched(FakeGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            seen.append(within_seconds)
            return await super().generate(request, attempt, on_status, within_seconds)

    seen: list[float] = []
    await made(purchase(NullLedger(), Watched(Image(URL)), timings=CallTimings(call_timeout_seconds=12.5)))
    assert 9 < seen[0] <= 10


async def test_order_carries_its_models_rate_limit(catalog: Catalog) -> None:
    ledger = FakeLedger()
    toolset = ImageToolset(catalog, FakeGateway(Image(URL)), ledger=ledger)
    await toolset.generate_image("a cat", "nano-banana-pro")
    await toolset.generate_image("a cat", "nano-banana")
    limits = [catalog.find(model).requests_per_minute for model in ("nano-banana-pro", "nano-banana")]
    assert [order and order.per_minute for order in ledger.orders] == limits
    assert limits[0] is None
    assert limits[1] is not None
