"""Models that leave the list or change their spelling, and what was bought of them."""

import anyio
import anyio.to_thread
import pytest
from tests.support.clients import FOX, data, served, text
from tests.support.live_lists import (
    CONTRACT,
    PREFIXED,
    WONDER,
    age,
    models_from,
    see,
    statement,
)
from tests.support.sandbox import Sandbox
from tests.support.servers import left_picture
from tests.support.setting_names import DEFAULT_MODEL, SECONDS

pytestmark = pytest.mark.anyio


async def test_model_removed_by_the_gateway_is_refused_with_alternatives(
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


async def test_call_of_a_retired_model_collects_its_paid_picture(sandbox: Sandbox) -> None:
    sandbox.change_models({"add": WONDER})
    await see(sandbox.environment)
    url = await anyio.to_thread.run_sync(lambda: left_picture(sandbox, model="acme/wonder"))
    age()
    sandbox.change_models({"remove": "acme/wonder"})
    await see(sandbox.environment)
    async with served(sandbox.environment) as client:
        collected = await client.call_tool("generate_image", {**FOX, "model": "acme/wonder"})
        refused = await client.call_tool("generate_image", {**FOX, "model": "acme/wonder"})
    assert data(collected)["images"][0]["url"] == url
    assert "Today this call would be refused" in text(collected)
    assert data(refused)["error"]["type"] == "unknown_model"
    assert (sandbox.posts, sandbox.charges) == (1, 1)


async def test_retired_default_model_makes_the_model_argument_required(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.change_models({"add": WONDER})
    await see(sandbox.environment)
    age()
    sandbox.change_models({"remove": "acme/wonder"})
    settings = {**sandbox.environment, DEFAULT_MODEL: "acme/wonder"}
    async with served(settings) as client:
        assert await models_from(client, before=[*CONTRACT, "acme/wonder"]) == CONTRACT
        (tool, *_) = (await client.list_tools()).tools
        refused = await client.call_tool("generate_image", {"prompt": "A fox"})
    assert tool.input_schema["required"] == ["prompt", "model"]
    assert "model must not be missing" in text(refused)
    assert f"{DEFAULT_MODEL}: there is no model 'acme/wonder'" in caplog.text
    assert sandbox.posts == 0


async def test_pending_picture_is_collected_after_the_gateway_renames_its_model(
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
