"""What is added to prompts as people and agents write them, what is never, and which are left alone."""

import re
from typing import Any

import pytest
from tests.support.sandbox import contract

from blockrun_image.enrichment import EnrichedPrompt, enrich
from blockrun_image.errors import InvalidRequestError

WIDE = {"size": "1792x1024"}
TALL = {"size": "1024x1792"}
ALL = "style composition lighting"
NOT_ENGLISH = "it is not recognisably English"
NO_CHANGE = "it asks to be sent unchanged"
CODE = "it looks like code or has flags"
RICH = "it is detailed enough"


def enriched(prompt: str, **asked: Any) -> EnrichedPrompt:
    """Return the prompt, enriched for a model; its words come first in it, and stay as they are."""
    result = enrich(prompt, model=asked.pop("model", "dall-e-3"), **asked)
    assert result.prompt.startswith(prompt)
    return result


def added(result: EnrichedPrompt) -> str:
    return ", ".join(each.text for each in result.applied)


@pytest.mark.parametrize(
    ("prompt", "facets"),
    [
        ("A dog", ALL),
        ("bonsai", ALL),
        ("Mount Fuji", ALL),
        ("nostalgia", ALL),
        ("three friends laughing", ALL),
        ("a photo of a dog", "composition lighting"),
        ("watercolor of a rose", "composition lighting"),
        ("a macro of a bee", "lighting"),
        ("a street at night", "composition"),
        ("A logo for a coffee shop", "style composition"),
        ("A diagram of the water cycle", "style composition"),
        ("a banking app", "style composition"),
        ('A poster that says "SUMMER JAZZ"', "style composition"),
        ("seamless pattern of lemons", "lighting"),
        ("a stack of twelve old books beside a teapot", "composition lighting"),
        ("can you draw me a dragon that breathes flowers?", "composition lighting"),
        ("sticker of a happy avocado", "composition lighting"),
        ("blueprint of a house", "composition"),
        ("a tintype of a soldier", "composition lighting"),
        ("five red apples in a row", ALL),
        ("a still life of lemons, chiaroscuro, oil on canvas", "composition"),
    ],
)
def test_prompt_gains_the_missing_facets_its_purpose_needs(prompt: str, facets: str) -> None:
    assert [each.facet for each in enriched(prompt).applied] == facets.split()


@pytest.mark.parametrize(
    ("prompt", "unfit"),
    [
        ("a cave", "daylight|morning|golden|natural light"),
        ("a wine cellar", "daylight|morning|golden|window"),
        ("coral reef", "daylight|morning|golden|window"),
        ("an astronaut", "daylight|morning|golden|window|natural light"),
        ("fireworks over the harbour", "daylight|morning|golden|natural light|even"),
        ("a night market in Bangkok", "daylight|morning|golden|natural light|even"),
        ("foggy forest", "golden|sun"),
        ("a vampire's castle", "photographic|morning|daylight"),
        ("haunted house", "magazine|commercial|morning|daylight"),
        ("a cottage in the woods", "studio|window"),
        ("a living room", "golden|leading|establishing"),
        ("tree", "studio|clean|commercial"),
        ("cherry blossoms along a canal", "food|lay|window"),
        ("a girl riding a dragon", "photographic|photorealistic"),
        ("a cyberpunk samurai", "photographic|photorealistic"),
        ("a flock of birds", "close-up"),
        ("a line drawing of a gear", "light|photographic"),
        ("a black and white dog", "warm|golden|vivid"),
        ("perfume bottle in space, product photo", "background|studio"),
        ("a chair on a beach, product shot", "background|studio"),
        ("a minimalist vase", "intricate|detailed"),
    ],
)
def test_additions_fit_the_place_time_and_kind(prompt: str, unfit: str) -> None:
    result = enriched(prompt)
    assert result.changed
    assert not re.search(unfit, added(result))


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("a pirate ship", "vehicle"),
        ("a school bus", "vehicle"),
        ("turkey sandwich", "food"),
        ("hot dog", "food"),
        ("a beach ball", "object"),
        ("sea lion", "animal"),
        ("queen bee", "animal"),
        ("a jazz band", "group"),
        ("underwater city", "scenery"),
        ("a dog, a house", "animal"),
        ("a vampire's dog", "fantasy"),
        ("a dream of freedom", "other"),
        ("a wedding of two painters", "person"),
    ],
)
def test_subject_is_the_first_noun_or_a_compounds_last_unless_imaginary(prompt: str, kind: str) -> None:
    rules = [each.rule.split(".")[1] for each in enriched(prompt).applied if each.source == "subject"]
    assert rules
    assert set(rules) == {kind}


