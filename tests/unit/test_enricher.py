"""How a prompt is read, joined with its additions and reported, by example."""

from typing import Any

import pytest

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import Advice, EnrichedPrompt, enrich
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
def test_good_prompt_from_the_contract_is_left_as_it_is(size: str | None) -> None:
    result = enriched("A golden retriever puppy sitting in a sunlit meadow, soft focus background", size=size)
    assert not result.changed
    assert "lighting" in result.present
    assert not result.warnings


@pytest.mark.parametrize(
    "quotation",
    ['"at night"', "“at night”", "„at night“", "«at night»", "「at night」", "`at night`", "‘at night’", "'at night'"],
)
def test_quoted_text_is_neither_read_nor_changed(quotation: str) -> None:
    result = enriched(f"A poster {quotation}")
    assert result.prompt.startswith(f"A poster {quotation}")
    assert "lighting" not in result.present
    assert "lighting" in enriched("A poster at night").present


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
    assert reason in (FEW, FOREIGN) or result.advice == []


@pytest.mark.parametrize(
    "prompt",
    [
        "logo",
        "A logo with two foxes: a red one",
        "A well--known logo",
        "A logo (the brown one)",
        "A logo for a shop at 5:30",
        "A graph of a dog",
        "A logo of a dog that runs " + "and runs " * 14,
        "A logo of a dog near the дом",
    ],
)
def test_ordinary_prompts_are_enriched(prompt: str) -> None:
    assert "composition" in facets(enriched(prompt))


def test_words_that_nobody_knows_gain_nothing() -> None:
    assert not enriched("Zyzzyva quux blorf snark").changed


def test_end_of_a_long_prompt_is_read() -> None:
    assert "lighting" in enriched(f"A dog {'x' * 1_900} at sunset").present


@pytest.mark.parametrize(
    ("prompt", "subject"),
    [
        ("Race car", "car"),
        ("Sea turtle", "sea_life"),
        ("Castle", "building"),
        ("A hot dog", "tall_food"),
        ("Rubber duck", "thing"),
        ("An apple tree", "tree"),
    ],
)
def test_longest_term_decides_the_subject(prompt: str, subject: str) -> None:
    assert rules(enriched(prompt))["composition"] == f"subjects.{subject}.composition"


@pytest.mark.parametrize(
    ("size", "part"),
    [
        ("1792x1024", "wide"),
        ("1024x768", "wide"),
        ("1024x1792", "composition"),
        ("1024x1024", "composition"),
        ("1228x1024", "composition"),
        ("auto", "composition"),
        ("²x1", "composition"),
    ],
)
def test_wide_size_has_a_composition_of_its_own_where_there_is_one(size: str, part: str) -> None:
    assert rules(enriched("A mountain lake", size=size))["composition"] == f"subjects.scenery.{part}"


def test_tall_size_has_a_composition_of_its_own_where_there_is_one() -> None:
    result = enriched("A zyx", size="1024x1792", purpose="portrait")
    assert rules(result)["composition"] == "purposes.portrait.tall"


def test_purpose_comes_before_use_and_subject_and_skips_facets() -> None:
    assert rules(enriched("A dog", purpose="logo_icon")) == {
        "style": "purposes.logo_icon.style",
        "composition": "purposes.logo_icon.composition",
    }
    assert enriched("A dog", purpose="logo_icon").missing == []
    assert rules(enriched("A sticker of a dog", purpose="logo_icon"))["composition"].startswith("purposes.")


def test_phrases_vary_with_the_subject() -> None:
    bare = ["dog", "soup", "bedroom", "mountain lake", "rose", "car"]
    assert len({enriched(f"A {subject}").prompt.partition(". ")[2] for subject in bare}) == len(bare)


@pytest.mark.parametrize(
    ("prompt", "sentence", "tags"),
    [
        (
            "A dog",
            "A dog. Anime style, close crop, light from the left.",
            "A dog, anime style, close crop, light from the left",
        ),
        (
            "A dog.",
            "A dog. Anime style, close crop, light from the left.",
            "A dog. Anime style, close crop, light from the left",
        ),
        (
            "A dog!”",
            "A dog!” Anime style, close crop, light from the left.",
            "A dog!” Anime style, close crop, light from the left",
        ),
        (
            "A dog,",
            "A dog, anime style, close crop, light from the left.",
            "A dog, anime style, close crop, light from the left",
        ),
        (
            "A dog\n",
            "A dog\n\nAnime style, close crop, light from the left.",
            "A dog\n\nAnime style, close crop, light from the left",
        ),
    ],
)
def test_addition_is_punctuated_in_the_models_preferred_form(prompt: str, sentence: str, tags: str) -> None:
    for model, expected in (("dall-e-3", sentence), ("dall-e-2", tags)):
        result = enriched(prompt, model, art_style="anime", composition="close crop", lighting="light from the left")
        assert result.prompt == expected


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


def test_suggestion_turns_additions_into_advice() -> None:
    added = enriched("A dog")
    suggested = added.as_advice()
    assert (suggested.prompt, suggested.missing) == ("A dog", list(MAIN_FACETS))
    assert [each.example for each in suggested.advice] == [each.text for each in added.applied]
    assert suggested.reason == "only suggestions were requested"
    assert enriched("A dog, as is").as_advice().reason == OPT_OUT
    assert enriched("burnout").as_advice().advice == enriched("burnout").advice


def test_advice_is_a_sentence_with_an_example_if_it_has_one() -> None:
    assert str(Advice("lighting", "Say how it is lit", "backlit")) == 'Say how it is lit, such as "backlit"'
    assert str(Advice("subject", "Name one scene")) == "Name one scene"
    assert Advice("subject", "Name one scene").to_dict() == {"facet": "subject", "say": "Name one scene"}


def test_untouched_prompt_warns_of_unused_arguments_except_purpose() -> None:
    untouched = EnrichedPrompt.untouched("A dog", {"purpose": "photo", "lighting": "", "art_style": "anime"})
    assert untouched.warnings == ["art_style was not used, because enrich is off."]


@pytest.mark.parametrize(
    "prompt", ["a floor plan of a house", "a pencil sketch of a castle", "a logo of a dog at home"]
)
def test_plan_line_drawing_or_logo_gets_no_scene_lighting(prompt: str) -> None:
    assert "lighting" not in facets(enriched(prompt))
    assert "golden hour" in enriched(prompt, lighting="golden hour").prompt


def test_hour_counts_as_lighting_and_accented_name_as_english() -> None:
    assert "lighting" in enriched("a fox at 3 a.m.").present
    assert enriched("A logo for Zoë and Łukasz").changed
    assert enriched("żółty pies na moście").reason == FOREIGN


def test_purposes_words_give_way_to_what_an_argument_says(catalog: Catalog) -> None:
    enriched = enrich("AAA", model=catalog.find("dall-e-3"), purpose="logo_icon", lighting="a dog, at night")
    assert [each.text for each in enriched.applied if each.source == "argument"] == ["a dog, at night"]
    assert not any("white" in each.text for each in enriched.applied)
    again = enrich(enriched.prompt, model=catalog.find("dall-e-3"), purpose="logo_icon", lighting="a dog, at night")
    assert (again.prompt, again.reason) == (enriched.prompt, "what would fit contradicts what the call asks for")
