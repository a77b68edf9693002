"""Who is alive, asked of real processes that end in every way."""

import errno
import os
import signal
import stat
import sys
from pathlib import Path

import pytest
from tests.support.owners import (
    HOLDING,
    MakeOwners,
    Start,
    dead,
    end,
    line,
    living_pids,
    lowest_free_descriptor,
    names,
    tell,
)
from tests.support.platforms import only_on_posix

from blockrun_image_mcp.ledger.owners import Owners

if sys.platform != "win32":
    import fcntl

posix_only = only_on_posix("signals, forks and flock")

NOBODY = "0" * 32


def test_process_has_a_random_id_once_it_acquires_one(owners: Owners, make_owners: MakeOwners) -> None:
    assert owners.id is None
    id = owners.acquire()
    assert (owners.id, owners.acquire()) == (id, id)
    assert len(id) == 32
    assert owners.is_alive(id)
    assert owners.locks_work
    assert make_owners().acquire() != id


@posix_only
def test_folder_and_files_are_private_to_the_user(owners: Owners, folder: Path) -> None:
    before = os.umask(0)
    try:
        owners.acquire()
        owners.folder_identity()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_process_is_alive_until_it_exits(owners: Owners, folder: Path, start: Start) -> None:
    process = start(HOLDING, folder)
    id = line(process)
    assert owners.is_alive(id)
    end(process)
    assert not owners.is_alive(id)
    assert names(folder) == [f"{id}.lock"]


def test_a_killed_process_is_dead(owners: Owners, folder: Path, start: Start) -> None:
    process = start(HOLDING, folder)
    id = line(process)
    process.kill()
    process.wait()
    assert not owners.is_alive(id)


@posix_only
def test_a_stopped_process_is_alive(owners: Owners, folder: Path, start: Start) -> None:
    process = start(HOLDING, folder)
    id = line(process)
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    assert owners.is_alive(id)


def test_unknown_or_invalid_id_is_not_alive(owners: Owners, folder: Path, tmp_path: Path) -> None:
    living = Owners(tmp_path / "elsewhere")
    elsewhere = living.acquire()
    assert not owners.is_alive(NOBODY)  # there is no folder yet
    owners.acquire()
    assert not owners.is_alive(NOBODY)
    assert not owners.is_alive(elsewhere)
    assert not owners.is_alive(f"../../elsewhere/{elsewhere}")
    assert not owners.is_alive("")
    assert not owners.is_alive("\0")
    living.release(remove=True)


