"""How an attempt moves from state to state: what is believed, and what no longer changes it."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import PRICE, RESPONSE, Processes, reserve, rows, sent, settled, spent, states

from blockrun_image.errors import BudgetExceededError, LedgerError
from blockrun_image.images import ImagesResponse
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits

pytestmark = pytest.mark.anyio


async def test_answer_settles_an_unknown_or_released_attempt(processes: Processes) -> None:
    ledger, other = await processes.start(), await processes.start()
    unknown, released = await sent(ledger), await sent(ledger)
    await unknown.mark_unknown()
    await released.released()
    for attempt in (unknown, released):
        await attempt.settled(RESPONSE)
    assert await states(other) == ["settled"]


async def test_acceptance_reopens_an_unknown_attempt(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    await attempt.mark_unknown()
    await attempt.accepted("job_1")
    (row,) = rows(ledger.path, "SELECT state, job, ended_at FROM spending")
    assert row == ("accepted", "job_1", None)


async def test_later_records_do_not_undo_a_charge(ledger: Ledger) -> None:
    attempt = await settled(ledger)
    for late in (attempt.released, attempt.mark_unknown, attempt.stopped, attempt.refused_for_now):
        await late()
    assert not await attempt.settled(ImagesResponse((), Decimal("0.01")))
    assert (await states(ledger), await spent(ledger)) == (["settled"], 42_000)
    assert (await attempt.status()).response == RESPONSE


@pytest.mark.parametrize("response", [RESPONSE, replace(RESPONSE, charged_usd=None)], ids=["a charge", "no charge"])
@pytest.mark.parametrize("late", ["released", "mark_unknown", "stopped", "refused_for_now", "accepted"])
async def test_settled_attempt_stays_settled_after_a_late_record(
    ledger: Ledger, late: str, response: ImagesResponse
) -> None:
    attempt = await sent(ledger)
    await attempt.settled(response)
    await getattr(attempt, late)(*["job_1"] * (late == "accepted"))
    assert (await states(ledger), await spent(ledger)) == (["settled"], 42_000)
    assert (await attempt.status()).response == response


async def test_larger_charge_without_pictures_keeps_the_pictures(ledger: Ledger) -> None:
    attempt = await settled(ledger)
    await attempt.settled(ImagesResponse((), Decimal("0.05")))
    assert await spent(ledger) == 50_000
    response = (await attempt.status()).response
    assert response is not None
    assert response.images == RESPONSE.images


async def test_stopped_attempt_is_released_unless_accepted(ledger: Ledger) -> None:
    reserved, again = await reserve(ledger), await sent(ledger)
    await reserved.stopped()
    await again.stopped()
    assert await states(ledger) == ["released"]


async def test_accepted_job_stays_accepted_when_its_work_is_stopped(ledger: Ledger) -> None:
    attempt = await sent(ledger, "job_1")
    await attempt.stopped()
    assert await states(ledger) == ["accepted"]
    await attempt.settled(ImagesResponse((), PRICE))
    assert await states(ledger) == ["settled"]


async def test_rate_limited_attempt_can_be_sent_again(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    with pytest.raises(LedgerError):
        await attempt.sent()  # it has left, and was not refused
    await attempt.refused_for_now()
    assert await states(ledger) == ["reserved"]
    await attempt.sent()
    assert (await states(ledger), await spent(ledger)) == (["sent"], 42_000)
    await attempt.settled(RESPONSE)
    assert await states(ledger) == ["settled"]


async def test_rate_limited_attempt_is_not_sent_again_above_the_budget(processes: Processes) -> None:
    ledger, other = await processes.start(limits=Limits(None, 100_000)), await processes.start()
    attempt = await sent(ledger)
    await attempt.refused_for_now()
    await reserve(other, Decimal("0.09"))
    with pytest.raises(BudgetExceededError):
        await attempt.sent()
    assert await states(ledger) == ["reserved"]


async def test_rate_limited_attempt_counts_on_the_day_it_is_sent_again(ledger: Ledger, clock: Clock) -> None:
    attempt = await sent(ledger)
    await attempt.refused_for_now()
    clock.now += 1  # the next day
    assert await spent(ledger) == 0
    await attempt.sent()
    assert await spent(ledger) == 42_000


async def test_rate_limited_attempt_is_not_sent_again_without_a_caller(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    await attempt.refused_for_now()
    await attempt.mark_abandoned()
    with pytest.raises(LedgerError, match="This call was abandoned"):
        await attempt.sent()
    assert await states(ledger) == ["reserved"]


async def test_ended_attempt_cannot_be_sent(ledger: Ledger) -> None:
    attempt = await reserve(ledger)
    await attempt.released()
    with pytest.raises(LedgerError, match="was given up"):
        await attempt.sent()
