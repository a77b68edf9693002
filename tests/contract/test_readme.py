"""What the README and the pages in docs/ say is what the code does."""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path, PureWindowsPath
from typing import Any

import click
import pytest
from mcp import Client
from PIL import Image, ImageChops
from tests.support.pages import EVERYTHING, FILES, PAGES, README, ROOT, text_of
from tests.support.platforms import only_on_linux, only_on_posix
from tests.support.processes import process_environment, server_parameters

from blockrun_image import Catalog, ImageError, ImageToolset, enrich, errors
from blockrun_image.schemas import tool_schemas
from blockrun_image_mcp.cli.group import main
from blockrun_image_mcp.settings import VARIABLES, Settings
from blockrun_image_sandbox.drawing import draw

ELSEWHERE = "hosts.md"
"""Its commands and programs need hosts and frameworks; those that `make compat` has are run there."""


RUN_HERE = text_of(*(page.name for page in PAGES if page.name != ELSEWHERE))
BLOCKS: Sequence[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```", RUN_HERE, re.MULTILINE | re.DOTALL)
CONSOLE = "".join(block for kind, block in BLOCKS if kind == "console")
COMMANDS: Sequence[tuple[str, str]] = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", CONSOLE, re.MULTILINE)
SESSIONS = [(command, printed) for command, printed in COMMANDS if command.startswith("blockrun-image-mcp ")]
OTHERS = [command for command, _ in COMMANDS if not command.startswith("blockrun-image-mcp ")]
SHOWN = {
    "/home/you/": only_on_posix("paths that are written so"),
    "/.local/": only_on_linux("folders that are named so"),
}
PROGRAMS = [block for kind, block in BLOCKS if kind == "python"]
HOSTS = [file for file in FILES if len(file) == 1 and not file.keys() & {"mcp", "permission"}]


def run_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        # its clients start servers without the other folders
        env=process_environment({"HOME": str(folder), "BLOCKRUN_IMAGE_SPEC": ""}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_readme_model_table_matches_the_catalogue(catalog: Catalog) -> None:
    table = ImageToolset(catalog).list_models().to_table()
    assert f"<!-- models -->\n{table}\n<!-- /models -->" in README, f"The table should be:\n{table}"


def test_documented_settings_are_exactly_the_existing_ones() -> None:
    explained = re.findall(r"^\| `(BLOCKRUN_\w+)` \|", text_of("settings.md"), re.MULTILINE)
    assert sorted(explained) == sorted(VARIABLES.values())
    assert set(re.findall(r"BLOCKRUN_\w+", EVERYTHING)) <= set(VARIABLES.values())


@pytest.mark.parametrize("field", VARIABLES)
def test_settings_table_repeats_what_the_code_declares(field: str) -> None:
    info = Settings.model_fields[field]
    rows = dict(re.findall(r"^\| `(BLOCKRUN_\w+)` \| (.*) \|$", text_of("settings.md"), re.MULTILINE))
    cell = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", rows[VARIABLES[field]])
    assert cell == info.description
    if info.default is not None:
        assert re.search(rf"{info.default:g}\b" if isinstance(info.default, float) else rf"{info.default}\b", cell)


def test_every_error_type_is_documented() -> None:
    table = text_of("errors.md")
    explained = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    kinds = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ImageError)}
    assert explained - {"type"} == kinds - {"image", "spec"}


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        pytest.param(command, printed, id=command, marks=[mark for folder, mark in SHOWN.items() if folder in printed])
        for command, printed in SESSIONS
    ],
)
def test_documented_commands_print_the_documented_output(command: str, printed: str, tmp_path: Path) -> None:
    done = run_in(tmp_path, "-m", *shlex.split(command.replace("-", "_", 2)))
    assert (done.returncode, done.stderr) == (0, "")
    assert without_chance(done.stdout) == without_chance(printed)


def without_chance(printed: str) -> str:
    """Return what was printed without what differs from place to place: the port, folders, file names and versions."""
    chance = (
        r"\d{4}-\d\d-\d\d(?= \(UTC\))|(?<=127\.0\.0\.1:)\d+|(?<=Saved: ).*(?=/red-fox)"
        r"|(?<=folder: ).*(?=/blockrun-image-mcp)|(?<=simulated \()/.*(?=/blockrun-image-mcp/)|(?<=Python 3\.)[\d.]+"
    )
    return re.sub(chance, "…", printed).strip()


@pytest.mark.parametrize("program", PROGRAMS)
def test_documented_programs_run_as_written(program: str, tmp_path: Path) -> None:
    done = run_in(tmp_path, "-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
def test_every_command_is_documented_with_a_valid_example(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert f"Example: blockrun-image-mcp {name}" in (command.help or "")
    assert re.search(rf"(`|\$ )blockrun-image-mcp {name}\b", EVERYTHING) or name == "serve"
    options = {opt for each in command.params if isinstance(each, click.Option) for opt in each.opts}
    for example in re.findall(rf"blockrun-image-mcp {name}\b([^`\n]*)", f"{EVERYTHING}\n{command.help}"):
        assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", example)) <= options | {"--help"}


