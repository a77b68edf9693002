"""What enriching does to one prompt or another, by example."""

from dataclasses import replace
from typing import Any

import pytest

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import Advice, EnrichedPrompt, enrich, example_of
from blockrun_image.enrichment.enriched import MAIN_FACETS
from blockrun_image.errors import InvalidRequestError, UnknownModelError
from blockrun_image.model import Model

CODE = "it looks like code or has flags"
OPT_OUT = "it asks to be sent unchanged"
FEW = "it has too few words"
FOREIGN = "it is not recognisably English"
RICH = "it is detailed enough"


def enriched(prompt: str, model: Model | str = "dall-e-3", **asked: Any) -> EnrichedPrompt:
    return enrich(prompt, model=model, **asked)


def facets(prompt: EnrichedPrompt) -> list[str]:
    return [addition.facet for addition in prompt.applied]


def rules(prompt: EnrichedPrompt) -> dict[str, str]:
    return {addition.facet: addition.rule for addition in prompt.applied}


def test_bare_prompt_gains_style_composition_and_lighting() -> None:
    assert facets(enriched("A dog")) == list(MAIN_FACETS)


@pytest.mark.parametrize("size", [None, "1024x1024", "1792x1024", "1024x1792"])
def test_good_prompt_from_the_contract_keeps_its_words_and_lighting(size: str | None) -> None:
    prompt = "A golden retriever puppy sitting in a sunlit meadow, soft focus background"
    result = enriched(prompt, size=size)
    assert result.prompt.startswith(prompt)
    assert "lighting" in result.present
    assert "lighting" not in facets(result)
    assert not result.warnings


@pytest.mark.parametrize(
    "quotation",
    ['"at night"', "“at night”", "„at night“", "«at night»", "「at night」", "`at night`", "‘at night’", "'at night'"],
)
def test_quoted_text_is_neither_read_nor_changed(quotation: str) -> None:
    result = enriched(f"A dog under a sign {quotation}")
    assert result.prompt.startswith(f"A dog under a sign {quotation}")
    assert "lighting" not in result.present
    assert "lighting" in facets(result)


@pytest.mark.parametrize("prompt", ["A dog’s day at night", "A dog isn't 'sad' at night", 'A 6" dog at night'])
def test_apostrophe_or_inch_mark_does_not_start_a_quotation(prompt: str) -> None:
    assert "lighting" in enriched(prompt).present


@pytest.mark.parametrize("negation", ["no sunset", "without a sunset", "don't show a sunset", "don’t show a sunset"])
def test_negated_facet_counts_as_absent(negation: str) -> None:
    assert "lighting" not in enriched(f"A dog, {negation}").present
    assert "lighting" in enriched(f"A dog, {negation}, at night").present


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("A dog, as is", OPT_OUT),
        ("A dog, exactly as written", OPT_OUT),
        ('{"subject": "a dog"}', CODE),
        ("[a dog]", CODE),
        ("<svg>a dog</svg>", CODE),
        ("```a dog```", CODE),
        ("A dog <lora:fur>", CODE),
        ("A dog --ar 16:9", CODE),
        ("A (dog:1.2)", CODE),
        ("A dog::2", CODE),
        ("A ((dog))", CODE),
        ("draw_dog()", CODE),
        ("graph TD; a dog", CODE),
        ("sequenceDiagram of a dog", CODE),
        ("A dog with options: {fur}", CODE),
        ("A dog \u202ewith its tail", "it has characters that change how others are read"),
        ("ox", FEW),
        ("!?", FEW),
        ("the", FEW),
        ("Ein Hund auf der Wiese", FOREIGN),
        ("un dog", FOREIGN),
        ("Zyzzyva quux blorf snark", FOREIGN),
        ("a dog near the дерево дом", FOREIGN),
        (f"A dog {'that runs ' * 20}", RICH),
        ("An oil painting of a dog at sunset, close-up", RICH),
        ("A dog at sunset in close-up, " + "with a ball and " * 5, RICH),
        ("A dog " + "x" * 2_000, RICH),
    ],
)
def test_unsuitable_prompt_is_left_alone_with_a_reason(prompt: str, reason: str) -> None:
    result = enriched(prompt)
    assert (result.prompt, result.applied, result.reason) == (prompt, [], reason)
    assert bool(result.advice) == (reason in (FEW, FOREIGN))


@pytest.mark.parametrize(
    "prompt",
    [
        "cat",
        "A dog with his friend: a cat",
        "A well--known dog",
        "A dog (the brown one)",
        "A dog at 5:30",
        "A graph of a dog",
        "A dog that runs and runs and runs and runs and runs and runs and runs and runs and runs and runs and runs",
        "A dog at sunset with a ball and a ball and a ball and a ball and a ball and a ball and a ball and a ball",
        "A dog near the дом",
    ],
)
def test_ordinary_prompts_are_enriched(prompt: str) -> None:
    assert "composition" in facets(enriched(prompt))


def test_end_of_a_long_prompt_is_read() -> None:
    assert "lighting" in enriched(f"A dog {'x' * 1_900} at sunset").present


