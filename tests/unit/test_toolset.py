from typing import Any

import anyio
import pytest
from tests.support.fakes import OTHER_URL, URL, FakeGateway

from blockrun_image.catalog import Catalog
from blockrun_image.errors import (
    ConfigurationError,
    InvalidRequestError,
    OutcomeUnknownError,
    UnknownModelError,
)
from blockrun_image.images import Defaults, Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, OnStatus
from blockrun_image.toolset import ImageToolset


@pytest.mark.anyio
async def test_request_reaches_the_gateway_once_with_its_defaults(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    result = await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3")
    sent = gateway.requests[0].prompt
    assert gateway.requests == [ImageRequest(sent, "dall-e-3", "1024x1024", "standard", 1)]
    assert sent.startswith("a cat. ")
    assert (result.prompt.original, result.prompt.prompt) == ("a cat", sent)
    assert (result.request, result.gateway) == (gateway.requests[0], "pictures.example")


@pytest.mark.anyio
async def test_all_requested_arguments_reach_the_gateway(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL), Image(OTHER_URL))
    await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3", "1792x1024", "hd", 2, enrich="off")
    assert gateway.requests[0].body() == {
        "model": "dall-e-3",
        "prompt": "a cat",
        "size": "1792x1024",
        "quality": "hd",
        "n": 2,
    }


@pytest.mark.anyio
async def test_hd_without_its_own_price_is_sent_and_estimated_as_a_range(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    result = await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-2", quality="hd")
    assert gateway.requests[0].body()["quality"] == "hd"
    assert result.estimate.price_text() == "$0.021-0.042"


@pytest.mark.anyio
async def test_call_reports_what_it_waits_for(catalog: Catalog) -> None:
    told: list[str] = []
    await ImageToolset(catalog, FakeGateway(Image(URL))).generate_image("a cat", "dall-e-3", on_status=told.append)
    assert told == ["waiting for dall-e-3", "drawing"]


@pytest.mark.anyio
async def test_default_model_is_used_if_none_is_named(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    toolset = ImageToolset(catalog, gateway, defaults=Defaults("nano-banana"))
    await toolset.generate_image("a cat")
    await toolset.generate_image("a cat", "dall-e-2")
    assert [request.model for request in gateway.requests] == ["nano-banana", "dall-e-2"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"prompt": "a cat"},
            "There is no model ''. Models: dall-e-3 (from $0.042), dall-e-2",
        ),
        ({"prompt": "a cat", "model": "any"}, "There is no model 'any'."),
        ({"prompt": "a cat", "model": "dall-e-3", "size": "256x256"}, "Its sizes: 1024x1024, 1024x1792, 1792x1024."),
        ({"prompt": "a cat", "model": "nano-banana", "quality": "hd"}, "dall-e-3, dall-e-2 can."),
        ({"prompt": "a cat", "model": "dall-e-3", "n": 0}, "from 1 to 10"),
        ({"prompt": "a cat", "model": "dall-e-3", "n": 11}, "from 1 to 10"),
        ({"prompt": "a cat", "model": "dall-e-3", "n": 2.5}, "from 1 to 10"),
        ({"prompt": "a cat", "model": "dall-e-3", "n": True}, "from 1 to 10"),
        ({"prompt": "", "model": "dall-e-3"}, "The prompt is empty."),
        ({"prompt": "  ", "model": "dall-e-3"}, "The prompt is empty."),
        ({"prompt": "x" * 1001, "model": "dall-e-2"}, "dall-e-2 takes at most 1,000"),
        ({"prompt": "x" * 1_000_000, "model": "nano-banana-pro"}, "nano-banana-pro takes at most 65,536"),
        ({"prompt": "a \udc00 cat", "model": "dall-e-3"}, "lone surrogates"),
    ],
)
async def test_library_refuses_unsupported_arguments_before_the_gateway(
    catalog: Catalog, arguments: dict[str, Any], says: str
) -> None:
    gateway = FakeGateway(Image(URL))
    with pytest.raises(InvalidRequestError) as caught:
        await ImageToolset(catalog, gateway).generate_image(**arguments)
    assert says in caught.value.to_text()
    assert caught.value.charged == "no"
    assert len(caught.value.to_text().encode()) <= 400
    assert gateway.requests == []


