"""One purchase: what it collects, what it waits for, and how each of its ends is noted."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import anyio
import pytest
from tests.support.fakes import (
    HELD,
    OTHER_URL,
    URL,
    EarlierCall,
    FailingGateway,
    FakeAttempt,
    FakeGateway,
    FakeLedger,
    Note,
)
from tests.support.purchases import (
    ACCEPTED,
    ORDER,
    PRICE,
    QUICK,
    REQUEST,
    SENT,
    SETTLED,
    earlier,
    made,
    purchase,
)

from blockrun_image.attempts import AttemptState, AttemptStatus, CallInfo, Job
from blockrun_image.catalog import Catalog
from blockrun_image.errors import (
    BudgetExceededError,
    ConfigurationError,
    GatewayError,
    ImageError,
    InvalidRequestError,
    LedgerError,
    OutcomeUnknownError,
)
from blockrun_image.fixed_ports import FixedPorts, run_in_place
from blockrun_image.images import Image, ImagesResponse
from blockrun_image.null_ledger import NullLedger
from blockrun_image.ports import (
    Attempt,
    Collected,
    ImageGateway,
    JobPending,
    NothingFound,
    OnStatus,
)
from blockrun_image.purchase import Purchase
from blockrun_image.toolset import ImageToolset

pytestmark = pytest.mark.anyio

# what an earlier call has bought


async def test_earlier_purchase_is_collected_without_sending_a_request() -> None:
    gateway, ledger = FakeGateway(Image(OTHER_URL)), earlier(SETTLED)
    response = await made(purchase(ledger, gateway))
    assert ([image.url for image in response.images], response.charged_usd) == ([URL], PRICE)
    assert response.warnings[-1].startswith("An earlier call with the same arguments paid for this; nothing more")
    assert (gateway.requests, gateway.polled, ledger.notes) == ([], [], [])


async def test_repeated_pictures_explain_how_to_get_others() -> None:
    attempt = FakeAttempt(REQUEST, SETTLED)
    response = await made(purchase(FakeLedger(Collected(attempt, is_repeat=True))))
    assert response.warnings[-1].startswith("These pictures are from the same call moments ago")
    assert "change the prompt" in response.warnings[-1]


async def test_warnings_of_the_earlier_call_come_first() -> None:
    assert SETTLED.response is not None
    status = replace(SETTLED, response=replace(SETTLED.response, warnings=["It is blurred."]))
    assert (await made(purchase(earlier(status)))).warnings[0] == "It is blurred."


async def test_job_of_an_earlier_call_is_claimed_polled_and_settled() -> None:
    gateway, ledger = FakeGateway(Image(URL), charged="0.05"), earlier(ACCEPTED)
    response = await made(purchase(ledger, gateway))
    assert [image.url for image in response.images] == [URL]
    assert (gateway.requests, gateway.polled) == ([], [Job("job_1")])
    assert ledger.notes == [("claimed", True), ("polled", 0.0), ("settled", Decimal("0.05"), [URL])]


@pytest.mark.parametrize(
    ("status", "more", "notes"),
    [
        (SENT, {}, []),
        (AttemptStatus(AttemptState.RESERVED), {}, []),
        (ACCEPTED, {"claimed": False}, [("claimed", False)]),
        (replace(ACCEPTED, is_claimable=False), {}, []),
    ],
)
async def test_attempt_in_progress_elsewhere_is_awaited(
    status: AttemptStatus, more: dict[str, Any], notes: Sequence[Note]
) -> None:
    told, ledger, gateway = list[str](), earlier(status, SETTLED, **more), FakeGateway()
    response = await made(purchase(ledger, gateway, listeners=[told.append]))
    assert [image.url for image in response.images] == [URL]
    assert told == ["an earlier call with the same arguments is still under way"]
    assert (ledger.notes, gateway.polled) == (notes, [])


async def test_released_earlier_attempt_is_followed_by_a_purchase() -> None:
    gateway, ledger = FakeGateway(Image(OTHER_URL), charged="0.05"), earlier(AttemptStatus(AttemptState.RELEASED))
    buying = purchase(ledger, gateway)
    assert (await made(buying)).images[0].url == OTHER_URL
    assert gateway.requests == [REQUEST]
    assert ledger.orders == [ORDER, ORDER]
    assert ledger.notes == [("reserved", "dall-e-3", PRICE), ("settled", Decimal("0.05"), [OTHER_URL])]
    assert buying.attempt is not ledger.attempt


async def test_released_earlier_attempt_is_forgotten() -> None:
    released = FakeAttempt(REQUEST, AttemptStatus(AttemptState.RELEASED))
    buying = purchase(FakeLedger(Collected(released), BudgetExceededError("Too dear.")))
    with pytest.raises(BudgetExceededError):
        await made(buying)
    assert (buying.attempt, buying.request) == (None, REQUEST)


UNKNOWN_ONES = [AttemptStatus(AttemptState.HELD), AttemptStatus(AttemptState.UNKNOWN), replace(SENT, is_overdue=True)]


@pytest.mark.parametrize("status", UNKNOWN_ONES)
async def test_unknown_earlier_outcome_is_an_error_and_buys_nothing(catalog: Catalog, status: AttemptStatus) -> None:
    gateway, ledger = FakeGateway(Image(URL)), earlier(status)
    with pytest.raises(OutcomeUnknownError, match="nothing was sent now") as caught:
        await ImageToolset(catalog, gateway, ledger=ledger).generate_image("a cat", "dall-e-3")
    assert "repeating the call buys a new picture" in caught.value.hint
    assert (caught.value.charged, gateway.requests) == ("unknown", [])
    assert ledger.notes == [("delivered", "unknown")]


async def test_earlier_charge_without_a_picture_is_reported_as_charged(catalog: Catalog) -> None:
    ledger = earlier(replace(SETTLED, response=ImagesResponse((), PRICE)))
    with pytest.raises(OutcomeUnknownError) as caught:
        await ImageToolset(catalog, FakeGateway(), ledger=ledger).generate_image("a cat", "dall-e-3")
    assert (caught.value.charged, caught.value.charged_usd) == ("yes", PRICE)
    assert ledger.notes == [("delivered",)]


ENDS_OF_JOBS: Sequence[tuple[Exception, Note]] = [
    (GatewayError("The job failed.", charged="no"), ("released",)),
    (OutcomeUnknownError("The job is lost."), ("unknown",)),
    (OutcomeUnknownError("It made nothing.", charged="yes"), ("settled", None, [])),
    (ConfigurationError("No connection can be set up."), ("stopped",)),
]


@pytest.mark.parametrize(("error", "ending"), ENDS_OF_JOBS)
async def test_each_end_of_a_job_is_recorded_by_its_charge(error: Exception, ending: Note) -> None:
    ledger = earlier(ACCEPTED)
    with pytest.raises(type(error)):
        await made(purchase(ledger, FailingGateway(error)))
    assert ledger.notes[-1] == ending


@pytest.mark.parametrize(
    ("ledger", "gateway"),
    [
        (earlier(ACCEPTED), FailingGateway(ConfigurationError("No connection can be set up."))),
        (earlier(ACCEPTED, broken=["status"]), FakeGateway(Image(URL))),
    ],
)
async def test_local_failure_abandons_an_earlier_attempt_for_the_next_call(
    catalog: Catalog, ledger: EarlierCall, gateway: FakeGateway
) -> None:
    with pytest.raises(ImageError):
        await ImageToolset(catalog, gateway, ledger=ledger).generate_image("a cat", "dall-e-3")
    assert (ledger.notes[-1], gateway.requests) == (("abandoned",), [])


async def test_unreadable_earlier_attempt_may_have_been_charged() -> None:
    with pytest.raises(LedgerError) as caught:
        await made(purchase(earlier(SENT, broken=["status"])))
    assert (caught.value.charged, caught.value.message) == ("unknown", "The disk is full.")
    assert "Repeat the call to collect its pictures" in caught.value.hint


async def test_claimed_job_is_finished_without_a_caller() -> None:
    gateway, ledger = FakeGateway(Image(URL)), earlier(ACCEPTED)
    finishing = purchase(FakeLedger(), gateway, order=None)
    response = await finishing.finish(ledger.attempt, Job("job_1"))
    assert (response.images[0].url, gateway.polled) == (URL, [Job("job_1")])
    assert ledger.notes == [("polled", 0.0), ("settled", None, [URL])]


async def test_claim_on_an_unfinished_job_is_released() -> None:
    ledger = earlier(ACCEPTED)
    with pytest.raises(JobPending):
        await purchase(FakeLedger(), FailingGateway(JobPending()), order=None).finish(ledger.attempt, Job("job_1"))
    assert ledger.notes == [("stopped",)]


class Leaving(FakeGateway):
    """Is cancelled in the middle of its work."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        super().__init__()
        self._scope = scope

    async def poll(self, job: Job, attempt: Attempt, on_status: OnStatus) -> ImagesResponse:
        self._scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError


