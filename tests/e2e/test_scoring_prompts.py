"""The command behind `make prompts`, as a process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A folder whose only prompt no enricher is to touch, which ours does."""
    prompt: dict[str, object] = {"prompt": "a dog", "has": [], "purpose": None, "treat": "alone", "never": []}
    (tmp_path / "dogs.json").write_text(json.dumps({"kind": "dogs", "about": "dogs", "prompts": [prompt]}), "utf-8")
    return tmp_path


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.prompts", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_missed_bar_is_shown_beside_baselines_and_sets_the_exit_status(judged: Path) -> None:
    done = run("--judged", judged)
    assert done.returncode == 1
    (row,) = [line.split("  ") for line in done.stdout.splitlines() if line.startswith("over_enrichment")]
    assert [cell.strip() for cell in row if cell] == ["over_enrichment", "at most 2 %", "100", "100", "100", "MISSED"]
    assert "first_use" in done.stdout


def test_failing_prompts_are_listed_with_their_additions_and_the_reason(judged: Path) -> None:
    done = run("--judged", judged, "--list", "over_enrichment")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "a dog")
    assert "(subjects.animal.style)" in done.stdout
    assert done.stdout.endswith("fails: it was to be left alone\n")


def test_unknown_kind_is_refused_with_the_existing_ones(judged: Path) -> None:
    done = run("--judged", judged, "--kind", "cats")
    assert (done.returncode, done.stdout) == (2, "")
    assert "none of dogs" in done.stderr


def test_folder_without_judged_prompts_is_refused(tmp_path: Path) -> None:
    done = run("--judged", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no judged prompts" in done.stderr
