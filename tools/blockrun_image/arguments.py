"""Checks the arguments of a tool call against what the tool advertises, and says in words what is wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blockrun_image.errors import InvalidRequestError
from blockrun_image.schemas import Schema, ToolSchema
from blockrun_image.text import choices, clean, quoted

_TYPE_NAMES = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{1,9})?")


def check_arguments(tool: ToolSchema, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Return the arguments that were set, with the types that are advertised.

    `null` and `""` mean "not set", `"3"` and `3.0` are integers, and a model may have the other form of its id. Raises
    `InvalidRequestError` with the valid values for whatever the advertised schema does not allow, unknown arguments
    included.
    """
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - 85 ms of import that listing the tools need not pay

    for name in arguments:
        if name not in tool.properties:
            raise _unknown_argument(tool, name)
    given = normalized_arguments(tool, arguments)
    validator: Any = Draft202012Validator(tool.input)
    fault = next(validator.iter_errors(given), None)
    if fault is not None:
        raise _Violation(tool, fault.validator, next(iter(fault.path), ""), fault.instance).refusal()
    return given


def normalized_arguments(tool: ToolSchema, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Return the known arguments that were set, unchecked, with the types that are advertised if they have them."""
    given = {
        name: _as_advertised(value, tool.properties[name])
        for name, value in arguments.items()
        if name in tool.properties and value is not None and value != ""
    }
    if isinstance(asked := given.get("model"), str):
        given["model"] = tool.catalog.spellings.get(asked, asked)
    return given


@dataclass(frozen=True)
class _Violation:
    """A rule of the schema that an argument breaks; `name` is empty where it is about the arguments as a whole."""

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
        message = f"{self.tool.name} needs {' and '.join(missing)}, which must not be empty."
        named = f" Choices for {missing[-1]}: {choices(valid)}." if valid else ""
        return InvalidRequestError(message + named, valid_values=valid)

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


def _as_advertised(value: object, schema: Schema) -> object:
    kind = schema.get("type")
    if kind == "integer":
        return _as_integer(value)
    if kind == "boolean" and isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if kind == "number" and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    return value


def _as_integer(value: object) -> object:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
