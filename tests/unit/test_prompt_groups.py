"""The judge's own vocabulary: groups of words about pictures in general, and negations."""

import pytest
from tests.prompts.groups import GROUPS, TRAITS
from tests.prompts.helping import HELPING
from tests.prompts.matching import hits, negated

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


def test_each_group_has_positive_and_negative_examples() -> None:
    assert set(TRAITS) == set(SAID) == set(UNSAID)


def test_no_group_is_of_both_kinds() -> None:
    assert set(TRAITS).isdisjoint(HELPING)
    assert set(GROUPS) == {*TRAITS, *HELPING}


@pytest.mark.parametrize(("group", "text"), [(group, text) for group, texts in SAID.items() for text in texts])
def test_group_matches_its_positive_examples(group: str, text: str) -> None:
    assert hits(text, [f"@{group}"])
    assert hits(text.upper(), [f"@{group}"])


@pytest.mark.parametrize(("group", "text"), [(group, text) for group, texts in UNSAID.items() for text in texts])
def test_group_does_not_match_its_negative_examples(group: str, text: str) -> None:
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
def test_negated_words_of_a_prompt_are_found(prompt: str, words: set[str]) -> None:
    assert negated(prompt) == words
