import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.listings import image, joined
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError, UnknownModelError
from blockrun_image.images import ImageArguments
from blockrun_image.model import slug

FLUX = "black-forest-labs/flux-1.1"
FLUX_ENTRY: dict[str, Any] = {
    "provider": "Black Forest Labs",
    "sizes": ["1440x810", "768x768"],
    "list_price_usd": {"low": "0.04", "high": "0.06"},
    "max_images": 4,
    "max_prompt_characters": 2000,
    "recommended_for": [{"use_case": "Wide pictures"}],
}

WithModels = Callable[[dict[str, Any]], Catalog]


@pytest.fixture
def with_models(tmp_path: Path) -> WithModels:
    """Return what adds models to a copy of the built-in description and reads it."""

    def load(models: dict[str, Any]) -> Catalog:
        packaged = CONTRACT_FILE
        document = json.loads(packaged.read_text(encoding="utf-8"))
        document["x-models"] |= models
        path = tmp_path / "openapi.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return Catalog.load(path)

    return load


def refused(catalog: Catalog, request: ImageArguments) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        catalog.resolve(request)
    error = caught.value
    assert error.charged == "no"
    assert len(error.to_text().encode()) <= 400
    return error


def test_models_are_listed_in_the_files_order(catalog: Catalog) -> None:
    assert [model.id for model in catalog] == ["dall-e-3", "dall-e-2", "nano-banana", "nano-banana-pro"]


def test_catalogue_combines_what_its_models_offer(catalog: Catalog) -> None:
    assert catalog.sizes == ["256x256", "512x512", "1024x1024", "1024x1792", "1792x1024"]
    assert catalog.qualities == ["standard", "hd"]
    assert catalog.use_cases == ["Highest quality", "Multiple variations", "Fast & cheap", "Professional quality"]
    assert (catalog.standard, catalog.default_size, catalog.max_images) == ("standard", "1024x1024", 10)


def test_model_without_its_own_image_limit_uses_the_apis(catalog: Catalog) -> None:
    assert {model.max_images for model in catalog} == {10}


def test_a_model_is_found_by_its_id(catalog: Catalog) -> None:
    assert catalog.find("nano-banana-pro").provider == "Google"


@pytest.mark.parametrize(
    ("id", "question"),
    [
        ("midjourney", ""),
        ("", ""),
        ("any", ""),
        ("dall-e-33", " Did you mean dall-e-3?"),
        ("nanobanan", " Did you mean nano-banana?"),
        ("dalle", ""),
    ],
)
def test_unknown_model_is_refused_with_all_ids_of_a_small_catalogue(catalog: Catalog, id: str, question: str) -> None:
    error = refused(catalog, ImageArguments("a cat", id, ""))
    assert isinstance(error, UnknownModelError)
    assert error.message == (
        f"There is no model '{id}'.{question} Models: dall-e-3 (from $0.042), dall-e-2 (from $0.021),"
        " nano-banana (from $0.053), nano-banana-pro (from $0.105)."
    )
    assert error.valid_values == ("dall-e-3", "dall-e-2", "nano-banana", "nano-banana-pro")
    assert error.hint == ""


def test_unknown_model_is_refused_with_close_ids_of_a_large_catalogue(with_models: WithModels) -> None:
    catalog = with_models({f"vendor-{number % 7}/painter-{number:03}": FLUX_ENTRY for number in range(196)})
    error = refused(catalog, ImageArguments("a cat", "vendor-3/painter-10", ""))
    assert "vendor-3/painter-101" in error.message
    assert error.message.endswith(" (the closest of 200).")
    assert error.valid_values == ()


@pytest.mark.parametrize("size", ["", "auto"])
def test_the_default_size_is_1024x1024(catalog: Catalog, size: str) -> None:
    assert catalog.resolve(ImageArguments("a cat", "dall-e-2", size)).size == "1024x1024"


def test_valid_size_is_kept(catalog: Catalog) -> None:
    assert catalog.resolve(ImageArguments("a cat", "dall-e-3", "1792x1024")).size == "1792x1024"


def test_another_models_size_is_refused_with_the_models_own(catalog: Catalog) -> None:
    error = refused(catalog, ImageArguments("a cat", "dall-e-3", "256x256"))
    assert error.message == "dall-e-3 has no size '256x256'. Its sizes: 1024x1024, 1024x1792, 1792x1024."
    assert error.hint == "Models with this size: dall-e-2."
    assert error.valid_values == ("1024x1024", "1024x1792", "1792x1024")


