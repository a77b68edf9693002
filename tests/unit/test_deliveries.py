"""What becomes of an answer, as the toolset notes it."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import anyio
import anyio.lowlevel
import pytest
from tests.support.fakes import (
    OTHER_URL,
    URL,
    EarlierCall,
    FailingGateway,
    FakeAttempt,
    FakeDelivery,
    FakeGateway,
    FakeLedger,
    GatedGateway,
    Note,
)
from tests.support.listings import image, joined

from blockrun_image.attempts import AttemptState, AttemptStatus, CallInfo, Order, UncollectedPictures
from blockrun_image.callers import DeliveryEvent
from blockrun_image.catalog import Catalog
from blockrun_image.errors import (
    ConfigurationError,
    ContentPolicyError,
    ImageError,
    LedgerError,
    ModelNotFoundError,
    OutcomeUnknownError,
    StorageError,
    UnknownModelError,
)
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, Begun, Collected, JobPending, NothingFound, OnStatus, Reserved
from blockrun_image.timings import CallTimings
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.tasks import TaskSupervisor

pytestmark = pytest.mark.anyio

WRITTEN, LOST, CANCELLED = DeliveryEvent.WRITTEN, DeliveryEvent.LOST, DeliveryEvent.CANCELLED
REQUEST = ImageRequest("a cat", "dall-e-3", "1024x1024", "standard", 1)
SLOW = CallTimings(slow_call_seconds=0)


def toolset(
    catalog: Catalog, ledger: FakeLedger, gateway: FakeGateway | None = None, timings: CallTimings | None = None
) -> ImageToolset:
    return ImageToolset(catalog, gateway or FakeGateway(Image(URL)), ledger=ledger, timings=timings)


def steps(ledger: FakeLedger) -> Sequence[Note]:
    """Return what was noted after the call was answered."""
    return [note for note in ledger.notes if note[0] in ("delivered", "abandoned")]


@pytest.mark.parametrize(
    ("events", "notes"),
    [
        ([], []),
        ([WRITTEN], [("delivered",)]),
        ([LOST], [("abandoned",)]),
        ([CANCELLED], [("delivered", "repeatable")]),
        ([WRITTEN, CANCELLED], [("delivered",), ("delivered", "repeatable")]),
    ],
)
async def test_answer_is_recorded_as_its_delivery_reports(
    catalog: Catalog, events: Sequence[DeliveryEvent], notes: Sequence[Note]
) -> None:
    ledger, delivery = FakeLedger(), FakeDelivery()
    await toolset(catalog, ledger).generate_image("a cat", "dall-e-3", delivery=delivery)
    assert steps(ledger) == []
    for event in events:
        await delivery.tell(event)
    assert steps(ledger) == notes


async def test_slow_written_answer_is_repeatable(catalog: Catalog) -> None:
    ledger, delivery = FakeLedger(), FakeDelivery()
    await toolset(catalog, ledger, timings=SLOW).generate_image("a cat", "dall-e-3", delivery=delivery)
    await delivery.tell(WRITTEN)
    assert steps(ledger) == [("delivered", "repeatable")]


@pytest.mark.parametrize(
    ("timings", "event", "noted"),
    [
        (None, WRITTEN, ("delivered", "unknown")),
        (None, CANCELLED, ("abandoned",)),
        (SLOW, WRITTEN, ("abandoned",)),
    ],
)
async def test_unknown_outcome_is_abandoned_if_the_caller_may_have_missed_it(
    catalog: Catalog, timings: CallTimings | None, event: DeliveryEvent, noted: tuple[str, ...]
) -> None:
    ledger, delivery, gateway = FakeLedger(), FakeDelivery(), FailingGateway(OutcomeUnknownError("Silence."))
    with pytest.raises(OutcomeUnknownError):
        await toolset(catalog, ledger, gateway, timings).generate_image("a cat", "dall-e-3", delivery=delivery)
    await delivery.tell(event)
    assert steps(ledger) == [noted]


async def test_charged_error_is_not_repeatable(catalog: Catalog) -> None:
    ledger, delivery = FakeLedger(), FakeDelivery()
    gateway = FailingGateway(OutcomeUnknownError("No image.", charged="yes"))
    with pytest.raises(OutcomeUnknownError):
        await toolset(catalog, ledger, gateway, SLOW).generate_image("a cat", "dall-e-3", delivery=delivery)
    await delivery.tell(CANCELLED)
    assert steps(ledger) == [("delivered",)]


async def test_slow_delivery_does_not_make_an_answer_repeatable(catalog: Catalog) -> None:
    ledger, delivery = FakeLedger(), FakeDelivery()
    answering = toolset(catalog, ledger)
    await answering.generate_image("a cat", "dall-e-3", delivery=delivery)
    (call,) = answering._calls._calls  # pyright: ignore[reportPrivateUsage] - to make it older
    call.arrived_at -= 9
    await delivery.tell(WRITTEN)
    assert steps(ledger) == [("delivered",)]


async def test_slow_call_without_a_delivery_is_not_repeatable(catalog: Catalog) -> None:
    ledger = FakeLedger()
    await toolset(catalog, ledger, timings=SLOW).generate_image("a cat", "dall-e-3")
    assert steps(ledger) == [("delivered",)]


async def test_answer_to_a_call_that_may_have_waited_is_repeatable(catalog: Catalog) -> None:
    ledger, delivery = FakeLedger(), FakeDelivery()
    await toolset(catalog, ledger).generate_image("a cat", "dall-e-3", delivery=delivery, arrived_at=-math.inf)
    await delivery.tell(WRITTEN)
    assert steps(ledger) == [("delivered", "repeatable")]


@pytest.mark.parametrize(
    ("error", "written", "lost"),
    [
        (ContentPolicyError("No."), [], [("abandoned",)]),
        (OutcomeUnknownError("Silence."), [("delivered", "unknown")], [("abandoned",)]),
        (OutcomeUnknownError("Useless.", charged="yes"), [("delivered",)], [("abandoned",)]),
        (StorageError("The disk is full."), [("delivered",)], [("abandoned",)]),
        (ConfigurationError("No connection."), [("abandoned",)], [("abandoned",)]),
        (LedgerError("The disk is full."), [("abandoned",)], [("abandoned",)]),
        (ZeroDivisionError(), [("delivered", "unknown")], [("abandoned",)]),
    ],
)
async def test_error_is_recorded_as_its_delivery_reports(
    catalog: Catalog, error: Exception, written: Sequence[Note], lost: Sequence[Note]
) -> None:
    for event, notes in ((WRITTEN, written), (LOST, lost)):
        ledger, delivery = FakeLedger(), FakeDelivery()
        with pytest.raises(type(error)):
            await toolset(catalog, ledger, FailingGateway(error)).generate_image("a cat", "dall-e-3", delivery=delivery)
        assert steps(ledger) == []
        await delivery.tell(event)
        assert steps(ledger) == notes


async def test_pending_answer_is_abandoned_without_waiting_for_delivery(catalog: Catalog) -> None:
    ledger, delivery = FakeLedger(), FakeDelivery()
    await toolset(catalog, ledger, FailingGateway(JobPending())).generate_image("a cat", "dall-e-3", delivery=delivery)
    assert steps(ledger) == [("abandoned",)]
    with pytest.raises(ValueError, match="unpack"):
        await delivery.tell(WRITTEN)


async def test_call_without_a_reservation_records_nothing(catalog: Catalog) -> None:
    delivery, ledger = FakeDelivery(), FakeLedger(ConfigurationError("No folder."))
    with pytest.raises(ConfigurationError):
        await toolset(catalog, ledger).generate_image("a cat", "dall-e-3", delivery=delivery)
    await delivery.tell(WRITTEN)
    assert ledger.notes == []


async def share(catalog: Catalog, ledger: FakeLedger) -> tuple[FakeDelivery, FakeDelivery]:
    """Return the deliveries of two calls that share a purchase."""
    gateway, deliveries = GatedGateway(), (FakeDelivery(), FakeDelivery())
    sharing = toolset(catalog, ledger, gateway, CallTimings(join_seconds=0))
    async with anyio.create_task_group() as tasks:
        for delivery in deliveries:
            tasks.start_soon(lambda delivery=delivery: sharing.generate_image("a cat", "dall-e-3", delivery=delivery))
            for _ in range(9):
                await anyio.lowlevel.checkpoint()
        gateway.gate.set()
    assert len(gateway.requests) == 1
    return deliveries


@pytest.mark.parametrize(
    ("events", "notes"),
    [
        ((LOST, WRITTEN), [("delivered",)]),
        ((WRITTEN, LOST), [("delivered",), ("abandoned",)]),  # which no longer counts: the ledger knows
        ((LOST, LOST), [("abandoned",)]),
        ((WRITTEN, WRITTEN), [("delivered",), ("delivered",)]),
    ],
)
async def test_shared_purchase_is_abandoned_only_with_its_last_call(
    catalog: Catalog, events: tuple[DeliveryEvent, DeliveryEvent], notes: Sequence[Note]
) -> None:
    ledger = FakeLedger()
    for delivery, event in zip(await share(catalog, ledger), events, strict=True):
        await delivery.tell(event)
    assert steps(ledger) == notes


async def test_call_can_be_joined_until_its_answer_is_written(catalog: Catalog) -> None:
    ledger, gateway, first, second = FakeLedger(), FakeGateway(Image(URL)), FakeDelivery(), FakeDelivery()
    joining = toolset(catalog, ledger, gateway, CallTimings(join_seconds=0))
    await joining.generate_image("a cat", "dall-e-3", delivery=first)
    result = await joining.generate_image("a cat", "dall-e-3", delivery=second)
    assert ([each.url for each in result.images], len(gateway.requests)) == ([URL], 1)
    await first.tell(WRITTEN)
    await second.tell(WRITTEN)
    await joining.generate_image("a cat", "dall-e-3")
    assert len(gateway.requests) == 2


JOINING = CallTimings(join_seconds=0)


async def test_error_is_shared_until_it_is_written(catalog: Catalog) -> None:
    ledger, gateway, first = FakeLedger(), FailingGateway(ContentPolicyError("No.")), FakeDelivery()
    joining = toolset(catalog, ledger, gateway, JOINING)
    for delivery in (first, FakeDelivery()):
        with pytest.raises(ContentPolicyError):
            await joining.generate_image("a cat", "dall-e-3", delivery=delivery)
    assert len(ledger.calls) == 1


async def test_call_whose_result_cannot_be_built_is_closed_and_abandoned(catalog: Catalog) -> None:
    status = AttemptStatus(AttemptState.SETTLED, response=ImagesResponse([Image(URL)], Decimal("0.042")))
    ledger = EarlierCall(REQUEST, status)
    collecting = ImageToolset(catalog, ledger=ledger, timings=JOINING)
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            await collecting.generate_image("a cat", "dall-e-3")
    assert steps(ledger)[:1] == [("abandoned",)]
    assert len(ledger.calls) == 2


@pytest.mark.parametrize(
    "gateway",
    [FakeGateway(Image(URL)), FailingGateway(ContentPolicyError("No.")), FailingGateway(JobPending())],
)
async def test_answered_call_is_closed(catalog: Catalog, gateway: FakeGateway) -> None:
    ledger = FakeLedger()
    answering = toolset(catalog, ledger, gateway, JOINING)
    for _ in range(2):
        with suppress(ImageError):
            await answering.generate_image("a cat", "dall-e-3")
    assert len(ledger.calls) == 2


async def test_cancelled_call_is_closed(catalog: Catalog) -> None:
    class Stuck(FakeGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            if not self.requests:
                self.requests.append(request)
                scope.cancel()
                await anyio.sleep_forever()
            return await super().generate(request, attempt, on_status, within_seconds)

    ledger = FakeLedger()
    leaving = toolset(catalog, ledger, Stuck(Image(URL)), JOINING)
    with anyio.CancelScope() as scope:
        await leaving.generate_image("a cat", "dall-e-3")
    assert scope.cancelled_caught
    await leaving.generate_image("a cat", "dall-e-3")
    assert [len(ledger.calls), ledger.notes[-1]] == [2, ("delivered",)]


async def test_call_refused_during_a_slow_search_is_closed(catalog: Catalog) -> None:
    class SlowLedger(FakeLedger):
        async def begin(self, call: CallInfo, order: Order | None) -> Begun:
            await anyio.sleep_forever()
            raise AssertionError

    async with TaskSupervisor() as tasks:
        timings = CallTimings(call_timeout_seconds=0.01)
        refusing = ImageToolset(catalog, FakeGateway(), run=tasks.run, ledger=SlowLedger(), timings=timings)
        with pytest.raises(UnknownModelError):
            await refusing.generate_image("a cat", "dall-e-9")
        await tasks.drain()
    assert refusing._calls._calls == []  # pyright: ignore[reportPrivateUsage] - nobody joins what is abandoned


# pictures that nobody received


def uncollected(*urls: str, prompt: str = "a fox", id: str = "attempt-1") -> UncollectedPictures:
    return UncollectedPictures(id, replace(REQUEST, prompt=prompt), urls)


def test_uncollected_pictures_are_named_in_one_line() -> None:
    named = uncollected(URL, OTHER_URL).to_text()
    assert named == (f'An earlier call paid for 2 images that nobody received: "a fox" by dall-e-3: {URL} {OTHER_URL}')
    assert "paid for 1 image that" in uncollected(URL).to_text()


@pytest.mark.parametrize("urls", [[f"{URL}?{'x' * 500}"], []])
def test_uncollected_picture_with_a_long_url_points_to_the_resource(urls: Sequence[str]) -> None:
    assert uncollected(*urls).to_text().endswith(": see the resource images://recent")


def test_only_some_of_many_uncollected_pictures_are_named() -> None:
    named = uncollected(*(f"https://pictures.example/{number}" for number in range(9))).to_text()
    assert "paid for 9 images" in named
    assert named.count("https://") == 4


def test_long_prompt_of_uncollected_pictures_is_truncated() -> None:
    named = uncollected(URL, prompt="fox\n" * 100).to_text()
    assert "\n" not in named
    assert len(named) < 250


@pytest.mark.parametrize("delivery", [None, FakeDelivery()])
async def test_uncollected_pictures_are_named_in_the_result_and_recorded(
    catalog: Catalog, delivery: FakeDelivery | None
) -> None:
    fox, owl = uncollected(URL), uncollected(OTHER_URL, prompt="an owl", id="attempt-2")
    ledger = FakeLedger(uncollected=[fox, owl])
    result = await toolset(catalog, ledger).generate_image("a cat", "dall-e-3", delivery=delivery)
    assert result.warnings == [fox.to_text(), owl.to_text()]
    if delivery is not None:
        await delivery.tell(WRITTEN)
    assert steps(ledger) == [("delivered", "attempt-1", "attempt-2")]


async def test_lost_answer_does_not_record_uncollected_pictures(catalog: Catalog) -> None:
    ledger, delivery = FakeLedger(uncollected=[uncollected(URL)]), FakeDelivery()
    await toolset(catalog, ledger).generate_image("a cat", "dall-e-3", delivery=delivery)
    await delivery.tell(LOST)
    assert steps(ledger) == [("abandoned",)]


async def test_collected_result_names_other_uncollected_pictures(catalog: Catalog) -> None:
    status = AttemptStatus(AttemptState.SETTLED, response=ImagesResponse([Image(URL)], Decimal("0.042")))
    ledger, fox = FakeLedger(Collected(FakeAttempt(REQUEST, status), [uncollected(OTHER_URL)])), uncollected(OTHER_URL)
    result = await toolset(catalog, ledger).generate_image("a cat", "dall-e-3")
    assert result.warnings[-1] == fox.to_text()


@pytest.mark.parametrize("error", [ContentPolicyError("No.", hint="Draw another."), OutcomeUnknownError("Silence.")])
async def test_uncollected_pictures_are_named_in_an_error(catalog: Catalog, error: ImageError) -> None:
    fox, hint = uncollected(URL), error.hint
    ledger = FakeLedger(uncollected=[fox])
    for _ in range(2):  # each only once, also where an error is raised to several callers
        with pytest.raises(ImageError) as caught:
            await toolset(catalog, ledger, FailingGateway(error)).generate_image("a cat", "dall-e-3")
        assert caught.value.hint == f"{hint} {fox.to_text()}"


async def test_uncollected_pictures_are_named_in_a_refusal(catalog: Catalog) -> None:
    fox = uncollected(URL)
    with pytest.raises(ImageError) as caught:
        await toolset(catalog, FakeLedger(NothingFound([fox]))).generate_image("a cat", "dall-e-9")
    assert caught.value.hint.endswith(fox.to_text())


async def test_uncollected_pictures_are_named_with_alternative_models(catalog: Catalog) -> None:
    fox, error = uncollected(URL), ModelNotFoundError("There is no such model.", hint="Look at the list.")
    both = joined(catalog, image("dall-e-3"), image("flux"))
    with pytest.raises(ModelNotFoundError) as caught:
        await toolset(both, FakeLedger(uncollected=[fox]), FailingGateway(error)).generate_image("a cat", "dall-e-3")
    assert caught.value.hint == f"Use another: flux (price not known). {fox.to_text()}"


async def test_uncollected_pictures_found_last_are_named(catalog: Catalog) -> None:
    fox, owl = uncollected(URL), uncollected(OTHER_URL, prompt="an owl", id="attempt-2")
    released = FakeAttempt(REQUEST, AttemptStatus(AttemptState.RELEASED))
    ledger = FakeLedger(Collected(released, [fox]), Reserved(FakeAttempt(REQUEST), [owl]))
    result = await toolset(catalog, ledger).generate_image("a cat", "dall-e-3", enrich="off")
    assert result.warnings == [owl.to_text()]