@pytest.mark.parametrize(
    "prompt",
    [
        "a light bulb",
        "a light blue dress",
        "a light snack",
        "a shot of espresso",
        "a photographer at work",
        "a man painting a fence",
        "a shadow puppet",
        "a felt hat",
        "dim sum",
        "a picture frame on a wall",
        "portrait orientation, a mountain",
        "midnight blue car",
        "an aerial acrobat",
    ],
)
def test_words_that_only_resemble_a_facet_do_not_count_as_it(prompt: str) -> None:
    assert [each.facet for each in enriched(prompt).applied] == ALL.split()


@pytest.mark.parametrize(
    ("prompt", "purpose"),
    [
        ("a phone app", "ui_mockup"),
        ("exploded view of a camera", "diagram"),
        ("coloring page of a dinosaur", "childrens_illustration"),
        ("luxury watch advertisement", "product"),
        ("a poster in a teenager's bedroom", ""),
        ("a room with posters on the wall", ""),
        ("a portrait painter", ""),
        ("a business card for a photographer", "poster_text"),
    ],
)
def test_purpose_is_inferred_from_cues_not_from_depicted_things(prompt: str, purpose: str) -> None:
    told = {each.rule.split(".")[1] for each in enriched(prompt).applied if each.source == "purpose"}
    assert told == ({purpose} if purpose else set())


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("un chien dans la neige", NOT_ENGLISH),
        ("Portrait d'une vieille dame", NOT_ENGLISH),
        ("ein Hund im Schnee", NOT_ENGLISH),
        ("gato", NOT_ENGLISH),
        ("雪の中の赤い狐", NOT_ENGLISH),
        ("собака на пляже", NOT_ENGLISH),
        ("🦊", "it has too few words"),
        ("A dog, as is", NO_CHANGE),
        ("A dog. No additions.", NO_CHANGE),
        ("please don't modify my prompt: an orange cat", NO_CHANGE),
        ("a dog --ar 16:9", CODE),
        ("graph TD; A-->B", CODE),
        ("(masterpiece:1.2), a girl", CODE),
        ('{"prompt": "a dog"}', CODE),
        ("a dog " * 30, RICH),
        ("Macro photo of a dew drop on a blade of grass, morning light", RICH),
        ("a minimalist logo of a mountain, centered on white", "it has what its purpose needs"),
    ],
)
def test_prompt_is_left_alone_with_a_reason(prompt: str, reason: str) -> None:
    result = enriched(prompt)
    assert (result.prompt, result.reason) == (prompt, reason)


def test_a_puppy_in_a_sunlit_meadow_keeps_its_light_and_its_focus() -> None:
    result = enriched("A golden retriever puppy sitting in a sunlit meadow, soft focus background")
    assert {each.facet for each in result.applied} <= {"composition"}


@pytest.mark.parametrize(
    ("prompt", "ruled_out"),
    [
        ("a cat, not a photo", "photo"),
        ("a mountain, don't center it", "centered"),
        ("a bowl of fruit, no close-up", "close"),
        ("a lake, no sunlight", "sun|golden|flat"),
        ("a house, no dramatic lighting", "dramatic|light|flat"),
        ("a cave, without any light", "light|lit|glow"),
        ("an owl, no people", "people"),
    ],
)
def test_ruled_out_words_are_not_added(prompt: str, ruled_out: str) -> None:
    result = enriched(prompt)
    assert result.changed
    assert not re.search(ruled_out, added(result))


def test_ruling_out_one_light_allows_others() -> None:
    assert "lighting" in [each.facet for each in enriched("a lake, no sunlight").applied]


@pytest.mark.parametrize(
    ("prompt", "asked", "words"),
    [
        ("a bottle of wine", WIDE, "wide"),
        ("a bottle of wine", TALL, "tall"),
        ("a portrait of a king", TALL, "vertical"),
        ("an old woman", WIDE, "wide"),
        ("a poster for a concert", TALL, "tall"),
        ("children's book owl", WIDE, "wide"),
        ("a floral pattern", WIDE, "repeating"),
    ],
)
def test_a_wide_or_tall_size_is_named_unless_a_pattern_fills_it(prompt: str, asked: dict[str, Any], words: str) -> None:
    assert words in added(enriched(prompt, **asked)).split()


