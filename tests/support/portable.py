"""What every model API and host takes of an input schema, and what a result may hold of its output schema."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator

from blockrun_image.schemas import Schema


def not_portable(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what some model API or host would not take of an input schema."""
    if extra := set(schema) - {"type", "properties", "required"}:
        yield f"the root has {extra}"
    if schema.get("type") != "object":
        yield "the root is no object"
    if unknown := set(schema.get("required", [])) - set(schema["properties"]):
        yield f"{unknown} are required and not there"
    for name, described in schema["properties"].items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
            yield f"{name} is no name"
        if not str(described.get("description", "")).strip():
            yield f"{name} has no description"
        yield from (f"{name}: {fault}" for fault in not_plain(described))


def not_plain(described: Mapping[str, Any]) -> Iterator[str]:
    kind = described.get("type")
    if extra := set(described) - {"type", "description", "enum", "items", "minimum", "maximum"}:
        yield f"has {extra}"
    if kind not in ("string", "integer", "number", "boolean", "array"):
        yield f"is of type {kind}"
    if ("items" in described) != (kind == "array"):
        yield "items and array do not go together"
    if "enum" in described and (kind != "string" or not described["enum"]):
        yield "has an enum that is empty or not of text"
    if not all(isinstance(value, str) and value for value in described.get("enum", [])):
        yield "has a choice that is no text or empty"
    if len(set(described.get("enum", []))) != len(described.get("enum", [])):
        yield "has a choice twice"


def closed(schema: Any) -> Any:
    """Return the schema with every object that names its properties closed to others; errors have details besides."""
    if isinstance(schema, list):
        return [closed(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    shut = {key: value if key == "error" else closed(value) for key, value in cast("dict[str, Any]", schema).items()}
    return shut | ({"additionalProperties": False} if "properties" in shut and shut.get("type") == "object" else {})


def not_plain_output(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what converters of output schemas refuse, or what says nothing to a model."""
    if not isinstance(schema.get("type"), str):
        yield f"is of the types {schema.get('type')}"
    if extra := set(schema) - {"type", "properties", "items"}:
        yield f"has {extra}"
    for name, described in schema.get("properties", {}).items():
        yield from (f"{name}: {fault}" for fault in not_plain_output(described))
    if "items" in schema:
        yield from not_plain_output(schema["items"])


def validator(schema: Schema) -> Any:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(closed(schema))
