"""AutoGen's tools, each call of which starts a server of its own; five seconds, its usual time-out, are too few."""

from contextlib import asynccontextmanager

from autogen_core import CancellationToken
from autogen_ext.tools.mcp import StdioServerParams, mcp_server_tools
from protocol import serve


@asynccontextmanager
async def connected(server):
    parameters = StdioServerParams(command=server.command, args=server.args, env=server.env, read_timeout_seconds=60)

    async def tools():
        return list(loaded)

    async def call(name, arguments):
        tool = loaded[name]
        return tool.return_value_as_string(await tool.run_json(arguments, CancellationToken()))

    loaded = {tool.name: tool for tool in await mcp_server_tools(parameters)}
    yield tools, call


serve(connected)