def test_extreme_close_up_gets_no_composition_in_a_wide_size() -> None:
    assert "composition" not in [each.facet for each in enriched("a close-up of an eye", **WIDE).applied]


def test_quoted_text_names_no_facet_and_stays_unchanged() -> None:
    result = enriched('a T-shirt that says "black and white photo at night, logo"')
    assert {"composition", "lighting"} <= {each.facet for each in result.applied}
    assert result.prompt.startswith('a T-shirt that says "black and white photo at night, logo"')


@pytest.mark.parametrize(
    ("prompt", "asked", "text"),
    [
        ("a fox", {"art_style": "watercolor"}, "loose watercolor painting style"),
        ("a fox", {"lighting": "neon glow"}, "neon glow"),
        ("pixel art fox", {"lighting": "neon glow"}, "neon glow"),
        ("a castle", {"art_style": "photorealistic"}, "photorealistic style"),
        ("a dragon", {"art_style": "photorealistic"}, "photorealistic style"),
        ("a fox", {"purpose": "logo_icon"}, "minimalist flat vector style"),
        ("a city at night", {"purpose": "poster_text"}, "bold graphic style"),
    ],
)
def test_requested_words_are_added(prompt: str, asked: dict[str, Any], text: str) -> None:
    assert text in [each.text for each in enriched(prompt, **asked).applied]


@pytest.mark.parametrize(
    ("prompt", "asked", "warning"),
    [
        ("a fox at night", {"lighting": "morning"}, "it contradicts the prompt's own words"),
        ("a photo of a fox", {"art_style": "oil_painting"}, "it contradicts the prompt's own words"),
        ("a dog, as is", {"lighting": "morning"}, "the prompt was not changed, because it asks to be sent unchanged"),
        ("a" * 4_000, {"lighting": "morning"}, "there is no room for it"),
    ],
)
def test_requested_words_that_cannot_be_added_cause_a_warning(prompt: str, asked: dict[str, Any], warning: str) -> None:
    result = enriched(prompt, **asked)
    assert "argument" not in [each.source for each in result.applied]
    assert [each.endswith(f"was not added: {warning}.") for each in result.warnings] == [True]


@pytest.mark.parametrize("asked", [{"purpose": "pleasure"}, {"lighting": "sun --no rain"}, {"art_style": "..."}])
def test_invalid_enrichment_argument_is_an_error(asked: dict[str, str]) -> None:
    with pytest.raises(InvalidRequestError):
        enriched("a dog", **asked)


@pytest.mark.parametrize(
    ("prompt", "model", "sent"),
    [
        ("a cat", "dall-e-2", "a cat, natural photographic style, composed on the rule of thirds, soft natural light"),
        ("a cat", "dall-e-3", "a cat. Natural photographic style, composed on the rule of thirds, soft natural light."),
        (
            "a cat!",
            "nano-banana",
            "a cat! Natural photographic style, composed on the rule of thirds, soft natural light.",
        ),
        (
            "a cat,",
            "nano-banana-pro",
            "a cat, natural photographic style, composed on the rule of thirds, soft natural light.",
        ),
    ],
)
def test_additions_follow_the_prompt_as_a_sentence_or_as_tags(prompt: str, model: str, sent: str) -> None:
    assert enriched(prompt, model=model).prompt == sent


def test_requested_words_are_not_repeated() -> None:
    result = enriched("a fox, golden glow", lighting="golden glow")
    assert "golden glow" not in added(result)
    assert result.warnings == []


@pytest.mark.parametrize(
    ("room", "facets"),
    [
        (400, ALL),
        (70, "style composition"),
        (40, "style"),
        (20, ""),
    ],
)
def test_last_additions_are_dropped_first_if_room_is_short(room: int, facets: str) -> None:
    tight = contract().find("dall-e-3").model_copy(update={"max_prompt_characters": room})
    result = enriched("a cat", model=tight)
    assert [each.facet for each in result.applied] == facets.split()
    assert result.reason == ("" if facets else "there is no room for more")


def test_prompt_with_text_direction_overrides_is_left_alone() -> None:
    assert enriched("a \u202edog").reason == "it has characters that change how others are read"
