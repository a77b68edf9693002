"""What happened and must reach the ledger, kept until it has.

A record that the database does not take within a second is spilled: it gets a file of its own beside the ledger, which
any process then applies. So a locked or broken database neither loses what was paid for nor delays an answer.
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
_READ = (_SUFFIX, PART)  # one that could not be renamed may be whole
_REFUSED_SUFFIX = ".refused"

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Waiting:
    record: Record
    is_written: anyio.Event = field(default_factory=anyio.Event)
    spill: Path | None = None


class Outbox:
    """The records that the ledger does not have yet, in order; `flush` writes those of `pending`.

    Spilled files are in `folder`. What must be on disk before a request is sent never comes through here.
    """

    def __init__(self, folder: Path, flush: Callable[[], Awaitable[object]], timings: Timings) -> None:
        self.folder = folder
        self._flush = flush
        self._timings = timings
        self._waiting: list[_Waiting] = []
        self._has_work = anyio.Event()

    @property
    def pending(self) -> Sequence[Record]:
        """The records that the ledger does not have yet, in order."""
        return [each.record for each in self._waiting]

    def holds(self, id: str) -> bool:
        """Return whether there are records of an attempt."""
        return any(each.record.id == id for each in self._waiting)

    async def put(self, record: Record) -> bool:
        """Keep a record, and return whether it is on disk, in the ledger or as a file; takes about a second at most."""
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
        """Forget records that are in the ledger now."""
        for each in [each for each in self._waiting if any(each.record is record for record in records)]:
            self._waiting.remove(each)
            each.is_written.set()
            self.remove([] if each.spill is None else [each.spill])

    def remove(self, paths: Sequence[Path]) -> None:
        """Remove files of records that are in the ledger now; one that stays is applied once more, to no effect."""
        for path in paths:
            remove(path)

    def set_aside(self, records: Sequence[Record]) -> None:
        """Give up records that the database will never take; their files stay, under another name."""
        for each in [each for each in self._waiting if each.record in records]:
            self._waiting.remove(each)
            self._spill(each)
            each.is_written.set()
        for path in self._files():
            if _read(path) in records:
                _refuse(path)

    async def run(self) -> None:
        """Write what is put, for ever; a database that cannot be written now is tried again."""
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
        """Wait until all is written, and spill what is not."""
        with anyio.move_on_after(within_seconds):
            for each in [*self._waiting]:
                await each.is_written.wait()
        await anyio.to_thread.run_sync(self.spill_all)

    def spill_all(self) -> None:
        """Spill what is not written; the process is about to end."""
        for each in [*self._waiting]:
            self._spill(each)

    def spilled(self, ledger: str) -> Mapping[Path, Record]:
        """Return the spilled records of a ledger, of all processes, in order."""
        records: dict[Path, Record] = {}
        for path in self._files():
            record = _read(path)
            if record is not None and record.ledger == ledger:
                records[path] = record
        return dict(sorted(records.items(), key=lambda item: (item[1].id, item[1].sequence)))

    @property
    def has_spilled(self) -> bool:
        """Whether there are spilled records, of any process."""
        return bool(self._files())

    @property
    def refused(self) -> Sequence[Path]:
        """The files of records that the database will never take."""
        return self._files(_REFUSED_SUFFIX)

    def _files(self, *suffixes: str) -> Sequence[Path]:
        try:
            return [path for path in self.folder.iterdir() if path.suffix in (suffixes or _READ)]
        except OSError:
            return ()

    def _spill(self, waiting: _Waiting) -> None:
        """Write a record's file, whole and synced before it gets its name."""
        if waiting.spill is not None or waiting.is_written.is_set():
            return
        record = waiting.record
        name = f"{record.id}-{record.writer[:8]}-{record.sequence}-{record.event.value}"
        path = self.folder / f"{name}{_SUFFIX}"
        try:
            make_folder(self.folder)
            part = write_part(path, json.dumps(record.to_dict()).encode())
            waiting.spill = _named(part, path)
            sync_folder(self.folder)
        except OSError as error:
            _log.error("a record of %s is only in memory: %s", record.id, clean(error, 200))
            return
        if waiting.is_written.is_set():  # written meanwhile
            self.remove([waiting.spill])


def _named(part: Path, path: Path) -> Path:
    """Give a file its name, and return the one that it has; another process may have read and removed it."""
    try:
        replace(part, path)
    except OSError:
        return part
    return path


def _read(path: Path) -> Record | None:
    """Return a spilled record, `None` if the file cannot be read, which is left: a newer version may know it."""
    try:
        return Record.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None  # another process has applied it
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.warning("%s cannot be read: %s", clean(path, 200), clean(error, 200))
        return None


def _refuse(path: Path) -> None:
    with suppress(OSError):
        path.replace(path.with_suffix(_REFUSED_SUFFIX))
