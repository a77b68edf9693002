"""The sandbox's pictures: what each shows and is made from, within bounds, and drawn when it is looked at."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

from blockrun_image_sandbox.uploads import Uploads

_MAX_PICTURES = 2_000
_MAX_UPLOADS = 50
_MAX_UPLOADED_BYTES = 2**28
_MAX_DECODED_AT_ONCE = 2  # each may take hundreds of megabytes


@dataclass(frozen=True)
class Picture:
    """The content of a picture's URL; an edit names its uploads."""

    prompt: str
    width: int
    height: int
    variant: int
    uploads_id: str = field(default="", repr=False)

    @property
    def id(self) -> str:
        """Follows from the content, so that equal requests get equal URLs."""
        return hashlib.sha256(f"{self!r}{self.uploads_id}".encode("utf-8", "backslashreplace")).hexdigest()[:24]


@dataclass
class Gallery:
    """All pictures by their ids, and the uploads that the newest edits started from."""

    _pictures: OrderedDict[str, Picture] = field(default_factory=OrderedDict[str, Picture])
    _uploads: OrderedDict[str, Uploads] = field(default_factory=OrderedDict[str, Uploads])
    _decoding: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_MAX_DECODED_AT_ONCE))

    def remember(self, picture: Picture) -> str:
        """Keep a picture, and return its id; the oldest one goes."""
        self._pictures[picture.id] = picture
        self._pictures.move_to_end(picture.id)
        if len(self._pictures) > _MAX_PICTURES:
            self._pictures.popitem(last=False)
        return picture.id

    def keep(self, uploads: Uploads) -> None:
        """Keep what an edit starts from; the oldest go, and their edits can no longer be looked at."""
        self._uploads[uploads.id] = uploads
        self._uploads.move_to_end(uploads.id)
        while len(self._uploads) > 1 and (
            len(self._uploads) > _MAX_UPLOADS or sum(each.size for each in self._uploads.values()) > _MAX_UPLOADED_BYTES
        ):
            self._uploads.popitem(last=False)

    async def decode(self, check: Callable[[], None]) -> None:
        """Run what decodes pictures in a thread, a few at once."""
        await anyio.to_thread.run_sync(check, limiter=self._decoding)

    async def png(self, id: str) -> bytes | None:
        """Return a picture as a PNG, or `None` if it is not there any more."""
        picture = self._pictures.get(id)
        uploads = self._uploads.get(picture.uploads_id) if picture is not None and picture.uploads_id else None
        if picture is None or (picture.uploads_id and uploads is None):
            return None
        if uploads is None:
            return await anyio.to_thread.run_sync(_drawn, picture)
        return await anyio.to_thread.run_sync(_edited, picture, uploads, limiter=self._decoding)


def _drawn(picture: Picture) -> bytes:
    from blockrun_image_sandbox.drawing import draw  # noqa: PLC0415 - Pillow, when a picture is looked at

    return draw(picture.prompt, width=picture.width, height=picture.height, variant=picture.variant)


def _edited(picture: Picture, uploads: Uploads) -> bytes:
    from blockrun_image_sandbox.drawing.editing import edit  # noqa: PLC0415 - as above

    size = picture.width, picture.height
    return edit(uploads.pictures, uploads.mask, picture.prompt, size=size, variant=picture.variant)
