"""Builds the MCP server on mcp's low-level server."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from typing import Any, cast

from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import ListPromptsResult, ListToolsResult, PaginatedRequestParams, Tool, ToolAnnotations

from blockrun_image.catalog import Catalog
from blockrun_image.schemas import ToolSchema
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.folders import NAME
from blockrun_image_mcp.mcp_server.resources import list_resource_templates, list_resources, read_resource
from blockrun_image_mcp.mcp_server.tool_call import call_tool
from blockrun_image_mcp.mcp_server.versions import has_annotations, has_structured_results, has_titles
from blockrun_image_mcp.paid_call import PaidCalls
from blockrun_image_mcp.setting_values import SANDBOX
from blockrun_image_mcp.settings import Settings


def build_server(backend: Backend, paid_calls: AbstractAsyncContextManager[PaidCalls] | None = None) -> Server[Backend]:
    """Return the MCP server; it opens the backend when it runs.

    With `paid_calls`, those are performed there; otherwise in this process.
    """
    announcements = InMemorySubscriptionBus()

    @asynccontextmanager
    async def lifespan(_: Server[Backend]) -> AsyncGenerator[Backend]:
        async with backend, paid_calls or nullcontext() as backend.paid_calls:
            backend.resume_soon()
            yield backend

    server = Server[Backend](
        NAME,
        title="BlockRun images",
        version=version(NAME),
        instructions=_instructions(backend.settings),
        lifespan=lifespan,
        cache_hints={"tools/list": CacheHint(ttl_ms=int(backend.timings.cached_tools_seconds * 1000), scope="public")},
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_resource_templates,
        on_read_resource=read_resource,
        on_list_prompts=_list_prompts,
        on_subscriptions_listen=ListenHandler(announcements),
    )
    # the key belongs to this process, so that a user's answer is valid for no other
    seal = RequestStateSecurity.ephemeral(ttl=backend.timings.approval_lifetime_seconds)
    server.middleware.append(RequestStateBoundary(seal, default_audience=NAME))
    server.middleware.append(_fit_client)
    _announce_changes(backend, announcements)
    return server


async def list_tools(
    context: ServerRequestContext[Backend, Any], _params: PaginatedRequestParams | None
) -> ListToolsResult:
    """Return the three tools, limited to the features of the client's protocol."""
    protocol = context.protocol_version
    return ListToolsResult(tools=[_tool(schema, protocol) for schema in context.lifespan_context.schemas()])


def _tool(schema: ToolSchema, protocol: str) -> Tool:
    annotations = ToolAnnotations(
        read_only_hint=not schema.spends,
        destructive_hint=False,
        idempotent_hint=not schema.spends,
        open_world_hint=schema.spends or schema.asks,
    )
    return Tool(
        name=schema.name,
        title=schema.title if has_titles(protocol) else None,
        description=schema.description,
        input_schema=schema.input,
        output_schema=schema.output if has_structured_results(protocol) else None,
        annotations=annotations if has_annotations(protocol) else None,
    )


async def _list_prompts(_context: object, _params: PaginatedRequestParams | None) -> ListPromptsResult:
    """Return an empty list of prompts."""
    # some hosts request it from every server
    return ListPromptsResult(prompts=[])


async def _fit_client(ctx: ServerRequestContext[Backend, Any], call_next: CallNext) -> HandlerResult:
    """Adapt requests of lenient clients, and results for clients of old protocols."""
    params = ctx.params or {}
    arguments = params.get("arguments")
    # mcp would answer these with a protocol error, which models do not see; they do see the tool's own refusal
    if ctx.method == "tools/call" and arguments is not None and not isinstance(arguments, Mapping):
        given = {} if arguments in ("", []) else {"arguments": arguments}  # some languages write {} as []
        ctx = replace(ctx, params={**params, "arguments": given})
    result = await call_next(ctx)
    # mcp sends the server's title in every version
    if ctx.method == "initialize" and isinstance(result, dict) and not has_titles(result["protocolVersion"]):
        cast("dict[str, Any]", result["serverInfo"]).pop("title", None)
    return result


def _announce_changes(backend: Backend, announcements: InMemorySubscriptionBus) -> None:
    """Notify listening clients when the gateway's model list changes the tools."""
    advertised = [(schema.description, schema.input) for schema in backend.schemas()]

    backend.announce_tools = lambda: announcements.publish(ToolsListChanged())

    async def announce(_: Catalog) -> None:
        nonlocal advertised
        before, advertised = advertised, [(schema.description, schema.input) for schema in backend.schemas()]
        if advertised != before:
            await backend.announce_tools()

    backend.models.on_change.append(announce)


def _instructions(settings: Settings) -> str:
    cost = "generate_image costs real money; list_models and estimate_cost are free"
    if settings.gateway == SANDBOX:
        cost = "This is a sandbox: nothing costs money"
    return (
        f"Makes images from prompts. {cost}. If a call"
        " timed out or is pending, repeat it unchanged to collect it without paying again. Show each image to the"
        " user as Markdown, with its plain URL and file, and say what was charged. Write specific prompts with a style,"
        " a composition and a lighting; suitable missing elements are appended after your words and reported in the"
        " result. estimate_cost with a prompt shows what would be sent."
    )
