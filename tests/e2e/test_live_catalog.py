"""The models that the gateway lists today, as an agent meets them: after a restart, and while the server runs."""

import json
from typing import Literal

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from mcp import Client
from mcp.shared.subscriptions import ToolsListChanged
from tests.support.clients import FOX, Connect, data, served, text
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


async def test_after_a_restart_the_agent_has_what_the_gateway_lists_today(connect: Connect, sandbox: Sandbox) -> None:
    change_everything(sandbox)
    await see(sandbox.environment)
    async with connect(sandbox.environment) as client:
        await assert_everything_is_todays(client, sandbox)
    assert sandbox.lists == 1


async def test_a_server_that_runs_takes_on_todays_list_after_an_answer_and_tells_who_listens(
    connect: Connect, sandbox: Sandbox
) -> None:
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


async def test_a_list_that_is_still_the_same_is_not_sent_again_and_nothing_is_announced(sandbox: Sandbox) -> None:
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
async def test_a_tag_that_cannot_be_sent_back_is_not(etag: bytes) -> None:
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
<<<<<<< HEAD
async def test_the_very_first_picture_is_asked_for_by_the_gateways_own_spelling(
    sandbox: Sandbox, mode: Literal["auto", "legacy"]
) -> None:
    sandbox.change_models(PREFIXED)
    async with served(sandbox.environment, mode=mode) as client:
        made = await client.call_tool("generate_image", FOX)
        assert data(made)["model"] == "dall-e-3"
    assert (sandbox.last_settlement["model"], sandbox.lists, sandbox.posts) == ("openai/dall-e-3", 1, 1)


async def test_first_pictures_of_several_servers_wait_for_the_one_that_asks(sandbox: Sandbox) -> None:
    sandbox.change_models(PREFIXED)
    sandbox.script([{"on": "models", "delay_seconds": 0.5}])
    async with AsyncExitStack() as servers:
        clients = [await servers.enter_async_context(served(sandbox.environment)) for _ in range(4)]
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(client.call_tool, "generate_image", FOX)
    assert {settlement["model"] for settlement in sandbox.settlements} == {"openai/dall-e-3"}
    assert (sandbox.lists, sandbox.posts, sandbox.charges) == (1, 4, 4)


def test_first_pictures_of_several_processes_wait_for_the_one_that_asks(sandbox: Sandbox) -> None:
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


async def test_a_first_picture_waits_seconds_for_a_list_and_not_for_ever(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "models", "delay_seconds": 60}])
    before = time.monotonic()
    async with served(sandbox.environment) as client:
        made = await client.call_tool("generate_image", FOX)
        again = await client.call_tool("generate_image", FOX)
    assert (made.is_error, again.is_error) == (False, False)
    assert 3 <= time.monotonic() - before < 30
    assert (sandbox.last_settlement["model"], sandbox.lists, sandbox.charges) == ("dall-e-3", 1, 2)


async def test_a_caller_of_little_patience_waits_less(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "models", "delay_seconds": 60}])
    before = time.monotonic()
    async with served({**sandbox.environment, SECONDS: "2"}) as client:
        made = await client.call_tool("generate_image", FOX)
    assert data(made)["status"] == "complete"
    assert time.monotonic() - before < 3


def test_a_server_that_only_lists_its_tools_asks_nobody(sandbox: Sandbox) -> None:
    with running(sandbox.environment) as server:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert len(server.request("tools/list")["result"]["tools"]) == 3
        _, err = server.close()
    assert (err, sandbox.lists, sandbox.posts) == ("", 0, 0)


async def test_servers_ask_once_an_hour_between_them_and_take_on_what_another_has_seen(sandbox: Sandbox) -> None:
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


