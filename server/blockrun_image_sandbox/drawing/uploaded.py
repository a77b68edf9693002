"""Decodes pictures that have come with a request, within bounds."""

import io

from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from blockrun_image.errors import InvalidRequestError
from blockrun_image_sandbox.drawing.colours import WHITE
from blockrun_image_sandbox.uploads import media_type_of

_MAX_PIXELS = 8_192 * 8_192
_MAX_PIXELS_OF_SCANS = 15 * _MAX_PIXELS  # a progressive JPEG has about ten scans, each over the whole picture
_MAX_READS = 200_000  # a hostile file has millions of empty parts
_OPENERS: dict[str | None, type[ImageFile.ImageFile]] = {
    "image/png": PngImagePlugin.PngImageFile,
    "image/jpeg": JpegImagePlugin.JpegImageFile,
    "image/webp": WebPImagePlugin.WebPImageFile,
}


def size_of(name: str, content: bytes) -> tuple[int, int]:
    """Return a picture's size in pixels, after decoding it all; raises `InvalidRequestError` if that fails."""
    try:
        return _loaded(content).size
    except InvalidRequestError:
        raise
    except Exception as error:  # decoders raise all kinds
        raise InvalidRequestError(f"The {name} is not a picture that can be read.") from error


def in_colours(content: bytes) -> Image.Image:
    """Return a picture in RGB, on white where it is transparent."""
    image = _loaded(content)
    if image.mode.startswith("I"):  # 16 bits a pixel
        image = Image.eval(image.convert("I"), lambda level: level * (1 / 257)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGB", image.size, WHITE)
    ground.paste(layer, mask=layer)
    return ground


def area_of(mask: bytes) -> Image.Image:
    """Return the area to change as white on black: what is transparent in a mask, or else what is white."""
    image = _loaded(mask)
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            return Image.eval(alpha, lambda opacity: 255 * (opacity < 128))
    return Image.eval(image.convert("L"), lambda level: 255 * (level >= 128))


def _loaded(content: bytes) -> Image.Image:
    # Image.open would warn of some sizes, and filters of warnings belong to the whole process
    image = _OPENERS[media_type_of(content)](_BoundedReads(content))
    pixels = image.width * image.height
    scans = content.count(b"\xff\xda") if image.format == "JPEG" else 1
    if pixels > _MAX_PIXELS or pixels * scans > _MAX_PIXELS_OF_SCANS:
        raise InvalidRequestError(f"A picture of {image.width:,} x {image.height:,} pixels is too large.")
    image.load()
    return image


class _BoundedReads(io.BytesIO):
    """A file that cannot be read in endlessly many pieces."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MAX_READS:
            raise ValueError("A picture with so many parts is not decoded.")
        return super().read(size)
