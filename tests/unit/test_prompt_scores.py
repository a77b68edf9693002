"""The scorer of judged prompts: what it refuses to read, what it holds for said, and that it catches a bad enricher."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.prompts.baselines import BASELINES, fixed_suffix, ours
from tests.prompts.groups import GROUPS
from tests.prompts.judged import Arguments, JudgedPrompt, load
from tests.prompts.matching import hits, negated
from tests.prompts.metrics import METRICS, Bar, Score, measured, percentile, shown
from tests.prompts.purposes import FITS
from tests.prompts.trial import tried

from blockrun_image.enrichment import PURPOSES, Addition, EnrichedPrompt

ENTRY: dict[str, Any] = {"prompt": "a dog", "has": [], "purpose": None, "treat": "enrich", "never": ["@night", "fog"]}
FITTING = {"style": "photographic style", "composition": "framed at eye level", "lighting": "soft daylight"}


def judged(prompt: str = "a dog", **changes: Any) -> JudgedPrompt:
    return JudgedPrompt.model_validate({**ENTRY, "never": [], "prompt": prompt, **changes}, strict=False)


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
def test_what_the_format_does_not_know_is_refused(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"dogs\.json"):
        load(written(tmp_path, **changes))


@pytest.mark.parametrize("field", ["prompt", "has", "purpose", "treat", "never"])
def test_a_field_that_every_judgement_has_is_missed(tmp_path: Path, field: str) -> None:
    entry = {name: value for name, value in ENTRY.items() if name != field}
    (tmp_path / "dogs.json").write_text(json.dumps({"kind": "dogs", "about": "dogs", "prompts": [entry]}), "utf-8")
    with pytest.raises(ValueError, match=field):
        load(tmp_path)


def test_a_prompt_is_refused_that_is_there_already_but_for_case_and_spaces(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(ValueError, match=r"there twice.*A  Dog"):
        load(written(tmp_path, "hounds", prompt="A  Dog"))


@pytest.mark.parametrize("change", [{"size": "1792x1024"}, {"model": "dall-e-2"}, {"arguments": {"art_style": ""}}])
def test_a_prompt_that_is_sent_in_another_way_is_another_one(tmp_path: Path, change: Mapping[str, Any]) -> None:
    assert len(load(written(written(tmp_path), "hounds", **change))) == 2


def test_a_file_is_named_for_its_kind(tmp_path: Path) -> None:
    written(tmp_path).joinpath("dogs.json").rename(tmp_path / "cats.json")
    with pytest.raises(ValueError, match=r"cats\.json is of the kind dogs"):
        load(tmp_path)


def test_a_folder_without_judged_prompts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no judged prompts"):
        load(tmp_path)


SAID = {
    "photo": ["natural photographic style", "85mm lens", "bokeh", "photo-realistic", "a film still"],
    "drawn": ["loose watercolour painting style", "hand-drawn", "digital art style", "cartoon"],
    "vector": ["simple flat vector icon style", "clean line art style", "flat, bold shapes"],
    "daylight": ["soft diffused daylight", "warm golden hour light", "clear morning light", "soft window light"],
    "night": ["cool moonlight", "under the stars", "at night"],
    "sun": ["direct sun", "golden hour", "sunlit"],
    "gloom": ["moody", "low-key lighting", "dramatic rim light", "deep shadows", "dark background"],
    "cheer": ["bright cheerful lighting", "playful"],
    "indoors": ["soft window light", "soft studio lighting", "lamplight"],
    "studio": ["soft studio lighting", "softbox"],
    "outdoors": ["open sky", "level horizon", "open air"],
    "colour": ["vivid colors", "warm colours", "colorful", "vibrant"],
    "close": ["close-up framing", "macro", "tight framing", "head-and-shoulders framing", "close view"],
    "wide": ["wide angle view", "panoramic framing", "wide establishing view", "wide-angle"],
    "tall": ["tall framing", "full-length vertical framing"],
    "high_view": ["aerial view", "overhead flat lay", "seen from above", "from slightly above", "bird’s-eye view"],
    "low_view": ["dynamic low angle view", "from a low viewpoint", "seen from below"],
    "level_view": ["framed at eye level", "straight-on view", "symmetrical front view"],
    "centred": ["centered composition", "centred", "symmetrical framing"],
    "off_centre": ["off-center medium shot", "composed on the rule of thirds"],
    "person": ["portrait framing", "head-and-shoulders framing", "half-length framing"],
    "one": ["a single subject", "one clear subject"],
    "many": ["a group", "several of them"],
    "background_plain": ["plain background", "centered composition with clean background", "on white"],
    "background_scene": ["a clear foreground", "blurred garden background", "in its surroundings"],
    "scene_light": ["soft window light", "warm golden hour light", "dramatic rim light", "soft natural light"],
    "shadow": ["subtle shadows", "deep shadows"],
    "blur": ["soft focus", "shallow depth of field", "blurred"],
    "sharp": ["sharp focus", "crisp edges", "everything in focus"],
    "clean": ["clean lines", "minimalist", "uncluttered"],
    "busy": ["intricate", "detailed concept art style", "ornate"],
    "no_text": ["no text", "without any lettering"],
    "modern": ["clean modern interface style", "futuristic"],
    "vintage": ["vintage", "retro", "1950s"],
    "soft": ["soft light", "gentle side lighting"],
    "hard": ["hard light", "harsh", "crisp shadows"],
    "warm": ["warm ambient lighting", "golden hour"],
    "cold": ["cool moonlight", "cold light"],
    "3d": ["smooth 3D render style", "low poly"],
}
UNSAID = {
    "photo": ["wide angle view", "low camera angle", "phototropic growth"],
    "drawn": ["natural photographic style", "pink tones"],
    "vector": ["overhead flat lay", "flat even light"],
    "daylight": ["cool moonlight", "soft studio lighting", "Sunday best"],
    "night": ["star-shaped layout", "knight"],
    "sun": ["soft sunset glow", "Sunday best", "soft daylight", "sunken"],
    "gloom": ["bright cheerful lighting", "dark outlines", "dramatic low angle"],
    "cheer": ["bright even light"],
    "indoors": ["with room around it", "street lamps"],
    "studio": ["soft window light"],
    "outdoors": ["shallow depth of field", "landscape format"],
    "colour": ["loose watercolor painting style", "black and white", "colourless"],
    "close": ["wide view", "closed", "with one clear focus"],
    "wide": ["generous wide margins", "wide aperture"],
    "tall": ["a portrait"],
    "high_view": ["overhead lamp", "lit from above", "framed at eye level"],
    "low_view": ["low-key lighting", "slow"],
    "level_view": ["from slightly above eye level"],
    "centred": ["off-centre framing", "off-center medium shot", "asymmetrical"],
    "off_centre": ["centered composition"],
    "person": ["portrait format", "clear surface", "typeface"],
    "one": ["a single light source", "with one clear focus"],
    "many": ["single subject"],
    "background_plain": ["soft background", "clean lines"],
    "background_scene": ["clean background", "landscape format"],
    "scene_light": ["simple flat shading", "soft even lighting", "even, shadowless light", "light grey background"],
    "shadow": ["even, shadowless light", "without shadows", "shadow-free"],
    "blur": ["soft light", "deep depth of field", "deep focus"],
    "sharp": ["out of focus", "soft light"],
    "clean": ["ornate"],
    "busy": ["uncluttered", "simple"],
    "no_text": ["text at the top", "clear lettering"],
    "modern": ["old-fashioned"],
    "vintage": ["modern"],
    "soft": ["crisp light"],
    "hard": ["soft light"],
    "warm": ["cool light", "swarming"],
    "cold": ["warm light"],
    "3d": ["rendered in watercolour"],
}


def test_each_group_has_examples_of_what_it_covers_and_of_what_it_does_not() -> None:
    assert set(GROUPS) == set(SAID) == set(UNSAID)


@pytest.mark.parametrize(("group", "text"), [(group, text) for group, texts in SAID.items() for text in texts])
def test_a_group_covers_what_it_means(group: str, text: str) -> None:
    assert hits(text, [f"@{group}"])
    assert hits(text.upper(), [f"@{group}"])


@pytest.mark.parametrize(("group", "text"), [(group, text) for group, texts in UNSAID.items() for text in texts])
def test_a_group_does_not_cover_what_only_sounds_like_it(group: str, text: str) -> None:
    assert hits(text, [f"@{group}"]) == []


def test_a_word_is_matched_whole_and_in_its_plural() -> None:
    assert hits("deep shadows, Soft Focus", ["shadow", "soft focus"]) == ["shadows", "soft focus"]
    assert hits("shadowless, soft, focus", ["shadow", "soft focus"]) == []


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a beach, no people or dogs, at noon", {"people", "dog"}),
        ("a chair without any harsh light", {"harsh"}),
        ("a wall, no light", {"light"}),
        ("a cabin, not at night", {"night"}),
        ("a lion, not a photo", {"photo"}),
        ("don't make it look dark or scary", {"dark", "scary"}),
        ("don't light it from the side", set[str]()),
        ("nothing but sand, not only blue", set[str]()),
        ('a sign that says "no dogs"', set[str]()),
        ("a house without a roof in clear light", {"roof"}),
    ],
)
def test_the_words_that_a_prompt_negates_are_known(prompt: str, words: set[str]) -> None:
    assert negated(prompt) == words


def test_every_purpose_has_a_view_of_what_fits_it_in_known_terms() -> None:
    assert set(FITS) == set(PURPOSES) - {"auto"}
    terms = [term for fit in FITS.values() for term in (*fit.foreign, *fit.fitting)]
    assert {term[1:] for term in terms if term.startswith("@")} <= set(GROUPS)


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
def test_a_bad_enricher_misses_the_bar_and_is_told_why(metric: str) -> None:
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
def test_a_metric_leaves_out_the_prompts_that_it_does_not_concern(metric: str, prompt: JudgedPrompt) -> None:
    assert score(metric, adding({}), prompt) == Score(None, [])


def test_what_the_prompt_negates_is_a_contradiction_and_what_an_addition_denies_is_none() -> None:
    assert score("contradictions", adding({"lighting": "soft neon light"}), judged("a city, no neon")).value == 100
    assert score("contradictions", adding({"style": "poster, no text"}), judged("a poster, no text")).value == 0


def test_what_must_be_said_is_missed_where_it_is_not() -> None:
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
def test_additions_fit_a_purpose_if_one_is_of_it_and_none_is_foreign(
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
        {"reason": "it is rich already"},
    ],
)
def test_a_report_that_says_other_than_what_was_done_is_no_honest_one(changes: Mapping[str, Any]) -> None:
    assert score("report_honesty", adding(FITTING)).value == 100
    assert score("report_honesty", adding(FITTING, **changes)).value == 0


def test_what_the_call_asks_for_is_not_the_enrichers_choice() -> None:
    asked = [replace(each, source="argument") for each in applied(FITTING)]
    prompt = judged(has=("lighting",), purpose="logo_icon")
    scores = measured([tried(adding(FITTING, applied=asked), prompt)])
    assert {scores[name].value for name in ("redundant_facets", "commonest_addition", "words_p95")} == {None}
    assert not any(failure.why.startswith("foreign") for failure in scores["purpose_fit"].failures)


def test_a_prompt_that_was_rightly_not_read_is_not_counted_as_detected() -> None:
    enrich = adding({}, reason="it is not recognisably English")
    assert score("detection_recall", enrich, judged(has=("style",), treat="alone")).value is None
    assert score("detection_recall", enrich, judged(has=("style",), treat="either")).value == 0


def test_detection_is_averaged_over_facets_not_over_prompts() -> None:
    prompts = [judged(has=("style", "lighting")), judged("a cat", has=("composition",))]
    enrich = adding({}, present=["style", "composition", "subject"])
    assert score("detection_precision", enrich, *prompts).value == pytest.approx(50)
    assert score("detection_recall", enrich, *prompts).value == pytest.approx(200 / 3)


def test_a_percentile_is_a_value_that_so_many_are_not_above() -> None:
    assert [percentile(range(1, 101), each) for each in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert (percentile([7], 95), percentile([], 95)) == (7, None)


def test_a_bar_is_read_as_it_is_held() -> None:
    assert (str(Bar(0.2, unit="ms")), str(Bar(90, is_least=True))) == ("at most 0.2 ms", "at least 90 %")
    assert [Bar(5).is_met(value) for value in (None, 5, 5.01)] == [True, True, False]
    assert [shown(value) for value in (None, 0, 100, 2.346)] == ["-", "0", "100", "2.35"]


@pytest.mark.parametrize("enrich", [ours, *BASELINES.values()])
def test_the_enricher_and_the_baselines_are_judged_alike(
    enrich: Callable[[JudgedPrompt, str], EnrichedPrompt],
) -> None:
    scores = measured([tried(enrich, prompt) for prompt in PROMPTS])
    assert [scores[name].value for name in ("verbatim", "idempotent", "no_exception", "report_honesty")] == [100] * 4


def test_the_fixed_suffix_says_the_same_to_every_prompt() -> None:
    assert score("commonest_addition", fixed_suffix, *PROMPTS).value == 100
    assert score("over_enrichment", fixed_suffix, *PROMPTS).value == 100


def test_the_call_is_made_as_the_judged_prompt_says() -> None:
    asked = {"purpose": "product", "lighting": "soft morning light"}
    result = ours(judged("cup of tea", size="1792x1024", model="nano-banana", arguments=asked), "cup of tea")
    assert "soft morning light" in result.prompt
    assert any(each.rule.startswith("purposes.product.wide") for each in result.applied)
