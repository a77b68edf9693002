"""What holds of every enriched prompt, over generated text."""

import re
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import PURPOSES, EnrichedPrompt, enrich
from blockrun_image.enrichment.enriched import MAIN_FACETS
from blockrun_image.enrichment.reading import read
from blockrun_image.enrichment.tips import Tips
from blockrun_image.model import Model

CATALOG = Catalog.load()
TIPS = Tips.built_in()
TERMS = sorted(map(" ".join, TIPS.lexicon._told))  # pyright: ignore[reportPrivateUsage] - every term there is
MARKS = [*"\"“”'’«`.,;:!?…—-/()[}\n\t\0\\É犬🦊\u202e\ud800", " ", "  ", "x" * 60, "4K", "1.2", "собака", "un", "mit"]
OTHER_WORDS = [
    "no",
    "without",
    "not",
    "don't",
    "free of",
    "a",
    "the",
    "in the",
    "and",
    "--ar 16:9",
    "<lora:x>",
    "as is",
]

words = st.one_of(st.sampled_from(TERMS), st.sampled_from(MARKS + OTHER_WORDS), st.text(max_size=8))
phrases = [phrase.text for texts in TIPS.phrases.values() for phrase in texts.values()]
sentences = st.lists(st.one_of(words, st.sampled_from(phrases)), max_size=14).map(" ".join)
prompts = st.one_of(sentences, st.text(max_size=80), st.lists(words, max_size=8).map("".join))
models = st.sampled_from([*CATALOG])
sizes = st.sampled_from([None, "", "auto", "1024x1024", "1792x1024", "1024x1792", "wide", "x", "²x1"])
wishes = st.one_of(
    st.just(""),
    st.sampled_from([id for texts in TIPS.phrases.values() for id in texts]),
    st.sampled_from([term for term in TERMS if "'" not in term]),
    st.sampled_from(
        ["no people in it", "as is", "the style of my grandmother", "a dog, at night", "ışık", "ßtyle", "éclat"]
    ),
)
arguments = st.fixed_dictionaries(
    {
        "size": sizes,
        "purpose": st.sampled_from(PURPOSES),
        "art_style": wishes,
        "composition": wishes,
        "lighting": wishes,
    }
)
plain = st.fixed_dictionaries({"size": sizes, "purpose": st.sampled_from(PURPOSES)})
MANY = settings(max_examples=400, deadline=None)


def short_of_room(model: Model, limit: int) -> Model:
    return model.model_copy(update={"max_prompt_characters": limit})


@MANY
@given(prompts, models, arguments)
def test_the_users_words_come_first_and_verbatim_and_only_what_is_told_is_added(
    prompt: str, model: Model, asked: dict[str, Any]
) -> None:
    enriched = enrich(prompt, model=model, **asked)
    assert enriched.original == prompt
    assert enriched.prompt.startswith(prompt)
    added = enriched.prompt[len(prompt) :]
    for addition in enriched.applied:
        assert addition.text.lower() in added.lower()
        added = re.sub(re.escape(addition.text), "", added, count=1, flags=re.IGNORECASE)
    assert re.fullmatch(r"[., \n]*", added)


@MANY
@given(prompts, models, st.one_of(plain, arguments))
def test_enriching_again_changes_nothing_more(prompt: str, model: Model, asked: dict[str, Any]) -> None:
    once = enrich(prompt, model=model, **asked)
    twice = enrich(once.prompt, model=model, **asked)
    assert twice.prompt == once.prompt
    assert not twice.applied


@MANY
@given(prompts, models, arguments)
def test_the_same_call_gives_the_same_prompt(prompt: str, model: Model, asked: dict[str, Any]) -> None:
    assert enrich(prompt, model=model, **asked) == enrich(prompt, model=model, **asked)


@MANY
@given(prompts, models, arguments, st.integers(0, 120))
def test_the_result_fits_the_model_or_is_the_prompt_itself_and_is_stable_where_there_is_little_room(
    prompt: str, model: Model, asked: dict[str, Any], room: int
) -> None:
    tight = short_of_room(model, len(prompt) + room)
    enriched = enrich(prompt, model=tight, **asked)
    assert tight.max_prompt_characters is not None
    assert len(enriched.prompt) <= tight.max_prompt_characters
    assert enrich(enriched.prompt, model=tight, **asked).prompt == enriched.prompt


