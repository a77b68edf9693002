"""The parts of the API's document (OpenAPI 3.1) that the tools use."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from blockrun_image.text import clean

SIZE = r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}"
WORD = r"[a-z0-9][a-z0-9_.-]{0,31}"  # both are sent to a gateway and shown to agents, so they are strict
Size = Annotated[str, StringConstraints(pattern=f"^{SIZE}$")]
Word = Annotated[str, StringConstraints(pattern=f"^{WORD}$")]
LINE = r"^[^\x00-\x1f\x7f]{1,120}$"
Line = Annotated[str, StringConstraints(pattern=LINE)]
UsdAmount = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)  # built once, as parts of Api, instead of one by one


class Described(_Part):
    """A parameter or a field with its description."""

    description: Line


class SizeParameter(Described):
    """The parameter `size`."""

    default: Size


class QualityParameter(Described):
    """The parameter `quality`; every model takes the first value of `enum`."""

    enum: tuple[Word, ...] = Field(min_length=1)


class CountParameter(Described):
    """The parameter `n`."""

    minimum: int = Field(ge=1)
    maximum: int
    default: int

    @model_validator(mode="after")
    def _are_in_order(self) -> "CountParameter":
        if not self.minimum <= self.default <= self.maximum:
            raise ValueError("minimum, default and maximum are not in this order")
        return self


class RequestParameters(_Part):
    """The parameters of a generation."""

    model: Described
    prompt: Described
    size: SizeParameter
    quality: QualityParameter
    n: CountParameter


class ImageFields(_Part):
    """The fields of one image in a response."""

    url: Described
    revised_prompt: Described


class _RequestSchema(_Part):
    properties: RequestParameters


class _ImageSchema(_Part):
    properties: ImageFields


class _Schemas(_Part):
    request: _RequestSchema = Field(alias="ImageGenerationRequest")
    image: _ImageSchema = Field(alias="Image")


class _Example(_Part):
    example: Mapping[str, Any]


class _ErrorContent(_Part):
    json_body: _Example = Field(alias="application/json")


class ErrorResponse(Described):
    """The meaning of an error status."""

    content: _ErrorContent

    @property
    def example(self) -> Mapping[str, Any]:
        """An example body of such a response."""
        return self.content.json_body.example


class Reference(_Part):
    """A reference to one of the shared error responses."""

    ref: Annotated[str, StringConstraints(pattern=r"^#/components/responses/\w+$")] = Field(alias="$ref")

    @property
    def name(self) -> str:
        """The response's name."""
        return self.ref.rpartition("/")[2]


class _RequestBody(_Part):
    content: Mapping[str, Any] = {}


class _Operation(_Part):
    request_body: _RequestBody = Field(alias="requestBody", default=_RequestBody())
    responses: Mapping[str, Reference | ErrorResponse | Mapping[str, Any]]


class _Path(_Part):
    post: _Operation


class _Components(_Part):
    schemas: _Schemas
    responses: Mapping[str, ErrorResponse]


class _Server(_Part):
    url: Line


class _Pricing(_Part):
    currency: Line
    margin: UsdAmount
    fee_usd: UsdAmount = Decimal(0)


class Editing(BaseModel):
    """What a model takes to start from: how many pictures, of how many bytes and pixels a side, and whether a mask.

    `picture_usd` is what each of them adds to the price of a request, in US dollars.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built once, as parts of Api

    max_pictures: int = Field(ge=1, le=16)
    max_bytes: int = Field(default=4_000_000, ge=10_000, le=50_000_000)
    max_side: int | None = Field(default=None, ge=64)
    masks: bool = False
    picture_usd: UsdAmount = Decimal(0)


class Parameter(BaseModel):
    """A parameter that a model takes besides those of every model, in the terms of JSON Schema.

    `default` is what the API uses without it. `adds_usd` says what a value adds to the price of one image, in US
    dollars; a flag's values are `true` and `false`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # as above

    type: Literal["string", "integer", "number", "boolean"]
    description: Line
    enum: tuple[Annotated[str, StringConstraints(min_length=1, max_length=40)], ...] = ()
    minimum: int | float | None = None
    maximum: int | float | None = None
    default: bool | int | float | str | None = None
    adds_usd: Mapping[str, UsdAmount] = {}

    @model_validator(mode="after")
    def _is_consistent(self) -> "Parameter":
        if self.enum and self.type != "string":
            raise ValueError("enum is for texts only")
        if self.default is not None and not self.allows(self.default):
            raise ValueError(f"default is not {self.allowed}")
        return self

    def allows(self, value: object) -> bool:
        """Return whether the parameter may have a value."""
        match self.type:
            case "string":
                is_short = isinstance(value, str) and len(value) <= _MAX_CHARACTERS
                return is_short and (not self.enum or value in self.enum)
            case "boolean":
                return isinstance(value, bool)
            case "integer":
                return isinstance(value, int) and not isinstance(value, bool) and self._is_within(value)
            case _:
                return isinstance(value, int | float) and not isinstance(value, bool) and self._is_within(value)

    @property
    def allowed(self) -> str:
        """The values that it may have, in words."""
        if self.enum:
            return ", ".join(self.enum)
        low = "" if self.minimum is None else f" from {self.minimum:g}"
        high = "" if self.maximum is None else f" to {self.maximum:g}"
        return f"{_TYPES[self.type]}{low}{high}"

    def _is_within(self, value: float) -> bool:
        low, high = self.minimum, self.maximum
        return (low is None or value >= low) and (high is None or value <= high)


_MAX_CHARACTERS = 4_000
_TYPES = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}


class _Edits(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # as above

    path: Line
    base_urls: tuple[Line, ...] | None = None
    models: Mapping[str, Editing] = {}


class Api(_Part):
    """The parts of the document used by the tools."""

    servers: tuple[_Server, ...] = Field(min_length=1)
    paths: Mapping[str, _Path] = Field(min_length=1)
    components: _Components
    pricing: _Pricing = Field(alias="x-pricing")
    models: Mapping[str, Mapping[str, Any]] = Field(alias="x-models", min_length=1)
    aliases: Mapping[str, str] = Field(alias="x-aliases", default={})
    edits: _Edits | None = Field(alias="x-edits", default=None)

    @model_validator(mode="after")
    def _edits_are_described(self) -> "Api":
        if self.edits is not None and self.edits.path not in self.paths:
            raise ValueError(f"x-edits: there is no path {clean(self.edits.path, 80)}")
        return self

    @model_validator(mode="after")
    def _errors_are_described(self) -> "Api":
        for path in self.paths.values():
            for status, response in path.post.responses.items():
                if isinstance(response, Reference) and response.name not in self.components.responses:
                    raise ValueError(f"{response.ref} leads nowhere")
                if is_error(status) and not isinstance(response, Reference | ErrorResponse):
                    raise ValueError(f"response {status} has no description with an example")
        return self


def is_error(status: str) -> bool:
    """Return whether the key of a response is an error's status."""
    return status.isdecimal() and int(status) >= 400
