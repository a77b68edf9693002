"""Purchases of one picture, over fake adapters."""

from decimal import Decimal
from typing import Any

from tests.support.fakes import OTHER_URL, URL, EarlierCall, FakeGateway, at_most

from blockrun_image.attempts import Approval, AttemptState, AttemptStatus, CallInfo, Job, Order
from blockrun_image.fixed_ports import FixedPorts, run_in_place
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import ImageGateway, ImageStore, NeedsApproval, SpendLedger
from blockrun_image.purchase import Purchase
from blockrun_image.timings import CallTimings

REQUEST = ImageRequest("a cat", "dall-e-3", "1024x1024", "standard", 1)
PRICE = Decimal("0.042")
ORDER = Order(REQUEST, at_most(PRICE), per_minute=50)
SETTLED = AttemptStatus(AttemptState.SETTLED, response=ImagesResponse([Image(URL)], PRICE))
SENT = AttemptStatus(AttemptState.SENT)
ACCEPTED = AttemptStatus(AttemptState.ACCEPTED, Job("job_1"), is_claimable=True)
QUICK = CallTimings(attempt_poll_seconds=0)


async def nobody_is_asked(needed: NeedsApproval) -> Approval:
    """Fail: the user was asked."""
    raise AssertionError


def earlier(*statuses: AttemptStatus, **more: Any) -> EarlierCall:
    """Return a ledger in which an earlier call is found."""
    return EarlierCall(REQUEST, *statuses, **more)


def purchase(
    ledger: SpendLedger, gateway: ImageGateway | None = None, store: ImageStore | None = None, **more: Any
) -> Purchase:
    """Return a purchase of the order, from a gateway that draws at once."""
    ports = FixedPorts(gateway or FakeGateway(Image(OTHER_URL), charged="0.05"), ledger, store)
    defaults: dict[str, Any] = {"order": ORDER, "timings": QUICK, "run": run_in_place}
    return Purchase(ports, CallInfo("key"), **{**defaults, **more})


async def made(purchase: Purchase) -> ImagesResponse:
    """Wait for the pictures, about which nobody is asked."""
    response = await purchase.result(9, nobody_is_asked)
    assert response is not None
    return response
