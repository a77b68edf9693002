"""Finds the pictures in a success, in the shapes of many gateways.

The API sends `{"data": [{"url": ...}]}` or `b64_json`. Other gateways use other names, stream events, or send a
picture's bytes alone. The API's own shape is searched first: if it has pictures, nothing else in the answer counts.
"""

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, cast
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit, urlunsplit

import httpx2

from blockrun_image_mcp.bounded_json import is_deep, json_from, json_object
from blockrun_image_mcp.formats import suffix_of
from blockrun_image_mcp.gateway.jobs import State, state_of

_MAX_URL_CHARACTERS = 65_536
_DEEPEST = 20
_MAX_ENTRIES = 10_000
_MAX_EVENTS = 30_000

_URL_KEYS = ("url", "image_url", "imageUrl", "imageURL", "image", "uri", "file_url", "fileUri", "download_url", "src")
_BASE64_KEYS = (
    *("b64_json", "b64", "base64", "image_base64", "imageBase64", "b64_image", "base64_image", "image_b64"),
    *("imageBytes", "image_bytes", "bytesBase64Encoded"),
)
_DATA_KEYS = ("inlineData", "inline_data", "image_data", "imageData", "data")
_REVISION_KEYS = ("revised_prompt", "revisedPrompt")
_INNER_KEYS = ("url", "data", "base64", "b64_json")
_ROOMS = (
    *("data", "images", "image_urls", "imageUrls", "output", "outputs", "result"),
    *("results", "response", "artifacts", "predictions", "generated_images", "generatedImages", "candidates"),
    *(
        "content",
        "parts",
        "choices",
        "message",
        "delta",
        "resultUrls",
        "result_urls",
        "sample",
        "task",
        "job",
        "body",
        "file",
        "resultJson",
    ),
)
"""The fields for pictures at various gateways; the first with any counts."""
_SAYINGS = ("message", "delta")  # as strings, these are words and not pictures

_ECHOES = re.compile(
    r"error|input|request|prompt|usage|meta|doc|help|poll|status|cancel|callback|hook|thumb|preview|logo|avatar|message"
    r"|init|mask|source|reference|icon|banner|background|current|partial|progress",
    re.IGNORECASE,
)
"""Fields with parts of the request, or with links: their pictures were not made for it."""

