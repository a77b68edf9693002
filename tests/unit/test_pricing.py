import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from tests.support.estimates import named, priced
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import ImageArguments, ImageRequest
from blockrun_image.pricing import cheapest_offer, compare, estimate, price_range, range_text
from blockrun_image.text import usd

PUBLISHED = "The published price, rounded."


@pytest.fixture
def with_flux(tmp_path: Path) -> Catalog:
    """Return the built-in catalogue and a model that it does not have."""
    document = json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))
    document["x-models"]["flux"] = {
        "provider": "Black Forest Labs",
        "sizes": ["1440x810", "768x768"],
        "list_price_usd": {"low": "0.01", "high": "0.06"},
        "prices": [{"size": "768x768", "usd": "0.011"}],
        "max_images": 4,
        "max_prompt_characters": 2000,
    }
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return Catalog.load(path)


@pytest.mark.parametrize("n", [1, 3, 10])
@pytest.mark.parametrize(
    ("model", "size_and_quality", "price"),
    [
        ("dall-e-3", ("1024x1024", "standard"), "0.042"),
        ("dall-e-3", ("1024x1792", "hd"), "0.084"),
        ("dall-e-3", ("1792x1024", "hd"), "0.126"),
        ("dall-e-2", ("1024x1024", "standard"), "0.021"),
        ("nano-banana", ("1024x1024",), "0.053"),
        ("nano-banana", ("1024x1024", "standard"), "0.053"),
        ("nano-banana-pro", ("1024x1024",), "0.105"),
    ],
)
def test_estimate_is_the_published_price_times_n(
    catalog: Catalog, model: str, size_and_quality: tuple[str, ...], price: str, n: int
) -> None:
    expected = priced(catalog, model, *size_and_quality, n=n)
    assert expected.low_usd == expected.high_usd == Decimal(price) * n
    assert expected.exact
    assert expected.basis == PUBLISHED


RANGES = {"dall-e-3": ("0.042", "0.126", "$0.04-0.12"), "dall-e-2": ("0.021", "0.042", "$0.02-0.04")}


@pytest.mark.parametrize("n", [1, 3, 10])
@pytest.mark.parametrize(
    ("model", "quality", "size"),
    [
        ("dall-e-3", "standard", "1024x1792"),
        ("dall-e-3", "standard", "1792x1024"),
        ("dall-e-3", "hd", "1024x1024"),
        ("dall-e-2", "standard", "256x256"),
        ("dall-e-2", "standard", "512x512"),
        ("dall-e-2", "hd", "256x256"),
        ("dall-e-2", "hd", "512x512"),
        ("dall-e-2", "hd", "1024x1024"),
    ],
)
def test_estimate_without_a_published_price_is_the_list_range_with_margin(
    catalog: Catalog, model: str, quality: str, size: str, n: int
) -> None:
    expected = priced(catalog, model, size, quality, n=n)
    low, high, listed = RANGES[model]
    assert (expected.low_usd, expected.high_usd) == (Decimal(low) * n, Decimal(high) * n)
    assert not expected.exact
    assert expected.basis == (
        f"No published price for {model} {quality} {size}: list price of {listed} plus the 5 % margin."
    )


def test_structured_estimate_of_a_range_has_its_high_and_low_ends(catalog: Catalog) -> None:
    assert priced(catalog, "dall-e-2", "256x256", n=2).to_dict() == {
        "model": "dall-e-2",
        "size": "256x256",
        "quality": "standard",
        "n": 2,
        "estimated_usd": "0.084",
        "low_usd": "0.042",
        "exact": False,
        "basis": "No published price for dall-e-2 standard 256x256: list price of $0.02-0.04 plus the 5 % margin.",
    }


def test_the_structured_estimate_of_an_exact_price_has_one_amount(catalog: Catalog) -> None:
    assert priced(catalog, "nano-banana", n=2).to_dict() == {
        "model": "nano-banana",
        "size": "1024x1024",
        "n": 2,
        "estimated_usd": "0.106",
        "exact": True,
    }


def leaves(content: object) -> Iterator[object]:
    match content:
        case dict():
            for value in cast("dict[str, object]", content).values():
                yield from leaves(value)
        case list():
            for value in cast("list[object]", content):
                yield from leaves(value)
        case _:
            yield content


def every_request(catalog: Catalog) -> Iterator[ImageRequest]:
    for model in catalog:
        for size, quality, n in itertools.product(model.sizes, model.qualities or [None], range(1, 11)):
            yield ImageRequest("a cat", model.id, size, quality, n)


def test_no_amount_is_ever_a_float(catalog: Catalog) -> None:
    contents = [estimate(catalog, request).to_dict() for request in every_request(catalog)]
    assert not [leaf for leaf in leaves(contents) if isinstance(leaf, float)]
    assert all(isinstance(content["estimated_usd"], str) for content in contents)


