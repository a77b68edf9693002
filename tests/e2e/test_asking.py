"""Calls that the user approves first: on both eras, with clients that cannot ask, and with answers sent again."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.server import request_state
from mcp_types import ElicitRequestParams, ElicitResult, ErrorData
from tests.support.clients import COLLECTED, FOX, Connect, User, data, over_every_transport, served, text
from tests.support.commands import images, run
from tests.support.live_lists import see
from tests.support.payments import KEY
from tests.support.platforms import only_on_posix
from tests.support.processes import backend_of, process_environment
from tests.support.sandbox import Sandbox
from tests.support.servers import Server, running
from tests.support.setting_names import CONFIRM_ABOVE

from blockrun_image_mcp.mcp_server.server import build_server

if sys.platform != "win32":
    import pty

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("content", [None, {}, {"model": "dall-e-2"}])
async def test_an_approved_call_makes_its_picture(
    connect: Connect, sandbox: Sandbox, content: Mapping[str, str] | None
) -> None:
    user = User(content=content)
    async with connect({**sandbox.environment, CONFIRM_ABOVE: "0.04"}, user) as client:
        result = await client.call_tool("generate_image", {**FOX, "prompt": "A red\nfox"})
    assert len(data(result)["images"]) == 1
    (asked,) = user.questions
    assert asked.message == (
        'Make 1 image with dall-e-3 standard 1024x1024? It costs $0.042. The prompt is: "A red fox"'
    )
    assert asked.requested_schema == {"type": "object", "properties": {}}
    assert (sandbox.posts, sandbox.charges) == (1, 1)


@pytest.mark.parametrize("action", ["decline", "cancel"])
@over_every_transport
async def test_declined_or_cancelled_call_makes_nothing_and_names_the_setting(
    connect: Connect, sandbox: Sandbox, action: Literal["decline", "cancel"]
) -> None:
    user = User(action)
    async with connect({**sandbox.environment, CONFIRM_ABOVE: "0.04"}, user) as client:
        result = await client.call_tool("generate_image", FOX)
    assert_refused(result)
    assert (len(user.questions), sandbox.posts) == (1, 0)
    assert images() == []


def assert_refused(result: Any) -> None:
    assert result.is_error
    error = data(result)["error"]
    assert (error["type"], error["charged"], error["retryable"]) == ("confirmation", "no", False)
    assert CONFIRM_ABOVE in text(result)
    assert CONFIRM_ABOVE in error["hint"]


@over_every_transport
async def test_call_is_refused_if_the_client_cannot_ask_but_free_tools_work(connect: Connect, sandbox: Sandbox) -> None:
    async with connect({**sandbox.environment, CONFIRM_ABOVE: "0"}) as client:
        result = await client.call_tool("generate_image", FOX)
        free = await client.call_tool("estimate_cost", FOX)
    assert_refused(result)
    assert "this client cannot ask" in text(result)
    assert not free.is_error
    assert sandbox.posts == 0


@pytest.mark.parametrize("amount", ["0.042", "$1", "none", ""])
async def test_call_at_or_below_the_amount_needs_no_confirmation(
    connect: Connect, sandbox: Sandbox, amount: str
) -> None:
    user = User("decline")
    async with connect({**sandbox.environment, CONFIRM_ABOVE: amount}, user) as client:
        result = await client.call_tool("generate_image", FOX)
    assert not result.is_error
    assert (user.questions, sandbox.charges) == ([], 1)


async def test_invalid_or_over_budget_call_asks_for_no_confirmation(connect: Connect, sandbox: Sandbox) -> None:
    user = User()
    settings = {**sandbox.environment, CONFIRM_ABOVE: "0", "BLOCKRUN_IMAGE_MAX_COST_USD": "0.05"}
    async with connect(settings, user) as client:
        dear = await client.call_tool("generate_image", {**FOX, "n": 2})
        wrong = await client.call_tool("generate_image", {**FOX, "size": "9x9"})
    assert data(dear)["error"]["type"] == "budget_exceeded"
    assert data(wrong)["error"]["type"] == "invalid_request"
    assert (user.questions, sandbox.posts) == ([], 0)


@pytest.mark.parametrize("amount", ["a dollar", "${user_config.confirm}"])
async def test_unreadable_amount_blocks_only_paid_calls(connect: Connect, sandbox: Sandbox, amount: str) -> None:
    async with connect({**sandbox.environment, CONFIRM_ABOVE: amount}, User()) as client:
        result = await client.call_tool("generate_image", FOX)
        free = await client.call_tool("list_models", {})
    assert f"{CONFIRM_ABOVE} cannot be read" in text(result)
    assert data(result)["error"]["type"] == "configuration"
    assert not free.is_error
    assert sandbox.posts == 0


async def test_long_prompt_is_shown_truncated_and_sanitized(connect: Connect, sandbox: Sandbox) -> None:
    user = User("decline")
    async with connect({**sandbox.environment, CONFIRM_ABOVE: "0"}, user) as client:
        await client.call_tool("generate_image", {**FOX, "prompt": "fox\x1b\u202e " + "x" * 3_000, "n": 10})
    assert user.questions[0].message.startswith("Make 10 images with ")
    assert "\x1b" not in user.questions[0].message
    assert "\u202e" not in user.questions[0].message
    assert len(user.questions[0].message) < 320


@over_every_transport
async def test_each_call_is_confirmed_separately(connect: Connect, sandbox: Sandbox) -> None:
    user = User()
    async with connect({**sandbox.environment, CONFIRM_ABOVE: "0"}, user) as client:
        for _ in range(2):
            assert not (await client.call_tool("generate_image", FOX)).is_error
    assert (len(user.questions), sandbox.charges) == (2, 2)


@over_every_transport
async def test_call_cancelled_during_confirmation_makes_nothing(connect: Connect, sandbox: Sandbox) -> None:
    asked = anyio.Event()

    async def never(_: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError

    async with connect({**sandbox.environment, CONFIRM_ABOVE: "0"}, never) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "generate_image", FOX)
            await asked.wait()
            tasks.cancel_scope.cancel()
        assert not (await client.call_tool("list_models", {})).is_error
    assert sandbox.posts == 0
    assert images() == []


async def test_failed_elicitation_is_reported_and_nothing_is_sent(
    sandbox: Sandbox,
) -> None:
    async def fail(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        return ErrorData(code=-32603, message="There is no window.")

    server = build_server(backend_of({**sandbox.environment, CONFIRM_ABOVE: "0"}))
    async with Client(server, mode="legacy", elicitation_callback=fail) as client:
        result = await client.call_tool("generate_image", FOX)
    assert_refused(result)
    assert "the client returned no answer" in text(result)
    assert sandbox.posts == 0


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_user_is_asked_again_if_the_list_becomes_dearer(
    sandbox: Sandbox, mode: Literal["auto", "legacy"]
) -> None:
    settings, asked = {**sandbox.environment, CONFIRM_ABOVE: "0"}, list[str]()

    async def answer(_: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        asked.append(params.message)
        sandbox.change_models({"of": "nano-banana", "set": {"pricePerImage": 0.07}})
        await see(settings)  # as another server does
        return ElicitResult(action="accept" if len(asked) == 1 else "decline")

    async with served(settings, answer, mode) as client:
        await client.call_tool("generate_image", {**FOX, "model": "nano-banana"})
    assert ["$0.053" in asked[0], "$0.0735" in asked[1], len(asked), sandbox.posts] == [True, True, 2, 0]


@contextmanager
def asked_server(sandbox: Sandbox) -> Generator[Server]:
    """Run a server that asks before every call, spoken to as a client that can."""
    with running({**sandbox.environment, CONFIRM_ABOVE: "0"}) as server:
        server.capabilities = {"elicitation": {"form": {}}}
        yield server


def ask(server: Server, **more: Any) -> Mapping[str, Any]:
    """Make a call up to its question, and return what a client that was told yes adds to the next call."""
    result = server.request("tools/call", name="generate_image", arguments=FOX, **more)["result"]
    assert result["resultType"] == "input_required"
    assert list(result["inputRequests"]) == ["approval"]
    return {"requestState": result["requestState"], "inputResponses": {"approval": {"action": "accept"}}}


def answer(server: Server, answered: Mapping[str, Any]) -> Any:
    return server.request("tools/call", name="generate_image", arguments=FOX, **answered)


def test_replayed_approval_collects_the_same_pictures(sandbox: Sandbox) -> None:
    with asked_server(sandbox) as server:
        answered = ask(server)
        first, again = (answer(server, answered)["result"]["structuredContent"] for _ in range(2))
    assert first["images"]
    assert again["images"] == first["images"]
    assert COLLECTED in json.dumps(again)
    assert COLLECTED not in json.dumps(first)
    assert (sandbox.posts, sandbox.charges) == (1, 1)


def test_approval_replayed_during_its_call_joins_that_call(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 0.5}])
    with asked_server(sandbox) as server:
        answered = ask(server)
        calls = {server.send("tools/call", name="generate_image", arguments=FOX, **answered) for _ in range(3)}
        results: list[Any] = []
        while len(results) < 3:
            message = server.receive()
            if message.get("id") in calls:
                results.append(message["result"]["structuredContent"]["images"])
    assert results[0]
    assert results == [results[0]] * 3
    assert (sandbox.posts, sandbox.charges) == (1, 1)


def test_replayed_approval_of_a_refused_call_names_the_attempt(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 403}])
    with asked_server(sandbox) as server:
        answered = ask(server)
        first, again = answer(server, answered), answer(server, answered)
    assert first["result"]["structuredContent"]["error"]["type"] == "content_policy"
    error = again["result"]["structuredContent"]["error"]
    assert (again["result"]["isError"], error["type"], error["charged"]) == (True, "confirmation", "no")
    assert re.search(r"as attempt [0-9a-f-]{36} \(released\)\. Nothing was sent again\.", error["message"])
    assert (sandbox.posts, sandbox.charges) == (1, 0)


def test_approval_is_invalid_for_another_call_or_process(sandbox: Sandbox) -> None:
    with asked_server(sandbox) as server:
        answered = ask(server)
        dearer = server.request("tools/call", name="generate_image", arguments={**FOX, "n": 9}, **answered)
    with asked_server(sandbox) as other:
        elsewhere = answer(other, answered)
    for refused in (dearer, elsewhere):
        assert (refused["error"]["code"], refused["error"]["data"]["reason"]) == (-32602, "invalid_request_state")
    assert sandbox.posts == 0


def test_approval_without_its_request_state_is_requested_again(sandbox: Sandbox) -> None:
    with asked_server(sandbox) as server:
        first = ask(server, inputResponses={"approval": {"action": "accept"}})
        second = ask(server, requestState=first["requestState"])
        assert answer(server, second)["result"]["structuredContent"]["images"]
    assert sandbox.charges == 1


@pytest.mark.parametrize("said", [{"action": "decline"}, {"action": "cancel"}, {"roots": []}])
def test_anything_but_an_acceptance_is_always_a_refusal(sandbox: Sandbox, said: Mapping[str, Any]) -> None:
    with asked_server(sandbox) as server:
        answered = {**ask(server), "inputResponses": {"approval": said}}
        for _ in range(2):
            refused = answer(server, answered)["result"]["structuredContent"]["error"]
            assert CONFIRM_ABOVE in refused["hint"]
    assert sandbox.posts == 0


async def test_approval_can_be_given_for_over_a_week(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer_a_week_later(_: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        now = time.time() + 7 * 86_400
        monkeypatch.setattr(request_state, "time", SimpleNamespace(time=lambda: now))
        return ElicitResult(action="accept")

    async with served({**sandbox.environment, CONFIRM_ABOVE: "0"}, answer_a_week_later) as client:
        result = await client.call_tool("generate_image", FOX)
    assert not result.is_error
    assert sandbox.charges == 1


GENERATE = ("generate", "A red fox", "--model", "dall-e-2")


def test_command_without_a_terminal_is_refused_and_names_the_setting(sandbox: Sandbox) -> None:
    settings = {**sandbox.environment, CONFIRM_ABOVE: "0.02"}
    done = run(*GENERATE, settings=settings, input="y\n")
    assert done.returncode == 1
    assert "no terminal to ask on" in done.stderr
    assert CONFIRM_ABOVE in done.stderr
    assert sandbox.posts == 0
    assert run(*GENERATE, settings={**settings, CONFIRM_ABOVE: "0.021"}).returncode == 0
    assert run("doctor", settings={**settings, CONFIRM_ABOVE: "?"}).stdout.count(f"{CONFIRM_ABOVE} cannot be read") == 1


@only_on_posix("pseudo terminals")
@pytest.mark.parametrize(
    ("typed", "code", "posts", "words"),
    [
        ("y\n", 0, 1, "[y/N]"),
        ("\n", 1, 0, CONFIRM_ABOVE),
        ("n\n", 1, 0, "it was declined"),
        ("\x04", 1, 0, "it was declined"),
    ],
)
def test_terminal_user_is_asked_for_confirmation(
    sandbox: Sandbox, typed: str, code: int, posts: int, words: str
) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "blockrun_image_mcp", *GENERATE],
        env=process_environment({**sandbox.environment, CONFIRM_ABOVE: "0.02", "TERM": "xterm"}),
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    while b"[y/N]" not in said:
        said += os.read(process.stderr.fileno(), 4096)
    os.write(controller, typed.encode())
    out, err = process.communicate(timeout=30)
    os.close(terminal)
    os.close(controller)
    assert process.returncode == code
    assert b"Make 1 image with dall-e-2 standard 1024x1024? It costs $0.021." in said
    assert words in (said + err).decode()
    assert (b"images/" in out) == bool(posts)
    assert sandbox.posts == posts


@only_on_posix("pseudo terminals")
def test_terminal_user_is_asked_again_about_a_higher_price(sandbox: Sandbox) -> None:
    sandbox.script([{"challenge": {"accepts": [{"amount": "30000"}], "price": {"amount": "0.030000"}}}])
    settings = {"BLOCKRUN_IMAGE_GATEWAY": f"{sandbox.api_url}/v1", "BLOCKRUN_WALLET_KEY": KEY, CONFIRM_ABOVE: "0.02"}
    controller, terminal = pty.openpty()
    os.write(controller, b"y\nn\n")
    done = subprocess.run(
        [sys.executable, "-m", "blockrun_image_mcp", *GENERATE],
        env=process_environment({**settings, "TERM": "xterm"}),
        stdin=terminal,
        capture_output=True,
        timeout=30,
        check=False,
    )
    os.close(terminal)
    os.close(controller)
    said = done.stderr.decode()
    assert "The gateway's price is $0.03; the estimate was " in said
    assert (said.count("[y/N]"), sandbox.paid_posts) == (2, 0)


@only_on_posix("pseudo terminals")
@pytest.mark.parametrize(("second", "code", "posts"), [("n", 1, 0), ("y", 0, 1)])
def test_terminal_user_is_asked_again_if_the_list_becomes_dearer(
    sandbox: Sandbox, second: str, code: int, posts: int
) -> None:
    settings = {**sandbox.environment, CONFIRM_ABOVE: "0.02"}
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "blockrun_image_mcp", "generate", "A red fox", "--model", "nano-banana"],
        env=process_environment({**settings, "TERM": "xterm"}),
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    while b"[y/N]" not in said:
        said += os.read(process.stderr.fileno(), 4096)
    sandbox.change_models({"of": "nano-banana", "set": {"pricePerImage": 0.07}})
    anyio.run(see, settings)  # as another server does
    os.write(controller, f"y\n{second}\n".encode())
    again = process.communicate(timeout=30)[1]
    os.close(terminal)
    os.close(controller)
    assert b"It costs $0.053." in said
    assert b"$0.0735" in again
    assert (again.count(b"[y/N]"), process.returncode, sandbox.posts) == (1, code, posts)
