"""Converts pictures to other formats, makes smaller ones of them, and checks that they are whole.

All of it blocks, and may run in several threads at once. Changing a picture takes 4 to 16 bytes of memory a pixel, and
up to 45 for WEBP that is lossless, small or has noise in its transparency, so callers limit how many are changed at
once.
"""

import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from blockrun_image.errors import StorageError
from blockrun_image.text import clean
from blockrun_image_mcp.files import Piece
from blockrun_image_mcp.formats import suffix_of
from blockrun_image_mcp.images.provenance import Provenance, has_content_credentials, pieces_with_provenance

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

_MAX_PIXELS = 8_192 * 8_192  # four times the largest picture that models make; 256 MiB in memory
_MAX_PIXELS_OF_SCANS = 15 * _MAX_PIXELS  # a progressive JPEG has about ten scans, each over the whole picture
_MAX_READS = 200_000  # of a file; a hostile one has millions of empty chunks
_MAX_CHECKED_BYTES = 48 * 2**20  # of the file and its pixels together
_MAX_PADDING = 64
_MAX_ICC_BYTES = 1_000_000  # readers refuse more in PNG
_MIN_SIDE = 16
_MANY_PIXELS = 2_048 * 2_048
_LEAN_METHOD = 2  # of WEBP: keeps no tokens of the whole picture; as good for large ones, in half of the memory
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of TIFF
_ENCODINGS: dict[str, tuple[str, dict[str, object]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 92, "subsampling": 0}),  # halving the colours frays red lettering
    ".webp": ("WEBP", {"quality": 90}),  # lossless would be seven times the size, and WEBP is asked for to be small
}


def converted(picture: bytes, suffix: str, about: Provenance) -> tuple[Sequence[Piece], str | None]:
    """Return the picture in the format of `suffix` (`.png`, `.jpg` or `.webp`), and a warning of what was lost.

    The pixels of a picture in that format already are not encoded again. Otherwise they are turned as EXIF says and
    have 8 bits a channel; the colour profile is kept, and other metadata is replaced by `about`. The file comes in
    pieces, because joining them would copy it. Raises `StorageError` if the picture cannot be decoded, is too large, or
    does not fit the format.
    """
    if suffix_of(picture) == suffix:
        return pieces_with_provenance(picture, about), None
    name = _ENCODINGS[suffix][0]
    with _storage_errors(f"The picture could not be converted to {name}"):
        decoded = _decoded(picture)
        losses = ["Only its first frame was kept."] if decoded.is_animated else []
        if suffix == ".jpg" and decoded.pixels.mode == "RGBA":
            _put_on_white(decoded)
            losses.append("Its transparent parts became white, because JPEG has no transparency.")
        if has_content_credentials(picture):
            losses.append("Its signed content credentials (C2PA) were lost, because they cover the original only.")
        encoded = _encoded(decoded, suffix)
    warning = " ".join([f"The picture was converted from {decoded.format} to {name}.", *losses]) if losses else None
    return pieces_with_provenance(encoded, about), warning


def reduced(picture: bytes, max_pixels: int, max_bytes: int) -> tuple[bytes, str]:
    """Return a smaller picture, and its media type: JPEG, or PNG if there is transparency and it fits.

    It has at most `max_pixels` on the longer side and at most `max_bytes`, in the colours of sRGB and without metadata.
    Raises `StorageError` if the picture cannot be decoded, is too large, or cannot be made that small.
    """
    with _storage_errors("No smaller picture could be made"), opened(picture) as image:
        image.draft(None, (2 * max_pixels, 2 * max_pixels))  # a large JPEG is decoded at a fraction of its size
        image.load()
        profile = _profile(image)
        small = _plain(_upright(image), profile)
        small.thumbnail((max_pixels, max_pixels))
        if profile and _fits(profile, small):
            small = _in_srgb(small, profile)
        while True:
            for encoded, media_type in _small_encodings(small):
                if len(encoded) <= max_bytes:
                    return encoded, media_type
            if max(small.size) <= _MIN_SIDE:
                raise StorageError(f"No smaller picture could be made: {max_bytes:,} bytes are too few for any.")
            half = max(small.size) // 2
            small.thumbnail((half, half))


