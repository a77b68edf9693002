"""The caption with the prompt's words, and the sandbox badge."""

import string
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from blockrun_image_sandbox.drawing.colours import WHITE

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

BADGE = "SANDBOX"
NO_TEXT = "(no prompt)"
NO_GLYPHS = "(prompt in another script)"

_BAND = (14, 16, 30, 176)
_SMALL = 400
_SMALLEST_TEXT = 9
# The glyphs of Pillow's built-in font that a prompt is likely to have.
_GLYPHS = frozenset(string.ascii_letters + string.digits + string.punctuation + "©«»°±·\u2018\u2019“”")
_LIKE = {"\u2013": "-", "\u2014": "-", "\u2010": "-", "ß": "ss", "æ": "ae", "ø": "o", "ł": "l", "đ": "d"}


@dataclass(frozen=True)
class Caption:
    """The caption's lines, laid out for one size of picture."""

    lines: tuple[str, ...]
    font: Font
    size: int
    margin: int

    @property
    def height(self) -> int:
        """The height of the band at the bottom of the picture, in pixels."""
        return round(self.size * 1.32 * len(self.lines) + self.size * 0.95)


def caption_for(prompt: str, width: int, height: int) -> Caption:
    """Lay the prompt out as a caption for a picture of this size in pixels."""
    short = min(width, height)
    size = max(_SMALLEST_TEXT, round(min(short * 0.031, width * 0.036)) if short >= _SMALL else round(short * 0.046))
    font = ImageFont.load_default(size=size)
    margin = round(size * 0.95)
    lines = _wrap(_printable(prompt), font, width - 2 * margin)
    most = 1 if height < 12 * size else 2 if short < _SMALL else 3
    return Caption(_shorten(lines, most, font, width - 2 * margin), font, size, margin)


def letter(picture: Image.Image, caption: Caption) -> None:
    """Write the caption and the badge on a finished picture."""
    pen = ImageDraw.Draw(picture, "RGBA")
    top = picture.height - caption.height
    pen.rectangle((0, top, picture.width, picture.height), fill=_BAND)
    for row, line in enumerate(caption.lines):
        y = top + caption.size * (0.46 + 1.32 * row)
        pen.text((caption.margin, y), line, font=caption.font, fill=WHITE)
    _badge(pen, picture.width, picture.height)


def _badge(pen: ImageDraw.ImageDraw, width: int, height: int) -> None:
    size = max(_SMALLEST_TEXT, round(min(width, height) * 0.027) + 4)
    font = ImageFont.load_default(size=size)
    spaced = BADGE if width < _SMALL else " ".join(BADGE)
    wide, pad, gap = pen.textlength(spaced, font=font), size * 0.6, round(size * 0.7)
    left, top = width - gap - wide - 2 * pad, gap if height >= 6 * size else 0
    box = (left, top, width - gap, top + size * 1.75)
    pen.rounded_rectangle(box, radius=size * 0.5, fill=(14, 16, 30, 205))
    pen.text((left + pad, top + size * 0.875), spaced, font=font, fill=(255, 214, 102), anchor="lm")


def _printable(prompt: str) -> str:
    """Return the drawable part of the prompt.

    Letters lose accents if the font lacks them.
    """
    plain = (mark for mark in unicodedata.normalize("NFKD", prompt) if not unicodedata.combining(mark))
    text = " ".join("".join(_LIKE.get(mark, mark if mark in _GLYPHS else " ") for mark in plain).split())
    # Punctuation alone is worth showing only if it is the whole prompt, not the remains of another script.
    if any(mark.isalnum() for mark in text) or (text and prompt.isascii()):
        return text
    return NO_GLYPHS if prompt.strip() else NO_TEXT


def _wrap(text: str, font: Font, room: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _shorten(lines: list[str], most: int, font: Font, room: float) -> tuple[str, ...]:
    kept = lines[:most]
    if len(lines) > most:
        kept[-1] += " …"
    return tuple(_fit(line, font, room) for line in kept)


def _fit(line: str, font: Font, room: float) -> str:
    if font.getlength(line) <= room:
        return line
    whole = line.removesuffix("…")
    kept = bisect_right(range(len(whole)), room, key=lambda length: font.getlength(whole[:length] + "…")) - 1
    return whole[: max(0, kept)].rstrip() + "…"
