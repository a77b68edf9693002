"""One purchase: what it collects, what it waits for, and what it makes of callers who leave."""

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.fakes import OTHER_URL, URL, FakeGateway, at_most
from tests.unit.test_toolset_spending import FailingGateway, FakeLedger

from blockrun_image.callers import Caller
from blockrun_image.catalog import Catalog
from blockrun_image.errors import (
    ConfigurationError,
    GatewayError,
    GatewayUnavailableError,
    ImageError,
    LedgerError,
    OutcomeUnknownError,
    RateLimitError,
)
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, FixedPorts, Job, OnStatus, Standing, StillDrawingError, T, Unrecorded
from blockrun_image.purchase import Purchase
from blockrun_image.results import GeneratedImages, PendingImages
from blockrun_image.timings import CallTimings
from blockrun_image.toolset import ImageToolset

pytestmark = pytest.mark.anyio

REQUEST = ImageRequest("a cat", "dall-e-3", "1024x1024", "standard", 1)
PRICE = Decimal("0.042")
SETTLED = Standing("settled", PRICE, response=ImagesResponse([Image(URL)], PRICE))
SENT = Standing("sent", PRICE)
ACCEPTED = Standing("accepted", PRICE, Job("job_1"))


class EarlierAttempt(FakeLedger):
    """An attempt whose caller has gone, and the ledger that finds it: it stands so, time after time."""

    def __init__(self, *standings: Standing, adopted: bool = True, broken: Sequence[str] = ()) -> None:
        super().__init__(*broken)
        self._standings = list(standings)
        self._is_adopted = adopted

    async def find(self, request: ImageRequest, caller: Caller | None = None) -> "EarlierAttempt":
        await self._note("found")
        return self

    async def book(self, model: str, per_minute: int, within_seconds: float) -> float:
        await self._note("booked", model, per_minute)
        return 0

    async def look(self) -> Standing:
        await anyio.lowlevel.checkpoint()
        if "look" in self._broken:
            raise LedgerError("The disk is full.")
        return self._standings.pop(0) if len(self._standings) > 1 else self._standings[0]

    async def adopt(self) -> bool:
        await self._note("adopted", self._is_adopted)
        return self._is_adopted

    async def left(self) -> None:
        await self._note("left")


def ignore(_: str) -> None:
    pass


def purchase(ledger: Unrecorded, gateway: FakeGateway | None = None, **more: Any) -> Purchase:
    ports = FixedPorts(gateway or FakeGateway(Image(OTHER_URL), charged="0.05"), ledger)
    return Purchase(ports, REQUEST, at_most(PRICE), more.pop("on_status", ignore), **more)


async def test_what_an_earlier_call_has_bought_is_collected_and_nothing_is_sent() -> None:
    gateway, earlier = FakeGateway(Image(OTHER_URL)), EarlierAttempt(SETTLED)
    response = await purchase(earlier, gateway, per_minute=50).make()
    assert ([image.url for image in response.images], response.charged_usd) == ([URL], PRICE)
    assert "nothing more was charged" in response.warnings[-1]
    assert (gateway.requests, gateway.followed, earlier.notes) == ([], [], [("found",)])


async def test_what_an_earlier_call_has_bought_is_looked_for_once(catalog: Catalog) -> None:
    earlier = EarlierAttempt(SETTLED)

    async def approve(*call: object) -> str | None:
        raise AssertionError

    result = await ImageToolset(catalog, FakeGateway(), ledger=earlier).generate_image(
        "a cat", "dall-e-3", approve=approve
    )
    assert [image.url for image in result.images] == [URL]
    assert earlier.notes == [("found",), ("told",)]


async def test_the_job_of_an_earlier_call_is_adopted_followed_to_its_end_and_settled() -> None:
    gateway, earlier = FakeGateway(Image(URL), charged="0.05"), EarlierAttempt(ACCEPTED)
    response = await purchase(earlier, gateway).make()
    assert [image.url for image in response.images] == [URL]
    assert (gateway.requests, gateway.followed) == ([], [Job("job_1")])
    assert earlier.notes == [("found",), ("adopted", True), ("settled", Decimal("0.05"), [URL])]


@pytest.mark.parametrize("earlier", [EarlierAttempt(SENT, SETTLED), EarlierAttempt(ACCEPTED, SETTLED, adopted=False)])
async def test_what_others_still_work_on_is_waited_for(
    earlier: EarlierAttempt,
) -> None:
    told: list[str] = []
    response = await purchase(earlier, on_status=told.append, timings=CallTimings(attempt_poll_seconds=0)).make()
    assert [image.url for image in response.images] == [URL]
    assert told == ["an earlier call with the same arguments is still under way"]