def is_whole(picture: bytes) -> bool:
    """Return whether a picture was checked and is whole.

    Some formats cannot be checked. A picture that would take much memory is not decoded: only its end is looked for.
    """
    try:
        with opened(picture) as image:
            is_small = len(picture) + 4 * _decoded_pixels(image) <= _MAX_CHECKED_BYTES
            if is_small:
                image.verify()
        if not is_small:
            return _has_end(picture)
        with opened(picture) as image:
            image.load()  # JPEG has no checksum to verify
    except Exception:  # noqa: BLE001 - decoders raise all kinds
        return False
    return True


def _has_end(picture: bytes) -> bool:
    """Return whether a picture's format shows that nothing is missing at its end."""
    match suffix_of(picture):
        case ".png":
            return _png_is_whole(memoryview(picture))
        case ".jpg":
            return picture[-_MAX_PADDING:].rstrip(b"\0").endswith(b"\xff\xd9")
        case ".webp":
            return len(picture) >= 8 + int.from_bytes(picture[4:8], "little")
        case _:
            return False


def _png_is_whole(picture: memoryview) -> bool:
    """Return whether the checksum of each chunk is right, up to the last one; Pillow would copy the chunks."""
    position = 8
    for _ in range(_MAX_READS):
        end = position + 12 + int.from_bytes(picture[position : position + 4])
        if end > len(picture) or end == position:
            return False
        chunk = picture[position + 4 : end - 4]
        if zlib.crc32(chunk) != int.from_bytes(picture[end - 4 : end]):
            return False
        if bytes(chunk[:4]) == b"IEND":
            return True
        position = end
    return False


@contextmanager
def _storage_errors(failure: str) -> Generator[None]:
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # decoders raise all kinds
        why = clean(error, 80).rstrip(".") or type(error).__name__
        raise StorageError(f"{failure}: {why}.") from error


