"""Who is alive, asked of real processes that end in every way."""

import contextlib
import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.platforms import only_on_posix

from blockrun_image_mcp.ledger import owners as ledger_owners
from blockrun_image_mcp.ledger.owners import Owners

if sys.platform != "win32":
    import fcntl

posix_only = only_on_posix("signals, forks and flock")

NOBODY = "0" * 32
BEGINNING = """
import os, sys, threading
from pathlib import Path
from blockrun_image_mcp.ledger.owners import Owners
folder = Path(sys.argv[1])
owners = Owners(folder)

def say(*words):
    print(*words, flush=True)
"""
HOLDING = """
say(owners.acquire())
sys.stdin.read()
"""

Process = subprocess.Popen[str]


def living_pids(owners: Owners) -> dict[str, int]:
    return {each.id: each.pid for each in owners.living()}


Start = Callable[..., Process]
MakeOwners = Callable[[], Owners]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python programs, none of which outlives the test."""
    processes: list[Process] = []

    def begin(program: str, *arguments: object) -> Process:
        command = [sys.executable, "-c", BEGINNING + program, *map(str, arguments)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if sys.platform == "win32":
            process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and has left no child behind
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "owners"


@pytest.fixture
def make_owners(folder: Path) -> Iterator[MakeOwners]:
    made: list[Owners] = []

    def make() -> Owners:
        made.append(Owners(folder))
        return made[-1]

    yield make
    for owners in made:
        owners.release(remove=False)


@pytest.fixture
def owners(make_owners: MakeOwners) -> Owners:
    return make_owners()


def line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def end(process: Process) -> None:
    process.communicate()
    assert process.returncode == 0


def dead(make_owners: MakeOwners) -> str:
    """Return the id of an owner whose file is still there."""
    owners = make_owners()
    id = owners.acquire()
    owners.release(remove=False)
    return id


def names(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_process_has_a_random_id_once_it_has_asked_for_one(owners: Owners, make_owners: MakeOwners) -> None:
    assert owners.id is None
    id = owners.acquire()
    assert (owners.id, owners.acquire()) == (id, id)
    assert len(id) == 32
    assert owners.is_alive(id)
    assert owners.can_judge
    assert make_owners().acquire() != id


@posix_only
def test_the_folder_and_its_files_are_for_their_user_alone(owners: Owners, folder: Path) -> None:
    before = os.umask(0)
    try:
        owners.acquire()
        owners.identity()
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


def test_nobody_is_alive_whose_id_is_unknown_or_no_id(owners: Owners, folder: Path, tmp_path: Path) -> None:
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


def test_nobody_is_alive_where_a_file_has_the_folders_place(owners: Owners, folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("")
    assert not owners.is_alive(NOBODY)
    with pytest.raises(OSError, match="exists"):
        owners.acquire()


def test_the_folder_stays_where_it_was_when_the_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
def test_who_gives_its_id_up_is_dead_and_can_come_back_as_another(
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
def test_who_cannot_remove_its_file_is_dead_all_the_same(
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
def test_a_living_process_outlives_its_folder(owners: Owners, make_owners: MakeOwners, folder: Path) -> None:
    other = make_owners()
    id, others = owners.acquire(), other.acquire()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert owners.is_alive(id)
    assert not owners.is_alive(others)
    assert (owners.sweep(set()), living_pids(owners)) == (0, {})
    owners.release(remove=True)


def test_the_pids_of_the_living_can_be_read(
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
def test_a_pid_that_cannot_be_read_is_left_out(
    owners: Owners, make_owners: MakeOwners, folder: Path, note: str
) -> None:
    readable = make_owners().acquire()
    (folder / f"{owners.acquire()}.lock").write_text(note)
    assert living_pids(owners) == {readable: os.getpid()}


@posix_only
def test_a_lock_that_cannot_be_tried_is_an_error_and_no_death(
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
def test_those_who_ask_at_once_do_not_see_one_another(owners: Owners, make_owners: MakeOwners, folder: Path) -> None:
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
def test_many_who_ask_at_once_neither_revive_the_dead_nor_free_the_locks_of_the_living(
    owners: Owners, make_owners: MakeOwners, folder: Path, start: Start
) -> None:
    gone, living = dead(make_owners), owners.acquire()
    asking = [start(ASKING, folder, gone, living) for _ in range(6)]
    assert [line(process) for process in asking] == ["ready"] * 6
    for process in asking:
        tell(process)
    assert [line(process) for process in asking] == ["0 200"] * 6
    assert [make_owners().is_alive(id) for id in (gone, living)] == [False, True]


def test_to_ask_leaves_nothing_open(owners: Owners, make_owners: MakeOwners, folder: Path) -> None:
    gone, living = dead(make_owners), make_owners().acquire()
    before = lowest_free_descriptor()
    for _ in range(3):
        owners.is_alive(gone)
        owners.is_alive(living)
        living_pids(owners)
        owners.identity()
        owners.sweep({gone})
    owners.sweep(set())
    owners.acquire()
    owners.release(remove=True)
    assert lowest_free_descriptor() == before


def lowest_free_descriptor() -> int:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


FORKING = """
id = owners.acquire()
if child := os.fork():
    os.waitpid(child, 0)
    thread = threading.Thread(target=Owners(folder).acquire)  # forks wait no longer, and keep no thread waiting
    thread.start()
    thread.join()
    say(id)
    sys.stdin.read()
