"""Another file in the ledger's place under a living process, other locks beside it, and forks: nothing more is paid."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from tests.support.ledgers import (
    HASTY,
    RESPONSE,
    Processes,
    change,
    die,
    reserve,
    rows,
    sent,
    spent,
    spilled,
    state_of,
    states,
)
from tests.support.platforms import only_on_posix

from blockrun_image.errors import LedgerError
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection
from blockrun_image_mcp.ledger.sqlite.migrations import VERSION

pytestmark = pytest.mark.anyio

posix_only = only_on_posix("open files that can be replaced")


async def nothing_is_paid(ledger: Ledger, *words: str) -> None:
    for _ in range(2):
        with pytest.raises(LedgerError, match="|".join(words)) as caught:
            await reserve(ledger)
        assert caught.value.charged == "no"


def copy_to(path: Path, target: Path) -> None:
    """Copy a ledger as a backup does."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def replace_with(copy: Path, path: Path) -> None:
    """Put a copy in a ledger's place, as whoever restores a backup should."""
    for end in ("-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink()
    copy.rename(path)


@posix_only
@pytest.mark.parametrize("is_log_removed", [True, False])
async def test_deleted_file_is_not_recreated_by_a_living_process(processes: Processes, is_log_removed: bool) -> None:
    ledger = await processes.start()
    attempt = await reserve(ledger)
    for path in ledger.path.parent.glob(f"{ledger.path.name}{'*' if is_log_removed else ''}"):
        if path.is_file():
            path.unlink()
    with pytest.raises(LedgerError):
        await attempt.sent()
    await nothing_is_paid(ledger, "unable to open")
    assert not ledger.path.exists()


@posix_only
async def test_moved_file_is_used_again_once_it_is_back(processes: Processes) -> None:
    ledger = await processes.start()
    attempt, away = await reserve(ledger), processes.path.with_name("away")
    ledger.path.rename(away)
    await nothing_is_paid(ledger, "unable to open")
    away.rename(ledger.path)
    await attempt.sent()
    assert await states(ledger) == ["sent"]


@posix_only
async def test_another_ledger_in_its_place_is_not_used(processes: Processes, tmp_path: Path) -> None:
    ledger = await processes.start()
    attempt = await reserve(ledger)
    other = SqliteConnection(tmp_path / "other.sqlite3")
    await other.write(lambda store: store.count_sent())
    await other.close()
    replace_with(tmp_path / "other.sqlite3", ledger.path)
    with pytest.raises(LedgerError, match="another file has taken its place"):
        await attempt.sent()
    await nothing_is_paid(ledger, "another file has taken its place")
    assert rows(ledger.path, "SELECT count(*) FROM spending") == [(0,)]


@posix_only
async def test_empty_file_in_its_place_is_not_used(processes: Processes, tmp_path: Path) -> None:
    ledger = await processes.start()
    attempt = await reserve(ledger)
    (tmp_path / "empty").touch()
    replace_with(tmp_path / "empty", ledger.path)
    with pytest.raises(LedgerError, match="another file has taken its place"):
        await attempt.sent()
    await nothing_is_paid(ledger, "another file has taken its place")


@posix_only
@pytest.mark.parametrize("is_in_place", [True, False])
async def test_older_copy_without_a_sent_request_is_not_used(
    processes: Processes, tmp_path: Path, is_in_place: bool
) -> None:
    ledger = await processes.start(timings=HASTY)
    await sent(ledger)
    copy_to(ledger.path, tmp_path / "copy")
    attempt = await sent(ledger)
    later = await reserve(ledger)
    if is_in_place:
        with closing(sqlite3.connect(tmp_path / "copy")) as copy, closing(sqlite3.connect(ledger.path)) as target:
            copy.backup(target)
    else:
        replace_with(tmp_path / "copy", ledger.path)
    with pytest.raises(LedgerError, match="another file has taken its place"):
        await later.sent()
    await nothing_is_paid(ledger, "another file has taken its place")
    assert await attempt.settled(RESPONSE) == ()
    assert len(spilled(ledger)) == 1  # for whoever uses a whole file


@posix_only
@pytest.mark.parametrize("kind", ["an older copy", "another ledger", "another ledger with more sent requests"])
async def test_new_process_rejects_a_replaced_file_while_the_old_user_lives(
    processes: Processes, tmp_path: Path, kind: str
) -> None:
    ledger = await processes.start()
    await sent(ledger)
    if kind == "an older copy":
        copy_to(ledger.path, tmp_path / "copy")
        await sent(ledger)
    else:
        other = SqliteConnection(tmp_path / "copy")
        for _ in range(9 if "more" in kind else 0):
            await other.write(lambda store: store.count_sent())
        await other.read(lambda store: store.header())
        await other.close()
    replace_with(tmp_path / "copy", ledger.path)
    new = await processes.start()
    for _ in range(2):
        with pytest.raises(LedgerError, match=f"replaced while the server with the process id {os.getpid()} used it"):
            await reserve(new)
    die(ledger)
    await new.spending_today()


@posix_only
async def test_copy_that_lacks_nothing_is_used(processes: Processes, tmp_path: Path) -> None:
    ledger = await processes.start()
    await sent(ledger)
    copy_to(ledger.path, tmp_path / "copy")
    replace_with(tmp_path / "copy", ledger.path)
    await sent(ledger)
    assert await spent(ledger) == 84_000


@posix_only
async def test_older_copy_with_the_newer_log_loses_no_sent_request(processes: Processes, tmp_path: Path) -> None:
    ledger = await processes.start()
    copied = await sent(ledger)
    copy_to(ledger.path, tmp_path / "copy")
    attempts = [copied, await sent(ledger), await reserve(ledger)]
    (tmp_path / "copy").rename(ledger.path)
    await attempts[-1].sent()
    other = await processes.start()
    assert [await state_of(other, each.id) for each in attempts] == ["sent"] * 3


@posix_only
async def test_reservation_missing_from_a_copy_is_not_sent(processes: Processes, tmp_path: Path) -> None:
    ledger = await processes.start()
    await sent(ledger)
    copy_to(ledger.path, tmp_path / "copy")
    attempt = await reserve(ledger)
    replace_with(tmp_path / "copy", ledger.path)
    with pytest.raises(LedgerError, match="was given up"):
        await attempt.sent()


@posix_only
async def test_other_processes_see_writes_to_a_restored_file(processes: Processes, tmp_path: Path) -> None:
    ledger, other = await processes.start(), await processes.start()
    for each in (ledger, other):
        await sent(each)
    copy_to(ledger.path, tmp_path / "copy")
    replace_with(tmp_path / "copy", ledger.path)
    for each in (ledger, other):
        await sent(each)
    await ledger.transactions.close()
    assert await spent(other) == 4 * 42_000
    assert rows(ledger.path, "PRAGMA integrity_check") == [("ok",)]


@posix_only
async def test_file_moved_during_a_write_commits_nothing(processes: Processes) -> None:
    ledger = await processes.start()
    await reserve(ledger)
    with pytest.raises(LedgerError, match="another file has taken its place"):
        await ledger.write(lambda store: ledger.path.rename(ledger.path.with_name("away")))


async def test_file_changed_by_a_newer_version_is_not_used(processes: Processes) -> None:
    ledger = await processes.start()
    attempt = await reserve(ledger)
    change(ledger.path, f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LedgerError, match="a newer version"):
        await attempt.sent()
    with pytest.raises(LedgerError, match="a newer version"):
        await attempt.status()


# the folder of the locks


def remove_locks(ledger: Ledger) -> None:
    shutil.rmtree(ledger.path.with_name(f"{ledger.path.name}.locks"))


@posix_only
def use_new_locks(ledger: Ledger) -> None:
    """Do what the operator's word does, which is not taken while others have the file open."""
    change(ledger.path, "UPDATE ledger SET lock_folder = ''")


async def test_replaced_lock_folder_stops_processes_that_used_the_old_one(processes: Processes) -> None:
    ledger, other = await processes.start(timings=HASTY), await processes.start()
    attempt, left = await reserve(ledger), await sent(ledger)
    remove_locks(ledger)
    with pytest.raises(LedgerError, match="lock folder of the ledger was replaced") as caught:
        await attempt.sent()
    assert "until the server is restarted" in caught.value.hint
    await nothing_is_paid(ledger, "lock folder of the ledger was replaced")
    use_new_locks(other)
    assert await states(other) == ["released", "unknown"]  # it sees nobody
    await left.settled(RESPONSE)
    assert await states(other) == ["released", "settled"]


@posix_only
async def test_replaced_lock_folder_stops_them_even_once_others_use_the_new_one(processes: Processes) -> None:
    ledger, other = await processes.start(timings=HASTY), await processes.start()
    attempt = await reserve(ledger)
    remove_locks(ledger)
    use_new_locks(other)  # it has not used the old one
    await other.spending_today()
    with pytest.raises(LedgerError):
        await attempt.sent()
    await nothing_is_paid(ledger, "lock folder of the ledger was replaced")


@posix_only
async def test_restored_lock_folder_stops_them_once_others_used_another(processes: Processes) -> None:
    ledger, other = await processes.start(timings=HASTY), await processes.start()
    attempt = await reserve(ledger)
    locks = ledger.path.with_name(f"{ledger.path.name}.locks")
    away = locks.rename(locks.with_name("away"))
    use_new_locks(other)
    await other.spending_today()  # it sees nobody
    shutil.rmtree(locks)
    away.rename(locks)
    with pytest.raises(LedgerError, match="lock folder of the ledger was replaced"):
        await attempt.sent()
    await nothing_is_paid(ledger, "lock folder of the ledger was replaced")


# forks


FORKING = """
import anyio, gc, os, sys
from contextlib import suppress
from pathlib import Path
from blockrun_image.errors import LedgerError
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection

connection = SqliteConnection(Path(sys.argv[1]))

def count() -> int:
    return anyio.run(connection.write, lambda store: (store.count_sent(), store.header().sent_count)[1])

def is_open() -> bool:
    for descriptor in range(256):
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.stat(sys.argv[1])):
                return True
    return False

count()
child = os.fork()
if child == 0:
    try:
        count()
    except LedgerError as error:
        print(error.message, flush=True)
    del connection
    gc.collect()
    print("left open" if is_open() else "closed", flush=True)
    sys.exit()  # which closes all that is not kept open
os.waitpid(child, 0)
print(count())
held = connection._connection
held.execute("BEGIN IMMEDIATE")
other = os.spawnlp(
    os.P_WAIT, sys.executable, sys.executable, "-c",
    "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')", sys.argv[1],
)
print("locked" if other else "its locks are gone")
"""


@only_on_posix("forks")
async def test_fork_leaves_the_connection_to_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = await anyio.run_process(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(path)], env=environment, stderr=subprocess.DEVNULL
    )
    child, file, parent, lock = done.stdout.decode().splitlines()[:4]
    assert "this process was forked from one that uses it; start a new process instead" in child
    assert (file, parent, lock) == ("left open", "2", "locked")
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
