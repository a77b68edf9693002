"""The scorer of judged prompts: what it refuses to read, what it holds for said, and that it catches a bad enricher."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.prompts.baselines import BASELINES, fixed_suffix, ours
from tests.prompts.judged import JudgedPrompt
from tests.prompts.metrics import METRICS, Bar, Score, measured, percentile, shown
from tests.prompts.trial import tried
from tests.support.judgements import judged

from blockrun_image.enrichment import Addition, EnrichedPrompt

FITTING = {"style": "photographic style", "composition": "framed at eye level", "lighting": "soft daylight"}


def applied(texts: Mapping[str, str]) -> Sequence[Addition]:
    return [Addition(facet, text, "fallback", "a rule", "a reason") for facet, text in texts.items()]


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
    judged("a dog in the park", never=("@night", "@studio"), purpose="photo"),
    judged("a dog on a wide beach", size="1792x1024", never=("@night", "@studio")),
    judged("as it is: a dog", treat="alone"),
]
GOOD = [
    {"style": "photographic style", "composition": "framed at eye level", "lighting": "soft daylight"},
    {"style": "a documentary photo", "composition": "wide view", "lighting": "morning light"},
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
    "contradictions": (adding({"lighting": "cool moonlight"}), judged(never=("@night",))),
    "over_enrichment": (adding(FITTING), judged(treat="alone")),
    "under_enrichment": (adding({}), judged()),
    "redundant_facets": (adding(FITTING), judged(has=("lighting",))),
    "composition_after": (adding({"lighting": "soft daylight"}), judged()),
    "lighting_after": (adding({"composition": "framed at eye level"}), judged()),
    "purpose_fit": (adding({"style": "oil painting"}), judged(purpose="photo")),
    "report_honesty": (adding(FITTING, applied=applied({"style": "photographic style"})), judged()),
    "commonest_addition": (adding(FITTING), judged()),
    "shape_named": (adding(FITTING), judged(size="1792x1024")),
    "words_median": (adding({"style": "a " * 13}), judged()),
    "words_p95": (adding({"style": "a " * 21}), judged()),
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
    assert metric == "words_median" or [failure.trial.judged for failure in found.failures] == [prompt]
    assert all(failure.why for failure in found.failures)


@pytest.mark.parametrize(
    ("metric", "prompt"),
    [
        ("over_enrichment", judged(treat="either")),
        ("under_enrichment", judged(treat="alone")),
        ("composition_after", judged(treat="either")),
        ("lighting_after", judged(purpose="logo_icon")),
        ("lighting_after", judged(never=("@scene_light",))),
        ("purpose_fit", judged()),
        ("purpose_fit", judged(purpose="photo", treat="either")),
        ("shape_named", judged()),
        ("shape_named", judged(size="1024x1792", has=("composition",))),
        ("shape_named", judged(size="1024x1792", never=("@tall",))),
        ("shape_named", judged(size="1024x1792", arguments={"composition": "overhead"})),
    ],
)
def test_metric_skips_irrelevant_prompts(metric: str, prompt: JudgedPrompt) -> None:
    assert score(metric, adding({}), prompt) == Score(None, [])


def test_added_negated_word_contradicts_but_a_repeated_negation_does_not() -> None:
    assert score("contradictions", adding({"lighting": "soft neon light"}), judged("a city, no neon")).value == 100
    assert score("contradictions", adding({"style": "poster, no text"}), judged("a poster, no text")).value == 0


def test_missing_required_words_fail_the_purpose_fit() -> None:
    prompt = judged("the lion, not a cartoon", must=("@photo", "lifelike"))
    assert score("purpose_fit", adding({"lighting": "soft daylight"}), prompt).value == 0
    assert score("purpose_fit", adding({"style": "lifelike style"}), prompt).value == 100


@pytest.mark.parametrize(
    ("texts", "has", "share"),
    [
        ({"style": "flat vector style", "composition": "centered composition"}, (), 100),
        ({"style": "flat vector style", "lighting": "warm golden hour light"}, (), 0),
        ({"composition": "framed by hand"}, (), 0),
        ({"composition": "framed by hand"}, ("style",), 100),
    ],
)
def test_purpose_fits_if_one_addition_matches_and_none_is_foreign(
    texts: Mapping[str, str], has: tuple[str, ...], share: float
) -> None:
    assert score("purpose_fit", adding(texts), judged(purpose="logo_icon", has=has)).value == share


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
    prompt = judged(has=("lighting",), purpose="logo_icon")
    scores = measured([tried(adding(FITTING, applied=asked), prompt)])
    assert {scores[name].value for name in ("redundant_facets", "commonest_addition", "words_p95")} == {None}
    assert not any(failure.why.startswith("foreign") for failure in scores["purpose_fit"].failures)


def test_rightly_skipped_prompt_is_excluded_from_detection() -> None:
    enrich = adding({}, reason="it is not recognisably English")
    assert score("detection_recall", enrich, judged(has=("style",), treat="alone")).value is None
    assert score("detection_recall", enrich, judged(has=("style",), treat="either")).value == 0


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


def test_fixed_suffix_adds_the_same_to_every_prompt() -> None:
    assert score("commonest_addition", fixed_suffix, *PROMPTS).value == 100
    assert score("over_enrichment", fixed_suffix, *PROMPTS).value == 100


def test_call_uses_the_judged_prompts_arguments() -> None:
    asked = {"purpose": "product", "lighting": "soft morning light"}
    result = ours(judged("cup of tea", size="1792x1024", model="nano-banana", arguments=asked), "cup of tea")
    assert "soft morning light" in result.prompt
    assert any(each.rule.startswith("purposes.product.wide") for each in result.applied)
