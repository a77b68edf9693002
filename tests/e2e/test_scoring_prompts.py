"""The command behind `make prompts`, as a process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.prompts.before import COMMIT, enricher_of
from tests.support.judgements import judged as judged_prompt

JUDGED = judged_prompt("two friends")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A folder whose only prompt no enricher is to touch, which ours does."""
    prompt: dict[str, object] = {"prompt": "a dog", "has": [], "alone": True}
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
    cells = [cell.strip() for cell in row if cell]
    assert cells[:-2] == ["over_enrichment", "at most 2 %", "100", "0", "100", "100"]
    assert cells[-2] in ("100", "-")  # of the enricher before, where the history is there
    assert cells[-1] == "MISSED"
    assert "first_use" in done.stdout
    assert "vocabulary" in done.stdout


def test_number_of_enriched_prompts_is_shown_beside_those_of_the_baselines(judged: Path) -> None:
    (row,) = [
        line.split() for line in run("--judged", judged).stdout.splitlines() if line.startswith("prompts_enriched")
    ]
    assert row[:-1] == ["prompts_enriched", "1", "0", "1", "1"]


def test_enricher_of_an_earlier_commit_adds_what_it_did_then() -> None:
    with enricher_of(COMMIT) as before:
        if before is None:
            pytest.skip("the history is not there")
        assert before(JUDGED, "two friends").prompt.startswith("two friends. ")  # ours adds nothing to them


def test_without_the_history_there_is_no_enricher_of_it() -> None:
    with enricher_of("0" * 40) as before:
        assert before is None


def test_failing_prompts_are_listed_with_their_additions_and_the_reason(judged: Path) -> None:
    done = run("--judged", judged, "--list", "over_enrichment")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "a dog")
    assert "(subjects.pet.style)" in done.stdout
    assert done.stdout.endswith("fails: it was to be left alone\n")


def test_unknown_kind_is_refused_with_the_existing_ones(judged: Path) -> None:
    done = run("--judged", judged, "--kind", "cats")
    assert (done.returncode, done.stdout) == (2, "")
    assert "none of dogs" in done.stderr


def test_folder_without_judged_prompts_is_refused(tmp_path: Path) -> None:
    done = run("--judged", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no judged prompts" in done.stderr
