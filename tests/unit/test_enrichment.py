"""What is added to prompts as people and agents write them, and why to most of them nothing is."""

from typing import Any

import pytest

from blockrun_image.enrichment import EnrichedPrompt, enrich

WIDE = {"size": "1792x1024"}


def enriched(prompt: str, **asked: Any) -> EnrichedPrompt:
    """Return the prompt, enriched for a model; its words come first in it, and stay as they are."""
    result = enrich(prompt, model="dall-e-3", **asked)
    assert result.prompt.startswith(prompt)
    return result


def added(prompt: str, **asked: Any) -> str:
    """Return the words that were added."""
    return ", ".join(each.text for each in enriched(prompt, **asked).applied)


def use_of(prompt: str) -> str:
    """Return the use for which something was added, or an empty text."""
    uses = {each.rule.split(".")[1] for each in enriched(prompt).applied if each.source == "use"}
    assert len(uses) <= 1
    return uses.pop() if uses else ""


@pytest.mark.parametrize(
    ("prompt", "use"),
    [
        ("hero image for a bakery", "web_header"),
        ("hero image: a bakery at dawn", "web_header"),
        ("a picture for my website header", "web_header"),
        ("a forest as phone wallpaper", "phone_wallpaper"),
        ("phone wallpaper of a forest", "phone_wallpaper"),
        ("title slide about soil", "slide"),
        ("a favicon for my bakery", "favicon"),
        ("a profile picture of a fox", "avatar"),
        ("an avatar for my bot", "avatar"),
        ("a fox as a sticker", "sticker"),
        ("a fox, sticker", "sticker"),
        ("a fox for my t-shirt", "shirt_print"),
        ("put a fox on our mug", "shirt_print"),
        ("a set of icons for a hospital", "icon_set"),
        ("poster for a jazz concert", "poster"),
        ("please make me a logo for my bakery", "logo"),
        ("colouring page of a tractor", "colouring_page"),
        ("character sheet of a pirate", "reference_sheet"),
        ("seamless pattern of lemons", "pattern"),
        ("a clean, modern logo for a bakery", "logo"),
        ("a marble texture white with gold veins", "texture"),
        ("a logo in a flat style", "logo"),
        ("a slide: bar chart of our sales", "chart"),
        ("three variations of a sticker", "sticker"),
    ],
)
def test_picture_is_composed_for_where_it_goes(prompt: str, use: str) -> None:
    assert use_of(prompt) == use
    assert "composition" in [each.facet for each in enriched(prompt).applied]


@pytest.mark.parametrize(
    "prompt",
    [
        "a man holding a banner",
        "a man reading a menu",
        "the logo on the wall of an office",
        "a fox on a mug",
        "a card player",
        "a stamp collector",
        "a hero",
        "an icon of a saint",
        "a photo of a tattoo",
        "a room with posters on the wall",
        "a girl who collects stickers",
        "a computer mouse beside a phone",
        "a slide in a playground",
        "a header in a football match",
    ],
)
def test_thing_that_is_depicted_is_not_taken_for_the_use(prompt: str) -> None:
    assert use_of(prompt) == ""


@pytest.mark.parametrize(
    ("prompt", "wrong"),
    [
        ("a teddy bear", "wild"),
        ("a rocking horse", "farm"),
        ("a sea horse", "farm"),
        ("a cat tree", "tree"),
        ("a rose garden", "flower"),
        ("a fish tank", "sea_life"),
        ("a car park", "car"),
        ("hot dog", "pet"),
        ("a toy car", "car"),
        ("a sandcastle", "building"),
    ],
)
def test_noun_within_another_is_not_taken_for_the_subject(prompt: str, wrong: str) -> None:
    assert not [each.rule for each in enriched(prompt).applied if each.rule.startswith(f"subjects.{wrong}.")]


def test_place_for_a_photo_leaves_it_a_photo() -> None:
    assert [each.source for each in enriched("a burger photo for our menu").applied] == ["subject", "subject"]
    assert use_of("a menu") == "menu"


def test_hero_image_leaves_room_for_words_and_a_favicon_fills_its_frame() -> None:
    assert "negative space" in added("hero image for a bakery")
    assert "fills the frame" in added("a favicon for my bakery")