async def test_cancelled_collector_releases_its_claim_and_abandons() -> None:
    ledger = earlier(ACCEPTED)
    with anyio.CancelScope() as scope:
        await made(purchase(ledger, Leaving(scope)))
    assert scope.cancelled_caught
    assert ledger.notes == [("claimed", True), ("stopped",), ("abandoned",)]


# what nobody has bought before


async def test_refusal_is_raised_if_nothing_can_be_collected() -> None:
    refusal = InvalidRequestError("There is no such size.")
    with pytest.raises(InvalidRequestError) as caught:
        await made(purchase(NullLedger(), order=None, refusal=refusal))
    assert caught.value is refusal


async def test_purchase_without_order_or_refusal_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="nothing to buy"):
        await made(purchase(FakeLedger(NothingFound()), order=None))


async def test_purchase_collects_even_if_the_gateway_cannot_be_opened() -> None:
    class ClosedPorts(FixedPorts):
        async def gateway(self) -> ImageGateway:
            raise ConfigurationError("There is no key.")

    ledger = earlier(SETTLED)
    collecting = Purchase(ClosedPorts(None, ledger), CallInfo("key"), ORDER, QUICK, run_in_place)
    assert (await made(collecting)).images[0].url == URL
    assert ledger.orders == [None]
    refused = Purchase(ClosedPorts(None, NullLedger()), CallInfo("key"), ORDER, QUICK, run_in_place)
    with pytest.raises(ConfigurationError, match="There is no key"):
        await made(refused)


