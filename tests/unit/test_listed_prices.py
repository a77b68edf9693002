"""What requests cost at the prices that a gateway lists."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.estimates import named, priced
from tests.support.listings import image, joined

from blockrun_image.catalog import Catalog
from blockrun_image.images import ImageArguments
from blockrun_image.pricing import Span, cheapest_offer, compare, price_range

LISTED = "list price at pictures.example (2025-11-25)"


@pytest.mark.parametrize("size", ["", "auto", "1024x1024"])
def test_listed_price_applies_to_the_default_size_plus_margin_and_fee(catalog: Catalog, size: str) -> None:
    flux = priced(joined(catalog, image("flux", 0.04)), "flux", size)
    assert (flux.low_usd, flux.high_usd, flux.exact) == (Decimal("0.042"), Decimal("0.043"), False)
    assert flux.basis == f"The {LISTED} of $0.04 plus the 5 % margin and a fee of at most $0.001."


@pytest.mark.parametrize("n", [1, 3, 10])
def test_fee_is_added_once_per_request_and_margin_per_image(catalog: Catalog, n: int) -> None:
    flux = priced(joined(catalog, image("flux", "0.05")), "flux", n=n)
    assert (flux.low_usd, flux.high_usd) == (Decimal("0.0525") * n, Decimal("0.0525") * n + Decimal("0.001"))


@pytest.mark.parametrize(
    ("size", "quality", "is_own"),
    [
        ("", None, True),
        ("768x768", "draft", True),
        ("auto", "standard", True),
        ("7x7", None, False),
        ("", "fine", False),
    ],
)
def test_listed_price_is_the_minimum_for_other_sizes_and_qualities(
    catalog: Catalog, size: str, quality: str | None, is_own: bool
) -> None:
    told = {"supportedSizes": ["768x768", "7x7"], "supportedQualities": ["draft", "fine"]}
    flux = priced(joined(catalog, image("flux", 0.04, **told)), "flux", size, quality, n=2)
    assert (flux.low_usd, flux.high_usd) == (Decimal("0.084"), Decimal("0.085") if is_own else None)
    if not is_own:
        assert flux.price_text() == "from $0.084"
        assert flux.basis == (
            f"At least the {LISTED} of $0.04 plus the 5 % margin: other sizes and qualities may cost more."
        )
        assert flux.cost() == {"low_usd": "0.084", "exact": False, "basis": flux.basis}


def test_arbitrary_size_is_kept_and_has_only_a_minimum_price(catalog: Catalog) -> None:
    flux = priced(joined(catalog, image("flux", 0.04)), "flux", "2048x1000")
    assert (flux.size, flux.price_text()) == ("2048x1000", "from $0.042")


def test_unlisted_price_is_unknown(catalog: Catalog) -> None:
    flux = priced(joined(catalog, image("flux")), "flux", n=2)
    assert (flux.price_text(), flux.high_usd, flux.is_known) == ("unknown", None, False)
    assert flux.to_dict() == {
        "model": "flux",
        "size": "auto",
        "n": 2,
        "exact": False,
        "basis": "Its price is not known before it is charged.",
    }


def test_zero_price_is_known_and_has_no_fee(catalog: Catalog) -> None:
    flux = priced(joined(catalog, image("flux", 0)), "flux", n=3)
    assert (flux.price_text(), flux.is_known) == ("$0.00", True)
    assert flux.cost()["estimated_usd"] == "0.00"
    assert flux.basis == f"The {LISTED} of $0.00 plus the 5 % margin."
    assert priced(joined(catalog, image("flux", 0)), "flux", "7x7").price_text() == "unknown"


def test_a_description_without_a_fee_adds_none(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps({"x-pricing": {"currency": "USD", "margin": "0.1"}}), encoding="utf-8")
    flux = priced(joined(Catalog.load(path), image("flux", 0.05)), "flux", n=2)
    assert flux.price_text() == "$0.11"
    assert flux.basis == f"The {LISTED} of $0.05 plus the 10 % margin."


def test_described_price_is_not_attributed_to_the_gateways_list(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    models = {"flux": {"provider": "BFL", "sizes": ["7x7", "9x9"], "list_price_usd": {"low": "0.05"}}}
    path.write_text(json.dumps({"x-models": models}), encoding="utf-8")
    contract = Catalog.load(path)
    basis = "The list price of $0.05 plus the 5 % margin and a fee of at most $0.001."
    assert priced(contract, "flux").basis == basis
    gone = joined(contract, image("other"))
    assert cheapest_offer(gone, gone.known("flux")).basis == basis


def test_comparison_puts_known_cheapest_first_and_unknown_last(catalog: Catalog) -> None:
    told = {"supportedSizes": ["1024x1024", "7x7"]}
    both = joined(
        catalog, image("unknown"), image("dear", 0.5, **told), image("free", 0), image("cheap", 0.01), image("dall-e-2")
    )
    assert named(compare(both, ImageArguments("", "any"))) == [
        ("free", "$0.00"),
        ("cheap", "$0.0105-0.0115"),
        ("dall-e-2", "$0.021"),
        ("dear", "$0.525-0.526"),
        ("unknown", "unknown"),
    ]
    assert named(compare(both, ImageArguments("", "any", "7x7"))) == [
        ("cheap", "from $0.0105"),
        ("dear", "from $0.525"),
        ("unknown", "unknown"),
        ("free", "unknown"),
    ]


@pytest.mark.parametrize(
    ("fields", "low", "high"),
    [
        ({"pricePerImage": 0.04}, "0.042", "0.043"),
        ({"pricePerImage": 0.04, "supportedSizes": ["1024x1024"]}, "0.042", "0.043"),
        ({"pricePerImage": 0.04, "supportedSizes": ["1024x1024", "7x7"]}, "0.042", None),
        ({"pricePerImage": 0.04, "supportedQualities": ["standard", "hd"]}, "0.042", None),
        ({"pricePerImage": 1000}, "1050", "1050.001"),
        ({"pricePerImage": 0, "free": True}, "0", "0"),
    ],
)
def test_listed_models_range_has_a_maximum_only_if_all_offers_are_priced(
    catalog: Catalog, fields: dict[str, Any], low: str, high: str | None
) -> None:
    both = joined(catalog, image("flux", **fields))
    prices = price_range(both, both.find("flux"))
    assert prices == Span(Decimal(low), None if high is None else Decimal(high))


def test_model_without_a_price_has_no_price_range(catalog: Catalog) -> None:
    both = joined(catalog, image("flux", supportedSizes=["1024x1024", "7x7"]))
    assert price_range(both, both.find("flux")) is None


def test_zero_price_for_the_default_size_alone_has_no_maximum(catalog: Catalog) -> None:
    both = joined(catalog, image("flux", 0, supportedSizes=["1024x1024", "7x7"]))
    assert price_range(both, both.find("flux")) == Span(Decimal(0), None)


def test_margin_is_added_even_to_a_very_high_price(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    models = {"flux": {"provider": "BFL", "sizes": ["7x7"], "list_price_usd": {"low": "900000"}}}
    pricing = {"currency": "USD", "margin": "0.5"}
    path.write_text(json.dumps({"x-models": models, "x-pricing": pricing}), encoding="utf-8")
    contract = Catalog.load(path)
    assert price_range(contract, contract.find("flux")) == Span(Decimal(1_350_000), Decimal(1_350_000))


def test_estimate_is_at_least_the_last_charge_for_such_images(catalog: Catalog) -> None:
    expected = priced(catalog, "dall-e-3", n=2)
    dearer = expected.at_least(Decimal("0.05"))
    assert (dearer.price_text(), dearer.exact, dearer.expected_cost.max_usd) == ("$0.084-0.10", False, Decimal("0.10"))
    assert dearer.basis == "The published price, rounded. But the last such image cost $0.05."
    for lower in (None, Decimal("0.042"), Decimal(0)):
        assert expected.at_least(lower) is expected


def test_unknown_estimate_starts_at_the_last_charge_for_such_images(catalog: Catalog) -> None:
    flux = priced(joined(catalog, image("flux")), "flux", n=2)
    assert (flux.price_text(), flux.at_least(Decimal("0.05")).price_text()) == ("unknown", "from $0.10")
