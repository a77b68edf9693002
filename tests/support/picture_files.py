"""Makes picture files of every format and kind, whole and strange ones."""

import zlib
from io import BytesIO

from PIL import Image as Picture
from PIL import ImageOps
from PIL.Image import Image

from blockrun_image_mcp.images import conversion
from blockrun_image_mcp.images.provenance import Provenance, pieces_with_provenance

CREDENTIALS_UUID = b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
"""The type of the box that every store of content credentials begins with."""


def scene(mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image:
    """Return a picture whose four corners differ; a mode with alpha has a transparent half."""
    gradients = [ImageOps.fit(gradient("L"), size) for gradient in (Picture.linear_gradient, Picture.radial_gradient)]
    picture = Picture.merge("RGB", [gradients[0], gradients[1], gradients[0].transpose(Picture.Transpose.ROTATE_180)])
    picture.paste("red", (0, 0, size[0] // 4, size[1] // 4))
    if mode == "I;16":
        return Picture.frombytes(mode, size, bytes(range(256)) * (size[0] * size[1] // 128))
    if mode in {"RGBA", "LA"}:
        alpha = Picture.new("L", size, 255)
        alpha.paste(0, (size[0] // 2, 0, *size))
        picture.putalpha(alpha)
    return picture.convert(mode)


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (48, 32), **options: object) -> bytes:
    """Return a scene in a format of Pillow, such as `PNG`."""
    return saved(scene(mode, size), kind, **options)


def saved(picture: Image, kind: str, **options: object) -> bytes:
    """Return a picture in a format of Pillow."""
    written = BytesIO()
    picture.save(written, kind, **options)
    return written.getvalue()


def animated(kind: str) -> bytes:
    """Return an animation of three frames."""
    more = [Picture.new("RGB", (48, 32), colour) for colour in ("green", "blue")]
    return encoded(kind, save_all=True, append_images=more, duration=50)


def opened(content: bytes) -> Image:
    """Return a picture, decoded."""
    picture = Picture.open(BytesIO(content))
    picture.load()
    return picture


def png_chunk(kind: bytes, data: bytes = b"") -> bytes:
    """Return a chunk of a PNG."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def with_png_chunks(picture: bytes, *chunks: bytes) -> bytes:
    """Return a PNG with more chunks after its header."""
    return b"".join((picture[:33], *chunks, picture[33:]))


def with_jpeg_segment(picture: bytes, marker: int, content: bytes) -> bytes:
    """Return a JPEG with one more segment at its beginning."""
    return picture[:2] + bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content + picture[2:]


def with_webp_chunk(picture: bytes, kind: bytes, data: bytes) -> bytes:
    """Return a WEBP with one more chunk at its end."""
    return riff(picture[12:] + kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2))


def riff(chunks: bytes) -> bytes:
    """Return a WEBP of these chunks."""
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks


def with_credentials(kind: str) -> bytes:
    """Return a picture with the least that marks content credentials (C2PA) in this format."""
    box = (30).to_bytes(4, "big") + b"jumb" + (22).to_bytes(4, "big") + b"jumd" + bytes(14)
    if kind == "PNG":
        return with_png_chunks(encoded(kind), png_chunk(b"caBX", box))
    if kind == "JPEG":
        return with_jpeg_segment(encoded(kind), 0xEB, b"JP\0\1\0\0\0\1" + box)
    if kind == "WEBP":
        return with_webp_chunk(encoded(kind), b"C2PA", box)
    return encoded(kind) + CREDENTIALS_UUID


def converted(picture: bytes, suffix: str, about: Provenance) -> tuple[bytes, str | None]:
    """Return a converted picture, its pieces joined, and the warning of what was lost."""
    pieces, warning = conversion.converted(picture, suffix, about)
    return b"".join(pieces), warning


def with_provenance(picture: bytes, about: Provenance) -> bytes:
    """Return a picture with metadata, its pieces joined."""
    return b"".join(pieces_with_provenance(picture, about))
