"""A database shared by several processes, with the locks and spilled records beside it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.to_thread

from blockrun_image.errors import LedgerError
from blockrun_image.text import clean
from blockrun_image_mcp.ledger.outbox import Outbox
from blockrun_image_mcp.ledger.owners import owners_beside
from blockrun_image_mcp.ledger.records import Record, apply
from blockrun_image_mcp.ledger.store import AttemptStore, Header, Moment, Transactions, UnstorableError
from blockrun_image_mcp.tasks import run_alongside
from blockrun_image_mcp.timings import Timings

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class SharedDatabase:
    """The database at `path`, with the locks of its processes and its outbox beside it.

    The records of the outbox are written only inside `async with`. Every method raises `LedgerError`.
    """

    transactions: Transactions
    path: Path
    now: Callable[[], Moment]
    timings: Timings
    identity: str = ""
    _lock_folder: str = ""
    _adopts_locks: bool = False
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.owners = owners_beside(self.path)
        path = self.path.resolve()  # every process must find the same folder
        self.outbox = Outbox(path.with_name(f"{path.name}.outbox"), lambda: self.write(_nothing), self.timings)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(run_alongside(self.outbox.run))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.outbox.drain(self.timings.drain_seconds)
        await self._stack.aclose()
        with anyio.CancelScope(shield=True):
            await self._leave()

    async def write(self, work: Callable[[AttemptStore], T]) -> T:
        """Run work in a transaction, after the records waiting for the database."""

        def run(store: AttemptStore) -> tuple[T, _Applied]:
            applied = self._catch_up(store)
            return work(store), applied

        result, applied = await self._naming_users(self.transactions.write(run))
        self.identity, self._lock_folder = applied.ledger, applied.lock_folder
        self.outbox.written([record for record in applied.pending if record not in applied.refused])
        self.outbox.set_aside(applied.refused)
        # only after the commit; the files of refused records have other names by now
        self.outbox.remove(applied.spilled)
        return result

    async def read_after_records(self, work: Callable[[AttemptStore], T]) -> T:
        """Run work that only reads, after the records waiting for the database."""
        if self.outbox.pending or self.outbox.has_spilled:
            return await self.write(work)
        return await self.read(work)

    async def read(self, work: Callable[[AttemptStore], T]) -> T:
        """Run work that only reads, without the records waiting for the database."""
        return await self._naming_users(self.transactions.read(work))

    async def adopt_locks(self) -> None:
        """Use the locks beside the ledger from now on, in place of earlier ones.

        Raises `LedgerError` if a process has the ledger open.
        """
        await self.transactions.check_alone()
        with suppress(OSError):
            await anyio.to_thread.run_sync(self.owners.mend_folder_identity)
        self._adopts_locks = True
        await self.write(_nothing)

    async def users(self) -> Sequence[int]:
        """Return the pids of the processes using the ledger."""
        return sorted(each.pid for each in await anyio.to_thread.run_sync(self.owners.live_processes))

    def _catch_up(self, store: AttemptStore) -> "_Applied":
        """Check that this is still the same ledger, and apply the waiting records."""
        header = store.header()
        folder = self._check(store, header)
        spilled, pending = self.outbox.spilled(header.identity), self.outbox.pending
        refused = [record for record in (*spilled.values(), *pending) if not self._apply(store, record)]
        return _Applied(header.identity, folder, [*spilled], pending, refused)

    def _apply(self, store: AttemptStore, record: Record) -> bool:
        """Apply a record, and return whether the database accepts it."""
        try:
            apply(store, record, self.now())
        except (UnstorableError, TypeError, ValueError, KeyError) as error:
            _log.error("%s of %s cannot be stored: %s", record.event, record.id, clean(error, 200))
            return False
        return True

    def _check(self, store: AttemptStore, header: Header) -> str:
        """Check that all processes use the same ledger and locks.

        Return the lock folder's identity. Raises `LedgerError`.
        """
        folder = self.owners.folder_identity()
        if not self.identity:
            self._check_others(header)
            if header.lock_folder != folder:
                self._check_no_other_path(header)
                store.set_lock_folder(folder)
        elif not self._lock_folder == folder == header.lock_folder:
            raise LedgerError(
                f"The lock folder of the ledger was replaced while this server used it: {clean(self.path, 200)}",
                hint="No picture is paid for until the server is restarted.",
            )
        return folder

    def _check_others(self, header: Header) -> None:
        """Raise `LedgerError` if a live process uses another ledger, or a newer copy of this one."""
        for each in self.owners.live_processes():
            is_another = each.ledger_identity != header.identity
            # an older copy lacks sent requests, and would let the budget pay for them again
            if each.ledger_identity and (is_another or each.sent_count > header.sent_count):
                raise LedgerError(
                    f"The ledger was replaced while the server with the process id {each.pid} used it:"
                    f" {clean(self.path, 200)}",
                    hint="No picture is paid for until that server is closed.",
                )

    def _check_no_other_path(self, header: Header) -> None:
        """Raise `LedgerError` if a process may use the file by another path.

        Such a process sees neither our locks nor our write-ahead log.
        """
        if header.lock_folder and not self._adopts_locks:
            raise LedgerError(
                f"The ledger was used with other locks than those beside it: {clean(self.path, 200)}",
                hint="No picture is paid for, because another server may use the same file by another path. If none"
                " does (the file was moved, or its locks were removed), close all servers and run"
                " `blockrun-image-mcp recover --new-locks`.",
            )

    async def _naming_users(self, work: Awaitable[T]) -> T:
        """Await the work, and name the ledger's processes in the error of a locked database."""
        try:
            return await work
        except LedgerError as error:
            if error.is_busy:
                pids = ", ".join(str(each.pid) for each in self.owners.live_processes())
                error.append_hints([f"Servers that use it have the process ids {pids}." if pids else ""])
            raise

    async def _leave(self) -> None:
        """Free the lock, and remove its file unless an attempt or a caller names this process."""
        owner, is_named = self.owners.id, True
        with suppress(LedgerError):
            is_named = owner is not None and await self.transactions.read(lambda store: store.names(owner))
        with suppress(OSError):
            await anyio.to_thread.run_sync(lambda: self.owners.release(remove=not is_named))


@dataclass(frozen=True)
class _Applied:
    """The records applied by a transaction, and the identities of the ledger and its lock folder."""

    ledger: str
    lock_folder: str
    spilled: Sequence[Path]
    pending: Sequence[Record]
    refused: Sequence[Record]


def _nothing(_store: AttemptStore) -> None:
    """Do nothing; every transaction still applies the waiting records."""
