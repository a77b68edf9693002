"""The composition root: what it opens at the first call, what a test puts in its place, and what outlives a caller."""

from decimal import Decimal

import anyio
import anyio.lowlevel
import pytest
from pydantic import SecretStr
from tests.support.fakes import URL, FakeGateway, FakeStore

from blockrun_image.attempts import AttemptState, CallInfo, ExpectedCost, Order
from blockrun_image.images import Image, ImageRequest
from blockrun_image.null_ledger import NullLedger
from blockrun_image.ports import Reserved
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.gateway.responses import ModelsAnswer
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.settings import Settings

pytestmark = pytest.mark.anyio

ORDER = Order(ImageRequest("a cat", "dall-e-3", "1024x1024", "standard", 1), ExpectedCost(Decimal(0), Decimal("0.042")))
SANDBOX = Settings.read({"BLOCKRUN_IMAGE_GATEWAY": "sandbox"})


@pytest.mark.parametrize("steps", range(8))
async def test_next_call_opens_the_ledger_after_a_cancelled_opening(steps: int) -> None:
    backend = Backend(SANDBOX, gateway=FakeGateway(Image(URL)))
    async with backend:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend.ledger)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        ledger = await backend.ledger()
        assert isinstance(ledger, Ledger)
        begun = await ledger.begin(CallInfo("key"), ORDER)
        assert isinstance(begun, Reserved)
        await begun.attempt.released()  # which the ledger's own task writes
        assert (await begun.attempt.status()).state is AttemptState.RELEASED
        assert ledger.outbox.pending == []
        assert await backend.ledger() is ledger
    assert ledger.owners.id is None


async def test_given_adapters_override_the_settings() -> None:
    gateway, ledger, store = FakeGateway(Image(data=b"png")), NullLedger(), FakeStore()
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


async def test_operator_and_toolset_share_one_ledger_connection() -> None:
    async with Backend(SANDBOX, gateway=FakeGateway(Image(URL))) as backend:
        before = backend.operator_ledger()
        assert await before.recent(9) == []
        await backend.toolset.generate_image("a cat", "dall-e-3")
        ledger = await backend.ledger()
        assert isinstance(ledger, Ledger)
        assert before.transactions is ledger.transactions is backend.operator_ledger().transactions
        assert [entry.prompt[:5] for entry in await before.recent(9)] == ["a cat"]


async def test_default_model_is_dropped_while_the_list_lacks_it(
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


def test_default_model_is_dropped_at_once_if_no_list_can_contain_it() -> None:
    assert Backend(Settings(gateway="sandbox", default_model="flux")).defaults.model is None
