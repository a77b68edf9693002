"""How the sandbox's artist changes pictures, seen through what it makes of them."""

import io

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat
from tests.support.edits import mask_of, picture
from tests.support.picture_files import opened, saved

from blockrun_image_sandbox.drawing import draw
from blockrun_image_sandbox.drawing.editing import edit
from blockrun_image_sandbox.drawing.layout import boxes_for

CAT = draw("a cat in a meadow", width=256, height=256)
FREE = (0, 40, 256, 220)
"""The part of a square that has no lettering."""


def edited(prompt: str, *pictures: bytes, mask: bytes | None = None, variant: int = 0) -> Image.Image:
    made = edit(pictures or [CAT], mask, prompt, size=(256, 256), variant=variant)
    return opened(made).convert("RGB")


def difference(one: Image.Image, other: Image.Image) -> float:
    """Measure how much two pictures differ on average where they have no lettering, from 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one.crop(FREE), other.crop(FREE))).mean) / 3


def mean(image: Image.Image) -> list[float]:
    return ImageStat.Stat(image.crop(FREE)).mean


PLAIN = opened(CAT).convert("RGB")


@pytest.mark.parametrize(
    "prompt",
    [
        "make it warm",
        "turn day into night",
        "make it blue",
        "black and white",
        "blur the background",
        "mirror it",
        "turn it upside down",
        "a pencil sketch",
        "as a comic",
        "vintage",
        "invert the colours",
        "brighter please",
        "darker please",
        "pixelate it",
        "put it in a frame",
        "add a dog",
        "give it more charm",
        "",
        "\u732b",
        "\ud800",
    ],
)
def test_every_prompt_changes_the_picture_visibly(prompt: str) -> None:
    assert difference(edited(prompt), PLAIN) > 1


def test_colour_and_light_words_are_followed() -> None:
    red, blue = mean(edited("make it red")), mean(edited("make it blue"))
    assert red[0] - red[2] > blue[0] - blue[2] + 60
    assert sum(mean(edited("at night"))) < sum(mean(PLAIN)) * 0.6
    assert sum(mean(edited("brighter"))) > sum(mean(PLAIN))


@pytest.mark.parametrize("prompt", ["black and white", "greyscale", "make it monochrome"])
def test_a_picture_without_colours_has_none(prompt: str) -> None:
    red, green, blue = edited(prompt).crop(FREE).split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


def test_a_mirrored_picture_is_the_same_from_the_other_side() -> None:
    mirrored = edited("mirror it").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert difference(mirrored, PLAIN) == 0


def test_the_colour_of_a_frame_is_not_that_of_the_picture() -> None:
    framed = edited("a blue frame")
    assert framed.getpixel((3, 128)) == framed.getpixel((252, 128)) == (44, 104, 206)
    assert ImageChops.difference(framed, edited("a frame")).crop((30, 30, 226, 200)).getbbox() is None


def test_what_is_added_is_there_and_the_rest_is_not_tinted() -> None:
    with_balloon = edited("add a red balloon")
    box = ImageChops.difference(with_balloon, PLAIN).crop(FREE).getbbox()
    assert box is not None
    assert (box[2] - box[0]) * (box[3] - box[1]) < 256 * 180 / 2


@pytest.mark.parametrize(("prompt", "is_drawn"), [("add a dog", True), ("put a hat on the dog", False)])
def test_a_thing_that_is_there_already_is_not_added(prompt: str, is_drawn: bool) -> None:
    colours = edited(prompt, saved(Image.new("RGB", (64, 64), "red"), "PNG")).crop(FREE).getcolors(256 * 256)
    assert (len(colours or ()) > 1) is is_drawn


@pytest.mark.parametrize("prompt", ["at night", "black and white", "give it more charm", "add a dog"])
def test_variants_differ_visibly(prompt: str) -> None:
    variants = [edited(prompt, variant=variant) for variant in range(10)]
    for index, one in enumerate(variants):
        assert all(difference(one, other) > 1 for other in variants[index + 1 :])


def test_the_same_arguments_give_the_same_bytes() -> None:
    first, second = (edit([CAT], None, "add two cats", size=(64, 64), variant=2) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (320, 90), (90, 320), (1792, 1024), (2048, 64), (3, 2000)])
@pytest.mark.parametrize("prompt", ["night, framed, add a dog", "sketch, comic, pixels, blur"])
def test_the_size_is_that_asked_for(size: tuple[int, int], prompt: str) -> None:
    for source in (picture(size=(16, 16)), picture(size=(1, 300)), picture(size=(900, 5))):
        for mask in (None, saved(Image.new("L", (30, 30), "white"), "PNG")):
            image = Image.open(io.BytesIO(edit([source], mask, prompt, size=size, variant=1)))
            assert (image.format, image.size) == ("PNG", size)


def test_a_picture_is_shown_whole_and_undistorted() -> None:
    disc = Image.new("RGB", (300, 100), "red")
    ImageDraw.Draw(disc).ellipse((10, 10, 90, 90), fill="blue")
    shown = opened(edit([saved(disc, "PNG")], saved(Image.new("L", (300, 100)), "PNG"), "x", size=(600, 600)))
    blue = Image.eval(shown.convert("RGB").getchannel("B"), lambda level: 255 * (level > 200)).getbbox()
    assert blue is not None
    assert [round(edge, -1) for edge in blue] == [20, 220, 180, 380]


@pytest.mark.parametrize(
    ("sizes", "room", "boxes"),
    [
        ([(10, 10)], (100, 100), [(0, 0, 100, 100)]),
        ([(20, 10)], (100, 100), [(0, 25, 100, 75)]),
        ([(10, 10), (10, 10)], (202, 100), [(0, 0, 100, 100), (102, 0, 202, 100)]),
        ([(10, 10), (10, 10)], (100, 202), [(0, 0, 100, 100), (0, 102, 100, 202)]),
        ([(1, 1)] * 3, (102, 102), [(0, 0, 50, 50), (52, 0, 102, 50), (26, 52, 76, 102)]),
        ([(1, 1)] * 4, (102, 102), [(0, 0, 50, 50), (52, 0, 102, 50), (0, 52, 50, 102), (52, 52, 102, 102)]),
    ],
)
def test_several_pictures_are_side_by_side(
    sizes: list[tuple[int, int]], room: tuple[int, int], boxes: list[tuple[int, int, int, int]]
) -> None:
    assert boxes_for(sizes, room) == boxes


def test_all_of_several_pictures_are_seen() -> None:
    image = edited("combine them", picture("red"), picture("lime"), picture("blue"), picture("yellow"))
    seen = [image.getpixel((x, y)) for y in (60, 190) for x in (100, 230)]
    assert seen == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]


@pytest.mark.parametrize("transparent", [True, False])
@pytest.mark.parametrize("prompt", ["at night", "add a dog", "framed", "mirror, sketch", "blur", "nothing at all"])
def test_nothing_changes_outside_of_a_mask(prompt: str, transparent: bool) -> None:
    box = (100, 60, 199, 159)
    for variant in (0, 1):
        image = edited(prompt, mask=mask_of(box, transparent=transparent), variant=variant)
        changed = ImageChops.difference(image, PLAIN).getbbox()
        assert changed is not None
        assert changed[0] >= 100
        assert changed[1] >= 60
        assert changed[2] <= 200
        assert changed[3] <= 160


def test_a_round_area_is_changed_to_its_edge_alone() -> None:
    mask = Image.new("RGBA", (256, 256), "black")
    ImageDraw.Draw(mask).ellipse((40, 40, 200, 200), fill=(255, 255, 255, 0))
    image = edited("make it pink", mask=saved(mask, "PNG"))
    changed = Image.eval(ImageChops.difference(image, PLAIN).convert("L"), lambda level: 255 * (level > 0))
    area = Image.eval(mask.getchannel("A"), lambda alpha: 255 - alpha)
    assert ImageChops.subtract(changed, area).getbbox() is None


def test_white_parts_of_a_picture_with_a_hole_are_not_to_change() -> None:
    """Clients of OpenAI's API send the picture itself, with a transparent hole, as its mask."""
    white = Image.new("RGBA", (256, 256), "white")
    white.paste((0, 0, 0, 0), (64, 64, 128, 128))
    image = edited("make it blue", picture("white"), mask=saved(white, "PNG"))
    assert ImageChops.difference(image, Image.new("RGB", (256, 256), "white")).getbbox() == (64, 64, 128, 128)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "I;16"])
def test_each_kind_of_pixels_is_shown(mode: str) -> None:
    level = {"L": 128, "LA": (128, 255), "P": 0, "1": 1, "RGBA": (128, 128, 128, 255), "I;16": 128 * 257}[mode]
    plain = saved(Image.new(mode, (64, 64), level), "PNG")
    nothing = saved(Image.new("L", (64, 64)), "PNG")
    shade = opened(edit([plain], nothing, "x", size=(64, 64))).convert("RGB").getpixel((32, 32))
    assert shade == {"P": (0, 0, 0), "1": (255, 255, 255)}.get(mode, (128, 128, 128))
