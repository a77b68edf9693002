"""What an answer says went wrong: its words and codes, wherever a gateway puts them."""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import httpx2

from blockrun_image_mcp.gateway.pictures import events_of, is_web_page
from blockrun_image_mcp.network import json_from, json_object

_WORDS = (
    *("error", "errors", "message", "msg", "error_msg", "errorMsg", "error_message", "errorMessage"),
    *("error_description", "detail", "details", "title", "reason", "description", "failure_reason"),
    *("fail_reason", "base_resp", "status_msg"),
)
_CODES = ("code", "status_code", "type", "error_code", "errorCode", "error_type", "status", "reason", "kind")
_OF_FAULTS_ALONE = ("status", "status_code", "reason")  # beside no fault, it is the state of a job
_FAULTS = (
    *("error", "errors", "detail", "details", "innererror", "inner_error", "error_info", "data", "output"),
    *("base_resp",),
)
_DEEPEST = 6
_MOST = 3
_SLUG = re.compile(r"(?=.{3,64}$)[A-Za-z][A-Za-z0-9]*(?:[_.-][A-Za-z0-9]+)+")
_HEADING = re.compile(r"<(title|h1|h2|pre)[^>]*>(.{1,500}?)</\1", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]{0,500}>")
_SEARCHED = 20_000
_NO_FAULT = (None, False, 0, "", "0", "ok", "success", "none", "null")


@dataclass(frozen=True)
class Saying:
    """An answer's words about what went wrong, of any length and not cleaned, and its codes, the most exact first."""

    words: str = ""
    codes: tuple[str, ...] = ()
    is_fault: bool = False
    """Whether it says that something went wrong, whatever its status is."""

    @property
    def code(self) -> str | None:
        """The most exact code."""
        return next(iter(self.codes), None)

    @cached_property
    def status(self) -> int | None:
        """The HTTP status of a refusal that it names among its codes."""
        named = [int(code) for code in self.codes if re.fullmatch(r"[45][0-9]{2}", code)]
        return named[0] if named else None


def saying_of(response: httpx2.Response) -> Saying:
    """Return what an answer says."""
    body = json_from(response.content)
    if body is None:
        events = events_of(response.content[:_SEARCHED].decode("utf-8", "replace"))
        body = next((event for event in events if _is_fault(json_object(event))), None)
    if body is None:
        return Saying(_text_of(response))
    first: object = next(iter(cast("list[object]", body)), None) if isinstance(body, list) else body
    fields = json_object(first)
    words = ": ".join(dict.fromkeys(_words(first, _DEEPEST)))
    codes = tuple(dict.fromkeys(_codes(fields, _DEEPEST)))
    return Saying(words or _text_of(response), codes, _is_fault(fields))


def _is_fault(fields: Mapping[str, Any]) -> bool:
    told = [
        fields.get(name) for name in ("error", "errors", "error_msg", "error_message", "errorMessage", "error_code")
    ]
    told.append(json_object(fields.get("base_resp")).get("status_code"))
    if any(not _is_none(each) for each in told) or fields.get("success") is False:
        return True
    is_code = str(fields.get("code", "0")).lower() not in ("0", "200", "ok", "success", "none")
    return is_code and any(fields.get(name) for name in ("message", "msg", "detail"))


def _is_none(value: object) -> bool:
    return value in ([], {}) or (isinstance(value, (str, int, type(None))) and value in _NO_FAULT)


def _words(value: object, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, str):
        nested = json_from(value.encode("utf-8", "replace")) if value.lstrip()[:1] == "{" else None
        if nested is not None:
            yield from _words(nested, depth - 1)
        elif value.strip():
            yield value.strip()
    elif isinstance(value, list):
        for each in cast("list[object]", value)[:_MOST]:
            yield from _words(each, depth - 1)
    else:
        fields = json_object(value)
        for name in filter(fields.get, _WORDS):
            yield from _words(fields[name], depth - 1)


def _codes(fields: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield the codes of what is wrong before those of the answer, and the types after the codes."""
    if depth == 0:
        return
    faults = [fields.get(name) for name in _FAULTS]
    faults = [
        each for fault in faults for each in (cast("list[object]", fault) if isinstance(fault, list) else [fault])
    ]
    objects = [fault for each in faults[: 10 * _MOST] if (fault := json_object(each))]
    for name in _CODES:
        for each in objects if name in _OF_FAULTS_ALONE else (*objects, fields):
            code = each.get(name)
            if isinstance(code, (str, int)) and not isinstance(code, bool) and code not in ("", 0, 200):
                yield str(code)
    yield from (fault for fault in faults if isinstance(fault, str) and _SLUG.fullmatch(fault))
    for each in objects:
        yield from _codes(each, depth - 1)


def _text_of(response: httpx2.Response) -> str:
    """Return the text of an answer without words of its own; of a web page, its title."""
    text = response.content[:_SEARCHED].decode("utf-8", "replace")
    if is_web_page(response):
        headings = [html.unescape(_TAG.sub("", heading)).strip() for _, heading in _HEADING.findall(text)]
        return ": ".join(dict.fromkeys(filter(None, headings)))
    is_binary = "\0" in text or text.count("\ufffd") > len(text) / 10
    return "" if is_binary else text.strip()
