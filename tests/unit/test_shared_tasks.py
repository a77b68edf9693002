"""Work that several callers wait for, and that ends with the last of them."""

import math

import anyio
import anyio.lowlevel
import pytest
from tests.support.tasks import ignore, nothing, until_it_waits

from blockrun_image import ConfigurationError
from blockrun_image_mcp.tasks import TaskSupervisor

pytestmark = pytest.mark.anyio


async def test_several_callers_wait_for_the_same_work() -> None:
    starts: list[str] = []
    go_on = anyio.Event()
    results: list[str | None] = []

    async def work() -> str:
        starts.append("work")
        await go_on.wait()
        return "picture"

    async with TaskSupervisor(ignore) as background, anyio.create_task_group() as callers:
        task = background.run(work)

        async def wait() -> None:
            results.append(await task.wait(math.inf, nothing))

        callers.start_soon(wait)
        callers.start_soon(wait)
        await until_it_waits()
        go_on.set()
    assert (starts, results) == (["work"], ["picture", "picture"])


async def test_work_is_cancelled_only_with_its_last_caller() -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            steps.append("cancelled")

    async def left() -> None:
        await anyio.lowlevel.checkpoint()
        steps.append("left")

    async with TaskSupervisor(ignore) as background, anyio.create_task_group() as callers:
        task = background.run(work)
        scopes = [anyio.CancelScope() for _ in range(2)]

        async def wait(scope: anyio.CancelScope) -> None:
            with scope:
                await task.wait(math.inf, left)

        for scope in scopes:
            callers.start_soon(wait, scope)
        await until_it_waits()
        scopes[0].cancel()
        await until_it_waits()
        assert steps == []
        scopes[1].cancel()
        await until_it_waits()
        assert sorted(steps) == ["cancelled", "left"]


async def test_callers_timeout_abandons_the_work_only_if_it_is_the_last() -> None:
    left: list[str] = []

    async with TaskSupervisor(ignore) as background, anyio.create_task_group() as callers:
        task = background.run(anyio.sleep_forever)

        async def wait(name: str, seconds: float) -> None:
            async def note() -> None:
                await anyio.lowlevel.checkpoint()
                left.append(name)

            assert await task.wait(seconds, note) is None

        callers.start_soon(wait, "patient", math.inf)
        await until_it_waits()
        await wait("impatient", 0.01)
        assert left == []
        callers.cancel_scope.cancel()
    assert left == ["patient"]


async def test_result_received_by_a_later_caller_is_not_orphaned() -> None:
    told: list[object] = []
    go_on = anyio.Event()

    async def work() -> str:
        await go_on.wait()
        return "picture"

    async with TaskSupervisor(told.append) as background:
        task = background.run(work)
        assert await task.wait(0.01, nothing) is None
        go_on.set()
        assert await task.wait(1, nothing) == "picture"
    assert told == []


async def test_result_awaited_by_another_caller_is_not_orphaned() -> None:
    told: list[object] = []
    go_on = anyio.Event()

    async def work() -> str:
        await go_on.wait()
        return "picture"

    async with TaskSupervisor(told.append) as background, anyio.create_task_group() as callers:
        task = background.run(work)
        callers.start_soon(task.wait, math.inf, nothing)
        assert await task.wait(0.01, nothing) is None
        go_on.set()
    assert told == []


async def test_finished_work_returns_its_result_to_later_callers() -> None:
    async def work() -> str:
        return "picture"

    async with TaskSupervisor(ignore) as background:
        task = background.run(work)
        assert await task.wait(math.inf, nothing) == "picture"
        assert await task.wait(0, nothing) == "picture"


async def test_work_cancelled_at_the_end_is_an_error_for_waiting_callers() -> None:
    errors: list[str] = []
    async with TaskSupervisor(ignore) as background, anyio.create_task_group() as callers:
        task = background.run(anyio.sleep_forever)

        async def wait() -> None:
            with pytest.raises(ConfigurationError) as caught:
                await task.wait(math.inf, nothing)
            errors.append(caught.value.message)

        callers.start_soon(wait)
        await until_it_waits()
        await background.drain()
    assert errors == ["This was closed before it was done."]
