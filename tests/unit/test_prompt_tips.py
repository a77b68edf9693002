"""The prompt vocabulary: it has no faults, each kind of fault is found, and a damaged one is refused."""

import copy
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from tests.prompts import lint
from tests.prompts.lint import faults, main, packaged

from blockrun_image.enrichment.enriched import MAIN_FACETS, PURPOSES
from blockrun_image.enrichment.reading import OTHER
from blockrun_image.enrichment.tips import Tips, plural, singular

DATA: dict[str, Any] = packaged("prompt_tips.json")
SCHEMA: dict[str, Any] = packaged("prompt_tips.schema.json")

Change = Callable[[Any], object]


def changed(*changes: Change) -> Any:
    """Return a copy of the vocabulary, changed."""
    data = copy.deepcopy(DATA)
    for change in changes:
        change(data)
    return data


def at(data: Any, path: Sequence[str]) -> Any:
    for name in path:
        data = data[name]
    return data


def put(value: Any, *path: str) -> Change:
    """Return the change that puts a value where the path leads."""
    return lambda data: at(data, path[:-1]).update({path[-1]: value})


def drop(*path: str) -> Change:
    return lambda data: at(data, path[:-1]).pop(path[-1])


def append(value: Any, *path: str) -> Change:
    return lambda data: at(data, path).append(value)


def term(text: str, *path: str) -> Change:
    """Return the change that adds a term to a list, in its place."""

    def change(data: Any) -> None:
        terms = at(data, path)
        terms[:] = sorted([*terms, text])

    return change


def phrase(facet: str, text: str, *, id: str = "zyx") -> Change:
    return put(text, "phrases", facet, id)


def offer(*path: str) -> Change:
    """Return the change that has the phrase zyx, and no other, chosen from a list."""
    return put(["zyx"], *path)


def need(id: str, *tags: str) -> Change:
    return put({id: [*tags]}, "needs")


def test_the_vocabulary_has_no_faults() -> None:
    assert faults(DATA) == []


def test_schema_is_valid_and_describes_each_of_its_parts() -> None:
    Draft202012Validator.check_schema(SCHEMA)  # pyright: ignore[reportUnknownMemberType] - of jsonschema
    parts = {**SCHEMA["properties"], **SCHEMA["$defs"]}
    assert [name for name, part in parts.items() if not part.get("description")] == []


def test_an_editor_finds_the_schema_beside_the_file() -> None:
    assert packaged(DATA["$schema"].removeprefix("./")) == SCHEMA


