"""The prices in a list, in each spelling and form."""

import itertools
from decimal import Decimal
from typing import Any

import pytest
from tests.support.listings import only, refused

SPELLINGS = [
    "pricePerImage",
    "price_per_image",
    "flatPrice",
    "flat_price",
    "pricing.per_image",
    "pricing.perImage",
    "pricing.flat",
]
spelled = pytest.mark.parametrize("spelling", SPELLINGS)


def priced(**spellings: object) -> dict[str, Any]:
    """Return the fields of an entry with these prices, of which those with a dot are within another field."""
    within = {name.removeprefix("pricing."): price for name, price in spellings.items() if "." in name}
    flat = {name: price for name, price in spellings.items() if "." not in name}
    return flat | ({"pricing": within} if within else {})


@spelled
@pytest.mark.parametrize(
    ("told", "read"),
    [
        (0.05, "0.05"),
        ("0.05", "0.05"),
        (1, "1"),
        (1e-05, "0.00001"),
        ("1E-5", "0.00001"),
        ("1e+1", "10"),
        (1000, "1000"),
    ],
)
def test_a_price_is_read_in_each_spelling_and_form(spelling: str, told: object, read: str) -> None:
    assert only({"id": "flux", **priced(**{spelling: told})}).price_usd == Decimal(read)


@spelled
@pytest.mark.parametrize("told", ["0", 0, 0.0, "0.00"])
def test_zero_price_counts_only_if_marked_free(spelling: str, told: object) -> None:
    entry = {"id": "flux", **priced(**{spelling: told})}
    assert only(entry).price_usd is None
    assert only(entry | {"free": "yes"}).price_usd is None
    assert only(entry | {"free": True}).price_usd == 0
    assert only(entry | {"billing_mode": "free"}).price_usd == 0


@spelled
@pytest.mark.parametrize(
    "told",
    [
        -0.05,
        "-0.05",
        "free",
        "",
        " 0.05",
        "0.05\n",
        "$0.05",
        "0,05",
        "1_0",
        "٠٫٥",
        "٥",
        ".5",
        "5.",
        "0x5",
        float("nan"),
        float("inf"),
        float("-inf"),
        "NaN",
        None,
        True,
        False,
        [0.05],
        {"usd": 0.05},
    ],
)
def test_invalid_amount_is_not_a_price(spelling: str, told: object) -> None:
    assert only({"id": "flux", **priced(**{spelling: told})}).price_usd is None


@spelled
@pytest.mark.parametrize("told", [1000.01, "1000.000001", 1_000_000, 1e21, "9" * 40, "9e999", 10**30])
def test_model_with_an_implausible_price_is_skipped(spelling: str, told: object) -> None:
    assert refused({"id": "flux", **priced(**{spelling: told})}) == 1


@pytest.mark.parametrize("pricing", [None, "0.05", 0.05, [], ["flat"], True])
def test_pricing_that_is_not_an_object_gives_no_price(pricing: object) -> None:
    assert only({"id": "flux", "pricing": pricing}).price_usd is None


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(SPELLINGS, 2)))
def test_higher_of_two_prices_counts(one: str, other: str) -> None:
    assert only({"id": "flux", **priced(**{one: 0.07, other: "0.02"})}).price_usd == Decimal("0.07")


@pytest.mark.parametrize("other", ["free", None, -1, 0])
def test_valid_price_counts_beside_an_invalid_one(other: object) -> None:
    assert only({"id": "flux", "flat_price": 0.02, "pricePerImage": other}).price_usd == Decimal("0.02")


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("0.0000001", "0.000001"),
        ("0.0412341", "0.041235"),
        ("0.04123400", "0.041234"),
        ("1e-99", "0.000001"),
        ("0." + "0" * 38 + "1", "0.000001"),
    ],
)
def test_a_price_is_rounded_up_to_a_millionth_of_a_dollar(told: str, kept: str) -> None:
    assert only({"id": "flux", "pricePerImage": told}).price_usd == Decimal(kept)