_SUFFIXES = r"\.(?:png|jpe?g|webp|gif|avif|svg|bmp|tiff?)"
_PICTURE_PATH = re.compile(rf"{_SUFFIXES}$", re.IGNORECASE)
_PICTURE_URL = re.compile(rf"https?://[^\s\"'<>()\[\]]{{1,2000}}?{_SUFFIXES}(?:\?[^\s\"'<>()\[\]]*)?", re.IGNORECASE)
_MARKDOWN = re.compile(
    r"(!?)\[[^\]\n]{0,500}\]\(\s{0,9}(?:<([^<>\n]{1,8000})>|(data:[^()\[\]\s<>]+"
    r"|(?:[^()\[\]\s<>]|\([^()\[\]\s<>]{0,200}\)){1,8000}))(?:\s[^)\n]{0,200})?\)"
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
# some gateways leave out the `data:` of base64
_DATA_URI = re.compile(r"\s*(?:data:([^,]{0,200})|([\w.+-]{1,40}/[\w.+-]{1,40};base64)),", re.IGNORECASE)
_PYTHON_BYTES = re.compile(r"\s*b(['\"])(.*)\1\s*", re.DOTALL)  # base64 as the repr of Python bytes
_EVENT_STREAM = re.compile(r"\s*(?:data|event|id|retry)?:")
_BLANKS = re.compile(r"\s*")
_PLAIN = re.compile(r"[\x21-\x7e]+")
_ESCAPED = re.compile(r"[^\x21-\x7e]+")
_PARTIAL = re.compile(r"partial|preview|progress", re.IGNORECASE)
_UNFINISHED = (State.QUEUED, State.DRAWING)
_AROUND = " \t\r\n\"'`<>\u00a0\u200b\u200c\u200d\u2060\ufeff"
_SHORTEST_BASE64 = 32  # a shorter text could be base64 by chance


@dataclass(frozen=True)
class PictureEntry:
    """An answer's entry for one picture; without a URL or data, it cannot be used."""

    url: str | None = None
    data: bytes | None = None
    revised_prompt: str | None = None

    @property
    def is_usable(self) -> bool:
        """Whether it has a picture."""
        return bool(self.url or self.data)


def own_entries_of(response: httpx2.Response) -> Sequence[PictureEntry]:
    """Return the entries of a success in the API's own shape."""
    return _Finder(str(response.request.url)).own(json_from(response.content))


def entries_of(response: httpx2.Response) -> Sequence[PictureEntry]:
    """Return the entries of a success in any known shape, in order; empty if there are none."""
    content = response.content
    finder = _Finder(str(response.request.url))
    body = json_from(content)
    if body is not None:
        return finder.entries(body)
    if suffix_of(content):
        return [PictureEntry(data=content)]
    text = content.decode("utf-8-sig", "replace")
    events = islice(events_of(text), _MAX_EVENTS)
    streamed = [finder.entries(event) for event in events if state_of(json_object(event)) not in _UNFINISHED]
    if any(streamed):
        return _distinct(entry for entries in streamed for entry in entries)
    is_cut_json = text.lstrip()[:1] in ("{", "[")
    return [] if is_cut_json or is_web_page(response) else finder.of_text(text)


def is_web_page(response: httpx2.Response) -> bool:
    """Return whether an answer is HTML."""
    head = response.content[:1_024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return head.startswith(b"<") and re.search(rb"<(!doctype html|html|head|body|script)\b", head) is not None


def is_web_url(url: str) -> bool:
    """Return whether a text is an http or https URL, in ASCII and short enough to be opened."""
    if len(url) > _MAX_URL_CHARACTERS or not _PLAIN.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


@dataclass(frozen=True)
class _Finder:
    """Finds pictures in one answer; relative URLs are relative to `base`."""

    base: str

    def entries(self, body: object) -> Sequence[PictureEntry]:
        """Return the entries of the API's own shape, else of known fields, else of any field.

        Of any field, only unmistakable pictures count. Without any picture, the entries of the own shape are returned.
        """
        if _is_partial(body):
            return []
        own = self.own(body)
        if any(entry.is_usable for entry in own):
            return own
        found = [*islice(self._in_rooms(body, _DEEPEST), _MAX_ENTRIES)]
        return found or _distinct(islice(self._anywhere(body, _DEEPEST), _MAX_ENTRIES)) or own

    def own(self, body: object) -> Sequence[PictureEntry]:
        """Return the entries of `data`, the API's own shape."""
        return [] if _is_partial(body) else [self.entry(value) for value in _list(json_object(body).get("data"))]

    def of_text(self, text: str) -> Sequence[PictureEntry]:
        """Return the picture encoded in a text, or all pictures shown or linked in it."""
        whole = self.entry(text)
        if whole.is_usable:
            return [whole]
        linked = [(shown == "!", angled or plain) for shown, angled, plain in _MARKDOWN.findall(text)]
        shown = [each for is_shown, each in linked if is_shown] or [each for _, each in linked if _is_of_picture(each)]
        found = map(self.entry, shown or _PICTURE_URL.findall(text[:_MAX_URL_CHARACTERS]))
        return _distinct(entry for entry in found if entry.is_usable)

    def entry(self, value: object) -> PictureEntry:
        """Return the entry of one object or text."""
        if isinstance(value, str):
            linked = _MARKDOWN.fullmatch(value.strip())
            text = (linked[2] or linked[3]) if linked else value
            data = _decode(text, is_surely_base64=False)
            return PictureEntry(data=data) if data else PictureEntry(url=self._url(text))
        fields = json_object(value)
        revised = next((fields[key] for key in _REVISION_KEYS if isinstance(fields.get(key), str)), None)
        named = [entry for text in _texts(fields, _URL_KEYS) for entry in self.of_text(text)]
        if named and (named[0].data or _is_of_picture(named[0].url or "")):
            return replace(named[0], revised_prompt=revised)
        for keys, is_surely_base64 in ((_BASE64_KEYS, True), (_DATA_KEYS, False)):
            for text in _texts(fields, keys):
                if data := _decode(text, is_surely_base64=is_surely_base64):
                    return PictureEntry(data=data, revised_prompt=revised)
        return replace(next(iter(named), PictureEntry()), revised_prompt=revised)

    def _in_rooms(self, value: object, depth: int) -> Iterator[PictureEntry]:
        if depth == 0:
            return
        if isinstance(value, str):
            nested = json_from(value.encode()) if value.lstrip()[:1] in ("{", "[") else None
            yield from self.of_text(value) if nested is None else self._in_rooms(nested, depth - 1)
        elif isinstance(value, list):
            for each in _list(cast("object", value)):
                yield from self._in_rooms(each, depth - 1)
        else:
            fields = json_object(value)
            filled = ((room, fields[room]) for room in _ROOMS if fields.get(room))
            rooms = (value for room, value in filled if not (room in _SAYINGS and isinstance(value, str)))
            found = next(filter(None, ([*self._in_rooms(room, depth - 1)] for room in rooms)), None)
            entry = self.entry(value)
            yield from found or ([entry] if entry.is_usable else [])

    def _anywhere(self, value: object, depth: int) -> Iterator[PictureEntry]:
        if depth == 0:
            return
        if isinstance(value, str):
            entry = self.entry(value)
            if entry.data or _is_of_picture(entry.url or ""):
                yield entry
            return
        fields = json_object(value)
        others = [each for name, each in fields.items() if not _ECHOES.search(name)]
        for each in others or _list(value):
            yield from self._anywhere(each, depth - 1)

    def _url(self, text: str) -> str | None:
        """Return a text as an absolute URL in ASCII; `None` if it is not a URL."""
        if len(text) > _MAX_URL_CHARACTERS:
            return None
        url = html.unescape(text.strip(_AROUND))
        if not url.isprintable() or not (_SCHEME.match(url) or _is_relative(url)):
            return None
        try:
            absolute = _in_ascii(urljoin(self.base, url))
        except ValueError:
            return None
        return absolute if is_web_url(absolute) else None


def _decode(text: str, *, is_surely_base64: bool) -> bytes | None:
    """Return a text's decoded bytes; they must be a picture unless it surely is base64."""
    prefix = _DATA_URI.match(text)
    encoded = text[prefix.end() :] if prefix else text
    if written := _PYTHON_BYTES.fullmatch(encoded):
        encoded = written[2]
    if prefix and not (prefix[1] or prefix[2] or "").lower().replace(" ", "").endswith(";base64"):
        data = unquote_to_bytes(encoded)
        return data if suffix_of(data) else None
    is_base64 = is_surely_base64 or prefix is not None
    if not is_base64 and len(encoded) < _SHORTEST_BASE64:
        return None
    if "%" in encoded:
        encoded = unquote_to_bytes(encoded).decode("ascii", "replace")
    compact = "".join(encoded.replace("\\n", "").split()).strip("\"'").rstrip("=")
    compact = compact.replace("-", "+").replace("_", "/").replace("\\/", "/")  # base64url, and JSON's escaped slashes
    try:
        data = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if data and (is_base64 or suffix_of(data)) else None


def events_of(text: str) -> Iterator[object]:
    """Yield the JSON values of server-sent events, or of concatenated JSON."""
    if is_deep(text.encode()):
        return
    if not _EVENT_STREAM.match(text):
        yield from _values(text)
        return
    data: list[str] = []
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("event:"):
            name = line[6:]
        elif line.startswith("data:"):
            data.append(line[5:])
        elif not line.strip():
            if not _PARTIAL.search(name):
                yield from _values("\n".join(data))
            data.clear()
            name = ""


def _values(text: str) -> Iterator[object]:
    decoder, at = json.JSONDecoder(), 0
    while text[(at := _end_of_blanks(text, at)) : at + 1] in ("{", "["):
        try:
            value, at = cast("tuple[object, int]", decoder.raw_decode(text, at))
        except (ValueError, RecursionError):
            return
        yield value


def _end_of_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return at if blanks is None else blanks.end()


def _texts(fields: Mapping[str, Any], keys: Sequence[str]) -> Iterator[str]:
    """Yield the texts under these keys; some APIs wrap them in objects."""
    for key in keys:
        value = fields.get(key)
        inner = json_object(value)
        text = next((inner[name] for name in _INNER_KEYS if inner.get(name)), None) if inner else value
        if isinstance(text, str) and text:
            yield text


def _distinct(entries: Iterable[PictureEntry]) -> Sequence[PictureEntry]:
    first: dict[object, PictureEntry] = {}
    for entry in entries:
        first.setdefault((entry.url, entry.data), entry)
    return [*first.values()]


def _list(value: object) -> Sequence[object]:
    return cast("list[object]", value)[:_MAX_ENTRIES] if isinstance(value, list) else []


def _is_partial(body: object) -> bool:
    """Return whether an event is about an unfinished picture."""
    fields = json_object(body)
    kinds = [
        each.get(name) for each in (fields, json_object(fields.get("data"))) for name in ("type", "object", "event")
    ]
    return any(isinstance(each, str) and _PARTIAL.search(each) for each in kinds)


def _is_of_picture(url: str) -> bool:
    """Return whether a text is a data URI, or a URL with a picture's suffix."""
    return _DATA_URI.match(url) is not None or _PICTURE_PATH.search(url.partition("?")[0].partition("#")[0]) is not None


def _is_relative(url: str) -> bool:
    has_blanks = any(map(str.isspace, url))
    return not has_blanks and (url.startswith(("/", "./", "../")) or bool(_PICTURE_PATH.search(url.partition("?")[0])))


def _in_ascii(url: str) -> str:
    """Return a URL with its other characters escaped; existing escapes stay as they are."""
    if _PLAIN.fullmatch(url):
        return url
    parts = urlsplit(url)
    netloc = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    rest = [_ESCAPED.sub(lambda found: quote(found[0]), part) for part in (parts.path, parts.query, parts.fragment)]
    return urlunsplit((parts.scheme, netloc, *rest))
