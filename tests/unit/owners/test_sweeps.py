"""The files of the dead, which are swept, and those of the living, which are not."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.owners import MakeOwners, Start, dead, line, names, tell
from tests.support.platforms import only_on_posix

from blockrun_image_mcp.ledger.owners import Owners

posix_only = only_on_posix("signals, forks and flock")

if sys.platform != "win32":
    import fcntl


def test_sweep_keeps_living_and_referenced_owners(owners: Owners, make_owners: MakeOwners, folder: Path) -> None:
    own, living = owners.acquire(), make_owners().acquire()
    named, *gone = dead(make_owners), dead(make_owners), dead(make_owners)
    identity = owners.folder_identity()
    (folder / "notes.lock").write_text("not ours")
    kept = sorted([f"{own}.lock", f"{living}.lock", "identity", "notes.lock"])
    assert len(names(folder)) == 7
    assert owners.sweep({named, *gone}) == 0
    assert owners.sweep(named.__eq__) == 2
    assert names(folder) == sorted([*kept, f"{named}.lock"])
    assert owners.sweep(frozenset()) == 1
    assert names(folder) == kept
    assert owners.is_alive(own)
    assert make_owners().is_alive(living)
    assert owners.folder_identity() == identity


@posix_only
def test_sweep_removes_unlocked_unfinished_files(owners: Owners, folder: Path) -> None:
    owners.folder_identity()
    gone, held = folder / f"{'a' * 32}.new", folder / f"{'b' * 32}.new"
    for path in (gone, held):
        path.write_text("")
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert owners.sweep({gone.stem}) == 1
        assert names(folder) == [held.name, "identity"]


@posix_only
def test_sweep_keeps_a_file_that_replaced_a_dead_owners(
    owners: Owners, make_owners: MakeOwners, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, living = dead(make_owners), make_owners().acquire()
    flock: Callable[[int, int], None] = fcntl.flock

    def replace_first(descriptor: int, operation: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{living}.lock").rename(folder / f"{gone}.lock")
        flock(descriptor, operation)

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", replace_first)
        assert owners.sweep({living}) == 0
    assert owners.is_alive(gone)


@posix_only
def test_a_file_is_swept_while_its_lock_is_held(
    owners: Owners, make_owners: MakeOwners, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = dead(make_owners)
    seen: list[bool] = []
    unlink = Path.unlink

    def look_first(path: Path, missing_ok: bool = False) -> None:
        seen.append(owners.is_alive(id))
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", look_first)
        assert owners.sweep(set()) == 1
    assert seen == [True]


@posix_only
def test_sweep_continues_if_another_is_faster(
    owners: Owners, make_owners: MakeOwners, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [dead(make_owners) for _ in range(3)]

    def is_named(id: str) -> bool:
        if id == gone[2]:
            assert make_owners().sweep(set(gone[1:])) == 1
        return False

    assert owners.sweep(is_named) == 2


@posix_only
def test_sweep_keeps_files_of_another_user(
    owners: Owners, make_owners: MakeOwners, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = dead(make_owners)
    dead(make_owners)

    def may_not_open(path: Path, *arguments: int) -> int:
        if path.stem == theirs:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_file(path, *arguments)

    open_file = os.open
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", may_not_open)
        assert owners.sweep(set()) == 1
    assert names(folder) == [f"{theirs}.lock"]


SWEEPING = """
say("ready")
sys.stdin.readline()
say(sum(owners.sweep(set()) for _ in range(300)))
"""
COMING_AND_GOING = """
say("ready")
sys.stdin.readline()
for _ in range(150):
    id = owners.acquire()
    assert Owners(folder).is_alive(id)
    assert (folder / f"{id}.lock").exists()
    owners.release(remove=False)
say(150)
"""


@posix_only
def test_processes_can_come_and_go_while_others_sweep(owners: Owners, folder: Path, start: Start) -> None:
    coming = [start(COMING_AND_GOING, folder) for _ in range(2)]
    sweeping = [start(SWEEPING, folder) for _ in range(2)]
    assert {line(process) for process in [*coming, *sweeping]} == {"ready"}
    for process in [*coming, *sweeping]:
        tell(process)
    assert [line(process) for process in coming] == ["150"] * 2
    swept = sum(int(line(process)) for process in sweeping)
    assert swept + owners.sweep(set()) >= 300  # more, if some had no lock yet, and were made once more
    assert names(folder) == []
