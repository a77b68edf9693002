import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.fakes import URL, FakeGateway
from tests.support.listings import image, joined, many
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image.arguments import check_arguments
from blockrun_image.catalog import Catalog
from blockrun_image.errors import ImageError, InvalidRequestError, UnknownModelError
from blockrun_image.images import Defaults, Image
from blockrun_image.schemas import ToolSchema, tool_schemas
from blockrun_image.toolset import ImageToolset


@pytest.fixture(scope="module")
def large_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Return a catalogue of 200 models with long ids and 200 sizes."""
    document = json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))
    document["x-models"] = {
        f"vendor-{number % 9}/landscape-painter-{number:03}-turbo": document["x-models"]["nano-banana"]
        | {"sizes": [f"{1000 + number}x1000"], "prices": []}
        for number in range(200)
    }
    path: Path = tmp_path_factory.mktemp("large") / "openapi.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return Catalog.load(path)


def tool(catalog: Catalog, name: str, default_model: str | None = None) -> ToolSchema:
    return next(each for each in tool_schemas(catalog, Defaults(default_model)) if each.name == name)


async def refused(catalog: Catalog, arguments: Mapping[str, object]) -> ImageError:
    """Return what a call of generate_image is refused with, before anything reached the gateway."""
    gateway = FakeGateway(Image(URL))
    with pytest.raises(ImageError) as caught:
        await ImageToolset(catalog, gateway).generate_image(
            **check_arguments(tool(catalog, "generate_image"), arguments)
        )
    assert gateway.requests == []
    assert caught.value.charged == "no"
    assert "Nothing was charged." in caught.value.to_text()
    assert len(caught.value.to_text().encode()) <= 400
    assert json.dumps(caught.value.to_dict(), ensure_ascii=False).encode()
    return caught.value


MODELS = "dall-e-3, dall-e-2, nano-banana, nano-banana-pro"
OFFERS = "dall-e-3 (from $0.042), dall-e-2 (from $0.021), nano-banana (from $0.053), nano-banana-pro (from $0.105)"
SIZES = "1024x1024, 1024x1792, 1792x1024"
USE_CASES = "any, highest_quality, multiple_variations, fast_and_cheap, professional_quality"
LIMIT = "dall-e-3 takes at most 4,000"
ARGUMENTS = (
    "Its arguments: prompt, model, size, quality, n, save_as, enrich, purpose, art_style, composition, lighting."
)
DRY_RUN_ARGUMENTS = "Its arguments: model, size, quality, n, prompt, enrich, purpose."
MEGABYTE = "x" * 1_000_000
GOOD = {"prompt": "a cat", "model": "dall-e-3"}


def short(case: object) -> str:
    return str(case)[:40].encode("ascii", "replace").decode()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("wrong", "says", "names"),
    [
        ({"model": "midjourney"}, "There is no model 'midjourney'.", OFFERS),
        ({"model": "any"}, "model must not be missing", MODELS),
        ({"model": None}, "model must not be missing", MODELS),
        ({"model": 5}, "'5'", OFFERS),
        ({"model": ["dall-e-3"]}, "'['dall-e-3']'", OFFERS),
        ({"model": MEGABYTE}, "There is no model 'xxx", OFFERS),
        ({"model": "🦊" * 100}, "There is no model '🦊", OFFERS),
        ({"size": "256x256"}, "dall-e-3 has no size '256x256'", "1024x1024, 1024x1792, 1792x1024"),
        ({"size": "7x7"}, "has no size '7x7'", SIZES),
        ({"size": 5}, "'5'", SIZES),
        ({"size": True}, "'True'", SIZES),
        ({"size": ["1024x1024"]}, "'['1024x1024']'", SIZES),
        ({"size": MEGABYTE}, "has no size 'xxx", SIZES),
        ({"size": "\udfff"}, "has no size ''", SIZES),
        ({"quality": "8k"}, "quality cannot be '8k'", "standard, hd"),
        ({"quality": 5}, "'5'", "standard, hd"),
        ({"model": "nano-banana", "quality": "hd"}, "nano-banana cannot do quality 'hd'", "dall-e-3, dall-e-2 can"),
        ({"n": 0}, "'0'", "from 1 to 10"),
        ({"n": 11}, "'11'", "from 1 to 10"),
        ({"n": "11"}, "'11'", "from 1 to 10"),
        ({"n": -1}, "'-1'", "from 1 to 10"),
        ({"n": 2.5}, "'2.5'", "from 1 to 10"),
        ({"n": "2.5"}, "'2.5'", "from 1 to 10"),
        ({"n": "many"}, "'many'", "from 1 to 10"),
        ({"n": True}, "'True'", "from 1 to 10"),
        ({"n": [1]}, "'[1]'", "from 1 to 10"),
        ({"n": float("inf")}, "'inf'", "from 1 to 10"),
        ({"n": "9" * 100}, "'999", "from 1 to 10"),
        ({"prompt": ""}, "prompt must not be missing", "missing or empty"),
        ({"prompt": None}, "prompt must not be missing", "missing or empty"),
        ({"prompt": " \n\t"}, "The prompt is empty.", "Describe the picture in words."),
        ({"prompt": 3}, "prompt must be", "text, not '3'"),
        ({"prompt": ["a", "cat"]}, "prompt must be", "text, not '['a', 'cat']'"),
        ({"prompt": {"text": "a cat"}}, "prompt must be", "text, not '{'text': 'a cat'}'"),
        ({"prompt": "x" * 4_001}, "The prompt has 4,001 characters", LIMIT),
        ({"prompt": MEGABYTE}, "The prompt has 1,000,000 characters", LIMIT),
        ({"prompt": "a \ud83e cat"}, "The prompt is not valid Unicode text", "lone surrogates"),
        ({"enrich": "always"}, "enrich cannot be 'always'", "auto, suggest, off"),
        ({"purpose": "meme"}, "purpose cannot be 'meme'", "texture_pattern, poster_text"),
        ({"art_style": 5}, "art_style must be text", "'5'"),
        ({"art_style": 'a "quoted" style'}, "art_style must be a short phrase", "no quotes"),
        ({"composition": "close-up\n--ar 16:9"}, "composition must be a short phrase", "flags"),
        ({"lighting": "x" * 121}, "lighting must be a short phrase", "At most 120 characters"),
        ({"style": "vivid"}, "generate_image has no argument 'style'", ARGUMENTS),
        ({MEGABYTE: "x"}, "generate_image has no argument 'xxx", ARGUMENTS),
        ({"\ud800": "x"}, "generate_image has no argument ''", ARGUMENTS),
    ],
    ids=short,
)
async def test_invalid_argument_is_refused_unsent_with_the_valid_values(
    catalog: Catalog, wrong: Mapping[str, object], says: str, names: str
) -> None:
    text = (await refused(catalog, {**GOOD, **wrong})).to_text()
    assert says in text
    assert names in text


@pytest.mark.parametrize("size", ["3x3", "huge", 7])
def test_unknown_size_is_refused_with_the_sizes_of_the_requested_model(catalog: Catalog, size: object) -> None:
    schema = next(each for each in tool_schemas(catalog) if each.name == "generate_image")
    with pytest.raises(InvalidRequestError) as caught:
        check_arguments(schema, {"prompt": "a cat", "model": "dall-e-2", "size": size})
    assert list(caught.value.valid_values) == ["256x256", "512x512", "1024x1024"]


@pytest.mark.anyio
async def test_empty_call_is_refused_with_the_required_arguments(catalog: Catalog) -> None:
    error = await refused(catalog, {})
    assert error.message == (f"prompt and model must not be missing or empty. Choices for model: {MODELS}.")
    assert error.valid_values == tuple(MODELS.split(", "))


@pytest.mark.anyio
@pytest.mark.parametrize("model", ["vendor-5/landscape-painter-104", "VENDOR-5/Landscape-Painter-104-TURB"])
async def test_unknown_model_error_names_the_closest_of_200_models(large_catalog: Catalog, model: str) -> None:
    error = await refused(large_catalog, {"prompt": "a cat", "model": model})
    assert isinstance(error, UnknownModelError)
    assert "vendor-5/landscape-painter-104-turbo" in error.message
    assert "(the closest of 200)" in error.message


@pytest.mark.anyio
@pytest.mark.parametrize("size", ["1104x1000", "1104x"])
async def test_size_error_names_only_the_models_own_sizes(large_catalog: Catalog, size: str) -> None:
    error = await refused(large_catalog, {"prompt": "a cat", "model": next(iter(large_catalog.models)), "size": size})
    assert error.message.endswith(f"has no size '{size}'. Its sizes: 1000x1000.")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"model": "x" * 1000},
        {"model": "🦊" * 1000},
        {"model": 5},
        {"size": "🦊" * 1000},
        {"size": ["🦊" * 1000]},
        {"size": "1000x1000"},
        {"n": "🦊" * 1000},
        {"🦊" * 1000: "x"},
    ],
    ids=short,
)
async def test_a_refusal_stays_short_in_a_catalogue_of_200_models(
    large_catalog: Catalog, wrong: Mapping[str, object]
) -> None:
    last = list(large_catalog.models)[-1]
    arguments: dict[str, object] = {"prompt": "a cat", "model": last, **wrong} if wrong else {}
    assert isinstance(await refused(large_catalog, arguments), InvalidRequestError)


@pytest.mark.anyio
async def test_arguments_at_their_limits_reach_the_gateway_unchanged(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    arguments = {"prompt": "🦊" * 4_000, "model": "dall-e-3", "size": "1792x1024", "quality": "hd", "n": 10}

    checked = check_arguments(tool(catalog, "generate_image"), arguments)
    await ImageToolset(catalog, gateway).generate_image(**checked)

    assert [request.body() for request in gateway.requests] == [arguments]


@pytest.mark.parametrize("n", [3, "3", " 3 ", "+3", 3.0])
def test_whole_number_in_any_spelling_becomes_an_integer(catalog: Catalog, n: object) -> None:
    checked = check_arguments(tool(catalog, "generate_image"), GOOD | {"n": n})
    assert checked == GOOD | {"n": 3}
    assert type(checked["n"]) is int


@pytest.mark.parametrize("price", ["0.05", " 0.05 ", 0.05])
def test_a_number_in_quotes_becomes_a_number(catalog: Catalog, price: object) -> None:
    assert check_arguments(tool(catalog, "list_models"), {"max_price_usd": price}) == {"max_price_usd": 0.05}


@pytest.mark.parametrize("unset", [None, ""])
def test_null_and_empty_text_count_as_not_set(catalog: Catalog, unset: object) -> None:
    generate_image, list_models = tool(catalog, "generate_image"), tool(catalog, "list_models")
    assert check_arguments(generate_image, GOOD | {"size": unset, "quality": unset, "n": unset}) == GOOD
    assert check_arguments(list_models, {"use_case": unset, "max_price_usd": unset}) == {}


@pytest.mark.parametrize("unset", [None, ""])
def test_unset_model_is_accepted_with_a_default_model(catalog: Catalog, unset: object) -> None:
    generate_image = tool(catalog, "generate_image", "dall-e-2")
    assert check_arguments(generate_image, {"prompt": "a cat", "model": unset}) == {"prompt": "a cat"}


def test_checking_does_not_modify_the_given_arguments(catalog: Catalog) -> None:
    given: dict[str, Any] = {"prompt": "a cat", "model": "dall-e-3", "n": "3", "size": None}
    check_arguments(tool(catalog, "generate_image"), given)
    assert given == {"prompt": "a cat", "model": "dall-e-3", "n": "3", "size": None}


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("list_models", {"max_price_usd": -1}, "max_price_usd must be a number of at least 0, not '-1'."),
        ("list_models", {"max_price_usd": "-0.5"}, "max_price_usd must be a number of at least 0, not '-0.5'."),
        (
            "list_models",
            {"use_case": "logos"},
            f"use_case cannot be 'logos'. Choices: {USE_CASES}.",
        ),
        ("list_models", {"model": "x"}, "list_models has no argument 'model'. Its arguments: use_case, max_price_usd."),
        ("estimate_cost", {"model": "x"}, f"There is no model 'x'. Models: {OFFERS}."),
        (
            "estimate_cost",
            {"art_style": "watercolor"},
            f"estimate_cost has no argument 'art_style'. {DRY_RUN_ARGUMENTS}",
        ),
    ],
)
def test_free_tools_refuse_invalid_arguments_with_the_valid_ones(
    catalog: Catalog, name: str, wrong: Mapping[str, object], message: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_arguments(tool(catalog, name), wrong)
    assert caught.value.message == message
    assert caught.value.charged == "no"


@pytest.mark.parametrize("price", ["cheap", "1e3", "1_0", "inf", True, [1], {}])
def test_non_numeric_price_is_refused(catalog: Catalog, price: object) -> None:
    with pytest.raises(InvalidRequestError, match="max_price_usd must be a number"):
        check_arguments(tool(catalog, "list_models"), {"max_price_usd": price})


LIVE = pytest.mark.parametrize(
    ("given", "meant"),
    [
        *((yes, {"live": True}) for yes in (True, "true", "Yes")),
        *((no, {"live": False}) for no in (False, " False ", "no")),
        *((unset, {}) for unset in ("", None, "null", "undefined")),
    ],
)


@LIVE
def test_boolean_is_accepted_as_a_word(catalog: Catalog, given: object, meant: Mapping[str, object]) -> None:
    live = next(each for each in tool_schemas(catalog, live=True) if each.name == "estimate_cost")
    assert check_arguments(live, {"live": given}) == meant


@pytest.mark.parametrize("given", ["y", 1, 0.0, "1"])
def test_non_boolean_value_is_refused(catalog: Catalog, given: object) -> None:
    live = next(each for each in tool_schemas(catalog, live=True) if each.name == "estimate_cost")
    with pytest.raises(InvalidRequestError, match="live must be true or false"):
        check_arguments(live, {"live": given})


def test_live_argument_is_refused_without_free_quotes(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError, match="no argument 'live'"):
        check_arguments(tool(catalog, "estimate_cost"), {"live": True})


@pytest.mark.parametrize("name", ["generate_image", "estimate_cost"])
@pytest.mark.parametrize("asked", ["nano-banana", "google/nano-banana"])
@pytest.mark.parametrize("listed", ["nano-banana", "google/nano-banana"])
def test_model_is_accepted_by_either_form_of_its_id(catalog: Catalog, name: str, asked: str, listed: str) -> None:
    both = joined(catalog, image(listed))
    checked = check_arguments(tool(both, name), {"prompt": "a cat", "model": asked})
    assert checked["model"] == "nano-banana"


def test_any_means_all_models_even_if_a_model_is_named_any(catalog: Catalog) -> None:
    both = joined(catalog, image("foo/any", 0.01), image("flux"))
    assert check_arguments(tool(both, "estimate_cost"), {"model": "any"}) == {"model": "any"}


@pytest.mark.anyio
@pytest.mark.parametrize("count", [2, 60])
@pytest.mark.parametrize("asked", ["dall-e-3", "openai/dall-e-3"])
async def test_retired_model_is_refused_before_the_gateway(catalog: Catalog, count: int, asked: str) -> None:
    both = joined(catalog, image("openai/dall-e-4", 0.04), *many(count))
    error = await refused(both, {"prompt": "a cat", "model": asked})
    assert isinstance(error, UnknownModelError)
    assert "is not among the models that pictures.example lists (seen 2025-11-25T00:00:00Z)" in error.message
    assert "openai/dall-e-4 (from $0.042)" in error.message


@pytest.mark.anyio
@pytest.mark.parametrize("size", ["big", "7", "0x5", "7x7x7", "٧x٧"])
async def test_size_must_be_well_formed_for_a_model_without_listed_sizes(catalog: Catalog, size: str) -> None:
    error = await refused(joined(catalog, image("flux")), {"prompt": "a cat", "model": "flux", "size": size})
    assert error.message == f"size must be WIDTHxHEIGHT in pixels, such as 1024x1024, not '{size}'."


@pytest.mark.anyio
@pytest.mark.parametrize("model", [5, ["flux"], True])
async def test_model_must_be_text_in_a_large_catalogue(catalog: Catalog, model: object) -> None:
    error = await refused(joined(catalog, *many(60)), {"prompt": "a cat", "model": model})
    assert error.message.startswith("model must be text, not ")


@pytest.mark.anyio
async def test_missing_model_error_names_no_models_in_a_large_catalogue(catalog: Catalog) -> None:
    error = await refused(joined(catalog, *many(60)), {"prompt": "a cat"})
    assert error.message == "model must not be missing or empty."


@pytest.mark.parametrize("path", [".", "..", "../", "../..", "/", ".\\"])
def test_path_without_a_name_is_no_word_for_nothing(catalog: Catalog, path: str) -> None:
    (tool,) = [each for each in tool_schemas(catalog) if each.name == "generate_image"]
    assert check_arguments(tool, {"prompt": "a fox", "model": "dall-e-3", "save_as": path})["save_as"] == path
