"""Keeps records of events until the ledger has them.

A record that the database does not take within a second is spilled to a file of its own beside the ledger. Any process
then applies it. A locked or broken database therefore neither loses paid pictures nor delays an answer.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from blockrun_image.errors import LedgerError
from blockrun_image.text import clean
from blockrun_image_mcp.files import PART, make_folder, remove, replace, sync_folder, write_part
from blockrun_image_mcp.ledger.records import Record
from blockrun_image_mcp.timings import Timings

_SUFFIX = ".json"
_READ = (_SUFFIX, PART)  # a file that could not be renamed may be complete
_REFUSED_SUFFIX = ".refused"

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Waiting:
    record: Record
    is_written: anyio.Event = field(default_factory=anyio.Event)
    spill: Path | None = None


class Outbox:
    """The records missing in the ledger, in order.

    `flush` writes those of `pending`. Spilled files are in `folder`. A record that must be on disk before a request is
    sent never comes through here.
    """

    def __init__(self, folder: Path, flush: Callable[[], Awaitable[object]], timings: Timings) -> None:
        self.folder = folder
        self._flush = flush
        self._timings = timings
        self._waiting: list[_Waiting] = []
        self._has_work = anyio.Event()

    @property
    def pending(self) -> Sequence[Record]:
        """This process's records missing in the ledger, in order."""
        return [each.record for each in self._waiting]

    def holds(self, id: str) -> bool:
        """Return whether records of an attempt are pending."""
        return any(each.record.id == id for each in self._waiting)

    async def put(self, record: Record) -> bool:
        """Add a record, and return whether it is on disk, in the ledger or as a file.

        It takes about a second at most, and cannot be cancelled.
        """
        waiting = _Waiting(record)
        self._waiting.append(waiting)
        self._has_work.set()
        with anyio.move_on_after(self._timings.spill_seconds, shield=True):
            await waiting.is_written.wait()
        if not waiting.is_written.is_set():
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._spill, waiting)
        return waiting.is_written.is_set() or waiting.spill is not None

    def written(self, records: Sequence[Record]) -> None:
        """Drop records once they are in the ledger."""
        for each in [each for each in self._waiting if any(each.record is record for record in records)]:
            self._waiting.remove(each)
            each.is_written.set()
            self.remove([] if each.spill is None else [each.spill])

    def remove(self, paths: Sequence[Path]) -> None:
        """Remove the files of records in the ledger."""
        for path in paths:
            remove(path)  # one that cannot be removed is applied again, without effect

    def set_aside(self, records: Sequence[Record]) -> None:
        """Give up records the database refuses; their files are kept under another name."""
        for each in [each for each in self._waiting if each.record in records]:
            self._waiting.remove(each)
            self._spill(each)  # first, because a written record is not spilled
            each.is_written.set()
        for path in self._files():
            if _read(path) in records:
                _refuse(path)

    async def run(self) -> None:
        """Write the records for ever, and retry when the database cannot be written."""
        pause = self._timings.outbox_retry_seconds
        while True:
            if not self._waiting:
                self._has_work = anyio.Event()
                await self._has_work.wait()
            try:
                await self._flush()
                pause = self._timings.outbox_retry_seconds
            except LedgerError as error:
                _log.warning("%d records wait for the ledger: %s", len(self._waiting), error.message)
                await anyio.sleep(pause)
                pause = min(2 * pause, self._timings.max_outbox_retry_seconds)

    async def drain(self, within_seconds: float) -> None:
        """Wait until all records are written, and spill the rest after `within_seconds`."""
        with anyio.move_on_after(within_seconds):
            for each in [*self._waiting]:
                await each.is_written.wait()
        await anyio.to_thread.run_sync(self.spill_all)

    def spill_all(self) -> None:
        """Spill the unwritten records; the process is about to end."""
        for each in [*self._waiting]:
            self._spill(each)

    def spilled(self, ledger: str) -> Mapping[Path, Record]:
        """Return a ledger's spilled records of all processes, in order."""
        records: dict[Path, Record] = {}
        for path in self._files():
            record = _read(path)
            if record is not None and record.ledger == ledger:  # another ledger may have been here before
                records[path] = record
        return dict(sorted(records.items(), key=lambda item: (item[1].id, item[1].sequence)))

    @property
    def has_spilled(self) -> bool:
        """Whether any process has spilled records."""
        return bool(self._files())

    @property
    def refused(self) -> Sequence[Path]:
        """The files of records refused by the database."""
        return self._files(_REFUSED_SUFFIX)

    def _files(self, *suffixes: str) -> Sequence[Path]:
        try:
            return [path for path in self.folder.iterdir() if path.suffix in (suffixes or _READ)]
        except OSError:
            return ()

    def _spill(self, waiting: _Waiting) -> None:
        """Write a record to a file, and sync it before it gets its name."""
        if waiting.spill is not None or waiting.is_written.is_set():
            return
        record = waiting.record
        name = f"{record.id}-{record.writer[:8]}-{record.sequence}-{record.event.value}"
        path = self.folder / f"{name}{_SUFFIX}"
        try:
            make_folder(self.folder)
            part = write_part(path, json.dumps(record.to_dict()).encode())
            waiting.spill = _rename_part(part, path)
            sync_folder(self.folder)
        except OSError as error:
            _log.error("a record of %s is only in memory: %s", record.id, clean(error, 200))
            return
        if waiting.is_written.is_set():  # the database took it while the file was written
            self.remove([waiting.spill])


def _rename_part(part: Path, path: Path) -> Path:
    """Rename a file, and return its path: `part` if it could not be renamed."""
    try:
        replace(part, path)
    except OSError:  # another process may have applied and removed it
        return part
    return path


def _read(path: Path) -> Record | None:
    """Return a spilled record, or `None` if its file cannot be read."""
    try:
        return Record.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None  # another process has applied it
    except (OSError, ValueError, TypeError, KeyError) as error:  # the file stays: a newer version may know its format
        _log.warning("%s cannot be read: %s", clean(path, 200), clean(error, 200))
        return None


def _refuse(path: Path) -> None:
    with suppress(OSError):
        path.replace(path.with_suffix(_REFUSED_SUFFIX))