def test_no_owner_is_alive_if_a_file_replaces_the_folder(owners: Owners, folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("")
    assert not owners.is_alive(NOBODY)
    with pytest.raises(OSError, match="exists"):
        owners.acquire()


def test_folder_stays_the_same_after_changing_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here, there = Owners(Path("owners")), Owners(Path("owners"))
    id = here.acquire()
    monkeypatch.chdir(tmp_path.parent)
    assert there.is_alive(id)
    here.release(remove=True)
    assert names(tmp_path / "owners") == []


def test_two_owners_in_one_process_see_one_another(make_owners: MakeOwners) -> None:
    one, other = make_owners(), make_owners()
    id, others = one.acquire(), other.acquire()
    assert other.is_alive(id)
    assert one.is_alive(others)
    one.release(remove=False)
    assert not other.is_alive(id)
    assert one.is_alive(others)


@pytest.mark.parametrize("remove", [True, False])
def test_released_owner_is_dead_and_can_acquire_a_new_id(
    owners: Owners, make_owners: MakeOwners, folder: Path, remove: bool
) -> None:
    owners.release(remove=remove)
    id = owners.acquire()
    owners.release(remove=remove)
    owners.release(remove=remove)
    assert owners.id is None
    assert not owners.is_alive(id)
    assert not make_owners().is_alive(id)
    assert names(folder) == ([] if remove else [f"{id}.lock"])
    assert owners.acquire() != id


@posix_only
def test_a_file_is_removed_while_its_lock_is_held(
    owners: Owners, make_owners: MakeOwners, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_owners()
    id = owners.acquire()
    seen: list[bool] = []
    unlink = Path.unlink

    def look_first(path: Path, missing_ok: bool = False) -> None:
        seen.append(other.is_alive(id))
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", look_first)
        owners.release(remove=True)
    assert seen == [True]


@posix_only
def test_owner_that_cannot_remove_its_file_is_still_dead(
    owners: Owners, make_owners: MakeOwners, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    id = owners.acquire()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fail)
        with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
            owners.release(remove=True)
    assert not make_owners().is_alive(id)


@posix_only
def test_process_stays_alive_after_its_folder_is_deleted(owners: Owners, make_owners: MakeOwners, folder: Path) -> None:
    other = make_owners()
    id, others = owners.acquire(), other.acquire()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert owners.is_alive(id)
    assert not owners.is_alive(others)
    assert (owners.sweep(set()), living_pids(owners)) == (0, {})
    owners.release(remove=True)


def test_pids_of_living_processes_are_readable(
    owners: Owners, make_owners: MakeOwners, folder: Path, start: Start
) -> None:
    assert living_pids(owners) == {}
    dead(make_owners)
    process = start(HOLDING, folder)
    id = line(process)
    assert living_pids(owners) == {id: process.pid}
    own = owners.acquire()
    assert living_pids(owners) == {id: process.pid, own: os.getpid()}


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", '{"pid": null}', '{"pid": "many"}'])
def test_unreadable_pid_is_skipped(owners: Owners, make_owners: MakeOwners, folder: Path, note: str) -> None:
    readable = make_owners().acquire()
    (folder / f"{owners.acquire()}.lock").write_text(note)
    assert living_pids(owners) == {readable: os.getpid()}


@posix_only
def test_failed_lock_check_is_an_error_and_not_a_death(
    owners: Owners, make_owners: MakeOwners, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_owners()
    id = other.acquire()

    def fail(descriptor: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", fail)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            owners.is_alive(id)
        assert living_pids(owners) == {}
    assert owners.is_alive(id)


@posix_only
def test_concurrent_check_does_not_count_as_alive(owners: Owners, make_owners: MakeOwners, folder: Path) -> None:
    id = dead(make_owners)
    with (folder / f"{id}.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert not owners.is_alive(id)


ASKING = """
others = sys.argv[2:]
say("ready")
sys.stdin.readline()
say(*[sum(owners.is_alive(id) for _ in range(200)) for id in others])
"""


@posix_only
def test_concurrent_checks_neither_revive_the_dead_nor_free_live_locks(
    owners: Owners, make_owners: MakeOwners, folder: Path, start: Start
) -> None:
    gone, living = dead(make_owners), owners.acquire()
    asking = [start(ASKING, folder, gone, living) for _ in range(6)]
    assert [line(process) for process in asking] == ["ready"] * 6
    for process in asking:
        tell(process)
    assert [line(process) for process in asking] == ["0 200"] * 6
    assert [make_owners().is_alive(id) for id in (gone, living)] == [False, True]


def test_checks_leave_no_file_open(owners: Owners, make_owners: MakeOwners, folder: Path) -> None:
    gone, living = dead(make_owners), make_owners().acquire()
    before = lowest_free_descriptor()
    for _ in range(3):
        owners.is_alive(gone)
        owners.is_alive(living)
        living_pids(owners)
        owners.folder_identity()
        owners.sweep({gone})
    owners.sweep(set())
    owners.acquire()
    owners.release(remove=True)
    assert lowest_free_descriptor() == before


def test_living_processes_publish_what_they_saw_of_their_ledger(make_owners: MakeOwners) -> None:
    one, other = make_owners(), make_owners()
    one.note("a ledger", 1)  # without an id there is nobody to tell it
    one.acquire()
    assert [(each.ledger_identity, each.sent_count) for each in other.live_processes()] == [("", 0)]
    one.note("a ledger with a very long name", 123_456)
    one.note("short", 7)
    assert [(each.ledger_identity, each.sent_count) for each in other.live_processes()] == [("short", 7)]
    one.release(remove=False)
    assert other.live_processes() == []
