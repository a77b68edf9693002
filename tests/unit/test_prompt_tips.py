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
from blockrun_image.enrichment.lexicon import plural, singular
from blockrun_image.enrichment.tips import Tips

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


def offer(text: str, *path: str) -> Change:
    """Return the change that has this phrase, and no other, chosen from a list."""
    return put([text], *path)


def use(**changes: Any) -> Change:
    """Return the change that adds a use, zyx, with these changes."""
    return put({"names": ["zyxer"], "composition": ["zyx on one side"], **changes}, "uses", "zyx")


STYLE = ("purposes", "photo", "style")
LIGHT = ("purposes", "portrait", "lighting")


def test_the_vocabulary_has_no_faults() -> None:
    assert faults(DATA) == []


def test_schema_is_valid_and_describes_each_of_its_parts() -> None:
    Draft202012Validator.check_schema(SCHEMA)  # pyright: ignore[reportUnknownMemberType] - of jsonschema
    parts = {**SCHEMA["properties"], **SCHEMA["$defs"]}
    assert [name for name, part in parts.items() if not part.get("description")] == []


def test_an_editor_finds_the_schema_beside_the_file() -> None:
    assert packaged(DATA["$schema"].removeprefix("./")) == SCHEMA


def test_schema_lists_all_purposes_and_facets() -> None:
    assert {"auto", *SCHEMA["properties"]["purposes"]["required"]} == set(PURPOSES)
    assert SCHEMA["properties"]["presets"]["required"] == list(MAIN_FACETS)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (put([], "extra"), "the file"),
        (put({}, "needs"), "the file"),
        (put(1, "version"), "version"),
        (drop("sources"), "the file"),
        (put([], "facets", "mood", "terms"), "facets.mood.terms"),
        (put({}, "presets", "lighting"), "presets.lighting"),
        (put("zyx style", "presets", "style", "Zyx"), "presets.style"),
        (put(["mood"], "purposes", "photo", "skips"), "purposes.photo.skips.0"),
        (put(["zyx"], "purposes", "photo", "cues"), "purposes.photo"),
        (drop("tags", "line_art"), "tags"),
        (put([["photo"]], "conflicts"), "conflicts.0"),
        (put({"composition": ["zyx on one side"]}, "uses", "zyx"), "uses.zyx"),
        (use(names=[]), "uses.zyx.names"),
        (use(scene=["zyx on one side"]), "uses.zyx"),
        (use(ask="Say zyx."), "uses.zyx.ask"),
        (use(of={"pet": {"of": {}}}), "uses.zyx.of.pet"),
        (put({"nouns": ["zyx"], "lettered": ["zyx on one side"]}, "subjects", "zyx"), "subjects.zyx"),
        (put({"nouns": ["zyx"], "living": False}, "subjects", "zyx"), "subjects.zyx.living"),
        (drop("sources", "window", "lighting"), "sources.window"),
        (put(["zyx"], "nouns", "zyx"), "nouns"),
        (offer("style", *STYLE), "purposes.photo.style.0"),
        (offer("a,style", *STYLE), "purposes.photo.style.0"),
        (offer("a style,", *STYLE), "purposes.photo.style.0"),
        (offer("zyx --style", *STYLE), "purposes.photo.style.0"),
        (offer("zyx style\n", *STYLE), "purposes.photo.style.0"),
        (offer('a "style"', *STYLE), "purposes.photo.style.0"),
        (offer("a \ud800 style", *STYLE), "purposes.photo.style.0"),
        (offer("zyx  style", *STYLE), "purposes.photo.style.0"),
        (offer("a b c d e f g h i j k l style", *STYLE), "purposes.photo.style.0"),
        (offer(f"{'x' * 80} style", *STYLE), "purposes.photo.style.0"),
        (put([], *STYLE), "purposes.photo.style"),
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
        ("conflicts: there is no tag zyx", [append(["photo", "zyx"], "conflicts")]),
        ("unlit: there is no tag zyx", [term("zyx", "unlit")]),
        ("subjects.pet.implies: there is no tag zyx", [put(["zyx"], "subjects", "pet", "implies")]),
        ("uses.zyx.of: there is no subject xyz", [use(of={"xyz": {}})]),
        ("uses: 'zyxer' is of xyz and zyx", [put({"places": ["zyxer"]}, "uses", "xyz"), use()]),
        ("subjects: 'dog' is of dish and pet", [term("dog", "subjects", "dish", "nouns")]),
        ("sources: 'log fire' is of firelight and window", [term("log fire", "sources", "window", "cues")]),
        ("negations: 'aaa' is out of order", [append("aaa", "negations")]),
        ("uses.zyx.names: 'aaa' is out of order", [use(names=["zyxer", "aaa"])]),
        ("unlit: 'aaa' is out of order", [put(["aaa"], "tags", "aaa"), append("aaa", "unlit")]),
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
            [offer("zyx light", "purposes", "diagram", "lighting")],
        ),
        ("uses.zyx.lettered: composition is skipped", [use(lettered=["zyx on one side"], skips=["composition"])]),
        (
            "uses.zyx.of.pet.tall: composition is skipped",
            [use(of={"pet": {"tall": ["zyx on one side"], "skips": ["composition"]}})],
        ),
        ("tags.zyx: it decides nothing", [put(["zyx"], "tags", "zyx")]),
        ("guards: 'zyx zyx' hides nothing", [term("zyx zyx", "guards")]),
        ("guards: 'dog' hides nothing", [term("dog", "guards")]),
        ("guards: 'zyx zyxer' is guarded as a noun already", [use(names=["zyx zyxer"]), term("zyx zyxer", "guards")]),
        ("uses.zyx.names: 'zyxers' is the plural of 'zyxer'", [use(names=["zyxer", "zyxers"])]),
        ("purposes.photo.style: 'zyx zyx' is not found as style", [offer("zyx zyx", *STYLE)]),
        ("purposes.photo.style: 'moonlit cartoon' is found as lighting", [offer("moonlit cartoon", *STYLE)]),
        ("purposes.photo.style: 'cartoon dog' names a subject, pet", [offer("cartoon dog", *STYLE)]),
        (
            "purposes.photo.style: 'cartoon zyxer' names a use, zyx",
            [use(), offer("cartoon zyxer", *STYLE)],
        ),
        (
            "purposes.portrait.lighting: 'light of a log fire' names a source of light, firelight",
            [offer("light of a log fire", *LIGHT)],
        ),
        ("purposes.portrait.lighting: 'light without zyx' rules something out", [offer("light without zyx", *LIGHT)]),
        (
            "purposes.portrait.lighting: 'light as is' has a prompt left alone, because it asks to be sent unchanged",
            [offer("light as is", *LIGHT)],
        ),
        (
            "purposes.portrait.lighting: 'sunbeam at night' contradicts itself, as night and sun",
            [offer("sunbeam at night", *LIGHT)],
        ),
        ("purposes.portrait.lighting: 'stunning light' praises, with 'stunning'", [offer("stunning light", *LIGHT)]),
        ("presets.style: 'zyx zyx' is not found as style", [put("zyx zyx", "presets", "style", "zyx")]),
        (
            "presets.lighting: 'A zyx light' is the same as 'light, a zyx'",
            [
                put("light, a zyx", "presets", "lighting", "xyz"),
                put("A zyx light", "presets", "lighting", "zyx"),
            ],
        ),
        (
            "purposes.portrait.lighting: 'Zyx light' is the same as 'zyx light'",
            [put(["zyx light", "Zyx light"], *LIGHT)],
        ),
        ("tags.day: 'no zyx' begins with what rules it out", [term("no zyx", "tags", "day")]),
        ("sources.window.cues: 'no zyx' begins with what rules it out", [term("no zyx", "sources", "window", "cues")]),
        (
            "sources.window.cues: 'night sky' rules out its own light",
            [
                put({"cues": ["night sky"], "lighting": ["sunny light"]}, "sources", "window"),
            ],
        ),
        ("uses.zyx.names: 'zyxing of' tells nothing", [use(names=["zyxing of"])]),
        ("subjects.person.nouns: 'draw' tells nothing", [term("draw", "subjects", "person", "nouns")]),
    ],
)
def test_each_kind_of_fault_is_reported_with_its_place(fault: str, changes: Sequence[Change]) -> None:
    assert fault in faults(changed(*changes))


@pytest.mark.parametrize(
    "changes",
    [
        [offer("zyx cartoon, zyx's 3D-like", *STYLE)],
        [use()],
        [use(destination=True, places=["xyz"], of={"pet": {"wide": ["zyx on one side"], "skips": ["style"]}})],
        [use(ask="Say what the zyx is")],
        [put({"nouns": ["xyzzy"], "scene_light": ["zyx light"], "implies": ["day"]}, "subjects", "zyx")],
        [put({"cues": ["xyzzy"], "lighting": ["zyx light"]}, "sources", "zyx")],
        [term("dog zyx", "guards")],
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
        return changed(offer("moonlit zyx", *STYLE))

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
        (drop("facets", "style", "terms"), "terms: there is no 'terms'"),
        (append("", "guards"), "terms: '', a term of guard, has no words"),
        (append(5, "tags", "day"), "terms: 5, a term of tag day, has no words"),
        (put(None, "presets", "style"), "presets: 'NoneType' object has no attribute 'items'"),
        (append(["photo"], "conflicts"), "conflicts: not enough values to unpack"),
        (put(5, "uses", "logo", "wide"), "lists of phrases: 'int' object is not iterable"),
        (put([1], "uses", "logo", "composition"), "lists of phrases: "),
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
