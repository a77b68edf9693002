"""What happened while the database could not be written: it is kept, and reaches the ledger once."""

import errno
import json
import os
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import (
    HASTY,
    MINE,
    PATIENT,
    RESPONSE,
    UNLIMITED,
    Processes,
    collected,
    die,
    locked,
    reserve,
    rows,
    sent,
    settled,
    spilled,
    spilled_settlement,
    state_of,
    states,
    until_written,
)
from tests.support.platforms import only_on_posix

from blockrun_image.images import Image, ImagesResponse
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection

pytestmark = pytest.mark.anyio

posix_only = only_on_posix("open files that can be moved, and folders that can be synced")


async def test_settlement_is_spilled_if_the_database_is_locked(processes: Processes) -> None:
    ledger = await processes.start(timings=PATIENT)
    attempt = await sent(ledger)
    with locked(ledger.path):
        assert await attempt.settled(RESPONSE) == ()
        (path,) = spilled(ledger)
        assert json.loads(path.read_text("utf-8"))["event"] == "settled"
        assert rows(ledger.path, "SELECT state FROM spending") == [("sent",)]


async def test_next_transaction_of_another_process_applies_a_spilled_record(processes: Processes) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    attempt = await spilled_settlement(ledger)
    assert (await states(other), spilled(other)) == (["settled"], [])
    assert (await other.status(attempt.id)).response == RESPONSE


@pytest.mark.parametrize("way", ["status", "sweep", "begin", "recent"])
async def test_any_access_applies_spilled_records_first(processes: Processes, way: str) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    attempt = await spilled_settlement(ledger)
    if way == "begin":
        die(ledger)  # what it has written itself counts before its death does
    match way:
        case "status":
            assert await state_of(other, attempt.id) == "settled"
        case "sweep":
            await other.sweep()
        case "begin":
            assert await collected(other) == attempt.id
        case _:
            await other.recent(1)
    assert rows(other.path, "SELECT state FROM spending") == [("settled",)]
    assert spilled(other) == []