async def test_an_earlier_call_that_cost_nothing_in_the_end_is_followed_by_a_purchase() -> None:
    gateway, earlier = FakeGateway(Image(URL), charged="0.05"), EarlierAttempt(Standing("released"))
    await purchase(earlier, gateway, per_minute=50).make()
    assert gateway.requests == [REQUEST]
    assert earlier.notes[:3] == [("found",), ("booked", "dall-e-3", 50), ("reserved", "dall-e-3", PRICE)]


async def test_an_earlier_call_whose_outcome_is_unknown_is_told_once_and_says_that_the_next_one_buys(
    catalog: Catalog,
) -> None:
    gateway, earlier = FakeGateway(Image(URL)), EarlierAttempt(Standing("unknown", PRICE))
    with pytest.raises(OutcomeUnknownError, match="nothing was sent now") as caught:
        await ImageToolset(catalog, gateway, ledger=earlier).generate_image("a cat", "dall-e-3")
    assert "the same call again buys a new picture" in caught.value.hint
    assert (caught.value.charged, gateway.requests) == ("unknown", [])
    assert earlier.notes == [("found",), ("told",)]


async def test_an_earlier_call_that_was_charged_and_brought_no_picture_is_told_as_that() -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        await purchase(EarlierAttempt(Standing("settled", PRICE, response=ImagesResponse((), PRICE)))).make()
    assert (caught.value.charged, caught.value.charged_usd) == ("yes", PRICE)


FOLLOWED_TO: Sequence[tuple[Exception, tuple[Any, ...]]] = [
    (GatewayError("The job failed.", charged="no"), ("released",)),
    (OutcomeUnknownError("The job is lost."), ("unknown",)),
    (StillDrawingError(), ("stopped",)),
    (ConfigurationError("No connection can be set up."), ("stopped",)),
]


class FailingJob(FakeGateway):
    """Has jobs that end with an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def follow(self, job: Job, most: int, on_status: OnStatus) -> ImagesResponse:
        raise self._error


@pytest.mark.parametrize(("error", "ending"), FOLLOWED_TO)
async def test_each_end_of_a_job_is_written_down_as_what_it_means_for_the_money(
    error: Exception, ending: tuple[Any, ...]
) -> None:
    earlier = EarlierAttempt(ACCEPTED)
    with pytest.raises(type(error)):
        await purchase(earlier, FailingJob(error)).make()
    assert earlier.notes[-1] == ending


@pytest.mark.parametrize(
    ("earlier", "gateway"),
    [
        (EarlierAttempt(ACCEPTED), FailingJob(ConfigurationError("No connection can be set up."))),
        (EarlierAttempt(ACCEPTED, broken=["look"]), FakeGateway(Image(URL))),
    ],
)
async def test_a_failure_on_this_side_leaves_what_an_earlier_call_has_begun_to_the_next(
    catalog: Catalog, earlier: EarlierAttempt, gateway: FakeGateway
) -> None:
    with pytest.raises(ImageError):
        await ImageToolset(catalog, gateway, ledger=earlier).generate_image("a cat", "dall-e-3")
    assert (earlier.notes[-1], gateway.requests) == (("left",), [])


async def test_a_job_that_nobody_asked_after_is_finished_without_a_caller() -> None:
    gateway, earlier = FakeGateway(Image(URL)), EarlierAttempt(ACCEPTED)
    finished = purchase(EarlierAttempt(ACCEPTED), gateway)
    response = await finished.finish(earlier)
    assert (response.images[0].url, gateway.followed) == (URL, [Job("job_1")])
    assert earlier.notes == [("adopted", True), ("settled", None, [URL])]
    with pytest.raises(StillDrawingError):
        await finished.finish(EarlierAttempt(Standing("released")))
    assert gateway.requests == []


async def test_a_caller_that_leaves_lets_go_of_what_others_work_on() -> None:
    earlier = EarlierAttempt(SENT)
    collecting = purchase(earlier)
    async with anyio.create_task_group() as tasks:

        async def collect() -> None:
            with pytest.raises(StillDrawingError):
                await collecting.make()

        tasks.start_soon(collect)
        await anyio.sleep(0.01)
        await collecting.left()
    assert earlier.notes == [("found",), ("left",)]


async def test_where_it_stands_is_not_known_before_there_is_an_attempt_nor_from_a_ledger_that_cannot_be_read() -> None:
    assert await purchase(Unrecorded()).look() is None
    await purchase(Unrecorded()).left()
    await purchase(Unrecorded()).told()
    broken = purchase(Unrecorded(), attempt=EarlierAttempt(SENT, broken=["look", "left", "told"]))
    assert await broken.look() is None
    await broken.left()
    await broken.told()
    assert await purchase(Unrecorded(), attempt=EarlierAttempt(SENT)).look() == SENT


async def test_an_attempt_that_is_written_down_nowhere_is_unknown_and_nobodys() -> None:
    assert await Unrecorded().look() == Standing("unknown")
    assert not await Unrecorded().adopt()
    assert await Unrecorded().find(REQUEST) is None
    assert await Unrecorded().book("dall-e-3", 50, 0) == 0
    await Unrecorded().stopped()


class Queue(FakeLedger):
    """A ledger whose next turn is so many seconds away."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self.within: list[float] = []

    async def book(self, model: str, per_minute: int, within_seconds: float) -> float:
        await anyio.lowlevel.checkpoint()
        self.within.append(within_seconds)
        return self._seconds


