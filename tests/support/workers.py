"""The workers that servers have left behind."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from blockrun_image_mcp.folders import state_folder
from blockrun_image_mcp.ledger.owners import owners_beside
from blockrun_image_mcp.worker.launch import LOG

OFF = {"BLOCKRUN_IMAGE_WORKER": "off"}
"""The setting of a server that performs paid calls itself."""

_PATIENCE_SECONDS = 40


def pids(*but: int) -> Sequence[int]:
    """Return the processes that use the test's ledger, without some of them."""
    processes = owners_beside(state_folder() / "ledger.sqlite3").live_processes()
    return [each.pid for each in processes if each.pid not in but]


def wait_for_workers() -> str:
    """Wait until no process uses the test's ledger any more, and return what the workers have logged."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while pids():
        assert time.monotonic() < deadline, f"still running: {pids()}"
        time.sleep(0.02)
    return log()


def log() -> str:
    """Return what the workers have logged so far."""
    return log_file().read_text(encoding="utf-8") if log_file().exists() else ""


def log_file() -> Path:
    return state_folder() / LOG


def kill_workers() -> None:
    """Kill the processes that still use the test's ledger, but for this one."""
    with suppress(OSError):  # some tests have no folder
        if not log_file().exists():  # no worker was started
            return
        for pid in pids(os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
