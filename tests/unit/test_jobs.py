"""What goes on beside the calls: the search for jobs that were left, and their end."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from tests.support.fakes import FailingGateway
from tests.support.ledgers import HASTY, RESPONSE, Processes, die, locked, rows, sent, settled, state_of
from tests.support.purchases import purchase

from blockrun_image.attempts import Job
from blockrun_image.errors import GatewayUnavailableError, LedgerError, OutcomeUnknownError
from blockrun_image.ports import Attempt, JobPending
from blockrun_image_mcp.ledger.jobs import Finish, finish_jobs, sweeping
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.timings import DEFAULT

pytestmark = pytest.mark.anyio

QUICK = replace(DEFAULT, sweep_seconds=0.002)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(2_000):
        if await is_so():
            return
        await anyio.sleep(0.002)
    raise AssertionError


async def settle(attempt: Attempt, job: Job) -> None:
    """Poll a job to its end, with pictures."""
    await attempt.settled(RESPONSE)


@asynccontextmanager
async def swept(ledger: Ledger, finish: Finish = settle) -> AsyncGenerator[None]:
    async with sweeping(ledger, finish):
        yield


async def test_sweep_finishes_only_jobs_of_dead_processes(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    gone, living, here = await processes.start(), await processes.start(), await processes.start(timings=QUICK)
    left, theirs, own = [await sent(each, f"job_{number}") for number, each in enumerate((gone, living, here))]
    async with swept(here):
        await anyio.sleep(0.02)
        assert await state_of(here, left.id) == "accepted"
        die(gone)

        async def is_settled() -> bool:
            return await state_of(here, left.id) == "settled"

        await until(is_settled)
    assert [await state_of(here, each.id) for each in (theirs, own)] == ["accepted", "accepted"]
    assert f"finished {left.id}, whose process had ended" in caplog.text


async def test_sweep_ends_attempts_of_dead_processes(processes: Processes) -> None:
    gone, here = await processes.start(), await processes.start(timings=QUICK)
    attempt = await sent(gone)
    die(gone)
    async with swept(here):

        async def is_ended() -> bool:
            return rows(here.path, "SELECT state FROM spending WHERE id = ?", attempt.id) == [("unknown",)]

        await until(is_ended)


async def test_sweep_marks_callers_of_dead_processes_as_abandoned(processes: Processes) -> None:
    gone, here = await processes.start(), await processes.start(timings=QUICK)
    await settled(gone)
    die(gone)
    async with swept(here):

        async def is_abandoned() -> bool:
            return rows(here.path, "SELECT delivery FROM callers") == [("abandoned",)]

        await until(is_abandoned)


async def test_failing_job_blocks_no_other_and_is_polled_again(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gone, here = await processes.start(), await processes.start(timings=QUICK)
    jobs = [await sent(gone, f"job_{number}") for number in range(4)]
    die(gone)
    errors: dict[str, Exception] = {
        jobs[0].id: GatewayUnavailableError("No way."),
        jobs[1].id: JobPending(),
        jobs[2].id: ZeroDivisionError(),
    }
    seen: list[str] = []

    async def finish(attempt: Attempt, job: Job) -> None:
        seen.append(attempt.id)
        if attempt.id in errors:
            await attempt.stopped()  # which gives it back
            raise errors[attempt.id]
        await settle(attempt, job)

    async with swept(here, finish):

        async def is_seen_twice() -> bool:
            await anyio.lowlevel.checkpoint()
            return all(seen.count(id) > 1 for id in errors)

        await until(is_seen_twice)
    assert await state_of(here, jobs[3].id) == "settled"
    assert seen.count(jobs[3].id) == 1
    assert f"{jobs[0].id}, whose process had ended, could not be finished: No way." in caplog.text
    assert f"{jobs[1].id} is still being made" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_no_more_than_four_jobs_are_polled_at_once(processes: Processes) -> None:
    gone, here = await processes.start(), await processes.start(timings=QUICK)
    for number in range(6):
        await sent(gone, f"job_{number}")
    die(gone)
    under_way: list[str] = []

    async def finish(attempt: Attempt, job: Job) -> None:
        under_way.append(attempt.id)
        await anyio.sleep_forever()

    async with swept(here, finish):

        async def are_polled() -> bool:
            return len(under_way) >= 4

        await until(are_polled)
        await anyio.sleep(0.02)
    assert len(under_way) == len(set(under_way)) == 4


async def test_two_sweeps_finish_each_job_once(processes: Processes) -> None:
    gone, *sweepers = await processes.start(), *[await processes.start(timings=QUICK) for _ in range(2)]
    ids = {(await sent(gone, f"job_{number}")).id for number in range(6)}
    die(gone)
    seen: list[str] = []

    async def finish(attempt: Attempt, job: Job) -> None:
        seen.append(attempt.id)
        await anyio.sleep_forever()

    async with swept(sweepers[0], finish), swept(sweepers[1], finish):

        async def are_all_seen() -> bool:
            return {*seen} == ids

        await until(are_all_seen)
        await anyio.sleep(0.02)
    assert len(seen) == 6


async def test_job_claimed_by_another_process_is_not_polled(processes: Processes) -> None:
    gone, other, here = [await processes.start() for _ in range(3)]
    attempt = await sent(gone, "job_1")
    die(gone)
    polled: list[str] = []

    async def finish(attempt: Attempt, job: Job) -> None:
        polled.append(attempt.id)

    found = await here.sweep()
    assert await other.claim(attempt.id) is not None
    assert [await each.claim() for each in found] == [False]
    await finish_jobs(here, finish)
    assert polled == []


async def test_sweeping_resumes_after_the_ledger_was_locked(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    gone, here = await processes.start(), await processes.start(timings=replace(HASTY, sweep_seconds=0.002))
    attempt = await sent(gone, "job_1")
    await sent(gone)
    die(gone)
    async with swept(here):
        with locked(here.path):

            async def is_warned() -> bool:
                await anyio.lowlevel.checkpoint()
                return "the ledger could not be swept" in caplog.text

            await until(is_warned)

        async def is_settled() -> bool:
            return await state_of(here, attempt.id) == "settled"

        await until(is_settled)


async def test_ended_job_is_not_polled_again(processes: Processes) -> None:
    gone, here = await processes.start(), await processes.start()
    await sent(gone, "job_1")
    die(gone)
    await finish_jobs(here, settle)
    assert await here.sweep() == {}


@pytest.mark.parametrize("is_lost", [True, False])
async def test_only_a_lost_job_is_polled_again(processes: Processes, is_lost: bool) -> None:
    gone, here, other = [await processes.start() for _ in range(3)]
    attempt = await sent(gone, "job_1")
    die(gone)
    error = OutcomeUnknownError("It is not known.")
    error.is_job_lost = is_lost

    async def finish(attempt: Attempt, job: Job) -> None:
        await purchase(here, FailingGateway(error)).finish(attempt, job)

    with pytest.raises(OutcomeUnknownError):
        await finish_jobs(here, finish)
    assert await state_of(here, attempt.id) == "unknown"
    assert [each.id for each in await other.sweep()] == ([attempt.id] if is_lost else [])


async def test_finish_jobs_raises_the_first_failure_after_the_last_job(processes: Processes) -> None:
    gone, here = await processes.start(), await processes.start()
    jobs = [await sent(gone, f"job_{number}") for number in range(4)]
    die(gone)
    failures = {jobs[0].id: JobPending(), jobs[1].id: LedgerError("The first."), jobs[2].id: LedgerError("The second.")}

    async def finish(attempt: Attempt, job: Job) -> None:
        if attempt.id in failures:
            await attempt.stopped()
            raise failures[attempt.id]
        await settle(attempt, job)

    with pytest.raises(LedgerError, match="The first"):
        await finish_jobs(here, finish)
    assert [await state_of(here, each.id) for each in jobs] == ["accepted", "accepted", "accepted", "settled"]
    await finish_jobs(here, settle)
    assert {await state_of(here, each.id) for each in jobs} == {"settled"}
