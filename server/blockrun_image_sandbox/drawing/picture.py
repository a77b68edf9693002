"""Draws a whole picture from the words of a prompt, with the writing on top."""

import hashlib
import io
import random

from PIL import Image

from blockrun_image_sandbox.drawing.abstract import composition
from blockrun_image_sandbox.drawing.arrangement import arrange, emblem
from blockrun_image_sandbox.drawing.backdrops import INTERIORS, backdrop_for
from blockrun_image_sandbox.drawing.canvas import Canvas, Sheet
from blockrun_image_sandbox.drawing.lettering import caption_for, letter
from blockrun_image_sandbox.drawing.mentions import mentions_in, words_of
from blockrun_image_sandbox.drawing.palette import palette_for
from blockrun_image_sandbox.drawing.scene import Scene
from blockrun_image_sandbox.drawing.skies import sky, weather

READ_LIMIT = 2_000

_SMALL_SIDE = 400
_PNG_EFFORT = 2  # of 9: fast rather than small
_SUN_SIDES = (0.22, 0.36, 0.64, 0.78)


def draw(prompt: str, *, width: int, height: int, variant: int = 0) -> bytes:
    """Draw the prompt as a PNG; equal arguments give equal bytes.

    Each `variant` composes the same prompt in another way, like a second image of one request.
    """
    read = prompt[:READ_LIMIT]
    caption = caption_for(read, width, height)
    # The picture is drawn larger and reduced, because Pillow draws edges without antialiasing.
    finer = 4 if min(width, height) < _SMALL_SIDE else 2
    sheet = Sheet.blank(width * finer, height * finer)
    _compose(_scene(sheet, read, variant, caption.height / height))
    picture = sheet.image.reduce(finer)
    letter(picture, caption)
    return as_png(picture)


def _scene(sheet: Sheet, prompt: str, variant: int, caption_share: float) -> Scene:
    words = words_of(prompt)
    chance = chance_of(prompt, variant)
    unit = min(sheet.image.size)
    width, height = sheet.image.width / unit, sheet.image.height / unit
    return Scene(
        canvas=Canvas(sheet, (0, 0), unit),
        width=width,
        height=height,
        floor=height * (1 - caption_share),
        palette=palette_for(words, chance),
        chance=chance,
        sun_x=width * chance.choice(_SUN_SIDES),
        words=words,
    )


def _compose(scene: Scene) -> None:
    mentions = mentions_in(scene.words)
    layers = backdrop_for(scene.words, mentions) or (composition,)
    for paint in layers:
        paint(scene)
    if INTERIORS["paper"].paint in layers:
        emblem(scene, mentions)
    else:
        arrange(scene, mentions)
    if sky in layers:
        weather(scene)


def chance_of(prompt: str, variant: int) -> random.Random:
    """Return the dice of a prompt, which fall alike for equal arguments."""
    # Not hash(), which differs from process to process; a prompt may hold lone surrogates.
    digest = hashlib.sha256(f"{variant}:{prompt}".encode("utf-8", "surrogatepass")).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def as_png(picture: Image.Image) -> bytes:
    """Return a finished picture as a file."""
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=_PNG_EFFORT)
    return file.getvalue()
