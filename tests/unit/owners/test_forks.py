"""What a process has started or forked, which does not keep it alive."""

from pathlib import Path

from tests.support.owners import Start, end, line, tell
from tests.support.platforms import only_on_posix

from blockrun_image_mcp.ledger.owners import Owners

posix_only = only_on_posix("signals, forks and flock")

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
def test_forked_child_has_its_own_id_and_does_not_keep_its_parent_alive(
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
def test_child_forked_during_locking_does_not_keep_its_parent_alive(owners: Owners, folder: Path, start: Start) -> None:
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


def test_started_program_does_not_keep_its_process_alive(owners: Owners, folder: Path, start: Start) -> None:
    process = start(STARTING_A_PROGRAM, folder)
    id = line(process)
    assert line(process) == "started"
    assert owners.is_alive(id)
    process.kill()
    process.wait()
    assert not owners.is_alive(id)
    tell(process)
    assert line(process) == "going on"