def test_unknown_size_is_refused_without_naming_other_models(catalog: Catalog) -> None:
    error = refused(catalog, ImageArguments("a cat", "nano-banana", "7x7"))
    assert error.message == "nano-banana has no size '7x7'. Its sizes: 1024x1024."
    assert error.hint == ""


@pytest.mark.parametrize("quality", [None, "", "standard"])
@pytest.mark.parametrize(
    ("model", "sent"),
    [("dall-e-3", "standard"), ("dall-e-2", "standard"), ("nano-banana", None), ("nano-banana-pro", None)],
)
def test_standard_quality_is_accepted_by_all_and_sent_only_if_supported(
    catalog: Catalog, model: str, sent: str | None, quality: str | None
) -> None:
    body = catalog.resolve(ImageArguments("a cat", model, "", quality)).body()
    assert body.get("quality") == sent
    assert ("quality" in body) == (sent is not None)


@pytest.mark.parametrize("model", ["dall-e-3", "dall-e-2"])
def test_hd_is_sent_to_a_model_with_qualities(catalog: Catalog, model: str) -> None:
    assert catalog.resolve(ImageArguments("a cat", model, "", "hd")).body()["quality"] == "hd"


def test_hd_is_refused_with_the_models_that_support_it(catalog: Catalog) -> None:
    error = refused(catalog, ImageArguments("a cat", "nano-banana", "", "hd"))
    assert error.message == "nano-banana cannot do quality 'hd'. dall-e-3, dall-e-2 can."
    assert error.valid_values == ("standard",)


@pytest.mark.parametrize(("model", "qualities"), [("dall-e-3", "standard, hd"), ("nano-banana", "standard")])
def test_unknown_quality_is_refused_with_the_models_own(catalog: Catalog, model: str, qualities: str) -> None:
    error = refused(catalog, ImageArguments("a cat", model, "", "8k"))
    assert error.message == f"{model} cannot do quality '8k'. Its qualities: {qualities}."


def test_model_without_standard_quality_defaults_to_its_first(with_models: WithModels) -> None:
    catalog = with_models({FLUX: FLUX_ENTRY | {"qualities": ["draft", "fine"]}})
    assert catalog.resolve(ImageArguments("a cat", FLUX, "")).quality == "draft"
    assert catalog.resolve(ImageArguments("a cat", FLUX, "", "fine")).quality == "fine"
    assert catalog.qualities == ["standard", "hd", "draft", "fine"]


@pytest.mark.parametrize("n", [1, 10])
def test_up_to_the_models_limit_of_images_can_be_requested(catalog: Catalog, n: int) -> None:
    assert catalog.resolve(ImageArguments("a cat", "dall-e-3", "", n=n)).body()["n"] == n


@pytest.mark.parametrize("n", [0, 11, -1, 2.5, 3.0, True, "3"])
def test_invalid_image_count_is_refused_with_the_range(catalog: Catalog, n: Any) -> None:
    error = refused(catalog, ImageArguments("a cat", "dall-e-3", "", n=n))
    assert error.message == f"n must be a whole number from 1 to 10 for dall-e-3, not '{n}'."


@pytest.mark.parametrize("prompt", ["", " ", "\n\t", "\u3000"])
def test_an_empty_prompt_is_refused(catalog: Catalog, prompt: str) -> None:
    error = refused(catalog, ImageArguments(prompt, "dall-e-3", ""))
    assert error.message == "The prompt is empty."
    assert error.hint == "Describe the picture in words."


@pytest.mark.parametrize("prompt", [3, None, ["a cat"]])
def test_non_text_prompt_is_refused(catalog: Catalog, prompt: Any) -> None:
    assert "prompt" in refused(catalog, ImageArguments(prompt, "dall-e-3", "")).message


LIMITS = [("dall-e-3", 4_000), ("dall-e-2", 1_000), ("nano-banana", 32_768), ("nano-banana-pro", 65_536)]


@pytest.mark.parametrize(("model", "limit"), LIMITS)
@pytest.mark.parametrize("character", ["x", "東", "🦊"])
def test_a_prompt_at_the_models_limit_is_sent_whole(catalog: Catalog, model: str, limit: int, character: str) -> None:
    prompt = character * limit
    assert catalog.resolve(ImageArguments(prompt, model, "")).body()["prompt"] == prompt


