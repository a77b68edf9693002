"""Answers a client's first requests from what this server answered the last time, before anything heavy is loaded.

Loading `mcp` takes most of a start, and hosts wait for little. The requests are the same at every start, and so are the
answers, as long as the program, the settings and the catalogue are. This module is loaded first, so it needs the
standard library alone. The whole server then takes the same requests again, and their answers are not sent a second
time.
"""

import json
import os
import select
import stat
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, cast

from blockrun_image_mcp.start_record import Record, record_for

_NAME = "BLOCKRUN_IMAGE_FAST_START"
_METHODS = frozenset({"initialize", "server/discover", "ping", "tools/list"})
_ENVELOPE = "io.modelcontextprotocol/protocolVersion"
_CLIENT = "io.modelcontextprotocol/clientInfo"
_TRACES = ("traceparent", "tracestate", "baggage")
_MAX_DEPTH = 5
_QUIET_SECONDS = 0.05
"""Without input, until the whole server is loaded; a client sends its first requests one after the other."""
_CHUNK_BYTES = _MAX_LINE_BYTES = 2**16
_MAX_WRITTEN_BYTES = 3 * 2**14
"""Less than a pipe holds: a client may write all of its messages before it reads an answer."""


class Session:
    """What earlier messages of a client say about the next ones."""

    def __init__(self) -> None:
        self._hello = ""

    def take(self, frame: Mapping[str, Any]) -> str | None:
        """Take the next message, and return what its answer depends on; `None` if the answer is not recorded."""
        method = frame.get("method")
        params: object = {} if frame.get("params") is None else frame["params"]
        if method == "notifications/initialized" and "id" not in frame:
            self._hello += " and initialized"
        if method not in _METHODS or "id" not in frame or not isinstance(params, dict) or "cursor" in params:
            return None
        params = {**cast("dict[str, Any]", params)}
        meta: object = params.get("_meta", {})
        if not isinstance(meta, dict):
            return None
        meta = cast("dict[str, object]", meta)
        telling = {name: value for name, value in meta.items() if not _is_of_one_request(name, value)}
        clients = [fields.pop(name) for fields, name in ((telling, _CLIENT), (params, "clientInfo")) if name in fields]
        rest = {name: value for name, value in params.items() if name != "_meta"}
        about = json.dumps([method, rest, telling, _form_of(clients)], sort_keys=True)
        if method == "initialize":
            self._hello = about
            return about
        return about if _ENVELOPE in meta else f"{self._hello} {about}"


class Opening(NamedTuple):
    """What happened before the whole server was loaded.

    `already_read` is all input so far. Its first requests have been answered with the results in `told`. The server
    records its answers in `record`, if there is one.
    """

    already_read: bytes = b""
    told: Sequence[str] = ()
    record: Record | None = None
    is_over: bool = False


UNOPENED = Opening()
"""Nothing was answered, and nothing is recorded."""


def open_quickly(flags: Mapping[str, str]) -> Opening:
    """Answer the first requests on stdin, as far as they are recorded; raises nothing."""
    found = record_for(flags) if _is_wanted() else None
    if found is None:
        return UNOPENED
    record, holds = found
    if not holds:
        return Opening(record=record)
    front = _Front(record)
    with suppress(OSError):  # the whole server reports a broken stream
        front.run()
    return Opening(bytes(front.read), front.told, record, front.is_over)


class _Front:
    def __init__(self, record: Record) -> None:
        self.read = bytearray()
        self.told: list[str] = []
        self.is_over = False
        self._record = record
        self._session = Session()
        self._ids: set[object] = set()
        self._taken = 0
        self._written_bytes = 0

    def run(self) -> None:
        """Answer requests until one has no recorded answer, the client is quiet, or stdin has ended."""
        while select.select([0], [], [], _QUIET_SECONDS)[0]:
            chunk = os.read(0, _CHUNK_BYTES)
            self.read += chunk
            if not chunk:
                self.is_over = self._taken == len(self.read)
                return
            for line in self._lines():
                if not self._answer(line):
                    return

    def _lines(self) -> Generator[bytes]:
        while (end := self.read.find(b"\n", self._taken)) >= 0:
            yield bytes(self.read[self._taken : end])
            self._taken = end + 1

    def _answer(self, line: bytes) -> bool:
        """Answer a line if it needs an answer; return whether the next one can be answered here."""
        frame = _frame_in(line)
        if frame is None:
            return False
        about, id = self._session.take(frame), frame.get("id")
        if "id" not in frame:
            return frame["method"] == "notifications/initialized"
        result = None if about is None or id in self._ids else self._record.answers.get(about)
        if result is None:
            return False
        line = answer_line(id, result)
        if self._written_bytes + len(line) > _MAX_WRITTEN_BYTES:
            return False
        _write(line)
        self._written_bytes += len(line)
        self._ids.add(id)
        self.told.append(result)  # only now: a broken stream is noticed by the whole server's own answer
        return True


def _is_of_one_request(name: str, value: object) -> bool:
    """Return whether a field of a request's `_meta` is valid, and changes nothing about the answer."""
    if name == "progressToken":
        return isinstance(value, str | int) and not isinstance(value, bool)
    return name in _TRACES and isinstance(value, str)


def _form_of(value: object, depth: int = 0) -> object:
    """Return what of a value decides whether it is valid: its names and types, not its texts."""
    if depth == _MAX_DEPTH:
        return "deeper"
    if isinstance(value, dict):
        return {name: _form_of(each, depth + 1) for name, each in cast("dict[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_form_of(each, depth + 1) for each in cast("list[object]", value)]
    return type(value).__name__


def _without_repetitions(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object; raises `ValueError` if a name is there twice, of which parsers take either."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name is there twice")
    return dict(pairs)


def answer_line(id: object, result: str) -> bytes:
    """Return an answer as the whole server writes it."""
    return f'{{"jsonrpc":"2.0","id":{json.dumps(id)},"result":{result}}}\n'.encode()


def _frame_in(line: bytes) -> dict[str, Any] | None:
    """Return the message in a line, or `None` if it is not a plain one."""
    if len(line) > _MAX_LINE_BYTES:
        return None
    try:
        # `loads` would also take UTF-16
        frame: object = json.loads(line.decode(), object_pairs_hook=_without_repetitions)
    except (ValueError, RecursionError):
        return None
    if not isinstance(frame, dict):
        return None
    frame = cast("dict[str, Any]", frame)
    if frame.get("jsonrpc") != "2.0" or not isinstance(frame.get("method"), str):
        return None
    return frame if "id" not in frame or is_plain_id(frame["id"]) else None


def is_plain_id(id: object) -> bool:
    """Return whether an id is written in one way only."""
    if isinstance(id, str):
        return id.isascii() and id.isprintable() and not set(id) & {'"', "\\"}
    return isinstance(id, int) and not isinstance(id, bool) and abs(id) < 2**53


def _write(line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        try:
            rest = rest[os.write(1, rest) :]
        except BlockingIOError:  # another process with this pipe may have made it non-blocking
            select.select([], [1], [])


def _is_wanted() -> bool:
    """Return whether a program is on the other side, on a system where a read can wait for a moment only."""
    if sys.platform == "win32" or os.environ.get(_NAME, "").strip().lower() == "off":
        return False
    try:
        return all(stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) for mode in (os.fstat(0).st_mode, os.fstat(1).st_mode))
    except OSError:  # the whole server says which one is closed
        return False
