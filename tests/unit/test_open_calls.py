"""Which open call a repetition joins."""

import math
from typing import Any

import anyio
import pytest
from tests.support.fakes import FakeAttempt
from tests.support.purchases import REQUEST, nobody_is_asked

from blockrun_image.attempts import CallInfo
from blockrun_image.callers import Caller
from blockrun_image.errors import ConfigurationError
from blockrun_image.fixed_ports import FixedPorts, run_in_place
from blockrun_image.open_calls import OpenCall, OpenCalls
from blockrun_image.ports import SharedTask
from blockrun_image.purchase import Purchase
from blockrun_image.timings import CallTimings

pytestmark = pytest.mark.anyio

MADE = CallInfo("key", Caller("client"))


class Calls(OpenCalls):
    """Open calls that a test makes older."""

    def __init__(self) -> None:
        super().__init__(CallTimings().join_seconds)
        self.opened: list[OpenCall] = []

    def call(self, made: CallInfo = MADE, *, has_waited: bool = False) -> OpenCall:
        def new() -> Purchase:
            return Purchase(FixedPorts(), made, None, CallTimings(), run_in_place)

        call = self.open(made, new, -math.inf if has_waited else anyio.current_time())
        self.opened.append(call)
        return call

    def grow_older(self, seconds: float = 2.0) -> None:
        for call in self.opened:
            call.arrived_at -= seconds


def purchases(*calls: OpenCall) -> set[Any]:
    return {call.purchase for call in calls}


async def test_same_calls_within_two_seconds_are_variations() -> None:
    calls = Calls()
    first = calls.call()
    calls.grow_older(1.5)
    second = calls.call()
    assert len(purchases(first, second)) == 2
    assert second.joined is None


async def test_same_call_after_two_seconds_joins_the_earlier_one() -> None:
    calls = Calls()
    first = calls.call()
    calls.grow_older()
    second = calls.call()
    assert second.joined is first
    assert second.purchase is first.purchase


@pytest.mark.parametrize("other", [CallInfo("another", MADE.caller), CallInfo("key", Caller("other")), CallInfo("key")])
async def test_other_call_or_caller_joins_nothing(other: CallInfo) -> None:
    calls = Calls()
    first = calls.call()
    calls.grow_older()
    assert len(purchases(first, calls.call(other))) == 2


async def test_repetition_joins_the_oldest_unjoined_call() -> None:
    calls = Calls()
    first, second, third = calls.call(), calls.call(), calls.call()
    calls.grow_older()
    assert [calls.call().joined for _ in range(3)] == [first, second, third]


async def test_five_variations_repeated_three_times_stay_five_purchases() -> None:
    calls = Calls()
    rounds = [[calls.call() for _ in range(5)]]
    for _ in range(3):
        calls.grow_older()
        rounds.append([calls.call() for _ in range(5)])
    assert len(purchases(*calls.opened)) == 5
    for each in rounds:
        assert purchases(*each) == purchases(*rounds[0])
        assert len(purchases(*each)) == 5


async def test_excess_repetitions_buy_again() -> None:
    calls = Calls()
    first = calls.call()
    calls.grow_older()
    second, third = calls.call(), calls.call()
    assert second.purchase is first.purchase
    assert third.purchase is not first.purchase


async def test_repetition_joins_the_repetition_before_it() -> None:
    calls = Calls()
    first = calls.call()
    calls.grow_older()
    second = calls.call()
    calls.grow_older()
    third = calls.call()
    assert (second.joined, third.joined) == (first, second)
    assert len(purchases(first, second, third)) == 1


async def test_repetition_can_replace_a_caller_that_has_gone() -> None:
    calls = Calls()
    first = calls.call()
    calls.grow_older()
    second = calls.call()
    assert not calls.close(second)
    third = calls.call()
    assert third.joined is first
    assert third.purchase is first.purchase


