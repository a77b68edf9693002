"""When a gateway is asked for its list, and how long a picture waits for that."""

import time
from contextlib import AsyncExitStack, ExitStack
from typing import Literal

import anyio
import pytest
from tests.support.clients import FOX, Connect, data, served, text
from tests.support.live_lists import (
    CONTRACT,
    PREFIXED,
    TODAY,
    WONDER,
    age,
    change_everything,
    kept,
    kept_files,
    models_from,
    models_of,
    see,
    until,
)
from tests.support.payments import KEY
from tests.support.sandbox import Sandbox
from tests.support.servers import running
from tests.support.setting_names import CATALOG, SECONDS

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_first_request_uses_the_gateway_spelling_of_the_model(
    sandbox: Sandbox, mode: Literal["auto", "legacy"]
) -> None:
    sandbox.change_models(PREFIXED)
    async with served(sandbox.environment, mode=mode) as client:
        made = await client.call_tool("generate_image", FOX)
        assert data(made)["model"] == "dall-e-3"
    assert (sandbox.last_settlement["model"], sandbox.lists, sandbox.posts) == ("openai/dall-e-3", 1, 1)


async def test_first_calls_of_several_servers_share_one_list_request(sandbox: Sandbox) -> None:
    sandbox.change_models(PREFIXED)
    sandbox.script([{"on": "models", "delay_seconds": 0.5}])
    async with AsyncExitStack() as servers:
        clients = [await servers.enter_async_context(served(sandbox.environment)) for _ in range(4)]
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(client.call_tool, "generate_image", FOX)
    assert {settlement["model"] for settlement in sandbox.settlements} == {"openai/dall-e-3"}
    assert (sandbox.lists, sandbox.posts, sandbox.charges) == (1, 4, 4)


def test_first_calls_of_several_processes_share_one_list_request(sandbox: Sandbox) -> None:
    sandbox.change_models(PREFIXED)
    sandbox.script([{"on": "models", "delay_seconds": 0.5}])
    with ExitStack() as servers:
        processes = [servers.enter_context(running(sandbox.environment)) for _ in range(3)]
        for process in processes:
            process.request("tools/list")
        ids = [process.send("tools/call", name="generate_image", arguments=FOX) for process in processes]
        for process, id in zip(processes, ids, strict=True):
            while (answer := process.receive()).get("id") != id:
                pass
            assert answer["result"]["structuredContent"]["images"]
    assert {settlement["model"] for settlement in sandbox.settlements} == {"openai/dall-e-3"}
    assert (sandbox.lists, sandbox.posts, sandbox.charges) == (1, 3, 3)


async def test_first_call_waits_only_seconds_for_the_model_list(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "models", "delay_seconds": 60}])
    before = time.monotonic()
    async with served(sandbox.environment) as client:
        made = await client.call_tool("generate_image", FOX)
        again = await client.call_tool("generate_image", FOX)
    assert (made.is_error, again.is_error) == (False, False)
    assert 3 <= time.monotonic() - before < 30
    assert (sandbox.last_settlement["model"], sandbox.lists, sandbox.charges) == ("dall-e-3", 1, 2)


async def test_short_call_timeout_shortens_the_wait_for_the_list(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "models", "delay_seconds": 60}])
    before = time.monotonic()
    async with served({**sandbox.environment, SECONDS: "2"}) as client:
        made = await client.call_tool("generate_image", FOX)
    assert data(made)["status"] == "complete"
    assert time.monotonic() - before < 3


def test_listing_the_tools_sends_no_gateway_request(sandbox: Sandbox) -> None:
    with running(sandbox.environment) as server:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert len(server.request("tools/list")["result"]["tools"]) == 3
        _, err = server.close()
    assert (err, sandbox.lists, sandbox.posts) == ("", 0, 0)


