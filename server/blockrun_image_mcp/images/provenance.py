"""Writes into a picture's file how it was made, and leaves its other bytes as they are.

The fields are those of the IPTC Photo Metadata Standard 2025.1, in XMP.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from blockrun_image.text import clean
from blockrun_image_mcp.files import Piece
from blockrun_image_mcp.formats import suffix_of

_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_MAX_PROMPT_CHARACTERS = 6_000  # two of them, at up to 5 bytes a character in XML, fit in a JPEG segment of 64 KB
_MAX_MODEL_CHARACTERS = 200
_MAX_PARTS = 20_000
_XMP_HEADS = (b"iTXtXML:com.adobe.xmp\0", b"\xe1http://ns.adobe.com/xap/1.0/\0", b"XMP ")
_CREDENTIALS_HEAD = re.compile(rb"caBX|C2PA|\xebJP.{10}jumb", re.DOTALL)
_CREDENTIALS_UUID = b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
_HEAD_BYTES = 40
_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10  # of WEBP's VP8X chunk


@dataclass(frozen=True)
class Provenance:
    """How a picture was made.

    Files are sent on to other people, so what the operator does not want in them is `None`.
    """

    model: str
    prompt: str | None = None
    revised_prompt: str | None = None
    cost_usd: str | None = None


def pieces_with_provenance(picture: bytes, about: Provenance) -> Sequence[Piece]:
    """Return a PNG, JPEG or WEBP file with an XMP packet about its making; the pixels are not encoded again.

    The file comes in pieces, without a copy of the picture, which may be large. Other formats are returned unchanged,
    and so is a file that has XMP already, that has content credentials (C2PA), or whose structure is damaged.
    """
    if has_content_credentials(picture):  # a signature covers all bytes of the file
        return [picture]
    suffix = suffix_of(picture)
    try:
        parts = list(_parts(picture, suffix))
    except _StructureError:
        return [picture]
    if not parts or any(part.head.startswith(_XMP_HEADS) for part in parts):
        return [picture]
    packet = _packet(about)
    if suffix == ".png":
        return _spliced(picture, parts[0].end, _png_chunk(packet))
    if suffix == ".jpg":
        return _spliced(picture, _after_leading_segments(parts), _jpeg_segment(packet))
    return _webp_with(packet, picture, parts)


def has_content_credentials(picture: bytes) -> bool:
    """Return whether a picture of any format carries content credentials (C2PA), valid or not."""
    if _CREDENTIALS_UUID in picture:  # each manifest store begins with it, in every format
        return True
    try:
        return any(_CREDENTIALS_HEAD.match(part.head) for part in _parts(picture, suffix_of(picture)))
    except _StructureError:
        return False


class _StructureError(Exception):
    """Raised if the parts of a file do not add up."""


@dataclass(frozen=True)
class _Part:
    """A chunk or segment: its kind and first bytes, and where it ends in the file."""

    head: bytes
    end: int


def _parts(picture: bytes, suffix: str | None) -> Iterator[_Part]:
    """Yield the chunks of a PNG or WEBP, or the segments of a JPEG before its pixels; nothing for other formats."""
    readers = {".png": _png_chunks, ".jpg": _jpeg_segments, ".webp": _webp_chunks}
    reader = readers.get(suffix or "")
    for count, part in enumerate(reader(picture) if reader else (), 1):
        if part.end > len(picture) or count > _MAX_PARTS:
            raise _StructureError
        yield part


def _png_chunks(picture: bytes) -> Iterator[_Part]:
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = _number(picture, position, 4, "big"), picture[position + 4 : position + 8]
        if position == 8 and kind != b"IHDR":
            raise _StructureError
        yield _Part(picture[position + 4 : position + 4 + _HEAD_BYTES], position + 12 + length)
        position += 12 + length


def _jpeg_segments(picture: bytes) -> Iterator[_Part]:
    position = 2
    while picture[position : position + 2] != b"\xff\xda":  # the pixels follow
        length = _number(picture, position + 2, 2, "big")
        if picture[position] != 0xFF:
            raise _StructureError
        content, end = position + 4, position + 2 + length
        yield _Part(picture[position + 1 : position + 2] + picture[content : content + _HEAD_BYTES], end)
        position = end


def _webp_chunks(picture: bytes) -> Iterator[_Part]:
    position, end = 12, 8 + _number(picture, 4, 4, "little")
    while position < end:
        length = _number(picture, position + 4, 4, "little")
        chunk_end = position + 8 + length + length % 2
        if chunk_end > end:
            raise _StructureError
        yield _Part(picture[position : position + 4] + picture[position + 8 : position + 8 + _HEAD_BYTES], chunk_end)
        position = chunk_end


def _number(picture: bytes, position: int, size: int, order: Literal["big", "little"]) -> int:
    digits = picture[position : position + size]
    if len(digits) < size:
        raise _StructureError
    return int.from_bytes(digits, order)


def _spliced(picture: bytes, position: int, added: bytes) -> Sequence[Piece]:
    whole = memoryview(picture)  # slices of bytes would be copies
    return [whole[:position], added, whole[position:]]


def _png_chunk(packet: bytes) -> bytes:
    chunk = b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + packet  # not compressed, in no language
    return (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")


def _jpeg_segment(packet: bytes) -> bytes:
    content = b"http://ns.adobe.com/xap/1.0/\0" + packet
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content


def _after_leading_segments(parts: Sequence[_Part]) -> int:
    """Return where XMP belongs in a JPEG: after JFIF and EXIF, which readers expect first."""
    position = 2
    for part in parts:
        if part.head[0] not in (0xE0, 0xE1):
            break
        position = part.end
    return position


def _webp_with(packet: bytes, picture: bytes, parts: Sequence[_Part]) -> Sequence[Piece]:
    """Return a WEBP file with XMP as its last chunk, and with the VP8X chunk that announces it."""
    whole, end = memoryview(picture), parts[-1].end
    first = parts[0].head
    if first.startswith(b"VP8X") and parts[0].end >= 30:
        start, rest = whole[12:20].tobytes() + bytes([picture[20] | _XMP_FLAG]), 21
    else:
        try:
            start, rest = _vp8x_chunk(first), 12
        except _StructureError:
            return [picture]
    xmp = b"XMP " + len(packet).to_bytes(4, "little") + packet + bytes(len(packet) % 2)
    size = len(b"WEBP") + len(start) + (end - rest) + len(xmp)
    header = b"RIFF" + size.to_bytes(4, "little") + b"WEBP"
    return [header, start, whole[rest:end], xmp, whole[end:]]


def _vp8x_chunk(first: bytes) -> bytes:
    """Return the chunk that a WEBP file without extensions lacks.

    `first` is the head of its only chunk, with the size and, for a lossless picture, the use of alpha.
    """
    flags = _XMP_FLAG
    if first.startswith(b"VP8 ") and first[7:10] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(first[at : at + 2], "little") & 0x3FFF for at in (10, 12))
    elif first.startswith(b"VP8L\x2f"):
        bits = int.from_bytes(first[5:9], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        flags |= _ALPHA_FLAG if bits >> 28 & 1 else 0
    else:
        raise _StructureError
    if not width or not height:
        raise _StructureError
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X" + (10).to_bytes(4, "little") + bytes([flags, 0, 0, 0]) + canvas


def _packet(about: Provenance) -> bytes:
    """Return the XMP packet in UTF-8; texts are cleaned and cut."""
    prompt = clean(about.prompt or "", _MAX_PROMPT_CHARACTERS)
    revised = clean(about.revised_prompt or "", _MAX_PROMPT_CHARACTERS)
    fields = {
        "Iptc4xmpExt:DigitalSourceType": _SOURCE_TYPE,
        "Iptc4xmpExt:AISystemUsed": clean(about.model, _MAX_MODEL_CHARACTERS),
        "Iptc4xmpExt:AIPromptInformation": "\n".join(
            filter(None, (prompt, f"Revised prompt: {revised}" if revised else ""))
        ),
        "xmp:CreatorTool": "blockrun-image-mcp",
    }
    lines = [f"<{name}>{escape(value)}</{name}>" for name, value in fields.items() if value]
    if about.cost_usd:  # no field is for prices; a comment is not shown as a caption
        cost = escape(f"Cost: {clean(about.cost_usd, 40)} USD")
        lines.append(
            f'<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{cost}</rdf:li></rdf:Alt></exif:UserComment>'
        )
    described = "\n   ".join(lines)
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/">
   {described}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()
