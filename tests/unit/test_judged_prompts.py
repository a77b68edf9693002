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
    assert (prompt.prompt, prompt.helps, prompt.never) == ("a dog", ("@close", "low sun"), ("@night", "fog"))
    assert (prompt.has, prompt.alone, prompt.note) == ((), False, "")
    assert (prompt.size, prompt.model, prompt.arguments) == ("1024x1024", "dall-e-3", Arguments())


@pytest.mark.parametrize(
    "changes",
    [
        {"mood": "sad"},
        {"treat": "alone"},
        {"has": ["colour"]},
        {"has": ["style", "style"]},
        {"helps": ["@nightly"]},
        {"helps": ["eye level", "eye level"]},
        {"helps": ["Eye level"]},
        {"helps": ["eye level "]},
        {"never": ["@nightly"]},
        {"never": ["fog", "fog"]},
        {"never": ["Fog"]},
        {"never": [""]},
        {"helps": ["fog"]},
        {"alone": True},
        {"alone": True, "helps": []},
        {"alone": True, "never": []},
        {"alone": "yes"},
        {"size": "640x480"},
        {"model": "gpt-image-1"},
        {"arguments": {"mood": "sad"}},
        {"arguments": {"purpose": "poster"}},
        {"prompt": None},
        {"prompt": ""},
    ],
)
def test_invalid_judgement_is_refused(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"dogs\.json"):
        load(written(tmp_path, **changes))


@pytest.mark.parametrize("field", ["prompt", "has", "helps", "never"])
def test_missing_required_field_is_refused(tmp_path: Path, field: str) -> None:
    entry = {name: value for name, value in ENTRY.items() if name != field}
    (tmp_path / "dogs.json").write_text(json.dumps({"kind": "dogs", "about": "dogs", "prompts": [entry]}), "utf-8")
    with pytest.raises(ValueError, match=field):
        load(tmp_path)


@pytest.mark.parametrize("terms", [{}, {"helps": []}, {"helps": [], "never": []}])
def test_prompt_to_be_left_alone_needs_no_terms(tmp_path: Path, terms: Mapping[str, Any]) -> None:
    entry: dict[str, Any] = {"prompt": "a dog, as is", "has": [], "alone": True, **terms}
    (tmp_path / "dogs.json").write_text(json.dumps({"kind": "dogs", "about": "dogs", "prompts": [entry]}), "utf-8")
    ((prompt,),) = [kind.prompts for kind in load(tmp_path)]
    assert (prompt.alone, prompt.helps, prompt.never) == (True, (), ())


def test_terms_may_name_a_group_of_either_kind(tmp_path: Path) -> None:
    ((prompt,),) = [kind.prompts for kind in load(written(tmp_path, helps=["@studio"], never=["@copy_space"]))]
    assert (prompt.helps, prompt.never) == (("@studio",), ("@copy_space",))


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


def test_the_judged_prompts_can_be_read() -> None:
    prompts = [prompt for kind in load() for prompt in kind.prompts]
    assert len(prompts) > 500
    assert [prompt.prompt for prompt in prompts if not (prompt.alone or prompt.helps or prompt.never)] == []


def test_a_folder_without_judged_prompts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no judged prompts"):
        load(tmp_path)
