"""Processes that own attempts: how tests start them, end them and look for their files."""

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from blockrun_image_mcp.ledger.owners import Owners

Process = subprocess.Popen[str]
Start = Callable[..., Process]
MakeOwners = Callable[[], Owners]
BEGINNING = """
import os, sys, threading
from pathlib import Path
from blockrun_image_mcp.ledger.owners import Owners
folder = Path(sys.argv[1])
owners = Owners(folder)

def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")  # as one, beside another process that writes there
    sys.stdout.flush()
"""
HOLDING = """
say(owners.acquire())
sys.stdin.read()
"""


def living_pids(owners: Owners) -> dict[str, int]:
    """Return the living and their processes."""
    return {each.id: each.pid for each in owners.live_processes()}


def line(process: Process) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: Process) -> None:
    """Let a process that waits for a line go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def end(process: Process) -> None:
    """Let a process end by itself."""
    process.communicate()
    assert process.returncode == 0


def dead(make_owners: MakeOwners) -> str:
    """Return the id of an owner whose file is still there."""
    owners = make_owners()
    id = owners.acquire()
    owners.release(remove=False)
    return id


def names(folder: Path) -> Sequence[str]:
    """Return the names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


def lowest_free_descriptor() -> int:
    """Return the descriptor that the next file gets."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor
