"""The composition root: makes the parts that the settings ask for and puts them together.

It is loaded by every command, so that what loads much is imported where it is used: mcp only to serve, httpx2 only to
reach a gateway, sqlite3 only to spend or to look at what was spent.
"""

import json
import logging
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import platformdirs

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import MODES
from blockrun_image.errors import ImageError
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, Job, OnStatus, StillDrawingError
from blockrun_image.pricing import usd
from blockrun_image.purchase import Ports, Purchase
from blockrun_image.results import CostComparison, GeneratedImages, ModelList
from blockrun_image.schemas import tool_schemas
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.approval import Ask, approving
from blockrun_image_mcp.background import Background, meanwhile
from blockrun_image_mcp.images.store import FolderStore
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.logs import Redactor
from blockrun_image_mcp.settings import CALL_SECONDS, SANDBOX, VARIABLES, Settings

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from blockrun_image_mcp.gateway.client import HttpGateway
    from blockrun_image_mcp.gateway.credentials import Endpoint
    from blockrun_image_mcp.ledger.sqlite import SqliteLedger
    from blockrun_image_mcp.payments.auth import Payees, Payer

NAME = "blockrun-image-mcp"

RECENT = "images://recent"
"""The resource that tells agents which pictures were made last."""

_MOST_RECENT = 20
_MOST_RECENT_CHARACTERS = 40_000
_FIRST_LOOK_SECONDS = 3.0  # after the start, which it must not slow down

_log = logging.getLogger(__name__)


def with_known_defaults(settings: Settings, catalog: Catalog) -> Settings:
    """Return the settings without defaults that do not exist, which are warned about: a server must not die of them."""
    mended: dict[str, str | None] = {}
    if settings.default_model not in (None, *catalog.models):
        words = "%s: there is no model %r, so agents must name one"
        _log.warning(words, VARIABLES["default_model"], settings.default_model)
        mended["default_model"] = None
    if settings.enrich not in MODES:
        _log.warning("%s is none of %s, so prompts are sent as they are", VARIABLES["enrich"], ", ".join(MODES))
        mended["enrich"] = "off"
    if settings.patience_seconds is None:
        _log.warning("%s cannot be read, so calls wait %s seconds", VARIABLES["call_seconds"], CALL_SECONDS)
        mended["call_seconds"] = CALL_SECONDS
    for field in ("max_cost_usd", "daily_budget_usd"):
        if getattr(settings, field).lower() == "none":
            _log.warning("%s is none: nothing limits what is spent", VARIABLES[field])
    return settings.model_copy(update=mended)


@asynccontextmanager
async def open_gateway(
    settings: Settings, catalog: Catalog, payees: "Payees | None" = None
) -> AsyncGenerator["HttpGateway"]:
    """Open the gateway that the settings name; the sandbox is started in this process.

    A wallet pays only where there is something that remembers whom it has paid. Raises `ConfigurationError` when there
    is no credential that can be used.
    """
    from blockrun_image_mcp.gateway.client import HttpGateway  # noqa: PLC0415 - not needed to list or estimate
    from blockrun_image_mcp.gateway.credentials import Endpoint, endpoint_for  # noqa: PLC0415 - as above

    if settings.gateway == SANDBOX:
        from blockrun_image_mcp.sandbox.server import running_sandbox  # noqa: PLC0415 - only where it is asked for

        async with running_sandbox(catalog) as origin:
            endpoint = Endpoint(f"{origin}/v1", {"Authorization": "Bearer brk_sandbox"}, SANDBOX)
            async with HttpGateway(endpoint) as gateway:
                yield gateway
    else:
        endpoint = endpoint_for(settings, catalog.spec.base_url)
        redact = Redactor(settings.credentials.values())
        async with HttpGateway(endpoint, redact, payer=_payer_of(endpoint, payees)) as gateway:
            yield gateway


def _gateway_name(settings: Settings, catalog: Catalog) -> str:
    from blockrun_image_mcp.gateway.credentials import endpoint_for  # noqa: PLC0415 - loads httpx2

    return SANDBOX if settings.gateway == SANDBOX else endpoint_for(settings, catalog.spec.base_url).name


def pays_from_wallet(settings: Settings) -> bool:
    """Tell whether a wallet pays, whose gateway tells its exact prices for free."""
    from blockrun_image_mcp.gateway.credentials import wallet_digits  # noqa: PLC0415 - loads httpx2

    credential = next(iter(settings.credentials.values()), None)
    return settings.gateway != SANDBOX and credential is not None and wallet_digits(credential) is not None


