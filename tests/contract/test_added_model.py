"""A model that is added to a copy of the API's description is found everywhere, with no code changed."""

import json
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp_types import TextContent
from tests.support.clients import Connect

from blockrun_image import Catalog, ImageToolset
from blockrun_image_sandbox.server import running_sandbox

pytestmark = pytest.mark.anyio

FLUX = {
    "provider": "Black Forest Labs",
    "sizes": ["1344x768", "768x1344"],
    "list_price_usd": {"low": "0.04", "high": "0.06"},
    "prices": [{"size": "1344x768", "usd": "0.042"}],
    "requests_per_minute": 30,
    "max_images": 4,
    "max_prompt_characters": 2000,
    "recommended_for": [{"use_case": "Wide scenes"}],
}


@pytest.fixture
def spec_file(tmp_path: Path, catalog: Catalog) -> Path:
    document = dict(catalog.spec.document)
    document["x-models"] = {**document["x-models"], "flux-pro": FLUX}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


async def test_agent_can_list_price_and_use_an_added_model(connect: Connect, spec_file: Path) -> None:
    settings = {"BLOCKRUN_IMAGE_SPEC": str(spec_file), "BLOCKRUN_IMAGE_GATEWAY": "sandbox"}
    async with connect(settings) as client:
        tools = {tool.name: tool.input_schema["properties"] for tool in (await client.list_tools()).tools}
        assert "flux-pro" in tools["generate_image"]["model"]["enum"]
        assert "flux-pro" in tools["estimate_cost"]["model"]["enum"]
        assert "1344x768" in tools["generate_image"]["size"]["enum"]
        assert "wide_scenes" in tools["list_models"]["use_case"]["enum"]

        listed = await client.call_tool("list_models", {"use_case": "wide_scenes"})
        assert isinstance(listed.content[0], TextContent)
        assert "| flux-pro | Black Forest Labs |" in listed.content[0].text

        made = await client.call_tool("generate_image", {"prompt": "A fox", "model": "flux-pro", "n": 2})
        assert made.structured_content is not None
        assert made.structured_content["size"] == "1344x768"
        assert made.structured_content["cost"]["simulated_usd"] == "0.084"
        url = made.structured_content["images"][0]["url"]
        async with httpx2.AsyncClient(trust_env=False) as http:
            assert (await http.get(url)).content[16:24] == (1344).to_bytes(4) + (768).to_bytes(4)

        for refused in ({"n": 5}, {"size": "1024x1024"}, {"prompt": "x" * 2001}, {"quality": "hd"}):
            result = await client.call_tool("generate_image", {"prompt": "A fox", "model": "flux-pro", **refused})
            assert result.is_error, refused


async def test_added_model_appears_in_estimates_and_the_model_table(spec_file: Path) -> None:
    tools = ImageToolset(Catalog.load(spec_file))
    compared = tools.estimate_cost(size="768x1344").estimates
    assert [(each.model, str(each.high_usd), each.exact) for each in compared] == [("flux-pro", "0.0630", False)]
    row = "| flux-pro        | Black Forest Labs | 1344x768, 768x1344              | -            | $0.042-0.063"
    assert row in tools.list_models().to_table()


async def test_sandbox_serves_an_added_model(spec_file: Path) -> None:
    async with running_sandbox(Catalog.load(spec_file)) as origin, httpx2.AsyncClient(trust_env=False) as http:
        with anyio.fail_after(10):
            answer = await http.post(
                f"{origin}/v1/images/generations",
                json={"model": "flux-pro", "prompt": "A fox", "size": "768x1344"},
                headers={"Authorization": "Bearer brk_test"},
            )
    assert answer.json()["price"]["amount"] == "0.063"