else:
    os._exit(0)
"""


@posix_only
def test_a_forked_child_that_exits_leaves_its_parent_alive(owners: Owners, folder: Path, start: Start) -> None:
    process = start(FORKING, folder)
    id = line(process)
    assert owners.is_alive(id)
    end(process)
    assert not owners.is_alive(id)


ORPHANING = """
id = owners.acquire()
if os.fork():
    sys.stdin.read()
else:
    say(id, owners.id, owners.is_alive(id), owners.acquire())
    sys.stdin.readline()
    say("going on")
    sys.stdin.read()
"""


@posix_only
def test_a_forked_child_has_an_id_of_its_own_and_does_not_keep_its_parent_alive(
    owners: Owners, folder: Path, start: Start
) -> None:
    process = start(ORPHANING, folder)
    parent, forgotten, parent_alive, child = line(process).split()
    assert (forgotten, parent_alive) == ("None", "True")
    assert parent != child
    assert owners.is_alive(parent)
    process.kill()
    process.wait()
    assert not owners.is_alive(parent)
    assert owners.is_alive(child)
    tell(process)
    assert line(process) == "going on"


FORKING_MEANWHILE = """
write = os.write
writing, forked = threading.Event(), threading.Event()

def write_late(*arguments):
    writing.set()
    forked.wait(0.5)  # in vain, where forks wait
    return write(*arguments)

os.write = write_late
taking = threading.Thread(target=owners.acquire)
taking.start()
writing.wait()
if os.fork():
    forked.set()
    taking.join()
    say(owners.id)
    sys.stdin.read()
else:
    os.write = write
    thread = threading.Thread(target=owners.acquire)
    thread.start()
    thread.join()
    say("forked")
    os.read(0, 1)
    say("going on")
    sys.stdin.read()
"""


@posix_only
def test_a_child_forked_while_a_lock_is_taken_does_not_keep_its_parent_alive(
    owners: Owners, folder: Path, start: Start
) -> None:
    process = start(FORKING_MEANWHILE, folder)
    id, forked = sorted([line(process), line(process)], key=len, reverse=True)
    assert forked == "forked"  # until then it still has what its parent has
    assert owners.is_alive(id)
    process.kill()
    process.wait()
    assert not owners.is_alive(id)
    tell(process)
    assert line(process) == "going on"


STARTING_A_PROGRAM = """
import subprocess
say(owners.acquire())
subprocess.Popen([sys.executable, "-c", "input(); print('going on', flush=True); input()"], close_fds=False)
say("started")
sys.stdin.read()
"""


def test_a_program_that_a_process_has_started_does_not_keep_it_alive(
    owners: Owners, folder: Path, start: Start
) -> None:
    process = start(STARTING_A_PROGRAM, folder)
    id = line(process)
    assert line(process) == "started"
    assert owners.is_alive(id)
    process.kill()
    process.wait()
    assert not owners.is_alive(id)
    tell(process)
    assert line(process) == "going on"


def test_a_sweep_leaves_the_living_and_the_named(owners: Owners, make_owners: MakeOwners, folder: Path) -> None:
    own, living = owners.acquire(), make_owners().acquire()
    named, *gone = dead(make_owners), dead(make_owners), dead(make_owners)
    identity = owners.identity()
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
    assert owners.identity() == identity


@posix_only
def test_a_sweep_removes_unfinished_files_that_nobody_holds(owners: Owners, folder: Path) -> None:
    owners.identity()
    gone, held = folder / f"{'a' * 32}.new", folder / f"{'b' * 32}.new"
    for path in (gone, held):
        path.write_text("")
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert owners.sweep({gone.stem}) == 1
        assert names(folder) == [held.name, "identity"]


@posix_only
def test_a_sweep_leaves_a_file_that_has_taken_the_place_of_a_dead_ones(
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
def test_a_sweep_that_another_is_ahead_of_goes_on(
    owners: Owners, make_owners: MakeOwners, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [dead(make_owners) for _ in range(3)]

    def is_named(id: str) -> bool:
        if id == gone[2]:
            assert make_owners().sweep(set(gone[1:])) == 1
        return False

    assert owners.sweep(is_named) == 2


@posix_only
def test_a_sweep_leaves_what_another_user_has_made(
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


@posix_only
@pytest.mark.parametrize("moment", ["before the lock", "after the lock", "at the lock"])
def test_a_sweep_between_a_file_and_its_lock_costs_another_try(
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
def test_a_file_is_locked_and_whole_before_others_see_it(
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


IDENTIFYING = """
say("ready")
for line in sys.stdin:
    say(Owners(Path(line.strip())).identity())
