"""How an owner gets its lock, and what is so where locks keep nobody out."""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.owners import HOLDING, MakeOwners, Start, line, living_pids, lowest_free_descriptor, names
from tests.support.platforms import only_on_posix

from blockrun_image_mcp.ledger.owners import Owners

posix_only = only_on_posix("signals, forks and flock")

if sys.platform != "win32":
    import fcntl


@posix_only
@pytest.mark.parametrize("moment", ["before the lock", "after the lock", "at the lock"])
def test_acquire_retries_if_a_sweep_interferes_with_its_new_file(
    owners: Owners, make_owners: MakeOwners, folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    flock: Callable[[int, int], None] = fcntl.flock
    swept: list[Path] = []

    def sweep_once(descriptor: int, operation: int) -> None:
        [path] = folder.glob("*.new")
        if swept:
            flock(descriptor, operation)
        elif moment == "at the lock":
            swept.append(path)
            raise BlockingIOError(errno.EWOULDBLOCK, "a sweep has it")
        else:
            swept.append(path)
            if moment == "after the lock":
                flock(descriptor, operation)
            path.unlink()
            flock(descriptor, operation)

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", sweep_once)
        id = owners.acquire()
    assert len(swept) == 1
    assert make_owners().is_alive(id)
    assert names(folder) == [f"{id}.lock"]


@posix_only
def test_file_is_locked_and_complete_before_others_see_it(
    owners: Owners, make_owners: MakeOwners, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks before any step sees an unfinished file at most, which is nobody's."""
    seen: list[str] = []
    other = make_owners()

    def look_before(step: Callable[..., Any]) -> Callable[..., Any]:
        def look(*arguments: Any) -> Any:
            [unfinished] = folder.iterdir()
            assert unfinished.suffix == ".new"
            assert not other.is_alive(unfinished.stem)
            seen.append(step.__name__)
            return step(*arguments)

        return look

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", look_before(fcntl.flock))
        patched.setattr(os, "write", look_before(os.write))
        patched.setattr(Path, "rename", look_before(Path.rename))
        id = owners.acquire()
    assert seen == ["flock", "flock", "write", "rename"]  # the second one looks whether the first keeps it out
    assert other.is_alive(id)
    facts = {"pid": os.getpid(), "ledger": "", "sent_count": 0}
    assert json.loads((folder / f"{id}.lock").read_text()) == facts


@posix_only
def test_ineffective_locks_prevent_judging_other_processes(
    owners: Owners, make_owners: MakeOwners, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock_nothing(descriptor: int, operation: int) -> None:
        pass

    process = start(HOLDING, folder)
    id = line(process)
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", lock_nothing)
        own = owners.acquire()
        assert not owners.locks_work
        assert owners.is_alive(own)
        assert not owners.is_alive(id)
        assert living_pids(owners) == {own: os.getpid()}
        assert owners.sweep(set()) == 0
        assert make_owners().sweep(set()) == 0
    assert not owners.is_alive(id)
    assert make_owners().is_alive(id)


@posix_only
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EWOULDBLOCK])
def test_acquire_fails_cleanly_without_lock_support(
    owners: Owners, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    before = lowest_free_descriptor()
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", fail)
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            owners.acquire()
    assert caught.value.errno == number
    assert owners.id is None
    assert names(folder) == []
    assert lowest_free_descriptor() == before
    assert owners.acquire()
