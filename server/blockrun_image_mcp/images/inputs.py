"""Makes pictures ready for a model to start from: decoded, without metadata, and as large as it takes them.

What is sent was encoded here, from pixels. So no file that is no picture is sent, nor what a camera or a program has
written into one, such as where it was taken. All of it blocks.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from blockrun_image.errors import InvalidRequestError
from blockrun_image.ports import ReadyPicture
from blockrun_image.text import clean
from blockrun_image_mcp.formats import suffix_of
from blockrun_image_mcp.images.conversion import opened, plain_pixels, saved

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_SIDE = 4_096  # no model is known to take more
_MIN_SIDE = 16
_SMALLER = 0.8
_MAX_STRETCH = 0.02
_BELOW_HALF = [255] * 128 + [0] * 128
_FROM_HALF = [0] * 128 + [255] * 128
_LOSSY = (".jpg", ".webp", ".avif")


def prepared(content: bytes, max_bytes: int, max_side: int | None = None) -> ReadyPicture:
    """Return a picture of at most `max_bytes`, and of at most `max_side` pixels a side, without metadata.

    It is upright, in the colours of sRGB, and a PNG or, if it has no transparency, perhaps a JPEG. Of an animation, it
    is the first frame. Raises `InvalidRequestError` for what is no picture or cannot be made that small.
    """
    with _in_words("A picture to start from cannot be used"):
        pixels = _decoded(content)
        largest = min(max_side or _MAX_SIDE, _MAX_SIDE)
        pixels.thumbnail((largest, largest))
        is_lossy = suffix_of(content) in _LOSSY
        while True:
            for encoded, media_type in _encodings(pixels, is_lossy=is_lossy):
                if len(encoded) <= max_bytes:
                    return ReadyPicture(encoded, media_type, *pixels.size)
            side = int(max(pixels.size) * _SMALLER)
            if side < _MIN_SIDE:
                raise InvalidRequestError(f"No picture can be sent in {max_bytes:,} bytes.")
            pixels.thumbnail((side, side))


def prepared_mask(content: bytes, size: tuple[int, int]) -> bytes:
    """Return a mask of a size, in pixels, as a PNG; the area to change is white and transparent, the rest black.

    APIs read masks in two ways, by white and by transparency, and this one is right in both. In the given mask, the
    area is what is transparent, or else what is white. Raises `InvalidRequestError`.
    """
    from PIL import Image  # noqa: PLC0415 - Pillow is slow to load

    with _in_words("The mask cannot be used"):
        given = _decoded(content)
        stretch = (given.width * size[1]) / (given.height * size[0])
        if abs(stretch - 1) > _MAX_STRETCH:
            raise InvalidRequestError(
                f"The mask has {given.width} x {given.height} pixels, and the picture as it is sent"
                f" {size[0]} x {size[1]}: they need the same shape."
            )
        if given.mode == "RGBA":
            area = given.getchannel("A").point(_BELOW_HALF)  # pyright: ignore[reportUnknownMemberType] - typed in part
        else:
            area = given.convert("L").point(_FROM_HALF)  # pyright: ignore[reportUnknownMemberType] - as above
        area = area.resize(size, Image.Resampling.NEAREST)  # pyright: ignore[reportUnknownMemberType] - as above
        if area.getbbox() is None:
            raise InvalidRequestError("The mask marks nothing: the area to change must be white or transparent.")
        mask = Image.new("RGBA", size, (0, 0, 0, 255))
        mask.paste((255, 255, 255, 0), mask=area)
        return saved(mask, "PNG")


def _decoded(content: bytes) -> "Image":
    with opened(content) as image:
        image.load()
        pixels = plain_pixels(image)
    return pixels.convert("RGB") if pixels.mode == "L" else pixels


def _encodings(pixels: "Image", *, is_lossy: bool) -> Iterator[tuple[bytes, str]]:
    """Yield the encodings of a picture, the better ones first."""
    if pixels.mode == "RGBA" or not is_lossy:
        yield saved(pixels, "PNG"), "image/png"
    if pixels.mode != "RGBA":
        for quality in (92, 85):
            yield saved(pixels, "JPEG", quality=quality, subsampling=0), "image/jpeg"


@contextmanager
def _in_words(failure: str) -> Generator[None]:
    """Turn whatever decoders raise into an `InvalidRequestError`."""
    try:
        yield
    except InvalidRequestError:
        raise
    except Exception as error:
        why = clean(error, 120).rstrip(".") or type(error).__name__
        raise InvalidRequestError(
            f"{failure}: {why}.", hint="It must be a whole PNG, JPEG, WEBP, GIF, AVIF, BMP or TIFF."
        ) from error