@pytest.mark.parametrize(
    ("prompt", "has_style"),
    [
        ("A dog and a cat on a mat", True),
        ("A dog and a cat on a red mat", False),
        ("A dog at sunset", False),
        ("A photo of a dog", False),
        ("A logo of a dog and a cat on a big red mat", True),
    ],
)
def test_a_style_is_added_only_to_a_bare_prompt_or_for_a_purpose(prompt: str, has_style: bool) -> None:
    result = enriched(prompt)
    assert ("style" in facets(result)) == has_style
    assert ("style" in {each.facet for each in result.advice}) == (not has_style and "style" not in result.present)


@pytest.mark.parametrize(
    ("prompt", "subject"),
    [
        ("A fire truck", "vehicle"),
        ("Two sports cars", "vehicle"),
        ("A sea turtle", "sea_life"),
        ("A castle in the sky", "fantasy"),
        ("A castle", "building"),
        ("A fire", "other"),
        ("Churches", "building"),
        ("Students", "group"),
        ("Puppies", "animal"),
    ],
)
def test_longest_term_decides_the_subject(prompt: str, subject: str) -> None:
    assert rules(enriched(prompt))["style"] == f"subjects.{subject}.style"


@pytest.mark.parametrize(
    ("size", "rule"),
    [
        ("1792x1024", "shapes.wide"),
        ("1024x1792", "shapes.tall"),
        ("1024x768", "shapes.wide"),
        ("768x1024", "shapes.tall"),
        ("1024x1024", "subjects.animal.composition"),
        ("1024x900", "subjects.animal.composition"),
        ("auto", "subjects.animal.composition"),
    ],
)
def test_a_wide_or_tall_size_is_named_in_the_composition(size: str, rule: str) -> None:
    assert rules(enriched("A dog", size=size))["composition"] == rule


def test_purpose_overrides_size_and_subject_and_skips_facets() -> None:
    assert rules(enriched("A dog", size="1024x1792", purpose="logo_icon")) == {
        "style": "purposes.logo_icon.style",
        "composition": "purposes.logo_icon.tall",
    }
    assert enriched("A dog", purpose="logo_icon").missing == []
    assert rules(enriched("A photo of a dog", purpose="portrait"))["lighting"] == "purposes.portrait.lighting"


def test_addition_does_not_contradict_an_earlier_addition() -> None:
    told = enriched("A ghost", purpose="childrens_illustration").prompt
    assert "Gentle storybook art style" in told
    assert "dramatic" not in told


def test_phrases_vary_with_the_subject() -> None:
    animals = ["dog", "cat", "horse", "owl", "fox", "bear", "whale", "frog"]
    assert len({enriched(f"A {animal}").prompt.partition(". ")[2] for animal in animals}) > 3


@pytest.mark.parametrize(
    ("prompt", "sentence", "tags"),
    [
        (
            "A dog",
            "A dog. Anime style, close crop, consistent light and shade.",
            "A dog, anime style, close crop, consistent light and shade",
        ),
        (
            "A dog.",
            "A dog. Anime style, close crop, consistent light and shade.",
            "A dog. Anime style, close crop, consistent light and shade",
        ),
        (
            "A dog!”",
            "A dog!” Anime style, close crop, consistent light and shade.",
            "A dog!” Anime style, close crop, consistent light and shade",
        ),
        (
            "A dog,",
            "A dog, anime style, close crop, consistent light and shade.",
            "A dog, anime style, close crop, consistent light and shade",
        ),
        (
            "A dog\n",
            "A dog\n\nAnime style, close crop, consistent light and shade.",
            "A dog\n\nAnime style, close crop, consistent light and shade",
        ),
    ],
)
def test_addition_is_punctuated_in_the_models_preferred_form(prompt: str, sentence: str, tags: str) -> None:
    for model, expected in (("dall-e-3", sentence), ("dall-e-2", tags)):
        result = enriched(prompt, model, art_style="anime", composition="close crop", lighting="")
        assert result.prompt.partition(", clear")[0].rstrip(".") == expected.rstrip(".")
        assert result.prompt.endswith(".") == (model == "dall-e-3")


def test_argument_is_added_in_its_own_or_its_presets_words() -> None:
    result = enriched("A dog", art_style="Ink_Wash", composition="from the sofa, ", lighting=" golden hour ")
    assert [(each.text, each.source) for each in result.applied] == [
        ("ink wash painting style", "argument"),
        ("from the sofa", "argument"),
        ("warm golden hour light", "argument"),
    ]


def test_argument_already_in_the_prompt_is_skipped_without_warning() -> None:
    result = enriched("A dog in the lamp's shadow", lighting="in the lamp's shadow")
    assert "arguments.lighting" not in rules(result).values()
    assert "lighting" not in facets(result)
    assert result.warnings == []


