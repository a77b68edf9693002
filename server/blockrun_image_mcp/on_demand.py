"""The gateway and the ledger, each opened by the first call that needs it."""

import logging
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING

import anyio

from blockrun_image.catalog import Catalog
from blockrun_image.errors import ImageError
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, ExpectedCost, Job, OnStatus
from blockrun_image.purchase import Ports, Purchase
from blockrun_image_mcp.background import Background, OnDemand, meanwhile
from blockrun_image_mcp.parts import gateway_name, ledger_of, ledger_path, open_gateway
from blockrun_image_mcp.settings import Settings

if TYPE_CHECKING:
    from blockrun_image_mcp.ledger.sqlite import SqliteLedger
    from blockrun_image_mcp.payments.auth import Payees

_FIRST_LOOK_SECONDS = 1.0  # after the first call, or before there is one, which it must not slow down

_log = logging.getLogger(__name__)


class GatewayOnDemand:
    """An `ImageGateway` that is opened by its first call, so that a server starts at once and without a credential."""

    def __init__(self, settings: Settings, catalog: Catalog, background: Background, payees: "Payees") -> None:
        self._settings = settings
        self._catalog = catalog
        self._gateway = OnDemand(background, lambda: open_gateway(settings, catalog, payees))

    @property
    def name(self) -> str:
        """What to call it, also before it is opened; raises `ConfigurationError` without a credential."""
        gateway = self._gateway.open
        return gateway.name if gateway else gateway_name(self._settings, self._catalog)

    def hurry(self) -> None:
        """Give the calls under way only seconds more."""
        gateway = self._gateway.open
        if gateway is None:
            return
        if gateway.unanswered:
            _log.warning("closing with %d paid calls unanswered; they may be charged", gateway.unanswered)
        gateway.hurry()

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        """Make the pictures."""
        return await (await self._gateway.opened()).generate(request, attempt, on_status, within_seconds)

    async def follow(self, job: Job, most: int, on_status: OnStatus) -> ImagesResponse:
        """Ask after a job until it has ended."""
        return await (await self._gateway.opened()).follow(job, most, on_status)

    async def quote(self, request: ImageRequest) -> Decimal | None:
        """Ask what a request would cost."""
        return await (await self._gateway.opened()).quote(request)


class LedgerOnDemand:
    """A `SpendLedger` that is opened by its first call: limits that cannot be read stop only what costs money.

    Where there is one from earlier already, it is also opened some seconds after the start, to finish what was left.
    """

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._opening = anyio.Lock()
        self._ledger: SqliteLedger | None = None

    async def keep_in(self, background: Background, ports: Ports) -> None:
        """Take the background in which it is kept, with what finishes the jobs that were left."""
        self._background = background
        self._ports = ports
        with suppress(OSError):  # of a folder that cannot be looked into; the first call that costs money says it
            if ledger_path(self._settings).exists():
                await background.hold(meanwhile(self._open_soon))

    async def find(self, request: ImageRequest) -> Attempt | None:
        """Return an attempt at the same request whose caller has gone."""
        return await (await self._opened()).find(request)

    async def reserve(self, request: ImageRequest, cost: ExpectedCost, approval: str | None = None) -> Attempt:
        """Set aside the most that a request can cost."""
        return await (await self._opened()).reserve(request, cost, approval)

    async def book(self, model: str, per_minute: int, within_seconds: float) -> float:
        """Book the next turn of a model."""
        return await (await self._opened()).book(model, per_minute, within_seconds)

    async def payee(self, host: str, seen: str) -> str:
        """Return the address that is trusted for a host."""
        return await (await self._opened()).payee(host, seen)

    async def close(self) -> None:
        """Close what was opened."""
        if self._ledger is not None:
            await self._ledger.close()

    async def _open_soon(self) -> None:
        await anyio.sleep(_FIRST_LOOK_SECONDS)
        with suppress(ImageError):  # the first call that costs money says it
            await self._opened()

    async def _opened(self) -> "SqliteLedger":
        async with self._opening:
            if self._ledger is None:
                from blockrun_image_mcp.ledger.keeping import kept  # noqa: PLC0415 - loads sqlite3

                ledger = ledger_of(self._settings, self._catalog)
                with anyio.CancelScope(shield=True):  # one that is open and not kept would be that of a dead process
                    await self._background.hold(kept(ledger, self._finish))
                self._ledger = ledger
        return self._ledger

    async def _finish(self, attempt: Attempt, request: ImageRequest) -> None:
        await Purchase(self._ports, request, ExpectedCost(), lambda status: None).finish(attempt)
