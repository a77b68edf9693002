"""When the gateway is looked up for a newer list, by a clock that the tests turn, and what a look that fails leaves."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from blockrun_image.catalog import Catalog
from blockrun_image.errors import GatewayError, GatewayUnavailableError
from blockrun_image_mcp.catalogs.cache import CatalogCache
from blockrun_image_mcp.catalogs.live import LiveCatalog
from blockrun_image_mcp.gateway.responses import ModelsAnswer
from blockrun_image_mcp.tasks import TaskSupervisor
from blockrun_image_mcp.timings import Timings

pytestmark = pytest.mark.anyio

NOW = 1_795_000_000.0
HOUR = 3_600.0
WONDER = {"id": "acme/wonder", "categories": ["image"], "pricePerImage": "0.08"}


class Gateway:
    """Lists what it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.now = NOW
        self.asked = 0
        self.etags: list[str] = []
        self.answer = ModelsAnswer("api.example", 200, {"data": [{"id": "dall-e-3"}, WONDER]}, '"one"')
        self.fails_with: Exception | None = None

    def clock(self) -> float:
        return self.now

    async def fetch(self, etag: str) -> ModelsAnswer:
        self.asked += 1
        self.etags.append(etag)
        if self.fails_with is not None:
            raise self.fails_with
        return self.answer


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


QUICK = Timings(answer_first_seconds=0)

Looks = Callable[[], Awaitable[LiveCatalog]]


@pytest.fixture
async def look(gateway: Gateway, catalog: Catalog, tmp_path: Path) -> AsyncGenerator[Looks]:
    """Return what looks as a server does after an answer, and waits for the look to end."""
    async with looking(gateway, catalog, tmp_path) as looks:
        yield looks


@asynccontextmanager
async def looking(gateway: Gateway, catalog: Catalog, folder: Path) -> AsyncGenerator[Looks]:
    live = LiveCatalog(
        catalog, "both", CatalogCache(folder, "https://api.example", "account", gateway.clock), gateway.fetch, QUICK
    )

    async def look() -> LiveCatalog:
        live.schedule_refresh()
        await anyio.wait_all_tasks_blocked()
        return live

    async with TaskSupervisor(lambda outcome: None) as background:
        live.run_in(background)
        yield look


async def test_list_is_refreshed_once_it_is_a_day_old(look: Looks, gateway: Gateway) -> None:
    asked: list[int] = []
    for hours in (0, 0, 1, 22, 1, 0.5, 1, 24):
        gateway.now += hours * HOUR
        await look()
        asked.append(gateway.asked)
    assert asked == [1, 1, 1, 1, 2, 2, 2, 3]
    assert gateway.etags == ["", '"one"', '"one"']


async def test_gateway_without_a_list_is_queried_once_an_hour(look: Looks, gateway: Gateway) -> None:
    gateway.fails_with = GatewayUnavailableError("It is down.")
    asked: list[int] = []
    for hours in (0, 0.5, 0.5, 1, 1):
        gateway.now += hours * HOUR
        await look()
        asked.append(gateway.asked)
    assert asked == [1, 1, 2, 3, 4]


async def test_stale_list_is_refreshed_early_but_at_most_once_an_hour(look: Looks, gateway: Gateway) -> None:
    live = await look()
    asked: list[int] = []
    for hours in (0, 0.5, 0.5, 1):
        gateway.now += hours * HOUR
        live.mark_stale()
        await look()
        asked.append(gateway.asked)
    assert asked == [1, 1, 2, 3]


async def test_clock_set_back_does_not_prevent_a_refresh(look: Looks, gateway: Gateway) -> None:
    await look()
    gateway.now -= 365 * 24 * HOUR
    live = await look()
    assert (gateway.asked, live.catalog.listing and live.catalog.listing.seen_at) == (2, gateway.now)


async def test_list_seen_by_another_process_is_used_without_a_request(
    look: Looks, gateway: Gateway, catalog: Catalog, tmp_path: Path
) -> None:
    async with looking(gateway, catalog, tmp_path) as another:
        theirs = await another()
    ours = await look()
    assert (gateway.asked, "acme/wonder" in ours.catalog.models) == (1, True)
    assert ours.catalog == theirs.catalog


async def test_unexpected_refresh_failure_is_logged_and_later_retried(
    look: Looks, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.fails_with = ValueError("Nobody foresaw this.")
    live = await look()
    assert "failed unexpectedly" in caplog.text
    assert live.catalog.listing is None
    gateway.fails_with = None
    gateway.now += HOUR
    await look()
    assert live.catalog.listing is not None


async def test_first_list_is_not_awaited_after_a_failed_refresh(
    look: Looks, gateway: Gateway, catalog: Catalog
) -> None:
    gateway.fails_with = ValueError("Nobody foresaw this.")
    live = await look()
    with anyio.fail_after(5):
        await live.wait_for_first(within_seconds=60)
    assert live.catalog is catalog


async def test_first_list_is_not_awaited_after_a_killed_process_claimed_it(
    gateway: Gateway, catalog: Catalog, tmp_path: Path, look: Looks
) -> None:
    assert CatalogCache(tmp_path, "https://api.example", "account", gateway.clock).take_turn()
    gateway.now += 11
    live = await look()
    with anyio.fail_after(5):
        await live.wait_for_first(within_seconds=60)
    assert (gateway.asked, live.catalog.listing) == (0, None)


async def test_host_with_a_very_long_name_may_have_a_list(look: Looks, gateway: Gateway) -> None:
    gateway.answer = ModelsAnswer("a." * 120 + "example", 200, {"data": [WONDER]})
    live = await look()
    assert "acme/wonder" in live.catalog.models


@pytest.mark.parametrize(
    "body", [None, [], {}, {"data": None}, {"data": []}, {"data": [None, 7]}, {"data": [{"id": "acme/chat"}]}, "x"]
)
async def test_answer_without_image_models_changes_nothing_and_fails_a_refresh(
    look: Looks, gateway: Gateway, body: Any
) -> None:
    before = (await look()).catalog
    gateway.answer = ModelsAnswer("api.example", 200, body)
    gateway.now += 25 * HOUR
    live = await look()
    with pytest.raises(GatewayError, match="no list of image models"):
        await live.refresh()
    assert (live.catalog.models, live.catalog.listing, gateway.asked) == (before.models, before.listing, 3)


async def test_changed_list_is_announced_with_the_new_catalogue(look: Looks, gateway: Gateway) -> None:
    live = await look()
    told: list[Catalog] = []

    async def tell(catalog: Catalog) -> None:
        told.append(catalog)

    live.on_change.append(tell)
    gateway.answer = ModelsAnswer("api.example", 200, {"data": [WONDER]})
    gateway.now += 25 * HOUR
    await look()
    assert told == [live.catalog]
    assert (list(live.catalog.models), next(iter(live.catalog.unavailable))) == (["acme/wonder"], "dall-e-3")


async def test_first_list_is_awaited_only_once(gateway: Gateway, catalog: Catalog, tmp_path: Path) -> None:
    cache = CatalogCache(tmp_path, "https://api.example", "account", gateway.clock)

    async def never(etag: str) -> ModelsAnswer:
        await anyio.sleep_forever()
        raise AssertionError(etag)

    live = LiveCatalog(catalog, "both", cache, never)
    async with TaskSupervisor(lambda outcome: None) as background:
        live.run_in(background)
        await live.wait_for_first(0.01)
        with anyio.fail_after(10):
            await live.wait_for_first(60)
    assert live.catalog.listing is None
