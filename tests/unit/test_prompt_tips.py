"""The closure of the prompt vocabulary: what is added is found again, and pulls nothing else after it."""

import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

from blockrun_image.enrichment.enriched import MAIN_FACETS, PURPOSES
from blockrun_image.enrichment.reading import OTHER, read
from blockrun_image.enrichment.tips import Label, Phrase, Tips, plural, singular, words_of

DATA: dict[str, Any] = json.loads(resources.files("blockrun_image").joinpath("prompt_tips.json").read_text("utf-8"))
TIPS = Tips.built_in()
PHRASES = [phrase for texts in TIPS.phrases.values() for phrase in texts.values()]
each_phrase = pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.id)


def purposes_of(phrase: Phrase) -> set[str]:
    """Return the purposes that may add the phrase."""
    return {name for name, kind in TIPS.purposes.items() if any(phrase in phrases for phrases in kind.phrases.values())}


def is_free(phrase: Phrase) -> bool:
    """Tell whether the phrase may be added whatever the purpose is."""
    free = [TIPS.fallbacks, *TIPS.subjects.values()]
    return any(phrase in phrases for kind in free for phrases in kind.phrases.values()) or any(
        phrase in phrases for phrases in TIPS.shapes.values()
    )


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:  # pyright: ignore[reportUnknownVariableType] - JSON
            yield from texts(each)


@each_phrase
def test_a_phrase_is_found_as_its_own_facet_and_as_no_other_main_one(phrase: Phrase) -> None:
    assert read(TIPS, f"Zyx, {phrase.text}.").present & set(MAIN_FACETS) == {phrase.facet}


@each_phrase
def test_a_phrase_names_no_subject_and_no_other_purpose_and_negates_nothing(phrase: Phrase) -> None:
    reading = read(TIPS, f"Zyx, {phrase.text}.")
    assert reading.subject is None
    assert not reading.negated_words
    if is_free(phrase):
        assert not reading.purposes
    elif reading.purposes and purposes_of(phrase):
        assert reading.purposes == purposes_of(phrase)


@each_phrase
def test_a_phrase_is_neither_code_nor_an_opt_out_and_has_no_sentence_end(phrase: Phrase) -> None:
    reading = read(TIPS, f"A dog, {phrase.text}.")
    assert (reading.untouchable, reading.unclear) == ("", "")
    assert re.fullmatch(r"[A-Za-z0-9' -]+", phrase.text)
    assert 1 < len(phrase.text.split()) <= 8


@each_phrase
def test_a_phrase_contradicts_nothing_of_its_own(phrase: Phrase) -> None:
    assert TIPS.conflict(phrase.tags, phrase.tags) is None


@each_phrase
def test_a_phrase_praises_nothing(phrase: Phrase) -> None:
    boosters = {"masterpiece", "best", "trending", "award", "8k", "4k", "ultra", "stunning", "beautiful", "quality"}
    assert not set(words_of(phrase.text)) & boosters


def test_no_two_phrases_are_the_same() -> None:
    assert len({phrase.text for phrase in PHRASES}) == len(PHRASES)


def test_every_conflict_is_between_tags_that_exist_and_one_of_which_a_phrase_has() -> None:
    tags = set(DATA["tags"])
    used = {tag for phrase in PHRASES for tag in phrase.tags}
    for one, other in DATA["conflicts"]:
        assert {one, other} <= tags
        assert {one, other} & used, (one, other)


def test_every_tag_decides_something() -> None:
    decisive = {tag for pair in DATA["conflicts"] for tag in pair}
    assert set(DATA["tags"]) - decisive == set()


def test_every_phrase_can_be_reached_by_its_id_or_by_a_rule() -> None:
    for facet, phrases in TIPS.phrases.items():
        for id in phrases:
            assert "_".join(words_of(id.replace("_", " "))) == id, (facet, id)


@pytest.mark.parametrize("subject", sorted(DATA["subjects"]))
def test_every_class_of_subjects_has_phrases_for_every_main_facet(subject: str) -> None:
    assert all(TIPS.subjects[subject].phrases[facet] for facet in MAIN_FACETS)
    assert DATA["subjects"][subject]["nouns"]


def test_what_has_no_class_has_the_class_of_others() -> None:
    assert OTHER in TIPS.subjects


def test_every_purpose_has_cues_that_tell_it() -> None:
    assert set(DATA["purposes"]) == set(PURPOSES) - {"auto"}
    for name in DATA["purposes"]:
        for cue in DATA["purposes"][name]["cues"]:
            assert name in read(TIPS, f"Zyx {cue}, zyx").purposes, (name, cue)


def test_every_term_is_found_where_it_stands_alone() -> None:
    for facet, entry in DATA["facets"].items():
        for term in entry["terms"]:
            _, labels = next(TIPS.lexicon.walk(words_of(term)))
            assert Label("facet", facet) in labels, (facet, term)


def test_every_opt_out_leaves_a_prompt_alone() -> None:
    for opt_out in DATA["opt_outs"]:
        assert read(TIPS, f"A dog, {opt_out}").untouchable, opt_out


def test_every_list_of_terms_is_sorted_without_repeats_and_in_lower_case() -> None:
    lists = [entry["terms"] for entry in DATA["facets"].values()] + list(DATA["tags"].values())
    lists += [DATA["guards"], DATA["opt_outs"], DATA["negations"], *DATA["languages"].values()]
    lists += [entry["cues"] for entry in DATA["purposes"].values()]
    lists += [entry["nouns"] for entry in DATA["subjects"].values()]
    for terms in lists:
        assert len(terms) == len(set(terms)), sorted({term for term in terms if terms.count(term) > 1})
        assert all(term == term.lower() and words_of(term) for term in terms)
        assert terms == sorted(terms)


@pytest.mark.parametrize(
    ("word", "many"), [("dog", "dogs"), ("box", "boxes"), ("church", "churches"), ("berry", "berries"), ("toy", "toys")]
)
def test_a_noun_has_its_regular_plural(word: str, many: str) -> None:
    assert plural(word) == many


@pytest.mark.parametrize(("word", "one"), [("dogs", "dog"), ("dog", "dog"), ("glass", "glass"), ("bus", "bus")])
def test_only_the_ending_of_a_plural_is_taken_from_a_word(word: str, one: str) -> None:
    assert singular(word) == one


def test_a_noun_is_of_one_class_only() -> None:
    nouns = [noun for entry in DATA["subjects"].values() for noun in entry["nouns"]]
    assert sorted({noun for noun in nouns if nouns.count(noun) > 1}) == []


def test_a_vocabulary_whose_purposes_cannot_be_asked_for_is_refused() -> None:
    purposes = {name: entry for name, entry in DATA["purposes"].items() if name != "photo"}
    with pytest.raises(ValueError, match="purposes"):
        Tips.read(DATA | {"purposes": purposes})


def test_a_vocabulary_that_names_a_phrase_it_does_not_define_is_refused() -> None:
    with pytest.raises(ValueError, match="^lists of phrases: there is no 'no_such_phrase'$"):
        Tips.read(DATA | {"fallbacks": {"style": ["no_such_phrase"]}})


def test_the_texts_are_printable_ascii_but_for_the_words_of_other_languages() -> None:
    english = {name: value for name, value in DATA.items() if name != "languages"}
    assert all(text.isascii() and text.isprintable() for text in texts(english))