def test_schema_lists_all_purposes_facets_and_the_fallback_subject() -> None:
    assert {"auto", *SCHEMA["properties"]["purposes"]["required"]} == set(PURPOSES)
    assert OTHER in SCHEMA["properties"]["subjects"]["required"]
    assert SCHEMA["properties"]["phrases"]["required"] == list(MAIN_FACETS)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (put([], "extra"), "the file"),
        (drop("shapes"), "the file"),
        (put([], "facets", "mood", "terms"), "facets.mood.terms"),
        (put([], "fallbacks", "lighting"), "fallbacks.lighting"),
        (put("zyx style", "phrases", "style", "Zyx"), "phrases.style"),
        (put(["mood"], "purposes", "photo", "skips"), "purposes.photo.skips.0"),
        (drop("subjects", "other"), "subjects"),
        (put([["photo"]], "conflicts"), "conflicts.0"),
        (need("zyx"), "needs.zyx"),
        (phrase("style", "style"), "phrases.style.zyx"),
        (phrase("style", "a, style"), "phrases.style.zyx"),
        (phrase("style", "zyx --style"), "phrases.style.zyx"),
        (phrase("style", "zyx style\n"), "phrases.style.zyx"),
        (phrase("style", 'a "style"'), "phrases.style.zyx"),
        (phrase("style", "a \ud800 style"), "phrases.style.zyx"),
        (phrase("style", "zyx  style"), "phrases.style.zyx"),
        (phrase("style", "a b c d e f g h style"), "phrases.style.zyx"),
        (phrase("style", f"{'x' * 80} style"), "phrases.style.zyx"),
        (term("", "guards"), "guards.0"),
        *((term(text, "guards"), "guards.") for text in ("Zyx", "zyx\n", "zyx-zyx", " zyx", "zyx!", "été", "x" * 41)),
    ],
)
def test_schema_fault_is_reported_with_its_place_and_expectation(change: Change, place: str) -> None:
    (fault,) = faults(changed(change))
    assert re.fullmatch(rf"{re.escape(place)}[^:]*: .+ \([A-Z].+\)", fault)


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        ("purposes.photo.style: there is no style phrase zyx", [offer("purposes", "photo", "style")]),
        (
            "shapes.tall: there is no composition phrase zyx",
            [phrase("style", "zyx cartoon"), offer("shapes", "tall")],
        ),
        ("phrases: zyx is there twice", [phrase("lighting", "zyx light"), phrase("style", "zyx cartoon")]),
        ("conflicts: there is no tag zyx", [append(["photo", "zyx"], "conflicts")]),
        ("needs: there is no phrase zyx", [need("zyx", "night")]),
        ("needs.zyx: there is no tag xyz", [phrase("lighting", "zyx light"), need("zyx", "xyz")]),
        ("subjects: 'dog' is of two classes", [term("dog", "subjects", "food", "nouns")]),
        ("negations: 'aaa' is out of order", [append("aaa", "negations")]),
        ("languages.other: 'Ā' is not in lower case", [term("Ā", "languages", "other")]),
        (
            "conflicts: night and zyx are there twice",
            [
                put(["zyx"], "tags", "zyx"),
                append(["zyx", "night"], "conflicts"),
                append(["night", "zyx"], "conflicts"),
            ],
        ),
        (
            "purposes.diagram.lighting: lighting is skipped",
            [phrase("lighting", "zyx light"), offer("purposes", "diagram", "lighting")],
        ),
        ("needs.zyx: no rule chooses the phrase", [phrase("lighting", "zyx light"), need("zyx", "night")]),
        ("tags.zyx: it decides nothing", [put(["zyx"], "tags", "zyx")]),
        ("guards: 'zyx zyx' hides nothing", [term("zyx zyx", "guards")]),
        ("phrases.style.zyx: it is not found as style", [phrase("style", "zyx zyx")]),
        ("phrases.style.zyx: it is found as lighting", [phrase("style", "moonlit cartoon")]),
        ("phrases.style.zyx: it names a subject, dog (animal)", [phrase("style", "dog cartoon")]),
        ("phrases.lighting.zyx: it rules something out", [phrase("lighting", "light without zyx")]),
        (
            "phrases.lighting.zyx: a prompt with it is left alone, because it asks to be sent unchanged",
            [phrase("lighting", "light as is")],
        ),
        ("phrases.lighting.zyx: it contradicts itself, as night and sun", [phrase("lighting", "sunbeam at night")]),
        ("phrases.lighting.zyx: it praises, with 'stunning'", [phrase("lighting", "stunning light")]),
        (
            "phrases.lighting.zyx: it is the same as lighting.xyz",
            [phrase("lighting", "a zyx light", id="xyz"), phrase("lighting", "A zyx light")],
        ),
        (
            "phrases.style.zyx: it tells logo_icon, and is chosen for any purpose",
            [phrase("style", "vector logo"), offer("fallbacks", "style")],
        ),
        (
            "phrases.style.zyx: it tells logo_icon, and is chosen for photo",
            [phrase("style", "vector logo"), offer("purposes", "photo", "style")],
        ),
        (
            "needs.zyx: day contradicts it",
            [phrase("lighting", "zyx moonlight"), need("zyx", "day")],
        ),
        (
            "needs.zyx: xyz has night, and would let it be added the next time",
            [
                phrase("composition", "zyx side view"),
                phrase("lighting", "xyz moonlight", id="xyz"),
                need("zyx", "night"),
            ],
        ),
        ("tags.day: 'no zyx' begins with what rules it out", [term("no zyx", "tags", "day")]),
        ("purposes.photo.cues: 'logo' tells logo_icon", [term("logo", "purposes", "photo", "cues")]),
        ("subjects.person.nouns: 'dogs' tells animal", [term("dogs", "subjects", "person", "nouns")]),
    ],
)
def test_each_kind_of_fault_is_reported_with_its_place(fault: str, changes: Sequence[Change]) -> None:
    assert fault in faults(changed(*changes))


