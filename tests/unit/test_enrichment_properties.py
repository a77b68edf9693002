"""What holds of every enriched prompt, over generated text."""

import os
import re
import sys
from dataclasses import replace
from itertools import combinations
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.prompts.lint import packaged
from tests.prompts.vocabulary import lists_of_phrases
from tests.support.sandbox import contract

from blockrun_image.enrichment import PURPOSES, EnrichedPrompt, enrich
from blockrun_image.enrichment.contradictions import Statement
from blockrun_image.enrichment.enriched import MAIN_FACETS
from blockrun_image.enrichment.reading import read
from blockrun_image.enrichment.tips import Tips
from blockrun_image.errors import InvalidRequestError
from blockrun_image.model import Model

CATALOG = contract()
DATA: dict[str, Any] = packaged("prompt_tips.json")
TIPS = Tips.built_in()
TERMS = sorted(TIPS.lexicon._labels)  # pyright: ignore[reportPrivateUsage] - every term there is
WORDED = [term for term in TERMS if "'" not in term and not term.replace(" ", "").isdigit()]
QUOTES = ['""', "“”", "„“", "«»", "「」", "``", "‘’", "''"]
MARKS = [
    *"\"“”„‟'’‘«»‹›「」『』`´.,;:!?…。！—–-/|()[]{}*_#~^$%&=+@\\\n\t\0É犬",
    *("\r\n", "\r", "\u2028", "\x1b[31m", "\ud800", "\udfff\ud800"),
    *("\u202e", "\u202a", "\u2066", "\u200f", "\u061c"),  # these turn text around
    *("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\xad", "\xa0", "\u3000"),  # these have no ink
    *("\u0301", "e\u0301\u0323", "z\u0335\u0336\u0337", "नमस्ते"),
    *("🦊", "👩\u200d👩\u200d👧", "❤\ufe0f", "👍🏽", "🇺🇦", "1\ufe0f\u20e3"),
    *(" ", "  ", "x" * 60, "4K", "1.2", "собака", "un", "mit", "ß", "ŉ", "ﬁ", "İ", "ǅ"),
]
MARKUP = [
    *("<b>dog</b>", "<br/>", '<img src="a dog.png">', "<!-- no dog -->", "&amp;", "&#39;", "<svg>", "</"),
    *("# A dog", "**bold**", "_dim_", "- a dog", "1. a dog", "> night", "[a dog](https://pictures.example/?q=1)"),
    *("![neon](a.png)", "```", "~~~", "| a | b |", "---", "$x^2$", "\\frac{a}{b}", "\\begin{figure}", "% light", "~"),
    *(
        '{"style": "photo"}',
        '"lighting":',
        "[1, 2]",
        "null,",
        "{",
        "}]",
        "\\n",
        '\\"',
        "key=value",
        "https://a.example",
    ),
    *("--ar 16:9", "-v", "<lora:x>", "(dog:1.2)", "((dog))", "dog::2", "{{subject}}", "$(dog)", "`dog`"),
]
OTHER_WORDS = ["no", "without", "not", "don't", "free of", "nor", "or", "any", "a", "the", "in the", "and", "as is"]

