"""The example catalogue of OpenAI's image models, at a gateway that has them, directly and behind LiteLLM."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client
from tests.support.clients import data, served, text
from tests.support.edits import mask_of, picture
from tests.support.peers import KEY, Peer, install, litellm
from tests.support.platforms import only_on_posix
from tests.support.processes import server_parameters
from tests.support.sandbox import Sandbox

from blockrun_image.catalog import Catalog
from blockrun_image_sandbox.server import running_sandbox

pytestmark = pytest.mark.anyio

EXAMPLE = Path(__file__).parents[2] / "examples" / "gpt-image.json"
MODEL = "gpt-image-1.5"
FOX = {"prompt": "A red fox", "model": MODEL, "quality": "high", "size": "3:2", "background": "transparent"}


@pytest.fixture(scope="module")
def openai_origin() -> Iterator[str]:
    """Return the origin of a sandbox that has OpenAI's models."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running_sandbox(Catalog.load(EXAMPLE))) as origin,
    ):
        yield origin


@pytest.fixture
def openai(openai_origin: str) -> Iterator[Sandbox]:
    sandbox = Sandbox(openai_origin)
    yield sandbox
    sandbox.close()


@pytest.fixture
def settings(openai: Sandbox, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "red.png").write_bytes(picture("red"))
    (tmp_path / "mask.png").write_bytes(mask_of((0, 0, 100, 100)))
    return {
        "BLOCKRUN_IMAGE_GATEWAY": openai.base_url,
        "BLOCKRUN_IMAGE_CREDENTIAL": "brk_test_0123456789",
        "BLOCKRUN_IMAGE_SPEC": str(EXAMPLE),
        "BLOCKRUN_IMAGE_INPUT_DIRS": str(tmp_path),
        "BLOCKRUN_IMAGE_DIR": str(tmp_path / "pictures"),
    }


async def made(client: Client, **arguments: object) -> Any:
    result = await client.call_tool("generate_image", arguments)
    assert not result.is_error, text(result)
    return data(result)


async def test_what_the_model_takes_is_sent_and_costs_what_is_published(
    settings: Mapping[str, str], openai: Sandbox
) -> None:
    async with served(settings) as client:
        answer = await made(client, **FOX, output_format="webp")
    assert (answer["size"], answer["cost"]["charged_usd"]) == ("1536x1024", "0.20")
    assert answer["parameters"] == {"background": "transparent", "output_format": "webp"}
    assert openai.last_settlement["parameters"] == {"background": "transparent", "output_format": "webp"}


async def test_edit_is_a_form_with_its_mask_and_costs_more_for_its_picture(
    settings: Mapping[str, str], openai: Sandbox
) -> None:
    arguments = {"prompt": "Make it blue", "model": MODEL, "quality": "low", "images": ["red.png"], "mask": "mask.png"}
    async with served(settings) as client:
        answer = await made(client, **arguments)
    assert (answer["cost"]["estimated_usd"], openai.last_settlement["micro_usd"]) == ("0.079", 79_000)
    assert len(openai.last_settlement["pictures"]) == 1
    assert openai.last_settlement["mask"]


@pytest.fixture
def proxy(openai: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """Return LiteLLM in front of that sandbox."""
    install()
    with litellm(MODEL, openai.base_url, tmp_path_factory.mktemp("litellm"), behind=f"openai/{MODEL}") as proxy:
        proxy.wait_until_it_answers()
        yield proxy


@pytest.mark.peers
@pytest.mark.timeout(300)
@only_on_posix("make, which installs it")
async def test_example_works_through_litellm(settings: dict[str, str], proxy: Peer, openai: Sandbox) -> None:
    through = {**settings, "BLOCKRUN_IMAGE_GATEWAY": proxy.base_url, "BLOCKRUN_IMAGE_CREDENTIAL": KEY}
    async with Client(server_parameters(through)) as client:
        await made(client, **FOX)
        assert openai.last_settlement["parameters"] == {"background": "transparent"}
        edited = await made(
            client, prompt="Make it blue", model=MODEL, quality="low", images=["red.png"], mask="mask.png"
        )
    assert edited["started_from"] == [str(Path(settings["BLOCKRUN_IMAGE_INPUT_DIRS"]) / "red.png")]
    assert openai.charges == 2
    assert openai.last_settlement["mask"]


def test_example_is_laid_over_the_built_in_description() -> None:
    catalog = Catalog.load(EXAMPLE)
    assert [*json.loads(EXAMPLE.read_bytes())["x-models"]] == [*catalog.models] == ["gpt-image-1.5", "gpt-image-1"]
