"""Models whose price nobody knows, or is far above the limits."""

from collections.abc import Mapping
from typing import Literal

import pytest
from tests.support.clients import FOX, User, data, served, text
from tests.support.live_lists import (
    MYSTERY,
    PREFIXED,
    WONDER,
    priced,
    see,
    statement,
    until,
)
from tests.support.sandbox import Sandbox
from tests.support.setting_names import BUDGET, CONFIRM_ABOVE, MOST, SECONDS

from blockrun_image_mcp.ledger.report import DailySpending
from blockrun_image_mcp.tasks import run_alongside

pytestmark = pytest.mark.anyio


async def test_unpriced_model_reserves_the_per_call_limit_until_charged(
    sandbox: Sandbox,
) -> None:
    sandbox.change_models({"add": MYSTERY})
    await see(sandbox.environment)
    settings = {**sandbox.environment, MOST: "0.50"}
    sandbox.script([{"delay_seconds": 1}])
    asked = {**FOX, "model": "acme/mystery", "n": 2}
    under_way: list[DailySpending] = []

    async def look() -> None:
        await until(lambda: sandbox.posts == 1)
        under_way.append(await statement(settings))

    async with served(settings) as client:
        estimate = await priced(client, "acme/mystery")
        assert (estimate["exact"], {"estimated_usd", "low_usd"} & set(estimate)) == (False, set())
        assert estimate["basis"] == "Its price is not known before it is charged."
        async with run_alongside(look):
            made = await client.call_tool("generate_image", asked)
    assert [(total.state, total.micro_usd) for total in under_way[0].totals] == [("sent", 500_000)]
    assert data(made)["cost"]["charged_usd"] == "0.10"
    assert text(made).splitlines()[0].endswith(", charged $0.10.")
    assert [(total.state, total.micro_usd) for total in (await statement(settings)).totals] == [("settled", 100_000)]


async def test_pending_unpriced_model_reports_the_reserved_amount(sandbox: Sandbox) -> None:
    sandbox.change_models({"add": MYSTERY})
    await see(sandbox.environment)
    sandbox.script([{"delay_seconds": 1.5}])
    asked = {**FOX, "model": "acme/mystery"}
    async with served({**sandbox.environment, SECONDS: "1"}) as client:
        pending = data(await client.call_tool("generate_image", asked))
        collected = data(await client.call_tool("generate_image", asked))
    assert (pending["status"], pending["cost"]["held_usd"]) == ("pending", "1.50")
    assert (collected["status"], collected["cost"]["charged_usd"]) == ("complete", "0.05")
    assert sandbox.charges == 1


async def test_unpriced_model_must_fit_the_daily_budget_at_the_per_call_limit(sandbox: Sandbox) -> None:
    sandbox.change_models({"add": MYSTERY})
    await see(sandbox.environment)
    asked = {**FOX, "model": "acme/mystery"}
    async with served({**sandbox.environment, MOST: "0.50", BUDGET: "0.40"}) as client:
        refused = await client.call_tool("generate_image", asked)
    assert data(refused)["error"]["type"] == "budget_exceeded"
    assert sandbox.posts == 0
    async with served({**sandbox.environment, MOST: "none", BUDGET: "0.40"}) as client:
        assert data(await client.call_tool("generate_image", asked))["cost"]["charged_usd"] == "0.05"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_unpriced_model_is_confirmed_at_the_per_call_limit(
    sandbox: Sandbox, mode: Literal["auto", "legacy"]
) -> None:
    sandbox.change_models({"add": MYSTERY})
    await see(sandbox.environment)
    asked = {**FOX, "model": "acme/mystery"}
    user = User()
    async with served({**sandbox.environment, MOST: "0.50", CONFIRM_ABOVE: "0.49"}, user, mode) as client:
        assert not (await client.call_tool("generate_image", asked)).is_error
        assert "The price is not known: unknown, at most $0.50." in user.questions[0].message
        assert not (await client.call_tool("generate_image", FOX)).is_error
    async with served({**sandbox.environment, MOST: "0.50", CONFIRM_ABOVE: "0.50"}, user, mode) as client:
        assert not (await client.call_tool("generate_image", asked)).is_error
    assert (len(user.questions), sandbox.charges) == (1, 3)
    async with served({**sandbox.environment, MOST: "0.50", CONFIRM_ABOVE: "0.49"}, User("decline"), mode) as client:
        assert data(await client.call_tool("generate_image", asked))["error"]["type"] == "confirmation"
    assert sandbox.posts == 3


async def test_wallet_uses_the_gateway_spelling_and_pays_the_quoted_price(
    sandbox: Sandbox, wallet: Mapping[str, str]
) -> None:
    sandbox.change_models(PREFIXED, {"add": MYSTERY})
    async with served({**wallet, MOST: "0.08"}) as client:
        made = data(await client.call_tool("generate_image", FOX))
        offline = await priced(client, "acme/mystery")
        quoted = await priced(client, "acme/mystery", live=True)
        unknown = data(await client.call_tool("generate_image", {**FOX, "model": "acme/mystery"}))
        dear = await client.call_tool("generate_image", {**FOX, "model": "acme/mystery", "n": 2})
    assert (made["model"], made["cost"]["charged_usd"]) == ("dall-e-3", "0.042")
    assert (offline.get("estimated_usd"), quoted["estimated_usd"], quoted["exact"]) == (None, "0.05", True)
    assert unknown["cost"]["charged_usd"] == "0.05"
    assert data(dear)["error"]["type"] == "budget_exceeded"
    assert "can cost $0.10, and one call may cost at most $0.08" in text(dear)
    assert [(each["rail"], each["model"]) for each in sandbox.settlements] == [
        ("wallet", "openai/dall-e-3"),
        ("wallet", "acme/mystery"),
    ]
    assert (sandbox.lists, sandbox.quotes, sandbox.paid_posts) == (1, 3, 2)
    assert (await statement(wallet)).spent_micro_usd == 92_000


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({MOST: "1.50"}, "one call may cost at most $1.50"),
        ({MOST: "0"}, "one call may cost at most $0.00"),
        ({MOST: "none", BUDGET: "0"}, "$0.00 of the $0.00"),
        ({MOST: "none", BUDGET: "5"}, "$5.00 of the $5.00"),
        ({MOST: "1.50", CONFIRM_ABOVE: "1.50"}, "one call may cost at most $1.50"),
        ({MOST: "0", CONFIRM_ABOVE: "0"}, "one call may cost at most $0.00"),
    ],
)
async def test_call_whose_minimum_price_exceeds_a_limit_is_refused(
    sandbox: Sandbox, limits: Mapping[str, str], says: str
) -> None:
    sandbox.change_models({"add": {**WONDER, "pricePerImage": 5}})
    user = User()
    async with served({**sandbox.environment, **limits}, user) as client:
        refused = await client.call_tool("generate_image", {**FOX, "model": "acme/wonder", "size": "2048x2048"})
    assert data(refused)["error"]["type"] == "budget_exceeded"
    assert says in text(refused)
    assert sandbox.posts == 0
