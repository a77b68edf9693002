"""Keeps the whole server in step with the requests that were answered before it was loaded, and records its answers."""

import json
import logging
import os
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from blockrun_image.catalog import Catalog
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.files import make_folder, remove, write_whole
from blockrun_image_mcp.front import Opening, Session, is_plain_id
from blockrun_image_mcp.start_record import Record, contents_of

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from blockrun_image_mcp.mcp_server.answers import Answer

_MAX_RECORDS = 20
"""One for each host, gateway and project with a setting of its own."""
_TELL_AGAIN_SECONDS = 1.0
"""A client begins to listen for changed tools after it has got them."""

_log = logging.getLogger(__name__)


class Replay:
    """Swallows the answers that the client has already, and records the others for the next start.

    The first requests of the input are those that have been answered.
    """

    def __init__(self, opening: Opening, backend: Backend, tasks: "TaskGroup") -> None:
        self._told = deque(opening.told)
        self._record = opening.record
        self._backend = backend
        self._tasks = tasks
        self._session = Session()
        self._is_saving = False
        backend.models.on_change.append(self._forget)

    def take(self, frame: Mapping[str, Any]) -> str | None:
        """Take the next message, and return what its answer depends on."""
        return self._session.take(frame)

    def next_told(self) -> str | None:
        """Return the result that was told for the next request, or `None` if it was not answered yet."""
        return self._told.popleft() if self._told else None

    def compare(self, answer: "Answer", line: bytes) -> None:
        """Compare the server's own answer with the one that was told."""
        if answer.told == _result_in(line, answer):
            return
        _log.warning("%s was answered from a record that differs from the answer now", answer.method)
        self._forget_record()
        self._tasks.start_soon(self._tell_of_changed_tools)

    def note(self, answer: "Answer", line: bytes) -> None:
        """Record an answer for the next start."""
        result, record = _result_in(line, answer), self._record
        if record is None or answer.about is None or result is None or record.answers.get(answer.about) == result:
            return
        record.answers[answer.about] = result
        if not self._is_saving:
            self._is_saving = True
            self._tasks.start_soon(self._save, record)

    async def _save(self, record: Record) -> None:
        await anyio.lowlevel.checkpoint()  # the answers that are already on their way are written at once
        self._is_saving = False
        cache = self._backend.cache
        if cache is not None:
            record.contents |= contents_of([str(cache.path)])
            if cache.exists and cache.read().listing != self._backend.catalog.listing:
                return  # another process has a newer list: these answers belong to the one before
        with suppress(OSError):  # nothing can be written there, so that each start is an ordinary one
            await anyio.to_thread.run_sync(_write, record)

    async def _forget(self, _: Catalog) -> None:
        self._forget_record()

    def _forget_record(self) -> None:
        if self._record is not None:
            self._record.answers.clear()
            remove(Path(self._record.path))

    async def _tell_of_changed_tools(self) -> None:
        await anyio.sleep(_TELL_AGAIN_SECONDS)
        await self._backend.announce_tools()


def _result_in(line: bytes, answer: "Answer") -> str | None:
    """Return the text of the result in a line, or `None` if the line is an error or is written in another way."""
    if not answer.is_result or not is_plain_id(answer.client_id):
        return None
    text = line.decode()
    start = f'{{"jsonrpc":"2.0","id":{json.dumps(answer.client_id)},"result":'
    return text[len(start) : -2] if text.startswith(start) and text.endswith("}\n") else None


def _write(record: Record) -> None:
    path = Path(record.path)
    make_folder(path.parent)
    write_whole(path, record.to_bytes())
    others: Sequence[os.DirEntry[str]] = [each for each in os.scandir(path.parent) if each.name.endswith(".json")]
    for each in sorted(others, key=lambda entry: entry.stat().st_mtime, reverse=True)[_MAX_RECORDS:]:
        remove(Path(each.path))