async def test_a_turn_that_comes_too_late_is_an_error_with_the_wait_and_sends_and_reserves_nothing() -> None:
    gateway, queue = FakeGateway(Image(URL)), Queue(12.34)
    with pytest.raises(RateLimitError, match="dall-e-3 takes 50 requests a minute, and its next turn is in 12 s") as e:
        await purchase(queue, gateway, per_minute=50, timings=CallTimings(call_timeout_seconds=12.5)).make()
    assert (e.value.type, e.value.charged, e.value.retryable) == ("rate_limit", "no", True)
    assert e.value.answer.retry_after_seconds == 12.3
    assert "Wait 12 seconds" in e.value.hint
    assert (gateway.requests, queue.notes) == ([], [])
    assert 9 < queue.within[0] <= 10


async def test_a_turn_that_comes_in_time_is_waited_for_and_told() -> None:
    gateway, told = FakeGateway(Image(URL)), list[str]()
    await purchase(Queue(0.02), gateway, per_minute=50, on_status=told.append).make()
    assert told == ["waiting 0 s for its turn: dall-e-3 takes 50 requests a minute", "drawing"]
    assert gateway.requests == [REQUEST]


async def test_a_model_without_a_limit_takes_no_turn(catalog: Catalog) -> None:
    queue = Queue(99)
    toolset = ImageToolset(catalog, FakeGateway(Image(URL)), ledger=queue, timings=CallTimings(call_timeout_seconds=1))
    await toolset.generate_image("a cat", "nano-banana-pro")
    assert queue.within == []
    with pytest.raises(RateLimitError):
        await toolset.generate_image("a cat", "nano-banana")


async def impatient(
    work: Callable[[], Awaitable[T]], timeout_seconds: float, left: Callable[[], Awaitable[None]], /
) -> T | None:
    """Wait for no work at all."""
    await left()
    return None


async def test_a_call_that_takes_longer_than_its_caller_waits_is_answered_with_what_is_held(catalog: Catalog) -> None:
    earlier = EarlierAttempt(Standing("accepted", Decimal("0.05"), Job("job_1")))
    toolset = ImageToolset(
        catalog, FakeGateway(), run=impatient, ledger=earlier, timings=CallTimings(call_timeout_seconds=1)
    )
    approved: list[object] = []

    async def approve(*call: object) -> str | None:
        await anyio.lowlevel.checkpoint()
        approved.append(call)
        return None

    result = await toolset.generate_image("a cat", "dall-e-3", approve=approve)
    assert_pending(result, held="0.05")
    assert (earlier.notes, approved) == ([("found",), ("left",)], [])


def assert_pending(result: GeneratedImages, held: str) -> None:
    assert isinstance(result, PendingImages)
    told = result.to_dict()
    assert (told["status"], told["images"], told["gateway"]) == ("pending", [], "pictures.example")
    assert told["cost"]["held_usd"] == held  # pyright: ignore[reportIndexIssue, reportUnknownVariableType] - JSON
    assert told["cost"]["charged_usd"] is None  # pyright: ignore[reportIndexIssue] - as above
    assert "The same generate_image call again" in str(told["next_step"])
    assert result.to_text().startswith("Pending: dall-e-3 standard 1024x1024 at pictures.example is still being made.")
    assert f"Held: ${held}. " in result.to_text()
    for addition in result.prompt.applied:
        assert addition.text in result.to_text()