async def test_answered_call_is_not_joined() -> None:
    calls = Calls()
    first = calls.call()
    calls.grow_older()
    assert calls.close(first)
    assert calls.call().purchase is not first.purchase


async def test_repetition_of_a_closed_call_is_still_joined() -> None:
    calls = Calls()
    first = calls.call()
    calls.grow_older()
    second = calls.call()
    calls.close(first)
    calls.grow_older()
    assert calls.call().purchase is second.purchase is first.purchase


async def test_abandoned_purchase_is_not_joined() -> None:
    calls = Calls()
    first = calls.call()
    calls.grow_older()
    await first.purchase.abandon()
    assert calls.call().purchase is not first.purchase


async def begun_without_a_word(call: OpenCall) -> None:
    """Have a purchase under way that no ledger knows of."""
    with anyio.move_on_after(0):
        await call.purchase.result(9, nobody_is_asked)


class Waiting(SharedTask[Any]):
    """Work that never ends."""

    def __init__(self, work: object) -> None:
        pass

    async def wait(self, timeout_seconds: float, on_abandoned: object, /) -> None:
        await anyio.sleep(timeout_seconds)


async def test_answered_call_is_joined_until_its_purchase_is_in_the_ledger() -> None:
    calls = Calls()
    first = calls.call()
    first.purchase.run = Waiting
    await begun_without_a_word(first)
    await first.purchase.abandon()
    calls.leave(first)
    calls.grow_older()
    second = calls.call()
    assert second.purchase is first.purchase
    assert not second.purchase.is_abandoned
    assert calls.close(second)  # the one that was answered waits no longer
    calls.grow_older()
    assert calls.call().purchase is not first.purchase


@pytest.mark.parametrize("is_written", [False, True])
async def test_answered_call_is_not_joined_once_its_purchase_is_recorded_or_over(
    is_written: bool,
) -> None:
    calls = Calls()
    first, second = calls.call(), calls.call()
    first.purchase.run = Waiting
    await begun_without_a_word(first)
    calls.leave(second)  # whose work has not begun
    calls.leave(first)
    if is_written:
        first.purchase.attempt = FakeAttempt(REQUEST)
    else:
        with pytest.raises(ConfigurationError):
            await first.purchase._work()  # pyright: ignore[reportPrivateUsage] - the work that a runner is given
    calls.grow_older()
    assert calls.call().purchase not in (first.purchase, second.purchase)


async def test_closing_reports_the_last_call_of_a_purchase() -> None:
    calls = Calls()
    first, variation = calls.call(), calls.call()
    calls.grow_older()
    second = calls.call()
    assert [calls.close(each) for each in (first, second, second, variation)] == [False, True, True, True]


async def test_call_knows_its_age() -> None:
    calls = Calls()
    call = calls.call()
    calls.grow_older(7)
    assert 7 <= call.seconds < 8


async def test_call_that_may_have_waited_joins_at_once() -> None:
    calls = Calls()
    first = calls.call()
    assert calls.call(has_waited=True).joined is first


async def test_call_that_may_have_waited_counts_as_old() -> None:
    calls = Calls()
    first = calls.call(has_waited=True)
    assert first.seconds > CallTimings().slow_call_seconds
    assert calls.call().joined is first


async def test_other_call_that_may_have_waited_joins_nothing() -> None:
    calls = Calls()
    first = calls.call()
    assert calls.call(CallInfo("another", MADE.caller), has_waited=True).purchase is not first.purchase


async def test_age_of_a_call_is_measured_from_its_arrival() -> None:
    calls, now = OpenCalls(CallTimings().join_seconds), anyio.current_time()

    def new() -> Purchase:
        return Purchase(FixedPorts(), MADE, None, CallTimings(), run_in_place)

    first, variation, repeated = (calls.open(MADE, new, at) for at in (now - 30, now - 29.5, now - 25))
    assert (first.joined, variation.joined, repeated.joined) == (None, None, first)
