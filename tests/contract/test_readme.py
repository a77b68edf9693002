"""What the README says is what the code does."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.conftest import process_environment

from blockrun_image import Catalog, ImageError, ImageToolset, errors
from blockrun_image_mcp.cli import main
from blockrun_image_mcp.settings import VARIABLES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = "".join(re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
SESSIONS = re.findall(r"^\$ blockrun-image-mcp (.+)\n((?:(?!\$ ).*\n)*)", CONSOLE, re.MULTILINE)
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def run_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=process_environment({}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_model_table_is_the_catalogue(catalog: Catalog) -> None:
    table = ImageToolset(catalog).list_models().to_table()
    assert f"<!-- models -->\n{table}\n<!-- /models -->" in README, f"The table should be:\n{table}"


def test_every_setting_is_explained_and_every_explained_setting_exists() -> None:
    explained = re.findall(r"^\| `(BLOCKRUN_\w+)` \|", README, re.MULTILINE)
    assert sorted(explained) == sorted(VARIABLES.values())
    assert set(re.findall(r"BLOCKRUN_\w+", README)) <= set(VARIABLES.values())


def test_every_kind_of_error_is_explained() -> None:
    table = README.partition("## Errors")[2].partition("## ")[0]
    explained = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    kinds = {kind("").type for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ImageError)}
    assert explained - {"type"} == kinds - {"image", "spec"}


@pytest.mark.parametrize(("command", "printed"), SESSIONS, ids=[command for command, _ in SESSIONS])
def test_every_command_prints_what_is_written_below_it(command: str, printed: str, tmp_path: Path) -> None:
    done = run_in(tmp_path, "-m", "blockrun_image_mcp", *shlex.split(command))
    assert (done.returncode, done.stderr) == (0, "")
    assert without_chance(done.stdout) == without_chance(printed)


def without_chance(printed: str) -> str:
    """Return what was printed without the port, the folder and the file name, which are never the same."""
    return re.sub(r"(?<=127\.0\.0\.1:)\d+|(?<=Saved: ).*/pictures/[\w-]+", "…", printed).strip()


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_runs_as_it_is_written(program: str, tmp_path: Path) -> None:
    done = run_in(tmp_path, "-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_is_in_the_readme_or_the_default_and_has_an_example_that_names_it(name: str) -> None:
    command = main.commands[name]
    assert f"Example: blockrun-image-mcp {name}" in (command.help or "")
    assert f"`blockrun-image-mcp {name}" in README or f"$ blockrun-image-mcp {name}" in README or name == "serve"
    options = {opt for each in command.params if isinstance(each, click.Option) for opt in each.opts}
    for example in re.findall(rf"blockrun-image-mcp {name}\b(.*)", f"{README}\n{command.help}"):
        assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", example)) <= options | {"--help"}


def test_there_is_something_to_run() -> None:
    assert len(SESSIONS) == 4
    assert all(printed for _, printed in SESSIONS)
    assert len(PROGRAMS) == 2
