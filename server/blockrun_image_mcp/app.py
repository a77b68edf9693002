"""The composition root: makes the parts that the settings ask for and puts them together."""

import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import anyio
import platformdirs

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import MODES
from blockrun_image.errors import ImageError
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, OnStatus
from blockrun_image.results import CostComparison, GeneratedImages, ModelList
from blockrun_image.schemas import tool_schemas
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.approval import Ask, approving
from blockrun_image_mcp.background import Background
from blockrun_image_mcp.images.store import FolderStore
from blockrun_image_mcp.logs import Redactor
from blockrun_image_mcp.settings import SANDBOX, VARIABLES, Settings

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from blockrun_image_mcp.gateway.client import HttpGateway
    from blockrun_image_mcp.ledger.sqlite import SqliteLedger

NAME = "blockrun-image-mcp"

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
    for field in ("max_cost_usd", "daily_budget_usd"):
        if getattr(settings, field).lower() == "none":
            _log.warning("%s is none: nothing limits what is spent", VARIABLES[field])
    return settings.model_copy(update=mended)


@asynccontextmanager
async def open_gateway(settings: Settings, catalog: Catalog) -> AsyncGenerator["HttpGateway"]:
    """Open the gateway that the settings name; the sandbox is started in this process.

    Raises `ConfigurationError` when there is no credential that may be sent.
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
        async with HttpGateway(endpoint, Redactor(settings.credentials.values())) as gateway:
            yield gateway


def ledger_of(settings: Settings) -> "SqliteLedger":
    """Return the ledger that all processes of this user share; the sandbox has one of its own.

    Raises `ConfigurationError` for a limit that cannot be read.
    """
    from blockrun_image_mcp.ledger.limits import Limits  # noqa: PLC0415 - not needed before money is spent
    from blockrun_image_mcp.ledger.sqlite import SqliteLedger  # noqa: PLC0415 - as above

    name = "sandbox.sqlite3" if settings.gateway == SANDBOX else "ledger.sqlite3"
    return SqliteLedger(platformdirs.user_state_path(NAME) / name, Limits.of(settings))


@asynccontextmanager
async def open_toolset(settings: Settings, catalog: Catalog) -> AsyncGenerator[ImageToolset]:
    """Open the three tools with the gateway and the images folder that the settings name.

    The gateway is opened by the first picture. A caller who is cancelled does not take a paid picture along: it is read
    to its end and logged, and at the end such calls have ten seconds to be answered.
    """
    async with Background(_log_orphan) as background:
        gateway = _GatewayOnDemand(settings, catalog, background)
        ledger = _LedgerOnDemand(settings)
        store = FolderStore(settings.dir)
        try:
            yield ImageToolset(catalog, gateway, store, settings.defaults, background.run, ledger)
        finally:
            with anyio.CancelScope(shield=True):
                gateway.hurry()
                await background.finish()
                await ledger.close()


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
            async with open_toolset(settings, catalog) as toolset:
                yield toolset
        finally:
            on_closed()

    async def generate_image(
        toolset: ImageToolset, arguments: Mapping[str, Any], on_status: OnStatus, ask: Ask
    ) -> GeneratedImages:
        return await toolset.generate_image(**arguments, on_status=on_status, approve=approving(settings, ask))

    calls = {"generate_image": generate_image, "list_models": _list_models, "estimate_cost": _estimate_cost}
    schemas = tool_schemas(catalog, settings.defaults)
    return MCPServer(
        NAME,
        title="BlockRun images",
        version=version(NAME),
        instructions=_instructions(settings),
        tools=[SpecTool.serve(schema, calls[schema.name]) for schema in schemas],
        lifespan=lifespan,
        request_state_security=answers_wait(),
        cache_hints={"tools/list": CacheHint(ttl_ms=300_000, scope="public")},
    )


async def _list_models(toolset: ImageToolset, arguments: Mapping[str, Any], *_: object) -> ModelList:
    return toolset.list_models(**arguments)


async def _estimate_cost(toolset: ImageToolset, arguments: Mapping[str, Any], *_: object) -> CostComparison:
    return toolset.estimate_cost(**arguments)


class _GatewayOnDemand:
    """An `ImageGateway` that is opened by its first call, so that a server starts at once and without a credential."""

    def __init__(self, settings: Settings, catalog: Catalog, background: Background) -> None:
        self._settings = settings
        self._catalog = catalog
        self._background = background
        self._opening = anyio.Lock()
        self._gateway: HttpGateway | None = None

    @property
    def name(self) -> str:
        return self._gateway.name if self._gateway else ""

    def hurry(self) -> None:
        if self._gateway is None:
            return
        if self._gateway.unanswered:
            _log.warning("closing with %d paid calls unanswered; they may be charged", self._gateway.unanswered)
        self._gateway.hurry()

    async def generate(self, request: ImageRequest, attempt: Attempt, on_status: OnStatus) -> ImagesResponse:
        async with self._opening:
            if self._gateway is None:
                self._gateway = await self._background.hold(open_gateway(self._settings, self._catalog))
        return await self._gateway.generate(request, attempt, on_status)


class _LedgerOnDemand:
    """A `SpendLedger` that is opened by its first call: limits that cannot be read stop only what costs money."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger: SqliteLedger | None = None

    async def reserve(self, request: ImageRequest, most_usd: Decimal, approval: str | None = None) -> Attempt:
        self._ledger = self._ledger or ledger_of(self._settings)
        return await self._ledger.reserve(request, most_usd, approval)

    async def close(self) -> None:
        if self._ledger is not None:
            await self._ledger.close()


def _log_orphan(outcome: object) -> None:
    """Log what became of a paid call whose caller has gone, as JSON: its text is not ours."""
    if isinstance(outcome, ImageError) and outcome.charged == "no":
        return
    if isinstance(outcome, Exception) and not isinstance(outcome, ImageError):
        _log.error("a call was cancelled after its request had been sent, and failed", exc_info=outcome)
    elif isinstance(outcome, GeneratedImages | ImageError):
        told = outcome.to_dict() if isinstance(outcome, ImageError) else _without_prompts(outcome)
        _log.warning("a call was cancelled after its request had been sent: %s", json.dumps(told))


def _without_prompts(result: GeneratedImages) -> Mapping[str, object]:
    """Return what finds a picture and its charge again; prompts, which are the users' own, are never logged."""
    content = result.to_dict()
    kept = {name: content[name] for name in ("model", "size", "cost", "gateway")}
    return {"images": [{"url": image.url} for image in result.images], **kept}


def _instructions(settings: Settings) -> str:
    sandbox = " This server runs on a sandbox: nothing costs money." if settings.gateway == SANDBOX else ""
    return (
        "Makes images and tells what they cost. list_models and estimate_cost are free; generate_image costs money"
        " and is charged at most once a call. Write specific prompts with a style, a composition and a lighting; what"
        " is missing and fits is added behind your words and told in the result. estimate_cost with a prompt is a dry"
        " run."
        f"{sandbox}"
    )
