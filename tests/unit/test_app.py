"""The composition root: what it makes at the first call, also where that call is cancelled."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from tests.fakes import FakeGateway

from blockrun_image.catalog import Catalog
from blockrun_image.purchase import Ports
from blockrun_image_mcp.app import _log_orphan  # pyright: ignore[reportPrivateUsage]
from blockrun_image_mcp.background import Background
from blockrun_image_mcp.ledger import keeping
from blockrun_image_mcp.ledger.sqlite import SqliteLedger
from blockrun_image_mcp.on_demand import LedgerOnDemand
from blockrun_image_mcp.settings import Settings

pytestmark = pytest.mark.anyio

SETTINGS = Settings.read({"BLOCKRUN_IMAGE_GATEWAY": "sandbox"})


@pytest.mark.parametrize("steps", range(8))
async def test_a_ledger_whose_first_call_is_cancelled_is_kept_all_the_same(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    kept_now: list[SqliteLedger] = []
    kept = keeping.kept

    @asynccontextmanager
    async def watched(ledger: SqliteLedger, finish: keeping.Finish) -> AsyncGenerator[None]:
        async with kept(ledger, finish):
            kept_now.append(ledger)
            yield
            kept_now.remove(ledger)

    monkeypatch.setattr(keeping, "kept", watched)
    async with Background(_log_orphan) as background:
        ledger = LedgerOnDemand(SETTINGS, catalog)
        await ledger.keep_in(background, Ports(FakeGateway(), ledger))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ledger.book, "dall-e-3", 50, 0.0)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert await ledger.book("dall-e-3", 50, 0) == 0
        assert len(kept_now) == 1
    assert kept_now == []
    await ledger.close()