@pytest.mark.anyio
@pytest.mark.parametrize("file", HOSTS, ids=lambda file: next(iter(file)))
async def test_every_host_config_starts_a_server_with_the_tools(file: dict[str, Any]) -> None:
    ((_, servers),) = file.items()
    ((name, server),) = servers.items()
    server = server.get("transport", server)  # as Cline has it
    assert PureWindowsPath(server["command"]).stem == "blockrun-image-mcp"
    assert server.get("env", {}).keys() <= set(VARIABLES.values())
    assert all(len(f"{name}_{schema.name}") < 60 for schema in tool_schemas(Catalog.load()))
    parameters = server_parameters(server.get("env", {}), *server.get("args", []))
    async with Client(parameters) as client:
        assert len((await client.list_tools()).tools) == 3


def test_readme_picture_is_what_its_command_draws() -> None:
    (shown,) = re.findall(r'<img src="([^"]+)"', README)
    command = shlex.split(next(command for command, _ in SESSIONS if " generate " in command))
    prompt, size = command[2], command[command.index("--size") + 1]
    width, height = (int(side) for side in size.split("x"))
    drawn = draw(enrich(prompt, model="dall-e-3", size=size).prompt, width=width, height=height)
    with Image.open(ROOT / shown) as picture, Image.open(BytesIO(drawn)) as again:
        assert ImageChops.difference(picture.convert("RGB"), again.convert("RGB")).getbbox() is None


@only_on_posix("make")
def test_demo_makes_and_saves_two_pictures(tmp_path: Path) -> None:
    recipe = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "python examples/demo.py" in recipe.stdout
    done = run_in(tmp_path, str(ROOT / "examples/demo.py"))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "demo-pictures").glob("*.png"))) == 2
    assert done.stdout.count("Sandbox: nothing was charged (a real call: $") == 2


def test_remaining_documented_commands_are_tested_elsewhere() -> None:
    tried = {"uv tool install .", "uv tool install '.[wallet]'"}
    assert {command for command in OTHERS if not command.startswith("claude mcp add ")} == tried
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z]+)", EVERYTHING)) <= targets


def test_powershell_commands_start_the_same_demo_as_make() -> None:
    script = re.findall(r"^\.venv\\Scripts\\python (examples\\\S+)$", text_of(ELSEWHERE), re.MULTILINE)
    assert [name.replace("\\", "/") for name in script] == re.findall(
        r"^\t@\$\(BIN\)/python (examples/\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )


def test_expected_number_of_examples_is_found() -> None:
    assert len(SESSIONS) == 7
    assert all(printed for _, printed in SESSIONS)
    assert len(PROGRAMS) == 3
    assert len(HOSTS) == 4
    assert {kind for kind, _ in BLOCKS} == {"console", "json", "python"}


def test_every_internal_link_resolves() -> None:
    for page in (*PAGES, *(ROOT / name for name in ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"))):
        for file, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#?)([^)]*)\)", page.read_text(encoding="utf-8")):
            target = page.parent / file if file else page
            assert target.exists(), (page.name, file)
            if anchor:
                heads = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8").lower(), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", head).replace(" ", "-") for head in heads}, (page.name, anchor)


def test_readme_has_at_most_170_lines() -> None:
    assert len(README.splitlines()) <= 170
