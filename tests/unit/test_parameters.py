"""What else a model takes, as its entry says: advertised, checked, sent, priced and told."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.fakes import URL, FakeGateway, FakeLedger

from blockrun_image.arguments import check_arguments
from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError, SpecError
from blockrun_image.images import Image, ImageRequest
from blockrun_image.schemas import ToolSchema, tool_schemas
from blockrun_image.toolset import ImageToolset

pytestmark = pytest.mark.anyio

Entry = dict[str, Any]

BACKGROUND: Entry = {"type": "string", "description": "Background", "enum": ["auto", "transparent"], "default": "auto"}
OPAQUE: Entry = {**BACKGROUND, "enum": ["auto", "opaque"]}
SEED: Entry = {"type": "integer", "description": "Seed", "minimum": 0, "maximum": 9}
DETAIL: Entry = {"type": "string", "description": "Detail", "enum": ["low", "high"], "adds_usd": {"high": "0.10"}}
WEIGHT: Entry = {"type": "number", "description": "Weight", "minimum": 0.5, "maximum": 2}
SAFE: Entry = {"type": "boolean", "description": "Check twice", "default": False, "adds_usd": {"true": "0.01"}}


def entry(**parameters: Entry) -> Entry:
    return {
        "provider": "Fox",
        "sizes": ["64x64"],
        "prices": [{"size": "64x64", "usd": "0.02"}],
        "parameters": parameters,
    }


MODELS: Entry = {
    "one": entry(background=BACKGROUND, seed=SEED, detail=DETAIL, safe=SAFE, weight=WEIGHT),
    "two": entry(background=OPAQUE),
    "three": entry(),
}


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Entry], Catalog]:
    """Return a function that loads a catalogue with these models."""

    def load(models: Entry) -> Catalog:
        path = tmp_path / "catalogue.json"
        path.write_text(json.dumps({"x-models": models}))
        return Catalog.load(path)

    return load


@pytest.fixture
def catalog(load: Callable[[Entry], Catalog]) -> Catalog:
    return load(MODELS)


def schema(catalog: Catalog) -> ToolSchema:
    return tool_schemas(catalog)[0]


def checked(catalog: Catalog, **arguments: object) -> Mapping[str, Any]:
    return check_arguments(schema(catalog), {"prompt": "A fox", "model": "one", **arguments})


async def made(catalog: Catalog, **arguments: object) -> tuple[ImageRequest, Any]:
    gateway = FakeGateway(Image(URL))
    result = await ImageToolset(catalog, gateway, ledger=FakeLedger()).generate_image(**checked(catalog, **arguments))
    return gateway.requests[0], result


def test_built_in_models_take_nothing_else() -> None:
    assert not schema(Catalog.load()).parameters


def test_parameter_is_advertised_with_all_that_any_model_takes(catalog: Catalog) -> None:
    properties = schema(catalog).properties
    assert properties["background"] == {
        "type": "string",
        "description": "Background. Only one, two. Default auto.",
        "enum": ["auto", "transparent", "opaque"],
    }
    assert properties["seed"] == {"type": "integer", "description": "Seed. Only one.", "minimum": 0, "maximum": 9}
    assert properties["detail"]["enum"] == ["default", "low", "high"]
    assert properties["safe"] == {"type": "boolean", "description": "Check twice. Only one. Default false."}


async def test_parameters_are_sent_and_told(catalog: Catalog) -> None:
    request, result = await made(catalog, background="transparent", seed="3", weight="1.5", enrich="off")
    assert request.body() == {
        "model": "one",
        "prompt": "A fox",
        "size": "64x64",
        "n": 1,
        "background": "transparent",
        "seed": 3,
        "weight": 1.5,
    }
    assert result.to_dict()["parameters"] == {"background": "transparent", "seed": 3, "weight": 1.5}
    assert "Parameters: background transparent, seed 3, weight 1.5" in result.to_text()


@pytest.mark.parametrize(
    ("arguments", "usd"),
    [({}, "0.02"), ({"detail": "low"}, "0.02"), ({"detail": "high", "n": 2}, "0.24"), ({"safe": True}, "0.03")],
)
async def test_parameter_adds_to_the_price_of_each_image(catalog: Catalog, arguments: Entry, usd: str) -> None:
    _, result = await made(catalog, **arguments)
    assert result.estimate.high_usd == Decimal(usd)


@pytest.mark.parametrize(
    "arguments",
    [{"detail": "default"}, {"background": ""}, {"seed": None}, {"seed": "none"}, {"detail": "Default"}],
)
async def test_parameter_that_is_not_set_is_not_sent(catalog: Catalog, arguments: Entry) -> None:
    request, _ = await made(catalog, **arguments)
    assert request.parameters == ()


@pytest.mark.parametrize(
    ("model", "arguments", "words"),
    [
        ("one", {"background": "opaque"}, "background cannot be 'opaque' for one. It takes auto, transparent."),
        ("two", {"seed": 3}, "two takes no seed."),
        ("three", {"background": "auto"}, "three takes no background."),
        ("one", {"background": "red"}, "background cannot be 'red'. Choices: auto, transparent, opaque."),
        ("one", {"seed": 10}, "seed must be a whole number from 0 to 9, not '10'."),
        ("one", {"seed": 1.5}, "seed must be a whole number"),
        ("one", {"safe": 3}, "safe must be true or false"),
        ("one", {"weight": 3}, "weight must be a number from 0.5 to 2"),
    ],
)
async def test_value_that_a_model_does_not_take_is_refused(
    catalog: Catalog, model: str, arguments: Entry, words: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await made(catalog, model=model, **arguments)
    assert words in caught.value.message


async def test_another_value_is_another_call(catalog: Catalog) -> None:
    ledger = FakeLedger()
    tools = ImageToolset(catalog, FakeGateway(Image(URL)), ledger=ledger)
    for arguments in ({"seed": 1}, {"seed": 2}, {}, {"seed": 1}):
        await tools.generate_image(**checked(catalog, **arguments))
    first, second, none, again = (call.key for call in ledger.calls)
    assert len({first, second, none}) == 3
    assert first == again


def test_request_with_parameters_comes_back_from_its_record() -> None:
    request = ImageRequest("A fox", "one", "64x64", None, 1, parameters=(("safe", True), ("seed", 3)))
    assert ImageRequest.from_record(json.loads(json.dumps(request.to_record()))) == request


@pytest.mark.parametrize(
    ("name", "parameter", "words"),
    [
        ("prompt", BACKGROUND, "this name has a meaning of its own"),
        ("response_format", BACKGROUND, "this name has a meaning of its own"),
        ("Back", BACKGROUND, "must be of another form"),
        ("background", {**BACKGROUND, "default": "red"}, "default is not auto, transparent"),
        ("seed", {**SEED, "default": 10}, "default is not a whole number from 0 to 9"),
        ("seed", {**SEED, "enum": ["1"]}, "enum is for texts only"),
        ("seed", {**SEED, "type": "array"}, "Input should be"),
        ("seed", {**SEED, "format": "int64"}, "is not a known key"),
    ],
)
def test_entry_that_cannot_be_used_is_refused(
    load: Callable[[Entry], Catalog], name: str, parameter: Entry, words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        load({"one": entry(**{name: parameter})})
