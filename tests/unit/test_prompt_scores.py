"""The scorer of judged prompts: what it refuses to read, what it holds for said, and that it catches a bad enricher."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.prompts import scoring
from tests.prompts.baselines import BASELINES, fixed_suffix, nothing, ours
from tests.prompts.judged import JudgedPrompt
from tests.prompts.metrics import METRICS, WEIGHTS, Bar, Score, enriched, measured, percentile, shown, weight
from tests.prompts.trial import tried
from tests.support.judgements import judged

from blockrun_image.enrichment import Addition, EnrichedPrompt

FITTING = {"style": "photographic style", "composition": "framed at eye level", "lighting": "soft daylight"}


def applied(texts: Mapping[str, str]) -> Sequence[Addition]:
    return [Addition(facet, text, "use", "a rule", "a reason") for facet, text in texts.items()]


def adding(texts: Mapping[str, str], **changes: Any) -> Callable[[JudgedPrompt, str], EnrichedPrompt]:
    """Return an enricher that adds the same to every prompt, once, and reports it well but for the changes."""
    words = ", ".join(texts.values())

    def enrich(_: JudgedPrompt, text: str) -> EnrichedPrompt:
        if not texts or text.endswith(words):
            return replace(EnrichedPrompt(text, text, reason="nothing to do"), **changes)
        return replace(EnrichedPrompt(f"{text}, {words}", text, applied(texts)), **changes)

    return enrich


def score(metric: str, enrich: Callable[[JudgedPrompt, str], EnrichedPrompt], *prompts: JudgedPrompt) -> Score:
    return measured([tried(enrich, prompt) for prompt in prompts or [judged()]])[metric]


def raising(_: JudgedPrompt, text: str) -> EnrichedPrompt:
    raise RuntimeError(text)


PROMPTS = [
    judged("a dog in the park", helps=("@level_view",), never=("@night", "@studio")),
    judged("hero image for a vet", size="1792x1024", helps=("copy space", "one side"), never=("@close",)),
    judged("as it is: a dog", alone=True),
]
GOOD = [
    {"composition": "framed at eye level"},
    {"composition": "copy space on one side"},
    {},
]


def good(prompt: JudgedPrompt, text: str) -> EnrichedPrompt:
    place = next(place for place, each in enumerate(PROMPTS) if text.startswith(each.prompt))
    return adding(GOOD[place])(prompt, text)


def test_a_good_enricher_meets_every_bar() -> None:
    scores = measured([tried(good, prompt) for prompt in PROMPTS])
    missed = [name for name, (bar, _) in METRICS.items() if not bar.is_met(scores[name].value)]
    assert missed == []
    assert [name for name in scores if scores[name].value is None] == ["detection_precision", "detection_recall"]


COUNT = iter(range(1_000_000))
BAD: Mapping[str, tuple[Callable[[JudgedPrompt, str], EnrichedPrompt], JudgedPrompt]] = {
    "verbatim": (adding(FITTING, prompt="A dog, soft daylight"), judged()),
    "idempotent": (lambda _, text: EnrichedPrompt(f"{text}, sunny", text, applied({"lighting": "sunny"})), judged()),
    "deterministic": (lambda _, text: EnrichedPrompt(f"{text} {next(COUNT)}", text), judged()),
    "within_limit": (adding(FITTING), judged("a dog " * 166, model="dall-e-2")),
    "no_exception": (raising, judged()),
    "report_honesty": (adding(FITTING, applied=applied({"style": "photographic style"})), judged()),
    "contradictions": (adding({"lighting": "cool moonlight"}), judged(never=("@night",))),
    "over_enrichment": (adding(FITTING), judged(alone=True)),
    "redundant_facets": (adding(FITTING), judged(has=("lighting",))),
    "additions_helping": (adding({"lighting": "soft daylight"}), judged(helps=("@copy_space",))),
    "additions_harming": (adding({"lighting": "cool moonlight"}), judged(never=("@night",))),
    "prompts_better": (adding({"lighting": "soft daylight"}), judged(helps=("@copy_space",))),
    "prompts_worse": (adding({"lighting": "cool moonlight"}), judged(never=("@night",))),
    "words_median": (adding({"style": "a " * 9}), judged()),
    "detection_precision": (adding({}, present=["lighting"]), judged()),
    "detection_recall": (adding({}), judged(has=("lighting",))),
}


def test_every_metric_has_an_enricher_that_fails_it() -> None:
    assert set(BAD) == set(METRICS)


@pytest.mark.parametrize("metric", METRICS)
def test_bad_enricher_misses_the_bar_with_a_reason(metric: str) -> None:
    enrich, prompt = BAD[metric]
    bar, _ = METRICS[metric]
    found = score(metric, enrich, prompt)
    assert found.value is not None
    assert not bar.is_met(found.value)
    assert [failure.trial.judged for failure in found.failures] == [prompt]
    assert all(failure.why for failure in found.failures)


@pytest.mark.parametrize(
    "metric", ["redundant_facets", "additions_helping", "additions_harming", "prompts_better", "prompts_worse"]
)
def test_prompt_to_which_nothing_was_added_is_not_judged_by_its_additions(metric: str) -> None:
    prompt = judged(has=("style",), helps=("@copy_space",), never=("@night",))
    assert score(metric, adding({}), prompt) == Score(None, [])


def test_only_what_is_to_be_left_alone_can_be_enriched_too_much() -> None:
    assert score("over_enrichment", adding(FITTING), judged()) == Score(None, [])
    assert score("over_enrichment", adding({}), judged(alone=True)).value == 0


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("copy space on the left", "helps"),
        ("soft moonlight", "harms"),
        ("copy space under the moon", "harms"),
        ("three-quarter view", "neutral"),
    ],
)
def test_phrase_harms_by_never_else_helps_by_helps_else_does_nothing(text: str, effect: str) -> None:
    trial = tried(adding({"composition": text}), judged(helps=("@copy_space",), never=("@night",)))
    assert [found for _, found in scoring.effects(trial)] == [effect]


def test_prompt_is_better_if_one_phrase_helps_and_none_harms() -> None:
    prompt = judged(helps=("@copy_space",), never=("@night",))
    helping, harming, neutral = "copy space on one side", "moonlight", "three-quarter view"
    cases = [
        ({"composition": helping, "style": neutral}, 100, 0),
        ({"composition": helping, "lighting": harming}, 0, 100),
        ({"composition": neutral}, 0, 0),
    ]
    for texts, better, worse in cases:
        assert score("prompts_better", adding(texts), prompt).value == better
        assert score("prompts_worse", adding(texts), prompt).value == worse


def test_additions_are_counted_one_by_one() -> None:
    prompt = judged(helps=("@copy_space",), never=("@night",))
    texts = {"style": "ink", "composition": "copy space on one side", "lighting": "moonlight"}
    helping, harming = (
        score("additions_helping", adding(texts), prompt),
        score("additions_harming", adding(texts), prompt),
    )
    assert helping.value == harming.value == pytest.approx(100 / 3)
    assert [failure.why for failure in helping.failures] == ["ink: neutral", "moonlight: harms"]
    assert [failure.why for failure in harming.failures] == ["moonlight: harms"]


def test_added_negated_word_contradicts_but_a_repeated_negation_does_not() -> None:
    assert score("contradictions", adding({"lighting": "soft neon light"}), judged("a city, no neon")).value == 100
    assert score("contradictions", adding({"style": "poster, no text"}), judged("a poster, no text")).value == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"original": "a cat"},
        {"applied": []},
        {"applied": applied(FITTING)[:2]},
        {"applied": [*applied(FITTING), *applied({"style": ""})]},
        {"applied": [replace(each, rule="") for each in applied(FITTING)]},
        {"present": ["style"]},
        {"missing": ["style"]},
        {"reason": "it is detailed enough"},
    ],
)
def test_report_that_differs_from_the_changes_is_dishonest(changes: Mapping[str, Any]) -> None:
    assert score("report_honesty", adding(FITTING)).value == 100
    assert score("report_honesty", adding(FITTING, **changes)).value == 0


def test_requested_words_do_not_count_as_the_enrichers_choice() -> None:
    asked = [replace(each, source="argument") for each in applied(FITTING)]
    prompt = judged(has=("lighting",), never=("@daylight",), helps=("@level_view",))
    trial = tried(adding(FITTING, applied=asked), prompt)
    scores = measured([trial])
    assert {name for name, each in scores.items() if each.value is None} >= {
        *("redundant_facets", "additions_helping", "additions_harming", "prompts_better", "prompts_worse"),
        "words_median",
    }
    assert scores["contradictions"].value == 0
    assert enriched([trial]) == 0


def test_requested_words_are_not_too_much_for_what_is_left_alone_but_unreported_ones_are() -> None:
    asked = [replace(each, source="argument") for each in applied(FITTING)]
    assert score("over_enrichment", adding(FITTING, applied=asked), judged(alone=True)).value == 0
    assert score("over_enrichment", adding(FITTING, applied=[]), judged(alone=True)).value == 100


def test_rightly_skipped_prompt_is_excluded_from_detection() -> None:
    enrich = adding({}, reason="it is not recognisably English")
    assert score("detection_recall", enrich, judged(has=("style",), alone=True)).value is None
    assert score("detection_recall", enrich, judged(has=("style",))).value == 0


def test_detection_is_averaged_over_facets_not_over_prompts() -> None:
    prompts = [judged(has=("style", "lighting")), judged("a cat", has=("composition",))]
    enrich = adding({}, present=["style", "composition", "subject"])
    assert score("detection_precision", enrich, *prompts).value == pytest.approx(50)
    assert score("detection_recall", enrich, *prompts).value == pytest.approx(200 / 3)


def test_percentile_is_the_nearest_rank_value() -> None:
    assert [percentile(range(1, 101), each) for each in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert (percentile([7], 95), percentile([], 95)) == (7, None)


def test_bar_is_shown_as_it_is_applied() -> None:
    assert (str(Bar(0.2, unit="ms")), str(Bar(90, is_least=True))) == ("at most 0.2 ms", "at least 90 %")
    assert [Bar(5).is_met(value) for value in (None, 5, 5.01)] == [True, True, False]
    assert [shown(value) for value in (None, 0, 100, 2.346)] == ["-", "0", "100", "2.35"]


@pytest.mark.parametrize("enrich", [ours, *BASELINES.values()])
def test_the_enricher_and_the_baselines_are_judged_alike(
    enrich: Callable[[JudgedPrompt, str], EnrichedPrompt],
) -> None:
    scores = measured([tried(enrich, prompt) for prompt in PROMPTS])
    assert [scores[name].value for name in ("verbatim", "idempotent", "no_exception", "report_honesty")] == [100] * 4


def test_fixed_suffix_is_added_to_every_prompt_and_nothing_to_none() -> None:
    assert enriched([tried(fixed_suffix, prompt) for prompt in PROMPTS]) == len(PROMPTS)
    assert score("over_enrichment", fixed_suffix, *PROMPTS).value == 100
    assert enriched([tried(nothing, prompt) for prompt in PROMPTS]) == 0


def test_vocabulary_is_weighed_in_bytes() -> None:
    size = weight()["vocabulary"].value
    assert set(weight()) == set(WEIGHTS)
    assert size is not None
    assert size > 10_000


def test_call_uses_the_judged_prompts_arguments() -> None:
    asked = {"purpose": "landscape", "lighting": "soft morning light"}
    result = ours(judged("a lake", size="1792x1024", model="nano-banana", arguments=asked), "a lake")
    assert [each.rule for each in result.applied] == ["purposes.landscape.wide", "arguments.lighting"]
