"""What the same call collects instead of buying it again, and for how long."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import (
    CALL,
    MINE,
    PRICE,
    REQUEST,
    RESPONSE,
    Processes,
    attempt_of,
    called_by,
    collected,
    die,
    order,
    reserve,
    rows,
    sent,
    settled,
    state_of,
    states,
)
from tests.support.pages import text_of

from blockrun_image.attempts import AttemptState, AttemptStatus, CallInfo, Job
from blockrun_image.errors import LedgerError
from blockrun_image.images import ImagesResponse
from blockrun_image.ports import Collected, NothingFound, Reserved
from blockrun_image_mcp.ledger.attempt import LedgerAttempt
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.store import Account
from blockrun_image_mcp.timings import DEFAULT

pytestmark = pytest.mark.anyio


async def test_abandoned_attempt_is_collected_by_one_caller_at_a_time(processes: Processes) -> None:
    one, other = await processes.start(), await processes.start()
    attempt = await sent(one)
    assert await collected(one) is None
    await attempt.mark_abandoned()
    assert await collected(other) == attempt.id
    assert await collected(one) is None  # its new caller waits
    die(other)
    assert await collected(one) == attempt.id
    await attempt.mark_delivered()
    await attempt.mark_abandoned()
    assert await collected(one) is None


async def test_same_call_of_a_waiting_caller_is_a_separate_purchase(processes: Processes) -> None:
    one, other = await processes.start(), await processes.start()
    attempts = [await sent(one), await sent(one), await reserve(other), await reserve(one, call=called_by("session"))]
    assert len({each.id for each in attempts}) == 4


async def test_call_with_other_arguments_collects_nothing(ledger: Ledger) -> None:
    await (await sent(ledger)).mark_abandoned()
    assert await collected(ledger, CallInfo("another call")) is None
    assert isinstance(await ledger.begin(CallInfo("another call"), order()), Reserved)


async def test_same_call_collects_what_was_sent_even_if_it_would_now_differ(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    await attempt.mark_abandoned()
    begun = await ledger.begin(CALL, order(Decimal(9), replace(REQUEST, prompt="A better fox", model="dall-e-2")))
    assert isinstance(begun, Collected)
    assert (begun.attempt.id, begun.attempt.request, begun.is_repeat) == (attempt.id, REQUEST, False)


@pytest.mark.parametrize("account", [Account(MINE.gateway, "other"), Account("https://other.example/v1", "mine")])
async def test_another_account_collects_nothing_and_polls_no_job(processes: Processes, account: Account) -> None:
    mine, other = await processes.start(), await processes.start(account)
    attempt = await sent(mine, "job_1")
    await attempt.stopped()
    await attempt.mark_abandoned()
    assert await collected(other) is None
    assert await other.sweep() == {}
    assert await collected(mine) == attempt.id


async def test_another_account_gets_no_repeat_and_no_uncollected_pictures(processes: Processes) -> None:
    mine, other = await processes.start(), await processes.start(Account(MINE.gateway, "other"))
    await (await settled(mine)).mark_delivered(is_repeatable=True)
    await (await settled(mine, CallInfo("lost"))).mark_abandoned()
    die(mine)
    begun = await other.begin(CALL, None)
    assert isinstance(begun, NothingFound)
    assert not begun.uncollected


async def test_ledger_without_a_file_finds_nothing_and_creates_none(processes: Processes) -> None:
    ledger = await processes.start()
    assert await ledger.begin(CALL, None) == NothingFound()
    assert not ledger.path.parent.exists()


async def test_oldest_attempt_is_collected_first(ledger: Ledger, clock: Clock) -> None:
    attempts: list[LedgerAttempt] = []
    for _ in range(2):
        attempts.append(await sent(ledger))
        clock.now += 1
    for attempt in reversed(attempts):
        await attempt.mark_abandoned()
    assert [await collected(ledger), await collected(ledger)] == [each.id for each in attempts]


async def test_unsent_abandoned_attempt_is_released_and_bought_again(ledger: Ledger) -> None:
    attempt = await reserve(ledger)
    await attempt.mark_abandoned()
    assert await state_of(ledger, attempt.id) == "reserved"  # who works on it may still be told to wait
    again = await reserve(ledger)
    assert again.id != attempt.id
    assert await states(ledger) == ["released", "reserved"]
    with pytest.raises(LedgerError, match="was given up"):
        await attempt.sent()


async def test_attempt_is_not_sent_once_all_callers_have_gone(processes: Processes) -> None:
    ledger = await processes.start()
    attempt = await reserve(ledger)
    await attempt.mark_abandoned()
    with pytest.raises(LedgerError, match="This call was abandoned"):
        await attempt.sent()
    assert await states(ledger) == ["reserved"]


async def test_pictures_are_collectable_for_a_day_after_the_attempt_ended(processes: Processes) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await sent(ledger)
    processes.clock.now += 7_200
    await attempt.settled(RESPONSE)
    await attempt.mark_abandoned()
    processes.clock.now += DEFAULT.pictures_seconds - 1
    assert await collected(other) == attempt.id
    die(other)
    processes.clock.now += 1
    assert await collected(await processes.start()) is None


async def test_wrong_wall_clock_does_not_prevent_collecting(processes: Processes, clock: Clock) -> None:
    processes.monotonic = Clock(0.0)
    ledger = await processes.start()
    attempt = await sent(ledger)
    await attempt.settled(RESPONSE)
    await attempt.mark_abandoned()
    die(ledger)
    clock.now += 2 * DEFAULT.pictures_seconds
    assert await collected(await processes.start()) == attempt.id


@pytest.mark.parametrize("outcome", ["unknown", "charged without pictures"])
async def test_other_outcomes_are_collectable_for_an_hour(processes: Processes, outcome: str) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await sent(ledger)
    await (attempt.mark_unknown() if outcome == "unknown" else attempt.settled(ImagesResponse((), PRICE)))
    await attempt.mark_abandoned()
    processes.clock.now += DEFAULT.collectable_seconds - 1
    assert await collected(other) == attempt.id
    die(other)
    processes.clock.now += 1
    assert await collected(await processes.start()) is None


async def test_open_attempt_is_collectable_at_any_age(ledger: Ledger, clock: Clock) -> None:
    attempt = await sent(ledger, "job_1")
    await attempt.mark_abandoned()
    clock.now += 10 * DEFAULT.pictures_seconds
    assert await collected(ledger) == attempt.id


async def test_uncharged_attempt_is_not_collected(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    await attempt.released()
    await attempt.mark_abandoned()
    assert await states(ledger) == ["released"]
    assert await collected(ledger) is None
    assert isinstance(await ledger.begin(CALL, order()), Reserved)


async def test_collected_attempt_has_its_full_response(processes: Processes) -> None:
    attempt = await settled(await processes.start())
    await attempt.mark_abandoned()
    begun = await (await processes.start()).begin(CALL, None)
    assert await attempt_of(begun).status() == AttemptStatus(AttemptState.SETTLED, None, RESPONSE)


async def test_missing_attempt_is_unknown(ledger: Ledger) -> None:
    assert await ledger.status("no such attempt") == AttemptStatus(AttemptState.UNKNOWN)


async def test_status_of_an_accepted_job_has_its_id_and_no_charge(ledger: Ledger) -> None:
    attempt = await sent(ledger, "job_1")
    nothing = ImagesResponse([], None, [])
    assert await attempt.status() == AttemptStatus(AttemptState.ACCEPTED, Job("job_1"), nothing)


@pytest.mark.parametrize("has_ended", [True, False])
async def test_unknown_outcome_is_reported_once(ledger: Ledger, has_ended: bool) -> None:
    attempt = await sent(ledger)
    if has_ended:
        await attempt.mark_unknown()
    await attempt.mark_abandoned()
    again = attempt_of(await ledger.begin(CALL, None))
    await again.mark_delivered(is_unknown=True)
    assert await collected(ledger) is None
    assert isinstance(await ledger.begin(CALL, order()), Reserved)


async def test_pictures_that_follow_an_unknown_outcome_are_collected(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    await attempt.mark_unknown()
    await attempt.mark_delivered(is_unknown=True)
    await attempt.settled(RESPONSE)
    assert await collected(ledger) == attempt.id


async def test_many_reported_unknown_outcomes_hide_no_pictures(processes: Processes, clock: Clock) -> None:
    ledger = await processes.start()
    for _ in range(51):
        attempt = await sent(ledger)
        await attempt.mark_unknown()
        await attempt.mark_delivered(is_unknown=True)
    clock.now += 1
    attempt = await settled(ledger)
    await attempt.mark_abandoned()
    assert await collected(ledger) == attempt.id


# several callers


async def test_attempt_is_collectable_only_once_all_its_callers_have_gone(processes: Processes) -> None:
    one, other, third = [await processes.start() for _ in range(3)]
    attempt = await sent(one)
    await attempt.mark_abandoned()
    twin = attempt_of(await other.begin(CALL, None))
    await attempt.mark_abandoned()  # its first caller again, which changes nothing
    assert await collected(third) is None
    await twin.mark_abandoned()
    assert await collected(third) == attempt.id


async def test_callers_in_several_processes_share_the_attempt_of_one_approval(processes: Processes) -> None:
    one, other = await processes.start(), await processes.start()
    approved = order(approval="approval-1")
    first, second = attempt_of(await one.begin(CALL, approved)), attempt_of(await other.begin(CALL, approved))
    assert first.id == second.id
    await first.mark_abandoned()
    await first.sent()  # the other one still waits
    await second.mark_abandoned()
    assert await collected(one) == first.id


@pytest.mark.parametrize("is_delivered_first", [True, False])
async def test_delivery_to_one_caller_outweighs_abandonment_by_another(
    processes: Processes, is_delivered_first: bool
) -> None:
    one, other = await processes.start(), await processes.start()
    approved = order(approval="approval-1")
    first, second = attempt_of(await one.begin(CALL, approved)), attempt_of(await other.begin(CALL, approved))
    await first.sent()
    await first.settled(RESPONSE)
    if is_delivered_first:
        await first.mark_delivered()
    await second.mark_abandoned()
    if not is_delivered_first:
        await first.mark_delivered()
    assert await collected(one) is None
    assert isinstance(await one.begin(CALL, order()), Reserved)


async def test_delivery_to_one_session_leaves_another_pending(ledger: Ledger) -> None:
    approved = order(approval="approval-1")
    attempt = attempt_of(await ledger.begin(called_by("session"), approved))
    await ledger.begin(called_by("other session"), approved)
    await attempt.sent()
    await attempt.settled(RESPONSE)
    await attempt.mark_delivered()
    callers = rows(ledger.path, "SELECT caller, delivery FROM callers ORDER BY rowid")
    assert callers == [("session", "delivered"), ("other session", "pending")]


def test_default_timings_are_as_documented() -> None:
    assert DEFAULT.slow_call_seconds == 5
    assert DEFAULT.spill_seconds == 1
    assert "with the same pictures for two minutes" in text_of("hosts.md")
    assert DEFAULT.repeatable_seconds == 2 * 60
    assert "a killed server | free, from any client, for a day" in text_of("money.md")
    assert DEFAULT.pictures_seconds == 24 * 60 * 60


async def test_abandoning_after_delivery_changes_nothing(ledger: Ledger) -> None:
    attempt = await settled(ledger)
    await attempt.mark_delivered()
    await attempt.mark_abandoned()
    assert await collected(ledger) is None
    assert rows(ledger.path, "SELECT delivery FROM callers") == [("delivered",)]


async def test_returning_caller_waits_again(ledger: Ledger) -> None:
    attempt = await sent(ledger, call=called_by("session"))
    await attempt.mark_abandoned()
    assert await collected(ledger, called_by("session")) == attempt.id
    assert await collected(ledger, called_by("other")) is None
