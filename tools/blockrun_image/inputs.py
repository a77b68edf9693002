"""The pictures that a call starts from: how it names them, and where they are found."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from blockrun_image.callers import Caller
from blockrun_image.document import Editing
from blockrun_image.errors import InvalidRequestError, StorageError
from blockrun_image.images import Image, InputPicture
from blockrun_image.ports import PictureReader, Ports
from blockrun_image.text import quoted

LAST = "last"
"""Names the picture of the caller's newest call."""

_SAVED = re.compile(r"images://([0-9a-f]{12})")
_URL = re.compile(r"(?i)https?://[!-~]{1,2000}")  # of the characters that a URL is written in
_OTHER_SCHEME = re.compile(r"(?i)([a-z][a-z0-9+.-]+):")
_HOW = "Name a file, images://ID of a saved picture, last, or an https URL."
_SHOWN_URL_CHARACTERS = 200


@dataclass(frozen=True)
class Named:
    """A picture as a call names it.

    `key` stands for it in the call's key: the SHA-256 of a file's content, and otherwise the name itself. The `content`
    of a file is read already, at its real path `source`.
    """

    name: str
    key: str
    content: bytes | None = None
    source: str = ""


@dataclass(frozen=True)
class NamedInputs:
    """The pictures that a call names, and its mask."""

    images: tuple[Named, ...] = ()
    mask: Named | None = None

    @classmethod
    def unread(cls, images: Sequence[str], mask: str | None) -> "NamedInputs":
        """Return them as the call names them."""
        return cls(tuple(Named(name, name) for name in images), Named(mask, mask) if mask else None)

    @classmethod
    async def read(cls, ports: Ports, images: Sequence[str], mask: str | None) -> "NamedInputs":
        """Return them with the contents of the files; raises `InvalidRequestError`."""
        return cls(
            tuple([await _read(ports, name) for name in images]),
            await _read(ports, mask) if mask else None,
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the pictures."""
        return tuple(each.key for each in self.images)

    @property
    def mask_key(self) -> str | None:
        """The key of the mask."""
        return None if self.mask is None else self.mask.key


async def find(
    ports: Ports, named: NamedInputs, limits: Editing, caller: Caller | None
) -> tuple[tuple[InputPicture, ...], InputPicture | None]:
    """Return the pictures and the mask as they are sent; raises `InvalidRequestError`."""
    reader = _reader(ports)
    images: list[InputPicture] = []
    width = height = 0
    for each in named.images:
        content, source = await _content(ports, each, caller)
        ready = await reader.ready(content, limits)
        width, height = ready.width, ready.height
        images.append(InputPicture(_sha256(content), source, ready.content, ready.media_type))
    if named.mask is None:
        return tuple(images), None
    content, source = await _content(ports, named.mask, caller)
    ready = await reader.ready_mask(content, width, height)
    return tuple(images), InputPicture(_sha256(content), source, ready.content, ready.media_type)


async def _read(ports: Ports, name: str) -> Named:
    name = name.strip()
    if name.lower() == LAST:
        return Named(LAST, LAST)
    if _SAVED.fullmatch(name) or _URL.fullmatch(name):
        return Named(name, name)
    scheme = _OTHER_SCHEME.match(name)
    if not name or (scheme and not PurePath(name).drive):
        what = "A picture to start from has no name" if not name else f"A picture cannot be named {quoted(name)}"
        raise InvalidRequestError(f"{what}.", hint=_HOW)
    content, path = await _reader(ports).read(name)
    return Named(name, f"sha256:{_sha256(content)}", content, path)


def _reader(ports: Ports) -> PictureReader:
    if ports.reader is None:
        raise InvalidRequestError("images cannot be used: this toolset reads no pictures.")
    return ports.reader


async def _content(ports: Ports, named: Named, caller: Caller | None) -> tuple[bytes, str]:
    """Return what a name stands for now, and where that is."""
    if named.content is not None:
        return named.content, named.source
    if saved := _SAVED.fullmatch(named.name):
        image = await (await ports.ledger()).picture(saved[1])
        if image is None:
            raise InvalidRequestError(f"There is no picture {named.name}.", hint="images://recent lists them.")
        return await _content_of(ports, image, saved[1])
    if named.name == LAST:
        return await _last(ports, caller)
    return await _fetch(ports, named.name)


async def _last(ports: Ports, caller: Caller | None) -> tuple[bytes, str]:
    images = await (await ports.ledger()).last_pictures(caller)
    if not images:
        raise InvalidRequestError("There is no last picture: no call has made one yet.", hint=_HOW)
    if len(images) > 1:
        names = [f"images://{image.id}" if image.id else image.url or "" for image in images]
        raise InvalidRequestError(f"The last call made {len(images)} images: name one of them.", valid_values=names)
    return await _content_of(ports, images[0], images[0].id)


async def _content_of(ports: Ports, image: Image, id: str | None) -> tuple[bytes, str]:
    """Return the content of an image's file, or what its URL leads to."""
    saved = await _reader(ports).saved(image, id) if id else None
    if saved is not None:
        return saved
    if not _URL.fullmatch(image.url or ""):
        raise InvalidRequestError("The file of that picture is no longer there.", hint=_HOW)
    return await _fetch(ports, image.url or "")


async def _fetch(ports: Ports, url: str) -> tuple[bytes, str]:
    try:
        return await (await ports.gateway()).fetch(url), url[:_SHOWN_URL_CHARACTERS]
    except StorageError as error:
        raise InvalidRequestError(f"The picture at {quoted(url, 120)} cannot be used. {error.message}") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
