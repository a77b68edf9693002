"""The command, and what it says of the ledger."""

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.isolation import can_isolate, run_isolated
from tests.support.processes import process_environment

from blockrun_image_mcp.cli.main import main
from blockrun_image_mcp.folders import state_folder


def run(
    *arguments: str, settings: Mapping[str, str] | None = None, input: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end in this process, which takes a tenth of the time of one of its own.

    Outside of the main thread, beside code of the test that goes on, it is a process all the same.
    """
    if not can_isolate():
        return run_process(*arguments, settings=settings, input=input)
    name = "blockrun-image-mcp"
    ended = run_isolated(main, [name, *arguments], process_environment(settings or {}), input or "")
    return subprocess.CompletedProcess([name, *arguments], ended.status, _text(ended.stdout), _text(ended.stderr))


def _text(written: bytes) -> str:
    """Return what was written as `subprocess` does, with the same line ends on all systems."""
    return io.TextIOWrapper(io.BytesIO(written), encoding="utf-8", errors="surrogateescape").read()


def run_process(
    *arguments: str, settings: Mapping[str, str] | None = None, input: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end as a process."""
    return subprocess.run(
        [sys.executable, "-m", "blockrun_image_mcp", *arguments],
        env=process_environment(settings or {}),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=50,
        check=False,
        input=input or "",
    )


def spend() -> dict[str, Any]:
    """Return today's statement."""
    return json.loads(run("spend", "--json").stdout)


def images(*options: str) -> list[dict[str, Any]]:
    """Return the pictures that the command lists."""
    return json.loads(run("images", "--json", *options).stdout)


def states() -> dict[str, int]:
    """Return how many of today's calls each state has."""
    counted: Counter[str] = Counter()
    for each in spend()["models"]:
        counted[each["state"]] += each["calls"]
    return dict(counted)


def ledger_file() -> Path:
    """Return the path of the test's ledger."""
    return state_folder() / "ledger.sqlite3"
