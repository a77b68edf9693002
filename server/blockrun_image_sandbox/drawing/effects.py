"""Changes to a whole picture, and the words that ask for them."""

import math
import re
from collections.abc import Callable

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from blockrun_image_sandbox.drawing.colours import Colour, darker, lighter
from blockrun_image_sandbox.drawing.layout import resized
from blockrun_image_sandbox.drawing.palette import LIGHTS

Effect = Callable[[Image.Image], Image.Image]

_SEPIA: Colour = (172, 130, 84)
_GOLDEN_ANGLE = 2.4  # no two variants come close to each other


def tint(colour: Colour, share: float) -> Effect:
    """Return what moves a picture towards the shades of one colour."""
    return lambda image: Image.blend(image, _in_shades_of(image, colour), share)


def light(name: str) -> Effect:
    """Return what shows a picture in the light of that name."""
    kind = LIGHTS[name]

    def lit(image: Image.Image) -> Image.Image:
        under = ImageChops.multiply(image, Image.new("RGB", image.size, kind.shine))
        return Image.blend(under, _in_shades_of(under, kind.sky[1]), 0.4)

    return lit


def lit_from_elsewhere(image: Image.Image, variant: int) -> Image.Image:
    """Return the picture with a spot of light, at another place for each variant."""
    width, height = image.size
    x, y = (turn(variant * _GOLDEN_ANGLE) for turn in (math.cos, math.sin))
    left, top = round(width * (0.5 + 0.4 * x)), round(height * (0.5 + 0.4 * y))
    shade = resized(Image.radial_gradient("L"), (2 * width, 2 * height)).crop((left, top, left + width, top + height))
    return Image.composite(_exposed(image, 0.5), _exposed(image, 1.3), shade)


def _in_shades_of(image: Image.Image, colour: Colour) -> Image.Image:
    return ImageOps.colorize(image.convert("L"), darker(colour, 0.85), lighter(colour, 0.8), colour)


def _exposed(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def _grey(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB")


def _sepia(image: Image.Image) -> Image.Image:
    return _in_shades_of(image, _SEPIA)


def _upside_down(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_180)


def _blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(max(2, min(image.size) / 90)))


def _in_pixels(image: Image.Image) -> Image.Image:
    step = max(2, min(image.size) // 48)
    coarse = resized(image, (max(1, image.width // step), max(1, image.height // step)), Image.Resampling.BOX)
    return resized(coarse, image.size, Image.Resampling.NEAREST)


def _sketched(image: Image.Image) -> Image.Image:
    grey = image.convert("L")
    around = ImageOps.invert(grey).filter(ImageFilter.GaussianBlur(max(2, min(image.size) / 120)))
    lines = ImageChops.add(grey, around)  # only what is darker than all around it stays dark
    return Image.eval(lines, lambda level: 255 * (level / 255) ** 4).convert("RGB")


def _as_poster(image: Image.Image) -> Image.Image:
    return Image.eval(image.filter(ImageFilter.SMOOTH_MORE), lambda level: 85 * (level // 64))  # four levels


EFFECTS: tuple[tuple[re.Pattern[str], Effect], ...] = (
    (re.compile(r"\bupside down\b"), _upside_down),
    (re.compile(r"\b(?:flip|flipped|mirror|mirrored|mirroring)\b"), ImageOps.mirror),
    (re.compile(r"\b(?:sketch|sketched|pencil|outline|outlined)\b"), _sketched),
    (re.compile(r"\b(?:poster|cartoon|comic|posterized|posterised)\b"), _as_poster),
    (re.compile(r"\b(?:black and white|gr[ae]yscale|gr[ae]y scale|monochrome|noir)\b"), _grey),
    (re.compile(r"\b(?:sepia|vintage|antique)\b"), _sepia),
    (re.compile(r"\b(?:invert|inverted|negative)\b(?! space)"), ImageOps.invert),
    (re.compile(r"\b(?:brighter|brighten|lighter)\b"), lambda image: _exposed(image, 1.4)),
    (re.compile(r"\b(?:darker|darken|dimmer)\b"), lambda image: _exposed(image, 0.6)),
    (re.compile(r"\b(?:pixelated|pixelate|pixels?|8 ?bit)\b"), _in_pixels),
    (re.compile(r"\b(?:blur|blurred|blurry|out of focus|bokeh)\b"), _blurred),
)
"""What each of them is asked for by, in the order in which they are done."""