def opened(picture: bytes) -> "ImageFile":
    """Return the picture with its header read, and nothing decoded.

    Raises `StorageError` for what is not decoded at all, and whatever decoders raise.
    """
    from PIL import (  # noqa: PLC0415 - Pillow is slow to load, and only needed when a picture came
        AvifImagePlugin,
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    openers = {
        ".png": PngImagePlugin.PngImageFile,
        ".jpg": JpegImagePlugin.JpegImageFile,
        ".webp": WebPImagePlugin.WebPImageFile,
        ".gif": GifImagePlugin.GifImageFile,
        ".avif": AvifImagePlugin.AvifImageFile,
        ".bmp": BmpImagePlugin.BmpImageFile,
        ".tiff": TiffImagePlugin.TiffImageFile,
    }
    suffix = suffix_of(picture)
    opener = openers.get(suffix or "")
    if opener is None:
        raise StorageError(f"A picture in the format {suffix or 'unknown'} cannot be converted.")
    # Image.open would warn of some sizes; warning filters belong to the whole process, so threads cannot change them
    image = opener(_BoundedReads(picture))
    pixels = _decoded_pixels(image)
    scans = picture.count(b"\xff\xda") if suffix == ".jpg" else 1
    if pixels > _MAX_PIXELS or pixels * scans > _MAX_PIXELS_OF_SCANS:
        image.close()
        raise StorageError(f"A picture of {image.width:,} x {image.height:,} pixels is too large to be decoded.")
    return image


class _BoundedReads(BytesIO):
    """A file that cannot be read in endlessly many pieces."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MAX_READS:
            raise StorageError("A picture with so many parts is not decoded.")
        return super().read(size)


def _decoded_pixels(image: "ImageFile") -> int:
    """Return how many pixels a decoder makes room for; a tile of a TIFF may be larger than the picture."""
    tags: Mapping[int, int] = getattr(image, "tag_v2", {})
    return max(image.width, tags.get(_TILE_WIDTH, 0)) * max(image.height, tags.get(_TILE_LENGTH, 0))


@dataclass
class _Decoded:
    """The pixels of a picture, and what encoders have to know of it; the picture itself is let go."""

    pixels: "Image"
    format: str | None
    profile: bytes | None
    is_animated: bool
    has_palette: bool


def _decoded(picture: bytes) -> _Decoded:
    with opened(picture) as image:
        image.load()
        profile = _profile(image)
        is_animated, has_palette = getattr(image, "is_animated", False), image.mode in {"1", "P"}
        return _Decoded(_plain(_upright(image), profile), image.format, profile, is_animated, has_palette)


def plain_pixels(image: "ImageFile") -> "Image":
    """Return the pixels of a loaded picture: upright, with 8 bits a channel, in the colours of sRGB.

    They are RGB, or RGBA or L if there are transparent ones or no colours.
    """
    profile = _profile(image)
    pixels = _plain(_upright(image), profile)
    return _in_srgb(pixels, profile) if profile and _fits(profile, pixels) else pixels


def _profile(image: "Image") -> bytes | None:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and 0 < len(profile) <= _MAX_ICC_BYTES else None


def _upright(image: "ImageFile") -> "Image":
    """Turn a loaded picture as its EXIF says, in place."""
    from PIL import ImageOps  # noqa: PLC0415 - as above

    with suppress(Exception):  # damaged EXIF raises all kinds, and the pixels are whole
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _plain(image: "Image", profile: bytes | None) -> "Image":
    """Return the pixels as RGB, or as RGBA or L if there are transparent ones or no colours, with 8 bits a channel."""
    from PIL.Image import eval as eval_pixels  # noqa: PLC0415 - as above

    if image.mode.startswith("I"):
        image.info.pop("transparency", None)  # a 16-bit level of grey
        return eval_pixels(image.convert("I"), lambda level: level * (1 / 257)).convert("L")
    if image.has_transparency_data:
        transparent = image if image.mode == "RGBA" else image.convert("RGBA")  # which would copy it
        is_opaque = transparent.getchannel("A").getextrema() == (255, 255)
        return transparent.convert("RGB") if is_opaque else transparent
    if image.mode == "CMYK" and profile:
        return _in_srgb(image, profile)
    wanted = "L" if image.mode in {"1", "L"} else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def _in_srgb(image: "Image", profile: bytes) -> "Image":
    """Return the picture in the colours of sRGB; they are only taken for it if the profile cannot be used."""
    from PIL import ImageCms  # noqa: PLC0415 - as above

    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - typed in part
        in_srgb = ImageCms.profileToProfile(image, source, srgb, outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        in_srgb = None
    return in_srgb or image.convert(mode)


def _put_on_white(decoded: _Decoded) -> None:
    """Replace the pixels by those on white, and let the transparent ones go."""
    decoded.pixels = _on_white(decoded.pixels)


def _on_white(image: "Image") -> "Image":
    from PIL import Image  # noqa: PLC0415 - as above

    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _fits(profile: bytes, image: "Image") -> bool:
    """Return whether a colour profile describes pixels of this mode."""
    return profile[16:20] == (b"GRAY" if image.mode == "L" else b"RGB ")


def _encoded(decoded: _Decoded, suffix: str) -> bytes:
    """Return the encoded pixels, which are let go."""
    image, profile = decoded.pixels, decoded.profile
    del decoded.pixels
    name, options = _ENCODINGS[suffix]
    if suffix == ".webp":
        image = image.convert("RGB") if image.mode == "L" else image
        options = {"lossless": True} if decoded.has_palette else options  # few colours, which lossy WEBP would blur
    kept = profile if profile and _fits(profile, image) else None
    if suffix == ".webp" and not decoded.has_palette and image.width * image.height > _MANY_PIXELS:
        with suppress(ValueError):  # its tables are too small for some noise
            return saved(image, name, **options, icc_profile=kept, method=_LEAN_METHOD)
    return saved(image, name, **options, icc_profile=kept)


def _small_encodings(image: "Image") -> Iterator[tuple[bytes, str]]:
    """Yield the encodings of a small picture, the better ones first."""
    if image.mode == "RGBA":
        yield saved(image, "PNG", optimize=True), "image/png"
        image = _on_white(image)
    for quality in (85, 70, 50, 30):
        yield saved(image, "JPEG", quality=quality), "image/jpeg"


def saved(image: "Image", name: str, **options: object) -> bytes:
    """Return a picture encoded without metadata."""
    image.info.clear()  # encoders write some of what the original said
    written = BytesIO()
    image.save(written, name, **options)
    return written.getvalue()  # its value is not copied when it is taken