def test_use_suits_what_is_depicted() -> None:
    assert "head and shoulders" in added("a profile picture of a fox")
    assert "head and shoulders" not in added("a profile picture of a teapot")


@pytest.mark.parametrize("prompt", ["A dog", "soup", "a bedroom", "a mountain lake", "Castle", "a photo of a dog"])
def test_bare_subject_gains_what_a_photographer_would_choose(prompt: str) -> None:
    result = enriched(prompt)
    assert {each.source for each in result.applied} == {"subject"}
    assert {"composition", "lighting"} <= {each.facet for each in result.applied}


@pytest.mark.parametrize(
    "prompt",
    [
        "a lego castle",
        "a robot dog",
        "a glass horse",
        "a knitted fox",
        "a grumpy cat",
        "a cozy bedroom",
        "a lonely lighthouse",
        "a haunted castle",
        "two dogs",
        "a dog and a cat",
        "a dog in the park with a ball",
        "pencil sketch of a dog",
        "a dog at night",
        "an old woman",
        "three friends laughing",
    ],
)
def test_guise_mood_company_place_or_medium_leaves_a_subject_alone(prompt: str) -> None:
    assert added(prompt) == ""
    assert enriched(prompt).reason == enriched("a zyxer").reason


@pytest.mark.parametrize(
    ("prompt", "light"),
    [
        ("a cat by the window", "window light"),
        ("a lamp near a window", "window light"),
        ("a knight at a roaring fire", "light from the fire"),
    ],
)
def test_source_of_light_lights_the_picture(prompt: str, light: str) -> None:
    (addition,) = enriched(prompt).applied
    assert (addition.facet, addition.source) == ("lighting", "light")
    assert light in addition.text


def test_picture_that_is_lit_already_gets_no_second_light() -> None:
    assert added("a cat by the window at night") == ""


@pytest.mark.parametrize(
    ("prompt", "ruled_out"),
    [
        ("hero image, no negative space", "negative space"),
        ("a logo, not flat", "flat"),
        ("a dog, no close-up", "close"),
        ("a mountain lake, no golden light", "golden"),
        ("soup, no window", "window"),
        ("a castle, without any light", "light"),
        ("a sticker of a fox, no outline", "outline"),
    ],
)
def test_ruled_out_words_are_not_added(prompt: str, ruled_out: str) -> None:
    bare = prompt.partition(",")[0]
    assert ruled_out in added(bare)
    assert ruled_out not in added(prompt)


def test_phrase_that_contradicts_the_prompt_is_not_added() -> None:
    assert "golden" in added("a bear")
    assert "golden" not in added("a polar bear")
    assert added("a polar bear")


def test_ruling_out_words_in_the_picture_leaves_room_for_others_on_it() -> None:
    assert added("hero image, no text") == added("hero image")


@pytest.mark.parametrize("words", ["logo, hero image", "at night", "by the window", "sticker", "no light", "verbatim"])
def test_quoted_words_are_written_in_the_picture_and_say_nothing_of_it(words: str) -> None:
    told, other = enriched(f'a T-shirt that says "{words}"'), enriched('a T-shirt that says "zyx"')
    assert (told.applied, told.present, told.reason) == (other.applied, other.present, other.reason)


def test_quoted_words_are_given_their_place() -> None:
    assert "lettering" in added('poster for a jazz concert, "JAZZ NIGHT"')
    assert "lettering" not in added("poster for a jazz concert")


@pytest.mark.parametrize("prompt", ["burnout", "something about teamwork", "an image about remote work"])
def test_idea_is_answered_with_a_question_for_what_stands_for_it(prompt: str) -> None:
    result = enriched(prompt)
    (advice,) = result.advice
    assert (result.changed, advice.facet, advice.example) == (False, "subject", "")
    assert advice.say.startswith("Name one scene or object")


@pytest.mark.parametrize(
    "prompt",
    ["same but at night", "make it darker", "another one please", "now without the dog", "the second version, bigger"],
)
def test_follow_up_is_answered_with_a_request_for_the_whole_picture(prompt: str) -> None:
    result = enriched(prompt)
    (advice,) = result.advice
    assert (result.changed, advice.facet) == (False, "subject")
    assert "no call knows an earlier one" in advice.say


