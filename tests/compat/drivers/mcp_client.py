"""The Client of mcp 2.x; the option is the mode that sets its protocol era."""

from contextlib import asynccontextmanager

from mcp import Client, StdioServerParameters
from protocol import serve, text


@asynccontextmanager
async def connected(server):
    parameters = StdioServerParameters(command=server.command, args=server.args, env=server.env)

    async def tools():
        return [tool.name for tool in (await client.list_tools()).tools]

    async def call(name, arguments):
        return text((await client.call_tool(name, arguments, read_timeout_seconds=server.seconds)).content)

    async with Client(parameters, mode=server.option) as client:
        yield tools, call


serve(connected)
