"""Pictures that are saved over MCP: under a name, as resources and as previews."""

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import BlobResourceContents, ImageContent, TextResourceContents
from PIL import Image as Picture
from tests.support.clients import FOX, Connect, data, over_every_transport, served, text
from tests.support.commands import images
from tests.support.sandbox import Sandbox

from blockrun_image_mcp.images import reading

pytestmark = pytest.mark.anyio


def environment(sandbox: Sandbox, folder: Path, **more: str) -> dict[str, str]:
    return {**sandbox.environment, "BLOCKRUN_IMAGE_DIR": str(folder), **more}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def opened(content: bytes) -> Picture.Image:
    return Picture.open(BytesIO(content))


def do_harm(path: Path, harm: str) -> None:
    path.unlink() if harm == "removed" else path.write_bytes(b"secret")


async def picture(client: Client, uri: str) -> tuple[bytes, str]:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, BlobResourceContents)
    return base64.b64decode(content.blob), content.mime_type or ""


async def saved(client: Client, **more: object) -> Any:
    result = await client.call_tool("generate_image", {**FOX, **more})
    assert not result.is_error, text(result)
    return result


async def test_named_picture_is_where_the_result_says(connect: Connect, sandbox: Sandbox, tmp_path: Path) -> None:
    async with connect(environment(sandbox, tmp_path)) as client:
        result = await saved(client, save_as="./assets/hero.webp")
        again = await saved(client, prompt="Another fox", save_as="./assets/hero.webp")
    path = tmp_path / "assets" / "hero.webp"
    assert data(result)["images"][0]["path"] == str(path)
    assert text(result).endswith(f"\nSaved: {path}")
    assert opened(await anyio.Path(path).read_bytes()).format == "WEBP"
    assert data(again)["images"][0]["path"] == str(tmp_path / "assets" / "hero-2.webp")
    assert len(result.model_dump_json()) < 1_500 + 2 * len(data(result)["prompt"]["sent"])


async def test_refused_name_is_an_error_that_costs_nothing(connect: Connect, sandbox: Sandbox, tmp_path: Path) -> None:
    async with connect(environment(sandbox, tmp_path)) as client:
        result = await client.call_tool("generate_image", {**FOX, "save_as": "../hero.png"})
    assert result.is_error
    assert (data(result)["error"]["charged"], sandbox.posts, names_in(tmp_path)) == ("no", 0, set())
    assert "Choose a file name such as" in text(result)


async def test_pending_picture_is_collected_under_another_name_and_then_bought_anew(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 2.0}])
    async with served(environment(sandbox, tmp_path, BLOCKRUN_IMAGE_CALL_SECONDS="1")) as client:
        pending = data(await saved(client, save_as="a.png"))
        assert pending["status"] == "pending"
        while (result := data(await saved(client, save_as="b.png")))["status"] == "pending":
            pass
        assert (Path(result["images"][0]["path"]).name, len(sandbox.settlements)) == ("b.png", 1)
        (listed,) = images()
        assert {Path(file).name for file in listed["files"]} == {"a.png", "b.png"}
        (uri,) = listed["resources"]
        for name in ("a.png", "b.png"):  # either is enough
            content = await anyio.Path(tmp_path / name).read_bytes()
            await anyio.Path(tmp_path / name).unlink()
            assert (await picture(client, uri))[0] == content
            await anyio.Path(tmp_path / name).write_bytes(content)
        await saved(client, save_as="c.png")
    assert len(sandbox.settlements) == 2
    assert names_in(tmp_path) == {"a.png", "b.png", "c.png"}


async def test_picture_that_cannot_be_fetched_is_told_with_its_url_and_charge(sandbox: Sandbox, tmp_path: Path) -> None:
    url = f"{sandbox.origin}/images/none.png"
    sandbox.script([{"body": {"data": [{"url": url}]}}])
    async with served(environment(sandbox, tmp_path)) as client:
        result = await saved(client)
    assert data(result)["images"] == [{"url": url}]
    assert "Image 1 could not be saved. A picture could not be fetched" in data(result)["warnings"][0]
    assert [entry["state"] for entry in images()] == ["settled"]


@over_every_transport
async def test_saved_picture_is_a_resource_whole_or_smaller(connect: Connect, sandbox: Sandbox, tmp_path: Path) -> None:
    async with connect(environment(sandbox, tmp_path)) as client:
        path = Path(data(await saved(client, save_as="fox.png"))["images"][0]["path"])
        (template,) = (await client.list_resource_templates()).resource_templates
        (recent,) = (await client.read_resource("images://recent")).contents
        assert isinstance(recent, TextResourceContents)
        (uri,) = json.loads(recent.text)["images"][0]["resources"]
        assert template.uri_template == "images://{id}{?width}"
        assert await picture(client, uri) == (await anyio.Path(path).read_bytes(), "image/png")
        small, media_type = await picture(client, f"{uri}?width=64")
        assert (max(opened(small).size), media_type) == (64, "image/jpeg")


@pytest.mark.parametrize("harm", ["removed", "changed"])
async def test_removed_or_changed_file_is_an_error_of_its_resource_alone(
    harm: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with served(environment(sandbox, tmp_path)) as client:
        path = Path(data(await saved(client))["images"][0]["path"])
        do_harm(path, harm)
        (uri,) = images()[0]["resources"]
        with pytest.raises(MCPError, match="is no longer there" if harm == "removed" else "was changed since"):
            await picture(client, uri)
        assert data(await saved(client, prompt="Another fox"))["status"] == "complete"


@pytest.mark.parametrize(
    "uri", ["images://0123456789ab", "images://../../etc/passwd", "images://0123456789ab?width=1e9", "images://"]
)
async def test_resource_that_does_not_exist_reads_no_file(uri: str, sandbox: Sandbox, tmp_path: Path) -> None:
    async with served(environment(sandbox, tmp_path)) as client:
        with pytest.raises(MCPError, match="There is no resource"):
            await client.read_resource(uri)


@over_every_transport
async def test_preview_is_one_small_picture_beside_the_text(connect: Connect, sandbox: Sandbox, tmp_path: Path) -> None:
    async with connect(environment(sandbox, tmp_path, BLOCKRUN_IMAGE_PREVIEW="small")) as client:
        result = await saved(client, model="dall-e-2", size="1024x1024", n=10)
    (preview,) = [block for block in result.content if isinstance(block, ImageContent)]
    shown = opened(base64.b64decode(preview.data))
    assert (max(shown.size), len(preview.data) <= 100_000) == (512, True)
    assert len(result.model_dump_json()) < 200_000


async def test_answer_is_kept_if_its_preview_fails_in_any_way(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise MemoryError

    monkeypatch.setattr(reading, "preview_of", fail)
    async with served(environment(sandbox, tmp_path, BLOCKRUN_IMAGE_PREVIEW="small")) as client:
        result = await saved(client)
    assert not [block for block in result.content if isinstance(block, ImageContent)]
    assert Path(data(result)["images"][0]["path"]).name in names_in(tmp_path)
