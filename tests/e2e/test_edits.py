"""Pictures made from pictures, through the whole server: both rails, both forms, and each way to name a picture."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from PIL import ImageChops
from tests.support.clients import COLLECTED, Connect, data, over_every_transport, served, text
from tests.support.commands import run
from tests.support.edits import GPT_IMAGE, mask_of, picture
from tests.support.payments import KEY
from tests.support.picture_files import opened
from tests.support.sandbox import CONTRACT_FILE, Sandbox

pytestmark = pytest.mark.anyio

RED = picture("red")
FORMS = ("account", "wallet", "form")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a picture."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "red.png").write_bytes(RED)
    return folder


def environment(form: str, sandbox: Sandbox, project: Path) -> dict[str, str]:
    """Return the settings of a server on a rail, or at a gateway with OpenAI's form."""
    folders = {"BLOCKRUN_IMAGE_INPUT_DIRS": str(project), "BLOCKRUN_IMAGE_DIR": str(project.parent / "images")}
    match form:
        case "account":
            return {**folders, "BLOCKRUN_API_KEY_URL": sandbox.origin, "BLOCKRUN_API_KEY": "brk_test_0123456789"}
        case "wallet":
            return {**folders, "BLOCKRUN_API_URL": sandbox.api_url, "BLOCKRUN_WALLET_KEY": KEY}
        case _:
            edits = {**json.loads(CONTRACT_FILE.read_bytes())["x-edits"], "path": "/images/edits"}
            spec = project.parent / "catalogue.json"
            spec.write_text(json.dumps({"x-edits": {"path": "/images/edits", "models": edits["models"]}}))
            return {**folders, **sandbox.environment, "BLOCKRUN_IMAGE_SPEC": str(spec)}


@pytest.fixture(params=FORMS)
def settings(request: pytest.FixtureRequest, sandbox: Sandbox, project: Path) -> Mapping[str, str]:
    return environment(request.param, sandbox, project)


async def edited(client: Client, *images: str, prompt: str = "Add a blue frame", **more: object) -> Any:
    result = await client.call_tool(
        "generate_image", {"prompt": prompt, "model": "nano-banana", "images": [*images], **more}
    )
    assert not result.is_error, text(result)
    return result


def path_of(result: Any) -> Path:
    return Path(data(result)["images"][0]["path"])


def digests(sandbox: Sandbox) -> list[list[str]]:
    """Return the SHA-256 of the pictures that each charged call started from."""
    return [item["pictures"] for item in sandbox.settlements]


async def test_file_is_edited_and_paid_for_once(settings: Mapping[str, str], sandbox: Sandbox, project: Path) -> None:
    async with served(settings) as client:
        result = await edited(client, "red.png")
    assert (sandbox.charges, sandbox.paid_posts) == (1, 1)
    assert data(result)["started_from"] == [str(project / "red.png")]
    assert data(result)["prompt"]["sent"] == "Add a blue frame"
    assert "estimated" not in text(result).splitlines()[0]
    made = opened(path_of(result).read_bytes())
    assert made.size == (1024, 1024)
    assert ImageChops.difference(made.convert("RGB"), opened(picture("red", (1024, 1024)))).getbbox() is not None


@over_every_transport
async def test_arguments_are_offered_where_a_model_starts_from_pictures(
    connect: Connect, sandbox: Sandbox, project: Path
) -> None:
    async with connect(environment("account", sandbox, project)) as client:
        offered = {tool.name: tool.input_schema["properties"] for tool in (await client.list_tools()).tools}
        assert offered["generate_image"]["images"]["items"] == {"type": "string"}
        assert "images" in offered["estimate_cost"]
        assert "mask" not in offered["generate_image"]
        listed = data(await client.call_tool("list_models", {}))["models"]
    assert {each["id"]: each.get("pictures_to_start_from") for each in listed}["nano-banana"] == 3
    async with connect({**sandbox.environment}) as client:
        offered = {tool.name: tool.input_schema["properties"] for tool in (await client.list_tools()).tools}
    assert "images" not in offered["generate_image"]


async def test_pictures_are_edited_again_by_their_names(sandbox: Sandbox, project: Path) -> None:
    async with served(environment("account", sandbox, project)) as client:
        first = await edited(client, "red.png")
        second = await edited(client, "last", prompt="Make it black and white")
        id = path_of(second).stem.rpartition("-")[2]
        third = await edited(client, f"images://{id}", prompt="Mirror it", save_as="final.png")
        fourth = await edited(client, data(first)["images"][0]["url"], prompt="Blur it")
    assert data(second)["started_from"] == [str(path_of(first))]
    assert data(third)["started_from"] == [str(path_of(second))]
    assert path_of(third).name == "final.png"
    assert data(fourth)["started_from"] == [data(first)["images"][0]["url"]]
    assert sandbox.charges == 4


