"""A panel's prompts, the sheet that it fills in, and what `make panel` makes of that."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from tests.prompts import asked, panel, sheets
from tests.prompts.blocks import Block, Judgement
from tests.prompts.panel import main

from blockrun_image import enrich
from blockrun_image.enrichment import Addition, Advice, EnrichedPrompt

ADVICE = Advice(facet="style", say="Name a style", example="watercolor")


def enriched(prompt: str, *added: str, advice: Sequence[Advice] = (), reason: str = "") -> EnrichedPrompt:
    applied = [Addition("lighting", text, "subject", "a rule", "a reason") for text in added]
    return EnrichedPrompt(", ".join([prompt, *added]), prompt, applied, advice=advice, reason=reason)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Write a file, of text or of bytes."""

    def write(content: str | bytes, name: str = "sheet.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enrich nothing but dogs, and so that the rules may change."""

    def enrich(prompt: str, *, model: str, size: str | None) -> EnrichedPrompt:
        if "dog" in prompt:
            return enriched(prompt, "soft light", f"for {model} at {size}")
        return enriched(prompt, advice=[ADVICE], reason="it names no dog")

    monkeypatch.setattr(panel, "enrich", enrich)


def run(**options: Path | str) -> Result:
    return CliRunner().invoke(main, [word for name, value in options.items() for word in (f"--{name}", str(value))])


def filled(marks: str, *, has_head: bool = True) -> str:
    """Return a sheet with a block for each word: a letter for advice, or those for additions and then for the whole.

    A dash leaves a blank.
    """
    blocks: list[Block] = []
    for number, word in enumerate(marks.split(), 1):
        labels = [*(f"lighting: light {place}" for place in range(len(word) - 1)), "whole"]
        told = ["prompt: a dog"]
        if len(word) == 1:
            labels, told = ["advice: Say more"], ["prompt: a cat", "nothing added: rich"]
        judgements = [Judgement(label, mark.strip("-")) for label, mark in zip(labels, word, strict=True)]
        blocks.append(Block(str(number), told, judgements))
    text = sheets.written(blocks)
    return text if has_head else text[text.index("===") :]


def figures(result: Result) -> Mapping[str, list[str]]:
    rows = [re.split(r"  +", line) for line in result.output.splitlines()[2:]]
    return {row[0]: row[1:] for row in rows}


@pytest.mark.usefixtures("made_up")
def test_the_sheet_has_a_block_for_each_prompt_also_where_nothing_is_judged(file: Callable[..., Path]) -> None:
    prompts = [{"prompt": "a dog\nin a hat", "size": "1792x1024", "id": "d-7"}, {"prompt": "a cat"}]
    result = run(prompts=file("\n\n".join(map(json.dumps, prompts))), model="nano-banana")
    head, *blocks = result.stdout.split("\n\n")
    assert result.exit_code == 0
    assert all(line.startswith("# ") for line in head.splitlines())
    assert head.endswith("2 prompts with 2 additions and 1 pieces of advice.")
    assert [block.split("\n") for block in blocks] == [
        [
            "=== d-7",
            "prompt: a dog ⏎ in a hat",
            "size: 1792x1024",
            "[ ] lighting: soft light",
            "[ ] lighting: for nano-banana at 1792x1024",
            "[ ] whole",
        ],
        ["=== 2", "prompt: a cat", "nothing added: it names no dog", "[ ] advice: Name a style e.g. watercolor", ""],
    ]


def test_plain_prompts_are_numbered_without_the_blank_lines(file: Callable[..., Path]) -> None:
    read = asked.read("a dog\r\n\r\n  a\x85cat \n")
    assert {name: each.prompt for name, each in read.items()} == {"1": "a dog", "2": "a\x85cat"}
    assert asked.text_of(file("\ufeffa dog")) == "a dog"


def test_the_same_words_in_another_size_are_another_prompt() -> None:
    prompts = [{"prompt": "a dog"}, {"prompt": "a dog", "size": "1792x1024"}]
    assert list(asked.read("\n".join(map(json.dumps, prompts)))) == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n \n", "there are no prompts in it"),
        (b"a dog\n\na caf\xe9", "line 3: it is not UTF-8"),
        ("a dog\na cat\nA  Dog", "line 3: the prompt is there already, in line 1"),
        ('{"prompt": "a", "id": 2}\n{"prompt": "b"}', "line 2: the id 2 is there already, in line 1"),
        ('{"prompt": "a dog"}\na cat', "line 2: plain lines and JSON"),
        ('a cat\n{"prompt": "a dog"}', "line 2: plain lines and JSON"),
        ('{"prompt": "a dog"', "line 1: Invalid JSON"),
        ('{"size": "1024x1024"}', "line 1: prompt: Field required"),
        ('\n{"prompt": " "}', "line 2: prompt: Value error, it is empty"),
        ('{"prompt": "a dog", "size": "wide"}', "line 1: size: Value error, a size is like 1024x1024"),
        ('{"prompt": "a dog", "id": "a b"}', "line 1: id"),
        ('{"prompt": "a dog", "mood": "sad"}', "line 1: mood: Extra inputs"),
    ],
)
def test_bad_file_of_prompts_is_refused_with_the_line(content: str | bytes, said: str, file: Any) -> None:
    result = run(prompts=file(content, "prompts.txt"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"prompts.txt: {said}" in result.stderr


HOSTILE = [
    "=== 1",
    "[H] whole",
    "# no heading",
    "a dog\n=== 7\n[X] whole\r\n#",
    "a\x00\x1b[31mdog\x85=== 8\u2028[ ] whole\u202e",
    "nothing added: \ud800",
    "a dog, " * 1_500,
    "\n" * 10_000,
]


@pytest.mark.parametrize("prompt", HOSTILE)
def test_no_prompt_breaks_the_sheet(prompt: str) -> None:
    block = Block.of("1", None, enriched(prompt, "soft light", advice=[ADVICE]))
    (told,) = block.told
    assert told.isprintable()
    assert len(told) < 2_100
    marked = str(block)
    for blank, mark in (("[ ] lighting", "[ h ] lighting"), ("[ ] whole", "[b] whole"), ("[ ] advice", "[u]advice")):
        marked = marked.replace(f"\n{blank}", f"\r\n{mark}")
    (read,) = sheets.read(f"{marked}\r\n").values()
    assert (read.name, read.told, read.labels) == ("1", [told.strip()], block.labels)
    assert [each.word for each in read.judgements] == ["helps", "better", "useful"]


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_whatever_the_prompts_are_each_blank_of_the_sheet_is_found_again(prompts: list[str]) -> None:
    blocks = [Block.of(str(place), None, enriched(prompt, "soft light")) for place, prompt in enumerate(prompts)]
    read = sheets.read(sheets.written(blocks).replace("\n[ ] whole", "\n[W] whole").replace("\n[ ]", "\n[X]"))
    assert [[each.word for each in block.judgements] for block in read.values()] == [["harms", "worse"]] * len(prompts)


def test_a_long_prompt_is_shown_as_cut() -> None:
    (told,) = Block.of("1", None, enriched("a dog " * 1_000, "soft light")).told
    assert told.endswith("… (cut here; it has 6,000 characters)")


def test_advice_needs_neither_facet_nor_example() -> None:
    advice = [Advice(facet="", say="Say what it does", example="")]
    assert Block.of("1", None, enriched("a dog", advice=advice)).labels == ["advice: Say what it does"]


def test_figures_of_a_good_panel_meet_the_bars(file: Callable[..., Path]) -> None:
    result = run(sheet=file(filled("HhB HHNS HHB HHS U v W")))
    assert result.exit_code == 0
    assert result.output.startswith("7 prompts.\n")
    assert figures(result) == {
        "judgement": ["bar", "count", "per cent"],
        "enriched": ["-", "4 of 7", "57.14"],
        "helps": ["at least 70 %", "8 of 9", "88.89", "met"],
        "neutral": ["-", "1 of 9", "11.11"],
        "harms": ["at most 4 %", "0 of 9", "0", "met"],
        "better": ["at least 30 %", "2 of 4", "50", "met"],
        "same": ["-", "2 of 4", "50"],
        "worse": ["at most 2 %", "0 of 4", "0", "met"],
        "advice useful": ["-", "1 of 3", "33.33"],
        "advice vague": ["-", "1 of 3", "33.33"],
        "advice wrong": ["-", "1 of 3", "33.33"],
    }


@pytest.mark.parametrize(
    ("marks", "missed"),
    [
        ("HHHHHHHNNNB", []),
        ("HHHHHHNNNNB", ["helps"]),
        (f"{'H' * 24}XB", []),
        (f"{'H' * 23}XB", ["harms"]),
        ("HB HB HB HS HS HS HS HS HS HS", []),
        ("HB HB HS HS HS HS HS HS HS", ["better"]),
        (f"{'HB ' * 49} HW", []),
        (f"{'HB ' * 48} HW", ["worse"]),
    ],
)
def test_each_bar_is_missed_right_below_it(marks: str, missed: list[str], file: Callable[..., Path]) -> None:
    result = run(sheet=file(filled(marks)))
    assert [name for name, row in figures(result).items() if row[-1] == "MISSED"] == missed
    assert result.exit_code == bool(missed)


def test_where_nothing_was_added_no_bar_is_missed(file: Callable[..., Path]) -> None:
    result = run(sheet=file(filled("U U")))
    assert (result.exit_code, figures(result)["helps"][1:]) == (0, ["0 of 0", "-", "nothing to judge"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("[H] lighting: light 1", "[ ] lighting: light 1"),
            "block 2: 'lighting: light 1' has no mark; it takes H, N, X",
        ),
        (("[B]", "[]"), "block 2: 'whole' has no mark; it takes B, S, W"),
        (("[B]", "[H]"), "block 2: 'whole' has the unknown mark 'H'; it takes B, S, W"),
        (("[U]", "[UV]"), "block 3: 'advice: Say more' has the unknown mark 'UV'; it takes U, V, W"),
        (("[B] whole", "[B] whole thing"), "block 2, line 20: no line of a sheet begins like this: '[B] whole thing'"),
        (("[H] lighting: light 1", "lighting: H"), "block 2, line 19"),
        (("=== 3", "=== 2"), "block 2, line 22: the block is there twice"),
        (("[B] whole\n", ""), "block 2: a line is missing or there twice"),
        (("=== 3\n", ""), "block 2: a line is missing or there twice"),
        (("nothing added: rich\n", ""), "block 3: a line is missing or there twice"),
        (("prompt: a cat\n", ""), "block 3: a line is missing or there twice"),
        (("[H] lighting: light 1\n", ""), "something is lost: its head says"),
        (("=== 1\n", ""), "line 11: no line of a sheet begins like this: 'prompt: a dog'"),
    ],
)
def test_changed_sheet_is_refused_with_the_block(change: tuple[str, str], said: str, file: Any) -> None:
    text = filled("NS HHB U")
    assert run(sheet=file(text)).exit_code < 2
    assert change[0] in text
    result = run(sheet=file(text.replace(*change, 1)))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"sheet.txt: {said}" in result.stderr


def test_every_fault_is_told_up_to_twenty(file: Callable[..., Path]) -> None:
    result = run(sheet=file(filled("H- " * 23)))
    assert result.stderr.count("has no mark") == 20
    assert result.stderr.endswith("\nand 3 more\n")


def test_sheet_without_its_head_is_read_and_one_without_blocks_is_refused(file: Callable[..., Path]) -> None:
    assert run(sheet=file(filled("HB", has_head=False))).exit_code == 0
    assert "there are no blocks in it" in run(sheet=file("# A remark.\n")).stderr


def test_second_sheet_tells_the_agreement_over_the_blocks_that_it_fills(file: Callable[..., Path]) -> None:
    first, second = filled("HNB HB U V HB"), filled("HHB -- U W HS")
    found = figures(run(sheet=file(first), second=file(second, "second.txt")))
    assert {name: row[1:] for name, row in found.items() if name.startswith("agreement")} == {
        "agreement, addition": ["2 of 3", "66.67"],
        "agreement, whole": ["1 of 2", "50"],
        "agreement, advice": ["1 of 2", "50"],
        "agreement, all": ["4 of 7", "57.14"],
    }


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("H- U", "block 1: 'whole' has no mark"),
        ("-- -", "nothing is filled in"),
        ("HHB U", "block 1: it is not as in the first sheet"),
        ("HB U V", "block 3: it is not as in the first sheet"),
    ],
)
def test_second_sheet_that_cannot_be_compared_is_refused(second: str, said: str, file: Callable[..., Path]) -> None:
    result = run(sheet=file(filled("HB U")), second=file(filled(second), "second.txt"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"second.txt: {said}" in result.stderr


@pytest.mark.parametrize("names", [(), ("second",), ("prompts", "sheet"), ("prompts", "second")])
def test_other_choices_of_files_are_refused(names: tuple[str, ...], file: Callable[..., Path]) -> None:
    result = run(**{name: file("a dog", name) for name in names})
    assert result.exit_code == 2
    assert "Give PROMPTS=file" in result.stderr


def test_the_real_enricher_makes_a_sheet_that_is_scored_when_filled(file: Callable[..., Path]) -> None:
    text = run(prompts=file("A dog\nun gato")).stdout
    assert all(each.text in text for each in enrich("A dog", model="dall-e-3").applied)
    blocks = text.replace("[ ] whole", "[B] whole").replace("[ ] advice", "[U] advice").replace("[ ] ", "[H] ")
    assert run(sheet=file(blocks)).exit_code == 0
