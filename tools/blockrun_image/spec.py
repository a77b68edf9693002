"""Reads the image API's description (OpenAPI 3.1).

It is the only place that has the API's models, prices and limits.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from blockrun_image.document import (
    LINE,
    SIZE,
    WORD,
    Api,
    ErrorResponse,
    ImageFields,
    Reference,
    RequestParameters,
    is_error,
)
from blockrun_image.errors import SpecError
from blockrun_image.text import clean, closest_to, quoted

_PACKAGED = resources.files("blockrun_image").joinpath("openapi.json")


@dataclass(frozen=True)
class Spec:
    """The API's description: its document, its parsed parts, and its source.

    `has_own_models` is true if the operator's file has models; the packaged description lacks the `added_models`.
    """

    document: Mapping[str, Any]
    api: Api
    source: str
    has_own_models: bool = False
    added_models: frozenset[str] = frozenset()

    @classmethod
    def load(cls, path: Path | None = None) -> "Spec":
        """Read the packaged description, or the file at `path`.

        A file without `paths` is a catalogue: each of its keys replaces that of the packaged description. Raises
        `SpecError` if the file cannot be read or lacks parts that the tools are derived from.
        """
        source = str(path) if path else "the built-in openapi.json"
        document = _read(path or _PACKAGED, source)
        has_own_models = path is not None and isinstance(document, dict) and "x-models" in document
        packaged: Mapping[str, Any] = cast("Mapping[str, Any]", _read(_PACKAGED, source)) if path else {}
        if path and isinstance(document, dict) and "paths" not in document:
            document = _laid_over(packaged, cast("Mapping[str, Any]", document), source)
        try:
            api = Api.model_validate(document)
            added = frozenset(api.models).difference(cast("Mapping[str, Any]", packaged.get("x-models", api.models)))
            return cls(cast("Mapping[str, Any]", document), api, source, has_own_models, added)
        except ValidationError as error:
            raise unusable(source, error) from error

    @property
    def request(self) -> "RequestParameters":
        """The parameters of a generation."""
        return self.api.components.schemas.request.properties

    @property
    def request_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of a generation's body, as written in the document."""
        return self.document["components"]["schemas"]["ImageGenerationRequest"]

    @property
    def image(self) -> "ImageFields":
        """The fields of one image in a response."""
        return self.api.components.schemas.image.properties

    @property
    def models(self) -> Mapping[str, Mapping[str, Any]]:
        """Each model's entry by its id, in the order of the file."""
        return self.api.models

    @property
    def errors(self) -> Mapping[int, "ErrorResponse"]:
        """The meaning of each error status of the API, with an example."""
        return {
            int(status): self.api.components.responses[response.name] if isinstance(response, Reference) else response
            for status, response in self.api.paths[self.generations_path].post.responses.items()
            if is_error(status) and isinstance(response, Reference | ErrorResponse)
        }

    @property
    def base_url(self) -> str:
        """The API's own base URL."""
        return self.api.servers[0].url

    @property
    def generations_path(self) -> str:
        """The path of the only operation, below a base URL."""
        return next(iter(self.api.paths))

    @property
    def edits(self) -> "EditOperation | None":
        """The operation that makes images from pictures, if the description has one."""
        edits = self.api.edits
        if edits is None:
            return None
        body = self.api.paths[edits.path].post.request_body
        return EditOperation(edits.path, is_form="multipart/form-data" in body.content, base_urls=edits.base_urls)

    @property
    def margin(self) -> Decimal:
        """The share added to a model's list price: 0.05 is 5 %."""
        return self.api.pricing.margin

    @property
    def fee_usd(self) -> Decimal:
        """The highest fee per request in US dollars, beside the margin.

        It applies if a gateway lists the price.
        """
        return self.api.pricing.fee_usd

    @property
    def aliases(self) -> Mapping[str, str]:
        """The description's id for each alias in a gateway's list."""
        return self.api.aliases

    @property
    def currency(self) -> str:
        """The currency of all prices."""
        return self.api.pricing.currency


@dataclass(frozen=True)
class EditOperation:
    """The operation that makes images from pictures: its path below a base URL, and the form of its body.

    `is_form` means multipart/form-data, as OpenAI takes it; otherwise it is JSON with data URIs. Without `base_urls`,
    every gateway has it.
    """

    path: str
    is_form: bool = False
    base_urls: Sequence[str] | None = None


def is_size(value: object) -> bool:
    """Return whether a value is a size, such as `1024x1024`."""
    return isinstance(value, str) and re.fullmatch(SIZE, value) is not None


def is_word(value: object) -> bool:
    """Return whether a value is an API word, such as a quality's name."""
    return isinstance(value, str) and re.fullmatch(WORD, value) is not None


def _read(file: Traversable | Path, source: str) -> object:
    try:
        return json.loads(file.read_bytes())  # in UTF-8 or UTF-16, with or without a byte order mark
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(f"Cannot read {source}: {clean(error, 200)}") from error


def _laid_over(packaged: Mapping[str, Any], catalogue: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """Return the packaged description with a catalogue's keys laid over it."""
    wrong = next((key for key in catalogue if key not in packaged), None if catalogue else "the document")
    if wrong is not None:
        near = closest_to(wrong, [*packaged])
        meant = f" (is {near} meant?)" if near else ""
        raise SpecError(f"{source}: {clean(wrong, 80)}{meant}: The keys of a catalogue are among {', '.join(packaged)}")
    return {**packaged, **catalogue}


def unusable(source: str, error: ValidationError, *within: str, keys: Sequence[str] = ()) -> SpecError:
    """Return the error with the place of a fault in `source`.

    `keys` are the known ones.
    """
    first = error.errors(include_url=False)[0]  # one at a time is easier to fix
    where = ".".join(clean(step, 80) for step in (*within, *first["loc"]))
    is_key = first["type"] == "extra_forbidden" and len(first["loc"]) == 1
    near = closest_to(str(first["loc"][0]), keys) if is_key else None
    meant = f" (is {near} meant?)" if near else ""
    return SpecError(f"{source}: {where or 'the document'}: {_fault(first)}{meant}")


def _fault(error: ErrorDetails) -> str:
    """Return a value's fault in plain words."""
    kind, limits, value = error["type"], error.get("ctx", {}), quoted(error["input"])
    if kind in _FAULTS:
        return _FAULTS[kind]
    if kind == "string_pattern_mismatch":
        return f"must be {_PATTERNS.get(limits['pattern'], 'of another form')}, not {value}"
    # pydantic's own words are for programmers, but operators write these files.
    if kind.startswith(("decimal_", "int_", "float_")):
        return f"must be a number, not {value}"
    if kind.endswith("_type"):
        return f"must be {_KINDS.get(kind.removesuffix('_type'), 'of another type')}, not {value}"
    return f"cannot be used: {clean(limits.get('error', error['msg']), 120)}"


_FAULTS = {"missing": "is missing", "extra_forbidden": "is not a known key"}
_PATTERNS = {
    f"^{SIZE}$": "WIDTHxHEIGHT, such as 1024x1024",
    f"^{WORD}$": "a word of small letters, such as standard",
    LINE: "one line of at most 120 characters",
}
_KINDS = {"string": "text", "dict": "an object", "model": "an object", "list": "a list", "tuple": "a list"}
