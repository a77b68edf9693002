"""Requests to the gateway, and its responses."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

AUTO = "auto"
"""The size of a request that leaves the choice to the API."""


@dataclass(frozen=True)
class ImageArguments:
    """The unchecked arguments of a call; `None` or an empty text is "not set".

    `images` and `mask` name the pictures to start from: a file by its content, any other as the call names it.
    """

    prompt: str = ""
    model: str | None = None
    size: str | None = None
    quality: str | None = None
    n: int | None = None
    images: tuple[str, ...] = ()
    mask: str | None = None
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict[str, str | int | float | bool])

    def key(self, **others: object) -> str:
        """Return the key of a call with these and other arguments, before defaults and enrichment.

        Equal keys make the same call. It stays the same if another version enriches differently or the operator
        changes the defaults.
        """
        # Arguments that are not set are left out, so that new ones do not change the keys of old calls.
        given = {name: value for name, value in {**vars(self), **others}.items() if value}
        return hashlib.sha256(json.dumps(given, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Defaults:
    """Defaults for arguments a call leaves out; `model` may have none."""

    model: str | None = None
    enrich: str = "auto"


@dataclass(frozen=True)
class InputPicture:
    """A picture that a request starts from.

    `digest` is the SHA-256 of what was found, in hexadecimal digits, and `source` says where: a file's real path, or
    what the call named. `content` is what is sent, of `media_type`; a request that comes from the ledger has none.
    """

    digest: str
    source: str
    content: bytes = field(default=b"", repr=False)
    media_type: str = ""


@dataclass(frozen=True)
class ImageRequest:
    """A request checked against its model.

    `size` is `auto` to leave it to the API, and `quality` is `None` if the model has no such choice. `sent_as` is the
    gateway's own id for the model, if it differs. `parameters` are what else the model takes. With `images`,
    it is an edit, and `mask` marks the area to change.
    """

    prompt: str
    model: str
    size: str
    quality: str | None
    n: int
    sent_as: str = field(default="", compare=False)  # the same request, however the gateway spells its model
    parameters: tuple[tuple[str, str | int | float | bool], ...] = ()
    images: tuple[InputPicture, ...] = field(default=(), compare=False)  # found after the request is compared
    mask: InputPicture | None = field(default=None, compare=False)

    def body(self) -> Mapping[str, object]:
        """Return the request as the API's JSON body."""
        size = {} if self.size == AUTO else {"size": self.size}  # a missing size leaves it to the API
        quality = {} if self.quality is None else {"quality": self.quality}
        body = {"model": self.sent_as or self.model, "prompt": self.prompt, **size, "n": self.n, **quality}
        return {**body, **dict(self.parameters)}

    def to_record(self) -> dict[str, Any]:
        """Return the request as JSON values, with the digests and sources of its pictures."""
        fields: dict[str, Any] = {**vars(self)}
        images, mask, parameters = fields.pop("images"), fields.pop("mask"), fields.pop("parameters")
        if parameters:
            fields["parameters"] = dict(parameters)
        if images:
            fields["images"] = [[picture.digest, picture.source] for picture in images]
        return fields | ({} if mask is None else {"mask": [mask.digest, mask.source]})

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "ImageRequest":
        """Return the request of a record."""
        fields: dict[str, Any] = {**record}
        images, mask, parameters = fields.pop("images", ()), fields.pop("mask", None), fields.pop("parameters", {})
        return cls(
            **fields,
            parameters=tuple(parameters.items()),
            images=tuple(InputPicture(*each) for each in images),
            mask=None if mask is None else InputPicture(*mask),
        )


@dataclass(frozen=True)
class SavedPicture:
    """A picture in a file, and what the user should know about the file.

    `id` is the beginning of the content's SHA-256, in hexadecimal digits. Each note is a sentence.
    """

    path: Path
    id: str
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Image:
    """One generated image, as a URL or as the bytes sent by the gateway.

    `path` is the absolute path of the file that it was saved to, and `id` identifies the file by its content. `copies`
    are its other files, under names that other calls have chosen.
    """

    url: str | None = None
    path: Path | None = None
    data: bytes | None = None
    revised_prompt: str | None = None
    id: str | None = None
    copies: tuple[SavedPicture, ...] = ()

    @property
    def files(self) -> Sequence[tuple[Path, str | None]]:
        """The path and id of each file that it was saved to."""
        return [*([(self.path, self.id)] if self.path else []), *((copy.path, copy.id) for copy in self.copies)]


@dataclass(frozen=True)
class ImagesResponse:
    """A gateway's response to a request.

    `charged_usd` is `None` if the gateway did not report a charge. `raw` is the whole response if parts of it could not
    be used. `is_collected` is true if an earlier call paid for it.
    """

    images: Sequence[Image]
    charged_usd: Decimal | None = None
    warnings: Sequence[str] = ()
    raw: bytes = field(default=b"", repr=False, compare=False)
    is_collected: bool = False


@dataclass(frozen=True)
class PictureDetails:
    """The details of a picture for its file; `charged_usd` is its share of the charge."""

    model: str
    prompt: str = ""
    revised_prompt: str | None = None
    charged_usd: Decimal | None = None
