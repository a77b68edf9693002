"""Models that a gateway lists without saying that they make images: which refusals tell so, and what keeps them."""

from pathlib import Path
from typing import Any

import pytest

from blockrun_image.catalog import Catalog
from blockrun_image.errors import GatewayError, InvalidRequestError, UnknownModelError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.gateway.responses import ModelsAnswer
from blockrun_image_mcp.settings import Settings

pytestmark = pytest.mark.anyio

IMAGE = {"id": "acme/wonder", "categories": ["image"], "pricePerImage": "0.08"}
GATEWAY = {"BLOCKRUN_IMAGE_GATEWAY": "https://g.example/v1", "BLOCKRUN_IMAGE_CREDENTIAL": "key"}
LISTED = r"The gateway lists 'gpt-image-1' without a price, or without saying that it makes images"


async def taken(*entries: Any, **settings: str) -> Backend:
    """Return a backend that has seen a gateway's list of models."""
    backend = Backend(Settings.read({**GATEWAY, **settings}))
    try:
        await backend.models.take(ModelsAnswer("g.example", 200, {"data": list(entries)}))
    except GatewayError as error:
        assert "no list of image models" in error.message  # noqa: PT017 - not every list is refused
    return backend


def refusal(catalog: Catalog, id: str) -> UnknownModelError:
    with pytest.raises(UnknownModelError) as caught:
        catalog.find(id)
    return caught.value


@pytest.mark.parametrize(
    "others",
    [
        [],
        [{"id": "gpt-4o", "object": "model"}],
        [{"id": "dall-e-3"}],
        [IMAGE],
        [IMAGE, {"id": "dall-e-2"}, {"id": "dall-e-3", "available": False}],
    ],
    ids=["alone", "among chat models", "beside a described one", "beside one told to be an image", "beside all kinds"],
)
async def test_refusal_of_an_unconfirmed_listed_model_says_how_to_describe_it(others: list[Any]) -> None:
    backend = await taken({"id": "gpt-image-1", "object": "model"}, *others)
    told = refusal(backend.catalog, "gpt-image-1")
    assert told.message.startswith(
        "The gateway lists 'gpt-image-1' without a price, or without saying that it makes images"
    )
    assert "BLOCKRUN_IMAGE_SPEC" in told.hint
    assert "gpt-image-1" not in backend.catalog.models
    with pytest.raises(InvalidRequestError, match=LISTED):
        backend.toolset.estimate_cost("gpt-image-1")


async def test_model_listed_as_another_kind_is_refused_the_same_way() -> None:
    backend = await taken(IMAGE, {"id": "gpt-image-1", "categories": ["multimodal"]}, {"id": 7, "categories": []})
    assert refusal(backend.catalog, "gpt-image-1").message.startswith("The gateway lists 'gpt-image-1' without a price")
    assert backend.catalog.listing is not None
    assert backend.catalog.listing.others == ()


@pytest.mark.parametrize(
    ("listed", "asked"),
    [("openai/gpt-image-1", "gpt-image-1"), ("gpt-image-1", "openai/gpt-image-1"), ("GPT-Image-1", "gpt-image-1")],
)
async def test_listed_id_is_recognised_in_either_form_and_any_case(listed: str, asked: str) -> None:
    assert "The gateway lists" in refusal((await taken({"id": listed})).catalog, asked).message


@pytest.mark.parametrize("entry", [{"id": "flux\n", "categories": ["chat"]}, {"id": "flux\n"}, {"name": "flux"}, IMAGE])
async def test_unlisted_model_is_unknown(entry: Any) -> None:
    told = refusal((await taken(entry, {"id": "other"})).catalog, "flux")
    assert told.message.startswith("There is no model 'flux'.")
    assert "BLOCKRUN_IMAGE_SPEC" not in told.hint


async def test_another_process_knows_what_was_listed_until_a_list_lacks_it() -> None:
    await taken({"id": "gpt-image-1"})
    another = Backend(Settings.read(GATEWAY))
    assert "The gateway lists" in refusal(another.catalog, "gpt-image-1").message
    await another.models.take(ModelsAnswer("g.example", 200, {"data": [IMAGE]}))
    assert "There is no model" in refusal(another.catalog, "gpt-image-1").message
    assert "acme/wonder" in another.catalog.models


async def test_answer_without_a_list_keeps_what_was_listed() -> None:
    backend = await taken({"id": "gpt-image-1"})
    with pytest.raises(GatewayError):
        await backend.models.take(ModelsAnswer("g.example", 500, None))
    assert backend.catalog.strangers == ("gpt-image-1",)


async def test_at_most_a_thousand_unconfirmed_models_are_kept() -> None:
    backend = await taken(*({"id": f"chat-{number}"} for number in range(3_000)))
    assert len(backend.catalog.strangers) == 1_000


async def test_model_described_by_the_operator_is_an_ordinary_model(tmp_path: Path) -> None:
    spec = tmp_path / "own.json"
    spec.write_text('{"x-models": {"gpt-image-1": {"provider": "OpenAI", "sizes": ["1024x1024"]}}}')
    backend = await taken({"id": "gpt-image-1"}, BLOCKRUN_IMAGE_SPEC=str(spec))
    assert "gpt-image-1" in backend.catalog.models
    assert backend.catalog.strangers == ()
