"""Opens the three tools, with everything that the settings ask for behind them."""

import json
import logging
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio

from blockrun_image.catalog import Catalog
from blockrun_image.errors import ImageError
from blockrun_image.images import ImagesResponse
from blockrun_image.ports import ExpectedCost, OnStatus, StillDrawingError
from blockrun_image.purchase import Ports, Purchase
from blockrun_image.text import usd
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.background import Background
from blockrun_image_mcp.catalogs.live import LiveCatalog, OnChange
from blockrun_image_mcp.images.store import FolderStore
from blockrun_image_mcp.on_demand import GatewayOnDemand, LedgerOnDemand
from blockrun_image_mcp.parts import known_defaults, ledger_of, live_catalog, open_gateway, with_known_defaults
from blockrun_image_mcp.settings import Settings

_FIRST_LIST_SECONDS = 3.0

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_toolset(
    settings: Settings, catalog: Catalog, patience_seconds: float = math.inf, live: LiveCatalog | None = None
) -> AsyncGenerator[ImageToolset]:
    """Open the three tools with the gateway and the images folder that the settings name.

    The gateway is opened by the first picture. Callers wait `patience_seconds`; what takes longer, or was cancelled
    when it was paid for already, goes on. At the end such calls have ten seconds to be answered, and jobs are left to
    the next process. `live` puts what the gateway lists in force.
    """
    store = FolderStore(settings.dir)
    ledger = LedgerOnDemand(settings, catalog)
    live = live or live_catalog(settings, catalog)
    try:
        async with Background(_log_orphan) as background:
            gateway = GatewayOnDemand(settings, catalog, background, ledger)
            await ledger.keep_in(background, Ports(gateway, ledger, store))
            toolset = ImageToolset(
                live.catalog,
                gateway,
                store,
                known_defaults(settings, live.catalog),
                background.run,
                ledger,
                patience_seconds=patience_seconds,
                prepare=lambda: live.seen(min(_FIRST_LIST_SECONDS, patience_seconds / 10)),
            )
            live.run_in(background)
            live.on_change.append(_putting_in_force(toolset, settings))
            try:
                yield toolset
            finally:
                with anyio.CancelScope(shield=True):
                    gateway.hurry()
                    await background.finish()
    finally:
        with anyio.CancelScope(shield=True):
            await ledger.close()


def _putting_in_force(toolset: ImageToolset, settings: Settings) -> OnChange:
    async def put_in_force(catalog: Catalog) -> None:
        toolset.catalog, toolset.defaults = catalog, with_known_defaults(settings, catalog).defaults

    return put_in_force


async def finish_jobs(settings: Settings, catalog: Catalog, on_status: OnStatus) -> None:
    """Ask after every job of the account that no process asks after; raises `ImageError`, if only for one of them."""
    from blockrun_image_mcp.ledger.keeping import renewed  # noqa: PLC0415 - loads sqlite3

    failures: list[ImageError] = []
    async with ledger_of(settings, catalog) as ledger, open_gateway(settings, catalog, ledger) as gateway:
        ports = Ports(gateway, ledger, FolderStore(settings.dir))
        async with renewed(ledger):
            for attempt, request in (await ledger.jobs()).items():
                try:
                    await Purchase(ports, request, ExpectedCost(), on_status).finish(attempt)
                except StillDrawingError:
                    continue  # it can be asked after again
                except ImageError as error:
                    failures.append(error)
    if failures:
        raise failures[0]


def _log_orphan(outcome: object) -> None:
    """Log what became of a paid call whose caller has gone, as JSON: its text is not ours."""
    if isinstance(outcome, StillDrawingError) or (isinstance(outcome, ImageError) and outcome.charged == "no"):
        return
    if isinstance(outcome, ImagesResponse):
        told = {"images": [{"url": image.url} for image in outcome.images], "charged_usd": _usd(outcome.charged_usd)}
        _log.warning("a call ended after its caller had gone: %s", json.dumps(told))
    elif isinstance(outcome, ImageError):
        _log.warning("a call ended after its caller had gone: %s", json.dumps(outcome.to_dict()))
    elif isinstance(outcome, Exception):
        _log.error("a call failed after its caller had gone", exc_info=outcome)


def _usd(amount: Decimal | None) -> str | None:
    return None if amount is None else usd(amount)
