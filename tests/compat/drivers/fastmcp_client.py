"""FastMCP's client."""

from contextlib import asynccontextmanager

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from protocol import serve, text


@asynccontextmanager
async def connected(server):
    async def tools():
        return [tool.name for tool in await client.list_tools()]

    async def call(name, arguments):
        return text((await client.call_tool(name, arguments, timeout=server.seconds)).content)

    async with Client(StdioTransport(server.command, server.args, server.env, keep_alive=False)) as client:
        yield tools, call


serve(connected)