def _payer_of(endpoint: "Endpoint", payees: "Payees | None") -> "Payer | None":
    if endpoint.wallet_key is None or payees is None:
        return None
    from blockrun_image_mcp.payments.auth import Payer  # noqa: PLC0415 - only for who pays from a wallet
    from blockrun_image_mcp.payments.wallet import Wallet  # noqa: PLC0415 - as above

    return Payer(Wallet(endpoint.wallet_key.get_secret_value()), payees)


def ledger_of(settings: Settings, catalog: Catalog | None = None) -> "SqliteLedger":
    """Return the ledger that all processes of this user share; the sandbox has one of its own.

    With a catalogue it is that of the account which the settings name, whose attempts can be finished and collected.
    Raises `ConfigurationError` for a limit that cannot be read, and for a credential that cannot be used.
    """
    from blockrun_image_mcp.ledger.attempts import Account  # noqa: PLC0415 - loads sqlite3
    from blockrun_image_mcp.ledger.sqlite import SqliteLedger  # noqa: PLC0415 - as above

    account = Account()
    if catalog is not None and settings.gateway == SANDBOX:
        account = Account(SANDBOX, SANDBOX)
    elif catalog is not None:
        from blockrun_image_mcp.gateway.credentials import endpoint_for  # noqa: PLC0415 - loads httpx2

        endpoint = endpoint_for(settings, catalog.spec.base_url)
        account = Account(endpoint.base_url, endpoint.principal)
    return SqliteLedger(ledger_path(settings), Limits.of(settings), account)


def ledger_path(settings: Settings) -> Path:
    """Return the ledger's file, which may not be there yet."""
    name = "sandbox.sqlite3" if settings.gateway == SANDBOX else "ledger.sqlite3"
    return platformdirs.user_state_path(NAME) / name


@asynccontextmanager
async def open_toolset(
    settings: Settings, catalog: Catalog, patience_seconds: float = math.inf
) -> AsyncGenerator[ImageToolset]:
    """Open the three tools with the gateway and the images folder that the settings name.

    The gateway is opened by the first picture. Callers wait `patience_seconds`; what takes longer, or was cancelled
    when it was paid for already, goes on. At the end such calls have ten seconds to be answered, and jobs are left to
    the next process.
    """
    store = FolderStore(settings.dir)
    ledger = _LedgerOnDemand(settings, catalog)
    try:
        async with Background(_log_orphan) as background:
            gateway = _GatewayOnDemand(settings, catalog, background, ledger)
            await ledger.keep_in(background, Ports(gateway, ledger, store))
            try:
                yield ImageToolset(
                    catalog,
                    gateway,
                    store,
                    settings.defaults,
                    background.run,
                    ledger,
                    patience_seconds=patience_seconds,
                )
            finally:
                with anyio.CancelScope(shield=True):
                    gateway.hurry()
                    await background.finish()
    finally:
        with anyio.CancelScope(shield=True):
            await ledger.close()


async def finish_jobs(settings: Settings, catalog: Catalog, on_status: OnStatus) -> None:
    """Ask after every job of the account that no process asks after; raises `ImageError`, if only for one of them."""
    from blockrun_image_mcp.ledger.keeping import renewed  # noqa: PLC0415 - loads sqlite3

    failures: list[ImageError] = []
    async with ledger_of(settings, catalog) as ledger, open_gateway(settings, catalog, ledger) as gateway:
        ports = Ports(gateway, ledger, FolderStore(settings.dir))
        async with renewed(ledger):
            for attempt, request in (await ledger.jobs()).items():
                try:
                    await Purchase(ports, request, Decimal(0), on_status).finish(attempt)
                except StillDrawingError:
                    continue  # it can be asked after again
                except ImageError as error:
                    failures.append(error)
    if failures:
        raise failures[0]


def build_server(
    settings: Settings, catalog: Catalog, on_closed: Callable[[], None] = lambda: None
) -> "MCPServer[ImageToolset]":
    """Return the MCP server; `on_closed` is called when all that it held is closed."""
    from mcp.server.caching import CacheHint  # noqa: PLC0415 - the offline commands do without mcp
    from mcp.server.mcpserver import MCPServer  # noqa: PLC0415 - as above

    from blockrun_image_mcp.asking import answers_wait  # noqa: PLC0415 - as above
    from blockrun_image_mcp.spec_tool import SpecTool  # noqa: PLC0415 - as above

    @asynccontextmanager
    async def lifespan(_server: "MCPServer[ImageToolset]") -> AsyncGenerator[ImageToolset]:
        try:
            async with open_toolset(settings, catalog, settings.patience_seconds or math.inf) as toolset:
                yield toolset
        finally:
            on_closed()

    async def generate_image(
        toolset: ImageToolset, arguments: Mapping[str, Any], on_status: OnStatus, ask: Ask
    ) -> GeneratedImages:
        return await toolset.generate_image(**arguments, on_status=on_status, approve=approving(settings, ask))

    calls = {"generate_image": generate_image, "list_models": _list_models, "estimate_cost": _estimate_cost}
    schemas = tool_schemas(catalog, settings.defaults, live=pays_from_wallet(settings))
    server = MCPServer[ImageToolset](
        NAME,
        title="BlockRun images",
        version=version(NAME),
        instructions=_instructions(settings),
        tools=[SpecTool.serve(schema, calls[schema.name]) for schema in schemas],
        lifespan=lifespan,
        request_state_security=answers_wait(),
        cache_hints={"tools/list": CacheHint(ttl_ms=300_000, scope="public")},
    )

    async def recent_images() -> str:
        return await _recent_images(settings)

    server.resource(
        RECENT,
        name="recent_images",
        title="Recent images",
        description="The images that were made last: when, for how much, their prompts, states and URLs.",
        mime_type="application/json",
    )(recent_images)
    return server


