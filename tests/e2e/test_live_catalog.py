"""The models that the gateway lists today, as an agent meets them: after a restart, and while the server runs."""

import json
from typing import Literal

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from mcp import Client
from mcp.shared.subscriptions import ToolsListChanged
from tests.support.clients import FOX, Connect, data, over_every_transport, served, text
from tests.support.live_lists import (
    CONTRACT,
    DAY_SECONDS,
    TODAY,
    WONDER,
    age,
    change_everything,
    kept,
    models_from,
    models_of,
    priced,
    see,
    until,
)
from tests.support.processes import backend_of
from tests.support.sandbox import Sandbox
from tests.support.setting_names import CATALOG, DEFAULT_MODEL

from blockrun_image_mcp.mcp_server.server import build_server

pytestmark = pytest.mark.anyio


async def assert_everything_is_todays(client: Client, sandbox: Sandbox) -> None:
    assert await models_of(client) == TODAY
    listed = await client.call_tool("list_models", {})
    models = {model["id"]: model for model in data(listed)["models"]}
    assert [id for id, model in models.items() if model.get("available", True)] == TODAY
    assert [models[id]["source"] for id in TODAY] == ["both", "both", "live", "live"]
    assert "No longer available: dall-e-2, nano-banana-pro" in text(listed)
    assert (models["acme/wonder"]["provider"], models["acme/wonder"]["low_usd"]) == ("Acme", "0.084")
    assert (models["acme/odd"]["provider"], models["acme/odd"].get("low_usd")) == ("acme", None)
    assert ("sizes" in models["acme/odd"], "Ignore" in text(listed)) == (False, False)
    assert (await priced(client, "nano-banana"))["estimated_usd"] == "0.0735"
    assert "estimated_usd" not in await priced(client, "acme/odd")
    for retired in ("dall-e-2", "openai/dall-e-2", "nano-banana-pro"):
        refused = await client.call_tool("generate_image", {**FOX, "model": retired})
        assert data(refused)["error"]["type"] == "unknown_model"
        assert f"'{retired.removeprefix('openai/')}' is not among the models that 127.0.0.1 lists" in text(refused)
        assert "dall-e-3 (from $0.042), nano-banana (from $0.0735), acme/wonder (from $0.084)" in text(refused)
        assert data(refused)["error"]["valid_values"] == TODAY
        assert len(text(refused).encode()) <= 400
    assert sandbox.posts == 0
    made = [data(await client.call_tool("generate_image", {**FOX, "model": id})) for id in (*TODAY, "openai/dall-e-3")]
    assert [each["model"] for each in made] == [*TODAY, "dall-e-3"]
    assert [each["cost"]["charged_usd"] for each in made] == ["0.042", "0.0735", "0.084", "0.05", "0.042"]
    asked_for = [settlement["model"] for settlement in sandbox.settlements]
    assert asked_for == ["openai/dall-e-3", "nano-banana", "acme/wonder", "acme/odd", "openai/dall-e-3"]


async def test_restarted_server_offers_the_current_gateway_list(connect: Connect, sandbox: Sandbox) -> None:
    change_everything(sandbox)
    await see(sandbox.environment)
    async with connect(sandbox.environment) as client:
        await assert_everything_is_todays(client, sandbox)
    assert sandbox.lists == 1


@over_every_transport
async def test_running_server_adopts_a_new_list_and_notifies_subscribers(connect: Connect, sandbox: Sandbox) -> None:
    await see(sandbox.environment)
    age()
    change_everything(sandbox)
    async with connect(sandbox.environment) as client:
        assert await models_of(client) == CONTRACT
        assert sandbox.lists == 1
        if client.protocol_version >= "2026-07-28":
            await client.list_tools()  # which the client remembers
            async with client.listen(tools_list_changed=True) as announcements:
                yesterdays = await client.call_tool("list_models", {})
                with anyio.fail_after(20):
                    assert await anext(announcements) == ToolsListChanged()
                (tool, *_) = (await client.list_tools()).tools
            assert tool.input_schema["properties"]["model"]["enum"] == TODAY
        else:
            yesterdays = await client.call_tool("list_models", {})
            await models_from(client, before=CONTRACT)
        assert [model["id"] for model in data(yesterdays)["models"]] == CONTRACT
        await assert_everything_is_todays(client, sandbox)
    assert (sandbox.lists, kept(sandbox.environment).failure) == (2, "")


async def test_unchanged_list_is_not_sent_again_or_announced(sandbox: Sandbox) -> None:
    await see(sandbox.environment)
    age()
    before = kept(sandbox.environment).listing
    async with served(sandbox.environment) as client, client.listen(tools_list_changed=True) as announcements:
        await client.call_tool("list_models", {})
        await until(lambda: sandbox.unchanged_lists == 1 and kept(sandbox.environment).listing != before)
        with pytest.raises(TimeoutError), anyio.fail_after(0.1):
            await anext(announcements)
    after = kept(sandbox.environment).listing
    assert before is not None
    assert after is not None
    assert (after.models, after.seen_at - before.seen_at > DAY_SECONDS) == (before.models, True)
    assert (sandbox.lists, sandbox.unchanged_lists) == (2, 1)


