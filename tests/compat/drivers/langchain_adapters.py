"""LangChain's adapters, with tools that share one session."""

from datetime import timedelta

from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from protocol import SERVER, serve


async def tools(session):
    return [tool.name for tool in await load_mcp_tools(session)]


async def call(session, tool, arguments):
    loaded = {each.name: each for each in await load_mcp_tools(session)}
    return (await loaded[tool].ainvoke({"type": "tool_call", "id": "1", "name": tool, "args": arguments})).text


patience = {"read_timeout_seconds": timedelta(seconds=SERVER.seconds)}
connection = {"transport": "stdio", **SERVER.start, "session_kwargs": patience}
serve(MultiServerMCPClient({"images": connection}).session("images"), tools, call)