async def test_servers_share_one_list_request_an_hour_and_its_result(sandbox: Sandbox) -> None:
    await see(sandbox.environment)
    age()
    sandbox.change_models({"add": WONDER})
    async with AsyncExitStack() as servers:
        clients = [await servers.enter_async_context(served(sandbox.environment)) for _ in range(3)]
        for client in clients:
            assert await models_from(client, before=CONTRACT) == [*CONTRACT, "acme/wonder"]
    assert sandbox.lists == 2
    with running(sandbox.environment) as server:
        server.request("tools/call", name="generate_image", arguments={**FOX, "model": "acme/wonder"})
        server.close()
    assert (sandbox.last_settlement["model"], sandbox.lists) == ("acme/wonder", 2)


async def test_failed_list_request_is_not_repeated_within_the_hour(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "models", "status": 503}])
    for _ in range(2):
        async with served(sandbox.environment) as client:
            assert not (await client.call_tool("generate_image", FOX)).is_error
    assert (sandbox.lists, kept(sandbox.environment).listing) == (1, None)
    age(3_601)
    async with served(sandbox.environment) as client:
        assert not (await client.call_tool("generate_image", FOX)).is_error
    assert (sandbox.lists, kept(sandbox.environment).listing is None) == (2, False)


async def test_the_list_of_another_gateway_or_rail_is_not_used(sandbox: Sandbox) -> None:
    change_everything(sandbox)
    await see(sandbox.environment)
    others = [
        {**sandbox.environment, "BLOCKRUN_IMAGE_GATEWAY": f"{sandbox.api_url}/v1"},
        {"BLOCKRUN_IMAGE_GATEWAY": sandbox.base_url, "BLOCKRUN_WALLET_KEY": KEY},
        {"BLOCKRUN_IMAGE_GATEWAY": "sandbox"},
        {**sandbox.environment, "BLOCKRUN_IMAGE_GATEWAY": "sandbox"},
        {},
    ]
    for settings in others:
        async with served(settings) as client:
            assert await models_of(client) == CONTRACT
    async with served({**sandbox.environment, "BLOCKRUN_API_KEY": "brk_another"}) as client:
        assert await models_of(client) == TODAY
    assert sandbox.lists == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "https://x.example/\udcff", "no URL", "ftp://a/"])
async def test_unreachable_gateway_does_not_affect_free_tools(url: str) -> None:
    settings = {"BLOCKRUN_IMAGE_GATEWAY": url, "BLOCKRUN_API_KEY": "brk_test"}
    async with served(settings) as client:
        await client.call_tool("list_models", {})
        await until(lambda: kept(settings).failure != "")
        refused = await client.call_tool("generate_image", FOX)
        listed = await client.call_tool("list_models", {})
    assert data(refused)["error"]["type"] in {"configuration", "gateway_unavailable"}
    assert [model["id"] for model in data(listed)["models"]] == CONTRACT


async def test_embedded_sandbox_adds_no_models_and_caches_no_list() -> None:
    async with served({"BLOCKRUN_IMAGE_GATEWAY": "sandbox"}) as client:
        assert not (await client.call_tool("generate_image", FOX)).is_error
        assert not any("source" in model for model in data(await client.call_tool("list_models", {}))["models"])
    assert kept_files() == []


async def test_gateway_list_is_not_requested_in_contract_scope(sandbox: Sandbox) -> None:
    async with served({**sandbox.environment, CATALOG: "contract"}) as client:
        assert not (await client.call_tool("generate_image", FOX)).is_error
    assert (sandbox.lists, sandbox.charges) == (0, 1)


async def test_first_call_may_name_a_model_only_the_gateway_lists(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.change_models({"add": WONDER})
    async with connect(sandbox.environment) as client:
        made = await client.call_tool("generate_image", {**FOX, "model": "wonder"})
    assert not made.is_error, text(made)
    assert sandbox.last_settlement["model"] == "acme/wonder"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_server_ends_after_its_caller_cancels_a_sent_call(
    sandbox: Sandbox, mode: Literal["auto", "legacy"]
) -> None:
    await see(sandbox.environment)
    age()
    sandbox.script([{"delay_seconds": 1}, {"on": "models", "delay_seconds": 60}])
    with anyio.fail_after(20):
        async with served(sandbox.environment, mode=mode) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "generate_image", FOX)
            await until(lambda: sandbox.posts == 1)
            tasks.cancel_scope.cancel()
