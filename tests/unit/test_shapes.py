"""Shapes and ratios in the place of a size: what is sent, and what is told. The tables were worked out by hand."""

from collections.abc import Mapping, Sequence

import pytest
from tests.support.clients import Connect, data, over_every_transport, text
from tests.support.fakes import URL, FakeGateway, FakeLedger
from tests.support.listings import image, joined
from tests.support.sandbox import Sandbox

from blockrun_image.arguments import check_arguments
from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import Image, ImageArguments
from blockrun_image.schemas import tool_schemas
from blockrun_image.shapes import as_shape
from blockrun_image.toolset import ImageToolset

pytestmark = pytest.mark.anyio

SHAPES = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "21:9", "square", "wide", "tall")
LISTED: Mapping[str, Sequence[str]] = {  # the sizes in BlockRun's own clients, of November 2026
    "zai/cogview-4": ["512x512", "768x768", "1024x1024", "768x1344", "1344x768", "1440x1440"],
    "openai/gpt-image-2": ["1024x1024", "1536x1024", "1024x1536"],
    "bytedance/seedream-5-pro": [
        *("1024x1024", "1280x720", "2048x1024", "2048x2048"),
        *("2304x1728", "1728x2304", "2848x1600", "1600x2848"),
    ],
    "google/nano-banana-2": ["1024x1024"],
    "some/four-k": ["1024x1024", "2048x2048", "4096x4096"],
}
SENT: Mapping[str, Sequence[str]] = {
    "dall-e-3": (
        *("1024x1024", "1792x1024", "1024x1792", "1792x1024", "1024x1792", "1792x1024"),
        *("1024x1792", "1792x1024", "1024x1024", "1792x1024", "1024x1792"),
    ),
    "dall-e-2": ("1024x1024",) * 11,
    "nano-banana": ("1024x1024",) * 11,
    "nano-banana-pro": ("1024x1024",) * 11,
    "zai/cogview-4": (
        *("1024x1024", "1344x768", "768x1344", "1344x768", "768x1344", "1344x768"),
        *("768x1344", "1344x768", "1024x1024", "1344x768", "768x1344"),
    ),
    "openai/gpt-image-2": (
        *("1024x1024", "1536x1024", "1024x1536", "1536x1024", "1024x1536", "1536x1024"),
        *("1024x1536", "1536x1024", "1024x1024", "1536x1024", "1024x1536"),
    ),
    "bytedance/seedream-5-pro": (
        *("1024x1024", "1280x720", "1600x2848", "2304x1728", "1728x2304", "2304x1728"),
        *("1728x2304", "2048x1024", "1024x1024", "1280x720", "1600x2848"),
    ),
    "google/nano-banana-2": ("1024x1024",) * 11,
    "some/four-k": ("1024x1024",) * 11,
}


@pytest.fixture
def both(catalog: Catalog) -> Catalog:
    """Return the built-in models, and those of a gateway's list."""
    models = [image(id, supportedSizes=[*sizes]) for id, sizes in LISTED.items()]
    return joined(catalog, *(image(id) for id in catalog.models), *models, image("flux"))


@pytest.mark.parametrize(
    ("id", "shape", "size"), [(id, *pair) for id in SENT for pair in zip(SHAPES, SENT[id], strict=True)]
)
def test_nearest_size_of_the_model_is_sent(both: Catalog, id: str, shape: str, size: str) -> None:
    assert both.resolve(ImageArguments("A fox", id, shape)).size == size


@pytest.mark.parametrize(
    ("spelling", "shape"),
    [
        ("Square", "square"),
        ("WIDE", "wide"),
        (" tall ", "tall"),
        ("landscape", "wide"),
        ("Portrait", "tall"),
        ("16 : 9", "16:9"),
        ("16/9", "16:9"),
        ("1.91:1", "1.91:1"),
        ("16x9", "16x9"),
        ("1024x1024", "1024x1024"),
        ("auto", "auto"),
    ],
)
def test_shape_is_read_in_several_spellings(spelling: str, shape: str) -> None:
    assert as_shape(spelling) == shape


