"""LlamaIndex's tools, each call of which starts a server of its own."""

from contextlib import asynccontextmanager

from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from protocol import serve


@asynccontextmanager
async def connected(server):
    client = BasicMCPClient(server.command, args=server.args, env=server.env, timeout=60)

    async def tools():
        return list(loaded)

    async def call(name, arguments):
        return str(await loaded[name].acall(**arguments))

    loaded = {tool.metadata.name: tool for tool in await McpToolSpec(client).to_tool_list_async()}
    yield tools, call


serve(connected)