async def test_spilled_file_remains_until_its_record_is_committed(processes: Processes) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    await spilled_settlement(ledger)
    files = spilled(ledger)
    with pytest.raises(ZeroDivisionError):
        await other.write(lambda store: 1 // 0)
    assert (rows(ledger.path, "SELECT state FROM spending"), spilled(other)) == ([("sent",)], files)
    assert (await states(other), spilled(other)) == (["settled"], [])


@posix_only
async def test_spilled_file_is_complete_and_synced_before_its_final_rename(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await processes.start(timings=PATIENT)
    attempt = await sent(ledger)
    fsync, rename = os.fsync, Path.replace
    synced: list[int] = []

    def note(descriptor: int) -> None:
        assert [path.suffix for path in spilled(ledger)] == [".json" if synced else ".part"]
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    def rename_whole(path: Path, target: Path) -> Path:
        assert json.loads(path.read_text("utf-8"))["event"] == "settled"
        assert synced == [path.stat().st_ino]
        return rename(path, target)

    with locked(ledger.path), monkeypatch.context() as patched:
        patched.setattr(os, "fsync", note)
        patched.setattr(Path, "replace", rename_whole)
        assert await attempt.settled(RESPONSE) == ()
    (path,) = spilled(ledger)
    assert path.suffix == ".json"
    assert synced == [path.stat().st_ino, path.parent.stat().st_ino]


async def test_failed_spill_leaves_no_file(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = await processes.start(timings=PATIENT)
    attempt = await sent(ledger)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with locked(ledger.path), monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        (warning,) = await attempt.settled(RESPONSE)
    assert "may be lost if the server is killed now" in warning
    assert (spilled(ledger), await states(ledger)) == ([], ["settled"])


async def test_record_of_a_cancelled_call_is_on_disk_before_the_call_ends(processes: Processes) -> None:
    ledger = await processes.start(timings=PATIENT)
    attempt = await sent(ledger)
    with locked(ledger.path), anyio.CancelScope() as scope:
        scope.cancel()
        await attempt.settled(RESPONSE)
    assert len(spilled(ledger)) == 1


async def test_living_process_writes_its_spilled_records_and_removes_the_files(processes: Processes) -> None:
    ledger = await processes.start(timings=HASTY)
    attempt = await sent(ledger, "job_1")
    with locked(ledger.path):
        await attempt.settled(RESPONSE)
        await attempt.mark_delivered()
        assert len(spilled(ledger)) == 2
    await until_written(ledger)
    assert spilled(ledger) == []
    assert rows(ledger.path, "SELECT state, is_delivered FROM spending") == [("settled", 1)]


async def test_process_sees_its_own_records_before_they_are_written(processes: Processes) -> None:
    ledger = await processes.start(timings=PATIENT)
    attempt = await spilled_settlement(ledger)
    (path,) = spilled(ledger)
    path.unlink()  # so that only its memory has it
    assert await attempt.status() == replace(await attempt.status(), response=RESPONSE)
    assert await state_of(ledger, attempt.id) == "settled"


async def test_jobs_with_unwritten_ends_are_not_swept(processes: Processes) -> None:
    ledger = await processes.start(timings=PATIENT)
    attempts = [await sent(ledger, "job_1"), await sent(ledger, "job_2")]
    with locked(ledger.path):
        for attempt in attempts:
            await attempt.settled(RESPONSE)
    for path in spilled(ledger):
        path.unlink()  # so that only its memory has it
    assert len(ledger.outbox.pending) == 2
    assert await ledger.sweep() == {}


async def test_file_of_a_record_written_meanwhile_is_removed(processes: Processes) -> None:
    ledger = await processes.start(timings=HASTY)
    attempt = await sent(ledger)

    def clock() -> float:
        """Tell the time in the transaction that writes the record, once that was spilled."""
        while not [path for path in spilled(ledger) if path.suffix == ".json"]:
            time.sleep(0.001)
        return processes.clock.now

    ledger.clock = clock
    assert await attempt.settled(RESPONSE) == ()
    await until_written(ledger)
    assert spilled(ledger) == []


async def test_answer_is_not_delayed_by_a_locked_database(processes: Processes) -> None:
    ledger = await processes.start(timings=replace(HASTY, busy_seconds=60.0))
    attempt = await sent(ledger)
    with locked(ledger.path), anyio.fail_after(20):
        await attempt.settled(RESPONSE)
    await until_written(ledger)


async def test_record_written_in_time_is_never_spilled(processes: Processes) -> None:
    ledger = await processes.start()
    await (await settled(ledger)).mark_delivered()
    assert not ledger.outbox.folder.exists()


async def test_ended_process_spills_its_unwritten_records(processes: Processes, clock: Clock) -> None:
    timings, other = replace(PATIENT, spill_seconds=600.0), await processes.start()
    connection = SqliteConnection(processes.path, timings)
    ledger = Ledger(connection, processes.path, UNLIMITED, MINE, clock=clock, timings=timings)
    async with anyio.create_task_group() as tasks:
        async with ledger:
            attempt = await sent(ledger)
            lock = locked(processes.path)
            lock.__enter__()
            tasks.start_soon(attempt.settled, RESPONSE)
            await anyio.wait_all_tasks_blocked()
            assert spilled(ledger) == []
        (path,) = spilled(ledger)
        assert path.name.startswith(attempt.id)
        lock.__exit__(None, None, None)
        assert (await state_of(other, attempt.id), spilled(ledger)) == ("settled", [])
        await ledger.spending_today()  # which ends the task
    await connection.close()


@pytest.mark.parametrize("is_folder_missing", [True, False])
async def test_record_that_cannot_be_spilled_stays_in_memory_with_a_warning(
    processes: Processes, is_folder_missing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = await processes.start(timings=HASTY)
    attempt = await sent(ledger)
    if is_folder_missing:
        ledger.outbox.folder = ledger.path / "no folder"  # below a file
    else:
        ledger.outbox.folder.write_bytes(b"a file where the folder should be")
    with locked(ledger.path):
        (warning,) = await attempt.settled(RESPONSE)
    assert "may be lost if the server is killed now" in warning
    assert f"a record of {attempt.id} is only in memory" in caplog.text
    await until_written(ledger)
    assert await states(ledger) == ["settled"]


@posix_only
async def test_unspilled_record_is_written_once_the_moved_database_is_back(processes: Processes) -> None:
    ledger = await processes.start(timings=HASTY)
    attempt, away = await sent(ledger), processes.path.with_name("away")
    ledger.outbox.folder.write_bytes(b"a file where the folder should be")
    ledger.path.rename(away)
    assert await attempt.settled(RESPONSE) != ()
    away.rename(ledger.path)
    await until_written(ledger)
    assert await states(ledger) == ["settled"]


async def test_unspilled_record_is_written_once_the_full_disk_has_room(processes: Processes) -> None:
    ledger = await processes.start(timings=HASTY)
    attempt = await sent(ledger)
    ledger.outbox.folder.write_bytes(b"a file where the folder should be")
    disk = small_disk(ledger)
    assert await attempt.settled(ImagesResponse([Image(f"https://x/{'1' * 50_000}")])) != ()
    disk.execute("PRAGMA max_page_count = 1000000")
    await until_written(ledger)
    assert await states(ledger) == ["settled"]


def small_disk(ledger: Ledger) -> sqlite3.Connection:
    """Let the file grow no more, and return the connection that can undo this."""
    connection = ledger.transactions
    assert isinstance(connection, SqliteConnection)
    inner = connection._connection  # pyright: ignore[reportPrivateUsage] - a small disk, as SQLite sees it
    assert inner is not None
    inner.execute("PRAGMA max_page_count = 1")
    return inner


async def test_unspilled_acceptance_is_reported(processes: Processes) -> None:
    ledger = await processes.start(timings=HASTY)
    attempt = await sent(ledger)
    ledger.outbox.folder.write_bytes(b"a file where the folder should be")
    with locked(ledger.path):
        assert not await attempt.accepted("job_1")
    await until_written(ledger)
    assert await states(ledger) == ["accepted"]


async def test_files_that_cannot_be_removed_block_nothing(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    attempt = await spilled_settlement(ledger)

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(13, "read-only, or open in another process on Windows", str(path))

    monkeypatch.setattr(Path, "unlink", unlink)
    for each in (other, ledger):
        assert await states(each) == ["settled"]
    again = await reserve(other)
    await again.sent()
    assert await state_of(ledger, attempt.id) == "settled"


async def test_record_both_spilled_and_written_is_applied_once(processes: Processes, clock: Clock) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    attempt = await spilled_settlement(ledger)
    (path,) = spilled(ledger)
    copy = path.read_bytes()
    await ledger.spending_today()
    (before,) = rows(ledger.path, "SELECT * FROM spending")
    clock.now += 60
    path.write_bytes(copy)  # as if it had been killed between the commit and the removal
    await other.spending_today()
    assert rows(ledger.path, "SELECT * FROM spending") == [before]
    assert spilled(ledger) == []
    assert await state_of(other, attempt.id) == "settled"


async def test_records_of_an_attempt_are_applied_in_order(processes: Processes) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    attempt = await sent(ledger)
    with locked(ledger.path):
        await attempt.accepted("job_1")
        for _ in range(9):
            attempt.sequence += 1
        await attempt.settled(RESPONSE)
    assert [each.name.split("-")[-1] for each in spilled(ledger)] == ["settled.json", "accepted.json"]
    await other.spending_today()
    assert rows(ledger.path, "SELECT state, job FROM spending") == [("settled", "job_1")]


async def test_old_record_does_not_abandon_a_caller_who_waits_again(processes: Processes) -> None:
    ledger = await processes.start(timings=replace(HASTY, busy_seconds=20.0))
    attempt = await sent(ledger)
    begun: list[str | None] = []

    async def call_again() -> None:
        begun.append(await collected(ledger))

    async with anyio.create_task_group() as tasks:
        with locked(ledger.path):
            await attempt.mark_abandoned()
            tasks.start_soon(call_again)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(ledger.spending_today)
            await anyio.wait_all_tasks_blocked()
    assert begun == [attempt.id]
    assert rows(ledger.path, "SELECT delivery FROM callers") == [("pending",)]
