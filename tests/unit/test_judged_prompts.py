"""Judged prompts, as their files hold them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.prompts.judged import Arguments, load
from tests.support.judgements import ENTRY


def written(folder: Path, name: str = "dogs", **changes: Any) -> Path:
    kind = {"kind": name, "about": "dogs", "prompts": [ENTRY | changes]}
    (folder / f"{name}.json").write_text(json.dumps(kind), "utf-8")
    return folder


def test_a_judged_prompt_is_read_with_its_defaults(tmp_path: Path) -> None:
    ((prompt,),) = [kind.prompts for kind in load(written(tmp_path))]
    assert (prompt.prompt, prompt.never, prompt.must) == ("a dog", ("@night", "fog"), ())
    assert (prompt.size, prompt.model, prompt.arguments) == ("1024x1024", "dall-e-3", Arguments())


@pytest.mark.parametrize(
    "changes",
    [
        {"mood": "sad"},
        {"has": ["colour"]},
        {"has": ["style", "style"]},
        {"has": ["style", "composition", "lighting"]},
        {"purpose": "poster"},
        {"treat": "improve"},
        {"never": ["@nightly"]},
        {"never": ["fog", "fog"]},
        {"never": ["Fog"]},
        {"never": [""]},
        {"must": ["@dusk"]},
        {"size": "640x480"},
        {"model": "gpt-image-1"},
        {"arguments": {"mood": "sad"}},
        {"arguments": {"purpose": "poster"}},
        {"prompt": None},
    ],
)
def test_invalid_judgement_is_refused(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"dogs\.json"):
        load(written(tmp_path, **changes))


@pytest.mark.parametrize("field", ["prompt", "has", "purpose", "treat", "never"])
def test_missing_required_field_is_refused(tmp_path: Path, field: str) -> None:
    entry = {name: value for name, value in ENTRY.items() if name != field}
    (tmp_path / "dogs.json").write_text(json.dumps({"kind": "dogs", "about": "dogs", "prompts": [entry]}), "utf-8")
    with pytest.raises(ValueError, match=field):
        load(tmp_path)


def test_duplicate_prompt_is_refused_despite_case_and_spaces(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(ValueError, match=r"there twice.*A  Dog"):
        load(written(tmp_path, "hounds", prompt="A  Dog"))


@pytest.mark.parametrize("change", [{"size": "1792x1024"}, {"model": "dall-e-2"}, {"arguments": {"art_style": ""}}])
def test_prompt_with_other_arguments_is_a_separate_one(tmp_path: Path, change: Mapping[str, Any]) -> None:
    assert len(load(written(written(tmp_path), "hounds", **change))) == 2


def test_file_name_must_match_its_kind(tmp_path: Path) -> None:
    written(tmp_path).joinpath("dogs.json").rename(tmp_path / "cats.json")
    with pytest.raises(ValueError, match=r"cats\.json is of the kind dogs"):
        load(tmp_path)


def test_a_folder_without_judged_prompts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no judged prompts"):
        load(tmp_path)
