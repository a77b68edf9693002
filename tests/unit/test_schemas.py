import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.listings import image, joined, many
from tests.support.portable import not_plain_output, not_portable, validator
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image.catalog import Catalog
from blockrun_image.editing import with_editing
from blockrun_image.enrichment import enrich
from blockrun_image.errors import (
    Answer,
    AuthenticationError,
    ConfigurationError,
    ContentPolicyError,
    GatewayError,
    GatewayUnavailableError,
    ImageError,
    InvalidRequestError,
    OutcomeUnknownError,
    PaymentRequiredError,
    RateLimitError,
    SpecError,
    StorageError,
    UnknownModelError,
)
from blockrun_image.images import Defaults, Image, ImageArguments
from blockrun_image.model_list import ModelList
from blockrun_image.pricing import estimate
from blockrun_image.results import GeneratedImages, Result
from blockrun_image.schemas import Schema, ToolSchema, tool_schemas
from blockrun_image.toolset import ImageToolset

FLUX: dict[str, Any] = {
    "provider": "Black Forest Labs",
    "sizes": ["1440x810", "768x768"],
    "list_price_usd": {"low": "0.04", "high": "0.06"},
    "max_images": 7,
    "max_prompt_characters": 2000,
    "recommended_for": [{"use_case": "Wide & large pictures"}],
}
TOOLS = ["generate_image", "list_models", "estimate_cost"]

Changed = Callable[[Callable[[dict[str, Any]], object]], Catalog]


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """Return what reads a copy of the built-in description after a change to its models."""

    def load(change: Callable[[dict[str, Any]], object]) -> Catalog:
        packaged = CONTRACT_FILE
        document = json.loads(packaged.read_text(encoding="utf-8"))
        change(document["x-models"])
        path = tmp_path / "openapi.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return Catalog.load(path)

    return load


@pytest.fixture(params=["built-in", "with an added model"])
def each_catalog(request: pytest.FixtureRequest, catalog: Catalog, changed: Changed) -> Catalog:
    return catalog if request.param == "built-in" else changed(lambda models: models.update(flux=FLUX))


def tool(catalog: Catalog, name: str, default_model: str | None = None) -> ToolSchema:
    return next(each for each in tool_schemas(catalog, Defaults(default_model)) if each.name == name)


@pytest.mark.parametrize("default_model", [None, "nano-banana"])
@pytest.mark.parametrize("name", TOOLS)
def test_input_schema_is_portable_to_every_host(each_catalog: Catalog, name: str, default_model: str | None) -> None:
    assert list(not_portable(tool(each_catalog, name, default_model).input)) == []


@pytest.mark.parametrize(
    "described",
    [
        {"type": "string"},
        {"type": ["string", "null"], "description": "Text"},
        {"type": "string", "description": "Text", "default": "x"},
        {"type": "string", "description": "Text", "enum": ["x", ""]},
        {"type": "integer", "description": "Number", "enum": [1]},
        {"type": "array", "description": "List"},
        {"anyOf": [{"type": "string"}], "description": "Text"},
    ],
)
def test_non_portable_schema_is_detected(described: Schema) -> None:
    assert list(not_portable({"type": "object", "properties": {"a": described}}))


def test_three_tools_exist_and_one_of_them_spends(catalog: Catalog) -> None:
    assert [(each.name, each.title, each.spends) for each in tool_schemas(catalog)] == [
        ("generate_image", "Generate image (costs money)", True),
        ("list_models", "List image models (free)", False),
        ("estimate_cost", "Estimate image cost (free)", False),
    ]


def test_choices_and_limits_are_those_of_the_catalogue(catalog: Catalog) -> None:
    arguments = tool(catalog, "generate_image").properties
    assert arguments["model"]["enum"] == ["dall-e-3", "dall-e-2", "nano-banana", "nano-banana-pro"]
    assert arguments["size"]["enum"] == [
        *("auto", "square", "wide", "tall"),
        *("256x256", "512x512", "1024x1024", "1024x1792", "1792x1024"),
    ]
    assert arguments["quality"]["enum"] == ["standard", "hd"]
    assert (arguments["n"]["minimum"], arguments["n"]["maximum"]) == (1, 10)


