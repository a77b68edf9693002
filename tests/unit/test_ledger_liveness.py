"""What the ledger makes of processes that have died, that live, and that live but do nothing."""

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import TypeVar

import anyio
import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import (
    CALL,
    HASTY,
    PAYMENT,
    RESPONSE,
    Processes,
    attempt_of,
    change,
    collected,
    die,
    locked,
    order,
    reserve,
    rows,
    sent,
    settled,
    spent,
    state_of,
    states,
)

from blockrun_image.attempts import CallInfo
from blockrun_image.errors import LedgerError
from blockrun_image.ports import Collected, Reserved
from blockrun_image_mcp.ledger import memory
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.store import AttemptStore
from blockrun_image_mcp.timings import DEFAULT

pytestmark = pytest.mark.anyio

T = TypeVar("T")

IMPATIENT = replace(DEFAULT, write_seconds=0.0, answer_seconds=0.0, poll_seconds=0.0, missed_polls=0)
"""Takes what is known for a moment for overdue, and a job whose poll is awaited for missed."""


async def test_attempt_of_a_living_process_is_left_alone_at_any_age(processes: Processes, clock: Clock) -> None:
    living, other = await processes.start(), await processes.start()
    ids = [(await reserve(living)).id, (await sent(living)).id, (await sent(living, "job_1")).id]
    clock.now += 30 * 86_400
    for each in (other, living):
        await each.spending_today()
        assert await each.sweep() == {}
        assert [await state_of(each, id) for id in ids] == ["reserved", "sent", "accepted"]


async def test_attempt_of_a_dead_process_is_released_if_unsent_else_unknown(
    processes: Processes,
) -> None:
    gone, other = await processes.start(), await processes.start()
    reserved, left, job = await reserve(gone), await sent(gone), await sent(gone, "job_1")
    die(gone)
    assert await states(other) == ["accepted", "released", "unknown"]
    assert await spent(other) == 84_000
    with pytest.raises(LedgerError, match="was given up"):
        await reserved.sent()
    await left.settled(RESPONSE)  # it had only been taken for dead
    assert await states(other) == ["accepted", "released", "settled"]
    assert job.id in [attempt.id for attempt in await other.sweep()]


@pytest.mark.parametrize("way", ["begin", "sweep", "spending_today"])
async def test_any_access_ends_attempts_of_dead_processes(processes: Processes, way: str) -> None:
    gone, other = await processes.start(), await processes.start()
    attempt = await sent(gone)
    die(gone)
    match way:
        case "begin":
            await other.begin(CallInfo("another call"), None)
        case "sweep":
            await other.sweep()
        case _:
            await other.spending_today()
    assert rows(other.path, "SELECT state FROM spending WHERE id = ?", attempt.id) == [("unknown",)]


async def test_attempt_of_a_dead_process_reads_as_ended_before_it_is_written(processes: Processes) -> None:
    gone, other = await processes.start(), await processes.start()
    attempt = await sent(gone)
    await other.begin(CallInfo("another call"), None)
    die(gone)
    assert await state_of(other, attempt.id) == "unknown"
    assert rows(other.path, "SELECT state FROM spending") == [("sent",)]


async def test_callers_of_a_dead_process_count_as_abandoned(processes: Processes) -> None:
    gone, other = await processes.start(), await processes.start()
    attempt = await settled(gone)
    assert await collected(other) is None
    die(gone)
    assert await collected(other) == attempt.id


async def test_sweep_of_an_idle_ledger_only_reads(processes: Processes) -> None:
    ledger, other = await processes.start(timings=HASTY), await processes.start()
    await sent(other, "job_1")
    await ledger.spending_today()
    with locked(ledger.path):
        assert await ledger.sweep() == {}
        die(other)
        with pytest.raises(LedgerError, match="locked"):
            await ledger.sweep()


async def test_attempt_owned_by_another_process_is_not_sent(processes: Processes) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await reserve(ledger)
    await reserve(other)
    change(ledger.path, "UPDATE spending SET owner = ?", other.owner)
    with pytest.raises(LedgerError, match="was given up"):
        await attempt.sent()


async def test_refused_payment_of_a_dead_process_stays_held(processes: Processes, clock: Clock) -> None:
    gone, other = await processes.start(), await processes.start()
    attempt = await reserve(gone)
    await attempt.signed(replace(PAYMENT, valid_before=int(clock.now) + 300))
    await attempt.sent()
    await attempt.released()
    die(gone)
    assert await states(other) == ["held"]


def locks(ledger: Ledger) -> set[str]:
    """Return the processes that have a lock file."""
    return {path.stem for path in ledger.path.with_name(f"{ledger.path.name}.locks").glob("*.lock")}


