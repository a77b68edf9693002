"""What people install: the bundle, the wheel and the source archive, each alive when it is fresh from the index."""

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent
from tests.support.platforms import only_on_posix

from blockrun_image.catalog import Catalog
from blockrun_image.schemas import tool_schemas
from blockrun_image_mcp.settings import VARIABLES, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

posix_only = only_on_posix("make, and programs that start in an environment with next to nothing")

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MANIFEST: dict[str, Any] = json.loads((ROOT / "manifest.json").read_text(encoding="utf-8"))
ENTRY: dict[str, Any] = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))

ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
"""That of the key which is all ones, as Ethereum's own tools show it."""


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: str | Path | None = ROOT) -> str:
    """Return what a command prints on stdout; it is given nothing on stdin."""
    done = subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Installed:
    """A package in an environment of its own, and how a host starts the server in it."""

    environment: Path
    server: StdioServerParameters

    def run(self, *arguments: str) -> str:
        return run(self.server.command, *self.server.args, *arguments, env=self.server.env, cwd=self.server.cwd)


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """Return a folder that is gone at the end, for environments are large."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def archives(place: Path) -> Path:
    """Return a folder with the bundle, the source archive, and the wheel that is built from that."""
    folder = place / "dist"
    run("make", "bundle", f"DIST={folder}")
    run(BIN / "uv", "build", "--python", sys.executable, "--no-build-isolation", "--out-dir", folder)
    return folder


@pytest.fixture(scope="session")
def another_project(place: Path) -> Path:
    """Return a folder with modules that are named as our folders and files are."""
    folder = place / "project"
    for name in ("tools/__init__.py", "server.py", "main.py"):
        module = folder / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("raise ImportError('This is another project.')", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def bare(place: Path, another_project: Path) -> Mapping[str, str]:
    """Return the environment of a person who has uv, an index, nothing installed, and another project on the path."""
    index = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_", "SSL_"))}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    own = {"HOME": str(place / "home"), "PATH": path, "PYTHONPATH": f".{os.pathsep}{another_project}"}
    own |= {"LC_ALL": "C", "PYTHONUTF8": "0"}  # as on Windows, the names of folders are no UTF-8
    return {**index, "UV_SYSTEM_CERTS": "true", **own}


@pytest.fixture(scope="session", params=["*.mcpb", "*.whl", "*.tar.gz"])
def installed(
    request: pytest.FixtureRequest, archives: Path, place: Path, another_project: Path, bare: Mapping[str, str]
) -> Installed:
    (archive,) = archives.glob(request.param)
    folder = place / f"José{archive.suffix}"  # a user's name, which not all encodings hold
    if archive.suffix == ".mcpb":
        command, settings = unpack(archive, folder)
    else:
        command, settings = install(archive, folder, bare), {}
    server = StdioServerParameters(command=command[0], args=command[1:], env={**bare, **settings}, cwd=another_project)
    installed = Installed(folder / ".venv", server)
    assert installed.run() == "", "stdout is for the protocol, also while a bundle's first start installs it"
    return installed


def unpack(bundle: Path, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return how a bundle's manifest wants it started, and the settings of a person who has typed none."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    manifest = (folder / "manifest.json").read_text(encoding="utf-8").replace("${__dirname}", str(folder))
    for field, asked in json.loads(manifest)["user_config"].items():
        if "default" in asked:  # a host leaves the placeholder of a field without a value or a default
            manifest = manifest.replace(f"${{user_config.{field}}}", asked["default"])
    start = json.loads(manifest)["server"]["mcp_config"]
    return [start["command"], *start["args"]], start["env"]


def install(archive: Path, folder: Path, bare: Mapping[str, str]) -> list[str]:
    environment = folder / ".venv"
    run(BIN / "uv", "venv", "--python", sys.executable, environment, env=bare)
    run(BIN / "uv", "pip", "install", "--python", environment, archive, env=bare)
    return [str(environment / "bin" / "blockrun-image-mcp")]


def text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


@posix_only
async def test_fresh_install_serves_the_tools_inside_another_project(installed: Installed) -> None:
    async with Client(installed.server) as client:
        tools = (await client.list_tools()).tools
        estimate = await client.call_tool("estimate_cost", {"model": "dall-e-3"})
        refused = await client.call_tool("generate_image", {"prompt": "A fox", "model": "dall-e-3"})
    assert [tool.name for tool in tools] == ["generate_image", "list_models", "estimate_cost"]
    assert "$0.042" in text(estimate)
    assert refused.is_error
    assert "BLOCKRUN_API_KEY" in text(refused)


@posix_only
def test_a_fresh_install_makes_a_picture_on_the_sandbox(installed: Installed, tmp_path: Path) -> None:
    printed = installed.run("generate", "A fox", "--model", "nano-banana", "--sandbox", "--save", str(tmp_path))
    (picture,) = tmp_path.iterdir()
    assert f"Saved: {picture}" in printed


@posix_only
def test_fresh_install_contains_no_development_packages(installed: Installed) -> None:
    listed = json.loads(run(BIN / "uv", "pip", "list", "--python", installed.environment, "--format", "json"))
    names = {package["name"] for package in listed}
    assert {"blockrun-image-mcp", "mcp", "httpx2"} <= names
    assert not names & {"openai", "fastmcp", "litellm", "pytest", "hatchling", "ruff"}


@posix_only
async def test_readme_commands_give_a_host_the_tools(
    place: Path, another_project: Path, bare: Mapping[str, str]
) -> None:
    commands = re.findall(r"^\$ (.+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    (install,) = (shlex.split(command) for command in commands if command.startswith("uv "))
    _, add = (shlex.split(command) for command in commands if command.startswith("claude mcp add "))
    env = {**bare, "UV_TOOL_DIR": str(place / "tools"), "UV_TOOL_BIN_DIR": str(place / "bin")}
    run(BIN / "uv", *install[1:], "--python", sys.executable, env=env)
    named = dict(value.split("=", 1) for option, value in itertools.pairwise(add) if option == "--env")
    assert set(named) <= set(VARIABLES.values())
    command = add[add.index("--") + 1 :]
    server = StdioServerParameters(
        command=str(place / "bin" / command[0]), args=command[1:], env={**bare, **named}, cwd=another_project
    )
    async with Client(server) as client:
        assert len((await client.list_tools()).tools) == 3


@posix_only
@pytest.mark.timeout(300)
def test_fresh_install_needs_the_extra_for_a_wallet_and_says_so(place: Path, bare: Mapping[str, str]) -> None:
    page = (ROOT / "docs" / "wallet.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\$ (uv tool install '\..*')$", page, re.MULTILINE)
    folder = place / "wallet"
    env = {
        **bare,
        "UV_TOOL_DIR": str(folder / "tools"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "BLOCKRUN_WALLET_KEY": "0x" + "1" * 64,
    }
    show = [folder / "bin" / "blockrun-image-mcp", "wallet", "show"]
    for extra, says in (("", "blockrun-image-mcp[wallet]"), ("[wallet]", ADDRESS)):
        install = shlex.split(command.replace("[wallet]", extra))
        run(BIN / "uv", *install[1:], "--python", sys.executable, "--reinstall-package", "blockrun-image-mcp", env=env)
        shown = subprocess.run(show, env=env, cwd=place, capture_output=True, text=True, check=False)
        assert says in shown.stdout + shown.stderr
        assert "1" * 64 not in shown.stdout + shown.stderr


@posix_only
def test_bundle_contains_only_the_project(archives: Path) -> None:
    (bundle,) = archives.glob("*.mcpb")
    assert bundle.name == f"{PROJECT['name']}-{PROJECT['version']}.mcpb"
    names = zipfile.ZipFile(bundle).namelist()
    needed = {"LICENSE", "README.md", "manifest.json", "pyproject.toml", "server", "tools"}
    assert {name.partition("/")[0] for name in names} == needed
    assert not [name for name in names if "__pycache__" in name]


@posix_only
def test_wheel_contains_only_the_packages_and_their_data(archives: Path) -> None:
    (wheel,) = archives.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.partition("/")[0] for name in names}
    packages = {folder for folder in folders if not folder.endswith(".dist-info")}
    assert packages == {"blockrun_image", "blockrun_image_mcp", "blockrun_image_sandbox"}
    data = {f"blockrun_image/{file.name}" for file in (ROOT / "tools" / "blockrun_image").glob("*.json")}
    assert {"blockrun_image/prompt_tips.json", "blockrun_image/prompt_tips.schema.json"} < data <= set(names)


@posix_only
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a clone knows what is in the repository")
def test_source_archive_contains_the_repository_except_its_ci(archives: Path) -> None:
    (sdist,) = archives.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = set(run("git", "ls-files").splitlines()) - names
    assert [name for name in missing if not name.startswith(".ci/")] == []


def test_manifest_and_registry_entry_match_the_project() -> None:
    for field in ("name", "version", "description", "license", "keywords"):
        assert MANIFEST[field] == PROJECT[field]
    assert MANIFEST["compatibility"]["runtimes"]["python"] == PROJECT["requires-python"]
    (package,) = ENTRY["packages"]
    assert (package["identifier"], package["version"]) == (PROJECT["name"], PROJECT["version"])
    assert (ENTRY["version"], ENTRY["description"]) == (PROJECT["version"], PROJECT["description"])
    assert ENTRY["title"] == MANIFEST["display_name"]


def test_readme_names_the_registry_entry() -> None:
    assert ENTRY["name"].endswith(f"/{PROJECT['name']}")
    assert f"<!-- mcp-name: {ENTRY['name']} -->" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_manifest_describes_each_tool_and_marks_the_one_that_spends(catalog: Catalog) -> None:
    described = [(tool["name"], "real money" in tool["description"]) for tool in MANIFEST["tools"]]
    assert described == [(schema.name, schema.spends) for schema in tool_schemas(catalog)]


def test_host_form_fields_are_settings_with_valid_choices() -> None:
    bundled: dict[str, str] = MANIFEST["server"]["mcp_config"]["env"]
    assert list(bundled.values()) == [f"${{user_config.{field}}}" for field in MANIFEST["user_config"]]
    assert bundled == {VARIABLES[field]: f"${{user_config.{field}}}" for field in MANIFEST["user_config"]}
    listed = {variable["name"]: variable for variable in ENTRY["packages"][0]["environmentVariables"]}
    assert listed.keys() == bundled.keys()
    for name, variable in listed.items():
        for choice in variable.get("choices", []):
            Settings.read({name: choice})
        assert Settings.read({name: variable.get("default", "")}) == Settings()


def test_blank_form_fields_become_empty_settings() -> None:
    """A host replaces a field without a value only by its default, and a placeholder stops what costs money."""
    blank = {field: asked.get("default") for field, asked in MANIFEST["user_config"].items()}
    assert blank.pop("api_key") is None  # without a key, nothing is paid
    assert set(blank.values()) == {""}


def test_hosts_hide_only_the_key() -> None:
    hidden = [field for field, asked in MANIFEST["user_config"].items() if asked.get("sensitive")]
    secret = [each["name"] for each in ENTRY["packages"][0]["environmentVariables"] if each.get("isSecret")]
    assert [VARIABLES[field] for field in hidden] == secret == ["BLOCKRUN_API_KEY"]
