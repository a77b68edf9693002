"""LlamaIndex's tools, each call of which starts a server of its own."""

from contextlib import nullcontext

from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from protocol import SERVER, serve


async def tools(spec):
    return [tool.metadata.name for tool in await spec.to_tool_list_async()]


async def call(spec, tool, arguments):
    loaded = {each.metadata.name: each for each in await spec.to_tool_list_async()}
    return str(await loaded[tool].acall(**arguments))


start = SERVER.start
client = BasicMCPClient(start["command"], args=start["args"], env=start["env"], timeout=60)
serve(nullcontext(McpToolSpec(client)), tools, call)
