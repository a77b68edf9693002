"""Calls that the user approves first: on both eras, from a machine that does not ask, and when an answer is replayed."""

import json
import threading
from collections.abc import Mapping
from typing import Any, Literal

import anyio
import pytest
from mcp.client import ClientRequestContext
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult, ErrorData
from tests.conftest import Connect, Sandbox, server_parameters
from tests.e2e.test_command_line import run
from tests.e2e.test_spending import images
from tests.e2e.test_stdio_process import META, Server, running
from tests.e2e.test_tools_over_mcp import FOX, data, text

pytestmark = pytest.mark.anyio

SETTING = "BLOCKRUN_IMAGE_CONFIRM_ABOVE_USD"
CAN_ASK = {**META, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}


class User:
    """Answers every question in the same way, and keeps them."""

    def __init__(self, action: Literal["accept", "decline", "cancel"] = "accept", content: Any = None) -> None:
        self.questions: list[ElicitRequestFormParams] = []
        self._answer = ElicitResult(action=action, content=content)

    async def __call__(self, _: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        assert isinstance(params, ElicitRequestFormParams)
        self.questions.append(params)
        return self._answer


@pytest.mark.parametrize("content", [None, {}, {"model": "dall-e-2"}])
async def test_an_approved_call_makes_its_picture(
    connect: Connect, sandbox: Sandbox, content: Mapping[str, str] | None
) -> None:
    user = User(content=content)
    async with connect({**sandbox.environment, SETTING: "0.04"}, user) as client:
        result = await client.call_tool("generate_image", {**FOX, "prompt": "A red\nfox"})
    assert len(data(result)["images"]) == 1
    (asked,) = user.questions
    assert asked.message == (
        'Make 1 image with dall-e-3 standard 1024x1024? The estimate is at most $0.042. The prompt is: "A red fox"'
    )
    assert asked.requested_schema == {"type": "object", "properties": {}}
    assert (sandbox.posts, sandbox.charges) == (1, 1)


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_any_other_answer_makes_nothing_and_names_the_setting(
    connect: Connect, sandbox: Sandbox, action: Literal["decline", "cancel"]
) -> None:
    user = User(action)
    async with connect({**sandbox.environment, SETTING: "0.04"}, user) as client:
        result = await client.call_tool("generate_image", FOX)
    assert_refused(result)
    assert (len(user.questions), sandbox.posts) == (1, 0)
    assert images() == []


def assert_refused(result: Any) -> None:
    assert result.is_error
    error = data(result)["error"]
    assert (error["type"], error["charged"], error["retryable"]) == ("confirmation", "no", False)
    assert SETTING in text(result)
    assert SETTING in error["hint"]


async def test_a_client_that_cannot_ask_is_told_so_and_free_tools_go_on(connect: Connect, sandbox: Sandbox) -> None:
    async with connect({**sandbox.environment, SETTING: "0"}) as client:
        result = await client.call_tool("generate_image", FOX)
        free = await client.call_tool("estimate_cost", FOX)
    assert_refused(result)
    assert "this client cannot ask" in text(result)
    assert not free.is_error
    assert sandbox.posts == 0


@pytest.mark.parametrize("amount", ["0.042", "$1", "none", "", "${user_config.confirm}"])
async def test_a_call_at_or_below_the_amount_is_not_asked_about(
    connect: Connect, sandbox: Sandbox, amount: str
) -> None:
    user = User("decline")
    async with connect({**sandbox.environment, SETTING: amount}, user) as client:
        result = await client.call_tool("generate_image", FOX)
    assert not result.is_error
    assert (user.questions, sandbox.charges) == ([], 1)


async def test_what_would_be_refused_anyway_is_not_asked_about(connect: Connect, sandbox: Sandbox) -> None:
    user = User()
    settings = {**sandbox.environment, SETTING: "0", "BLOCKRUN_IMAGE_MAX_COST_USD": "0.05"}
    async with connect(settings, user) as client:
        dear = await client.call_tool("generate_image", {**FOX, "n": 2})
        wrong = await client.call_tool("generate_image", {**FOX, "size": "9x9"})
    assert data(dear)["error"]["type"] == "budget_exceeded"
    assert data(wrong)["error"]["type"] == "invalid_request"
    assert (user.questions, sandbox.posts) == ([], 0)


async def test_an_amount_that_cannot_be_read_stops_what_costs_money_and_nothing_else(
    connect: Connect, sandbox: Sandbox
) -> None:
    async with connect({**sandbox.environment, SETTING: "a dollar"}, User()) as client:
        result = await client.call_tool("generate_image", FOX)
        free = await client.call_tool("list_models", {})
    assert f"{SETTING} cannot be read" in text(result)
    assert data(result)["error"]["type"] == "configuration"
    assert not free.is_error
    assert sandbox.posts == 0


async def test_a_long_prompt_is_shown_cut_and_cleaned(connect: Connect, sandbox: Sandbox) -> None:
    user = User("decline")
    async with connect({**sandbox.environment, SETTING: "0"}, user) as client:
        await client.call_tool("generate_image", {**FOX, "prompt": "fox\x1b\u202e " + "x" * 3_000, "n": 10})
    assert user.questions[0].message.startswith("Make 10 images with ")
    assert "\x1b" not in user.questions[0].message
    assert "\u202e" not in user.questions[0].message
    assert len(user.questions[0].message) < 320


async def test_each_call_is_asked_about_on_its_own(connect: Connect, sandbox: Sandbox) -> None:
    user = User()
    async with connect({**sandbox.environment, SETTING: "0"}, user) as client:
        for _ in range(2):
            assert not (await client.call_tool("generate_image", FOX)).is_error
    assert (len(user.questions), sandbox.charges) == (2, 2)
