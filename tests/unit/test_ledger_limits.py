"""What the ledger sets aside, what it counts, and what it refuses."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import (
    CALL,
    PRICE,
    REQUEST,
    RESPONSE,
    UNLIMITED,
    URL,
    Processes,
    attempt_of,
    order,
    quote,
    reserve,
    spent,
    states,
)

from blockrun_image.attempts import Approval, ExpectedCost, Order
from blockrun_image.errors import BudgetExceededError, ConfigurationError
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import NeedsApproval, PriceNotApproved, Reserved
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits, confirm_above_micro_usd, in_usd, micro_usd
from blockrun_image_mcp.ledger.store import Account
from blockrun_image_mcp.settings import VARIABLES, Settings

pytestmark = pytest.mark.anyio

ASKING = Limits(100_000, None, confirm_above_micro_usd=42_000)


async def test_named_charge_counts_and_unnamed_one_counts_as_reserved(ledger: Ledger) -> None:
    named, unnamed = await reserve(ledger), await reserve(ledger)
    assert await spent(ledger) == 84_000
    await named.sent()
    await named.settled(ImagesResponse([Image(URL)], Decimal("0.0401")))
    await unnamed.sent()
    await unnamed.settled(ImagesResponse(()))
    assert await spent(ledger) == 40_100 + 42_000


async def test_released_attempt_costs_nothing_and_unknown_one_counts_as_spent(ledger: Ledger) -> None:
    released, lost = await reserve(ledger), await reserve(ledger)
    await released.released()
    await lost.sent()
    await lost.mark_unknown()
    assert await spent(ledger) == 42_000
    assert await states(ledger) == ["released", "unknown"]


async def test_only_a_larger_later_charge_replaces_the_counted_one(ledger: Ledger) -> None:
    attempt = await reserve(ledger)
    await attempt.sent()
    for charged, counted in ((None, 42_000), ("0.041", 42_000), ("0.05", 50_000), ("0.049", 50_000)):
        await attempt.settled(ImagesResponse([Image(URL)], Decimal(charged) if charged else None))
        assert await spent(ledger) == counted


async def test_call_over_the_limit_is_refused_with_its_setting(ledger: Ledger) -> None:
    await reserve(ledger, Decimal("0.1"))
    with pytest.raises(BudgetExceededError) as caught:
        await reserve(ledger, Decimal("0.1000001"))
    assert caught.value.message == "The call can cost $0.100001, and one call may cost at most $0.10."
    assert "BLOCKRUN_IMAGE_MAX_COST_USD" in caught.value.hint
    assert (caught.value.charged, caught.value.retryable) == ("no", False)


async def test_daily_budget_is_never_exceeded_and_the_refusal_says_what_remains(ledger: Ledger) -> None:
    await reserve(ledger, Decimal("0.1"))
    await reserve(ledger, Decimal("0.06"))
    with pytest.raises(BudgetExceededError) as caught:
        await reserve(ledger, Decimal("0.040001"))
    assert "$0.04 of the $0.20 for this UTC day is left" in caught.value.message
    assert "BLOCKRUN_IMAGE_DAILY_BUDGET_USD" in caught.value.hint
    await reserve(ledger, Decimal("0.04"))
    assert await spent(ledger) == 200_000


async def test_daily_limit_counts_other_processes_and_accounts(processes: Processes) -> None:
    limits = Limits(None, 100_000)
    await reserve(await processes.start(limits=limits), Decimal("0.06"))
    with pytest.raises(BudgetExceededError):
        await reserve(await processes.start(Account("https://other.example/v1", "other"), limits), Decimal("0.06"))


async def test_new_utc_day_has_its_own_budget(ledger: Ledger, clock: Clock) -> None:
    await reserve(ledger, Decimal("0.1"))
    await reserve(ledger, Decimal("0.1"))
    clock.now += 1
    await reserve(ledger, Decimal("0.1"))
    statement = await ledger.spending_today()
    assert (statement.day, statement.spent_micro_usd) == ("2027-01-01", 100_000)


async def test_attempt_counts_on_the_day_it_is_sent(ledger: Ledger, clock: Clock) -> None:
    attempt = await reserve(ledger)
    clock.now += 1
    assert await spent(ledger) == 0
    await attempt.sent()
    assert await spent(ledger) == 42_000
    clock.now += 86_400
    await attempt.settled(ImagesResponse([Image(URL)], PRICE))
    assert await spent(ledger) == 0


async def test_yesterdays_attempt_is_not_sent_once_todays_budget_is_used_up(ledger: Ledger, clock: Clock) -> None:
    attempt = await reserve(ledger, Decimal("0.1"))
    clock.now += 1
    await reserve(ledger, Decimal("0.1"))
    others = await reserve(ledger, Decimal("0.000001"))
    with pytest.raises(BudgetExceededError, match=r"\$0\.099999 of the \$0\.20 for this UTC day is left"):
        await attempt.sent()
    assert await spent(ledger) == 100_001
    await others.released()
    await attempt.sent()
    assert await spent(ledger) == 200_000


async def test_todays_attempt_does_not_count_against_itself(ledger: Ledger) -> None:
    for attempt in [await reserve(ledger, Decimal("0.1")) for _ in range(2)]:
        await attempt.sent()
    assert await spent(ledger) == 200_000


async def test_exact_price_replaces_the_estimate_within_the_limits(processes: Processes) -> None:
    ledger = await processes.start(limits=Limits(100_000, 120_000))
    await reserve(ledger, Decimal("0.06"))
    attempt = await reserve(ledger)
    for refused, words in ((Decimal("0.0601"), "is left"), (Decimal("0.1001"), "one call may cost")):
        with pytest.raises(BudgetExceededError, match=words):
            await attempt.quoted(quote(refused))
    assert await spent(ledger) == 102_000
    await attempt.quoted(quote(Decimal("0.06")))
    assert await spent(ledger) == 120_000
    await attempt.quoted(quote(Decimal("0.0401")))
    assert await spent(ledger) == 100_100


FROM_5_CENTS = Limits(None, None, 50_000)
"""The user must approve what costs more than $0.05."""


async def test_price_above_the_threshold_needs_approval(processes: Processes) -> None:
    ledger = await processes.start(limits=FROM_5_CENTS)
    attempt = await reserve(ledger)
    with pytest.raises(PriceNotApproved) as caught:
        await attempt.quoted(quote(Decimal("0.050001")))
    assert (caught.value.price_usd, await spent(ledger)) == (Decimal("0.050001"), 42_000)
    await attempt.quoted(quote(Decimal("0.05")))
    assert await spent(ledger) == 50_000


async def test_approval_covers_prices_up_to_the_one_shown(processes: Processes) -> None:
    ledger = await processes.start(limits=FROM_5_CENTS)
    attempt = await reserve(ledger)
    assert await attempt.approve(Approval("approval-1", Decimal("0.06")))
    with pytest.raises(PriceNotApproved):
        await attempt.quoted(quote(Decimal("0.061")))
    await attempt.quoted(quote(Decimal("0.06")))
    assert await spent(ledger) == 60_000
    assert not await (await reserve(ledger)).approve(Approval("approval-1", Decimal("0.06")))


async def test_unapproved_price_leaves_the_estimate_reserved(processes: Processes) -> None:
    attempt = await reserve(await processes.start(limits=FROM_5_CENTS))
    with pytest.raises(PriceNotApproved):
        await attempt.quoted(quote(Decimal("0.06")))
    assert attempt.reserved_usd == PRICE


async def test_approval_of_the_order_also_covers_the_quote(processes: Processes) -> None:
    ledger = await processes.start(limits=FROM_5_CENTS)
    approved = replace(order(Decimal("0.06")), approval=Approval("approval-1", Decimal("0.06")))
    attempt = attempt_of(await ledger.begin(CALL, approved))
    with pytest.raises(PriceNotApproved):
        await attempt.quoted(quote(Decimal("0.07")))
    await attempt.quoted(quote(Decimal("0.06")))


async def test_approval_up_to_a_price_does_not_cover_an_unlimited_cost(processes: Processes) -> None:
    ledger = await processes.start(limits=FROM_5_CENTS)
    unpriced = replace(order(ExpectedCost()), approval=Approval("approval-1", Decimal("0.06")))
    assert await ledger.begin(CALL, unpriced) == NeedsApproval(None)


@pytest.mark.parametrize(("max_usd", "is_asked"), [("0.0599", True), ("0.06", False), (None, False)])
async def test_order_above_its_approval_needs_a_new_approval(
    processes: Processes, max_usd: str | None, is_asked: bool
) -> None:
    ledger = await processes.start(limits=FROM_5_CENTS)
    approval = Approval("approval-1", None if max_usd is None else Decimal(max_usd))
    begun = await ledger.begin(CALL, replace(order(Decimal("0.06")), approval=approval))
    assert isinstance(begun, NeedsApproval if is_asked else Reserved)


@pytest.mark.parametrize("limits", [Limits(0, None), Limits(None, 0), Limits(0, 0)])
@pytest.mark.parametrize("cost", [Decimal(0), PRICE, ExpectedCost()])
async def test_zero_limit_blocks_every_call(processes: Processes, limits: Limits, cost: Decimal | ExpectedCost) -> None:
    with pytest.raises(BudgetExceededError):
        await reserve(await processes.start(limits=limits), cost)


# what was charged lately


async def charged(ledger: Ledger, usd: str, request: ImageRequest = REQUEST) -> None:
    attempt = await reserve(ledger, PRICE, request=request)
    await attempt.sent()
    await attempt.settled(replace(RESPONSE, charged_usd=Decimal(usd)))
    await attempt.mark_delivered()


async def test_higher_charge_is_reserved_for_the_next_such_call(processes: Processes, clock: Clock) -> None:
    ledger, other = await processes.start(), await processes.start(limits=Limits(100_000, None, 70_000))
    await charged(ledger, "0.08")
    assert await ledger.charged_lately([REQUEST, replace(REQUEST, size="x")]) == [Decimal("0.08"), None]
    assert await other.begin(CALL, order()) == NeedsApproval(Decimal("0.08"))
    with pytest.raises(BudgetExceededError):  # per image
        await reserve(other, request=replace(REQUEST, n=2))
    assert (await reserve(ledger)).max_usd == Decimal("0.08")
    clock.now += 86_401
    assert await ledger.charged_lately([REQUEST]) == [None]
    assert (await reserve(other)).max_usd == PRICE


@pytest.mark.parametrize("other", [{"quality": "hd"}, {"model": "dall-e-2"}])
async def test_charge_for_another_quality_or_model_is_ignored(ledger: Ledger, other: dict[str, str]) -> None:
    await charged(ledger, "0.08")
    assert await ledger.charged_lately([replace(REQUEST, **other), REQUEST]) == [None, Decimal("0.08")]


async def test_charge_at_another_gateway_is_ignored(processes: Processes) -> None:
    await charged(await processes.start(), "0.08")
    elsewhere = await processes.start(Account("https://other.example/v1", "mine"))
    assert await elsewhere.charged_lately([REQUEST]) == [None]


async def test_charge_is_remembered_for_a_whole_day(ledger: Ledger, clock: Clock) -> None:
    await charged(ledger, "0.08")
    clock.now += 86_399
    assert await ledger.charged_lately([REQUEST]) == [Decimal("0.08")]


async def test_lower_charge_replaces_a_higher_one(ledger: Ledger, clock: Clock) -> None:
    for usd in ("0.08", "0.04"):
        await charged(ledger, usd)
        clock.now += 1
    assert (await reserve(ledger)).max_usd == PRICE


async def test_charge_for_several_images_is_divided_among_them(ledger: Ledger) -> None:
    await charged(ledger, "0.1", replace(REQUEST, n=2))
    assert await ledger.charged_lately([REQUEST]) == [Decimal("0.05")]
    assert (await reserve(ledger)).max_usd == Decimal("0.05")


async def test_unknown_price_is_at_least_the_last_charge(processes: Processes) -> None:
    ledger = await processes.start(limits=Limits(100_000, None))
    await charged(ledger, "0.2")
    with pytest.raises(BudgetExceededError):
        await reserve(ledger, ExpectedCost())


@pytest.mark.parametrize(
    ("limits", "cost", "held"),
    [
        (Limits(100_000, 200_000), ExpectedCost(), 100_000),
        (Limits(None, 200_000), ExpectedCost(), 158_000),  # all that is left after the 42,000
        (UNLIMITED, ExpectedCost(Decimal("0.03")), 30_000),
        (UNLIMITED, ExpectedCost(), 1),
    ],
)
async def test_unpriced_call_reserves_the_most_it_may_cost(
    processes: Processes, limits: Limits, cost: ExpectedCost, held: int
) -> None:
    ledger = await processes.start(limits=limits)
    await reserve(ledger)
    attempt = await reserve(ledger, cost)
    assert attempt.max_usd is None
    assert await spent(ledger) == 42_000 + held


async def test_missing_limit_allows_any_cost_and_zero_limit_allows_none(processes: Processes) -> None:
    without = await processes.start()
    await reserve(without, Decimal(1_000_000))
    for limits in (Limits(0, None), Limits(None, 0)):
        for cost in (Decimal("0.000001"), ExpectedCost()):
            with pytest.raises(BudgetExceededError):
                await reserve(await processes.start(limits=limits), cost)
    assert (await without.spending_today()).to_dict()["left_usd"] is None
    assert "no daily limit" in (await without.spending_today()).to_text()


@pytest.mark.parametrize(
    ("limits", "asked", "max_usd"),
    [
        (ASKING, order(Decimal("0.042001")), Decimal("0.042001")),
        (ASKING, order(ExpectedCost()), Decimal("0.1")),
        (Limits(None, None, 0), order(ExpectedCost(Decimal("0.05"))), None),
    ],
)
async def test_expensive_call_needs_approval_and_reserves_nothing(
    processes: Processes, limits: Limits, asked: Order, max_usd: Decimal | None
) -> None:
    ledger = await processes.start(limits=limits)
    assert await ledger.begin(CALL, asked) == NeedsApproval(max_usd)
    assert await states(ledger) == []


async def test_cheap_or_approved_call_needs_no_approval(processes: Processes) -> None:
    ledger = await processes.start(limits=ASKING)
    await reserve(ledger, Decimal("0.042"))
    await reserve(ledger, Decimal("0.1"), approval="approval-1")
    assert await spent(ledger) == 142_000


async def test_call_beyond_the_limits_is_refused_without_asking_for_approval(processes: Processes) -> None:
    ledger = await processes.start(limits=ASKING)
    with pytest.raises(BudgetExceededError):
        await reserve(ledger, Decimal("0.100001"))


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("", 1_500_000),
        ("0", 0),
        ("2", 2_000_000),
        ("$0.05", 50_000),
        ("none", None),
        ("None", None),
    ],
)
def test_limit_is_an_amount_none_or_the_default(text: str, limit: int | None) -> None:
    assert Limits.of(Settings.read({VARIABLES["max_cost_usd"]: text})).call_micro_usd == limit


@pytest.mark.parametrize("text", ["-1", "1e9", "ten", "nan", "inf", "1,50", "0x10", "1 000", "unlimited", "NaN"])
@pytest.mark.parametrize("field", ["max_cost_usd", "daily_budget_usd"])
def test_unreadable_limit_raises_an_error_that_names_it(text: str, field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{VARIABLES[field]} cannot be read"):
        Limits.of(Settings.read({VARIABLES[field]: text}))


def test_amounts_are_rounded_up_to_millionths() -> None:
    assert micro_usd(Decimal("0.0000001")) == 1
    assert in_usd(1) == "$0.000001"


@pytest.mark.parametrize(
    ("text", "above"), [("", None), ("none", None), ("0", 0), ("0.50", 500_000), ("$2", 2_000_000)]
)
def test_confirmation_is_off_unless_an_amount_is_set(text: str, above: int | None) -> None:
    assert confirm_above_micro_usd(Settings.read({VARIABLES["confirm_above_usd"]: text})) == above


@pytest.mark.parametrize("text", ["-1", "yes", "0,5", "always", "nan"])
def test_unreadable_confirmation_amount_raises_an_error_that_names_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{VARIABLES['confirm_above_usd']} cannot be read"):
        confirm_above_micro_usd(Settings.read({VARIABLES["confirm_above_usd"]: text}))
