"""The prices that BlockRun's gateway listed on 2026-09-29, against what it charges, on both rails.

The rows are those of the public repository BlockRunAI/model-catalog (commit 6c54c22), which copies them from the
gateway's list; what is charged was measured by BlockRun on 2026-09-05 for google/nano-banana.
"""

from decimal import Decimal
from typing import Any

import pytest

from blockrun_image.catalog import Catalog
from blockrun_image.images import ImageArguments
from blockrun_image.joining import join
from blockrun_image.listing import read_listing
from blockrun_image.pricing import Estimate, compare, estimate
from blockrun_image.text import usd
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.settings import Settings

FEE = Decimal("0.001")
ROWS = {
    "zai/cogview-4": "0.01575",
    "openai/gpt-image-1": "0.021",
    "xai/grok-imagine-image": "0.021",
    "xai/grok-imagine-image-2.0": "0.042",
    "xai/grok-imagine-image-pro": "0.0525",
    "bytedance/seedream-5-pro": "0.04725",
    "google/nano-banana": "0.0525",
    "openai/gpt-image-2": "0.063",
    "google/nano-banana-2": "0.0945",
    "google/nano-banana-pro": "0.105",
    "openai/gpt-image-2.5-flare": "0.294",
    "openai/gpt-image-2.5-sunburst": "0.294",
}
LARGER = [
    ("zai/cogview-4", "1440x1440", "0.021"),
    ("openai/gpt-image-1", "1536x1024", "0.042"),
    ("bytedance/seedream-5-pro", "2048x2048", "0.0945"),
    ("openai/gpt-image-2", "1024x1536", "0.126"),
]


def row(id: str, price: str, **pricing: str) -> dict[str, Any]:
    told = {"per_image": price, "transaction_fee": str(FEE), **pricing}
    return {"id": id, "categories": ["image"], "billing_mode": "per_image", "available": True, "pricing": told}


def on(rail: str, catalog: Catalog, *rows: dict[str, Any]) -> Catalog:
    key = {"BLOCKRUN_API_KEY": "brk_test"} if rail == "account" else {"BLOCKRUN_WALLET_KEY": "1" * 64}
    contract = Backend(Settings.read(key), catalog).catalog
    return join(contract, read_listing({"data": [*rows]}, "api.blockrun.ai", 1_764_000_000))


def today(rail: str, catalog: Catalog) -> Catalog:
    return on(rail, catalog, *(row(id, price) for id, price in ROWS.items()))


def charged(rail: str, price: str, n: int) -> Decimal:
    return Decimal(price) * n + (FEE if rail == "wallet" else 0)


def priced(catalog: Catalog, id: str, n: int = 1, size: str | None = None, quality: str | None = None) -> Estimate:
    return estimate(catalog, catalog.resolve(ImageArguments("a", id, size, quality, n)))


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("rail", ["account", "wallet"])
@pytest.mark.parametrize(("id", "price"), ROWS.items())
def test_charge_lies_within_the_estimated_range(catalog: Catalog, id: str, price: str, rail: str, n: int) -> None:
    told = priced(today(rail, catalog), id, n)
    assert told.high_usd is not None
    assert told.low_usd <= charged(rail, price, n) == told.high_usd


@pytest.mark.parametrize("rail", ["account", "wallet"])
@pytest.mark.parametrize(("id", "size", "price"), LARGER)
def test_charge_for_a_larger_size_stays_within_the_estimated_range(
    catalog: Catalog, id: str, size: str, price: str, rail: str
) -> None:
    told = priced(today(rail, catalog), id, size=size)
    assert told.low_usd <= charged(rail, price, 1)
    assert told.high_usd is None or told.high_usd >= charged(rail, price, 1)


def test_price_of_an_unlisted_quality_is_unknown(catalog: Catalog) -> None:
    told = priced(today("account", catalog), "openai/gpt-image-2.5-flare", quality="low")
    assert (told.is_known, told.basis) == (
        False,
        "The list price at api.blockrun.ai (2025-11-24) of $0.294 may be for another quality than low.",
    )


def test_models_are_compared_by_their_final_charge(catalog: Catalog) -> None:
    told = {each.model: each.high_usd for each in compare(today("account", catalog), ImageArguments(n=1))}
    assert told["zai/cogview-4"] == Decimal("0.01575")
    assert next(iter(told)) == "zai/cogview-4"


@pytest.mark.parametrize(
    ("pricing", "amount"),
    [
        ({"transaction_fee": "0.001"}, "$0.05"),
        ({"transaction_fee": "0"}, "$0.05"),
        ({"transaction_fee": "none"}, "$0.0525"),
        ({"transaction_fee": ""}, "$0.0525"),
    ],
)
def test_price_with_a_transaction_fee_includes_the_margin(
    catalog: Catalog, pricing: dict[str, str], amount: str
) -> None:
    assert priced(on("account", catalog, row("a/b", "0.05", **pricing)), "a/b").price_text() == amount


def test_most_expensive_row_by_final_charge_counts(catalog: Catalog) -> None:
    rows = row("a/b", "0.0520"), row("b", "0.0505", transaction_fee="")
    assert usd(priced(on("account", catalog, *rows), "a/b").low_usd) == "0.053025"


@pytest.mark.parametrize("rail", ["account", "wallet"])
def test_final_price_equal_to_the_descriptions_keeps_its_size_prices(catalog: Catalog, rail: str) -> None:
    listed = on(rail, catalog, row("openai/dall-e-3", "0.042"))
    told = priced(listed, "dall-e-3", size="1792x1024", quality="hd")
    assert (told.exact, told.high_usd) == (True, charged(rail, "0.126", 1))