async def test_a_gateway_that_was_asked_in_vain_is_not_asked_again_within_the_hour(sandbox: Sandbox) -> None:
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
async def test_a_gateway_that_cannot_be_reached_harms_no_free_tool(url: str) -> None:
    settings = {"BLOCKRUN_IMAGE_GATEWAY": url, "BLOCKRUN_API_KEY": "brk_test"}
    async with served(settings) as client:
        await client.call_tool("list_models", {})
        await until(lambda: kept(settings).failure != "")
        refused = await client.call_tool("generate_image", FOX)
        listed = await client.call_tool("list_models", {})
    assert data(refused)["error"]["type"] in {"configuration", "gateway_unavailable"}
    assert [model["id"] for model in data(listed)["models"]] == CONTRACT


async def test_the_sandbox_of_this_process_has_no_other_models_and_keeps_no_list() -> None:
    async with served({"BLOCKRUN_IMAGE_GATEWAY": "sandbox"}) as client:
        assert not (await client.call_tool("generate_image", FOX)).is_error
        assert not any("source" in model for model in data(await client.call_tool("list_models", {}))["models"])
    assert kept_files() == []


async def test_a_model_that_the_gateway_no_longer_knows_is_told_with_the_closest_that_it_lists(
    sandbox: Sandbox,
) -> None:
    sandbox.change_models({"add": WONDER})
    await see(sandbox.environment)
    sandbox.change_models({"remove": "dall-e-3"})
    age(3_601, list_too=False)  # so that the list is not old, and the gateway may be asked again
    async with served(sandbox.environment) as client:
        unknown = await client.call_tool("generate_image", FOX)
        error = data(unknown)["error"]
        assert (error["type"], error["charged"], error["status"]) == ("model_not_found", "no", 400)
        assert "Use another: " in text(unknown)
        assert "dall-e-2 (from $0.021), nano-banana (from $0.053)" in text(unknown)
        assert "dall-e-3 (" not in text(unknown)
        assert await models_from(client, before=[*CONTRACT, "acme/wonder"]) == [*CONTRACT[1:], "acme/wonder"]
        refused = await client.call_tool("generate_image", FOX)
    assert data(refused)["error"]["type"] == "unknown_model"
    assert (sandbox.posts, sandbox.charges, sandbox.lists) == (1, 0, 2)
    assert [total.state for total in (await statement(sandbox.environment)).totals] == ["released"]


async def test_what_nobody_knows_the_price_of_is_held_at_the_most_that_one_call_may_cost_until_it_is_told(
    sandbox: Sandbox,
) -> None:
    sandbox.change_models({"add": MYSTERY})
    await see(sandbox.environment)
    settings = {**sandbox.environment, MOST: "0.50"}
    sandbox.script([{"delay_seconds": 1}])
    asked = {**FOX, "model": "acme/mystery", "n": 2}
    under_way: list[DailySpending] = []

    async def look() -> None:
        await until(lambda: sandbox.posts == 1)
        under_way.append(await statement(settings))

    async with served(settings) as client:
        estimate = await priced(client, "acme/mystery")
        assert (estimate["exact"], {"estimated_usd", "low_usd"} & set(estimate)) == (False, set())
        assert estimate["basis"] == "Its price is not known before it is charged."
        async with run_alongside(look):
            made = await client.call_tool("generate_image", asked)
    assert [(total.state, total.micro_usd) for total in under_way[0].totals] == [("sent", 500_000)]
    assert data(made)["cost"]["charged_usd"] == "0.10"
    assert text(made).splitlines()[0].endswith(", charged $0.10.")
    assert [(total.state, total.micro_usd) for total in (await statement(settings)).totals] == [("settled", 100_000)]


async def test_what_nobody_knows_the_price_of_is_pending_with_what_is_held_for_it(sandbox: Sandbox) -> None:
    sandbox.change_models({"add": MYSTERY})
    await see(sandbox.environment)
    sandbox.script([{"delay_seconds": 1.5}])
    asked = {**FOX, "model": "acme/mystery"}
    async with served({**sandbox.environment, SECONDS: "1"}) as client:
        pending = data(await client.call_tool("generate_image", asked))
        collected = data(await client.call_tool("generate_image", asked))
    assert (pending["status"], pending["cost"]["held_usd"]) == ("pending", "1.50")
    assert (collected["status"], collected["cost"]["charged_usd"]) == ("complete", "0.05")
    assert sandbox.charges == 1


