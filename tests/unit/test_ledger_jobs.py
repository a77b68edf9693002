"""Jobs that were left, given back or are not polled, and who may poll them."""

import time
from dataclasses import replace
from types import SimpleNamespace

import anyio
import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import (
    RESPONSE,
    Processes,
    collected,
    die,
    reserve,
    rows,
    sent,
    state_of,
    states,
)

from blockrun_image.attempts import Job
from blockrun_image_mcp.ledger import memory
from blockrun_image_mcp.timings import DEFAULT, Timings

pytestmark = pytest.mark.anyio

IMPATIENT = replace(DEFAULT, write_seconds=0.0, answer_seconds=0.0, poll_seconds=0.0, missed_polls=0)
"""Takes what is known for a moment for overdue, and a job whose poll is awaited for missed."""


async def test_job_of_a_dead_process_is_claimed_by_one_process(processes: Processes) -> None:
    gone, one, other = [await processes.start() for _ in range(3)]
    attempt = await sent(gone, "job_1")
    die(gone)
    of_one, of_other = [next(iter(await each.sweep())) for each in (one, other)]
    assert of_one.id == of_other.id == attempt.id
    assert [await of_one.claim(), await of_other.claim(), await of_one.claim()] == [True, False, False]
    die(one)
    assert await of_other.claim()


async def test_job_of_a_living_process_is_not_claimed(processes: Processes) -> None:
    living, other = await processes.start(), await processes.start()
    attempt = await sent(living, "job_1")
    status = await other.status(attempt.id)
    assert (status.is_claimable, await other.claim(attempt.id), await living.claim(attempt.id)) == (False, None, None)
    assert await other.sweep() == {}


async def test_released_claim_can_be_taken_by_any_process(processes: Processes) -> None:
    one, other = await processes.start(), await processes.start()
    attempt = await sent(one, "job_1")
    await attempt.stopped()
    assert (await other.status(attempt.id)).is_claimable
    assert await attempt.claim()
    assert not (await other.status(attempt.id)).is_claimable
    await attempt.stopped()
    ((found, job),) = (await other.sweep()).items()
    assert (found.id, found.request, job) == (attempt.id, attempt.request, Job("job_1"))
    assert await found.claim()
    assert not await attempt.claim()
    await found.settled(RESPONSE)
    assert await states(one) == ["settled"]


async def test_records_after_reclaiming_a_job_are_applied(processes: Processes) -> None:
    one, other = await processes.start(), await processes.start()
    attempt = await sent(one, "job_1")
    await attempt.stopped()
    (found,) = await one.sweep()
    assert await found.claim()
    await found.settled(RESPONSE)
    assert await state_of(other, attempt.id) == "settled"


@pytest.mark.parametrize("state", ["reserved", "sent", "settled", "unknown", "missing"])
async def test_only_accepted_jobs_are_claimed(processes: Processes, state: str) -> None:
    gone, other = await processes.start(), await processes.start()
    attempt = await reserve(gone)
    if state != "reserved":
        await attempt.sent()
    match state:
        case "settled":
            await attempt.settled(RESPONSE)
        case "unknown":
            await attempt.mark_unknown()
        case _:
            pass
    die(gone)
    assert await other.claim("no such attempt" if state == "missing" else attempt.id) is None
    assert await other.sweep() == {}


async def test_lost_job_is_polled_by_another_process(processes: Processes) -> None:
    gone, other = await processes.start(), await processes.start()
    attempt = await sent(gone, "job_1")
    await attempt.mark_unknown(is_over=False)
    die(gone)
    ((found, job),) = (await other.sweep()).items()
    assert (found.id, job, await state_of(other, attempt.id)) == (attempt.id, Job("job_1"), "unknown")
    assert await found.claim()
    assert await state_of(other, attempt.id) == "accepted"
    await found.settled(RESPONSE)
    assert await states(other) == ["settled"]


async def test_failed_job_is_not_polled_again(processes: Processes) -> None:
    gone, other = await processes.start(), await processes.start()
    attempt = await sent(gone, "job_1")
    await attempt.mark_unknown(is_over=True)
    die(gone)
    assert (await other.sweep(), await other.claim(attempt.id)) == ({}, None)
    assert await states(other) == ["unknown"]


async def test_job_of_a_dead_process_is_collectable_while_another_finishes_it(processes: Processes) -> None:
    gone, other, third = [await processes.start() for _ in range(3)]
    attempt = await sent(gone, "job_1")
    die(gone)
    (job,) = await other.sweep()
    assert await job.claim()
    assert await other.sweep() == await third.sweep() == {}
    assert await collected(third) == attempt.id


