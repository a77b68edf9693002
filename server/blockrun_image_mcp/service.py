"""The MCP server: the three tools, and what was made last as a resource."""

import json
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import anyio

from blockrun_image.catalog import Catalog
from blockrun_image.errors import ModelNotFoundError
from blockrun_image.schemas import tool_schemas
from blockrun_image_mcp.approval import Ask, approving
from blockrun_image_mcp.background import Background, OnDemand
from blockrun_image_mcp.catalogs.live import LiveCatalog
from blockrun_image_mcp.parts import NAME, known_defaults, ledger_of, ledger_path, live_catalog, pays_from_wallet
from blockrun_image_mcp.settings import SANDBOX, Settings

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from blockrun_image.ports import OnStatus
    from blockrun_image.results import CostComparison, GeneratedImages, ModelList
    from blockrun_image.toolset import ImageToolset
    from blockrun_image_mcp.spec_tool import Call

RECENT = "images://recent"
"""The resource that tells agents which pictures were made last."""

_FIRST_OPENING_SECONDS = 2.0  # after the start, which it must not slow down
_MOST_RECENT = 20
_MOST_RECENT_CHARACTERS = 40_000


@dataclass(frozen=True)
class Serving:
    """What calls work with while the server runs; the first of them opens the toolset."""

    toolset: "OnDemand[ImageToolset]"
    live: LiveCatalog


def build_server(
    settings: Settings, catalog: Catalog, on_closed: Callable[[], None] = lambda: None
) -> "MCPServer[Serving]":
    """Return the MCP server; `on_closed` is called when all that it held is closed."""
    from mcp.server.caching import CacheHint  # noqa: PLC0415 - loads mcp
    from mcp.server.mcpserver import MCPServer  # noqa: PLC0415 - as above
    from mcp.server.subscriptions import InMemorySubscriptionBus, ToolsListChanged  # noqa: PLC0415 - as above

    from blockrun_image_mcp.asking import answers_wait  # noqa: PLC0415 - as above
    from blockrun_image_mcp.spec_tool import SpecTool  # noqa: PLC0415 - as above

    @asynccontextmanager
    async def lifespan(_server: "MCPServer[Serving]") -> AsyncGenerator[Serving]:
        live = live_catalog(settings, in_force)
        live.on_change.append(advertise)
        try:
            async with _serving(settings, live) as serving:
                yield serving
        finally:
            on_closed()

    async def advertise(catalog: Catalog) -> None:
        nonlocal in_force
        in_force = catalog
        schemas = tool_schemas(catalog, known_defaults(settings, catalog), live=is_live)
        changes = [tool.advertise(schema) for tool, schema in zip(tools, schemas, strict=True)]
        if any(changes):
            await announcements.publish(ToolsListChanged())

    async def prepare(serving: Serving) -> None:
        await (await serving.toolset.opened()).prepare()

    async def do_nothing(_: Serving) -> None:
        """Answer at once."""

    def look(serving: Serving) -> None:
        serving.live.look_soon()

    in_force = catalog
    is_live = pays_from_wallet(settings)
    calls = _calls(settings)
    tools = [
        SpecTool.serve(schema, calls[schema.name], prepare if schema.spends else do_nothing, look)
        for schema in tool_schemas(catalog, settings.defaults, live=is_live)
    ]
    announcements = InMemorySubscriptionBus()
    server = MCPServer[Serving](
        NAME,
        title="BlockRun images",
        version=version(NAME),
        instructions=_instructions(settings),
        tools=list(tools),
        lifespan=lifespan,
        subscriptions=announcements,
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


@asynccontextmanager
async def _serving(settings: Settings, live: LiveCatalog) -> AsyncGenerator[Serving]:
    async with Background() as background:
        live.run_in(background)
        toolset = OnDemand(background, lambda: _toolset(settings, live))
        with suppress(OSError):  # of a folder that cannot be looked into; the first call that costs money says it
            if ledger_path(settings).exists():
                background.start(lambda: _open_soon(toolset))
        yield Serving(toolset, live)


def _toolset(settings: Settings, live: LiveCatalog) -> "AbstractAsyncContextManager[ImageToolset]":
    from blockrun_image_mcp.app import open_toolset  # noqa: PLC0415 - what listing the tools does without

    return open_toolset(settings, live.catalog, settings.patience_seconds or math.inf, live)


async def _open_soon(toolset: "OnDemand[ImageToolset]") -> None:
    """Open the toolset before there is a call, for what an earlier process has left unfinished."""
    await anyio.sleep(_FIRST_OPENING_SECONDS)
    await toolset.opened()


async def _recent_images(settings: Settings) -> str:
    async with ledger_of(settings) as ledger:
        entries = [entry.to_dict() for entry in await ledger.recent(_MOST_RECENT)]
    while len(told := json.dumps({"images": entries}, ensure_ascii=False)) > _MOST_RECENT_CHARACTERS:
        entries.pop()
    return told


def _calls(settings: Settings) -> "Mapping[str, Call]":
    async def generate_image(
        serving: Serving, arguments: Mapping[str, Any], on_status: "OnStatus", ask: Ask
    ) -> "GeneratedImages":
        toolset = await serving.toolset.opened()
        try:
            return await toolset.generate_image(**arguments, on_status=on_status, approve=approving(settings, ask))
        except ModelNotFoundError:
            serving.live.doubt()
            raise

    async def list_models(serving: Serving, arguments: Mapping[str, Any], *_: object) -> "ModelList":
        return (await serving.toolset.opened()).list_models(**arguments)

    async def estimate_cost(serving: Serving, arguments: Mapping[str, Any], *_: object) -> "CostComparison":
        return await (await serving.toolset.opened()).estimate_cost_live(**arguments)

    return {"generate_image": generate_image, "list_models": list_models, "estimate_cost": estimate_cost}


def _instructions(settings: Settings) -> str:
    sandbox = " This server runs on a sandbox: nothing costs money." if settings.gateway == SANDBOX else ""
    return (
        "Makes images and tells what they cost. list_models and estimate_cost are free; generate_image costs money"
        " and is charged at most once a call. Write specific prompts with a style, a composition and a lighting; what"
        " is missing and fits is added behind your words and told in the result. estimate_cost with a prompt is a dry"
        " run."
        f"{sandbox}"
    )
