"""LangChain's adapters, with tools that share one session."""

from contextlib import asynccontextmanager
from datetime import timedelta

from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from protocol import serve


@asynccontextmanager
async def connected(server):
    connection = {
        "transport": "stdio",
        "command": server.command,
        "args": server.args,
        "env": server.env,
        "session_kwargs": {"read_timeout_seconds": timedelta(seconds=server.seconds)},
    }

    async def tools():
        return list(loaded)

    async def call(name, arguments):
        request = {"type": "tool_call", "id": "call_1", "name": name, "args": arguments}
        return (await loaded[name].ainvoke(request)).text

    async with MultiServerMCPClient({"images": connection}).session("images") as session:
        loaded = {tool.name: tool for tool in await load_mcp_tools(session)}
        yield tools, call


serve(connected)