@pytest.mark.parametrize(
    "changes",
    [
        [phrase("style", "zyx cartoon"), offer("purposes", "illustration", "style")],
        [phrase("style", "vector logo"), offer("purposes", "logo_icon", "style")],
        [phrase("lighting", "zyx moonlight"), offer("subjects", "space", "lighting"), need("zyx", "night")],
        [phrase("style", "zyx's 3D-like cartoon")],
        [put([], "fallbacks", "style")],
        [drop("subjects", "space", "lighting")],
        [drop("$schema")],
    ],
)
def test_valid_variation_has_no_faults(changes: Sequence[Change]) -> None:
    assert faults(changed(*changes)) == []


def test_refusal_by_the_code_alone_is_reported_as_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> Tips:
        raise ValueError("purposes: zyx")

    monkeypatch.setattr(Tips, "read", refuse)
    assert faults(DATA) == ["purposes: zyx"]


def test_lint_reports_no_faults() -> None:
    result = CliRunner().invoke(main)
    assert (result.output, result.exit_code) == ("prompt_tips.json has no faults.\n", 0)


def test_lint_prints_one_fault_per_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_: str) -> Any:
        return changed(phrase("style", "dog zyx"))

    monkeypatch.setattr(lint, "packaged", damaged)
    result = CliRunner().invoke(main)
    assert len(result.output.splitlines()) == 2
    assert result.exit_code == 1


def test_lint_locates_invalid_json_and_duplicate_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, said in (
        ("{", "line 1 column 2"),
        ('{"tags": {"day": [], "day": []}}', "day stands twice in one object"),
    ):

        def damaged(_: str, *, text: str = text) -> Any:
            return lint.parsed(text)

        monkeypatch.setattr(lint, "packaged", damaged)
        result = CliRunner().invoke(main)
        assert said in result.output
        assert result.exit_code == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop("purposes", "photo"), "purposes: they are not those that can be asked for"),
        (drop("purposes"), "purposes: there is no 'purposes'"),
        (put(["zyx"], "fallbacks", "style"), "lists of phrases: there is no 'zyx'"),
        (drop("facets", "style", "terms"), "terms: there is no 'terms'"),
        (append("", "guards"), "terms: '', a term of guard, has no words"),
        (append(5, "tags", "day"), "terms: 5, a term of tag day, has no words"),
        (put(None, "phrases", "style"), "phrases: 'NoneType' object has no attribute 'items'"),
        (append(["photo"], "conflicts"), "conflicts: not enough values to unpack"),
        (put(5, "shapes", "wide"), "lists of phrases: 'int' object is not iterable"),
    ],
)
def test_a_damaged_vocabulary_is_refused_with_its_place(change: Change, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        Tips.read(changed(change))


@pytest.mark.parametrize(
    ("word", "many"), [("dog", "dogs"), ("box", "boxes"), ("church", "churches"), ("berry", "berries"), ("toy", "toys")]
)
def test_a_noun_has_its_regular_plural(word: str, many: str) -> None:
    assert plural(word) == many


@pytest.mark.parametrize(("word", "one"), [("dogs", "dog"), ("dog", "dog"), ("glass", "glass"), ("bus", "bus")])
def test_only_a_plural_ending_is_removed_from_a_word(word: str, one: str) -> None:
    assert singular(word) == one