@pytest.mark.parametrize(("model", "limit"), LIMITS)
def test_prompt_over_the_models_limit_is_refused_and_not_truncated(catalog: Catalog, model: str, limit: int) -> None:
    error = refused(catalog, ImageArguments("x" * (limit + 1), model, ""))
    assert error.message == f"The prompt has {limit + 1:,} characters; {model} takes at most {limit:,}."
    assert error.hint == "Shorten it; it is never cut for you."


def test_prompt_keeps_its_spaces_and_newlines(catalog: Catalog) -> None:
    prompt = "  a cat\n\n\ta dog  "
    assert catalog.resolve(ImageArguments(prompt, "dall-e-3", "")).body()["prompt"] == prompt


def test_a_prompt_with_lone_surrogates_is_refused(catalog: Catalog) -> None:
    assert "lone surrogates" in refused(catalog, ImageArguments("a cat \ud800", "dall-e-3", "")).message


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("Fast & cheap", "fast_and_cheap"),
        ("Highest quality", "highest_quality"),
        ("  Text/logos (large) ", "text_logos_large"),
        ("R&D", "r_and_d"),
    ],
)
def test_use_case_becomes_a_slug(words: str, value: str) -> None:
    assert slug(words) == value


def test_added_model_is_found_and_defaults_to_its_first_size(with_models: WithModels) -> None:
    catalog = with_models({FLUX: FLUX_ENTRY})
    assert catalog.find(FLUX).provider == "Black Forest Labs"
    assert catalog.resolve(ImageArguments("a cat", FLUX, "")).body() == {
        "model": FLUX,
        "prompt": "a cat",
        "size": "1440x810",
        "n": 1,
    }
    assert "768x768" in catalog.sizes
    assert catalog.use_cases[-1] == "Wide pictures"


def test_an_added_model_has_its_own_limits(with_models: WithModels) -> None:
    catalog = with_models({FLUX: FLUX_ENTRY})
    assert "from 1 to 4" in refused(catalog, ImageArguments("a cat", FLUX, "", n=5)).message
    assert "at most 2,000" in refused(catalog, ImageArguments("x" * 2001, FLUX, "")).message
    assert "Its sizes: 1440x810, 768x768." in refused(catalog, ImageArguments("a cat", FLUX, "1024x1024")).message


def test_refusal_stays_short_for_long_ids_and_many_sizes(with_models: WithModels) -> None:
    sizes = [f"{side}x10000" for side in range(20_000, 20_040)]
    id = "m" * 80
    catalog = with_models({id: FLUX_ENTRY | {"sizes": sizes}})
    assert "Its sizes: " in refused(catalog, ImageArguments("a cat", id, "🦊" * 100)).message
    assert "Its sizes: " in refused(catalog, ImageArguments("a cat", id, "1024x1024")).message


@pytest.mark.parametrize("size", ["2048x1000", "1x1", "99999x99999"])
def test_any_size_is_sent_to_a_model_without_listed_sizes(catalog: Catalog, size: str) -> None:
    assert joined(catalog, image("flux")).resolve(ImageArguments("a cat", "flux", size)).body()["size"] == size


@pytest.mark.parametrize("size", [None, "", "auto"])
def test_no_size_is_sent_by_default_to_a_model_without_listed_sizes(catalog: Catalog, size: str | None) -> None:
    body = joined(catalog, image("flux")).resolve(ImageArguments("a cat", "flux", size)).body()
    assert body == {"model": "flux", "prompt": "a cat", "n": 1}


@pytest.mark.parametrize("size", [5, True, ["7x7"], {}, "7x", "100000x1"])
def test_malformed_size_is_refused_for_a_model_without_listed_sizes(catalog: Catalog, size: Any) -> None:
    assert "WIDTHxHEIGHT" in refused(joined(catalog, image("flux")), ImageArguments("a cat", "flux", size)).message


def test_prompt_of_any_length_is_sent_to_a_model_without_a_listed_limit(catalog: Catalog) -> None:
    request = joined(catalog, image("flux")).resolve(ImageArguments("x" * 1_000_000, "flux"))
    assert len(request.prompt) == 1_000_000


@pytest.mark.parametrize(("sizes", "size"), [(["7x7", "1024x1024"], "1024x1024"), (["7x7", "9x9"], "7x7")])
def test_listed_model_uses_the_default_size_or_its_own_first(catalog: Catalog, sizes: list[str], size: str) -> None:
    both = joined(catalog, image("flux", supportedSizes=sizes))
    assert both.resolve(ImageArguments("a cat", "flux", "auto")).size == size