@MANY
@given(prompts, models, arguments)
def test_something_is_applied_exactly_when_something_changed(prompt: str, model: Model, asked: dict[str, Any]) -> None:
    enriched = enrich(prompt, model=model, **asked)
    assert bool(enriched.applied) == enriched.changed == (enriched.prompt != prompt) == (not enriched.reason)


@MANY
@given(prompts, models, arguments)
def test_every_addition_names_its_facet_its_source_its_rule_and_why(
    prompt: str, model: Model, asked: dict[str, Any]
) -> None:
    enriched = enrich(prompt, model=model, **asked)
    facets = [addition.facet for addition in enriched.applied]
    assert facets == [facet for facet in MAIN_FACETS if facet in facets]
    for addition in enriched.applied:
        assert addition.text
        assert addition.why
        assert addition.source in ("argument", "purpose", "size", "subject", "fallback")
        assert addition.rule.startswith(("arguments.", "purposes.", "shapes.", "subjects.", "fallbacks."))
    assert not set(enriched.missing) & set(facets)
    assert {advice.facet for advice in enriched.advice} <= set(enriched.missing)


@MANY
@given(st.lists(words, max_size=6).map(" ".join), st.sampled_from(TERMS), models, plain)
def test_a_quoted_text_counts_for_nothing_and_stays_as_it_is(
    around: str, quoted: str, model: Model, asked: dict[str, Any]
) -> None:
    assume(not set(around) & set('"`') and around.isprintable())
    named = f'{around} "{quoted}"'
    other = f'{around} "{" ".join(["zyzzyva"] * len(quoted.split()))}"'
    one, two = enrich(named, model=model, **asked), enrich(other, model=model, **asked)
    assert one.prompt.startswith(named)
    assert [each.text for each in one.applied] == [each.text for each in two.applied]


@MANY
@given(st.lists(words, max_size=5).map(" ".join), st.sampled_from(TERMS), models, plain)
def test_what_is_negated_is_never_added(subject: str, negated: str, model: Model, asked: dict[str, Any]) -> None:
    enriched = enrich(f"{subject}, no {negated}", model=model, **asked)
    told = read(TIPS, f"x, no {negated}")
    for addition in enriched.applied:
        assert not read(TIPS, addition.text).tags & told.negated_tags
        assert not TIPS.lexicon.content_of(addition.text) & TIPS.lexicon.content_of(negated)


@MANY
@given(prompts, models, plain)
def test_nothing_that_is_added_contradicts_what_is_said_or_the_rest_that_is_added(
    prompt: str, model: Model, asked: dict[str, Any]
) -> None:
    enriched = enrich(prompt, model=model, **asked)
    tags = read(TIPS, prompt).tags
    for addition in enriched.applied:
        own = read(TIPS, addition.text).tags
        assert TIPS.conflict(own, tags) is None
        tags |= own


@MANY
@given(prompts, models, arguments)
def test_only_suggesting_sends_the_prompt_as_it_is_and_loses_no_advice(
    prompt: str, model: Model, asked: dict[str, Any]
) -> None:
    enriched = enrich(prompt, model=model, **asked)
    suggested = enriched.as_advice()
    assert (suggested.prompt, suggested.changed, suggested.applied) == (prompt, False, ())
    assert {each.text for each in enriched.applied} <= {each.example for each in suggested.advice}
    assert suggested.reason


@given(st.text(max_size=30), wishes)
def test_a_prompt_that_is_not_looked_at_is_sent_as_it_is(prompt: str, wish: str) -> None:
    untouched = EnrichedPrompt.untouched(prompt, {"purpose": "photo", "art_style": wish})
    assert (untouched.prompt, untouched.changed) == (prompt, False)
    assert bool(untouched.warnings) == bool(wish)
    assert replace(untouched, warnings=()).advice == ()
