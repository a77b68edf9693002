"""Serves one tool over MCP: advertises its schema, checks exactly that, and returns results and errors whole."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp_types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import Field, PrivateAttr

from blockrun_image.arguments import check_arguments
from blockrun_image.errors import ImageError, UnexpectedError
from blockrun_image.schemas import ToolSchema
from blockrun_image_mcp.approval import Ask
from blockrun_image_mcp.asking import InputRequired, asking
from blockrun_image_mcp.background import meanwhile

if TYPE_CHECKING:
    from blockrun_image.ports import OnStatus
    from blockrun_image.results import Result

Call: TypeAlias = "Callable[[Any, Mapping[str, Any], OnStatus, Ask], Awaitable[Result]]"
"""A tool's work: takes the lifespan's state, checked arguments, whom to tell what it waits for, and whom to ask."""

Prepare = Callable[[Any], Awaitable[None]]
"""Is awaited with the lifespan's state before a call's arguments are checked."""

OnAnswer = Callable[[Any], None]
"""Is called with the lifespan's state before each answer."""

_PROGRESS_SECONDS = 4.0

_log = logging.getLogger(__name__)


class SpecTool(Tool):
    """A tool whose input is described and checked by a `ToolSchema`, not by the signature of a function."""

    # as fields, pydantic would build what checks them, a whole catalogue among them, at each start
    _schema: ToolSchema = PrivateAttr()
    _call: Call = PrivateAttr()
    _prepare: Prepare = PrivateAttr()
    _on_answer: OnAnswer = PrivateAttr()
    progress_seconds: float = Field(default=_PROGRESS_SECONDS, exclude=True)

    @classmethod
    def serve(cls, schema: ToolSchema, call: Call, prepare: Prepare, on_answer: OnAnswer) -> Self:
        """Return the tool that does `call`.

        With the lifespan's state, `prepare` is awaited before a call's arguments are looked at, which may put another
        schema in force, and `on_answer` is called before each answer.
        """
        tool = cls(
            fn=call,
            is_async=True,
            context_kwarg=None,
            name=schema.name,
            title=schema.title,
            description=schema.description,
            parameters=schema.input,
            fn_metadata=FuncMetadata(arg_model=ArgModelBase, output_schema=schema.output),
            annotations=ToolAnnotations(
                read_only_hint=not schema.spends,
                destructive_hint=False,
                idempotent_hint=not schema.spends,
                open_world_hint=schema.spends or schema.asks,
            ),
        )
        tool._schema, tool._call, tool._prepare, tool._on_answer = schema, call, prepare, on_answer
        return tool

    def advertise(self, schema: ToolSchema) -> bool:
        """Describe and check the tool by another schema from now on, and tell whether that changes what clients see."""
        before = (self.description, self.parameters)
        self._schema, self.description, self.parameters = schema, schema.description, schema.input
        return before != (self.description, self.parameters)

    async def run(
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> CallToolResult | InputRequiredResult:
        """Check the arguments and do the call, or return what the user must answer before the client calls again.

        Every failure becomes a result with words of our own.
        """
        if not self._schema.spends:
            return await self._answer(arguments, context, lambda status: None)
        async with _reporting(context, self.progress_seconds) as on_status:
            return await self._answer(arguments, context, on_status)

    async def _answer(
        self, arguments: Mapping[str, object], context: Context[Any, Any], on_status: "OnStatus"
    ) -> CallToolResult | InputRequiredResult:
        state = context.request_context.lifespan_context
        try:
            await self._prepare(state)
            checked = check_arguments(self._schema, arguments)
            return _result(await self._call(state, checked, on_status, asking(context, on_status)))
        except InputRequired as question:
            return question.result
        except ImageError as error:
            return _result(error, is_error=True)
        except Exception:  # noqa: BLE001 - its text must not reach the model
            _log.exception("%s failed unexpectedly", self.name)
            charged = "unknown" if self._schema.spends else "no"
            return _result(UnexpectedError(f"{self.name} failed unexpectedly.", charged=charged), is_error=True)
        finally:
            self._on_answer(state)


@asynccontextmanager
async def _reporting(context: Context[Any, Any], interval_seconds: float) -> AsyncGenerator["OnStatus"]:
    """Tell the client, at once, at every change and at every interval, how long a call takes and what it waits for."""
    start = anyio.current_time()
    status, changed = "starting", anyio.Event()

    def note(words: str) -> None:
        nonlocal status
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
        elapsed = anyio.current_time() - start
        with suppress(Exception):  # a client that has stopped listening must not end a call that is being paid for
            await context.report_progress(round(elapsed, 1), message=f"{status} ({elapsed:.0f} s)")

    await report()
    async with meanwhile(keep_reporting):
        yield note


def _result(result: "Result | ImageError", *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=result.to_text())],
        structured_content=result.to_dict(),
        is_error=is_error,
    )