@pytest.mark.parametrize(
    ("prompt", "asked", "why"),
    [
        ("A dog at night", {"lighting": "golden_hour"}, "it contradicts the prompt's own words"),
        ("A dog, no people", {"composition": "people behind it"}, "it contradicts the prompt's own words"),
        ("A dog, as is", {"art_style": "anime"}, f"the prompt was not changed, because {OPT_OUT}"),
    ],
)
def test_argument_that_cannot_be_added_causes_a_warning(prompt: str, asked: dict[str, str], why: str) -> None:
    result = enriched(prompt, **asked)
    (warning,) = result.warnings
    assert warning.endswith(f"was not added: {why}.")
    assert not {"arguments.lighting", "arguments.composition", "arguments.art_style"} & set(rules(result).values())


@pytest.mark.parametrize(
    "words", ["(dog)", 'a "dog"', "a\ndog", "dog --ar 2", "<dog>", "{dog}", "12", "x" * 121, "-dog"]
)
def test_argument_that_is_not_a_short_phrase_is_refused(words: str) -> None:
    with pytest.raises(InvalidRequestError, match="lighting must be a short phrase"):
        enriched("A dog", lighting=words)


def test_unknown_purpose_or_model_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="no purpose 'meme'"):
        enriched("A dog", purpose="meme")
    with pytest.raises(UnknownModelError):
        enriched("A dog", "dall-e-4")


def test_last_additions_are_dropped_first_and_arguments_kept(catalog: Catalog) -> None:
    model, whole = catalog.find("dall-e-3"), enriched("A dog")
    kept = [facets(enriched("A dog", tight(model, room))) for room in range(len(whole.prompt), 4, -1)]
    assert kept[0] == list(MAIN_FACETS)
    assert kept[1] == ["style", "composition"]
    assert kept[-1] == []
    last = enriched("A dog", tight(model, 10))
    assert last.reason == "there is no room for more"
    only = enriched("A dog", tight(model, 23), lighting="by candle light")
    assert [each.text for each in only.applied] == ["by candle light"]
    assert enriched("A dog", tight(model, 20), lighting="by candle light").warnings == [
        "lighting 'by candle light' was not added: there is no room for it."
    ]


def tight(model: Model, room: int) -> Model:
    return model.model_copy(update={"max_prompt_characters": room})


def test_suggestion_names_missing_facets_and_its_reason() -> None:
    suggested = enriched("A dog").as_advice()
    assert (suggested.prompt, suggested.missing) == ("A dog", list(MAIN_FACETS))
    assert suggested.reason == "only suggestions were requested"
    assert enriched("A dog, as is").as_advice().reason == OPT_OUT
    assert replace(enriched("A dog at sunset"), missing=["style"]).as_advice().missing == ["style", "composition"]


def test_untouched_prompt_warns_of_unused_arguments_except_purpose() -> None:
    untouched = EnrichedPrompt.untouched("A dog", {"purpose": "photo", "lighting": "", "art_style": "anime"})
    assert untouched.warnings == ["art_style was not used, because enrich is off."]


def test_example_omits_phrases_that_contradict_the_rest() -> None:
    advice = [Advice("style", "", "black and white"), Advice("lighting", "", "vivid neon glow")]
    assert example_of(EnrichedPrompt("A dog!", "A dog!", advice=advice)) == "A dog! Black and white."
    assert example_of(EnrichedPrompt("A dog at night,", "", advice=advice[1:])) == "A dog at night, vivid neon glow"
    assert not example_of(EnrichedPrompt("A dog", "A dog"))


@pytest.mark.parametrize(
    ("prompt", "rule"),
    [
        ("a lighthouse", "subjects.building.lighting"),
        ("a lighthouse and a zyxer", "fallbacks.lighting"),
        ("a cup of tea", "subjects.food.lighting"),
        ("a cup", "subjects.vessel.lighting"),
    ],
)
def test_specific_lighting_needs_a_prompt_of_known_words(prompt: str, rule: str) -> None:
    assert rules(enriched(prompt))["lighting"] == rule


@pytest.mark.parametrize(
    ("prompt", "is_lit_by_evening"),
    [("a castle", False), ("a castle by the sea in a meadow", True), ("a castle in the snow, winter", False)],
)
def test_light_that_needs_a_place_is_added_only_if_one_is_named(prompt: str, is_lit_by_evening: bool) -> None:
    offered = {enriched(prompt.replace("castle", castle)).prompt for castle in ("castle", "cottage", "barn", "mill")}
    assert any("golden hour" in each for each in offered) == is_lit_by_evening


@pytest.mark.parametrize("prompt", ["a floor plan of a house", "a pencil sketch of a castle", "label of a jam jar"])
def test_plan_line_drawing_or_label_gets_no_scene_lighting(prompt: str) -> None:
    added = [each.text for each in enriched(prompt).applied if each.facet == "lighting"]
    assert added in ([], ["evenly lit throughout"])
    assert "golden hour" in enriched(prompt, lighting="golden hour").prompt


def test_hour_counts_as_lighting_and_accented_name_as_english() -> None:
    assert "lighting" in enriched("a fox at 3 a.m.").present
    assert enriched("Zoë and Łukasz on a bench").changed
    assert not enriched("żółty pies na moście").changed