async def test_edit_of_the_last_picture_that_was_cut_off_is_collected_and_edits_nothing_newer(
    settings: Mapping[str, str], sandbox: Sandbox, project: Path
) -> None:
    sandbox.script([{}, {"slow": True, "delay_seconds": 1.5}])
    quick = {"poll_seconds": 0.1}
    async with served({**settings, "BLOCKRUN_IMAGE_CALL_SECONDS": "1"}, timings=quick) as client:
        sandbox.script([])
        await edited(client, "red.png")
        sandbox.script([{"on": "paid", "slow": True, "delay_seconds": 1.5}])
        pending = await edited(client, "last", prompt="Make it warm")
        assert data(pending)["status"] == "pending"
        sandbox.script([])
        await edited(client, "red.png", prompt="Another one meanwhile")
        answers = [await edited(client, "last", prompt="Make it warm")]
        while data(answers[-1])["status"] == "pending":
            answers.append(await edited(client, "last", prompt="Make it warm"))
    assert COLLECTED in text(answers[-1])
    assert data(answers[-1])["started_from"] == data(pending)["started_from"]
    assert sandbox.charges == 3


async def test_same_call_again_starts_from_the_content_of_its_file(sandbox: Sandbox, project: Path) -> None:
    (project / "copy.png").write_bytes(RED)
    sandbox.script([{"slow": True, "delay_seconds": 1.5}])
    settings = {**environment("account", sandbox, project), "BLOCKRUN_IMAGE_CALL_SECONDS": "1"}
    async with served(settings, timings={"poll_seconds": 0.1}) as client:
        pending = await edited(client, "red.png")
        assert data(pending)["status"] == "pending"
        (project / "red.png").unlink()
        answer = pending
        while data(answer)["status"] == "pending":
            answer = await edited(client, "copy.png")
    assert COLLECTED in text(answer)
    assert sandbox.charges == 1


async def test_only_pixels_are_sent(sandbox: Sandbox, project: Path) -> None:
    (project / "red.png").write_bytes(RED + b"where it was taken")
    async with served(environment("account", sandbox, project)) as client:
        await edited(client, "red.png")
    (sent,) = digests(sandbox)[0]
    assert sent != hashlib.sha256(RED + b"where it was taken").hexdigest()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("../secret.png", "it leads out of its folder"),
        ("/etc/passwd", "it lies outside the folders"),
        ("notes.txt", "A picture to start from cannot be used"),
        ("gone.png", "there is no such file"),
        ("images://0123456789ab", "There is no picture"),
        ("last", "There is no last picture"),
        ("http://127.0.0.1:1/a.png", "cannot be used"),
        ("https://localhost/a.png", "cannot be used"),
    ],
)
async def test_what_cannot_be_used_is_refused_and_costs_nothing(
    sandbox: Sandbox, project: Path, image: str, words: str
) -> None:
    (project / "notes.txt").write_text("a secret")
    async with served(environment("account", sandbox, project)) as client:
        result = await client.call_tool(
            "generate_image", {"prompt": "Make it warm", "model": "nano-banana", "images": [image]}
        )
    assert result.is_error
    assert words in text(result)
    assert (data(result)["error"]["charged"], sandbox.posts) == ("no", 0)


async def test_mask_limits_what_changes(sandbox: Sandbox, project: Path) -> None:
    sandbox.change_models({"add": GPT_IMAGE})
    (project / "mask.png").write_bytes(mask_of((0, 0, 127, 255)))
    settings = environment("account", sandbox, project)
    assert run("models", "--refresh", settings=settings).returncode == 0
    async with served(settings) as client:
        result = await client.call_tool(
            "generate_image",
            {"prompt": "Turn it black and white", "model": "gpt-image-1", "images": ["red.png"], "mask": "mask.png"},
        )
        assert not result.is_error, text(result)
    made = opened(path_of(result).read_bytes()).convert("RGB")
    assert made.getpixel((900, 500)) == (255, 0, 0)
    assert made.getpixel((300, 500)) != (255, 0, 0)


async def test_edit_from_a_wallet_is_quoted_for_free(sandbox: Sandbox, project: Path) -> None:
    async with served(environment("wallet", sandbox, project)) as client:
        estimate = await client.call_tool(
            "estimate_cost", {"model": "nano-banana", "images": ["red.png"], "live": True}
        )
    assert data(estimate)["estimates"][0]["exact"], text(estimate)
    assert (sandbox.quotes, sandbox.paid_posts) == (1, 0)


async def test_user_is_asked_about_the_file(sandbox: Sandbox, project: Path) -> None:
    asked: list[str] = []

    async def answer(_context: object, params: Any) -> Any:
        from mcp_types import ElicitResult

        await anyio.lowlevel.checkpoint()
        asked.append(params.message)
        return ElicitResult(action="accept", content={"approve": True})

    settings = {**environment("account", sandbox, project), "BLOCKRUN_IMAGE_CONFIRM_ABOVE_USD": "0"}
    async with served(settings, answer) as client:
        await client.call_tool(
            "generate_image", {"prompt": "Make it warm", "model": "nano-banana", "images": ["red.png"]}
        )
    assert str(project / "red.png") in asked[0]


def test_command_line_starts_from_any_file_that_the_user_names(sandbox: Sandbox, tmp_path: Path, project: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.png").write_bytes(RED)
    output = tmp_path / "out.png"
    done = run(
        "generate",
        "Make it warm",
        "--model",
        "nano-banana",
        "--image",
        str(elsewhere / "mine.png"),
        "--output",
        str(output),
        settings=environment("account", sandbox, project),
    )
    assert done.returncode == 0, done.stderr
    assert f"Started from: {elsewhere / 'mine.png'}" in done.stdout
    assert opened(output.read_bytes()).size == (1024, 1024)