@pytest.mark.parametrize("etag", [b'"' + b"x" * 600 + b'"', b'"\xe9\xff"', b'"\xe2\x98\x83"', b'"a b"', b""])
async def test_unusable_etag_is_not_stored_or_sent_back(etag: bytes) -> None:
    heads: list[bytes] = []
    whole = json.dumps({"data": [WONDER]}).encode()
    answer = b"HTTP/1.1 200 OK\r\nETag: %b\r\nContent-Length: %d\r\n\r\n%b" % (etag, len(whole), whole)

    async def serve(connection: SocketStream) -> None:
        async with connection:
            heads.append(await connection.receive())
            await connection.send(answer)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    origin = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
    settings = {"BLOCKRUN_IMAGE_GATEWAY": f"{origin}/v1", "BLOCKRUN_API_KEY": "brk_test"}
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        await see(settings)
        await see(settings)
        tasks.cancel_scope.cancel()
    assert (kept(settings).etag, len(heads)) == ("", 2)
    assert b"if-none-match" not in heads[1].lower()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_agent_can_search_a_very_long_model_list(sandbox: Sandbox, mode: Literal["auto", "legacy"]) -> None:
    names = [f"{maker}/painter-{number}" for maker in ("acme", "zenith") for number in range(30)]
    sandbox.change_models(*({"add": {**WONDER, "id": name, "owned_by": name[:4].title()}} for name in names))
    await see(sandbox.environment)
    async with served(sandbox.environment, mode=mode) as client:
        tools = {tool.name: tool.input_schema["properties"] for tool in (await client.list_tools()).tools}
        some = data(await client.call_tool("list_models", {}))
        found = data(await client.call_tool("list_models", {"search": "ZENITH/painter-1"}))
        compared = data(await client.call_tool("estimate_cost", {}))
        close = await client.call_tool("generate_image", {**FOX, "model": "zenith/painter-31"})
        made = data(await client.call_tool("generate_image", {**FOX, "model": "zenith/painter-29"}))
    assert (tools["generate_image"]["model"]["type"], "enum" in tools["generate_image"]["model"]) == ("string", False)
    assert all("list_models" in tools[name]["model"]["description"] for name in ("generate_image", "estimate_cost"))
    assert (len(some["models"]), some["more"], "search" in tools["list_models"]) == (40, 24, True)
    assert [model["id"] for model in found["models"]] == [name for name in names if "zenith/painter-1" in name]
    assert (len(compared["estimates"]), compared["more"]) == (40, 24)
    assert data(close)["error"]["type"] == "unknown_model"
    assert "zenith/painter-3 (from $0.084)" in text(close)
    assert "(the closest of 64)" in text(close)
    assert (made["model"], sandbox.last_settlement["model"], sandbox.posts) == (*["zenith/painter-29"] * 2, 1)


async def test_default_model_may_be_a_listed_one_with_or_without_prefix(sandbox: Sandbox) -> None:
    sandbox.change_models({"add": WONDER})
    for name in ("acme/wonder", "wonder"):
        settings = {**sandbox.environment, DEFAULT_MODEL: name}
        async with served(settings) as client:
            (tool, *_) = (await client.list_tools()).tools
            made = data(await client.call_tool("generate_image", {"prompt": "A fox"}))
        assert (tool.input_schema["required"], made["model"]) == (["prompt"], "acme/wonder")
    assert [settlement["model"] for settlement in sandbox.settlements] == ["acme/wonder"] * 2


@pytest.mark.parametrize(
    ("scope", "models"),
    [
        ("contract", CONTRACT),
        ("live", ["dall-e-3", "acme/wonder"]),
        ("both", ["dall-e-3", "acme/wonder"]),
        ("BOTH", ["dall-e-3", "acme/wonder"]),
        ("all of them", ["dall-e-3", "acme/wonder"]),
    ],
)
async def test_catalog_setting_selects_the_source_of_models(sandbox: Sandbox, scope: str, models: list[str]) -> None:
    sandbox.change_models({"add": WONDER}, *({"remove": id} for id in CONTRACT[1:]))
    await see(sandbox.environment)
    settings = {**sandbox.environment, CATALOG: scope}
    async with served(settings) as client:
        assert await models_of(client) == models
        listed = data(await client.call_tool("list_models", {}))["models"]
        gone = [model["id"] for model in listed if not model.get("available", True)]
        assert not (await client.call_tool("generate_image", FOX)).is_error
    assert gone == ([] if scope in ("contract", "live") else CONTRACT[1:])
    assert sandbox.lists == 1


async def test_second_client_of_a_server_sees_the_updated_models(sandbox: Sandbox) -> None:
    server = build_server(backend_of(sandbox.environment))
    sandbox.change_models({"add": WONDER})
    async with Client(server) as first:
        assert await models_from(first, CONTRACT) == [*CONTRACT, "acme/wonder"]
    async with Client(server) as second:
        assert await models_of(second) == [*CONTRACT, "acme/wonder"]
        assert (await priced(second, "acme/wonder"))["estimated_usd"] == "0.084"