async def test_ended_process_keeps_its_lock_file_only_while_it_is_referenced(processes: Processes) -> None:
    ledgers = [await processes.start() for _ in range(3)]
    await (await settled(ledgers[0])).mark_delivered()
    await sent(ledgers[1])
    await settled(ledgers[2])  # for a caller who waits
    named = {each.owner for each in ledgers[1:]}
    await processes.end()
    for _ in range(1_000):
        if not any(each.owner for each in ledgers):
            break
        await anyio.sleep(0.002)
    assert locks(ledgers[0]) == named


@pytest.mark.parametrize("has_sent", [True, False])
async def test_sweep_removes_the_unreferenced_lock_file_of_a_dead_process(processes: Processes, has_sent: bool) -> None:
    gone, other = await processes.start(), await processes.start()
    attempt = await sent(gone) if has_sent else await settled(gone)
    await attempt.mark_delivered()
    await other.begin(CallInfo("another call"), None)
    dead = gone.owner
    die(gone)
    await other.sweep()  # which ends what the dead one has left
    assert locks(other) == ({dead, other.owner} if has_sent else {other.owner})
    await other.sweep()
    assert locks(other) == {other.owner}


@pytest.mark.parametrize("way", ["spending_today", "sweep"])
async def test_own_attempt_is_not_ended_before_its_reservation_returns(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    write = ledger.write

    async def write_and_look(work: Callable[[AttemptStore], T]) -> T:
        """Write, and have another call look into the ledger before this one goes on."""
        written = await write(work)
        patched.undo()
        await getattr(ledger, way)()
        return written

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "write", write_and_look)
        attempt = await reserve(ledger)
    assert await states(ledger) == ["reserved"]
    await attempt.sent()


async def test_begin_after_a_long_sleep_does_not_buy_twice(processes: Processes) -> None:
    gone, here = await processes.start(), await processes.start()
    attempt = await sent(gone)
    die(gone)
    begun = await here.begin(CALL, order())
    assert isinstance(begun, Collected)
    assert (begun.attempt.id, await spent(here)) == (attempt.id, 42_000)
    await attempt_of(begun).mark_delivered(is_unknown=True)
    assert isinstance(await here.begin(CALL, order()), Reserved)
    assert await spent(here) == 84_000


async def test_own_attempt_without_work_is_ended_as_if_its_process_were_dead(ledger: Ledger) -> None:
    reserved, left = await reserve(ledger), await sent(ledger)
    for attempt in (reserved, left):
        ledger.memory.working.discard(attempt.id)
    assert await states(ledger) == ["released", "unknown"]
    assert (await ledger.spending_today()).to_dict()["unknown_usd"] == "0.042"


# overdue answers


async def test_answer_is_overdue_after_the_longest_allowed_wait(processes: Processes) -> None:
    working, patient, impatient = (
        await processes.start(),
        await processes.start(),
        await processes.start(timings=IMPATIENT),
    )
    attempt = await sent(working)
    for each in (patient, impatient):
        await each.status(attempt.id)
    await anyio.sleep(0.001)
    assert not (await patient.status(attempt.id)).is_overdue
    status = await impatient.status(attempt.id)
    assert (status.is_overdue, status.state.value) == (True, "sent")


async def test_answer_is_overdue_330_seconds_after_first_seen_pending(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    working, other = await processes.start(), await processes.start()
    attempt, monotonic = await sent(working), Clock(1_000.0)
    monkeypatch.setattr(memory, "time", SimpleNamespace(monotonic=monotonic, time=time.time))

    async def is_overdue() -> bool:
        return (await other.status(attempt.id)).is_overdue

    assert not await is_overdue()
    monotonic.now += 330
    assert not await is_overdue()
    monotonic.now += 1
    assert await is_overdue()


async def test_setting_the_machines_clock_makes_no_answer_overdue(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    working, other = await processes.start(), await processes.start()
    attempt, now = await sent(working), time.time()
    await other.status(attempt.id)
    monkeypatch.setattr(time, "time", lambda: now + 86_400)
    assert not (await other.status(attempt.id)).is_overdue


async def test_setting_the_ledgers_clock_makes_no_answer_overdue(processes: Processes, clock: Clock) -> None:
    working, other = await processes.start(), await processes.start()
    attempt = await sent(working)
    await other.status(attempt.id)
    clock.now += 365 * 86_400
    assert not (await other.status(attempt.id)).is_overdue


@pytest.mark.parametrize("job", [None, "job_1"])
async def test_only_a_sent_attempt_is_overdue(processes: Processes, job: str | None) -> None:
    working, impatient = await processes.start(), await processes.start(timings=IMPATIENT)
    attempt = await reserve(working) if job is None else await sent(working, job)
    for _ in range(2):
        assert not (await impatient.status(attempt.id)).is_overdue
        await anyio.sleep(0.001)
