"""The ledger's file: who may read it, and what happens if it is damaged, locked or full."""

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import (
    CALL,
    HASTY,
    PRICE,
    Processes,
    locked,
    open_ledger,
    reserve,
    sent,
    spent,
)
from tests.support.platforms import only_on_linux, only_on_posix

from blockrun_image.errors import BudgetExceededError, LedgerError
from blockrun_image.images import ImageRequest
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection
from blockrun_image_mcp.ledger.sqlite.migrations import VERSION

pytestmark = pytest.mark.anyio


@only_on_posix("modes of files")
async def test_file_and_folder_are_private_to_the_user(ledger: Ledger) -> None:
    await reserve(ledger)
    folder = ledger.path.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_next_process_sees_earlier_writes(processes: Processes) -> None:
    await sent(await processes.start())
    assert await spent(await processes.start()) == 42_000


async def test_closed_ledger_can_be_reopened(ledger: Ledger) -> None:
    await reserve(ledger)
    for _ in range(2):
        await ledger.transactions.close()
    assert await spent(ledger) == 42_000


def corrupt(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"This is no database, but it is long enough to be read as one. " * 100)


def newer(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, taken_at REAL NOT NULL) STRICT")
        connection.execute("INSERT INTO migrations VALUES ('m999_of_tomorrow', 0)")
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")


def a_folder(path: Path) -> None:
    path.mkdir(parents=True)


def no_folder(path: Path) -> None:
    path.parent.write_text("a file where the folder should be", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "says"),
    [(corrupt, "not a database"), (newer, "a newer version"), (a_folder, "unable to open"), (no_folder, "exists")],
)
async def test_unusable_file_raises_an_error_that_names_it(
    processes: Processes, damage: Callable[[Path], None], says: str
) -> None:
    damage(processes.path)
    ledger = await processes.start()
    with pytest.raises(LedgerError, match=says) as caught:
        await reserve(ledger)
    assert str(ledger.path) in caught.value.message
    assert (caught.value.charged, caught.value.is_busy) == ("no", False)


async def test_full_disk_refuses_the_reservation_and_keeps_the_file_intact(ledger: Ledger) -> None:
    await reserve(ledger)
    connection = ledger.transactions
    assert isinstance(connection, SqliteConnection)
    inner = connection._connection  # pyright: ignore[reportPrivateUsage] - a small disk, as SQLite sees it
    assert inner is not None
    inner.execute("PRAGMA max_page_count = 1")
    with pytest.raises(LedgerError, match="full"):
        await reserve(ledger, request=ImageRequest("x" * 50_000, "dall-e-3", "1024x1024", None, 1))
    assert await spent(ledger) == 42_000


@only_on_linux("names of files that are bytes of no encoding")
async def test_folder_with_an_undecodable_name_is_usable(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"Jos\xe9") / "ledger.sqlite3"
    async with open_ledger(path, clock) as ledger:
        await reserve(ledger)
    assert path.exists()


async def test_mac_disk_is_told_to_flush_fully(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    real, opened = sqlite3.connect, list[sqlite3.Connection]()

    def connect(*arguments: Any, **more: Any) -> sqlite3.Connection:
        opened.append(real(*arguments, **more))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connect)
    await ledger.spending_today()
    (connection,) = opened
    for name in ("fullfsync", "checkpoint_fullfsync"):
        assert connection.execute(f"PRAGMA {name}").fetchone() == (1,)


async def test_every_commit_is_synced(ledger: Ledger) -> None:
    await reserve(ledger)
    connection = ledger.transactions
    assert isinstance(connection, SqliteConnection)
    inner = connection._connection  # pyright: ignore[reportPrivateUsage] - a setting of this connection alone
    assert inner is not None
    (full,) = inner.execute("PRAGMA synchronous").fetchone()
    assert full == 2


async def test_error_for_a_locked_file_names_the_processes_that_use_it(processes: Processes) -> None:
    ledger, other = await processes.start(timings=HASTY), await processes.start()
    for each in (ledger, other):
        await reserve(each)
    with locked(ledger.path), pytest.raises(LedgerError, match="locked") as caught:
        await reserve(ledger)
    assert caught.value.is_busy
    assert f"Servers that use it have the process ids {os.getpid()}, {os.getpid()}." in caught.value.hint
    assert await spent(ledger) == 84_000


async def test_file_being_created_by_another_process_is_awaited(processes: Processes) -> None:
    ledger = await processes.start()
    ledger.path.parent.mkdir()
    async with anyio.create_task_group() as tasks:
        with locked(ledger.path):
            tasks.start_soon(reserve, ledger)
            await anyio.sleep(0.02)
    assert await spent(ledger) == 42_000


async def test_first_calls_of_several_processes_create_one_file(processes: Processes) -> None:
    ledgers = [await processes.start() for _ in range(8)]
    async with anyio.create_task_group() as tasks:
        for each in ledgers:
            tasks.start_soon(reserve, each)
    assert await spent(ledgers[0]) == 8 * 42_000


@pytest.mark.parametrize("refused", ["over the limit", "unreadable", "an approval is missing"])
async def test_refused_first_call_does_not_block_later_ones(processes: Processes, refused: str) -> None:
    ledger = await processes.start(limits=Limits(100_000, None, 50_000))
    match refused:
        case "over the limit":
            with pytest.raises(BudgetExceededError):
                await reserve(ledger, PRICE * 100)
        case "unreadable":
            with pytest.raises(ZeroDivisionError):
                await ledger.write(lambda store: 1 // 0)
        case _:
            await ledger.begin(CALL, None)
    await reserve(ledger)
    assert await spent(await processes.start()) == 42_000


async def test_writer_does_not_block_readers(processes: Processes) -> None:
    ledger = await processes.start(timings=HASTY)
    attempt = await sent(ledger)
    with locked(ledger.path):
        assert (await attempt.status()).state.value == "sent"
        assert await ledger.sweep() == {}
