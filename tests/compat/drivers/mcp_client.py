"""The Client of mcp 2.x; the option is the mode that sets its protocol era."""

from mcp import Client, StdioServerParameters
from protocol import SERVER, serve, text


async def tools(client):
    return [tool.name for tool in (await client.list_tools()).tools]


async def call(client, tool, arguments):
    return text((await client.call_tool(tool, arguments, read_timeout_seconds=SERVER.seconds)).content)


serve(Client(StdioServerParameters(**SERVER.start), mode=SERVER.option), tools, call)
