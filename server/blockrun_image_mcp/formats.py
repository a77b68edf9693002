"""Recognises the formats of pictures by their first bytes, and says how large one may be."""

import re

MAX_PICTURE_BYTES = 64 * 2**20
"""The largest picture that is fetched, read or shown."""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF87a", ".gif"),
    (b"GIF89a", ".gif"),
    (b"II*\x00", ".tiff"),
    (b"MM\x00*", ".tiff"),
    (b"\x00\x00\x01\x00", ".ico"),
    (b"8BPS", ".psd"),
    (b"\xff\x0a", ".jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", ".jxl"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", ".jp2"),
)
_BRANDS = {b"avif": ".avif", b"avis": ".avif", b"heic": ".heic", b"heix": ".heic", b"mif1": ".heic", b"msf1": ".heic"}
_SVG = re.compile(rb"(?:(?:<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>]*>)\s*)*<svg[\s>]", re.DOTALL | re.IGNORECASE)
_SEARCHED_BYTES = 4_096
_MEDIA_SUBTYPES = {".jpg": "jpeg", ".svg": "svg+xml", ".ico": "x-icon", ".psd": "vnd.adobe.photoshop"}


def suffix_of(content: bytes) -> str | None:
    """Return the suffix for a picture's file name, such as `.png`; `None` if its format is unknown."""
    head = content[:_SEARCHED_BYTES]
    found = next((suffix for signature, suffix in _SIGNATURES if head.startswith(signature)), None)
    if found is not None:
        return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    if head[:2] == b"BM" and int.from_bytes(head[2:6], "little") == len(content):  # "BM" alone could begin a text
        return ".bmp"
    return ".svg" if _SVG.match(head.removeprefix(b"\xef\xbb\xbf").lstrip()) else None


def media_type_of(content: bytes) -> str | None:
    """Return the media type of a picture, such as `image/png`; `None` if its format is unknown."""
    suffix = suffix_of(content)
    return None if suffix is None else f"image/{_MEDIA_SUBTYPES.get(suffix, suffix.removeprefix('.'))}"
