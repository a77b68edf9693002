"""Parses a line from a client into a JSON-RPC message."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from mcp_types import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR
from pydantic_core import from_json

from blockrun_image.text import LONE_SURROGATE
from blockrun_image_mcp.bounded_json import is_deep

MAX_FRAME_BYTES = 16 * 2**20
"""The limit for the length of a line."""

Frame: TypeAlias = dict[str, Any]
"""A JSON-RPC 2.0 request, notification or response."""


@dataclass(frozen=True)
class ErrorReply:
    """A JSON-RPC error for an unreadable line; `id` is `None` if that is unreadable, too."""

    code: int
    words: str
    id: int | float | str | None = None

    def to_line(self) -> bytes:
        """Return the error as a line."""
        error = {"code": self.code, "message": self.words}
        return json.dumps({"jsonrpc": "2.0", "id": self.id, "error": error}).encode() + b"\n"


TOO_LONG = ErrorReply(INVALID_REQUEST, f"The line has more than {MAX_FRAME_BYTES:,} bytes.")


def read_frame(line: bytes) -> Frame | ErrorReply | None:
    """Return the message in a line, or its refusal; `None` if the line needs no answer.

    Lone surrogates and bytes that are not UTF-8 become U+FFFD, because agents cut emoji in two.
    """
    if not line.strip():
        return None
    try:
        message: object = from_json(line)
    except ValueError:
        message = _mend(line)
        if message is None:
            return ErrorReply(PARSE_ERROR, "The line is not JSON, or is nested too deeply.")
    if isinstance(message, list):  # batches were removed from MCP with 2025-06-18
        return ErrorReply(INVALID_REQUEST, "Batches are not supported: send each message on a line of its own.")
    if not isinstance(message, dict):
        return ErrorReply(INVALID_REQUEST, "The line is not a JSON-RPC message.")
    return _check(cast("Frame", message))


def without_lone_surrogates(content: object) -> object:
    """Return JSON content with U+FFFD for each lone surrogate; UTF-8 cannot encode those."""
    return json.loads(LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", json.dumps(content, ensure_ascii=False)))


def _mend(line: bytes) -> object:
    """Return the content of JSON with broken characters, or `None` for other text.

    An id stays as it was sent: the client must recognise it.
    """
    text = line.decode("utf-8-sig", "replace")
    if is_deep(text.encode()):  # `json` would exhaust the stack
        return None
    try:
        message: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    mended = without_lone_surrogates(message)
    if isinstance(message, dict) and "id" in message:
        cast("Frame", mended)["id"] = message["id"]
    return mended


def _check(message: Frame) -> Frame | ErrorReply | None:
    if "method" not in message and ("result" in message or "error" in message):
        return _response(message)
    id, is_request = message.get("id"), "id" in message
    is_known = isinstance(id, int | str) or (isinstance(id, float) and math.isfinite(id))
    known_id = id if is_known and not isinstance(id, bool) else None
    method, params = message.get("method"), message.get("params")
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
        words = 'A message must have "jsonrpc": "2.0" and the name of a method.'
        return ErrorReply(INVALID_REQUEST, words, known_id)
    if is_request and (known_id is None or isinstance(known_id, float)):
        return ErrorReply(INVALID_REQUEST, "A request's id must be a string or an integer.", known_id)
    # JSON-RPC allows an array, MCP does not; a notification is never answered
    if params is not None and not isinstance(params, Mapping):
        return ErrorReply(INVALID_PARAMS, "Params must be an object.", known_id) if is_request else None
    return {key: value for key, value in message.items() if key != "params" or value is not None}


def _response(message: Frame) -> Frame | None:
    """Return a response, or `None` if it is malformed."""
    # it is not refused, because a response is never answered
    id, result, error = message.get("id"), message.get("result"), message.get("error")
    if message.get("jsonrpc") != "2.0" or not isinstance(id, int | str) or isinstance(id, bool):
        return None
    is_error = isinstance(error, Mapping) and _is_error(cast("Frame", error))
    return message if isinstance(result, Mapping) != is_error else None


def _is_error(error: Frame) -> bool:
    return isinstance(error.get("code"), int) and isinstance(error.get("message"), str)