@pytest.mark.parametrize("prompt", ["a menu", "a bar chart of sales", "a birthday card"])
def test_words_that_only_the_author_knows_are_asked_for(prompt: str) -> None:
    (advice,) = enriched(prompt).advice
    assert (advice.facet, advice.example) == ("subject", "")
    assert advice.say.startswith("Give ")


@pytest.mark.parametrize("prompt", ['a menu: "soup 4, bread 2"', 'a birthday card that says "HAPPY 40"'])
def test_words_that_are_there_are_not_asked_for(prompt: str) -> None:
    assert enriched(prompt).advice == []


@pytest.mark.parametrize(
    ("prompt", "facet"), [("a cozy bedroom", "composition"), ("a lonely lighthouse", "composition")]
)
def test_what_is_too_uncertain_to_be_added_is_advised_once(prompt: str, facet: str) -> None:
    (advice,) = enriched(prompt).advice
    assert advice.facet == facet
    assert advice.example
    assert advice.example not in enriched(prompt).prompt


@pytest.mark.parametrize(
    ("purpose", "words"),
    [("logo_icon", "flat vector style"), ("pixel_art", "pixel art style"), ("product", "three-quarter view")],
)
def test_purpose_of_the_call_speaks_whatever_the_prompt_is_about(purpose: str, words: str) -> None:
    assert words in added("a zyx of zyx", purpose=purpose)
    assert added("a zyx of zyx") == ""


def test_wide_or_tall_size_chooses_the_composition_where_there_is_one_for_it() -> None:
    assert "panoramic" in added("a mountain lake", **WIDE)
    assert "panoramic" not in added("a mountain lake")


@pytest.mark.parametrize(
    "prompt", ["un chien dans la neige", "ein Hund im Schnee", "雪の中の赤い狐", "собака на пляже"]
)
def test_prompt_in_another_language_is_left_alone(prompt: str) -> None:
    result = enriched(prompt)
    assert (result.changed, result.reason) == (False, "it is not recognisably English")


@pytest.mark.parametrize(
    "prompt",
    [
        "hero image for a bakery, as is",
        "hero image for a bakery --ar 16:9",
        '{"prompt": "hero image for a bakery"}',
        "(hero image:1.2) for a bakery",
        "Please don't modify my prompt: hero image for a bakery",
        "hero image for a bakery, no additions",
        "hero image for a bakery, a baker at the oven, " + "with flour on the table and bread in a basket, " * 4,
    ],
)
def test_use_is_no_reason_to_touch_code_opt_outs_or_what_is_rich(prompt: str) -> None:
    result = enriched(prompt)
    assert (result.changed, result.advice) == (False, [])
    assert result.reason


@pytest.mark.parametrize(
    "prompt",
    [
        "a business card lying on a marble table",
        "a sticker on a laptop",
        "an old travel poster hanging in a hostel",
        "a photo of a tattoo",
        "a flyer photo of a villa",
        "a stack of business cards",
        "a size chart for children's t-shirts",
        "a banner for my Etsy shop",
    ],
)
def test_thing_that_lies_somewhere_or_is_for_sale_is_no_use(prompt: str) -> None:
    assert not use_of(prompt)


def test_list_under_one_negation_is_ruled_out_whole() -> None:
    assert not added("a party without cake, balloons or burning candles")
    assert added("a party without cake, but with balloons or burning candles") == "warm candlelight"


def test_vague_wish_is_asked_for_a_scene_unless_it_names_one() -> None:
    (told,) = enriched("something relaxing").advice
    assert told.say == "Name one scene or object that stands for 'relaxing'"
    (told,) = enriched("something nice for the wall").advice
    assert told.say == "Name one scene or object to show"
    assert not enriched("something nice for the wall, little bears").advice
    assert not enriched("climate change as a game of chess").advice


def test_photo_of_a_bowl_of_a_food_is_one_of_the_food() -> None:
    assert "window light" in added("a photo of a bowl of ramen")
    assert not added("a set of a series of a collection of a pack of ramen")