"""


def test_processes_that_start_together_agree_on_the_identity(tmp_path: Path, start: Start) -> None:
    processes = [start(IDENTIFYING, tmp_path) for _ in range(8)]
    assert {line(process) for process in processes} == {"ready"}
    identities: set[str] = set()
    for number in range(25):
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{tmp_path / str(number)}\n")
            process.stdin.flush()
        [identity] = {line(process) for process in processes}
        assert names(tmp_path / str(number)) == ["identity"]
        identities.add(identity)
    assert len(identities) == 25


@posix_only
@pytest.mark.parametrize("faster", ["a sweep", "another process"])
def test_an_identity_is_written_whole_or_read_from_whoever_was_faster(
    owners: Owners, make_owners: MakeOwners, folder: Path, monkeypatch: pytest.MonkeyPatch, faster: str
) -> None:
    link, fsync = Path.hardlink_to, os.fsync
    others: list[str] = []
    on_disk: list[int] = []

    def be_faster(path: Path, target: Path) -> None:
        assert len(target.read_text()) == 32
        assert on_disk == [target.stat().st_ino]
        monkeypatch.undo()
        if faster == "a sweep":
            assert make_owners().sweep(set()) == 1
        else:
            others.append(make_owners().identity())
        link(path, target)

    def note(descriptor: int) -> None:
        fsync(descriptor)
        on_disk.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(Path, "hardlink_to", be_faster)
    monkeypatch.setattr(os, "fsync", note)
    identity = owners.identity()
    assert others in ([], [identity])
    assert names(folder) == ["identity"]
    assert make_owners().identity() == identity


@pytest.mark.parametrize("text", ["", "me", "\xe9" * 32])
def test_what_is_no_identity_is_an_error_until_it_is_mended(owners: Owners, folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "identity").write_text(text, encoding="utf-8")
    with pytest.raises(OSError, match="identity"):
        owners.identity()
    owners.mend_identity()
    identity = owners.identity()
    owners.mend_identity()
    assert owners.identity() == identity


@posix_only
def test_identity_is_one_for_all_where_there_are_no_hard_links(
    owners: Owners, make_owners: MakeOwners, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, others = ledger_owners.create, list[str]()

    def no_link(_path: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def be_faster(path: Path) -> int:
        if path.name == "identity" and not others:
            others.append("")
            others[0] = make_owners().identity()
        return create(path)

    monkeypatch.setattr(Path, "hardlink_to", no_link)
    monkeypatch.setattr(ledger_owners, "create", be_faster)
    assert owners.identity() == others[0] == make_owners().identity()
    assert names(folder) == ["identity"]


@posix_only
def test_where_locks_keep_nobody_out_nobody_else_can_be_judged(
    owners: Owners, make_owners: MakeOwners, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock_nothing(descriptor: int, operation: int) -> None:
        pass

    process = start(HOLDING, folder)
    id = line(process)
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", lock_nothing)
        own = owners.acquire()
        assert not owners.can_judge
        assert owners.is_alive(own)
        assert not owners.is_alive(id)
        assert living_pids(owners) == {own: os.getpid()}
        assert owners.sweep(set()) == 0
        assert make_owners().sweep(set()) == 0
    assert not owners.is_alive(id)
    assert make_owners().is_alive(id)


@posix_only
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EWOULDBLOCK])
def test_where_there_are_no_locks_no_id_is_to_be_had_and_nothing_is_left(
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


def test_living_processes_tell_what_they_have_seen_of_their_ledger(make_owners: MakeOwners) -> None:
    one, other = make_owners(), make_owners()
    one.note("a ledger", 1)  # without an id there is nobody to tell it
    one.acquire()
    assert [(each.ledger, each.sent_count) for each in other.living()] == [("", 0)]
    one.note("a ledger with a very long name", 123_456)
    one.note("short", 7)
    assert [(each.ledger, each.sent_count) for each in other.living()] == [("short", 7)]
    one.release(remove=False)
    assert other.living() == []
