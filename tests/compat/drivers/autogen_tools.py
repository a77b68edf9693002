"""AutoGen's tools, each call of which starts a server of its own; five seconds, its usual time-out, are too few."""

from contextlib import asynccontextmanager

from autogen_core.tools import StaticWorkbench
from autogen_ext.tools.mcp import StdioServerParams, mcp_server_tools
from protocol import serve


@asynccontextmanager
async def connected(server):
    parameters = StdioServerParams(command=server.command, args=server.args, env=server.env, read_timeout_seconds=60)

    async def tools():
        return [tool["name"] for tool in await workbench.list_tools()]

    async def call(name, arguments):
        return (await workbench.call_tool(name, arguments)).to_text()

    workbench = StaticWorkbench(await mcp_server_tools(parameters))
    yield tools, call


serve(connected)
