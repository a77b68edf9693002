"""How the sandbox's artist behaves, seen through the pictures it draws."""

import io
from dataclasses import replace

import pytest
from PIL import Image, ImageChops, ImageStat

from blockrun_image_sandbox.drawing import draw, picture
from blockrun_image_sandbox.drawing.canvas import Canvas, Sheet
from blockrun_image_sandbox.drawing.colours import Colour
from blockrun_image_sandbox.drawing.lettering import Caption
from blockrun_image_sandbox.drawing.mentions import Mention, mentions_in, words_of
from blockrun_image_sandbox.drawing.subjects import SUBJECTS

Box = tuple[int, int, int, int]

SIZES = [(64, 64), (256, 256), (512, 512), (320, 90), (90, 320), (1024, 1024), (1792, 1024), (2048, 64), (2048, 2048)]
HOSTILE = {
    "empty": "",
    "spaces": "  \n\t ",
    "lone surrogates": "a dog \ud800\udfff\udc00",
    "control characters": "a\x00 dog\x07\x1b[31m\r\n\x7f",
    "Chinese": "一只可爱的小狗在草地上",
    "emoji": "🐶🌈👩‍🚀",
    "right to left": "\u202eكلب جميل",
    "combining marks": "e\u0301\u0301" * 900,
    "one endless word": "x" * 40_000,
    "endless words": "a dog and " * 4_000,
}


def opened(prompt: str, size: int = 256, variant: int = 0) -> Image.Image:
    return Image.open(io.BytesIO(draw(prompt, width=size, height=size, variant=variant))).convert("RGB")


def difference(one: Image.Image, other: Image.Image, box: Box | None = None) -> float:
    """Measure how much two pictures differ on average, from 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one.crop(box), other.crop(box))).mean) / 3


def mean_colour(image: Image.Image) -> list[float]:
    return ImageStat.Stat(image).mean


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert draw("a dog", width=256, height=256, variant=3) == draw("a dog", width=256, height=256, variant=3)


@pytest.mark.parametrize("prompt", ["a dog", "a city at sunset", "something unknown", "a logo", "a robot", "tea"])
def test_variants_differ_visibly(prompt: str) -> None:
    pictures = [opened(prompt, variant=variant) for variant in range(10)]
    for index, one in enumerate(pictures):
        assert all(difference(one, other) > 1 for other in pictures[index + 1 :])


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_picture_is_a_png_of_exactly_the_requested_size(width: int, height: int) -> None:
    image = Image.open(io.BytesIO(draw("two boats on a lake", width=width, height=height)))
    assert (image.format, image.size) == ("PNG", (width, height))


def test_a_full_size_picture_stays_a_small_file() -> None:
    assert len(draw("a neon city in the rain with six birds", width=1024, height=1024)) < 400_000


@pytest.mark.parametrize("subject", ["ball", "car on a road", "mystery"])
def test_colour_words_tint_the_picture(subject: str) -> None:
    red, blue = mean_colour(opened(f"a red {subject}")), mean_colour(opened(f"a blue {subject}"))
    assert red[0] - red[2] > blue[0] - blue[2] + 15


def test_night_is_darker_than_day() -> None:
    night, day = mean_colour(opened("mountains at night")), mean_colour(opened("mountains on a sunny day"))
    assert sum(night) < sum(day) * 0.6


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_subject_is_painted_large_enough(name: str) -> None:
    sheet = Sheet.blank(200, 200)
    SUBJECTS[name].paint(Canvas(sheet, (100, 100), 80), SUBJECTS[name].colours[0])
    box = ImageChops.difference(sheet.image, Image.new("RGB", (200, 200), "white")).getbbox()
    assert box is not None
    assert max(box[2] - box[0], box[3] - box[1]) > 100


def paint_nothing(_canvas: Canvas, _colour: Colour) -> None:
    """Stand in for a subject's painter."""


@pytest.mark.parametrize(("name", "word"), [(name, subject.one.split()[0]) for name, subject in SUBJECTS.items()])
def test_every_subject_is_visible_when_its_word_is_in_the_prompt(
    name: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_subject = opened(f"one {word}", size=128)
    monkeypatch.setitem(SUBJECTS, name, replace(SUBJECTS[name], paint=paint_nothing))
    assert difference(with_subject, opened(f"one {word}", size=128)) > 1


@pytest.mark.parametrize(
    ("prompt", "mentions"),
    [
        ("A DOG.", [Mention("dog")]),
        ("a carpet and a catalogue", []),
        ("three puppies", [Mention("dog", count=3)]),
        ("birds", [Mention("bird", count=3)]),
        (
            "a red car and two blue fishes",
            [Mention("car", 1, (214, 48, 49)), Mention("fish", 2, (44, 104, 206))],
        ),
        ("portrait of a woman", [Mention("portrait")]),
        ("portrait of a cat", [Mention("cat")]),
    ],
)
def test_whole_words_set_subject_count_and_colour(prompt: str, mentions: list[Mention]) -> None:
    assert list(mentions_in(words_of(prompt))) == mentions


@pytest.mark.parametrize("prompt", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_prompts_still_give_a_picture(prompt: str) -> None:
    image = opened(prompt)
    assert image.size == (256, 256)
    assert len(image.getcolors(256 * 256) or ()) > 20


def test_only_the_start_of_a_prompt_is_read() -> None:
    start = "a dog " * 400
    assert draw(start, width=128, height=128) == draw(start + "at night " * 5_000, width=128, height=128)


def without_lettering(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave_plain(picture: Image.Image, caption: Caption) -> None:
        """Stand in for the lettering."""

    monkeypatch.setattr(picture, "letter", leave_plain)


def test_the_caption_lies_in_a_dark_band_along_the_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    band = (0, 236, 256, 256)
    lettered = opened("snow")
    without_lettering(monkeypatch)
    plain = opened("snow")
    assert sum(mean_colour(lettered.crop(band))) < sum(mean_colour(plain.crop(band))) * 0.7
    assert difference(lettered, plain, (0, 100, 256, 200)) == 0


def test_the_caption_shows_the_words_of_the_prompt() -> None:
    """White letters in the band: more of them for a longer prompt, which draws the same subject."""
    short, long = opened("a dog"), opened("a dog of much charm and wit")

    def letters(image: Image.Image) -> int:
        return sum(image.crop((0, 232, 256, 256)).convert("L").histogram()[235:])

    assert 20 < letters(short) < letters(long) / 2


@pytest.mark.parametrize("size", [64, 256, 1024])
def test_the_badge_marks_the_top_right_corner(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    corner = (size // 2, 0, size, size // 5)
    lettered = opened("a sunny day", size)
    without_lettering(monkeypatch)
    assert difference(lettered, opened("a sunny day", size), corner) > 10
