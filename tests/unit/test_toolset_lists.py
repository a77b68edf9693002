"""The models that the toolset lists and compares, and those that come and go."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.fakes import URL, FakeGateway
from tests.support.listings import image, joined
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image.catalog import Catalog
from blockrun_image.errors import (
    InvalidRequestError,
    ModelNotFoundError,
)
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, OnStatus
from blockrun_image.toolset import ImageToolset

ALL = ["dall-e-3", "dall-e-2", "nano-banana", "nano-banana-pro"]


def listed(toolset: ImageToolset, *filters: Any) -> list[str]:
    return [model.id for model in toolset.list_models(*filters).models]


@pytest.mark.parametrize("filters", [(), ("any",), ("any", 0), (None, 0.0), ("", Decimal(0))])
def test_all_models_are_listed_without_a_filter(catalog: Catalog, filters: tuple[Any, ...]) -> None:
    assert listed(ImageToolset(catalog), *filters) == ALL


@pytest.mark.parametrize(
    ("use_case", "model"),
    [
        ("highest_quality", "dall-e-3"),
        ("multiple_variations", "dall-e-2"),
        ("fast_and_cheap", "nano-banana"),
        ("professional_quality", "nano-banana-pro"),
    ],
)
def test_use_case_lists_the_model_the_api_recommends(catalog: Catalog, use_case: str, model: str) -> None:
    assert listed(ImageToolset(catalog), use_case) == [model]


@pytest.mark.parametrize(
    ("price", "models"),
    [
        (0.02, []),
        (0.021, ["dall-e-2"]),
        (0.042, ["dall-e-3", "dall-e-2"]),
        (Decimal("0.053"), ["dall-e-3", "dall-e-2", "nano-banana"]),
        (0.1049, ["dall-e-3", "dall-e-2", "nano-banana"]),
        (1, ALL),
    ],
)
def test_price_limit_lists_models_with_an_image_within_it(
    catalog: Catalog, price: float | Decimal, models: list[str]
) -> None:
    assert listed(ImageToolset(catalog), None, price) == models


def test_both_filters_apply_together(catalog: Catalog) -> None:
    assert listed(ImageToolset(catalog), "fast_and_cheap", 0.05) == []
    assert listed(ImageToolset(catalog), "fast_and_cheap", 0.06) == ["nano-banana"]


@pytest.mark.parametrize("price", [-1, -0.01, float("nan"), float("inf"), Decimal("-Infinity")])
def test_invalid_price_limit_is_refused(catalog: Catalog, price: float | Decimal) -> None:
    with pytest.raises(InvalidRequestError, match="max_price_usd must be at least 0, not ") as caught:
        ImageToolset(catalog).list_models(max_price_usd=price)
    assert caught.value.charged == "no"


def test_unknown_use_case_is_refused_with_the_known_ones(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ImageToolset(catalog).list_models("logos")
    assert caught.value.message == (
        "There is no use case 'logos'."
        " Use cases: any, highest_quality, multiple_variations, fast_and_cheap, professional_quality."
    )
    assert caught.value.valid_values[:2] == ("any", "highest_quality")


@pytest.mark.parametrize("model", [None, "", "any"])
def test_all_capable_models_are_compared_cheapest_first_without_a_model(catalog: Catalog, model: str | None) -> None:
    compared = ImageToolset(catalog).estimate_cost(model, "1024x1024").estimates
    assert [each.model for each in compared] == ["dall-e-2", "dall-e-3", "nano-banana", "nano-banana-pro"]


def test_only_the_named_model_is_priced(catalog: Catalog) -> None:
    (only,) = ImageToolset(catalog).estimate_cost("dall-e-3", "1792x1024", "hd", 10).estimates
    assert (only.price_text(), only.exact) == ("$1.26", True)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("midjourney",), "There is no model 'midjourney'"),
        (("dall-e-3", "256x256"), "dall-e-3 has no size '256x256'"),
        (("nano-banana", None, "hd"), "nano-banana cannot do quality 'hd'"),
        (("dall-e-3", None, None, 11), "n must be a whole number from 1 to 10"),
        ((None, "256x256", None, 11), "No model can do size '256x256', n '11'."),
        ((None, "1x1"), "No model can do size '1x1'."),
    ],
)
def test_estimate_of_an_invalid_request_is_refused(catalog: Catalog, asked: tuple[Any, ...], says: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ImageToolset(catalog).estimate_cost(*asked)
    assert says in caught.value.message
    assert caught.value.charged == "no"


@pytest.mark.anyio
async def test_added_model_is_listed_priced_and_sent_with_its_own_defaults(tmp_path: Path) -> None:
    document = json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))
    document["x-models"]["flux"] = {
        "provider": "Black Forest Labs",
        "sizes": ["1440x810", "768x768"],
        "list_price_usd": {"low": "0.01", "high": "0.01"},
        "max_images": 4,
        "max_prompt_characters": 2000,
        "recommended_for": [{"use_case": "Wide pictures"}],
    }
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    gateway = FakeGateway(Image(URL))
    toolset = ImageToolset(Catalog.load(path), gateway)

    await toolset.generate_image("a cat", "flux", enrich="off")

    assert gateway.requests == [ImageRequest("a cat", "flux", "1440x810", None, 1)]
    assert listed(toolset, "wide_pictures") == listed(toolset, None, 0.0105) == ["flux"]
    assert toolset.estimate_cost(n=4).estimates[0].to_dict()["estimated_usd"] == "0.042"
    assert toolset.estimate_cost(n=5).estimates[0].model == "dall-e-2"


@pytest.mark.anyio
@pytest.mark.parametrize("asked", ["nano-banana", "google/nano-banana"])
async def test_gateway_gets_its_listed_spelling_and_the_result_shows_the_other(catalog: Catalog, asked: str) -> None:
    gateway = FakeGateway(Image(URL))
    result = await ImageToolset(joined(catalog, image("google/nano-banana")), gateway).generate_image("a cat", asked)
    assert gateway.requests[0].body()["model"] == "google/nano-banana"
    assert result.request.model == "nano-banana"


@pytest.mark.anyio
@pytest.mark.parametrize("entries", [[image("dall-e-3")], [image("dall-e-3"), image("flux")]])
async def test_model_missing_at_the_gateway_is_refused_with_any_alternatives(
    catalog: Catalog, entries: list[object]
) -> None:
    class ForgetfulGateway(FakeGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            raise ModelNotFoundError("There is no such model.", hint="Look at the list.")

    with pytest.raises(ModelNotFoundError) as caught:
        await ImageToolset(joined(catalog, *entries), ForgetfulGateway()).generate_image("a cat", "dall-e-3")
    others = len(entries) > 1
    assert caught.value.hint == ("Use another: flux (price not known)." if others else "Look at the list.")


@pytest.mark.anyio
async def test_unpriced_call_is_sent_without_an_overcharge_warning(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL), charged="0.5")
    result = await ImageToolset(joined(catalog, image("flux")), gateway).generate_image("a cat", "flux", enrich="off")
    assert gateway.requests[0].body() == {"model": "flux", "prompt": "a cat", "n": 1}
    assert (result.estimate.price_text(), result.charged_usd, result.warnings) == ("unknown", Decimal("0.5"), [])
