"""Several calls that share one purchase, in tasks that outlive their callers."""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup
from tests.support.fakes import URL, AskingAttempt, FakeDelivery, FakeGateway, FakeLedger, GatedGateway, QuotingGateway
from tests.support.purchases import REQUEST

from blockrun_image.attempts import Approval, CallInfo, Order
from blockrun_image.callers import DeliveryEvent
from blockrun_image.catalog import Catalog
from blockrun_image.errors import ConfirmationError, ContentPolicyError, ImageError
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, Begun, NeedsApproval, OnStatus, Reserved
from blockrun_image.results import GeneratedImages, PendingImages
from blockrun_image.timings import CallTimings
from blockrun_image.toolset import Approve, ImageToolset
from blockrun_image_mcp.tasks import TaskSupervisor

pytestmark = pytest.mark.anyio

NEEDS_APPROVAL = NeedsApproval(None)


async def the_others() -> None:
    """Let all other tasks run until they wait; anyio's own way to do so may take longer than some calls here."""
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


@dataclass
class Caller:
    """A caller with a task of its own, which the test can end."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    told: list[str] = field(default_factory=list[str])
    outcome: GeneratedImages | Exception | None = None


@dataclass
class Shop:
    """A toolset whose same calls join each other at once, unless `join_seconds` says otherwise."""

    toolset: ImageToolset
    callers: TaskGroup
    tasks: TaskSupervisor

    async def call(
        self, approve: Approve | None = None, prompt: str = "a cat", delivery: FakeDelivery | None = None
    ) -> Caller:
        """Make a call, and return its caller once it waits."""
        caller = Caller()

        async def make() -> None:
            with caller.scope:
                try:
                    caller.outcome = await self.toolset.generate_image(
                        prompt, "dall-e-3", on_status=caller.told.append, approve=approve, delivery=delivery
                    )
                except ImageError as error:
                    caller.outcome = error

        self.callers.start_soon(make)
        await the_others()
        return caller

    async def until_answered(self, *callers: Caller) -> None:
        with anyio.fail_after(9):
            while any(caller.outcome is None for caller in callers):  # noqa: ASYNC110 - it happens in other tasks
                await anyio.sleep(0.005)

    async def leave(self, caller: Caller) -> None:
        caller.scope.cancel()
        await the_others()


@asynccontextmanager
async def shop(
    catalog: Catalog, gateway: FakeGateway, ledger: FakeLedger, *, join_seconds: float = 0.0, seconds: float = math.inf
) -> AsyncGenerator[Shop]:
    timings = CallTimings(call_timeout_seconds=seconds, join_seconds=join_seconds)
    async with TaskSupervisor() as tasks, anyio.create_task_group() as callers:
        toolset = ImageToolset(catalog, gateway, run=tasks.run, ledger=ledger, timings=timings)
        try:
            yield Shop(toolset, callers, tasks)
        finally:  # also where a test fails
            if isinstance(gateway, GatedGateway):
                gateway.gate.set()


def urls(caller: Caller) -> list[str | None]:
    assert isinstance(caller.outcome, GeneratedImages)
    return [image.url for image in caller.outcome.images]


async def test_repetitions_share_one_purchase(catalog: Catalog) -> None:
    gateway, ledger = GatedGateway(), FakeLedger()
    async with shop(catalog, gateway, ledger) as open_shop:
        callers = [await open_shop.call() for _ in range(3)]
        other = await open_shop.call(prompt="a dog")
        gateway.gate.set()
    assert [urls(caller) for caller in (*callers, other)] == [[URL]] * 4
    assert [request.prompt[:5] for request in gateway.requests] == ["a cat", "a dog"]
    assert [note[0] for note in ledger.notes].count("reserved") == 2


async def test_simultaneous_identical_calls_are_bought_separately(catalog: Catalog) -> None:
    gateway = GatedGateway(is_open=True)
    async with shop(catalog, gateway, FakeLedger(), join_seconds=2.0) as open_shop:
        for _ in range(3):
            await open_shop.call()
    assert len(gateway.requests) == 3


async def test_error_reaches_all_callers_that_share_it(catalog: Catalog) -> None:
    class Refusing(GatedGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            await super().generate(request, attempt, on_status, within_seconds)
            raise ContentPolicyError("No.")

    gateway = Refusing()
    async with shop(catalog, gateway, FakeLedger()) as open_shop:
        callers = [await open_shop.call() for _ in range(3)]
        gateway.gate.set()
    assert [type(caller.outcome) for caller in callers] == [ContentPolicyError] * 3
    assert len(gateway.requests) == 1


async def test_each_caller_waits_within_its_own_timeout(catalog: Catalog) -> None:
    gateway, ledger = GatedGateway(), FakeLedger()
    async with shop(catalog, gateway, ledger, seconds=0.02) as open_shop:
        first = await open_shop.call()
        open_shop.toolset._timings = CallTimings(join_seconds=0)  # pyright: ignore[reportPrivateUsage] - it is wired once
        second = await open_shop.call()
        await open_shop.until_answered(first)
        assert isinstance(first.outcome, PendingImages)
        assert second.outcome is None
        gateway.gate.set()
    assert urls(second) == [URL]
    assert len(gateway.requests) == 1
    assert [note[0] for note in ledger.notes] == ["reserved", "settled", "delivered"]


async def test_purchase_is_abandoned_when_its_last_caller_runs_out_of_time(catalog: Catalog) -> None:
    gateway, ledger = GatedGateway(), FakeLedger()
    async with shop(catalog, gateway, ledger, seconds=0.02) as open_shop:
        callers = [await open_shop.call() for _ in range(2)]
        await open_shop.until_answered(*callers)
        assert [note[0] for note in ledger.notes] == ["reserved", "abandoned"]
        open_shop.toolset._timings = CallTimings(join_seconds=0)  # pyright: ignore[reportPrivateUsage] - as above
        late = await open_shop.call()
        assert len(gateway.requests) == 2  # the ledger of a server would have collected the first
        gateway.gate.set()
    assert urls(late) == [URL]


async def test_work_is_cancelled_only_with_its_last_caller(catalog: Catalog) -> None:
    class Cancellable(GatedGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            self.requests.append(request)
            await self.gate.wait()
            return self._response

    gateway, ledger = Cancellable(), FakeLedger()
    async with shop(catalog, gateway, ledger) as open_shop:
        first, second, third = [await open_shop.call() for _ in range(3)]
        await open_shop.leave(first)
        await open_shop.leave(third)
        assert [note[0] for note in ledger.notes] == ["reserved"]
        await open_shop.leave(second)
        assert sorted(note[0] for note in ledger.notes) == ["abandoned", "reserved", "stopped"]
    assert len(gateway.requests) == 1


async def test_remaining_caller_gets_the_pictures_after_others_have_left(catalog: Catalog) -> None:
    gateway, ledger = GatedGateway(), FakeLedger()
    async with shop(catalog, gateway, ledger) as open_shop:
        first, second = [await open_shop.call() for _ in range(2)]
        await open_shop.leave(first)
        gateway.gate.set()
    assert urls(second) == [URL]
    assert [note[0] for note in ledger.notes] == ["reserved", "settled", "delivered"]


async def test_lost_answer_abandons_the_purchase_after_another_caller_left(catalog: Catalog) -> None:
    gateway, ledger, delivery = GatedGateway(), FakeLedger(), FakeDelivery()
    async with shop(catalog, gateway, ledger) as open_shop:
        await open_shop.call(delivery=delivery)
        second = await open_shop.call()
        await open_shop.leave(second)
        gateway.gate.set()
    await delivery.tell(DeliveryEvent.LOST)
    assert ledger.notes[-1] == ("abandoned",)


async def test_lost_answer_abandons_the_purchase_after_another_timed_out(catalog: Catalog) -> None:
    gateway, ledger, delivery = GatedGateway(), FakeLedger(), FakeDelivery()
    async with shop(catalog, gateway, ledger, seconds=0.02) as open_shop:
        first = await open_shop.call()
        open_shop.toolset._timings = CallTimings(join_seconds=0)  # pyright: ignore[reportPrivateUsage] - as above
        await open_shop.call(delivery=delivery)
        await open_shop.until_answered(first)
        gateway.gate.set()
    await delivery.tell(DeliveryEvent.LOST)
    assert ledger.notes[-1] == ("abandoned",)


async def test_waiting_callers_receive_status_until_they_leave(catalog: Catalog) -> None:
    class Telling(GatedGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            response = await super().generate(request, attempt, on_status, within_seconds)
            on_status("drawing")
            return response

    gateway = Telling()
    async with shop(catalog, gateway, FakeLedger()) as open_shop:
        callers = [await open_shop.call() for _ in range(3)]
        await open_shop.leave(callers[0])
        gateway.gate.set()
    waiting = "waiting for dall-e-3"
    assert [caller.told for caller in callers] == [[waiting], [waiting, "drawing"], [waiting, "drawing"]]


# questions


class User:
    """Answers questions when the test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, anyio.Event] = {}
        self.says_no = False

    def by(self, name: str) -> Callable[..., Awaitable[Approval]]:
        async def approve(*_: object) -> Approval:
            self.asked.append(name)
            self.answers[name] = anyio.Event()
            await self.answers[name].wait()
            if self.says_no:
                raise ConfirmationError("No.")
            return Approval(f"approval of {name}")

        return approve

    async def answer(self, name: str) -> None:
        self.answers[name].set()
        await the_others()


