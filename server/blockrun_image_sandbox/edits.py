"""Edits: where they come in, and which of them the API would take."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from jsonschema import Draft202012Validator

from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import ImageRequest, InputPicture
from blockrun_image.model import Model
from blockrun_image.spec import Spec
from blockrun_image.text import clean
from blockrun_image_sandbox.uploads import FORM, IMAGES, Uploads, media_type_of, read_form, read_json

_UPLOAD = "upload"
_JSON = "application/json"
_MAX_OTHER_BYTES = 2**20  # of a body beside its pictures


@dataclass(frozen=True)
class EditForm:
    """The form of a body: JSON with data URIs, or `multipart/form-data`; `schema` describes its fields."""

    schema: Mapping[str, Any]
    is_multipart: bool

    async def read(self, body: bytes, content_type: str) -> tuple[Mapping[str, Any], Uploads]:
        """Return the fields of a body, and its pictures.

        Raises `InvalidRequestError` or another `ValueError` if the API would answer 400.
        """
        if self.is_multipart:
            fields, uploads = await read_form(body, content_type)
            check_fields(fields, self.schema)
            return fields, uploads
        document, uris = read_json(body)
        check_fields(document, self.schema)
        fields = cast("Mapping[str, Any]", document)
        if "quality" in fields and "quality" not in self.schema["properties"]:
            raise InvalidRequestError("An edit in JSON does not take quality.")
        return fields, uris.decoded()


def edit_forms(spec: Spec) -> Mapping[str, EditForm]:
    """Return the form of each operation that makes images from pictures, by its path in the API's description."""
    if spec.edits is None:
        return {}
    forms: dict[str, EditForm] = {}
    for path, operations in spec.api.paths.items():
        content = operations.post.request_body.content
        media_type = FORM if FORM in content else _JSON
        schema = _schema(spec, content.get(media_type, {}))
        if path != spec.generations_path and {"image", IMAGES} & {*schema.get("properties", {})}:
            forms[path] = EditForm(schema, media_type == FORM)
    return forms


def max_body_bytes(catalog: Catalog) -> int:
    """Return the size of the largest body of an edit, with its pictures in base64."""
    takes = [model.edits for model in catalog if model.edits]
    largest = max(((each.max_pictures + each.masks) * each.max_bytes for each in takes), default=0)
    return largest * 4 // 3 + _MAX_OTHER_BYTES


def named_in(request: ImageRequest, uploads: Uploads) -> ImageRequest:
    """Return a request that names its uploads by their digests; they themselves are not kept for as long."""
    images = tuple(InputPicture(digest, _UPLOAD) for digest in uploads.digests)
    mask = None if uploads.mask_digest is None else InputPicture(uploads.mask_digest, _UPLOAD)
    return replace(request, images=images, mask=mask)


def check_fields(body: object, schema: Mapping[str, Any]) -> None:
    """Raise `InvalidRequestError` if the fields of a body are not as described."""
    validator: Any = Draft202012Validator(schema)
    fault = next(validator.iter_errors(body), None)
    if fault is None:
        return
    if len(fault.message) > 200:  # it quotes a long value, such as a picture, before it says what is wrong
        where = ".".join(map(str, fault.absolute_path)) or "the body"
        raise InvalidRequestError(clean(f"{where} is not of {fault.validator} {fault.validator_value}", 200))
    raise InvalidRequestError(clean(fault.message, 200))


def check_uploads(model: Model, uploads: Uploads) -> None:
    """Raise `InvalidRequestError` if a model does not take these pictures. It decodes them, and so it blocks."""
    from blockrun_image_sandbox.drawing.uploaded import size_of  # noqa: PLC0415 - Pillow, when a picture has come

    takes = model.edits
    if takes is None:
        raise InvalidRequestError(f"{model.id} does not edit pictures.")
    _check_count(model.id, takes.max_pictures, takes.masks, uploads)
    for name, content in uploads.named:
        if len(content) > takes.max_bytes:
            raise InvalidRequestError(f"The {name} has {len(content):,} bytes; {takes.max_bytes:,} are allowed.")
        if media_type_of(content) is None or (name == "mask" and media_type_of(content) != "image/png"):
            raise InvalidRequestError(f"The {name} is not a PNG{'' if name == 'mask' else ', JPEG or WEBP'}.")
    sizes = [size_of(name, content) for name, content in uploads.named]
    if takes.max_side is not None and max(map(max, sizes)) > takes.max_side:
        raise InvalidRequestError(f"A picture has more than {takes.max_side:,} pixels a side.")
    if uploads.mask is not None and sizes[0] != sizes[-1]:
        picture, mask = (f"{width} x {height}" for width, height in (sizes[0], sizes[-1]))
        raise InvalidRequestError(f"The mask has {mask} pixels, and its picture {picture}.")


def parameters_in(fields: Mapping[str, Any], model: Model, *, is_text: bool) -> Mapping[str, Any]:
    """Return a model's own parameters among the fields of a body; a form has numbers and flags as text."""
    given = {name: fields[name] for name in model.parameters if name in fields}
    if is_text:
        for name, value in given.items():
            with suppress(ValueError):
                given[name] = value if model.parameters[name].type == "string" else json.loads(value)
    return given


def _check_count(id: str, max_pictures: int, masks: bool, uploads: Uploads) -> None:
    count = len(uploads.pictures)
    if not 1 <= count <= max_pictures:
        raise InvalidRequestError(f"{id} takes 1 to {max_pictures} pictures, not {count}.")
    if uploads.mask is not None and not masks:
        raise InvalidRequestError(f"{id} does not take a mask.")
    if uploads.mask is not None and count > 1:
        raise InvalidRequestError("A mask is for one picture alone.")


def _schema(spec: Spec, described: object) -> Mapping[str, Any]:
    """Return the schema in the description of a body, without a reference."""
    schema = cast("Mapping[str, Any]", described).get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        return {}
    known = cast("Mapping[str, Any]", schema)
    name = str(known.get("$ref", "")).removeprefix("#/components/schemas/")
    return spec.document["components"]["schemas"].get(name, {}) if name else known
