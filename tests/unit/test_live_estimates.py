"""Estimates that the gateway itself is asked for."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import anyio
import pytest
from tests.support.fakes import FakeGateway, FakeLedger

from blockrun_image.callers import Caller
from blockrun_image.catalog import Catalog
from blockrun_image.errors import ConfigurationError, GatewayUnavailableError, LedgerError
from blockrun_image.images import Image, ImageRequest
from blockrun_image.toolset import ImageToolset

pytestmark = pytest.mark.anyio


class PricedGateway(FakeGateway):
    """Tells prices, a millionth more than the model before; of the models that are called so it has none."""

    def __init__(self, *silent: str) -> None:
        super().__init__()
        self._silent = silent

    async def quote(self, request: ImageRequest) -> Decimal | None:
        self.requests.append(request)
        if request.model in self._silent:
            raise GatewayUnavailableError("No answer.")
        return Decimal(9) / 10 - Decimal(len(self.requests)) / 1_000_000


async def test_live_estimate_is_the_gateways_quote_for_what_would_be_sent(catalog: Catalog) -> None:
    gateway = PricedGateway()
    toolset = ImageToolset(catalog, gateway)
    (priced,) = (await toolset.estimate_cost_live(live=True, model="dall-e-3", prompt="a cat", n=2)).estimates
    assert (priced.low_usd, priced.high_usd, priced.exact) == (Decimal("0.899999"), Decimal("0.899999"), True)
    assert priced.basis == "The gateway's own price, requested just now without paying."
    sent = toolset.estimate_cost(model="dall-e-3", prompt="a cat", n=2).prompts["dall-e-3"].prompt
    assert gateway.requests == [ImageRequest(sent, "dall-e-3", "1024x1024", "standard", 2)]


async def test_live_estimates_come_cheapest_first_and_warn_of_missing_prices(
    catalog: Catalog,
) -> None:
    gateway = PricedGateway("dall-e-3")
    told = await ImageToolset(catalog, gateway).estimate_cost_live(live=True)
    assert [each.model for each in told.estimates] == ["dall-e-3", "nano-banana-pro", "nano-banana", "dall-e-2"]
    assert [each.exact for each in told.estimates] == [True] * 4
    assert told.to_dict()["warnings"] == ["No answer."]
    assert told.to_text().endswith("\nWarning: No answer.")
    assert {request.prompt for request in gateway.requests} == {"A picture"}


async def test_live_estimate_without_any_price_raises_the_first_error(catalog: Catalog) -> None:
    with pytest.raises(GatewayUnavailableError):
        await ImageToolset(catalog, PricedGateway(*catalog.models)).estimate_cost_live(live=True)
    with pytest.raises(ConfigurationError, match="only one that a wallet pays does"):
        await ImageToolset(catalog, FakeGateway()).estimate_cost_live(live=True, model="dall-e-3")
    with pytest.raises(ConfigurationError, match="no gateway"):
        await ImageToolset(catalog).estimate_cost_live(live=True, model="dall-e-3")


async def test_ordinary_estimate_sends_no_request(catalog: Catalog) -> None:
    gateway = PricedGateway()
    toolset = ImageToolset(catalog, gateway)
    told = await toolset.estimate_cost_live(model="dall-e-3", prompt="a cat")
    assert told == toolset.estimate_cost(model="dall-e-3", prompt="a cat")
    assert gateway.requests == []


class Charging(FakeLedger):
    """A ledger in which each kind of image was charged a dollar lately, or that cannot be read."""

    async def charged_lately(self, requests: Sequence[ImageRequest]) -> Sequence[Decimal | None]:
        await anyio.lowlevel.checkpoint()
        if "charged_lately" in self._broken:
            raise LedgerError("The disk is full.")
        return [Decimal(1)] * len(requests)

    async def picture(self, id: str) -> Image | None:
        return None

    async def last_pictures(self, caller: Caller | None) -> Sequence[Image]:
        return ()


@pytest.mark.parametrize(("broken", "estimated"), [([], "2.00"), (["charged_lately"], "0.084")])
async def test_estimate_uses_recent_charges_if_the_ledger_is_readable(
    catalog: Catalog, broken: Sequence[str], estimated: str
) -> None:
    toolset = ImageToolset(catalog, ledger=Charging(broken=broken))
    told: Any = (await toolset.estimate_cost_live(model="dall-e-3", n=2)).to_dict()
    assert told["estimates"][0]["estimated_usd"] == estimated
