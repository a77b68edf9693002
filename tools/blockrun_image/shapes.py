"""Shapes of pictures in words or as ratios, and the sizes that stand for them."""

import math
import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

Orientation: TypeAlias = Literal["square", "wide", "tall"]

_WORDS = {"square": 1.0, "wide": 16 / 9, "tall": 9 / 16}
_SPELLINGS = {"landscape": "wide", "horizontal": "wide", "portrait": "tall", "vertical": "tall"}
_NUMBER = r"([0-9]{1,4}(?:\.[0-9]{1,2})?)"
_RATIO = re.compile(rf"{_NUMBER} ?[:/] ?{_NUMBER}")
_MAX_RATIO = 32
_SAME = 0.01


SHAPES = tuple(_WORDS)
"""The shapes that have a word; ratios such as `16:9` are shapes, too."""


def as_shape(text: str) -> str:
    """Return a shape in its usual spelling, such as `wide` or `16:9`, and any other text as it is."""
    word = text.strip().lower()
    word = _SPELLINGS.get(word, word)
    if word in _WORDS:
        return word
    ratio = _RATIO.fullmatch(word)
    return f"{ratio[1]}:{ratio[2]}" if ratio else text


def ratio_of(shape: object) -> float | None:
    """Return the width of a shape divided by its height, or `None` if the value is no shape."""
    if not isinstance(shape, str) or shape in _WORDS:
        return _WORDS.get(shape) if isinstance(shape, str) else None
    ratio = _RATIO.fullmatch(shape)
    if ratio is None or not float(ratio[1]) or not float(ratio[2]):
        return None
    value = float(ratio[1]) / float(ratio[2])
    return value if 1 / _MAX_RATIO <= value <= _MAX_RATIO else None


def orientation_of(ratio: float) -> Orientation:
    """Return whether a ratio is that of a square, or wide, or tall."""
    if abs(math.log(ratio)) < _SAME:
        return "square"
    return "wide" if ratio > 1 else "tall"


def ratio_of_size(size: str) -> float:
    """Return the width of a size divided by its height."""
    width, _, height = size.partition("x")
    return int(width) / int(height)


def nearest_size(ratio: float, sizes: Sequence[str], default: str) -> str:
    """Return the size whose shape is nearest to a ratio.

    Of equally near ones, it is the default, or else the one with the most pixels that is not larger than it, or else
    the smallest.
    """

    def rank(size: str) -> tuple[float, bool, bool, int]:
        far = round(abs(math.log(ratio_of_size(size) / ratio)), 6)
        is_larger = _pixels(size) > 2 * _pixels(default)
        return far, size != default, is_larger, _pixels(size) if is_larger else -_pixels(size)

    return min(sizes, key=rank)


def has_shape(ratio: float, sizes: Sequence[str]) -> bool:
    """Return whether one of the sizes is wide, tall or square like a ratio."""
    return any(orientation_of(ratio_of_size(size)) == orientation_of(ratio) for size in sizes)


def is_exact(ratio: float, size: str) -> bool:
    """Return whether a size has a ratio."""
    return abs(math.log(ratio_of_size(size) / ratio)) < _SAME


def _pixels(size: str) -> int:
    width, _, height = size.partition("x")
    return int(width) * int(height)
