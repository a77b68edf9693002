import json
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image.catalog import Catalog
from blockrun_image.errors import SpecError
from blockrun_image.spec import Spec
from blockrun_image.toolset import ImageToolset

Step = str | int

PATH = "/images/generations"
RESPONSES = ("paths", PATH, "post", "responses")
REQUEST = ("components", "schemas", "ImageGenerationRequest", "properties")
IMAGE = ("components", "schemas", "Image", "properties")


@pytest.fixture
def document() -> dict[str, Any]:
    return json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))


@pytest.fixture
def written(tmp_path: Path) -> Callable[[object], Path]:
    """Return what writes a document into a file called `broken.json`."""

    def write(document: object) -> Path:
        path = tmp_path / "broken.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


def at(document: Any, *steps: Step) -> Any:
    return reduce(lambda node, step: node[step], steps, document)


def refusal(path: Path) -> str:
    """Return what is said of the file at `path`, which is SPEC in it."""
    with pytest.raises(SpecError) as caught:
        Catalog.load(path)
    assert str(path) in caught.value.message
    assert caught.value.charged == "no"
    return caught.value.message.replace(str(path), "SPEC")


def test_built_in_description_is_a_valid_openapi_3_1_document(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document, cls=OpenAPIV31SpecValidator)


@pytest.mark.parametrize(
    "place",
    [
        ("paths", PATH, "post", "requestBody"),
        (*RESPONSES, "200"),
        ("components", "responses", "InvalidRequest"),
        ("components", "responses", "PaymentRequired"),
        ("components", "responses", "ContentPolicyViolation"),
        ("components", "responses", "RateLimitExceeded"),
        ("components", "responses", "ServerError"),
    ],
    ids=lambda place: place[-1],
)
def test_example_of_the_description_matches_its_schema(document: dict[str, Any], place: tuple[str, ...]) -> None:
    content = at(document, *place, "content", "application/json")
    validator: Any = Draft202012Validator(content["schema"] | {"components": document["components"]})
    validator.validate(content["example"])


def test_every_example_of_the_description_is_tested(document: dict[str, Any]) -> None:
    assert json.dumps(document).count('"example": ') == 7


def test_published_prices_lie_within_the_list_price_range_with_margin() -> None:
    catalog = Catalog.load()
    factor = 1 + catalog.spec.margin
    mill = Decimal("0.001")
    for model in catalog:
        listed = model.list_price_usd
        if listed is None or listed.high is None:
            continue
        low, high = ((end * factor).quantize(mill, ROUND_HALF_UP) for end in (listed.low, listed.high))
        assert [price for price in model.prices if not low <= price.usd <= high] == []
        assert model.prices


def test_description_gives_the_api_location_and_price_additions() -> None:
    spec = Spec.load()
    assert (spec.base_url, spec.generations_path) == ("https://blockrun.ai/api/v1", PATH)
    assert (spec.margin, spec.currency) == (Decimal("0.05"), "USD")
    assert spec.image.url.description == "URL to generated image"
    assert list(spec.request_schema["properties"]) == ["model", "prompt", "size", "quality", "n"]
    assert spec.source == "the built-in openapi.json"


def test_description_covers_every_error_status_with_an_example() -> None:
    errors = Spec.load().errors
    assert {status: error.example["error"]["code"] for status, error in errors.items()} == {
        400: "invalid_request",
        402: "insufficient_balance",
        403: "content_policy_violation",
        429: "rate_limit_exceeded",
        500: "server_error",
    }
    assert errors[402].description == "Payment required (insufficient balance)"


def test_error_may_be_described_inline_instead_of_by_reference(
    document: dict[str, Any], written: Callable[[object], Path]
) -> None:
    body = {"description": "Gone", "content": {"application/json": {"example": {"error": {"message": "Gone"}}}}}
    at(document, *RESPONSES)["410"] = body
    error = Spec.load(written(document)).errors[410]
    assert (error.description, error.example) == ("Gone", {"error": {"message": "Gone"}})


@pytest.mark.parametrize("status", ["default", "5XX", "202"])
def test_response_without_an_error_status_is_ignored(
    document: dict[str, Any], written: Callable[[object], Path], status: str
) -> None:
    at(document, *RESPONSES)[status] = {"$ref": "#/components/responses/ServerError"}
    assert sorted(Spec.load(written(document)).errors) == [400, 402, 403, 429, 500]


def test_margin_may_be_written_as_a_number_or_in_quotes(
    document: dict[str, Any], written: Callable[[object], Path]
) -> None:
    document["x-pricing"]["margin"] = 0.05
    toolset = ImageToolset(Catalog.load(written(document)))
    assert toolset.estimate_cost("dall-e-2", "256x256").estimates[0].price_text() == "$0.021-0.042"


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "absent.json")


def test_a_folder_is_not_a_description(tmp_path: Path) -> None:
    assert "Cannot read" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"openapi: 3.1.0", b'{"openapi": ', b"\xff\xfe\x00", b"[" * 100_000])
def test_content_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    assert refusal(path).startswith("Cannot read SPEC: ")


