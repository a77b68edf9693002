"""Reads saved pictures, whole or smaller."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from blockrun_image.errors import StorageError
from blockrun_image.text import clean
from blockrun_image_mcp.formats import media_type_of
from blockrun_image_mcp.images.conversion import reduced
from blockrun_image_mcp.images.store import content_of, id_of

_MAX_WHOLE_BYTES = 8 * 2**20
_MAX_SMALL_BYTES = 2 * 2**20
_PREVIEW_PIXELS = 512
_MAX_PREVIEW_BYTES = 75_000
_WIDTHS = range(16, 4_097)


def read_picture(paths: Sequence[Path], id: str, width: int = 0) -> tuple[bytes, str]:
    """Return a picture and its media type, or one of at most `width` pixels a side.

    `paths` are its files, of which the first that is there and unchanged is read. Raises `StorageError` if there is
    none, if the picture is too large to be sent whole, and if it cannot be made smaller.
    """
    picture, media_type = _first_unchanged(paths, id)
    if width:
        return reduced(picture, min(max(width, _WIDTHS.start), _WIDTHS.stop - 1), _MAX_SMALL_BYTES)
    if len(picture) > _MAX_WHOLE_BYTES:
        raise StorageError(f"The picture has {len(picture) / 2**20:.0f} MiB; add ?width=1024 for a smaller one.")
    return picture, media_type


def preview_of(path: Path) -> tuple[bytes, str]:
    """Return a preview of the picture in a file: at most 512 pixels a side, and 100 kB as base64.

    Raises `StorageError`.
    """
    return reduced(content_of(path), _PREVIEW_PIXELS, _MAX_PREVIEW_BYTES)


def _first_unchanged(paths: Sequence[Path], id: str) -> tuple[bytes, str]:
    *others, last = paths
    for path in others:
        with suppress(StorageError):
            return _unchanged(path, id)
    return _unchanged(last, id)


def _unchanged(path: Path, id: str) -> tuple[bytes, str]:
    picture = content_of(path)
    media_type = media_type_of(picture)
    if id_of(picture) != id or media_type is None:
        raise StorageError(f"{clean(path, 200)} was changed since it was saved.")
    return picture, media_type
