"""Writes a request as the gateway takes it: as JSON, or with its pictures as JSON or as a form."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from blockrun_image.errors import ConfigurationError
from blockrun_image.images import ImageRequest, InputPicture
from blockrun_image.spec import EditOperation

GENERATIONS = "images/generations"
"""The path of generations and of all jobs, below a base URL."""


def message_of(request: ImageRequest, edit: EditOperation | None) -> tuple[str, Mapping[str, Any]]:
    """Return a request's path below the base URL, and its body as arguments of an HTTP client.

    Raises `ConfigurationError` for an edit at a gateway that has no operation for it.
    """
    body = request.body()
    if not request.images:
        return GENERATIONS, {"json": body}
    if edit is None:
        raise ConfigurationError("This gateway makes no images from pictures.")
    path = edit.path.removeprefix("/")
    if edit.is_form:
        return path, {"data": {name: _text(value) for name, value in body.items()}, "files": _files(request)}
    images: list[str] = [_data_uri(picture) for picture in request.images]
    pictures: dict[str, object] = {"image": images[0] if len(images) == 1 else images}
    if request.mask is not None:
        pictures["mask"] = _data_uri(request.mask)
    return path, {"json": {name: value for name, value in body.items() if name != "quality"} | pictures}


def _files(request: ImageRequest) -> Sequence[tuple[str, tuple[str, bytes, str]]]:
    """Return the pictures as the files of a form; their own names stay here."""
    name = "image" if len(request.images) == 1 else "image[]"
    files = [(name, _file(f"image-{number}", picture)) for number, picture in enumerate(request.images, start=1)]
    return files if request.mask is None else [*files, ("mask", _file("mask", request.mask))]


def _file(name: str, picture: InputPicture) -> tuple[str, bytes, str]:
    suffix = picture.media_type.rpartition("/")[2].replace("jpeg", "jpg")
    return f"{name}.{suffix}", picture.content, picture.media_type


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _data_uri(picture: InputPicture) -> str:
    return f"data:{picture.media_type};base64,{b64encode(picture.content).decode()}"
