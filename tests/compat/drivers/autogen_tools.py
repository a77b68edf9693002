"""AutoGen's tools, each call of which starts a server of its own; five seconds, their usual time-out, are too few."""

from contextlib import asynccontextmanager

from autogen_core.tools import StaticWorkbench
from autogen_ext.tools.mcp import StdioServerParams, mcp_server_tools
from protocol import SERVER, serve


@asynccontextmanager
async def workbench():
    yield StaticWorkbench(await mcp_server_tools(StdioServerParams(**SERVER.start, read_timeout_seconds=60)))


async def tools(workbench):
    return [tool["name"] for tool in await workbench.list_tools()]


async def call(workbench, tool, arguments):
    return (await workbench.call_tool(tool, arguments)).to_text()


serve(workbench(), tools, call)
