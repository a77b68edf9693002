"""What goes on beside the calls, as two processes that share one file: leases, and jobs that were left."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from tests.fakes import at_most

from blockrun_image.errors import GatewayUnavailableError, LedgerError
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, StillDrawingError
from blockrun_image_mcp.ledger.attempts import Account
from blockrun_image_mcp.ledger.keeping import kept, renewed
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.ledger.sqlite import SqliteAttempt, SqliteLedger
from blockrun_image_mcp.timings import DEFAULT, Timings

pytestmark = pytest.mark.anyio

REQUEST = ImageRequest("A red fox", "dall-e-3", "1024x1024", "standard", 1)
PRICE = Decimal("0.042")
ACCOUNT = Account("https://gateway.example/v1", "mine")


QUICK = Timings(renewal_seconds=0.01, sweep_seconds=0.01)


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledgers(tmp_path: Path, clock: Clock) -> AsyncGenerator[tuple[SqliteLedger, SqliteLedger]]:
    """Return the ledgers of a process that goes and of one that stays."""
    path, limits = tmp_path / "ledger.sqlite3", Limits(None, None)
    gone, here = (SqliteLedger(path, limits, ACCOUNT, clock, QUICK) for _ in range(2))
    yield gone, here
    await gone.close()
    await here.close()


async def job(ledger: SqliteLedger, name: str) -> SqliteAttempt:
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    await attempt.sent()
    await attempt.accepted(name)
    return attempt


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(1_000):
        if await is_so():
            return
        await anyio.sleep(0.005)
    raise AssertionError


async def settle(attempt: Attempt, request: ImageRequest) -> None:
    """Ask after a job until it has ended, with pictures."""
    assert request == REQUEST
    if await attempt.adopt():
        await attempt.settled(ImagesResponse((), PRICE))


async def test_the_jobs_of_a_process_that_has_gone_are_finished_and_those_of_one_that_lives_are_not(
    ledgers: tuple[SqliteLedger, SqliteLedger], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    gone, here = ledgers
    left, own = await job(gone, "job_1"), await job(here, "job_2")
    async with kept(here, settle):
        await anyio.sleep(0.05)
        assert (await left.look()).state == "accepted"
        clock.now += DEFAULT.lease_seconds - 1
        await anyio.sleep(0.05)  # in which the other lease is renewed
        clock.now += 2

        async def is_settled() -> bool:
            return (await left.look()).state == "settled"

        await until(is_settled)
    assert (await own.look()).state == "accepted"
    assert f"finished {left.id}, which its process had left" in caplog.text


async def test_a_job_that_fails_keeps_no_other_from_its_end_and_is_looked_at_again(
    ledgers: tuple[SqliteLedger, SqliteLedger], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gone, here = ledgers
    jobs = [await job(gone, f"job_{number}") for number in range(4)]
    errors: dict[str, Exception] = {
        jobs[0].id: GatewayUnavailableError("No way."),
        jobs[1].id: StillDrawingError(),
        jobs[2].id: ZeroDivisionError(),
    }
    seen: list[str] = []

    async def finish(attempt: Attempt, request: ImageRequest) -> None:
        seen.append(attempt.id)
        if attempt.id in errors:
            raise errors[attempt.id]
        await settle(attempt, request)

    clock.now += DEFAULT.lease_seconds + 1
    async with kept(here, finish):

        async def is_seen_twice() -> bool:
            await anyio.lowlevel.checkpoint()
            return all(seen.count(id) > 1 for id in errors)

        await until(is_seen_twice)
    assert (await jobs[3].look()).state == "settled"
    assert seen.count(jobs[3].id) == 1
    assert f"{jobs[0].id}, which its process had left, could not be finished: No way." in caplog.text
    assert f"{jobs[1].id} is still being made" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_no_more_than_a_few_jobs_are_asked_after_at_once(
    ledgers: tuple[SqliteLedger, SqliteLedger], clock: Clock
) -> None:
    gone, here = ledgers
    for number in range(6):
        await job(gone, f"job_{number}")
    under_way: list[str] = []

    async def finish(attempt: Attempt, request: ImageRequest) -> None:
        await attempt.adopt()
        under_way.append(attempt.id)
        await anyio.sleep_forever()

    clock.now += DEFAULT.lease_seconds + 1
    async with kept(here, finish):
        await anyio.sleep(0.1)
    assert len(under_way) == len(set(under_way)) == 4


def kept_whole(ledger: SqliteLedger) -> AbstractAsyncContextManager[None]:
    return kept(ledger, settle)


@pytest.mark.parametrize("keep", [kept_whole, renewed])
async def test_a_ledger_that_cannot_be_used_for_a_while_ends_nothing(
    ledgers: tuple[SqliteLedger, SqliteLedger],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    keep: Callable[[SqliteLedger], AbstractAsyncContextManager[None]],
) -> None:
    gone, here = ledgers
    attempt = await job(here, "job_1")
    renew, failures = here.renew, [LedgerError("The disk is full.")] * 3

    async def failing() -> None:
        if failures:
            raise failures.pop()
        await renew()

    monkeypatch.setattr(here, "renew", failing)
    async with keep(here):
        await anyio.sleep(0.1)
        clock.now += DEFAULT.lease_seconds - 1
        await anyio.sleep(0.1)
        clock.now += DEFAULT.lease_seconds - 1
        assert await gone.jobs() == {}
    assert (failures, (await attempt.look()).state) == ([], "accepted")


async def test_leases_are_renewed_until_the_end_and_no_longer(
    ledgers: tuple[SqliteLedger, SqliteLedger], clock: Clock
) -> None:
    here, other = ledgers
    attempt = await job(here, "job_1")
    async with renewed(here):
        for _ in range(3):
            clock.now += DEFAULT.lease_seconds - 1
            await anyio.sleep(0.05)
            assert await other.jobs() == {}
    clock.now += DEFAULT.lease_seconds + 1
    assert [each.id for each in await other.jobs()] == [attempt.id]


def test_a_lease_outlives_two_renewals_that_fail() -> None:

    assert DEFAULT.lease_seconds >= 3 * DEFAULT.renewal_seconds
