"""What `art_style`, `composition` and `lighting` add to a prompt, what they may not, and what they may not hold."""

from typing import Any

import pytest

from blockrun_image.enrichment import EnrichedPrompt, enrich
from blockrun_image.enrichment.tips import Tips
from blockrun_image.errors import InvalidRequestError

PRESETS = [(facet, id, phrase.text) for facet, texts in Tips.built_in().presets.items() for id, phrase in texts.items()]
ARGUMENTS = {"style": "art_style", "composition": "composition", "lighting": "lighting"}


def enriched(prompt: str, **asked: Any) -> EnrichedPrompt:
    return enrich(prompt, model="dall-e-3", **asked)


def added(result: EnrichedPrompt) -> list[str]:
    return [each.text for each in result.applied if each.source == "argument"]


@pytest.mark.parametrize(("facet", "id", "text"), PRESETS)
def test_preset_is_added_in_its_own_words(facet: str, id: str, text: str) -> None:
    for spelling in (id, id.replace("_", " "), id.upper()):
        assert added(enriched("Zyx", **{ARGUMENTS[facet]: spelling})) == [text]


@pytest.mark.parametrize(
    ("prompt", "argument", "words"),
    [
        ("pencil sketch of a fox", "art_style", "photographic"),
        ("pencil sketch of an old sailor", "art_style", "35mm film photograph"),
        ("a watercolor of a rose", "art_style", "photorealistic"),
        ("an oil painting of a king", "art_style", "DSLR photo"),
        ("a photo of a castle", "art_style", "watercolor"),
        ("a photo of a castle", "art_style", "pixel art"),
        ("an anime girl", "art_style", "realistic photo"),
        ("flat vector icon of a cup", "art_style", "photorealistic"),
        ("black and white portrait of a dancer", "art_style", "vibrant colours"),
        ("black and white portrait of a dancer", "lighting", "vivid neon glow"),
        ("a minimalist poster of a mountain", "art_style", "intricate ornate detail"),
        ("aerial view of a harbour", "composition", "close-up"),
        ("aerial view of a harbour", "composition", "close_up"),
        ("a bird's eye view of a farm", "composition", "eye level"),
        ("a low angle view of a tower", "composition", "overhead shot"),
        ("close-up of a bee", "composition", "wide shot"),
        ("macro of an ant", "composition", "panoramic"),
        ("a wide shot of a valley", "composition", "close_up"),
        ("a herd of elephants", "composition", "single subject headshot"),
        ("a centered bottle", "composition", "rule of thirds"),
        ("a mountain off-center", "composition", "symmetrical"),
        ("a cluttered desk", "composition", "clean background"),
        ("a meadow, no people", "composition", "people in the foreground"),
        ("an old man, no bokeh", "composition", "shallow focus with bokeh"),
        ("a neon sign", "lighting", "no neon"),
        ("a street, no neon", "lighting", "neon glow"),
        ("a street without neon signs", "lighting", "pink neon"),
        ("a kitchen, no shadows", "lighting", "long shadows"),
        ("a portrait, no harsh lighting", "lighting", "harsh midday light"),
        ("a city at midnight", "lighting", "golden hour"),
        ("a city at midnight", "lighting", "golden_hour"),
        ("a dog at night", "lighting", "morning"),
        ("a beach at noon", "lighting", "moonlight"),
        ("a moonlit lake", "lighting", "harsh midday sun"),
        ("a rainy street", "lighting", "sunny"),
        ("a foggy moor", "lighting", "golden hour"),
        ("a harbour on an overcast day", "lighting", "bright sunlight"),
        ("a hermit in a cave", "lighting", "daylight"),
        ("a shark underwater", "lighting", "studio lighting"),
        ("an astronaut in space", "lighting", "window light"),
        ("a forest clearing", "lighting", "studio"),
        ("a living room interior", "lighting", "sunny"),
        ("a haunted house, gloomy", "lighting", "cheerful bright light"),
        ("a calm, gentle mother", "lighting", "harsh lighting"),
    ],
)
def test_argument_that_contradicts_the_prompt_is_dropped_with_a_warning(prompt: str, argument: str, words: str) -> None:
    result = enriched(prompt, **{argument: words})
    (warning,) = result.warnings
    assert warning.startswith(f"{argument} '")
    assert warning.endswith("' was not added: it contradicts the prompt's own words.")
    assert not added(result)
    assert words not in result.prompt[len(prompt) :]


