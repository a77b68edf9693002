"""The newest pictures as a resource."""

import json
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextResourceContents
from tests.support.clients import FOX, Connect, over_every_transport, served
from tests.support.commands import images
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.anyio


RECENT = "images://recent"


async def recent(client: Client) -> list[dict[str, Any]]:
    (content,) = (await client.read_resource(RECENT)).contents
    assert isinstance(content, TextResourceContents)
    assert (str(content.uri), content.mime_type) == (RECENT, "application/json")
    assert len(content.text) <= 40_000
    return json.loads(content.text)["images"]


@over_every_transport
async def test_recent_images_match_the_images_command(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.script([{}, {"status": 403}, {"cut": "after"}])
    async with connect(sandbox.environment) as client:
        assert await recent(client) == []
        for _ in range(3):
            await client.call_tool("generate_image", FOX)
        told = await recent(client)
        (resource,) = (await client.list_resources()).resources
    assert [each["state"] for each in told] == ["unknown", "settled"]
    assert told == images()
    assert told[1]["images"][0].startswith(f"{sandbox.origin}/images/")
    assert (str(resource.uri), resource.mime_type) == (RECENT, "application/json")


async def test_recent_images_are_bounded_in_number_and_length(sandbox: Sandbox) -> None:
    url = "https://pictures.example/" + "x" * 1_000
    body = {"data": [{"url": f"{url}{number}"} for number in range(10)]}
    sandbox.script([{"status": 200, "body": body}] * 5 + [{}] * 20)
    async with served(sandbox.environment) as client:
        for _ in range(5):
            await client.call_tool("generate_image", {"prompt": "fox " * 200, "model": "dall-e-2", "n": 10})
        long = await recent(client)
        for _ in range(20):
            await client.call_tool("generate_image", {"prompt": "A fox", "model": "dall-e-2"})
        many = await recent(client)
    assert 0 < len(long) < 5
    assert len(many) == 20
