"""What the tests of the ledger share."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import NEW_YEARS_EVE, Processes, running_processes

from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits


@pytest.fixture
def clock() -> Clock:
    return Clock(NEW_YEARS_EVE)


@pytest.fixture
async def processes(tmp_path: Path, clock: Clock) -> AsyncGenerator[Processes]:
    """Processes that share a file that does not exist yet."""
    async with running_processes(tmp_path / "state" / "ledger.sqlite3", clock) as processes:
        yield processes


@pytest.fixture
async def ledger(processes: Processes) -> Ledger:
    """A process's ledger that allows ten cents for a call and twenty a day."""
    return await processes.start(limits=Limits(100_000, 200_000))
