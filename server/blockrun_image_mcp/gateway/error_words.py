"""Finds the words and codes of an error in an answer of any shape."""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import httpx2

from blockrun_image_mcp.bounded_json import json_from, json_object
from blockrun_image_mcp.gateway.pictures import events_of, is_web_page

_WORDS = (
    *("error", "errors", "message", "msg", "error_msg", "errormsg", "error_message", "errormessage"),
    *("error_description", "detail", "details", "title", "reason", "description", "failure_reason"),
    *("fail_reason", "base_resp", "status_msg", "raifilteredreason", "predictions"),
)
_CODES = (
    *("code", "status_code", "error_code", "errorcode", "type", "error_type", "__type", "status", "reason", "kind"),
    *("finishreason", "finish_reason", "blockreason", "name"),
)
_OF_FAULTS_ALONE = ("status", "status_code", "reason")  # outside of a fault, it is the state of a job
_FAULTS = (
    *("error", "errors", "detail", "details", "innererror", "inner_error", "error_info", "data", "output"),
    *("base_resp", "message", "metadata", "raw", "promptfeedback", "candidates", "predictions", "artifacts"),
    *("choices",),
)
_REFUSALS = ("error", "errors", "error_msg", "error_message", "errormessage", "error_code")
_FAILED = ("error", "fail", "failed", "failure")
_DEEPEST = 6
_MAX_FAULTS = 3
_REFUSED = re.compile(r"[45][0-9]{2}", re.ASCII)
# a text in the shape of a code, such as `quota_exceeded`
_SLUG = re.compile(r"(?=.{3,64}$)[A-Za-z][A-Za-z0-9]*(?:[_.-][A-Za-z0-9]+)+")
_HEADING = re.compile(r"<(title|h1|h2|pre)[^>]*>(.{1,500}?)</\1", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]{0,500}>")
_SEARCHED = 20_000
_NO_FAULT = (None, False, 0, "", "0", "ok", "success", "none", "null")


@dataclass(frozen=True)
class ErrorWords:
    """An answer's words and codes for an error.

    The words are of any length and not cleaned. The most exact code comes first.
    """

    words: str = ""
    codes: tuple[str, ...] = ()
    is_fault: bool = False
    """Whether it reports an error, even with the status of a success."""
    is_refusal: bool = False
    """Whether it does so beyond doubt: then only pictures in the API's own shape count."""

    @property
    def code(self) -> str | None:
        """The most exact code."""
        return next(iter(self.codes), None)

    @cached_property
    def status(self) -> int | None:
        """The first HTTP error status among its codes."""
        numbers = [int(code) for code in self.codes if _REFUSED.fullmatch(code)]
        return numbers[0] if numbers else None


def error_words_of(response: httpx2.Response) -> ErrorWords:
    """Return an answer's words and codes."""
    body = json_from(response.content)
    if body is None:
        events = events_of(response.content[:_SEARCHED].decode("utf-8", "replace"))
        body = next((event for event in events if _is_refusal(_fields(event))), None)
    if body is None:
        return ErrorWords(_text_of(response))
    first: object = next(iter(cast("list[object]", body)), None) if isinstance(body, list) else body
    fields = _fields(first)
    words = ": ".join(dict.fromkeys(_words(first, _DEEPEST)))[:_SEARCHED]
    codes = tuple(dict.fromkeys(_codes(fields, _DEEPEST)))
    is_refusal = _is_refusal(fields)
    return ErrorWords(words or _text_of(response), codes, is_refusal or _is_fault(fields), is_refusal)


def _is_refusal(fields: Mapping[str, Any]) -> bool:
    faults = [*map(fields.get, _REFUSALS), json_object(fields.get("base_resp")).get("status_code")]
    refusal_code = _REFUSED.fullmatch(str(fields.get("code") or fields.get("status") or ""))
    return any(not _is_none(each) for each in faults) or fields.get("success") is False or refusal_code is not None


def _is_fault(fields: Mapping[str, Any]) -> bool:
    is_code = str(fields.get("code", "0")).lower() not in ("0", "200", "ok", "success", "none")
    has_words = any(fields.get(name) for name in ("message", "msg", "detail"))
    is_failed = fields.get("ok") is False or str(fields.get("status")).lower() in _FAILED
    return (has_words and (is_code or is_failed)) or isinstance(fields.get("detail"), str)


def _fields(value: object) -> Mapping[str, Any]:
    """Return a JSON object, or one inside a string, with its names in lower case."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        value = json_from(value.encode("utf-8", "replace"))
    return {name.lower(): each for name, each in json_object(value).items()}


def _is_none(value: object) -> bool:
    return value in ([], {}) or (isinstance(value, (str, int, type(None))) and value in _NO_FAULT)


def _words(value: object, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    fields = _fields(value)
    if isinstance(value, str) and not fields:
        yield from filter(None, [value.strip()[:_SEARCHED]])
    elif isinstance(value, list):
        for each in cast("list[object]", value)[:_MAX_FAULTS]:
            yield from _words(each, depth - 1)
    for name in filter(fields.get, _WORDS):
        yield from _words(fields[name], depth - 1)


def _codes(fields: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield the codes of a fault before those of the answer, and codes before types."""
    if depth == 0:
        return
    faults: list[object] = []
    for fault in filter(None, map(fields.get, _FAULTS)):
        faults += cast("list[object]", fault)[:_MAX_FAULTS] if isinstance(fault, list) else [fault]
    objects = [found for fault in faults if (found := _fields(fault))]
    for name in _CODES:
        for each in objects if name in _OF_FAULTS_ALONE else (*objects, fields):
            if _is_code(each.get(name)):
                yield str(each[name])
    yield from (fault for fault in faults if isinstance(fault, str) and _SLUG.fullmatch(fault))
    if _REFUSED.fullmatch(str(fields.get("status", ""))):
        yield str(fields["status"])
    for each in objects:
        yield from _codes(each, depth - 1)


def _is_code(value: object) -> bool:
    is_text = isinstance(value, (str, int)) and not isinstance(value, bool)
    return is_text and value not in ("", 0, 200) and "://" not in str(value)[:_SEARCHED]


def _text_of(response: httpx2.Response) -> str:
    """Return the plain text of an answer; of a web page, its headings; of binary data, nothing."""
    text = response.content[:_SEARCHED].decode("utf-8", "replace")
    if is_web_page(response):
        headings = [html.unescape(_TAG.sub("", heading)).strip() for _, heading in _HEADING.findall(text)]
        return ": ".join(dict.fromkeys(filter(None, headings)))
    is_binary = "\0" in text or text.count("\ufffd") > len(text) / 10
    return "" if is_binary else text.strip()
