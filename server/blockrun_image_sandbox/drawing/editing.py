"""Changes pictures by the words of a prompt, so that anyone sees what was asked for."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps

from blockrun_image_sandbox.drawing.canvas import Canvas, Sheet
from blockrun_image_sandbox.drawing.colours import CREAM, Colour
from blockrun_image_sandbox.drawing.effects import EFFECTS, Effect, light, lit_from_elsewhere, tint
from blockrun_image_sandbox.drawing.layout import Size, laid_out, resized
from blockrun_image_sandbox.drawing.lettering import caption_for, letter
from blockrun_image_sandbox.drawing.mentions import Mention, mentions_in, words_of
from blockrun_image_sandbox.drawing.palette import COLOURS, LIGHT_WORDS, POSTERS
from blockrun_image_sandbox.drawing.picture import READ_LIMIT, as_png, chance_of
from blockrun_image_sandbox.drawing.subjects import AIR, SUBJECTS
from blockrun_image_sandbox.drawing.uploaded import area_of, in_colours

_SMALLEST_LETTERED = 48
_BAND: Colour = (14, 16, 30)
_WOOD: Colour = (122, 82, 52)
_FRAMES = frozenset({"frame", "frames", "framed", "border", "bordered"})
_LIGHTS = {**LIGHT_WORDS, "warmer": "afternoon", "cosy": "afternoon", "cozy": "afternoon", "cold": "overcast"}
_ADDING = frozenset({"add", "put", "place", "insert", "include", "draw", "with"})
_PLACING = frozenset({"on", "in", "into", "onto", "to", "at", "of", "from", "next", "near", "behind", "around", "over"})


def edit(pictures: Sequence[bytes], mask: bytes | None, prompt: str, *, size: Size, variant: int = 0) -> bytes:
    """Return the pictures as one PNG of `size`, changed as the prompt says; equal arguments give equal bytes.

    With a mask, nothing else changes than its area in the first picture. Each `variant` differs.
    """
    read = prompt[:READ_LIMIT]
    sheet, boxes = laid_out([_reduced(in_colours(picture), size) for picture in pictures], size)
    if mask is None:
        is_alone = len(pictures) == 1  # several side by side are a change already
        wish = _wish_in(read, variant, _named_to_be_added(read) if is_alone else None, must_change=is_alone)
        return as_png(_lettered(_changed(sheet, wish, variant, 0.22), read, wish.frame))
    left, top, right, bottom = boxes[0]
    area = Image.new("L", size)
    area.paste(resized(area_of(mask), (right - left, bottom - top), Image.Resampling.NEAREST), (left, top))
    part = area.getbbox()
    if part is not None:
        wish = _wish_in(read, variant, next(iter(mentions_in(words_of(read))), None), must_change=True)
        changed, is_whole = sheet.copy(), area.crop(part).getextrema() == (255, 255)
        inside = _changed(sheet.crop(part), wish, variant, 0.42)
        changed.paste(_lettered(inside, read, wish.frame) if is_whole else inside, part[:2])
        sheet = Image.composite(changed, sheet, area)
    return as_png(sheet)


@dataclass(frozen=True)
class _Wish:
    """What a prompt asks for: changes of all pixels in their order, a thing to add, and the colour of a frame."""

    steps: Sequence[Effect]
    added: Mention | None
    frame: Colour | None
    chance: random.Random


def _wish_in(prompt: str, variant: int, added: Mention | None, *, must_change: bool) -> _Wish:
    chance, text, steps = chance_of(prompt, variant), " ".join(words_of(prompt)), list[Effect]()
    for pattern, effect in EFFECTS:
        text, count = pattern.subn(" ", text)  # "black and white" asks for no black
        steps += [effect] * (count > 0)
    frame, words = _frame_in(text.split())
    steps += [light(_LIGHTS[word]) for word in words if word in _LIGHTS][:1]
    colours = [COLOURS[word] for word in words if word in COLOURS]
    steps += [tint(colour, 0.6) for colour in colours if added is None or colour != added.dye][:1]
    if must_change and not steps and frame is None and added is None:
        steps = [tint(chance.choice(POSTERS)[1], 0.45)]
    return _Wish(steps, added, frame, chance)


def _frame_in(words: Sequence[str]) -> tuple[Colour | None, Sequence[str]]:
    """Return the colour of a frame that is asked for, and the words that are left."""
    at = next((place for place, word in enumerate(words) if word in _FRAMES), None)
    if at is None:
        return None, words
    near = range(max(0, at - 2), min(len(words), at + 3))
    coloured = next((place for place in near if words[place] in COLOURS), None)
    left = [word for place, word in enumerate(words) if place not in (at, coloured)]
    return _WOOD if coloured is None else COLOURS[words[coloured]], left


def _named_to_be_added(prompt: str) -> Mention | None:
    """Return the subject after a word such as "add"; not the cat in "put a hat on the cat", which is there already."""
    words = words_of(prompt)
    start = next((place for place, word in enumerate(words) if word in _ADDING), len(words))
    end = next((place for place in range(start, len(words)) if words[place] in _PLACING), len(words))
    return next(iter(mentions_in(words[start:end])), None)


def _reduced(picture: Image.Image, size: Size) -> Image.Image:
    picture.thumbnail((2 * size[0], 2 * size[1]))  # several may be large, and all are in memory at once
    return picture


def _changed(image: Image.Image, wish: _Wish, variant: int, share: float) -> Image.Image:
    for step in wish.steps:
        image = step(image)
    if variant:
        image = lit_from_elsewhere(image, variant)
    return image if wish.added is None else _with_subject(image, wish.added, wish.chance, share)


def _with_subject(image: Image.Image, mention: Mention, chance: random.Random, share: float) -> Image.Image:
    """Return the picture with a subject in it; `share` is half of its height in short sides."""
    # Drawn larger and reduced, as Pillow draws edges without antialiasing; the rest comes out as it was.
    finer = resized(image, (2 * image.width, 2 * image.height), Image.Resampling.NEAREST)
    sheet = Sheet(finer, ImageDraw.Draw(finer), ImageDraw.Draw(finer, "RGBA"))
    subject, reach = SUBJECTS[mention.name], share * min(finer.size) / mention.count**0.5
    shift = chance.uniform(-0.16, 0.16) if mention.count == 1 and share < 0.3 else 0
    y = finer.height * 0.46 if subject.stands == AIR else finer.height * 0.88 - reach * subject.foot
    for index in range(mention.count):
        x = finer.width * ((index + 1) / (mention.count + 1) + shift)
        subject.paint(Canvas(sheet, (x, y), reach), mention.dye or chance.choice(subject.colours))
    return finer.reduce(2)


def _lettered(image: Image.Image, prompt: str, frame: Colour | None) -> Image.Image:
    """Return the picture with its lettering, inside of its frame."""
    side = min(image.size)
    wide, pale = (0, 0) if frame is None else (side // 22, side // 44)
    inner = ImageOps.fit(image, (image.width - 2 * (wide + pale), image.height - 2 * (wide + pale)))
    if min(inner.size) >= _SMALLEST_LETTERED:
        caption = caption_for(prompt, *inner.size)
        # The input may be a sandbox's picture, whose caption must not shine through.
        inner.paste(_BAND, (0, inner.height - caption.height, inner.width, inner.height))
        letter(inner, caption)
    return inner if frame is None else ImageOps.expand(ImageOps.expand(inner, pale, CREAM), wide, frame)
