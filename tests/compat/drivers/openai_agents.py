"""OpenAI's Agents SDK, whose agent follows a model that makes one call; with the option, its schemas are strict."""

import json
from contextlib import asynccontextmanager
from itertools import count

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStdio
from openai.types.responses import ResponseFunctionToolCall
from protocol import serve


class OneCall(Model):
    """Makes the call that it was told of last; strict schemas want every argument, null where none is meant."""

    ids = count()

    async def get_response(self, *, tools, **others):
        self.tools = [tool.name for tool in tools]
        schema = next(tool.params_json_schema for tool in tools if tool.name == self.name)
        arguments = dict.fromkeys(schema.get("required", [])) | self.arguments
        id = f"call_{next(self.ids)}"
        call = ResponseFunctionToolCall(
            type="function_call", call_id=id, name=self.name, arguments=json.dumps(arguments)
        )
        return ModelResponse([call], Usage(), None)

    def stream_response(self, **others):
        raise NotImplementedError


@asynccontextmanager
async def connected(server):
    model = OneCall()
    parameters = {"command": server.command, "args": server.args, "env": server.env}

    async def tools():
        await call("list_models", {})
        return model.tools

    async def call(name, arguments):
        model.name, model.arguments = name, arguments
        return str((await Runner.run(agent, "Make a picture")).final_output)

    async with MCPServerStdio(parameters, client_session_timeout_seconds=server.seconds) as images:
        agent = Agent(
            name="painter",
            model=model,
            mcp_servers=[images],
            mcp_config={"convert_schemas_to_strict": server.option == "strict"},
            tool_use_behavior="stop_on_first_tool",
        )
        yield tools, call


set_tracing_disabled(True)
serve(connected)