def test_every_optional_choice_has_a_value_for_its_default(catalog: Catalog) -> None:
    estimate_cost, list_models = tool(catalog, "estimate_cost"), tool(catalog, "list_models")
    assert (estimate_cost.required, list_models.required) == ([], [])
    assert estimate_cost.properties["model"]["enum"][0] == "any"
    assert estimate_cost.properties["size"]["enum"][0] == "auto"
    assert list_models.properties["use_case"]["enum"] == [
        "any",
        "highest_quality",
        "multiple_variations",
        "fast_and_cheap",
        "professional_quality",
    ]
    assert list_models.properties["max_price_usd"]["minimum"] == 0


def test_model_is_required_and_has_no_default(catalog: Catalog) -> None:
    generate_image = tool(catalog, "generate_image")
    assert generate_image.input["required"] == ["prompt", "model"]
    assert "Default" not in generate_image.properties["model"]["description"]


def test_default_model_makes_the_model_optional_and_is_named(catalog: Catalog) -> None:
    generate_image = tool(catalog, "generate_image", "nano-banana")
    assert generate_image.input["required"] == ["prompt"]
    assert generate_image.properties["model"]["description"].endswith(". Default nano-banana.")


@pytest.mark.parametrize("name", ["generate_image", "estimate_cost"])
@pytest.mark.parametrize("mode", ["auto", "suggest", "off"])
def test_operators_default_enrichment_is_named(catalog: Catalog, name: str, mode: str) -> None:
    schema = next(each for each in tool_schemas(catalog, Defaults(enrich=mode)) if each.name == name)
    assert schema.properties["enrich"]["description"].endswith(f"Default {mode}.")


def test_added_model_is_in_every_schema_with_models_sizes_and_uses(changed: Changed) -> None:
    catalog = changed(lambda models: models.update(flux=FLUX))
    for name in ("generate_image", "estimate_cost"):
        arguments = tool(catalog, name).properties
        assert arguments["model"]["enum"][-1] == "flux"
        assert {"1440x810", "768x768"} < set(arguments["size"]["enum"])
        assert arguments["n"]["maximum"] == 10
    assert tool(catalog, "list_models").properties["use_case"]["enum"][-1] == "wide_and_large_pictures"


def test_qualities_of_an_added_model_can_be_chosen(changed: Changed) -> None:
    catalog = changed(lambda models: models.update(flux=FLUX | {"qualities": ["standard", "fine"]}))
    quality = tool(catalog, "generate_image").properties["quality"]
    assert quality["enum"] == ["standard", "hd", "fine"]
    assert quality["description"] == "Default standard; others only for dall-e-3, dall-e-2, flux."


def test_many_models_with_qualities_are_not_listed_individually(changed: Changed) -> None:
    many = {f"flux-{number}": FLUX | {"qualities": ["standard", "hd"]} for number in range(3)}
    catalog = changed(lambda models: models.update(many))
    assert tool(catalog, "generate_image").properties["quality"]["description"] == "Default standard."


def test_quality_description_names_no_models_without_qualities(changed: Changed) -> None:
    catalog = changed(lambda models: [models.pop(id) for id in ("dall-e-3", "dall-e-2")])
    assert tool(catalog, "generate_image").properties["quality"] == {
        "type": "string",
        "description": "Default standard.",
        "enum": ["standard"],
    }


@pytest.mark.parametrize(("name", "words"), [("generate_image", 60), ("list_models", 15), ("estimate_cost", 15)])
def test_a_tools_description_is_short(catalog: Catalog, name: str, words: int) -> None:
    assert 5 <= len(tool(catalog, name).description.split()) <= words


@pytest.mark.parametrize("default_model", [None, "nano-banana-pro"])
@pytest.mark.parametrize("name", TOOLS)
def test_an_arguments_description_is_at_most_12_words(
    each_catalog: Catalog, name: str, default_model: str | None
) -> None:
    described = tool(each_catalog, name, default_model).properties
    assert {name: schema["description"] for name, schema in described.items() if len(words(schema)) > 12} == {}


