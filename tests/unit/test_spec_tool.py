from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, TextContent

from blockrun_image import Catalog, CostComparison, ImageToolset
from blockrun_image.ports import OnStatus
from blockrun_image.schemas import ToolSchema, tool_schemas
from blockrun_image_mcp.approval import Ask
from blockrun_image_mcp.spec_tool import Call, SpecTool

pytestmark = pytest.mark.anyio

FOX = {"prompt": "A fox", "model": "dall-e-2"}


class Client:
    """The side of a call's context that hears of its progress."""

    def __init__(self, *, gone: bool = False) -> None:
        self.heard: list[str] = []
        self.heard_enough = anyio.Event()
        self.gone = gone
        self.request_context = SimpleNamespace(lifespan_context=None)

    async def report_progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        if self.gone:
            raise anyio.BrokenResourceError
        self.heard.append(message or "")
        if len(self.heard) == 5:
            self.heard_enough.set()


def served(schema: ToolSchema, work: Call) -> SpecTool:
    async def prepare(_: object) -> None:
        await anyio.lowlevel.checkpoint()

    return SpecTool.serve(schema, work, prepare, lambda state: None)


async def call(catalog: Catalog, work: Call, client: Client, interval_seconds: float = 5) -> CallToolResult:
    tool = served(tool_schemas(catalog)[0], work)
    tool.progress_seconds = interval_seconds
    result = await tool.run(FOX, cast("Context[Any, Any]", client))
    assert isinstance(result, CallToolResult)
    return result


async def test_progress_is_told_at_every_change_and_at_every_interval(catalog: Catalog) -> None:
    client = Client()

    async def work(_: object, arguments: Mapping[str, Any], on_status: OnStatus, __: Ask) -> CostComparison:
        on_status("drawing")
        await client.heard_enough.wait()
        return ImageToolset(catalog).estimate_cost()

    await call(catalog, work, client, interval_seconds=0.01)
    assert client.heard[:5] == ["starting (0 s)"] + ["drawing (0 s)"] * 4


def test_progress_is_told_at_least_every_five_seconds(catalog: Catalog) -> None:
    async def work(_: object, arguments: Mapping[str, Any], on_status: OnStatus, __: Ask) -> CostComparison:
        return ImageToolset(catalog).estimate_cost()

    assert 0 < served(tool_schemas(catalog)[0], work).progress_seconds <= 5


async def test_a_client_that_has_stopped_listening_does_not_end_the_call(catalog: Catalog) -> None:
    async def work(_: object, arguments: Mapping[str, Any], on_status: OnStatus, __: Ask) -> CostComparison:
        on_status("drawing")
        await anyio.sleep(0.01)
        return ImageToolset(catalog).estimate_cost()

    assert not (await call(catalog, work, Client(gone=True))).is_error


async def test_an_unforeseen_exception_becomes_one_plain_sentence_without_its_text(
    catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(_: object, arguments: Mapping[str, Any], on_status: OnStatus, __: Ask) -> CostComparison:
        raise RuntimeError("/home/someone/secret")

    result = await call(catalog, work, Client())
    assert result.is_error
    assert isinstance(result.content[0], TextContent)
    assert "generate_image failed unexpectedly" in result.content[0].text
    assert "It may have been charged." in result.content[0].text
    assert "secret" not in str(result)
    assert "secret" in caplog.text
