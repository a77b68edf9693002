"""Parses JSON from elsewhere without letting its depth end the process."""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

_MAX_BRACKETS = 1_000_000
_DEEPEST = 500
_TEXT_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def json_from(content: bytes, **loading: Any) -> object:  # noqa: ANN401 - as json.loads has them
    """Return the value of JSON from elsewhere; `None` if it is invalid or too deep.

    No honest answer is that deep. The parser's own limit is not enough: libraries raise it, and an overflow of the
    stack then ends the process. `loading` is for `json.loads`.
    """
    if is_deep(content):
        return None
    try:
        return json.loads(content, strict=False, **loading)  # raw line ends in texts lose nothing
    except (ValueError, RecursionError):
        return None


def json_object(value: object) -> Mapping[str, Any]:
    """Return a JSON object as it is, and anything else as an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def is_deep(content: bytes) -> bool:
    """Return whether JSON is too deep to parse safely, or has too many brackets to tell.

    The parser's own limit lets the stack overflow if a library has raised it.
    """
    brackets = content.count(b"[") + content.count(b"{")
    if not _DEEPEST < brackets <= _MAX_BRACKETS:
        return brackets > _MAX_BRACKETS
    depth = 0
    for found in _TEXT_OR_BRACKET.finditer(content):
        depth += (found[0] in (b"[", b"{")) - (found[0] in (b"]", b"}"))
        if depth > _DEEPEST:
            return True
    return False