@pytest.mark.parametrize(
    "size", ["16:0", "0:9", "16:", ":9", "1000:1", "1:1000", "16:9:1", "-16:9", "a:b", "round", "16x9"]
)
def test_what_is_no_shape_is_refused(catalog: Catalog, size: str) -> None:
    schema = tool_schemas(catalog)[0]
    with pytest.raises(InvalidRequestError, match=r"has no size|must be WIDTHxHEIGHT"):
        catalog.resolve(ImageArguments(**check_arguments(schema, {"prompt": "x", "model": "dall-e-3", "size": size})))


@pytest.mark.parametrize(
    ("model", "shape", "note"),
    [
        ("dall-e-3", "16:9", "16:9 became 1792x1024, the nearest that dall-e-3 has."),
        ("dall-e-3", "1:1", "1:1 is 1024x1024."),
        ("dall-e-3", "7:4", "7:4 is 1792x1024."),
        ("nano-banana", "wide", "wide became 1024x1024, the only size that nano-banana has. dall-e-3 can be wide."),
        ("dall-e-2", "tall", "tall became 1024x1024, the nearest that dall-e-2 has. dall-e-3 can be tall."),
        ("dall-e-3", "1792x1024", None),
        ("dall-e-3", None, None),
        ("dall-e-3", "auto", None),
    ],
)
async def test_result_tells_which_size_stands_for_a_shape(
    catalog: Catalog, model: str, shape: str | None, note: str | None
) -> None:
    tools = ImageToolset(catalog, FakeGateway(Image(URL)), ledger=FakeLedger())
    result = await tools.generate_image("A fox", model, shape)
    told = [warning for warning in result.to_dict().get("warnings", []) if " is " in warning or " became " in warning]  # pyright: ignore[reportUnknownVariableType, reportGeneralTypeIssues] - JSON
    assert told == ([note] if note else [])
    assert (note is None) or note in tools.estimate_cost(model, shape).to_text()


@pytest.mark.parametrize(
    ("shape", "models"),
    [
        ("wide", ["dall-e-3"]),
        ("9:16", ["dall-e-3"]),
        ("square", ["dall-e-2", "dall-e-3", "nano-banana", "nano-banana-pro"]),
    ],
)
def test_comparison_is_of_the_models_that_have_the_shape(catalog: Catalog, shape: str, models: Sequence[str]) -> None:
    assert sorted(each.model for each in ImageToolset(catalog).estimate_cost(size=shape).estimates) == models


def test_where_no_model_has_the_shape_all_are_compared(both: Catalog) -> None:
    square = joined(both.contract or both, image("nano-banana"), image("dall-e-2"))
    assert len(ImageToolset(square).estimate_cost(size="wide").estimates) == 2


def test_model_without_a_list_of_sizes_draws_only_squares_by_name(both: Catalog) -> None:
    assert both.resolve(ImageArguments("A fox", "flux", "square")).size == "1024x1024"
    assert both.resolve(ImageArguments("A fox", "flux", "7x7")).size == "7x7"
    with pytest.raises(InvalidRequestError, match="Only the gateway knows the sizes of flux") as caught:
        both.resolve(ImageArguments("A fox", "flux", "wide"))
    assert caught.value.charged == "no"


@over_every_transport
async def test_shape_is_sent_and_priced_as_its_size(connect: Connect, sandbox: Sandbox) -> None:
    async with connect(sandbox.environment) as client:
        arguments = {"prompt": "A fox", "model": "dall-e-3", "size": "16:9", "quality": "hd"}
        result = await client.call_tool("generate_image", arguments)
    assert "16:9 became 1792x1024, the nearest that dall-e-3 has." in text(result)
    assert data(result)["size"] == sandbox.last_settlement["size"] == "1792x1024"
    assert data(result)["cost"]["charged_usd"] == "0.126"