async def _recent_images(settings: Settings) -> str:
    async with ledger_of(settings) as ledger:
        entries = [entry.to_dict() for entry in await ledger.recent(_MOST_RECENT)]
    while len(told := json.dumps({"images": entries}, ensure_ascii=False)) > _MOST_RECENT_CHARACTERS:
        entries.pop()
    return told


async def _list_models(toolset: ImageToolset, arguments: Mapping[str, Any], *_: object) -> ModelList:
    return toolset.list_models(**arguments)


async def _estimate_cost(toolset: ImageToolset, arguments: Mapping[str, Any], *_: object) -> CostComparison:
    return await toolset.estimate_cost_live(**arguments)


class _GatewayOnDemand:
    """An `ImageGateway` that is opened by its first call, so that a server starts at once and without a credential."""

    def __init__(self, settings: Settings, catalog: Catalog, background: Background, payees: "Payees") -> None:
        self._settings = settings
        self._catalog = catalog
        self._background = background
        self._payees = payees
        self._opening = anyio.Lock()
        self._gateway: HttpGateway | None = None

    @property
    def name(self) -> str:
        return self._gateway.name if self._gateway else _gateway_name(self._settings, self._catalog)

    def hurry(self) -> None:
        if self._gateway is None:
            return
        if self._gateway.unanswered:
            _log.warning("closing with %d paid calls unanswered; they may be charged", self._gateway.unanswered)
        self._gateway.hurry()

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        return await (await self._opened()).generate(request, attempt, on_status, within_seconds)

    async def follow(self, job: Job, most: int, on_status: OnStatus) -> ImagesResponse:
        return await (await self._opened()).follow(job, most, on_status)

    async def quote(self, request: ImageRequest) -> Decimal | None:
        return await (await self._opened()).quote(request)

    async def _opened(self) -> "HttpGateway":
        async with self._opening:
            if self._gateway is None:
                self._gateway = await self._background.hold(open_gateway(self._settings, self._catalog, self._payees))
        return self._gateway


class _LedgerOnDemand:
    """A `SpendLedger` that is opened by its first call: limits that cannot be read stop only what costs money.

    Where there is one from earlier already, it is also opened some seconds after the start, to finish what was left.
    """

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._opening = anyio.Lock()
        self._ledger: SqliteLedger | None = None

    async def keep_in(self, background: Background, ports: Ports) -> None:
        self._background = background
        self._ports = ports
        with suppress(OSError):  # of a folder that cannot be looked into; the first call that costs money says it
            if ledger_path(self._settings).exists():
                await background.hold(meanwhile(self._open_soon))

    async def find(self, request: ImageRequest) -> Attempt | None:
        return await (await self._opened()).find(request)

    async def reserve(self, request: ImageRequest, most_usd: Decimal, approval: str | None = None) -> Attempt:
        return await (await self._opened()).reserve(request, most_usd, approval)

    async def book(self, model: str, per_minute: int, within_seconds: float) -> float:
        return await (await self._opened()).book(model, per_minute, within_seconds)

    async def payee(self, host: str, seen: str) -> str:
        return await (await self._opened()).payee(host, seen)

    async def close(self) -> None:
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
        await Purchase(self._ports, request, Decimal(0), lambda status: None).finish(attempt)


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


def _instructions(settings: Settings) -> str:
    sandbox = " This server runs on a sandbox: nothing costs money." if settings.gateway == SANDBOX else ""
    return (
        "Makes images and tells what they cost. list_models and estimate_cost are free; generate_image costs money"
        " and is charged at most once a call. Write specific prompts with a style, a composition and a lighting; what"
        " is missing and fits is added behind your words and told in the result. estimate_cost with a prompt is a dry"
        " run."
        f"{sandbox}"
    )
