"""The composition root: what it opens at the first call, what a test puts in its place, and what outlives a caller."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from pydantic import SecretStr
from tests.fakes import URL, FakeGateway, FakeStore

from blockrun_image.images import Image
from blockrun_image.ports import Unrecorded
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.gateway.responses import ModelsAnswer
from blockrun_image_mcp.ledger import keeping
from blockrun_image_mcp.ledger.sqlite import SqliteLedger
from blockrun_image_mcp.settings import Settings

pytestmark = pytest.mark.anyio

SANDBOX = Settings.read({"BLOCKRUN_IMAGE_GATEWAY": "sandbox"})


@pytest.mark.parametrize("steps", range(8))
async def test_ledger_whose_first_call_is_cancelled_is_opened_by_the_next(
    monkeypatch: pytest.MonkeyPatch, steps: int
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
    async with Backend(SANDBOX) as backend:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend.ledger)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        ledger = await backend.ledger()
        assert await ledger.book("dall-e-3", 50, 0) == 0
        assert kept_now == [ledger]
    assert kept_now == []


async def test_adapters_that_are_given_take_the_place_of_the_settings() -> None:
    gateway, ledger, store = FakeGateway(Image(data=b"png")), Unrecorded(), FakeStore()
    async with Backend(Settings(), gateway=gateway, ledger=ledger, store=store) as backend:
        result = await backend.toolset.generate_image("a cat", "dall-e-3")
        assert await backend.ledger() is ledger
    assert result.gateway == gateway.name
    assert [image.path for image in result.images] == [*store.kept]
    assert not backend.ledger_path.exists()


async def test_backend_can_be_opened_again() -> None:
    backend = Backend(SANDBOX, gateway=FakeGateway(Image(URL)))
    ledgers: list[object] = []
    for _ in range(2):
        async with backend:
            ledgers.append(await backend.ledger())
            assert (await backend.toolset.generate_image("a cat", "dall-e-3")).images[0].url == URL
    assert ledgers[0] is not ledgers[1]


async def test_one_connection_serves_whoever_looks_into_the_ledger_and_whoever_spends() -> None:
    async with Backend(SANDBOX, gateway=FakeGateway(Image(URL))) as backend:
        before = backend.operator_ledger()
        assert await before.recent(9) == []
        await backend.toolset.generate_image("a cat", "dall-e-3")
        ledger = await backend.ledger()
        assert isinstance(ledger, SqliteLedger)
        assert before.database is ledger.database is backend.operator_ledger().database
        assert [entry.prompt[:5] for entry in await before.recent(9)] == ["a cat"]


async def test_default_model_is_dropped_by_a_list_that_lacks_it_and_comes_back_with_one_that_has_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = Backend(Settings(api_key=SecretStr("brk_test_0123456789"), default_model="flux"))
    kept = [backend.defaults.model]
    for ids in (["dall-e-3"], ["dall-e-3", "flux"]):
        entries = [{"id": id, "categories": ["image"]} for id in ids]
        await backend.models.take(ModelsAnswer("api.example", 200, {"data": entries}))
        kept.append(backend.defaults.model)
    assert kept == ["flux", None, "flux"]
    assert "there is no model 'flux'" in caplog.text


def test_default_model_that_no_list_can_have_is_dropped_at_once() -> None:
    assert Backend(Settings(gateway="sandbox", default_model="flux")).defaults.model is None
