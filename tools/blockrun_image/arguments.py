"""Checks a call's arguments against the tool's advertised schema."""

import json
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from blockrun_image.errors import InvalidRequestError
from blockrun_image.schemas import Schema, ToolSchema
from blockrun_image.shapes import as_shape, ratio_of
from blockrun_image.spellings import AROUND, as_size, is_nothing, nearest
from blockrun_image.text import choices, clean, quoted

_TYPE_NAMES = {
    "array": "a list of texts",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
}
# At most nine digits: int() raises for texts of thousands.
_INTEGER = re.compile(r"([+-]?[0-9]{1,9})(?:\.0{1,9})?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{1,9})?")
_PATH = re.compile(r"\.{1,2}|[.\s]*[/\\][./\\\s]*")  # a name such as ".." is refused, and does not mean "not set"
_ALL_BY_DEFAULT = ("model", "search", "use_case")
_OFF = "off"
_EVERYTHING = ("all", "every", "everything")


def check_arguments(tool: ToolSchema, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Return a call's arguments with their advertised types.

    Arguments that were not set are left out. `null`, `""` and words such as `none` mean "not set"; `"3"` and `3.0` are
    integers; a model may be named with or without its provider; a choice may differ in case and signs. Arguments that
    only some models take are gathered in `parameters`. Raises `InvalidRequestError` with the valid values if the
    advertised schema forbids an argument, unknown ones included.
    """
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - 85 ms of import that listing the tools need not pay

    # An unknown argument is harmless if it means "not set".
    for name, value in arguments.items():
        is_nothing_at_all = value is None or value == [] or (isinstance(value, str) and is_nothing(value))
        if name not in tool.properties and not is_nothing_at_all:
            raise _unknown_argument(tool, name)
    given = _normalized(tool, arguments)
    validator: Any = Draft202012Validator(tool.input)
    checked = {name: value for name, value in given.items() if name != "size" or ratio_of(value) is None}
    fault = next(validator.iter_errors(checked), None)  # a ratio is on no list of sizes
    if fault is not None:
        model = tool.catalog.models.get(str(given.get("model")))
        if model is not None and model.sizes and [*fault.path] == ["size"]:
            tool.catalog.size_for(model, given["size"])  # raises an error that lists the model's own sizes
        raise _Violation(tool, fault.validator, next(iter(fault.path), ""), fault.instance).refusal()
    return _gathered(tool, given)


def unchecked_arguments(tool: ToolSchema, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Convert the known arguments to their advertised types, without a check.

    Arguments that were not set are left out.
    """
    return _gathered(tool, _normalized(tool, arguments))


def _gathered(tool: ToolSchema, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with those that only some models take under `parameters`."""
    parameters = {name: value for name, value in given.items() if name in tool.parameters}
    rest = {name: value for name, value in given.items() if name not in parameters}
    return rest | ({"parameters": parameters} if parameters else {})


def _normalized(tool: ToolSchema, arguments: Mapping[str, object]) -> dict[str, Any]:
    return {
        name: _as_advertised(tool, name, value)
        for name, value in arguments.items()
        if name in tool.properties and not _is_not_set(tool, name, value)
    }


@dataclass(frozen=True)
class _Violation:
    """A violated schema rule; `name` is empty if it concerns all arguments."""

    tool: ToolSchema
    rule: str
    name: str
    value: Any

    def refusal(self) -> InvalidRequestError:
        match self.rule:
            case "required":
                return self._missing()
            case "enum":
                return self._not_a_choice()
            case "type" if "enum" in self._schema:
                return self._not_a_choice()
            case _:
                return self._not_in_range()

    @property
    def _schema(self) -> Schema:
        return self.tool.properties[self.name]

    def _missing(self) -> InvalidRequestError:
        missing = [name for name in self.tool.required if name not in self.value]
        valid: list[str] = self.tool.properties[missing[-1]].get("enum", [])
        message = f"{' and '.join(missing)} must not be missing or empty."
        valid_text = f" Choices for {missing[-1]}: {choices(valid)}." if valid else ""
        return InvalidRequestError(message + valid_text, valid_values=valid)

    def _not_a_choice(self) -> InvalidRequestError:
        valid: list[str] = self._schema["enum"]
        if self.name == "model":
            return self.tool.catalog.unknown_model(self.value)
        message = f"{self.name} cannot be {quoted(self.value)}. Choices: {choices(valid, clean(self.value, 80))}."
        return InvalidRequestError(message, valid_values=valid)

    def _not_in_range(self) -> InvalidRequestError:
        low, high = self._schema.get("minimum"), self._schema.get("maximum")
        span = "" if low is None else f" of at least {low}" if high is None else f" from {low} to {high}"
        return InvalidRequestError(
            f"{self.name} must be {_TYPE_NAMES[self._schema['type']]}{span}, not {quoted(self.value)}."
        )


def _unknown_argument(tool: ToolSchema, name: str) -> InvalidRequestError:
    known = list(tool.properties)
    message = f"{tool.name} has no argument {quoted(name)}. Its arguments: {', '.join(known)}."
    return InvalidRequestError(message, valid_values=known)


def _is_not_set(tool: ToolSchema, name: str, value: object) -> bool:
    if value in (None, "") or value == []:
        return True
    schema = tool.properties[name]
    # "none" or "?" may be the whole prompt of a picture; "" and null were handled above.
    is_required_text = name == "prompt" and name in tool.required
    if not isinstance(value, str) or is_required_text or value in schema.get("enum", ()) or _is_no(value, schema):
        return False
    if name == "save_as" and _PATH.fullmatch(value):
        return False
    return is_nothing(value, *(_EVERYTHING if name in _ALL_BY_DEFAULT else ()))


def _is_no(value: object, schema: Schema) -> bool:
    """Return whether a value means "off", as advertised or in a framework's spelling."""
    is_switch = schema["type"] == "boolean" or _OFF in schema.get("enum", ())
    is_no = isinstance(value, str) and _plain(value).strip(AROUND).lower() in {"no", "false"}
    return is_switch and (value is False or is_no)


def _as_advertised(tool: ToolSchema, name: str, value: object) -> object:
    schema = tool.properties[name]
    if _is_no(value, schema):
        return False if schema["type"] == "boolean" else _OFF
    match schema["type"]:
        case "integer":
            return _as_integer(value)
        case "number" if isinstance(value, str) and _NUMBER.fullmatch(_plain(value)):
            return float(_plain(value))
        case "boolean" if isinstance(value, str) and _plain(value).lower() in {"yes", "true"}:
            return True
        case "string" if isinstance(value, str):
            return _as_choice(tool, name, value)
        case other:
            return _as_list(value) if other == "array" else value


def _as_choice(tool: ToolSchema, name: str, value: str) -> str:
    """Return a text in its advertised spelling; prompts and phrases stay unchanged."""
    catalog = tool.catalog
    match name:
        case "model":
            return catalog.id_of(value)
        case "size":
            return as_shape(as_size(value))
        case "quality":
            return nearest(value, catalog.qualities)
        case _:
            return nearest(value, tool.properties[name].get("enum", ()))


def _as_list(value: object) -> object:
    """Return a list without empty texts; one text, or a list written as JSON, is also one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [each for each in cast("list[object]", value) if not (isinstance(each, str) and is_nothing(each))]
    return value


def _as_integer(value: object) -> object:
    if isinstance(value, str) and (written := _INTEGER.fullmatch(_plain(value))):
        return int(written[1])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()
