"""FastMCP's client."""

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from protocol import SERVER, serve, text


async def tools(client):
    return [tool.name for tool in await client.list_tools()]


async def call(client, tool, arguments):
    return text((await client.call_tool(tool, arguments, timeout=SERVER.seconds)).content)


serve(Client(StdioTransport(**SERVER.start, keep_alive=False)), tools, call)