@pytest.mark.parametrize("error", [ConfigurationError("No folder."), LedgerError("The disk is full.")])
async def test_refusal_takes_precedence_over_a_ledger_error(error: ImageError) -> None:
    refusal = InvalidRequestError("There is no such size.")
    with pytest.raises(InvalidRequestError):
        await made(purchase(FakeLedger(error), order=None, refusal=refusal))
    with pytest.raises(type(error)):
        await made(purchase(FakeLedger(error)))


async def test_order_over_a_limit_raises_and_sends_nothing() -> None:
    gateway = FakeGateway(Image(URL))
    with pytest.raises(BudgetExceededError):
        await made(purchase(FakeLedger(BudgetExceededError("Too dear.")), gateway))
    assert gateway.requests == []


# slots


# callers that leave


async def test_held_amount_is_that_of_its_attempt() -> None:
    assert purchase(NullLedger()).reserved_usd == 0
    assert purchase(NullLedger(), attempt=FakeAttempt(REQUEST, broken=["status"])).reserved_usd == HELD


async def test_request_is_the_one_that_was_sent() -> None:
    other = replace(REQUEST, prompt="a dog")
    assert purchase(NullLedger(), order=None).request is None
    assert purchase(NullLedger()).request == REQUEST
    assert purchase(NullLedger(), attempt=FakeAttempt(other)).request == other


# without a ledger


@pytest.mark.parametrize("charged", [PRICE, None])
async def test_earlier_charge_without_pictures_names_the_saved_answer(charged: Decimal | None) -> None:
    kept = ImagesResponse((), charged, ["The answer is saved unchanged: /pictures/1.bin"])
    attempt = FakeAttempt(REQUEST, AttemptStatus(AttemptState.SETTLED, response=kept))
    with pytest.raises(OutcomeUnknownError, match=r"returned no picture\. The answer is saved unchanged") as caught:
        await made(purchase(FakeLedger(Collected(attempt))))
    assert (caught.value.charged, caught.value.charged_usd) == ("yes", charged)