def test_most_expensive_call_costs_1_26(catalog: Catalog) -> None:
    assert max(estimate(catalog, request) for request in every_request(catalog)).price_text() == "$1.26"


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [("dall-e-3", "1024x1024", "$0.042"), ("dall-e-3", "1024x1792", "$0.042-0.126"), ("nano-banana", "", "$0.053")],
)
def test_estimate_is_formatted_in_dollars(catalog: Catalog, model: str, size: str, words: str) -> None:
    assert priced(catalog, model, size).price_text() == words


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("0", "0.00"),
        ("0.0420", "0.042"),
        ("0.1", "0.10"),
        ("1.260", "1.26"),
        ("2", "2.00"),
        ("1E+2", "100.00"),
        ("1E-7", "0.0000001"),
        ("999999.999999", "999999.999999"),
    ],
)
def test_an_amount_is_written_exactly_with_at_least_two_decimals(amount: str, written: str) -> None:
    assert usd(Decimal(amount)) == written


def test_range_with_equal_ends_is_shown_as_one_amount() -> None:
    assert range_text(Decimal("0.10"), Decimal("0.1")) == "$0.10"
    assert range_text(Decimal("0.1"), Decimal("0.25")) == "$0.10-0.25"


@pytest.mark.parametrize("size", ["", "auto", "1024x1024"])
def test_all_models_are_compared_cheapest_first(catalog: Catalog, size: str) -> None:
    assert named(compare(catalog, ImageArguments("", "any", size, n=2))) == [
        ("dall-e-2", "$0.042"),
        ("dall-e-3", "$0.084"),
        ("nano-banana", "$0.106"),
        ("nano-banana-pro", "$0.21"),
    ]


@pytest.mark.parametrize(
    ("size", "quality", "compared"),
    [
        ("256x256", None, [("dall-e-2", "$0.021-0.042")]),
        ("1792x1024", "hd", [("dall-e-3", "$0.126")]),
        ("", "hd", [("dall-e-2", "$0.021-0.042"), ("dall-e-3", "$0.042-0.126")]),
    ],
)
def test_only_models_that_support_the_request_are_compared(
    catalog: Catalog, size: str, quality: str | None, compared: list[tuple[str, str]]
) -> None:
    assert named(compare(catalog, ImageArguments("", "any", size, quality))) == compared


def test_comparison_uses_the_high_end_of_a_range(with_flux: Catalog) -> None:
    assert named(compare(with_flux, ImageArguments("", "any", ""))) == [
        ("dall-e-2", "$0.021"),
        ("dall-e-3", "$0.042"),
        ("nano-banana", "$0.053"),
        ("flux", "$0.0105-0.063"),
        ("nano-banana-pro", "$0.105"),
    ]


def test_request_that_no_model_supports_is_refused_and_described(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        compare(catalog, ImageArguments("", "any", "256x256", "hd", 11))
    assert caught.value.message == "No model can do size '256x256', quality 'hd', n '11'."
    assert caught.value.hint == "Sizes: 256x256, 512x512, 1024x1024, 1024x1792, 1792x1024; n up to 10."


def test_too_long_prompt_is_refused_with_the_largest_limit(with_flux: Catalog) -> None:
    with pytest.raises(InvalidRequestError, match="nano-banana-pro takes at most 65,536"):
        compare(with_flux, ImageArguments("x" * 100_000, "any"))


def test_refused_comparison_names_only_the_requested_arguments(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError, match="No model can do n '0'\\."):
        compare(catalog, ImageArguments("", "any", "", n=0))


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [
        ("dall-e-3", "0.042", "0.126"),
        ("dall-e-2", "0.021", "0.042"),
        ("nano-banana", "0.053", "0.053"),
        ("nano-banana-pro", "0.105", "0.105"),
    ],
)
def test_models_price_range_covers_everything_it_offers(catalog: Catalog, model: str, low: str, high: str) -> None:
    prices = price_range(catalog, catalog.find(model))
    assert prices is not None
    assert (prices.low, prices.high) == (Decimal(low), Decimal(high))


def test_cheapest_offer_is_one_image_with_the_lowest_high_end(catalog: Catalog) -> None:
    offer = cheapest_offer(catalog, catalog.find("dall-e-2"))
    assert (offer.size, offer.quality, offer.n, offer.price_text()) == ("1024x1024", "standard", 1, "$0.021")


def test_an_added_model_is_priced_by_its_own_entry(with_flux: Catalog) -> None:
    assert priced(with_flux, "flux", "768x768", n=4).price_text() == "$0.044"
    unpublished = priced(with_flux, "flux")
    assert (unpublished.size, unpublished.price_text(), unpublished.exact) == ("1440x810", "$0.0105-0.063", False)
    assert unpublished.basis.startswith("No published price for flux 1440x810: ")
    assert cheapest_offer(with_flux, with_flux.find("flux")).size == "768x768"


# what was charged lately