words = st.one_of(st.sampled_from(TERMS), st.sampled_from(MARKS + OTHER_WORDS), st.text(max_size=8))
phrases = sorted({text for phrases in lists_of_phrases(DATA) for text in phrases.texts})
parts = st.one_of(words, st.sampled_from(phrases), st.sampled_from(MARKUP))
quotations = st.tuples(st.sampled_from(QUOTES), words).map(lambda both: both[1].join(both[0]))
sentences = st.lists(st.one_of(parts, quotations), max_size=14).map(" ".join)
prompts = st.one_of(
    sentences,
    st.text(max_size=80),
    st.lists(words, max_size=8).map("".join),
    st.lists(parts, max_size=6).map("\n".join),
    st.lists(st.sampled_from(TERMS + OTHER_WORDS + [","]), max_size=8).map(" ".join),
)
models = st.sampled_from([*CATALOG])
sizes = st.sampled_from([None, "", "auto", "1024x1024", "1792x1024", "1024x1792", "wide", "x", "²x1"])
wishes = st.one_of(
    st.just(""),
    st.sampled_from([id for texts in TIPS.presets.values() for id in texts]),
    st.sampled_from(WORDED),
    st.sampled_from(
        [
            *("no people in it", "as is", "the style of my grandmother", "a dog, at night", "ışık", "ßtyle", "éclat"),
            *("no neon", "without harsh light", "85mm lens, f/1.8", "black & white", "not a photo, no light"),
        ]
    ),
    st.builds("no {}".format, st.sampled_from(WORDED)),
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
anything = st.one_of(wishes, sentences, st.text(max_size=130), st.sampled_from(MARKUP), st.text(min_size=119))
wild = st.fixed_dictionaries(dict.fromkeys(("purpose", "art_style", "composition", "lighting"), anything))
MANY = settings(
    max_examples=int(os.environ.get("EXAMPLES", "300")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


TAGS_OF_A_SCENE = {"night", "day", "sun", "no_sun", "indoors", "outdoors", "named_background"}
"""Whatever a logo, a map or a sheet is about, it shows no scene: it is lit as it is made."""


def short_of_room(model: Model, limit: int) -> Model:
    return model.model_copy(update={"max_prompt_characters": limit})


@MANY
@given(prompts, models, arguments)
def test_users_words_come_first_verbatim_and_all_additions_are_reported(
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
@given(prompts, prompts, models, arguments)
def test_same_call_gives_the_same_prompt_regardless_of_other_calls(
    prompt: str, other: str, model: Model, asked: dict[str, Any]
) -> None:
    first = enrich(prompt, model=model, **asked)
    enrich(other, model=model)
    assert enrich(prompt, model=model, **asked) == first


class Watch:
    """Collects, while it is on, what the interpreter does outside: with files, sockets, processes and imports."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.is_on = False
        sys.addaudithook(self._note)  # for as long as the process lives

    def _note(self, event: str, _: object) -> None:
        if self.is_on and event.partition(".")[0] in ("open", "os", "socket", "subprocess", "import"):
            self.seen.append(event)

    def __enter__(self) -> list[str]:
        self.is_on = True
        self.seen.clear()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self.is_on = False


WATCH = Watch()


def test_watch_detects_an_opened_file() -> None:
    with WATCH as seen, open(os.devnull, encoding="utf-8"):  # noqa: PTH123 - the plainest way to open
        pass
    assert "open" in seen


@MANY
@given(prompts, models, arguments)
def test_enrichment_touches_no_file_socket_or_process(prompt: str, model: Model, asked: dict[str, Any]) -> None:
    with WATCH as seen:
        enrich(prompt, model=model, **asked)
    assert not seen


@MANY
@given(prompts, models, arguments, st.integers(0, 120))
def test_result_fits_a_tight_limit_and_is_stable(prompt: str, model: Model, asked: dict[str, Any], room: int) -> None:
    tight = short_of_room(model, len(prompt) + room)
    enriched = enrich(prompt, model=tight, **asked)
    assert tight.max_prompt_characters is not None
    assert len(enriched.prompt) <= tight.max_prompt_characters
    assert enrich(enriched.prompt, model=tight, **asked).prompt == enriched.prompt


@MANY
@given(prompts, models, arguments, st.one_of(st.integers(0, 3), st.integers(0, 150)), st.sampled_from("x ,.\n犬"))
def test_nearly_full_prompt_gains_only_what_fits(
    prompt: str, model: Model, asked: dict[str, Any], room: int, filler: str
) -> None:
    limit = model.max_prompt_characters
    assert limit is not None
    full = prompt.ljust(limit - room, filler)
    enriched = enrich(full, model=model, **asked)
    assert enriched.prompt.startswith(full)
    assert len(enriched.prompt) <= limit
    assert enrich(enriched.prompt, model=model, **asked).prompt == enriched.prompt


@MANY
@given(prompts, models, arguments, st.integers(1, 50))
def test_prompt_over_the_limit_stays_unchanged(prompt: str, model: Model, asked: dict[str, Any], excess: int) -> None:
    assume(prompt)
    enriched = enrich(prompt, model=short_of_room(model, max(0, len(prompt) - excess)), **asked)
    assert (enriched.prompt, enriched.applied) == (prompt, [])
    assert enriched.reason


@MANY
@given(prompts, models, arguments)
def test_additions_are_reported_exactly_if_the_prompt_changed(prompt: str, model: Model, asked: dict[str, Any]) -> None:
    enriched = enrich(prompt, model=model, **asked)
    assert bool(enriched.applied) == enriched.changed == (enriched.prompt != prompt) == (not enriched.reason)


def texts_at(rule: str, facet: str, asked: dict[str, Any]) -> list[str]:
    """Return the words that the vocabulary has where a rule says, or those that an argument asks for."""
    first, *rest = rule.split(".")
    if first == "arguments":
        (argument,) = rest
        return [asked[argument].replace("_", " ").strip().rstrip(" ,.-"), *DATA["presets"][facet].values()]
    place = DATA[first]
    for key in rest:
        place = place[key]
    return place


@MANY
@given(prompts, models, arguments)
def test_every_addition_names_facet_source_rule_and_reason(prompt: str, model: Model, asked: dict[str, Any]) -> None:
    enriched = enrich(prompt, model=model, **asked)
    facets = [addition.facet for addition in enriched.applied]
    assert facets == [facet for facet in MAIN_FACETS if facet in facets]
    for addition in enriched.applied:
        assert addition.text
        assert addition.why
        assert addition.source in ("argument", "purpose", "use", "subject", "light")
        assert addition.text in texts_at(addition.rule, addition.facet, asked)
    assert not set(enriched.missing) & set(facets)


@MANY
@given(prompts, models, arguments)
def test_one_piece_of_advice_at_most_is_given(prompt: str, model: Model, asked: dict[str, Any]) -> None:
    enriched = enrich(prompt, model=model, **asked)
    assert len(enriched.advice) <= 1
    for advice in enriched.advice:
        assert advice.say
        assert advice.facet in ("subject", *enriched.missing)
        assert advice.facet == "subject" or advice.example


@MANY
@given(st.lists(words, max_size=6).map(" ".join), st.sampled_from(TERMS), st.sampled_from(QUOTES), models, plain)
def test_quoted_text_is_ignored_and_unchanged(
    around: str, quoted: str, pair: str, model: Model, asked: dict[str, Any]
) -> None:
    assume(not set(around) & set("".join(QUOTES)) and around.isprintable() and not set(quoted) & set(pair))
    named = f"{around} {pair[0]}{quoted}{pair[1]}"
    other = f"{around} {pair[0]}{' '.join(['zyzzyva'] * len(quoted.split()))}{pair[1]}"
    one, two = enrich(named, model=model, **asked), enrich(other, model=model, **asked)
    assert one.prompt.startswith(named)
    assert [each.text for each in one.applied] == [each.text for each in two.applied]


@MANY
@given(
    st.lists(words, max_size=5).map(" ".join),
    st.sampled_from(DATA["negations"]),
    st.sampled_from(TERMS),
    models,
    arguments,
)
def test_negated_words_are_never_added(
    subject: str, negation: str, negated: str, model: Model, asked: dict[str, Any]
) -> None:
    prompt = f"{subject}, {negation} {negated}"
    enriched = enrich(prompt, model=model, **asked)
    told = read(TIPS, f"x, {negation} {negated}")
    assert enriched.prompt.startswith(prompt)
    for addition in enriched.applied:
        added = read(TIPS, addition.text)
        if addition.source == "argument":  # may say what no negation is about: a soft light beside "no harsh light"
            assert not Statement.of(TIPS, told).denies(Statement.of(TIPS, added))
        else:
            assert not added.tags & told.negated_tags
            assert not TIPS.lexicon.content_of(addition.text) & told.negated_words


@MANY
@given(prompts, models, arguments)
def test_additions_contradict_neither_the_prompt_nor_each_other(
    prompt: str, model: Model, asked: dict[str, Any]
) -> None:
    enriched = enrich(prompt, model=model, **asked)
    own = Statement.of(TIPS, read(TIPS, prompt))
    added = {each: Statement.of(TIPS, read(TIPS, each.text)) for each in enriched.applied}
    for one, other in combinations(added.values(), 2):
        assert not one.contradicts(other)
    for addition, told in added.items():
        assert not TIPS.conflict(told.reading.tags, own.reading.tags - TAGS_OF_A_SCENE)
        assert addition.source != "argument" or not told.contradicts(own)


@MANY
@given(prompts, models, arguments)
def test_argument_is_added_already_present_or_warned_of(prompt: str, model: Model, asked: dict[str, Any]) -> None:
    enriched = enrich(prompt, model=model, **asked)
    added = [each.rule for each in enriched.applied]
    for argument in ("art_style", "composition", "lighting"):
        warned = [each for each in enriched.warnings if each.startswith(f"{argument} ")]
        assert len(warned) + added.count(f"arguments.{argument}") <= 1
        if asked[argument].strip() and not warned and f"arguments.{argument}" not in added:
            again = enrich(enriched.prompt, model=model, **{**asked, argument: ""})
            assert again.prompt == enriched.prompt or argument not in again.missing


def enriched_or_refused(prompt: str, **asked: Any) -> tuple[EnrichedPrompt, InvalidRequestError | None]:
    try:
        return enrich(prompt, **asked), None
    except InvalidRequestError as error:
        return EnrichedPrompt(prompt, prompt), error


@MANY
@given(prompts, models, wild)
def test_any_words_are_accepted_or_refused_with_what_is_allowed(
    prompt: str, model: Model, asked: dict[str, str]
) -> None:
    for alone in (*({name: words} for name, words in asked.items()), asked):
        enriched, error = enriched_or_refused(prompt, model=model, **alone)
        if error:
            assert any(name in error.message for name in alone)
            assert error.hint or error.valid_values
            assert error.message.isprintable()
        for addition in enriched.applied:
            assert addition.text.isprintable()
            assert len(addition.text) <= 120
            assert not set(addition.text) & set('"“”«»`<>()[]{}|\\:;#*=_~^$@')
            assert not re.search(r"--|\+\+|(?<!\w)-\w|www\.|://", addition.text)


@MANY
@given(prompts, models, arguments)
def test_suggestion_leaves_the_prompt_unchanged_and_keeps_all_advice(
    prompt: str, model: Model, asked: dict[str, Any]
) -> None:
    enriched = enrich(prompt, model=model, **asked)
    suggested = enriched.as_advice()
    assert (suggested.prompt, suggested.changed, suggested.applied) == (prompt, False, ())
    assert {each.text for each in enriched.applied} <= {each.example for each in suggested.advice}
    assert suggested.reason


@MANY
@given(prompts, wishes)
def test_skipped_prompt_is_sent_unchanged(prompt: str, wish: str) -> None:
    untouched = EnrichedPrompt.untouched(prompt, {"purpose": "photo", "art_style": wish})
    assert (untouched.prompt, untouched.changed) == (prompt, False)
    assert bool(untouched.warnings) == bool(wish)
    assert replace(untouched, warnings=()).advice == ()
