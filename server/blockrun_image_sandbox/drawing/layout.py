"""Lays pictures out on one of another size: whole, side by side, and never distorted."""

from collections.abc import Sequence
from math import ceil

from PIL import Image, ImageFilter, ImageOps

from blockrun_image_sandbox.drawing.colours import INK

Size = tuple[int, int]
PixelBox = tuple[int, int, int, int]

_GAP = 0.02  # of the shorter side, between pictures
_COARSE = 48


def laid_out(pictures: Sequence[Image.Image], size: Size) -> tuple[Image.Image, Sequence[PixelBox]]:
    """Return the pictures on one of `size`, and where each of them is.

    What they leave free shows the first one, blurred and dark.
    """
    boxes = boxes_for([picture.size for picture in pictures], size)
    sheet = _backdrop(pictures[0], size)
    for picture, (left, top, right, bottom) in zip(pictures, boxes, strict=True):
        sheet.paste(resized(picture, (right - left, bottom - top)), (left, top))
    return sheet, boxes


def resized(image: Image.Image, size: Size, how: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    """Return a picture of another size."""
    return image.resize(size, how)  # pyright: ignore[reportUnknownMemberType] - it also takes arrays of numpy


def boxes_for(sizes: Sequence[Size], room: Size) -> Sequence[PixelBox]:
    """Return the places of pictures of these sizes, in the rows that show most of them."""
    columns = max(range(len(sizes), 0, -1), key=lambda columns: _shown(_in_rows(sizes, room, columns)))
    return _in_rows(sizes, room, columns)


def _in_rows(sizes: Sequence[Size], room: Size, columns: int) -> Sequence[PixelBox]:
    gap = round(_GAP * min(room)) if len(sizes) > 1 else 0
    rows = ceil(len(sizes) / columns)
    height = (room[1] - gap * (rows - 1)) / rows
    boxes: list[PixelBox] = []
    for index, size in enumerate(sizes):
        row, column = divmod(index, columns)
        in_row = min(columns, len(sizes) - row * columns)
        width = (room[0] - gap * (columns - 1)) / columns
        start = (room[0] - in_row * width - gap * (in_row - 1)) / 2  # a last row with fewer stands in the middle
        scale = min(width / size[0], height / size[1])
        wide, high = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
        left = round(start + column * (width + gap) + (width - wide) / 2)
        top = round(row * (height + gap) + (height - high) / 2)
        boxes.append((left, top, left + wide, top + high))
    return boxes


def _shown(boxes: Sequence[PixelBox]) -> int:
    return sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)


def _backdrop(picture: Image.Image, size: Size) -> Image.Image:
    scale = _COARSE / max(size)
    coarse = ImageOps.fit(picture, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))
    blurred = resized(coarse.filter(ImageFilter.GaussianBlur(4)), size, Image.Resampling.BICUBIC)
    return Image.blend(blurred, Image.new("RGB", size, INK), 0.45)
