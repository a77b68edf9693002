"""Prices that are known only when the gateway quotes them, and the user's approval of them."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import anyio
import pytest
from tests.support.fakes import URL, AskingAttempt, FakeAttempt, FakeLedger, QuotingGateway, at_most
from tests.support.purchases import PRICE, REQUEST, SETTLED, earlier, made, purchase

from blockrun_image.attempts import Approval, ExpectedCost
from blockrun_image.catalog import Catalog
from blockrun_image.errors import ConfirmationError, UnknownModelError
from blockrun_image.images import ImageRequest
from blockrun_image.ports import Collected, NeedsApproval, Reserved
from blockrun_image.toolset import ImageToolset

pytestmark = pytest.mark.anyio


def says_yes_to(asked: list[NeedsApproval]) -> Callable[[NeedsApproval], Awaitable[Approval]]:
    async def approve(needed: NeedsApproval) -> Approval:
        await anyio.lowlevel.checkpoint()
        asked.append(needed)
        return Approval(f"approval-{len(asked)}", needed.max_usd)

    return approve


@pytest.mark.parametrize(
    ("prices", "shown"),
    [
        (["0.05"], []),
        (["0.06", "0.06"], ["0.06"]),
        (["0.06", "0.055"], ["0.06"]),
        (["0.06", "0.07", "0.07"], ["0.06", "0.07"]),
    ],
)
async def test_user_must_confirm_a_price_above_the_approved_one(prices: list[str], shown: list[str]) -> None:
    attempt, asked = AskingAttempt(REQUEST), list[NeedsApproval]()
    ledger = FakeLedger(Reserved(attempt))
    response = await purchase(ledger, QuotingGateway(*prices)).result(9, says_yes_to(asked))
    assert response is not None
    assert asked == [NeedsApproval(Decimal(price), is_exact=True) for price in shown]
    assert [note for note in attempt.notes if note[0] in ("released", "settled")] == [
        ("settled", Decimal(prices[-1]), [URL])
    ]
    assert len(ledger.orders) == 1  # the attempt stays reserved while the user is asked


class ClientMustAnswerError(Exception):
    """Ends a call with the question."""


@pytest.mark.parametrize("error", [ConfirmationError("No."), ClientMustAnswerError()])
async def test_attempt_is_released_if_its_price_is_not_approved(error: Exception) -> None:
    async def approve(needed: NeedsApproval) -> Approval:
        await anyio.lowlevel.checkpoint()
        assert attempt.notes == [("quoted", Decimal("0.06"))]
        raise error

    attempt = AskingAttempt(REQUEST)
    with pytest.raises(type(error)):
        await purchase(FakeLedger(Reserved(attempt)), QuotingGateway("0.06")).result(9, approve)
    assert attempt.notes == [("quoted", Decimal("0.06")), ("released",)]


async def test_used_approval_collects_what_it_bought() -> None:
    attempt, bought = AskingAttempt(REQUEST), FakeAttempt(REQUEST, SETTLED)
    attempt.is_used = True
    ledger = FakeLedger(Reserved(attempt), Collected(bought))
    response = await purchase(ledger, QuotingGateway("0.06")).result(9, says_yes_to([]))
    assert response is not None
    assert attempt.notes[-1] == ("released",)
    assert [order and order.approval for order in ledger.orders] == [None, Approval("approval-1", Decimal("0.06"))]


async def test_attempt_is_released_if_the_caller_leaves_during_confirmation(catalog: Catalog) -> None:
    async def approve(*_: object) -> Approval:
        await anyio.sleep_forever()
        raise AssertionError

    attempt = AskingAttempt(REQUEST)
    toolset = ImageToolset(catalog, QuotingGateway("0.06"), ledger=FakeLedger(Reserved(attempt)))
    with anyio.move_on_after(0.05):
        await toolset.generate_image("a cat", "dall-e-3", approve=approve)
    assert attempt.notes == [("quoted", Decimal("0.06")), ("released",)]


async def test_price_is_looked_up_again_after_approval() -> None:
    ledger = FakeLedger(NeedsApproval(PRICE))
    prices = [Decimal("0.05"), Decimal("0.07")]

    def next_price(_: ImageRequest) -> ExpectedCost:
        return at_most(prices.pop(0))

    buying = purchase(ledger, price=next_price)
    await buying.result(9, says_yes_to([]))
    assert [order and order.cost.max_usd for order in ledger.orders] == [Decimal("0.05"), Decimal("0.07")]


def no_price(_: ImageRequest) -> ExpectedCost:
    raise UnknownModelError("There is no such model.")


async def test_model_retired_during_the_call_is_refused() -> None:
    with pytest.raises(UnknownModelError):
        await made(purchase(FakeLedger(), price=no_price))


async def test_pictures_of_a_model_retired_meanwhile_are_collected() -> None:
    ledger = earlier(SETTLED)
    assert [image.url for image in (await made(purchase(ledger, price=no_price))).images] == [URL]
    assert ledger.orders == [None]