async def test_what_nobody_knows_the_price_of_has_to_fit_into_the_day_as_the_dearest_call(sandbox: Sandbox) -> None:
    sandbox.change_models({"add": MYSTERY})
    await see(sandbox.environment)
    asked = {**FOX, "model": "acme/mystery"}
    async with served({**sandbox.environment, MOST: "0.50", BUDGET: "0.40"}) as client:
        refused = await client.call_tool("generate_image", asked)
    assert data(refused)["error"]["type"] == "budget_exceeded"
    assert sandbox.posts == 0
    async with served({**sandbox.environment, MOST: "none", BUDGET: "0.40"}) as client:
        assert data(await client.call_tool("generate_image", asked))["cost"]["charged_usd"] == "0.05"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_user_is_asked_about_a_price_that_nobody_knows_as_if_it_were_the_highest(
    sandbox: Sandbox, mode: Literal["auto", "legacy"]
) -> None:
    sandbox.change_models({"add": MYSTERY})
    await see(sandbox.environment)
    asked = {**FOX, "model": "acme/mystery"}
    user = User()
    async with served({**sandbox.environment, MOST: "0.50", CONFIRM_ABOVE: "0.49"}, user, mode) as client:
        assert not (await client.call_tool("generate_image", asked)).is_error
        assert "The price is not known: unknown, at most $0.50." in user.questions[0].message
        assert not (await client.call_tool("generate_image", FOX)).is_error
    async with served({**sandbox.environment, MOST: "0.50", CONFIRM_ABOVE: "0.50"}, user, mode) as client:
        assert not (await client.call_tool("generate_image", asked)).is_error
    assert (len(user.questions), sandbox.charges) == (1, 3)
    async with served({**sandbox.environment, MOST: "0.50", CONFIRM_ABOVE: "0.49"}, User("decline"), mode) as client:
        assert data(await client.call_tool("generate_image", asked))["error"]["type"] == "confirmation"
    assert sandbox.posts == 3


async def test_a_wallet_asks_by_the_gateways_own_spelling_and_pays_what_it_is_quoted(
    sandbox: Sandbox, wallet: Mapping[str, str]
) -> None:
    sandbox.change_models(PREFIXED, {"add": MYSTERY})
    async with served({**wallet, MOST: "0.08"}) as client:
        made = data(await client.call_tool("generate_image", FOX))
        offline = await priced(client, "acme/mystery")
        quoted = await priced(client, "acme/mystery", live=True)
        unknown = data(await client.call_tool("generate_image", {**FOX, "model": "acme/mystery"}))
        dear = await client.call_tool("generate_image", {**FOX, "model": "acme/mystery", "n": 2})
    assert (made["model"], made["cost"]["charged_usd"]) == ("dall-e-3", "0.042")
    assert (offline.get("estimated_usd"), quoted["estimated_usd"], quoted["exact"]) == (None, "0.05", True)
    assert unknown["cost"]["charged_usd"] == "0.05"
    assert data(dear)["error"]["type"] == "budget_exceeded"
    assert "can cost $0.10, and one call may cost at most $0.08" in text(dear)
    assert [(each["rail"], each["model"]) for each in sandbox.settlements] == [
        ("wallet", "openai/dall-e-3"),
        ("wallet", "acme/mystery"),
    ]
    assert (sandbox.lists, sandbox.quotes, sandbox.paid_posts) == (1, 3, 2)
    assert (await statement(wallet)).spent_micro_usd == 92_000


@pytest.mark.parametrize("mode", ["auto", "legacy"])
=======
>>>>>>> 1d3180e (Split the tests of the command line, of lists and of collecting by subject)
async def test_of_very_many_models_the_agent_is_told_how_to_find_one(
    sandbox: Sandbox, mode: Literal["auto", "legacy"]
) -> None:
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