@pytest.mark.parametrize(
    ("prompt", "argument", "words"),
    [
        ("a fox", "art_style", "watercolor on rough paper"),
        ("a cat, not a photo", "art_style", "ink wash on silk"),
        ("a dragon", "art_style", "photorealistic, like a film still"),
        ("a logo of a fox", "art_style", "flat vector"),
        ("a fox at night", "lighting", "moonlight"),
        ("a neon sign", "lighting", "neon glow at night"),
        ("a photo of a fox", "lighting", "golden hour glow"),
        ("an oil painting of a king", "lighting", "candlelight"),
        ("a close-up of a bee", "lighting", "soft diffused light"),
        ("aerial view of a harbour", "lighting", "golden hour haze"),
        ("a cave", "lighting", "torchlight"),
        ("a shark underwater", "lighting", "shafts of light from above"),
        ("an astronaut in space", "lighting", "starlight"),
        ("a street, no neon", "lighting", "warm street lamps"),
        ("a portrait, no harsh lighting", "lighting", "soft light from a window"),
        ("a portrait, no harsh shadows", "lighting", "a soft shadow"),
        ("a portrait, without text or logos", "lighting", "light on the wall"),
        ("a dog", "lighting", "without harsh shadows on the dog"),
        ("a beach at sunset", "lighting", "backlit"),
        ("a haunted house", "lighting", "moonlight"),
        ("a child on a swing", "lighting", "dappled sunlight"),
        ("a bright yellow house", "lighting", "overcast light"),
        ('a poster that says "NIGHT"', "lighting", "bright daylight"),
        ("black and white photo of a dancer", "lighting", "high contrast side light"),
        ("a herd of elephants", "composition", "wide shot"),
        ("a crowd of fans", "composition", "from above"),
        ("a photo of a fox", "composition", "low angle"),
        ("a pencil sketch of a cat", "composition", "three-quarter view"),
        ("a watercolor of a rose", "composition", "close-up"),
        ("a meadow, no people", "composition", "a wide establishing shot"),
        ("a chair", "composition", "85mm lens, f/1.8"),
        ("a tower", "composition", "rule_of_thirds_with_a_road"),
    ],
)
def test_compatible_argument_is_added(prompt: str, argument: str, words: str) -> None:
    result = enriched(prompt, **{argument: words})
    assert result.warnings == []
    assert len(added(result)) == 1
    again = enriched(result.prompt, **{argument: words})
    assert (again.prompt, again.warnings) == (result.prompt, [])


@pytest.mark.parametrize(
    ("asked", "first", "second"),
    [
        ({"art_style": "photograph", "composition": "drawn as a cartoon"}, "art_style", "composition"),
        ({"composition": "aerial view", "lighting": "close-up of the light"}, "composition", "lighting"),
        ({"art_style": "in black and white", "lighting": "vivid neon glow"}, "art_style", "lighting"),
        ({"art_style": "neon art", "lighting": "no neon"}, "art_style", "lighting"),
        ({"art_style": "no neon", "lighting": "neon glow"}, "art_style", "lighting"),
        ({"composition": "midnight street scene", "lighting": "golden hour sun"}, "composition", "lighting"),
    ],
)
def test_second_of_two_contradictory_arguments_is_dropped_with_a_warning(
    asked: dict[str, str], first: str, second: str
) -> None:
    result = enriched("a fox", **asked)
    (warning,) = result.warnings
    assert warning == f"{second} '{asked[second]}' was not added: it contradicts {first} '{asked[first]}'."
    assert added(result) == [asked[first]]
    assert enriched(result.prompt, **asked).warnings == [warning]


@pytest.mark.parametrize(
    "words",
    [
        *('a "dog"', "“dusk”", "«dusk»", "`dusk`", "'dusk'"),
        *("at\ndusk", "at\r\ndusk", "golden\nhour", "at\tdusk", "at \x00 dusk", "at \x1b[31m dusk", "dusk\u2028now"),
        *("\u202edusk", "du\u200bsk", "dusk \ud800", "dusk 🦊"),
        *("(dusk)", "[dusk]", "{dusk}", "<dusk>", "<lora:dusk>", "(dusk:1.2)", "dusk::2", "dusk++"),
        *("dusk --ar 2", "dusk -v 5", "-dusk", "--no rain", "dusk %s", "dusk%20now", "dusk &amp; dawn"),
        *("https://pictures.example", "pictures.example/1", "www.pictures", "see pictures.example", "a/b", "C:\\dusk"),
        *("dusk; dawn", "style: dusk", "dusk = 1", "#dusk", "@dusk", "*dusk*", "$dusk$", "dusk | dawn", "~dusk"),
        *("12", "...", "85", "x" * 121),
    ],
)
@pytest.mark.parametrize("argument", ARGUMENTS.values())
def test_argument_that_could_be_misread_is_refused_with_what_is_allowed(argument: str, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"{argument} must be a short phrase or a preset, not '") as refused:
        enriched("A dog", **{argument: words})
    assert "At most 120 characters: words and numbers, with , . - ' & + % between them; no quotes" in refused.value.hint
    assert "Presets: " in refused.value.hint
    assert refused.value.message.isprintable()
    assert len(refused.value.to_text()) < 500


def test_refusal_names_similar_presets() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        enriched("A dog", lighting="golden/hour")
    assert "golden_hour" in refused.value.hint


def test_argument_is_added_only_once_to_a_very_long_prompt() -> None:
    once = enriched("a dog " * 400, lighting="at dusk", art_style="anime")
    assert len(added(once)) == 2
    assert enriched(once.prompt, lighting="at dusk", art_style="anime").prompt == once.prompt
