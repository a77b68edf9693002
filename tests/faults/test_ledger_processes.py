"""The ledger under many processes at once, and under processes that are killed at any moment."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.processes import LEDGER_SPENDER, process_environment

from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection

SEED = 20261124


def spend(path: Path, cap_usd: str, attempts: int, env: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(LEDGER_SPENDER), str(path), cap_usd, str(attempts)],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )


def unmeasured(env: Mapping[str, str]) -> dict[str, str]:
    """Leave out what measures coverage: who is killed never says what it has run, and starts faster without."""
    return {name: value for name, value in env.items() if not name.startswith("COVERAGE_")}


def rows(path: Path, query: str) -> Sequence[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_eight_processes_spend_exactly_up_to_the_shared_cap(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    processes = [spend(path, "10.00", 200, process_environment({})) for _ in range(8)]
    said = "".join(process.communicate(timeout=50)[0] for process in processes)
    assert [process.returncode for process in processes] == [0] * 8
    assert said.count("settled ") == 1_000
    assert rows(path, "SELECT count(*), sum(charged_micro_usd) FROM spending") == [(1_000, 10_000_000)]
    assert rows(path, "SELECT sent_count FROM ledger") == [(1_000,)]


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_100_kills_leave_an_intact_ledger_and_resolve_every_attempt(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    dice = random.Random(SEED)
    said: list[tuple[str, str]] = []
    env = unmeasured(process_environment({}))
    for _ in range(25):
        said += killed([spend(path, "1000000", 1_000_000, env) for _ in range(4)], dice)
    before = dict(rows(path, "SELECT id, state FROM spending"))
    database = SqliteConnection(path)
    await Ledger(database, path, Limits(None, None)).spending_today()
    await database.close()
    after = dict(rows(path, "SELECT id, state FROM spending"))
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert [id for state, id in said if rank(after[id]) < rank(state)] == []
    ends = {(rank(before[id]), after[id]) for id in after}
    assert {(0, "released"), (1, "unknown"), (2, "settled")} <= ends
    assert ends <= {(0, "released"), (1, "unknown"), (2, "settled"), (1, "settled")}  # the last one out of the outbox
    assert rows(path, "SELECT count(*) FROM callers WHERE delivery = 'pending'") == [(0,)]
    assert [*path.with_name(f"{path.name}.outbox").glob("*")] == []


def killed(processes: Sequence[subprocess.Popen[str]], dice: random.Random) -> list[tuple[str, str]]:
    """Kill each process after a few of its lines; return what all of them said."""
    said: list[str] = []
    for process in processes:
        assert process.stdout is not None
        said += [process.stdout.readline() for _ in range(dice.randint(1, 20))]
        process.kill()
        said += process.communicate()[0].splitlines()
    return [(state, id) for state, _, id in (line.strip().partition(" ") for line in said) if len(id) == 36]


def rank(state: str) -> int:
    """Return how far an attempt had come when its process was killed, also where that has been explained since."""
    return {"reserved": 0, "released": 0, "sent": 1, "unknown": 1, "settled": 2}[state]