@pytest.mark.anyio
async def test_unknown_default_model_is_refused(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    with pytest.raises(UnknownModelError, match="midjourney"):
        await ImageToolset(catalog, gateway, defaults=Defaults("midjourney")).generate_image("a cat")
    assert gateway.requests == []


@pytest.mark.anyio
async def test_no_picture_is_made_without_a_gateway(catalog: Catalog) -> None:
    with pytest.raises(ConfigurationError, match="no gateway") as caught:
        await ImageToolset(catalog).generate_image("a cat", "dall-e-3")
    assert caught.value.charged == "no"


@pytest.mark.anyio
async def test_gateway_error_is_passed_through_unchanged(catalog: Catalog) -> None:
    error = OutcomeUnknownError("It fell silent.")

    class SilentGateway(FakeGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            raise error

    with pytest.raises(OutcomeUnknownError) as caught:
        await ImageToolset(catalog, SilentGateway()).generate_image("a cat", "dall-e-3")
    assert caught.value is error


@pytest.mark.anyio
@pytest.mark.parametrize("default", ["auto", "suggest", "off"])
@pytest.mark.parametrize("mode", [None, "auto", "suggest", "off"])
async def test_only_auto_enriches_and_the_operators_default_applies_if_unset(
    catalog: Catalog, default: str, mode: str | None
) -> None:
    gateway = FakeGateway(Image(URL))
    toolset = ImageToolset(catalog, gateway, defaults=Defaults(enrich=default))
    result = await toolset.generate_image("A dog", "dall-e-3", enrich=mode)
    in_force = mode or default
    assert (gateway.requests[0].prompt != "A dog") == result.prompt.changed == (in_force == "auto")
    assert bool(result.prompt.advice) == (in_force == "suggest")


@pytest.mark.anyio
async def test_unknown_enrichment_mode_is_refused_before_sending(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    with pytest.raises(InvalidRequestError, match="auto, suggest, off"):
        await ImageToolset(catalog, gateway).generate_image("A dog", "dall-e-3", enrich="always")
    assert gateway.requests == []


def test_dry_run_prompt_equals_the_generated_one(catalog: Catalog) -> None:
    asked: Any = {"prompt": "A dog", "purpose": "portrait", "enrich": "auto", "lighting": "dusk"}
    gateway = FakeGateway(Image(URL))
    toolset = ImageToolset(catalog, gateway)
    made = anyio.run(lambda: toolset.generate_image(model="dall-e-3", size="1792x1024", **asked))
    assert toolset.estimate_cost("dall-e-3", "1792x1024", **asked).prompts == {"dall-e-3": made.prompt}


def test_dry_run_omits_models_that_cannot_take_the_prompt(catalog: Catalog) -> None:
    compared = ImageToolset(catalog).estimate_cost(prompt="a dog " * 500)
    assert [each.model for each in compared.estimates] == ["dall-e-3", "nano-banana", "nano-banana-pro"]


@pytest.mark.parametrize(
    ("model", "prompt", "says"),
    [
        ("dall-e-2", "x" * 1_001, "dall-e-2 takes at most 1,000"),
        ("any", "x" * 100_000, "nano-banana-pro takes at most 65,536"),
        ("any", " ", "The prompt is empty."),
        ("dall-e-3", "\ud800 dog", "lone surrogates"),
    ],
)
def test_dry_run_refuses_the_same_prompts_as_generation(catalog: Catalog, model: str, prompt: str, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        ImageToolset(catalog).estimate_cost(model, prompt=prompt)