def words(schema: Schema) -> Sequence[str]:
    return str(schema["description"]).split()


@pytest.mark.filterwarnings("ignore:open_binary is deprecated:DeprecationWarning")  # in the tokenizer
@pytest.mark.parametrize("default_model", [None, "dall-e-3", "nano-banana-pro"])
def test_tools_take_few_tokens(catalog: Catalog, default_model: str | None) -> None:
    assert 100 < tokens_of(tool_schemas(catalog, Defaults(default_model))) <= 830
    assert 100 < tokens_of(tool_schemas(catalog, Defaults(default_model))[:1]) <= 460


def tokens_of(schemas: Sequence[ToolSchema]) -> int:
    """Return the tokens of some tools, as they are listed."""
    import bpe_openai  # pyright: ignore[reportMissingTypeStubs]

    listed = [{"name": each.name, "description": each.description, "input_schema": each.input} for each in schemas]
    return len(bpe_openai.get_encoding("o200k_base").encode(json.dumps(listed, separators=(",", ":"))))


EDITORS = (
    *("google/nano-banana", "google/nano-banana-2", "google/nano-banana-pro"),
    *("openai/gpt-image-1", "openai/gpt-image-2"),
)


@pytest.mark.filterwarnings("ignore:open_binary is deprecated:DeprecationWarning")  # in the tokenizer
@pytest.mark.parametrize("listed", [(), EDITORS, (*EDITORS, "zai/cogview-4", "xai/grok-imagine-image")])
def test_tools_that_start_from_pictures_take_few_tokens_more(catalog: Catalog, listed: Sequence[str]) -> None:
    with_list = joined(catalog, *(image(id, supportedSizes=["1024x1024"]) for id in listed)) if listed else catalog
    assert 100 < tokens_of(tool_schemas(with_editing(with_list, catalog.spec.edits))) <= 950


@pytest.mark.parametrize("words", ["costs real money", "repeat it unchanged"])
def test_first_160_characters_of_generate_image_warn_of_the_cost(catalog: Catalog, words: str) -> None:
    assert words in tool(catalog, "generate_image").description[:160].lower()


ERRORS: list[ImageError] = [
    ImageError("It went wrong."),
    InvalidRequestError("It went wrong.", hint="Ask again.", valid_values=["a", "b"]),
    UnknownModelError("It went wrong.", valid_values=["a"]),
    SpecError("It went wrong."),
    ConfigurationError("It went wrong.", hint="Set it."),
    StorageError("It went wrong."),
    GatewayError("It went wrong.", answer=Answer(status=404, code="not_found", request_id="req_1")),
    AuthenticationError("It went wrong."),
    PaymentRequiredError("It went wrong."),
    ContentPolicyError("It went wrong."),
    RateLimitError("It went wrong.", answer=Answer(status=429, retry_after_seconds=1.5)),
    GatewayUnavailableError("It went wrong."),
    OutcomeUnknownError("It went wrong.", charged="yes"),
]


def generated(catalog: Catalog, model: str, charged_usd: Decimal | None, revised_prompt: str | None) -> GeneratedImages:
    request = catalog.resolve(ImageArguments("a cat", model, ""))
    image = Image("https://pictures.example/1.png", revised_prompt=revised_prompt)
    priced = estimate(catalog, request)
    prompt = enrich(request.prompt, model=model)
    return GeneratedImages(request, prompt, [image], priced, charged_usd, "pictures.example", ["Take care."])


def results(catalog: Catalog) -> Mapping[str, Sequence[Result]]:
    """Return answers of each tool that differ in what is optional."""
    toolset = ImageToolset(catalog)
    return {
        "generate_image": [
            generated(catalog, "dall-e-3", Decimal("0.042"), "a black cat"),
            generated(catalog, "nano-banana", None, None),
        ],
        "list_models": [toolset.list_models(), ModelList(catalog, [])],
        "estimate_cost": [
            toolset.estimate_cost(),
            toolset.estimate_cost("dall-e-2", "256x256"),
            toolset.estimate_cost(prompt="a cat"),
            toolset.estimate_cost("dall-e-3", prompt="a cat at sunset", enrich="suggest"),
        ],
    }


