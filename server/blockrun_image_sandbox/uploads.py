"""Pictures that come with a request: as data URIs in JSON, or as files of a form."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from blockrun_image.errors import InvalidRequestError
from blockrun_image.text import clean

FORM = "multipart/form-data"
IMAGES = "image[]"

_MAX_FILES, _MAX_FIELDS = 40, 100
_PIECE_BYTES = 2**18
_DATA_URI = re.compile(r"data:(image/[a-z0-9.+-]{1,40});base64,", re.IGNORECASE)
_BEGINNINGS = {"image/png": rb"\x89PNG\r\n\x1a\n", "image/jpeg": rb"\xff\xd8\xff", "image/webp": rb"RIFF....WEBP"}


@dataclass(frozen=True)
class Uploads:
    """The pictures of an edit, in order, and the mask of the area to change in the only one."""

    pictures: Sequence[bytes]
    mask: bytes | None = None

    @property
    def named(self) -> Sequence[tuple[str, bytes]]:
        """All of them with a name for messages, the mask last."""
        pictures = [(f"picture {number}", picture) for number, picture in enumerate(self.pictures, 1)]
        return pictures if self.mask is None else [*pictures, ("mask", self.mask)]

    @property
    def size(self) -> int:
        """The bytes of all of them."""
        return sum(len(content) for _, content in self.named)

    @cached_property
    def digests(self) -> Sequence[str]:
        """The SHA-256 of each picture, in hexadecimal digits."""
        return [_digest(picture) for picture in self.pictures]

    @cached_property
    def mask_digest(self) -> str | None:
        """The SHA-256 of the mask."""
        return None if self.mask is None else _digest(self.mask)

    @cached_property
    def id(self) -> str:
        """Identifies them by their content."""
        return id_of(self.digests, self.mask_digest)


def id_of(digests: Sequence[str], mask_digest: str | None) -> str:
    """Return the id of the uploads with these digests."""
    return _digest(repr(([*digests], mask_digest)).encode())


def media_type_of(content: bytes) -> str | None:
    """Return the media type of a PNG, JPEG or WEBP by its first bytes; `None` for anything else."""
    return next((kind for kind, first in _BEGINNINGS.items() if re.match(first, content[:12], re.DOTALL)), None)


def read_json(body: bytes) -> tuple[object, "_Uris"]:
    """Return the document in a body, and the data URIs in it, which are not decoded yet."""
    document: object = json.loads(body)
    fields: Mapping[str, object] = cast("Any", document) if isinstance(document, dict) else {}
    images = fields.get("image")
    listed = cast("list[object]", images if isinstance(images, list) else [images])
    return cast("object", document), _Uris(listed, fields.get("mask"))


@dataclass(frozen=True)
class _Uris:
    images: Sequence[object]
    mask: object

    def decoded(self) -> Uploads:
        """Return the pictures; raises `InvalidRequestError` if one is no data URI, or not what it is called."""
        mask = None if self.mask is None else _decoded("mask", self.mask)
        return Uploads([_decoded("image", image) for image in self.images], mask)


async def read_form(body: bytes, content_type: str) -> tuple[Mapping[str, Any], Uploads]:
    """Return a form's fields, with `n` as a number and a word for each file, and its files.

    Raises `InvalidRequestError` if it cannot be read.
    """
    if not content_type.lower().startswith(FORM):
        raise InvalidRequestError(f"The body must be {FORM}.")
    limits = {"max_files": _MAX_FILES, "max_fields": _MAX_FIELDS}
    try:
        form = await _InMemory(Headers({"Content-Type": content_type}), _pieces(body), **limits).parse()
    except MultiPartException as error:
        raise InvalidRequestError(clean(error.message, 200)) from error
    fields: dict[str, Any] = {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        pictures = [await _file(value, name) for name in ("image", IMAGES) for value in form.getlist(name)]
        masks = [await _file(value, "mask") for value in form.getlist("mask")]
    finally:
        await form.close()
    if len(masks) > 1:
        raise InvalidRequestError("There is more than one mask.")
    n = str(fields.get("n", ""))
    if n.isascii() and n.isdecimal() and len(n) < 10:
        fields["n"] = int(n)
    files = {IMAGES: ["a file"] * len(pictures), "mask": ["a file"] * len(masks)}
    fields |= {name: found if name == IMAGES else found[0] for name, found in files.items() if found}
    return fields, Uploads(pictures, next(iter(masks), None))


class _InMemory(MultiPartParser):
    spool_max_size = 0  # nothing goes to the disk: the body has been read, within its limit


async def _pieces(body: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


async def _file(value: UploadFile | str, name: str) -> bytes:
    if isinstance(value, str):
        raise InvalidRequestError(f"{name} must be a file.")
    return await value.read()


def _decoded(name: str, uri: object) -> bytes:
    head = _DATA_URI.match(uri, 0, 80) if isinstance(uri, str) else None
    if head is None or not isinstance(uri, str):
        raise InvalidRequestError(f"{name} must be a data URI (data:image/...;base64,...); no URL is fetched.")
    try:
        content = base64.b64decode(uri[head.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError(f"{name} is not valid base64.") from error
    called, found = head[1].lower().replace("/jpg", "/jpeg"), media_type_of(content)
    if found not in (None, called):
        raise InvalidRequestError(f"{name} is called {called}, and is {found}.")
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
