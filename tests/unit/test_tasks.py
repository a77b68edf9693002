import asyncio
import math
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from tests.support.tasks import ignore, nothing

from blockrun_image import ConfigurationError
from blockrun_image_mcp.tasks import Lazy, TaskSupervisor, run_alongside, run_in_daemon_thread

pytestmark = pytest.mark.anyio


async def test_work_returns_its_result_or_error_to_its_caller() -> None:
    async def fail() -> None:
        raise LookupError("lost")

    async def succeed() -> int:
        return 7

    async with TaskSupervisor(ignore) as background:
        assert await background.run(succeed).wait(math.inf, nothing) == 7
        with pytest.raises(LookupError, match="lost"):
            await background.run(fail).wait(math.inf, nothing)


async def test_leaving_caller_cancels_its_work() -> None:
    ended = anyio.Event()

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with TaskSupervisor(ignore) as background:
        with anyio.move_on_after(0.01):
            await background.run(work).wait(math.inf, nothing)
        await ended.wait()
        await background.drain()


async def test_shielded_work_continues_without_its_caller_and_reports_its_result() -> None:
    told: list[object] = []
    go_on = anyio.Event()

    async def work() -> str:
        with anyio.CancelScope(shield=True):
            await go_on.wait()
        return "picture"

    async with TaskSupervisor(told.append) as background:
        with anyio.move_on_after(0.01):
            await background.run(work).wait(math.inf, nothing)
        assert told == []
        go_on.set()
        await background.drain()
    assert told == ["picture"]


async def test_a_resource_stays_open_until_the_end() -> None:
    open_now: list[str] = []

    @asynccontextmanager
    async def resource() -> AsyncGenerator[str]:
        open_now.append("it")
        yield "it"
        open_now.clear()

    async with TaskSupervisor(ignore) as background:
        assert await background.enter(resource()) == "it"
        assert open_now
    assert not open_now


async def test_resource_that_fails_to_open_affects_only_its_user() -> None:
    @asynccontextmanager
    async def resource() -> AsyncGenerator[str]:
        raise LookupError("no key")
        yield ""

    async with TaskSupervisor(ignore) as background:
        with pytest.raises(LookupError, match="no key"):
            await background.enter(resource())


async def test_lazy_resource_is_opened_once_for_all_and_closed_at_the_end() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def resource() -> AsyncGenerator[str]:
        seen.append("opening")
        await anyio.lowlevel.checkpoint()
        yield "toolset"
        seen.append("closed")

    async with TaskSupervisor() as background:
        on_demand = Lazy(background, resource)
        assert (on_demand.open, seen) == (None, [])
        async with anyio.create_task_group() as users:
            users.start_soon(on_demand.get)
            users.start_soon(on_demand.get)
        assert (on_demand.open, await on_demand.get(), seen) == ("toolset", "toolset", ["opening"])
    assert seen == ["opening", "closed"]


async def test_lazy_resource_is_reopened_after_a_failure_or_a_lost_user() -> None:
    faults: list[Exception | None] = [LookupError("lost"), None, None]
    go_on = anyio.Event()

    @asynccontextmanager
    async def resource() -> AsyncGenerator[str]:
        fault = faults.pop()
        if fault is not None:
            raise fault
        await go_on.wait()
        yield "toolset"

    async with TaskSupervisor() as background:
        on_demand = Lazy(background, resource)
        with anyio.move_on_after(0.01) as left:
            await on_demand.get()
        assert left.cancelled_caught
        assert on_demand.open is None
        go_on.set()
        assert await on_demand.get() == "toolset"
    async with TaskSupervisor() as background:
        with pytest.raises(LookupError, match="lost"):
            await Lazy(background, resource).get()


async def test_error_of_the_block_is_not_grouped_and_ends_concurrent_work() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("work")

    async def fail() -> None:
        async with TaskSupervisor(ignore), run_alongside(work):
            await anyio.lowlevel.checkpoint()
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert ended == ["work"]


async def test_caller_cancelled_by_asyncio_does_not_cancel_shielded_work() -> None:
    told: list[object] = []
    go_on = anyio.Event()

    async def work() -> str:
        with anyio.CancelScope(shield=True):
            await go_on.wait()
        return "picture"

    async with TaskSupervisor(told.append) as background:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(background.run(work).wait(math.inf, nothing), 0.01)
        go_on.set()
        await background.drain()
    assert told == ["picture"]