@pytest.mark.parametrize("document", [[], "openapi", 3, None])
def test_json_that_is_not_an_object_is_refused(document: object, written: Callable[[object], Path]) -> None:
    assert refusal(written(document)).startswith("SPEC: the document: ")


@pytest.mark.parametrize(
    "steps",
    [
        ("x-models",),
        ("x-pricing",),
        ("x-pricing", "margin"),
        ("x-pricing", "currency"),
        ("servers",),
        ("servers", 0, "url"),
        ("paths", PATH, "post"),
        RESPONSES,
        ("components",),
        ("components", "schemas", "ImageGenerationRequest"),
        ("components", "schemas", "Image"),
        ("components", "responses", "ServerError", "description"),
        ("components", "responses", "ServerError", "content", "application/json", "example"),
        (*REQUEST, "prompt"),
        (*REQUEST, "prompt", "description"),
        (*REQUEST, "model", "description"),
        (*REQUEST, "size"),
        (*REQUEST, "size", "default"),
        (*REQUEST, "size", "description"),
        (*REQUEST, "quality", "enum"),
        (*REQUEST, "n", "minimum"),
        (*REQUEST, "n", "maximum"),
        (*REQUEST, "n", "default"),
        (*REQUEST, "n", "description"),
        (*IMAGE, "url", "description"),
        (*IMAGE, "revised_prompt"),
    ],
    ids=lambda steps: ".".join(str(step) for step in steps),
)
def test_missing_required_part_is_named(
    document: dict[str, Any], written: Callable[[object], Path], steps: tuple[Step, ...]
) -> None:
    *above, last = steps
    del at(document, *above)[last]
    assert refusal(written(document)) == f"SPEC: {'.'.join(map(str, steps))}: is missing"


def test_dangling_reference_is_refused(document: dict[str, Any], written: Callable[[object], Path]) -> None:
    del document["components"]["responses"]["ServerError"]
    assert "#/components/responses/ServerError leads nowhere" in refusal(written(document))


@pytest.mark.parametrize(
    ("steps", "value"),
    [
        (("x-models",), {}),
        (("x-models",), ["dall-e-3"]),
        (("x-models",), "dall-e-3"),
        (("x-models",), None),
        (("x-models", "flux"), None),
        (("x-models", "flux"), "black forest"),
        (("x-models", "flux"), 3),
        (("paths",), {}),
        (("servers",), []),
        (("x-pricing", "margin"), "a lot"),
        (("x-pricing", "margin"), "NaN"),
        (("x-pricing", "margin"), "Infinity"),
        (("x-pricing", "margin"), "-2"),
        ((*REQUEST, "size", "default"), "big"),
        ((*REQUEST, "quality", "enum"), []),
        ((*REQUEST, "n", "maximum"), "many"),
        ((*REQUEST, "n"), {"description": "x", "minimum": 1, "maximum": 10, "default": 50}),
        ((*REQUEST, "n"), {"description": "x", "minimum": 5, "maximum": 4, "default": 5}),
        ((*REQUEST, "prompt", "description"), ""),
    ],
)
def test_malformed_part_is_refused_with_its_place(
    document: dict[str, Any], written: Callable[[object], Path], steps: tuple[Step, ...], value: object
) -> None:
    *above, last = steps
    at(document, *above)[last] = value
    assert refusal(written(document)).startswith(f"SPEC: {'.'.join(map(str, steps))}: ")


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({"colour": "blue"}, "colour", "is not a known key"),
        ({"sizes": ["1024x1024", "big"]}, "sizes.1", "must be WIDTHxHEIGHT, such as 1024x1024, not 'big'"),
        ({"sizes": ["0x1024"]}, "sizes.0", "must be WIDTHxHEIGHT"),
        ({"qualities": ["High Definition"]}, "qualities.0", "must be a word of small letters"),
        ({"prices": [{"size": "512x512", "usd": "0.05"}]}, "", "prices: 512x512 is not offered"),
        ({"prices": [{"size": "1024x1024", "quality": "hd", "usd": "1"}]}, "", "prices: 1024x1024 hd is not offered"),
        ({"prices": [{"size": "1024x1024", "usd": "free"}]}, "prices.0.usd", "must be a number, not 'free'"),
        ({"prices": [{"size": "1024x1024", "usd": "-0.01"}]}, "prices.0.usd", "greater than or equal to 0"),
        ({"list_price_usd": {"low": "0.06", "high": "0.05"}}, "", "list_price_usd: low is above high"),
        ({"list_price_usd": {"low": "0", "high": "Infinity"}}, "list_price_usd.high", "finite"),
        ({"list_price_usd": {"high": "0.05"}}, "list_price_usd.low", "is missing"),
        ({"provider": "two\nlines"}, "provider", "must be one line"),
        ({"max_images": 11}, "max_images", "no request may ask for more than 10"),
        ({"max_images": 0}, "max_images", "greater than or equal to 1"),
        ({"max_prompt_characters": "long"}, "max_prompt_characters", "must be a number, not 'long'"),
        ({"requests_per_minute": 0}, "requests_per_minute", "greater than or equal to 1"),
    ],
    ids=lambda case: json.dumps(case) if isinstance(case, dict) else None,
)
def test_invalid_model_is_refused_with_its_place(
    document: dict[str, Any], written: Callable[[object], Path], change: dict[str, object], place: str, words: str
) -> None:
    document["x-models"]["nano-banana"].update(change)
    message = refusal(written(document))
    assert message.startswith(f"SPEC: x-models.nano-banana{place and '.' + place}: ")
    assert words in message