async def test_user_is_asked_once_for_all_callers_that_share_a_purchase(catalog: Catalog) -> None:
    user, gateway, ledger = User(), GatedGateway(is_open=True), FakeLedger(NEEDS_APPROVAL)
    async with shop(catalog, gateway, ledger) as open_shop:
        callers = [await open_shop.call(user.by(name)) for name in ("first", "second", "third")]
        assert (user.asked, len(ledger.orders)) == (["first"], 1)
        await user.answer("first")
    assert [urls(caller) for caller in callers] == [[URL]] * 3
    assert user.asked == ["first"]
    assert [order and order.approval for order in ledger.orders] == [None, Approval("approval of first")]
    assert len(gateway.requests) == 1


async def test_oldest_waiting_caller_asks_if_the_asking_one_leaves(catalog: Catalog) -> None:
    user, gateway, ledger = User(), GatedGateway(is_open=True), FakeLedger(NEEDS_APPROVAL)
    async with shop(catalog, gateway, ledger) as open_shop:
        first, second, third = [await open_shop.call(user.by(name)) for name in ("first", "second", "third")]
        await open_shop.leave(first)
        assert user.asked == ["first", "second"]
        await user.answer("second")
    assert [urls(caller) for caller in (second, third)] == [[URL]] * 2
    assert ledger.notes[0][-1] == Approval("approval of second")
    assert len(gateway.requests) == 1


