"""Performs one call of a tool."""

import logging
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from anyio import to_thread
from mcp.server.context import ServerRequestContext
from mcp_types import CallToolRequestParams, CallToolResult, ImageContent, InputRequiredResult, TextContent

from blockrun_image.arguments import check_arguments
from blockrun_image.errors import ImageError, InvalidRequestError, UnexpectedError
from blockrun_image.schemas import ToolSchema
from blockrun_image.text import quoted
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.mcp_server.elicitation import InputRequired, elicitation
from blockrun_image_mcp.mcp_server.origin import Origin
from blockrun_image_mcp.mcp_server.versions import has_annotations, has_structured_results
from blockrun_image_mcp.paid_call import Outcome, PaidCall
from blockrun_image_mcp.performing import perform
from blockrun_image_mcp.tasks import run_alongside

if TYPE_CHECKING:
    from blockrun_image.ports import OnStatus
    from blockrun_image.results import Result

Context: TypeAlias = ServerRequestContext[Backend, Any]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ToolCall:
    """One `tools/call`."""

    context: Context
    params: CallToolRequestParams
    on_status: "OnStatus"

    @property
    def backend(self) -> Backend:
        """The server's backend."""
        return self.context.lifespan_context

    async def generate_image(self, arguments: Mapping[str, Any]) -> Outcome:
        """Make images, with the user's approval if needed."""
        origin = Origin.of(self.context)
        ask = elicitation(self.context, self.params, self.on_status)
        call = PaidCall(arguments, ask, self.on_status, origin.caller, origin.delivery, origin.arrived_at)
        elsewhere = self.backend.paid_calls
        return await (perform(self.backend, call) if elsewhere is None else elsewhere.perform(call))

    async def list_models(self, arguments: Mapping[str, Any]) -> "Result":
        """List models."""
        return self.backend.toolset.list_models(**check_arguments(_schema(self), arguments))

    async def estimate_cost(self, arguments: Mapping[str, Any]) -> "Result":
        """Price a request."""
        checked = check_arguments(_schema(self), arguments)
        return await self.backend.toolset.estimate_cost_live(**checked, caller=Origin.of(self.context).caller)


_FREE_TOOLS: Mapping[str, Callable[[ToolCall, Mapping[str, Any]], "Awaitable[Result]"]] = {
    "list_models": ToolCall.list_models,
    "estimate_cost": ToolCall.estimate_cost,
}


async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    """Return the call's result, or a question for the client to answer first.

    Every failure becomes a result, because models do not see protocol errors.
    """
    if not any(schema.spends for schema in context.lifespan_context.schemas() if schema.name == params.name):
        return await _answer(ToolCall(context, params, lambda status: None))
    async with _reporting(context) as on_status:
        return await _answer(ToolCall(context, params, on_status))


async def _answer(call: ToolCall) -> CallToolResult | InputRequiredResult:
    name, version = call.params.name, call.context.protocol_version
    try:
        outcome = await _run(call)
        return _result(outcome, version, await _preview(call, outcome.paths))
    except InputRequired as question:
        return question.result
    except ImageError as error:
        return _result(Outcome.of_error(error), version)
    except Exception:  # noqa: BLE001 - its text must not reach the model
        _log.exception("%s failed unexpectedly", name)
        charged = "unknown" if name == "generate_image" else "no"
        return _result(Outcome.of_error(UnexpectedError(f"{name} failed unexpectedly.", charged=charged)), version)
    finally:
        call.backend.models.schedule_refresh()


async def _run(call: ToolCall) -> Outcome:
    arguments = call.params.arguments or {}
    schema = _schema(call)
    call.backend.check_description()  # first: the arguments are checked against it
    if schema.spends:
        return await call.generate_image(arguments)
    if arguments.get("live"):
        await call.backend.prepare()  # the first list may put other schemas in force
    result = await _FREE_TOOLS[schema.name](call, arguments)
    return Outcome(result.to_text(), result.to_dict())


def _schema(call: ToolCall) -> ToolSchema:
    schemas = {schema.name: schema for schema in call.backend.schemas()}
    if call.params.name not in schemas:
        raise InvalidRequestError(f"There is no tool {quoted(call.params.name)}. Tools: {', '.join(schemas)}.")
    return schemas[call.params.name]


@asynccontextmanager
async def _reporting(context: Context) -> AsyncGenerator["OnStatus"]:
    """Report progress at once, at every new status and at every interval.

    The progress is the seconds of the call. The total is the call's timeout, and is left out once that has passed.
    """
    start, timings = anyio.current_time(), context.lifespan_context.timings
    interval_seconds, total = timings.progress_seconds, timings.call_timeout_seconds
    status, changed, progress = "starting", anyio.Event(), -0.001

    def note(words: str) -> None:
        nonlocal status
        if words != status:
            status = words
            changed.set()

    async def keep_reporting() -> None:
        nonlocal changed
        while True:
            with anyio.move_on_after(interval_seconds):
                await changed.wait()
            changed = anyio.Event()
            await report()

    async def report() -> None:
        nonlocal progress
        elapsed = anyio.current_time() - start
        progress = max(round(elapsed, 1), round(progress + 0.001, 3))  # the protocol requires an increase each time
        message = f"{status} ({elapsed:.0f} s)" if has_annotations(context.protocol_version) else None
        with suppress(Exception):  # a client that stops listening must not end a paid call
            await context.session.report_progress(progress, total if progress < total else None, message)

    await report()
    async with run_alongside(keep_reporting):
        yield note


async def _preview(call: ToolCall, paths: Sequence[Path]) -> Sequence[ImageContent]:
    """Return a small picture of the first file, if the settings ask for one."""
    if call.backend.settings.preview == "off" or not paths:
        return []
    try:
        from blockrun_image_mcp.images.reading import preview_of  # noqa: PLC0415 - loads Pillow

        preview, media_type = await to_thread.run_sync(preview_of, paths[0])
    except Exception:  # noqa: BLE001 - the pictures are paid for, and their answer must not be lost
        _log.warning("there is no preview", exc_info=True)
        return []
    return [ImageContent(type="image", data=b64encode(preview).decode(), mime_type=media_type)]


def _result(outcome: Outcome, version: str, previews: Sequence[ImageContent] = ()) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=outcome.text), *previews],
        structured_content={**outcome.content} if has_structured_results(version) else None,
        is_error=outcome.is_error,
    )