async def test_closed_supervisor_takes_no_more_work() -> None:
    async def work() -> None:
        pass

    async with TaskSupervisor(ignore) as background:
        pass
    with pytest.raises(ConfigurationError, match="closed"):
        await background.run(work).wait(math.inf, nothing)


async def test_work_that_ends_as_its_caller_leaves_is_reported() -> None:
    told: list[object] = []

    async with TaskSupervisor(told.append) as background:
        with anyio.CancelScope() as caller:

            async def work() -> str:
                caller.cancel()
                return "picture"

            await background.run(work).wait(math.inf, nothing)
    assert caller.cancelled_caught
    assert told == ["picture"]


async def test_work_that_outlasts_its_caller_continues_and_reports_its_result() -> None:
    told: list[object] = []
    steps: list[str] = []
    go_on = anyio.Event()

    async def work() -> str:
        await go_on.wait()
        return "picture"

    async def left() -> None:
        await anyio.lowlevel.checkpoint()
        steps.append("left")

    async with TaskSupervisor(told.append) as background:
        assert await background.run(work).wait(0.01, left) is None
        assert (steps, told) == (["left"], [])
        go_on.set()
        await anyio.wait_all_tasks_blocked()
    assert told == ["picture"]


async def test_work_that_ends_before_its_caller_has_left_returns_its_result() -> None:
    told: list[object] = []
    go_on = anyio.Event()

    async def work() -> str:
        await go_on.wait()
        return "picture"

    async def left() -> None:
        go_on.set()
        await anyio.wait_all_tasks_blocked()

    async with TaskSupervisor(told.append) as background:
        assert await background.run(work).wait(0.01, left) == "picture"
    assert told == []


async def test_cancelled_caller_is_recorded_as_gone_without_delaying_others() -> None:
    steps: list[str] = []

    async def noted() -> None:
        await anyio.lowlevel.checkpoint()
        steps.append("left")

    async with TaskSupervisor(ignore, abandon_seconds=0.01) as background:
        for left in (noted, anyio.sleep_forever):
            with anyio.move_on_after(0.01) as scope:
                await background.run(anyio.sleep_forever).wait(math.inf, left)
            assert scope.cancelled_caught
        await background.drain()
    assert steps == ["left"]


async def test_abandoned_work_is_cancelled_at_the_end_unless_shielded() -> None:
    told: list[object] = []

    async def work() -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.02)
        return "picture"

    async with TaskSupervisor(told.append) as background:
        assert await background.run(anyio.sleep_forever).wait(0.01, nothing) is None
        assert await background.run(work).wait(0.01, nothing) is None
        await background.drain()
    assert told == ["picture"]


async def test_drain_does_not_wait_for_externally_cancelled_work() -> None:
    drained: list[bool] = []
    with anyio.CancelScope() as scope:
        async with TaskSupervisor(ignore) as tasks, anyio.create_task_group() as callers:
            callers.start_soon(tasks.run(anyio.sleep_forever).wait, math.inf, nothing)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            with anyio.move_on_after(5, shield=True):
                await tasks.drain()
                drained.append(True)
    assert drained == [True]


async def test_closed_supervisor_opens_nothing() -> None:
    @asynccontextmanager
    async def resource() -> AsyncGenerator[None]:
        yield

    async with TaskSupervisor(ignore) as tasks:
        pass
    with pytest.raises(ConfigurationError, match="closed"):
        await tasks.enter(resource())


async def test_blocking_work_returns_and_raises_for_its_caller() -> None:
    def fail() -> int:
        raise ValueError("no")

    assert await run_in_daemon_thread(lambda: threading.current_thread().daemon)
    with pytest.raises(ValueError, match="no"):
        await run_in_daemon_thread(fail)


async def test_blocking_work_is_abandoned_on_cancellation() -> None:
    may_end = threading.Event()
    with anyio.move_on_after(0.01) as scope:
        await run_in_daemon_thread(lambda: may_end.wait(20))
    assert scope.cancelled_caught
    may_end.set()
