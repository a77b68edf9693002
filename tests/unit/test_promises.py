"""What a prompt asks for and a model does not promise."""

from typing import Any

import pytest
from tests.support.fakes import URL, FakeGateway

from blockrun_image.catalog import Catalog
from blockrun_image.images import Image
from blockrun_image.model import Model
from blockrun_image.toolset import ImageToolset

WARNING = "dall-e-3 does not promise a transparent background: it may draw a plain or a chequered one."
ASKING = [
    "A cat on a transparent background",
    "transparent PNG of a cat",
    "A sticker. The background should be transparent.",
    "A logo, transparent, clean background",
    "An icon with an alpha channel",
]


@pytest.mark.parametrize("prompt", ASKING)
@pytest.mark.parametrize("enrich", ["auto", "suggest", "off"])
def test_a_dry_run_warns_of_a_transparent_background(catalog: Catalog, prompt: str, enrich: str) -> None:
    result = ImageToolset(catalog).estimate_cost("dall-e-3", prompt=prompt, enrich=enrich)
    content: Any = result.to_dict()
    assert WARNING in content["warnings"]
    assert f"Warning: {WARNING}" in result.to_text()


@pytest.mark.anyio
async def test_a_result_warns_of_a_transparent_background(catalog: Catalog) -> None:
    result = await ImageToolset(catalog, FakeGateway(Image(URL))).generate_image(ASKING[0], "dall-e-3")
    assert f"Warning: {WARNING}" in result.to_text().splitlines()


@pytest.mark.parametrize(
    "prompt",
    ["A transparent glass bottle", "A girl in a transparent raincoat on a red background", "Glass with transparency"],
)
def test_transparent_object_causes_no_warning(catalog: Catalog, prompt: str) -> None:
    assert catalog.find("dall-e-3").cannot_promise(prompt) == []


def test_model_with_transparent_backgrounds_causes_no_warning() -> None:
    model = Model(id="fox", provider="Fox", max_images=1, transparent_background=True)
    assert model.cannot_promise(ASKING[0]) == []
