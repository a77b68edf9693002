"""Purchases that outlast their callers: pending, joined, and abandoned."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from tests.support.fakes import (
    HELD,
    URL,
    FailingGateway,
    FakeGateway,
    FakeLedger,
)
from tests.support.purchases import (
    PRICE,
    SENT,
    earlier,
    made,
    nobody_is_asked,
    purchase,
)

from blockrun_image.attempts import AttemptState, AttemptStatus, CallInfo, Order
from blockrun_image.catalog import Catalog
from blockrun_image.images import Image
from blockrun_image.ports import (
    Begun,
    JobPending,
    SharedTask,
    T,
)
from blockrun_image.results import GeneratedImages, PendingImages
from blockrun_image.timings import CallTimings
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.tasks import TaskSupervisor

pytestmark = pytest.mark.anyio


class _Impatient:
    async def wait(self, timeout_seconds: float, on_abandoned: Callable[[], Awaitable[None]], /) -> None:
        await on_abandoned()


def impatient(work: Callable[[], Awaitable[T]], /) -> SharedTask[T]:
    """Wait for no work at all."""
    return _Impatient()


def assert_pending(result: GeneratedImages, held: str) -> None:
    assert isinstance(result, PendingImages)
    told: Any = result.to_dict()
    assert (told["status"], "images" in told, told["gateway"]) == ("pending", False, "pictures.example")
    assert (told["cost"]["held_usd"], "charged_usd" in told["cost"]) == (held, False)
    assert told["next_step"].startswith("Repeat the call unchanged")
    assert result.to_text().startswith(
        f"Pending: dall-e-3 standard 1024x1024 is still being made (${held} is set aside).\n"
    )
    for addition in result.prompt.applied:
        assert addition.text in result.to_text()


async def test_slow_call_is_pending_with_the_held_amount(catalog: Catalog) -> None:
    ledger = earlier(AttemptStatus(AttemptState.SENT))
    async with TaskSupervisor() as tasks:
        timings = CallTimings(call_timeout_seconds=0.02)
        toolset = ImageToolset(catalog, FakeGateway(), run=tasks.run, ledger=ledger, timings=timings)
        assert_pending(await toolset.generate_image("a cat", "dall-e-3"), held=str(HELD))
        await tasks.drain()
    assert ledger.notes == [("abandoned",)]


async def test_repetition_joins_a_pending_purchase_not_yet_in_a_locked_ledger(
    catalog: Catalog,
) -> None:
    unlocked = anyio.Event()

    class LockedLedger(FakeLedger):
        async def begin(self, call: CallInfo, order: Order | None) -> Begun:
            await unlocked.wait()
            return await super().begin(call, order)

    gateway, results = FakeGateway(Image(URL)), list[GeneratedImages]()
    async with TaskSupervisor() as tasks, anyio.create_task_group() as callers:
        timings = CallTimings(call_timeout_seconds=0.05, join_seconds=0)
        toolset = ImageToolset(catalog, gateway, run=tasks.run, ledger=LockedLedger(), timings=timings)
        assert_pending(await toolset.generate_image("a cat", "dall-e-3"), held="0.00")

        async def repeat() -> None:
            results.append(await toolset.generate_image("a cat", "dall-e-3"))

        callers.start_soon(repeat)
        await anyio.wait_all_tasks_blocked()
        unlocked.set()
    assert [image.url for result in results for image in result.images] == [URL]
    assert len(gateway.requests) == 1


async def test_nothing_is_held_before_there_is_an_attempt(catalog: Catalog) -> None:
    toolset = ImageToolset(catalog, FakeGateway(), run=impatient)
    assert_pending(await toolset.generate_image("a cat", "dall-e-3"), held="0.00")


async def test_job_polled_for_too_long_is_pending(catalog: Catalog) -> None:
    ledger = FakeLedger()
    toolset = ImageToolset(catalog, FailingGateway(JobPending()), ledger=ledger)
    assert_pending(await toolset.generate_image("a cat", "dall-e-3"), held=str(HELD))
    assert ledger.notes[-2:] == [("stopped",), ("abandoned",)]


async def test_purchase_without_callers_is_abandoned() -> None:
    ledger = earlier(SENT)
    async with TaskSupervisor() as tasks:
        leaving = purchase(ledger, run=tasks.run)
        with anyio.move_on_after(0.01):
            await made(leaving)
        await tasks.drain()
    assert leaving.is_abandoned
    assert ledger.notes == [("abandoned",)]


async def test_attempt_begun_after_its_callers_have_gone_is_abandoned() -> None:
    found = anyio.Event()

    class SlowLedger(FakeLedger):
        async def begin(self, call: CallInfo, order: Order | None) -> Begun:
            with anyio.CancelScope(shield=True):
                await found.wait()
            return await super().begin(call, order)

    ledger = SlowLedger(broken=["sent"])
    async with TaskSupervisor() as tasks:
        leaving = purchase(ledger, FailingGateway(AssertionError()), run=tasks.run)
        assert await leaving.result(0.01, nobody_is_asked) is None
        found.set()
        await anyio.wait_all_tasks_blocked()
    assert ledger.notes == [("reserved", "dall-e-3", PRICE), ("abandoned",), ("released",)]


async def test_null_ledger_supports_pending_calls(catalog: Catalog) -> None:
    toolset = ImageToolset(catalog, FailingGateway(JobPending()))
    assert_pending(await toolset.generate_image("a cat", "dall-e-3"), held="0.00")
