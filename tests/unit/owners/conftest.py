"""Owners, and processes that hold locks, of one folder."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.owners import BEGINNING, MakeOwners, Process, Start

from blockrun_image_mcp.ledger.owners import Owners


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