async def test_price_being_confirmed_stays_reserved_if_the_asking_caller_leaves(catalog: Catalog) -> None:
    user, attempt = User(), AskingAttempt(REQUEST)
    gateway, ledger = QuotingGateway("0.06", "0.06"), FakeLedger(Reserved(attempt))
    async with shop(catalog, gateway, ledger) as open_shop:
        first, second = [await open_shop.call(user.by(name)) for name in ("first", "second")]
        attempt.most = Decimal("0.06")  # an approval that names no price covers it
        await open_shop.leave(first)
        await user.answer("second")
    assert urls(second) == [URL]
    assert len(ledger.orders) == 1
    assert [note[0] for note in attempt.notes] == ["quoted", "approved", "quoted", "settled", "delivered"]


async def test_declined_confirmation_is_declined_for_all_callers(catalog: Catalog) -> None:
    user, gateway, ledger = User(), GatedGateway(is_open=True), FakeLedger(NEEDS_APPROVAL)
    user.says_no = True
    async with shop(catalog, gateway, ledger) as open_shop:
        callers = [await open_shop.call(user.by(name)) for name in ("first", "second", "third")]
        await user.answer("first")
    assert [type(caller.outcome) for caller in callers] == [ConfirmationError] * 3
    assert user.asked == ["first"]
    assert (gateway.requests, ledger.notes) == ([], [])


async def test_call_after_a_declined_one_asks_again(catalog: Catalog) -> None:
    user, gateway = User(), GatedGateway(is_open=True)
    user.says_no = True
    async with shop(catalog, gateway, FakeLedger(NEEDS_APPROVAL, NEEDS_APPROVAL)) as open_shop:
        await open_shop.call(user.by("first"))
        await user.answer("first")
        user.says_no = False
        second = await open_shop.call(user.by("second"))
        await user.answer("second")
    assert urls(second) == [URL]


async def test_confirmation_without_an_answer_passes_to_the_next_caller(catalog: Catalog) -> None:
    user, gateway, ledger = User(), GatedGateway(is_open=True), FakeLedger(NEEDS_APPROVAL)
    go_on = anyio.Event()

    async def cannot_ask(*_: object) -> Approval:
        user.asked.append("first")
        await go_on.wait()
        raise ImageError("The client must call again with the answer.")

    async with shop(catalog, gateway, ledger) as open_shop:
        first, second = await open_shop.call(cannot_ask), await open_shop.call(user.by("second"))
        go_on.set()
        await the_others()
        assert user.asked == ["first", "second"]
        await user.answer("second")
    assert type(first.outcome) is ImageError
    assert urls(second) == [URL]


async def test_waiting_for_another_callers_answer_respects_the_timeout(catalog: Catalog) -> None:
    user, gateway = User(), GatedGateway(is_open=True)
    async with shop(catalog, gateway, FakeLedger(NEEDS_APPROVAL), seconds=0.2) as open_shop:
        first, second = [await open_shop.call(user.by(name)) for name in ("first", "second")]
        await open_shop.until_answered(second)
        assert isinstance(second.outcome, PendingImages)
        assert first.outcome is None
        await user.answer("first")  # which has as long as it takes, and then all its time again
    assert urls(first) == [URL]
    assert user.asked == ["first"]


async def test_time_to_send_restarts_after_the_answer(catalog: Catalog) -> None:
    class Watched(FakeLedger):
        async def begin(self, call: CallInfo, order: Order | None) -> Begun:
            assert order is not None
            left.append(order.send_seconds)
            return await super().begin(call, order)

    left: list[float] = []

    async def approve(*_: object) -> Approval:
        await anyio.sleep(0.21)
        return Approval("approval")

    async with shop(catalog, FakeGateway(Image(URL)), Watched(NEEDS_APPROVAL), seconds=0.2) as open_shop:
        caller = await open_shop.call(approve)
        await open_shop.until_answered(caller)
    assert urls(caller) == [URL]
    assert all(0 < seconds <= 0.16 for seconds in left)
