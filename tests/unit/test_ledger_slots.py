"""Slots: when requests may leave to models that take so many a minute."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fakes import Clock
from tests.support.ledgers import CALL, MINE, REQUEST, Processes, order, reserve

from blockrun_image.attempts import CallInfo
from blockrun_image.errors import BudgetExceededError
from blockrun_image.ports import Collected, Reserved, SlotBooked
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.ledger.rate_limits import book_slot
from blockrun_image_mcp.ledger.sqlite.store import SqliteStore
from blockrun_image_mcp.ledger.store import Account

pytestmark = pytest.mark.anyio


async def book(ledger: Ledger, send_seconds: float, **others: Any) -> float:
    """Begin a call to a model that takes three a minute, and return in how many seconds it may be sent."""
    begun = await ledger.begin(CALL, order(per_minute=3, send_seconds=send_seconds, **others))
    assert isinstance(begun, Reserved | SlotBooked)
    return begun.seconds if isinstance(begun, SlotBooked) else 0


async def test_first_slots_of_a_minute_are_immediate_and_the_next_must_wait(processes: Processes, clock: Clock) -> None:
    one, other = await processes.start(), await processes.start()
    assert [await book(each, 40) for each in (one, other, one)] == [0, 0, 0]
    clock.now += 25
    assert await book(other, 34.9) == 35  # too far away, and not booked
    assert [await book(one, 40) for _ in range(3)] == [35, 35, 35]
    assert await book(one, 40) == 95


async def test_other_models_and_accounts_have_their_own_slots(processes: Processes) -> None:
    ledger = await processes.start()
    assert [await book(ledger, 40) for _ in range(4)] == [0, 0, 0, 60]
    assert await book(ledger, 40, request=replace(REQUEST, model="dall-e-2")) == 0
    assert await book(await processes.start(Account(MINE.gateway, "other")), 40) == 0


async def test_model_without_a_rate_needs_no_slot(ledger: Ledger) -> None:
    for _ in range(4):
        assert isinstance(await ledger.begin(CallInfo("x"), order()), Reserved)


async def test_slot_in_the_future_reserves_nothing(processes: Processes) -> None:
    ledger = await processes.start()
    for _ in range(3):
        await book(ledger, 60)
    wanted = order(per_minute=3, send_seconds=60)
    begun = await ledger.begin(CallInfo("x"), wanted)
    assert isinstance(begun, SlotBooked)
    assert begun.id is not None
    assert (begun.order, begun.seconds) == (wanted, 60)
    assert [total.attempts for total in (await ledger.spending_today()).totals] == [3]


async def test_slot_beyond_the_send_deadline_is_not_booked(processes: Processes) -> None:
    ledger = await processes.start()
    for _ in range(3):
        await book(ledger, 60)
    begun = await ledger.begin(CallInfo("x"), order(per_minute=3, send_seconds=59))
    assert isinstance(begun, SlotBooked)
    assert (begun.id, begun.seconds) == (None, 60)


async def test_booked_slot_is_used_once_its_time_has_come(processes: Processes, clock: Clock) -> None:
    ledger = await processes.start()
    for _ in range(3):
        await book(ledger, 60)
    begun = await ledger.begin(CALL, order(per_minute=3, send_seconds=60))
    assert isinstance(begun, SlotBooked)
    clock.now += 60
    assert isinstance(await ledger.begin(CALL, order(per_minute=3, send_seconds=0, slot=begun.id)), Reserved)
    assert [await book(ledger, 0), await book(ledger, 0), await book(ledger, 0)] == [0, 0, 60]


async def test_missing_slot_is_booked_again(processes: Processes) -> None:
    ledger = await processes.start()
    for _ in range(3):
        await book(ledger, 60)
    assert await book(ledger, 60, slot="no such slot") == 60


async def test_call_that_collects_or_is_refused_takes_no_slot(processes: Processes) -> None:
    ledger = await processes.start(limits=Limits(100_000, None))
    attempt = await reserve(ledger)
    await attempt.sent()
    for _ in range(4):
        await attempt.mark_abandoned()
        assert isinstance(await ledger.begin(CALL, order(per_minute=1, send_seconds=0)), Collected)
        with pytest.raises(BudgetExceededError):
            await ledger.begin(CallInfo("x"), order(Decimal(1), per_minute=1))
    assert isinstance(await ledger.begin(CallInfo("x"), order(per_minute=1)), Reserved)


@pytest.mark.parametrize("seconds", [61, 3_600, 86_400])
async def test_slot_further_ahead_than_a_window_is_ignored(processes: Processes, clock: Clock, seconds: int) -> None:
    ledger = await processes.start()
    clock.now += seconds  # the clock was wrong
    for _ in range(3):
        await book(ledger, 60)
    clock.now -= seconds
    assert [await book(ledger, 60) for _ in range(4)] == [0, 0, 0, 60]


class Slots(SqliteStore):
    """Slots in memory."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def slot_before(self, account: Account, model: str, number: int, until: float) -> float | None:
        found = sorted((at for at in self.at if at <= until), reverse=True)
        return found[number] if number < len(found) else None

    def add_slot(self, account: Account, model: str, at: float) -> str:
        self.at.append(at)
        return str(len(self.at))

    def remove_slots_before(self, at: float) -> None:
        self.at = [each for each in self.at if each >= at]


@given(
    per_minute=st.integers(1, 4),
    steps=st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from([0, 1_000, 30_000, 60_000])), max_size=40),
)
def test_no_minute_holds_more_slots_than_the_rate_limit(per_minute: int, steps: Sequence[tuple[int, int]]) -> None:
    check_slots(per_minute, steps)


def test_long_waiting_calls_overbook_no_minute() -> None:
    check_slots(1, [(0, 240_000)] * 5)


def check_slots(per_minute: int, steps: Sequence[tuple[int, int]]) -> None:
    store, now, taken = Slots(), 1_795_000_000_000, list[int]()
    for passed, within in steps:
        now += passed
        wanted = order(per_minute=per_minute, send_seconds=within / 1_000)
        booked = book_slot(store, MINE, wanted, now / 1_000, 60.0)
        if booked is None or booked.id is not None:
            taken.append(now + round((booked.seconds if booked else 0) * 1_000))
    taken.sort()
    assert all(later - earlier >= 60_000 for earlier, later in zip(taken, taken[per_minute:], strict=False))