async def test_job_is_claimable_once_its_polls_are_overdue(processes: Processes) -> None:
    hanging, other = await processes.start(), await processes.start(timings=IMPATIENT)
    attempt = await sent(hanging, "job_1")
    assert not (await other.status(attempt.id)).is_claimable  # seen for the first time
    await anyio.sleep(0.001)
    assert (await other.status(attempt.id)).is_claimable
    await attempt.polled(0.0)
    assert not (await other.status(attempt.id)).is_claimable
    await anyio.sleep(0.001)
    assert await other.claim(attempt.id) is not None
    await hanging.spending_today()
    assert rows(other.path, "SELECT owner FROM spending") == [(other.owner,)]


async def test_process_does_not_claim_the_job_it_is_polling(processes: Processes) -> None:
    working = await processes.start(timings=IMPATIENT)
    attempt = await sent(working, "job_1")
    await attempt.status()
    await anyio.sleep(0.001)
    assert not (await attempt.status()).is_claimable
    assert not await attempt.claim()


async def test_rarely_polled_job_has_not_missed_a_poll(processes: Processes) -> None:
    working = await processes.start()
    watching = await processes.start(timings=replace(IMPATIENT, missed_polls=3))
    attempt = await sent(working, "job_1")
    await attempt.polled(60.0)
    for _ in range(2):
        assert not (await watching.status(attempt.id)).is_claimable
        await anyio.sleep(0.001)


@pytest.mark.parametrize(("next_seconds", "missed_after"), [(1.0, 9), (60.0, 180)])
async def test_job_is_claimable_after_three_missed_polls(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, next_seconds: float, missed_after: int
) -> None:
    working, watching = await processes.start(), await processes.start()
    attempt, monotonic = await sent(working, "job_1"), Clock(1_000.0)
    monkeypatch.setattr(memory, "time", SimpleNamespace(monotonic=monotonic, time=time.time))
    await attempt.polled(next_seconds)
    for seconds, is_claimable in [(0, False), (missed_after, False), (1, True)]:
        monotonic.now += seconds
        assert (await watching.status(attempt.id)).is_claimable == is_claimable


async def test_setting_the_machines_clock_makes_no_poll_missed(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    working, watching = await processes.start(), await processes.start()
    attempt, now = await sent(working, "job_1"), time.time()
    await watching.status(attempt.id)
    monkeypatch.setattr(time, "time", lambda: now + 86_400)
    assert not (await watching.status(attempt.id)).is_claimable


async def test_lost_job_is_polled_at_once_and_then_hourly_for_a_day(
    processes: Processes, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, here = await processes.start(), await processes.start()
    attempt, monotonic = await sent(gone, "job_1"), Clock(1_000.0)
    monkeypatch.setattr(memory, "time", SimpleNamespace(monotonic=monotonic, time=time.time))
    await attempt.mark_unknown()
    die(gone)
    asked: list[float] = []
    for seconds in (0, 1, 3_598, 1, 3_600, 86_400 - 7_200 - 1, 1, 3_600):
        monotonic.now += seconds
        clock.now += seconds
        asked.extend([monotonic.now - 1_000] * len(await here.sweep()))
    assert asked == [0, 3_600, 7_200, 86_399]


async def test_missed_polls_are_measured_by_the_monotonic_clock(processes: Processes, clock: Clock) -> None:
    working, watching = await processes.start(), await processes.start(timings=Timings(poll_seconds=1.0))
    attempt = await sent(working, "job_1")
    await watching.status(attempt.id)
    clock.now += 86_400
    assert not (await watching.status(attempt.id)).is_claimable


async def test_claimed_job_is_settled_by_the_first_process_with_an_answer(processes: Processes) -> None:
    hanging, other = await processes.start(), await processes.start(timings=IMPATIENT)
    attempt = await sent(hanging, "job_1")
    await other.status(attempt.id)
    await anyio.sleep(0.001)
    assert await other.claim(attempt.id) is not None
    await attempt.settled(RESPONSE)
    assert await state_of(other, attempt.id) == "settled"


async def test_process_that_lost_its_claim_does_not_release_it(processes: Processes) -> None:
    hanging, other, third = await processes.start(), await processes.start(timings=IMPATIENT), await processes.start()
    attempt = await sent(hanging, "job_1")
    await other.status(attempt.id)
    await anyio.sleep(0.001)
    assert await other.claim(attempt.id) is not None
    await attempt.stopped()
    assert not (await third.status(attempt.id)).is_claimable
