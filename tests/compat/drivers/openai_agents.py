"""OpenAI's Agents SDK, whose agent follows a model that makes one call; with the option, its schemas are strict."""

import json
from itertools import count

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStdio
from openai.types.responses import ResponseFunctionToolCall
from protocol import SERVER, serve

STRICT = {"convert_schemas_to_strict": SERVER.option == "strict"}


class OneCall(Model):
    """Calls a tool; strict schemas want every argument, null where none is meant."""

    ids = count()

    def __init__(self, tool, arguments):
        self.tool, self.arguments = tool, arguments

    async def get_response(self, *, tools, **others):
        schema = next(tool.params_json_schema for tool in tools if tool.name == self.tool)
        arguments = json.dumps(dict.fromkeys(schema.get("required", [])) | self.arguments)
        id = f"call_{next(self.ids)}"
        made = ResponseFunctionToolCall(type="function_call", call_id=id, name=self.tool, arguments=arguments)
        return ModelResponse([made], Usage(), None)

    def stream_response(self, **others):
        raise NotImplementedError


async def tools(server):
    return [tool.name for tool in await server.list_tools()]


async def call(server, tool, arguments):
    model = OneCall(tool, arguments)
    agent = Agent(
        "painter", model=model, mcp_servers=[server], mcp_config=STRICT, tool_use_behavior="stop_on_first_tool"
    )
    return str((await Runner.run(agent, "Make a picture")).final_output)


set_tracing_disabled(True)
serve(MCPServerStdio(SERVER.start, client_session_timeout_seconds=SERVER.seconds), tools, call)