async def test_what_is_held_is_the_estimate_where_the_ledger_does_not_tell(catalog: Catalog) -> None:
    result = await ImageToolset(catalog, FakeGateway(), run=impatient).generate_image("a cat", "dall-e-3")
    assert_pending(result, held="0.042")


async def test_a_job_that_takes_longer_than_it_is_asked_after_is_pending_as_well(catalog: Catalog) -> None:
    earlier = EarlierAttempt(ACCEPTED)
    toolset = ImageToolset(catalog, FailingGateway(StillDrawingError()), ledger=earlier)
    earlier.find = Unrecorded().find  # pyright: ignore[reportAttributeAccessIssue] - there is none to be collected
    assert_pending(await toolset.generate_image("a cat", "dall-e-3"), held="0.042")
    assert earlier.notes[-2:] == [("stopped",), ("left",)]


class PricedGateway(FakeGateway):
    """Tells prices, a millionth more than the model before; of the models that are called so it has none."""

    def __init__(self, *silent: str) -> None:
        super().__init__()
        self._silent = silent

    async def quote(self, request: ImageRequest) -> Decimal | None:
        self.requests.append(request)
        if request.model in self._silent:
            raise GatewayUnavailableError("No answer.")
        return Decimal(9) / 10 - Decimal(len(self.requests)) / 1_000_000


async def test_a_live_estimate_is_the_gateways_own_price_for_what_would_be_sent(catalog: Catalog) -> None:
    gateway = PricedGateway()
    toolset = ImageToolset(catalog, gateway)
    (priced,) = (await toolset.estimate_cost_live(live=True, model="dall-e-3", prompt="a cat", n=2)).estimates
    assert (priced.low_usd, priced.high_usd, priced.exact) == (Decimal("0.899999"), Decimal("0.899999"), True)
    assert priced.basis == "The gateway's own price, asked for just now without paying."
    sent = toolset.estimate_cost(model="dall-e-3", prompt="a cat", n=2).prompts["dall-e-3"].prompt
    assert gateway.requests == [ImageRequest(sent, "dall-e-3", "1024x1024", "standard", 2)]


async def test_live_estimates_are_compared_cheapest_first_and_a_price_that_is_not_told_is_warned_of(
    catalog: Catalog,
) -> None:
    gateway = PricedGateway("dall-e-3")
    told = await ImageToolset(catalog, gateway).estimate_cost_live(live=True)
    assert [each.model for each in told.estimates] == ["dall-e-3", "nano-banana-pro", "nano-banana", "dall-e-2"]
    assert [each.exact for each in told.estimates] == [True] * 4
    assert told.to_dict()["warnings"] == ["No answer."]
    assert told.to_text().endswith("\nWarning: No answer.")
    assert {request.prompt for request in gateway.requests} == {"A picture"}


async def test_a_live_estimate_without_any_price_is_the_first_error(catalog: Catalog) -> None:
    with pytest.raises(GatewayUnavailableError):
        await ImageToolset(catalog, PricedGateway(*catalog.models)).estimate_cost_live(live=True)
    with pytest.raises(ConfigurationError, match="only a wallet's does"):
        await ImageToolset(catalog, FakeGateway()).estimate_cost_live(live=True, model="dall-e-3")
    with pytest.raises(ConfigurationError, match="no gateway"):
        await ImageToolset(catalog).estimate_cost_live(live=True, model="dall-e-3")


async def test_an_estimate_that_is_not_live_asks_nobody(catalog: Catalog) -> None:
    gateway = PricedGateway()
    toolset = ImageToolset(catalog, gateway)
    told = await toolset.estimate_cost_live(model="dall-e-3", prompt="a cat")
    assert told == toolset.estimate_cost(model="dall-e-3", prompt="a cat")
    assert gateway.requests == []


class Leaving(FakeGateway):
    """Is cancelled in the middle of its work."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        super().__init__()
        self._scope = scope

    async def follow(self, job: Job, most: int, on_status: OnStatus) -> ImagesResponse:
        self._scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        return await self.follow(Job(""), 1, on_status)


async def test_a_job_whose_collector_is_cancelled_is_left_to_the_next() -> None:
    earlier = EarlierAttempt(ACCEPTED)
    with anyio.CancelScope() as scope:
        await purchase(earlier, Leaving(scope)).make()
    assert earlier.notes == [("found",), ("adopted", True), ("stopped",)]