@pytest.mark.parametrize("name", TOOLS)
def test_output_schema_accepts_and_names_everything_in_its_results(each_catalog: Catalog, name: str) -> None:
    holds = validator(tool(each_catalog, name).output)
    for result in results(each_catalog)[name]:
        holds.validate(result.to_dict())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", TOOLS)
def test_output_schema_accepts_every_error(catalog: Catalog, name: str, error: ImageError) -> None:
    validator(tool(catalog, name).output).validate(error.to_dict())


def test_output_schema_rejects_a_float_amount(catalog: Catalog) -> None:
    content: Any = ImageToolset(catalog).estimate_cost("dall-e-3").to_dict()
    content["estimates"][0]["estimated_usd"] = 0.042
    assert not validator(tool(catalog, "estimate_cost").output).is_valid(content)


@pytest.mark.parametrize("name", TOOLS)
def test_output_schema_has_single_types_and_no_requirements_or_references(each_catalog: Catalog, name: str) -> None:
    assert list(not_plain_output(tool(each_catalog, name).output)) == []


def test_output_schemas_take_at_most_3_kilobytes_together(each_catalog: Catalog) -> None:
    written = [json.dumps(each.output, separators=(",", ":")) for each in tool_schemas(each_catalog)]
    assert 1_000 < len("".join(written)) <= 3_000


def test_models_and_sizes_of_a_list_can_be_chosen(catalog: Catalog) -> None:
    both = joined(catalog, image("flux", supportedSizes=["7x7"], supportedQualities=["fine"]), image("dall-e-3"))
    arguments = tool(both, "generate_image").properties
    assert arguments["model"]["enum"] == ["dall-e-3", "flux"]
    assert arguments["size"]["enum"] == ["auto", "square", "wide", "tall", "7x7", "1024x1024", "1024x1792", "1792x1024"]
    assert arguments["quality"]["enum"] == ["standard", "hd", "fine"]
    assert tool(both, "estimate_cost").properties["model"]["enum"] == ["any", "dall-e-3", "flux"]


def test_size_is_any_text_if_a_model_lists_no_sizes(catalog: Catalog) -> None:
    size = tool(joined(catalog, image("flux"), image("dall-e-3")), "generate_image").properties["size"]
    assert set(size) == {"type", "description"}
    assert "WIDTHxHEIGHT" in size["description"]


@pytest.mark.parametrize(("count", "are_choices"), [(8, True), (9, False)])
def test_up_to_8_sizes_are_choices(catalog: Catalog, count: int, are_choices: bool) -> None:
    entries = [image(f"flux-{side}", supportedSizes=[f"{side}x{side}"]) for side in range(1, count + 1)]
    size = tool(joined(catalog, *entries), "generate_image").properties["size"]
    assert ("enum" in size) == are_choices


@pytest.mark.parametrize(("count", "are_choices"), [(7, True), (8, False)])
def test_up_to_8_qualities_are_choices(catalog: Catalog, count: int, are_choices: bool) -> None:
    entries = [image(f"flux-{number}", supportedQualities=[f"q{number}"]) for number in range(count)]
    quality = tool(joined(catalog, *entries), "generate_image").properties["quality"]
    assert ("enum" in quality) == are_choices
    assert quality["description"] == "Default standard."


@pytest.mark.parametrize(("count", "are_choices"), [(40, True), (41, False)])
def test_up_to_40_models_are_choices_and_more_need_a_search(catalog: Catalog, count: int, are_choices: bool) -> None:
    listed = joined(catalog, *many(count), scope="live")
    for name in ("generate_image", "estimate_cost"):
        model = tool(listed, name).properties["model"]
        assert ("enum" in model) == are_choices
        assert ("list_models" in model["description"]) != are_choices
    assert ("search" in tool(listed, "list_models").properties) != are_choices


def test_retired_models_count_towards_the_search_threshold(catalog: Catalog) -> None:
    assert "search" not in tool(joined(catalog, *many(36)), "list_models").properties
    assert "search" in tool(joined(catalog, *many(37)), "list_models").properties
