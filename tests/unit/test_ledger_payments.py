"""Signed payments that hold money after a refusal, payees, approvals, and what the operator may release."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import anyio
import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import (
    CALL,
    HASTY,
    OTHER_PAYEE,
    PAYEE,
    PAYMENT,
    RESPONSE,
    Processes,
    attempt_of,
    change,
    die,
    locked,
    order,
    quote,
    reserve,
    sent,
    spent,
    states,
)

from blockrun_image.attempts import AttemptState, CallInfo, Job
from blockrun_image.errors import BudgetExceededError, ConfirmationError, LedgerError, PaymentRequiredError
from blockrun_image.ports import Collected, Reserved
from blockrun_image_mcp.ledger.attempt import LedgerAttempt
from blockrun_image_mcp.ledger.ledger import Ledger

pytestmark = pytest.mark.anyio


async def signed(ledger: Ledger, clock: Clock) -> LedgerAttempt:
    attempt = await reserve(ledger)
    await attempt.signed(replace(PAYMENT, valid_before=int(clock.now) + 300))
    return attempt


@pytest.mark.parametrize("job", [None, "job_1"])
@pytest.mark.parametrize("later_seconds", [0, 361, 86_400 * 30])
async def test_refused_payment_is_held_even_after_it_expires(
    processes: Processes, clock: Clock, job: str | None, later_seconds: int
) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await signed(ledger, clock)
    await attempt.sent()
    if job is not None:
        await attempt.accepted(job)
    await attempt.released()
    day = ledger.today()
    clock.now += later_seconds
    assert await other.sweep() == {}
    assert [entry.state for entry in await ledger.recent(9)] == ["held"]
    assert await ledger.write(lambda store: store.spent_on(day)) == 42_000


async def test_payment_refused_after_its_expiry_is_held(ledger: Ledger, clock: Clock) -> None:
    attempt = await signed(ledger, clock)
    await attempt.sent()
    clock.now += 361
    await attempt.released()
    assert [entry.state for entry in await ledger.recent(9)] == ["held"]


async def test_operator_can_release_a_held_attempt_a_minute_after_expiry(ledger: Ledger, clock: Clock) -> None:
    attempt, end = await signed(ledger, clock), int(clock.now) + 300
    await attempt.sent()
    await attempt.released()
    for now in (end - 1, end + 60):
        clock.now = now
        assert "Its payment can be used until 20" in str(await ledger.release(attempt.id))
    clock.now = end + 61
    assert await ledger.release(attempt.id) is None
    assert await ledger.recent(9) == []


async def test_unknown_attempt_with_a_payment_is_not_released_before_expiry(ledger: Ledger, clock: Clock) -> None:
    attempt = await signed(ledger, clock)
    await attempt.sent()
    await attempt.mark_unknown()
    assert "can be used until" in str(await ledger.release(attempt.id))
    clock.now += 361
    assert await ledger.release(attempt.id) is None


async def test_unsent_payment_is_released_at_once(ledger: Ledger, clock: Clock) -> None:
    attempt = await signed(ledger, clock)
    await attempt.released()
    assert await states(ledger) == ["released"]


async def test_stopped_attempt_with_a_sent_payment_is_held(ledger: Ledger, clock: Clock) -> None:
    attempt = await signed(ledger, clock)
    await attempt.sent()
    await attempt.stopped()
    assert await states(ledger) == ["held"]


async def test_late_answer_settles_a_held_attempt(ledger: Ledger, clock: Clock) -> None:
    attempt = await signed(ledger, clock)
    await attempt.sent()
    await attempt.released()
    await attempt.settled(RESPONSE)
    assert await states(ledger) == ["settled"]


async def test_late_acceptance_turns_a_held_attempt_into_a_job(ledger: Ledger, clock: Clock) -> None:
    attempt = await signed(ledger, clock)
    await attempt.sent()
    await attempt.released()
    await attempt.accepted("job_1")
    assert await states(ledger) == ["accepted"]


async def test_caller_of_a_held_attempt_does_not_wait_for_expiry(ledger: Ledger, clock: Clock) -> None:
    attempt = await signed(ledger, clock)
    await attempt.sent()
    await attempt.accepted("job_1")
    await attempt.released()
    status = await attempt.status()
    assert (status.state.is_open, status.is_claimable) == (False, False)


async def test_job_is_polled_with_its_payment(processes: Processes, clock: Clock) -> None:
    gone, other = await processes.start(), await processes.start()
    attempt = await signed(gone, clock)
    await attempt.sent()
    await attempt.accepted("job_1")
    die(gone)
    job = Job("job_1", replace(PAYMENT, valid_before=int(clock.now) + 300))
    assert list((await other.sweep()).values()) == [job]
    assert (await other.status(attempt.id)).job == job


@pytest.mark.parametrize("step", ["quoted", "signed"])
async def test_nothing_is_quoted_or_signed_for_a_released_attempt(processes: Processes, step: str) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await reserve(ledger)
    await attempt.mark_abandoned()
    assert isinstance(await other.begin(CALL, order()), Reserved)
    with pytest.raises(LedgerError, match="was given up"):
        await (attempt.quoted(quote()) if step == "quoted" else attempt.signed(PAYMENT))


async def test_nothing_is_signed_while_the_ledger_cannot_be_written(processes: Processes) -> None:
    ledger = await processes.start(timings=HASTY)
    attempt = await reserve(ledger)
    with locked(ledger.path):
        for step in (attempt.signed(PAYMENT), attempt.quoted(quote()), attempt.sent()):
            with pytest.raises(LedgerError, match="locked"):
                await step


async def test_operator_can_release_only_unknown_or_held_attempts(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    assert await ledger.release(attempt.id) == "That attempt is sent: only one that is unknown or held can be released."
    await attempt.mark_unknown()
    assert await ledger.release(attempt.id) is None
    assert "is released" in str(await ledger.release(attempt.id))
    assert await ledger.release("no such attempt") == "There is no attempt with that id."
    assert await spent(ledger) == 0


async def test_attempt_in_progress_is_not_released_by_another_process(processes: Processes) -> None:
    working, other = await processes.start(), await processes.start()
    attempt = await sent(working)
    change(working.path, "UPDATE spending SET state = 'unknown'")  # as a version might that tells it early
    assert "still works on it" in str(await other.release(attempt.id))
    die(working)
    assert await other.release(attempt.id) is None


async def test_attempt_in_progress_is_not_released_by_its_own_process(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    change(ledger.path, "UPDATE spending SET state = 'unknown'")
    assert "still works on it" in str(await ledger.release(attempt.id))


async def test_charge_named_after_a_release_is_recorded(processes: Processes) -> None:
    working, other = await processes.start(), await processes.start()
    attempt = await sent(working)
    await attempt.mark_unknown()
    assert await other.release(attempt.id) is None
    await attempt.settled(replace(RESPONSE, charged_usd=Decimal("0.9")))
    assert (await states(other), await spent(other)) == (["settled"], 900_000)


async def test_charge_named_by_an_accepted_job_counts_at_once(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    await attempt.accepted("job_1", Decimal("0.9"))
    assert await spent(ledger) == 900_000
    await attempt.settled(replace(RESPONSE, charged_usd=Decimal("0.05")))
    assert await spent(ledger) == 900_000


@pytest.mark.parametrize("end", ["released", "stopped"])
async def test_failed_job_that_named_a_charge_counts_as_charged(ledger: Ledger, end: str) -> None:
    attempt = await sent(ledger)
    await attempt.accepted("job_1", Decimal("0.05"))
    await getattr(attempt, end)()
    assert await states(ledger) == (["settled"] if end == "released" else ["accepted"])
    assert await spent(ledger) == 50_000


async def test_undelivered_refusal_is_reported_before_the_same_call_pays_again(ledger: Ledger, clock: Clock) -> None:
    attempt = await signed(ledger, clock)
    await attempt.sent()
    await attempt.released()
    await attempt.mark_abandoned()
    found = await ledger.begin(CALL, order())
    assert isinstance(found, Collected)
    assert (await found.attempt.status()).state is AttemptState.HELD
    await found.attempt.mark_delivered(is_unknown=True)
    assert isinstance(await ledger.begin(CALL, order()), Reserved)


# payees


async def quoted(ledger: Ledger, payee: str = PAYEE, host: str = "blockrun.ai") -> LedgerAttempt:
    attempt = await reserve(ledger)
    await attempt.quoted(quote(payee=payee, host=host))
    return attempt


async def paid(ledger: Ledger, clock: Clock, payee: str = PAYEE) -> LedgerAttempt:
    """Let a signed payment to an address leave."""
    attempt = await quoted(ledger, payee)
    await attempt.signed(replace(PAYMENT, payee=payee, valid_before=int(clock.now) + 300))
    await attempt.sent()
    return attempt


async def test_payee_is_trusted_once_a_payment_is_accepted(processes: Processes, clock: Clock) -> None:
    ledger, other = await processes.start(), await processes.start()
    await (await paid(ledger, clock)).settled(RESPONSE)
    clock.now += 400
    with pytest.raises(PaymentRequiredError, match=r"asks to be paid at 0xcdcd\w+, but was paid at '0xAbAb"):
        await quoted(other, OTHER_PAYEE, host="BlockRun.ai")
    await quoted(other, PAYEE.lower())
    await quoted(other, OTHER_PAYEE, host="blockrun.ai:8443")
    await other.trust("BLOCKRUN.ai", OTHER_PAYEE)
    with pytest.raises(PaymentRequiredError, match="was paid at '0xcdcd"):
        await quoted(ledger)


async def test_payee_of_an_accepted_job_is_trusted(ledger: Ledger, clock: Clock) -> None:
    await (await paid(ledger, clock)).accepted("job_1")
    with pytest.raises(PaymentRequiredError, match="was paid at"):
        await quoted(ledger, OTHER_PAYEE)


async def test_operator_trusted_payee_survives_delivery_by_the_former_one(ledger: Ledger, clock: Clock) -> None:
    attempt = await paid(ledger, clock)
    await ledger.trust("blockrun.ai", OTHER_PAYEE)
    await attempt.settled(RESPONSE)
    clock.now += 400
    with pytest.raises(PaymentRequiredError, match="was paid at '0xcdcd"):
        await quoted(ledger)
    await quoted(ledger, OTHER_PAYEE)


async def test_trusted_payee_is_not_paid_while_the_former_payees_job_is_open(ledger: Ledger, clock: Clock) -> None:
    await (await paid(ledger, clock)).accepted("job_1")
    await ledger.trust("blockrun.ai", OTHER_PAYEE)
    with pytest.raises(PaymentRequiredError, match=r"a payment to '0xAbAb\w+' can still be used"):
        await quoted(ledger, OTHER_PAYEE)
    clock.now += 361
    await quoted(ledger, OTHER_PAYEE)


@pytest.mark.parametrize("end", ["released", "mark_unknown"])
async def test_payee_that_delivered_nothing_is_not_trusted(ledger: Ledger, clock: Clock, end: str) -> None:
    await getattr(await paid(ledger, clock), end)()
    clock.now += 361
    await quoted(ledger, OTHER_PAYEE)


async def test_payee_of_an_unpaid_quote_is_not_trusted(ledger: Ledger) -> None:
    await (await quoted(ledger)).released()
    await quoted(ledger, OTHER_PAYEE)


@pytest.mark.parametrize("end", ["nothing", "released", "mark_unknown"])
async def test_second_payee_is_not_paid_while_the_first_payment_is_usable(
    processes: Processes, clock: Clock, end: str
) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await paid(ledger, clock)
    if end != "nothing":
        await getattr(attempt, end)()
    clock.now += 360
    with pytest.raises(PaymentRequiredError, match=r"a payment to '0xAbAb\w+' can still be used. Nothing was signed"):
        await quoted(other, OTHER_PAYEE)
    await quoted(other)


async def test_first_of_two_payees_quoted_at_once_is_paid(processes: Processes) -> None:
    ledger, other = await processes.start(), await processes.start()
    first = await quoted(ledger)
    with pytest.raises(PaymentRequiredError, match="can still be used"):
        await quoted(other, OTHER_PAYEE)
    await first.released()
    await quoted(other, OTHER_PAYEE)


# approvals


async def approved(ledger: Ledger, key: str = "another call") -> Collected | Reserved:
    begun = await ledger.begin(CallInfo(key), order(approval="approval-1"))
    assert isinstance(begun, Collected | Reserved)
    return begun


async def released(ledger: Ledger) -> LedgerAttempt:
    attempt = attempt_of(await approved(ledger))
    await attempt.released()
    return attempt


async def held(ledger: Ledger) -> LedgerAttempt:
    attempt = attempt_of(await approved(ledger))
    await attempt.signed(PAYMENT)
    await attempt.sent()
    await attempt.released()
    return attempt


@pytest.mark.parametrize("end", [released, held])
async def test_approval_of_a_failed_attempt_is_used_up(processes: Processes, end: Callable[..., object]) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await (released(ledger) if end is released else held(ledger))
    for each in (ledger, other):
        with pytest.raises(ConfirmationError, match=rf"as attempt {attempt.id} \({end.__name__}\)") as caught:
            await approved(each)
        assert "blockrun-image-mcp images" in caught.value.hint
    await reserve(other, approval="approval-2")
    for _ in range(2):
        await reserve(ledger, Decimal(0))


@pytest.mark.parametrize("is_delivered", [True, False])
async def test_used_approval_collects_the_attempt_it_bought(processes: Processes, is_delivered: bool) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = attempt_of(await approved(ledger))
    await attempt.sent()
    if is_delivered:
        await attempt.settled(RESPONSE)
        await attempt.mark_delivered()
    for each in (ledger, other):
        begun = await approved(each, "the call in another's words")
        assert isinstance(begun, Collected)
        assert (begun.attempt.id, begun.is_repeat) == (attempt.id, False)
    assert await spent(ledger) == 42_000


async def test_approval_of_a_refused_reservation_is_not_used_up(ledger: Ledger) -> None:
    with pytest.raises(BudgetExceededError):
        await reserve(ledger, Decimal(9), approval="approval-1")
    await reserve(ledger, approval="approval-1")


async def test_one_of_two_processes_with_the_same_approval_reserves(processes: Processes) -> None:
    ledgers = [await processes.start() for _ in range(2)]
    begun: list[Collected | Reserved] = []

    async def begin(ledger: Ledger) -> None:
        begun.append(await approved(ledger))

    async with anyio.create_task_group() as tasks:
        for each in ledgers:
            tasks.start_soon(begin, each)
    assert {type(each) for each in begun} == {Collected, Reserved}
    assert len({each.attempt.id for each in begun}) == 1
    assert await spent(ledgers[0]) == 42_000