def test_invalid_model_id_is_refused(document: dict[str, Any], written: Callable[[object], Path]) -> None:
    document["x-models"]["my\u202emodel"] = document["x-models"]["nano-banana"]
    assert refusal(written(document)).startswith("SPEC: x-models.my model.id: must be of another form")


def test_custom_description_replaces_the_built_in_one(
    document: dict[str, Any], written: Callable[[object], Path]
) -> None:
    document["x-pricing"]["margin"] = "0.5"
    path = written(document)

    catalog = Catalog.load(path)

    assert catalog.spec.source == str(path)
    wanted = ImageToolset(catalog).estimate_cost("dall-e-2", "256x256").estimates[0]
    assert (wanted.low_usd, wanted.high_usd) == (Decimal("0.03"), Decimal("0.06"))
    assert "50 % margin" in wanted.basis


CATALOGUE = {
    "x-pricing": {"currency": "USD", "margin": "0"},
    "x-models": {
        "fox-painter": {
            "provider": "Foxes",
            "sizes": ["640x480"],
            "list_price_usd": {"low": "0.01", "high": "0.03"},
            "max_images": 2,
            "max_prompt_characters": 500,
        }
    },
}


def test_keys_of_a_catalogue_replace_the_built_in_ones(
    document: dict[str, Any], written: Callable[[object], Path]
) -> None:
    path = written(CATALOGUE)
    catalog = Catalog.load(path)
    assert list(catalog.models) == ["fox-painter"]
    (estimate,) = ImageToolset(catalog).estimate_cost("fox-painter", n=2).estimates
    assert (estimate.low_usd, estimate.high_usd) == (Decimal("0.02"), Decimal("0.06"))
    assert catalog.spec.source == str(path)
    assert catalog.spec.document == {**document, **CATALOGUE}
    assert catalog.spec.base_url == Spec.load().base_url


def test_catalogue_may_set_the_api_location_and_keep_the_models(
    written: Callable[[object], Path],
) -> None:
    spec = Spec.load(written({"servers": [{"url": "https://images.example/v1"}]}))
    assert spec.base_url == "https://images.example/v1"
    assert list(spec.models) == list(Spec.load().models)


@pytest.mark.parametrize(
    ("catalogue", "place"),
    [
        ({}, "the document"),
        ({"models": {}}, "models (is x-models meant?)"),
        ({**CATALOGUE, "x-price": {}}, "x-price"),
        ({**CATALOGUE, "x-pricing": {"margin": "0"}}, "x-pricing.currency"),
        ({"x-models": {"fox-painter": {"provider": ""}}}, "x-models.fox-painter.provider"),
        ({"components": {}}, "components.schemas"),
    ],
    ids=lambda case: case if isinstance(case, str) else None,
)
def test_unknown_key_of_a_catalogue_is_refused_with_its_place(
    written: Callable[[object], Path], catalogue: object, place: str
) -> None:
    assert refusal(written(catalogue)).startswith(f"SPEC: {place}: ")


def test_unknown_key_of_a_catalogue_is_refused_with_the_valid_keys(written: Callable[[object], Path]) -> None:
    assert refusal(written({"models": {}})).endswith(
        "openapi, info, x-sources, servers, security, paths, components, x-pricing, x-aliases, x-edits, x-models"
    )


@pytest.mark.parametrize(
    "response",
    [
        {"$ref": "#/components/responses/Nothing"},
        {"$ref": "other.json#/x"},
        {"description": "Gone"},
        {"description": "Gone", "content": {"application/json": {}}},
    ],
)
def test_error_status_without_description_and_example_is_refused(
    document: dict[str, Any], written: Callable[[object], Path], response: object
) -> None:
    at(document, *RESPONSES)["400"] = response
    assert "cannot be used: " in refusal(written(document))


@pytest.mark.parametrize("use_case", ["!!", "Any"])
def test_unusable_use_case_is_refused(
    document: dict[str, Any], written: Callable[[object], Path], use_case: str
) -> None:
    at(document, "x-models", "dall-e-3")["recommended_for"] = [{"use_case": use_case}]
    assert "x-models.dall-e-3.recommended_for.0" in refusal(written(document))


def test_model_cannot_be_named_any(document: dict[str, Any], written: Callable[[object], Path]) -> None:
    document["x-models"]["any"] = document["x-models"]["nano-banana"]
    assert "any stands for all models" in refusal(written(document))


def test_price_that_no_request_can_match_is_refused(
    document: dict[str, Any], written: Callable[[object], Path]
) -> None:
    del at(document, "x-models", "dall-e-2", "prices", 0)["quality"]
    assert "is not offered" in refusal(written(document))
