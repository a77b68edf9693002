"""Signed payments that hold money after a refusal, payees, approvals, and what the operator may release."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import anyio
import pytest
from tests.fakes import Clock
from tests.ledgers import (
    CALL,
    HASTY,
    PAYMENT,
    PRICE,
    RESPONSE,
    Processes,
    attempt_of,
    die,
    locked,
    order,
    reserve,
    sent,
    spent,
    states,
)

from blockrun_image.attempts import Job, MadeCall
from blockrun_image.errors import BudgetExceededError, ConfirmationError, LedgerError
from blockrun_image.ports import Collected, Reserved
from blockrun_image_mcp.ledger.attempt import LedgerAttempt
from blockrun_image_mcp.ledger.ledger import Ledger

pytestmark = pytest.mark.anyio


async def signed(ledger: Ledger, clock: Clock) -> LedgerAttempt:
    attempt = await reserve(ledger)
    await attempt.signed(replace(PAYMENT, valid_before=int(clock.now) + 300))
    return attempt


@pytest.mark.parametrize("job", [None, "job_1"])
async def test_refused_payment_is_held_until_a_minute_after_its_end(
    processes: Processes, clock: Clock, job: str | None
) -> None:
    clock.now -= 7_200
    ledger, other = await processes.start(), await processes.start()
    attempt, end = await signed(ledger, clock), int(clock.now) + 300
    await attempt.sent()
    if job is not None:
        await attempt.accepted(job)
    await attempt.released()
    assert (await states(ledger), await spent(ledger)) == (["held"], 42_000)
    assert [entry.state for entry in await ledger.recent(9)] == ["held"]
    assert (await ledger.statement()).to_dict()["held_usd"] == "0.042"
    assert not await ledger.release(attempt.id)
    clock.now = end + 60
    assert (await states(other), await other.sweep()) == (["held"], {})
    clock.now += 1
    assert (await states(ledger), await spent(ledger)) == (["released"], 0)


@pytest.mark.parametrize("is_expired", [True, False])
async def test_payment_that_never_left_or_has_expired_is_released_at_once(
    ledger: Ledger, clock: Clock, is_expired: bool
) -> None:
    clock.now -= 7_200
    attempt = await signed(ledger, clock)
    if is_expired:
        await attempt.sent()
        clock.now += 361
    await attempt.released()
    assert await states(ledger) == ["released"]


async def test_stopped_attempt_whose_payment_has_left_is_held(ledger: Ledger, clock: Clock) -> None:
    attempt = await signed(ledger, clock)
    await attempt.sent()
    await attempt.stopped()
    assert await states(ledger) == ["held"]


async def test_held_attempt_is_settled_by_an_answer_that_comes_after_all(ledger: Ledger, clock: Clock) -> None:
    attempt = await signed(ledger, clock)
    await attempt.sent()
    await attempt.released()
    await attempt.settled(RESPONSE)
    assert await states(ledger) == ["settled"]


async def test_caller_of_a_held_attempt_does_not_wait_for_the_payments_end(ledger: Ledger, clock: Clock) -> None:
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
async def test_nothing_is_quoted_or_signed_once_the_attempt_was_given_up(processes: Processes, step: str) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await reserve(ledger)
    await attempt.mark_abandoned()
    assert isinstance(await other.begin(CALL, order()), Reserved)
    with pytest.raises(LedgerError, match="was given up before it was sent"):
        await (attempt.quoted(PRICE) if step == "quoted" else attempt.signed(PAYMENT))


async def test_nothing_is_signed_while_it_cannot_be_written_down(processes: Processes) -> None:
    ledger = await processes.start(timings=HASTY)
    attempt = await reserve(ledger)
    with locked(ledger.path):
        for step in (attempt.signed(PAYMENT), attempt.quoted(PRICE), attempt.sent()):
            with pytest.raises(LedgerError, match="locked"):
                await step


async def test_only_an_unknown_attempt_can_be_released_by_the_operator(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    assert not await ledger.release(attempt.id)
    await attempt.unknown()
    assert await ledger.release(attempt.id)
    assert not await ledger.release(attempt.id)
    assert not await ledger.release("no such attempt")
    assert await spent(ledger) == 0


async def test_first_payee_of_a_host_is_trusted_until_the_operator_trusts_another(ledger: Ledger) -> None:
    first, other = "0x" + "Ab" * 20, "0x" + "cd" * 20
    assert await ledger.payee("blockrun.ai", first) == first
    assert await ledger.payee("BlockRun.ai", other) == first
    assert await ledger.payee("blockrun.ai", first.lower()) == first.lower()
    assert await ledger.payee("blockrun.ai:8443", other) == other
    await ledger.trust("BLOCKRUN.ai", other)
    assert await ledger.payee("blockrun.ai", first) == other
    assert await ledger.payee("blockrun.ai", other.upper()) == other.upper()


async def test_payee_is_remembered_by_the_next_process(processes: Processes) -> None:
    await (await processes.start()).payee("blockrun.ai", "0x1")
    assert await (await processes.start()).payee("blockrun.ai", "0x2") == "0x1"


async def approved(ledger: Ledger, key: str = "another call") -> Collected | Reserved:
    begun = await ledger.begin(MadeCall(key), order(approval="approval-1"))
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
async def test_approval_of_an_attempt_that_failed_is_used_up(processes: Processes, end: Callable[..., object]) -> None:
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
async def test_used_approval_collects_the_attempt_that_it_bought(processes: Processes, is_delivered: bool) -> None:
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


async def test_approval_whose_reservation_was_refused_is_not_used_up(ledger: Ledger) -> None:
    with pytest.raises(BudgetExceededError):
        await reserve(ledger, Decimal(9), approval="approval-1")
    await reserve(ledger, approval="approval-1")


async def test_of_two_processes_with_the_same_approval_one_reserves(processes: Processes) -> None:
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
