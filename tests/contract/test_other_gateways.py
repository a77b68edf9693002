"""Image gateways that others have made, each set up as the README says: the base URL, a key and its catalogue."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from mcp import Client
from tests.support.clients import data, text
from tests.support.commands import run
from tests.support.pages import CATALOGUE
from tests.support.peers import KEY, REFUSED, Peer, aimock, install, litellm
from tests.support.picture_files import with_provenance
from tests.support.platforms import only_on_posix
from tests.support.processes import server_parameters
from tests.support.sandbox import Sandbox

from blockrun_image_mcp.images.provenance import Provenance
from blockrun_image_sandbox.drawing import draw

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300), only_on_posix("make, which installs them")]

(MODEL,) = CATALOGUE["x-models"]
UNHEARD_OF = "unheard-of"
FOX = {"prompt": "A red fox in the snow", "model": MODEL, "enrich": "off"}
PNG = draw(FOX["prompt"], width=1024, height=1024)
REVISED = "A red fox, as it was drawn"


@pytest.fixture(scope="session")
def peers(sandbox_origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Peer]]:
    """Return both, which start side by side: LiteLLM takes longer than the tests of the other one."""
    install()
    picture = {"b64Json": base64.b64encode(PNG).decode(), "revisedPrompt": REVISED}
    with (
        litellm(MODEL, f"{sandbox_origin}/v1", tmp_path_factory.mktemp("litellm")) as proxy,
        aimock(MODEL, picture, tmp_path_factory.mktemp("aimock")) as mock,
    ):
        yield {"aimock": mock, "litellm": proxy}


@pytest.fixture(scope="session", params=["aimock", "litellm"])
def peer(request: pytest.FixtureRequest, peers: Mapping[str, Peer]) -> Peer:
    peers[request.param].wait_until_it_answers()
    return peers[request.param]


@pytest.fixture
def settings(peer: Peer, tmp_path: Path) -> dict[str, str]:
    """Return the three settings, with a catalogue that also has a model of which no gateway has heard."""
    models = CATALOGUE["x-models"]
    file = tmp_path / "catalogue.json"
    file.write_text(json.dumps({**CATALOGUE, "x-models": {**models, UNHEARD_OF: models[MODEL]}}), encoding="utf-8")
    return {
        "BLOCKRUN_IMAGE_GATEWAY": peer.base_url,
        "BLOCKRUN_IMAGE_CREDENTIAL": KEY,
        "BLOCKRUN_IMAGE_SPEC": str(file),
        "BLOCKRUN_IMAGE_DIR": str(tmp_path / "pictures"),
    }


async def test_picture_is_settled_at_its_estimate_if_no_charge_is_reported(
    settings: dict[str, str], peer: Peer, peers: Mapping[str, Peer], sandbox: Sandbox, tmp_path: Path
) -> None:
    async with Client(server_parameters(settings)) as client:
        made = await client.call_tool("generate_image", FOX)
    assert not made.is_error, text(made)
    answer = data(made)
    (image,) = answer["images"]
    assert (answer["model"], answer["size"], answer["gateway"]) == (MODEL, "1024x1024", "127.0.0.1")
    assert ("charged_usd" in answer["cost"], answer["cost"]["estimated_usd"]) == (False, "0.042")
    assert "The gateway did not report the charge (estimated $0.042)." in text(made).splitlines()[0]
    assert image["url"] in text(made)
    assert image["revised_prompt"] in text(made)
    if peer is peers["aimock"]:
        (file,) = (tmp_path / "pictures").iterdir()
        assert (image["path"], file.read_bytes()) == (str(file), with_provenance(PNG, Provenance(MODEL)))
        assert image["revised_prompt"] == REVISED
    else:
        assert sandbox.get(image["url"]).content == PNG
        assert (sandbox.charges, sandbox.prompts[-1]) == (1, FOX["prompt"])
    assert spent() == {"settled": "0.042"}


async def test_unknown_key_is_an_authentication_error(settings: dict[str, str], sandbox: Sandbox) -> None:
    async with Client(server_parameters({**settings, "BLOCKRUN_IMAGE_CREDENTIAL": "sk-of-a-stranger"})) as client:
        refused = await client.call_tool("generate_image", FOX)
    error = data(refused)["error"]
    assert refused.is_error
    assert (error["type"], error["charged"], error["retryable"]) == ("authentication", "no", False)
    assert "BLOCKRUN_IMAGE_CREDENTIAL" in text(refused)
    assert "sk-of-a-stranger" not in refused.model_dump_json()
    assert sandbox.posts == 0
    assert set(spent()) <= {"released"}


async def test_model_unknown_to_the_gateway_and_refused_prompt_cost_nothing(
    settings: dict[str, str], peer: Peer, peers: Mapping[str, Peer], sandbox: Sandbox
) -> None:
    async with Client(server_parameters({**settings, "BLOCKRUN_IMAGE_CATALOG": "contract"})) as client:
        unknown = await client.call_tool("generate_image", {**FOX, "model": UNHEARD_OF})
        assert sandbox.posts == 0
        sandbox.script([{"status": 403}])
        refused = await client.call_tool("generate_image", {**FOX, "prompt": REFUSED})
    not_found = "model_not_found" if peer is peers["litellm"] else "gateway"  # aimock says that it has no such fixture
    for result, type in ((unknown, not_found), (refused, "content_policy")):
        assert result.is_error
        error = data(result)["error"]
        assert (error["type"], error["charged"], error["retryable"]) == (type, "no", False)
        assert error["message"] in text(result)
    assert sandbox.charges == 0
    assert set(spent()) <= {"released"}


async def test_listed_and_selectable_models_are_those_of_the_catalogue(settings: dict[str, str]) -> None:
    async with Client(server_parameters(settings)) as client:
        tools = {tool.name: tool.input_schema["properties"] for tool in (await client.list_tools()).tools}
        listed = await client.call_tool("list_models", {})
    assert [model["id"] for model in data(listed)["models"]] == [MODEL, UNHEARD_OF]
    assert f"| {MODEL} " in text(listed)
    assert tools["generate_image"]["model"]["enum"] == [MODEL, UNHEARD_OF]


async def test_gateway_decides_on_operator_models_that_it_does_not_list(
    settings: dict[str, str],
) -> None:
    async with Client(server_parameters(settings)) as client:
        assert not (await client.call_tool("generate_image", FOX)).is_error
        refused = await client.call_tool("generate_image", {**FOX, "model": UNHEARD_OF})
        listed = await client.call_tool("list_models", {})
    available = {model["id"]: model.get("available", True) for model in data(listed)["models"]}
    assert (data(refused)["error"]["type"] in ("gateway", "model_not_found"), available[UNHEARD_OF]) == (True, True)
    assert data(refused)["error"]["charged"] == "no"
    assert set(available) == {MODEL, UNHEARD_OF}


def test_doctor_fetches_the_model_list_and_detects_a_wrong_key(settings: dict[str, str]) -> None:
    done = run("doctor", settings=settings)
    assert (done.returncode, done.stderr) == (0, "")
    models = f"models: {MODEL}, {UNHEARD_OF} (from {settings['BLOCKRUN_IMAGE_SPEC']}, and listed by 127.0.0.1 at 2"
    assert models in done.stdout
    assert "gateway: 127.0.0.1 answers (HTTP 200) and does not refuse the credential" in done.stdout
    wrong = run("doctor", settings={**settings, "BLOCKRUN_IMAGE_CREDENTIAL": "sk-of-a-stranger"})
    assert wrong.returncode == 1
    assert "error   gateway: 127.0.0.1 refuses the credential" in wrong.stdout


def spent() -> Mapping[str, str]:
    """Return what the ledger makes of the test's calls: an amount for each state."""
    return {each["state"]: each["usd"] for each in json.loads(run("spend", "--json").stdout)["models"]}