async def test_a_default_model_that_only_the_list_has_may_be_named_in_either_form(sandbox: Sandbox) -> None:
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
async def test_the_operator_decides_whose_models_there_are(sandbox: Sandbox, scope: str, models: list[str]) -> None:
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


<<<<<<< HEAD
async def test_a_gateway_that_counts_for_nothing_is_not_asked(sandbox: Sandbox) -> None:
    async with served({**sandbox.environment, CATALOG: "contract"}) as client:
        assert not (await client.call_tool("generate_image", FOX)).is_error
    assert (sandbox.lists, sandbox.charges) == (0, 1)


async def test_a_first_call_may_name_a_model_that_only_the_list_has(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.change_models({"add": WONDER})
    async with connect(sandbox.environment) as client:
        made = await client.call_tool("generate_image", {**FOX, "model": "wonder"})
    assert not made.is_error, text(made)
    assert sandbox.last_settlement["model"] == "acme/wonder"


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({MOST: "1.50"}, "one call may cost at most $1.50"),
        ({MOST: "0"}, "one call may cost at most $0.00"),
        ({MOST: "none", BUDGET: "0"}, "$0.00 of the $0.00"),
        ({MOST: "none", BUDGET: "5"}, "$5.00 of the $5.00"),
        ({MOST: "1.50", CONFIRM_ABOVE: "1.50"}, "one call may cost at most $1.50"),
        ({MOST: "0", CONFIRM_ABOVE: "0"}, "one call may cost at most $0.00"),
    ],
)
async def test_what_costs_more_than_the_limits_at_least_is_refused_however_dear_it_may_be(
    sandbox: Sandbox, limits: Mapping[str, str], says: str
) -> None:
    sandbox.change_models({"add": {**WONDER, "pricePerImage": 5}})
    user = User()
    async with served({**sandbox.environment, **limits}, user) as client:
        refused = await client.call_tool("generate_image", {**FOX, "model": "acme/wonder", "size": "2048x2048"})
    assert data(refused)["error"]["type"] == "budget_exceeded"
    assert says in text(refused)
    assert sandbox.posts == 0


async def test_a_picture_that_is_still_drawn_is_collected_also_by_another_spelling_of_its_model(
    sandbox: Sandbox,
) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 2.5}])
    async with served({**sandbox.environment, SECONDS: "1"}) as client:
        pending = await client.call_tool("generate_image", FOX)
        assert data(pending)["status"] == "pending"
        sandbox.change_models(PREFIXED)
        await see(sandbox.environment)
        age(3_601, list_too=False)
    async with served({**sandbox.environment, SECONDS: "30"}) as client:
        collected = await client.call_tool("generate_image", FOX)
    assert data(collected)["status"] == "complete"
    assert sandbox.charges == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_caller_who_goes_while_a_look_is_due_is_let_go_and_the_server_ends(
    sandbox: Sandbox, mode: Literal["auto", "legacy"]
) -> None:
    await see(sandbox.environment)
    sandbox.script([{"delay_seconds": 1}])
    with anyio.fail_after(20):
        async with served(sandbox.environment, mode=mode) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "generate_image", FOX)
            await until(lambda: sandbox.posts == 1)
            tasks.cancel_scope.cancel()


=======
>>>>>>> 1d3180e (Split the tests of the command line, of lists and of collecting by subject)
async def test_a_second_client_of_a_server_finds_the_tools_that_it_is_told_of(sandbox: Sandbox) -> None:
    server = build_server(backend_of(sandbox.environment))
    sandbox.change_models({"add": WONDER})
    async with Client(server) as first:
        assert await models_from(first, CONTRACT) == [*CONTRACT, "acme/wonder"]
    async with Client(server) as second:
        assert await models_of(second) == [*CONTRACT, "acme/wonder"]
        assert (await priced(second, "acme/wonder"))["estimated_usd"] == "0.084"
