"""Calls whose callers go before their pictures come: answered as pending, cancelled, disconnected or killed."""

import json
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.to_thread
import pytest
from tests.support.clients import COLLECTED, FOX, QUICK_POLLS, Connect, User, data, over_every_transport, served, text
from tests.support.commands import images, states
from tests.support.processes import backend_of
from tests.support.sandbox import Sandbox
from tests.support.servers import (
    answered,
    answers_to,
    left_picture,
    running,
    started,
    started_job,
    wait_until,
)
from tests.support.setting_names import BUDGET, CONFIRM_ABOVE, MOST, SECONDS
from tests.support.workers import OFF

from blockrun_image.attempts import CallInfo, ExpectedCost, Order
from blockrun_image.catalog import Catalog
from blockrun_image.images import ImageRequest
from blockrun_image.ports import Reserved

QUICK_SWEEPS: Mapping[str, float] = {"sweep_seconds": 0.1, "resume_seconds": 0.1}


pytestmark = pytest.mark.anyio


async def until_settled() -> None:
    """Wait until the one attempt that there is has been settled."""
    for _ in range(100):
        if [entry["state"] for entry in images()] == ["settled"]:
            return
        await anyio.sleep(0.2)
    raise AssertionError


@over_every_transport
async def test_slow_call_is_pending_and_its_repetition_collects_it(
    connect: Connect, sandbox: Sandbox, impatient: Mapping[str, str]
) -> None:
    sandbox.script([{"delay_seconds": 3}])
    async with connect(impatient) as client:
        pending = await client.call_tool("generate_image", FOX)
        collected = await client.call_tool("generate_image", FOX)
        another = await client.call_tool("generate_image", FOX)
    assert not pending.is_error
    told = data(pending)
    assert (told["status"], "images" in told, told["gateway"]) == ("pending", False, "127.0.0.1")
    assert (told["cost"]["held_usd"], "charged_usd" in told["cost"]) == ("0.042", False)
    assert told["next_step"] in text(pending)
    assert (data(collected)["status"], data(collected)["gateway"]) == ("complete", "127.0.0.1")
    assert data(collected)["cost"]["charged_usd"] == "0.042"
    assert COLLECTED in text(collected)
    assert sandbox.get(data(collected)["images"][0]["url"]).content.startswith(b"\x89PNG")
    assert COLLECTED not in text(another)
    assert (sandbox.posts, sandbox.charges) == (2, 2)


async def test_slow_job_is_pending_until_its_picture_is_collected(
    sandbox: Sandbox, impatient: Mapping[str, str]
) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 5}])
    async with served(impatient, timings=QUICK_POLLS) as client:
        answers = [await client.call_tool("generate_image", FOX)]
        while data(answers[-1])["status"] == "pending":
            answers.append(await client.call_tool("generate_image", FOX))
    assert len(answers) > 2
    assert data(answers[0])["cost"]["held_usd"] == "0.042"
    assert COLLECTED in text(answers[-1])
    assert (sandbox.posts, sandbox.charges) == (1, 1)


async def test_different_call_is_a_new_purchase_despite_a_pending_one(
    connect: Connect, sandbox: Sandbox, impatient: Mapping[str, str]
) -> None:
    sandbox.script([{"delay_seconds": 3}])
    async with connect(impatient) as client:
        assert data(await client.call_tool("generate_image", FOX))["status"] == "pending"
        other = await client.call_tool("generate_image", {**FOX, "n": 2})
    assert data(other)["status"] == "complete"
    assert (sandbox.posts, sandbox.charges) == (2, 2)


async def test_repeat_of_a_pending_call_refused_without_charge_buys_anew(
    connect: Connect, sandbox: Sandbox, impatient: Mapping[str, str]
) -> None:
    sandbox.script([{"delay_seconds": 2.6, "status": 403}])
    async with connect(impatient) as client:
        assert data(await client.call_tool("generate_image", FOX))["status"] == "pending"
        assert data(await client.call_tool("generate_image", FOX))["status"] == "complete"
    assert (sandbox.posts, sandbox.charges) == (2, 1)


async def test_request_not_sent_in_time_is_an_error_and_never_pending(
    connect: Connect, sandbox: Sandbox, impatient: Mapping[str, str]
) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "5"}}])
    async with connect(impatient) as client:
        refused = await client.call_tool("generate_image", FOX)
    assert refused.is_error
    assert (data(refused)["error"]["type"], data(refused)["error"]["charged"]) == ("rate_limit", "no")
    assert (sandbox.posts, states()) == (1, {"released": 1})


async def test_unknown_outcome_is_reported_once_and_the_next_call_buys(
    connect: Connect, sandbox: Sandbox, impatient: Mapping[str, str]
) -> None:
    sandbox.script([{"delay_seconds": 2.6, "cut": "after"}])
    async with connect(impatient) as client:
        assert data(await client.call_tool("generate_image", FOX))["status"] == "pending"
        unknown = await client.call_tool("generate_image", FOX)
        bought = await client.call_tool("generate_image", FOX)
    assert data(unknown)["error"]["charged"] == "unknown"
    assert "repeating the call buys a new picture" in text(unknown)
    assert data(bought)["status"] == "complete"
    assert COLLECTED not in text(bought)
    assert sandbox.posts == 2


@over_every_transport
async def test_concurrent_identical_calls_are_separate_purchases(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 0.3}, {"delay_seconds": 0.3}])
    async with connect({**sandbox.environment, SECONDS: "20"}) as client, anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(client.call_tool, "generate_image", FOX)
    assert (sandbox.posts, sandbox.charges) == (2, 2)


@pytest.mark.parametrize("fault", [{"delay_seconds": 1}, {"slow": True}])
def test_cancelled_call_is_collected_by_the_same_process(sandbox: Sandbox, fault: Mapping[str, Any]) -> None:
    sandbox.script([fault])
    with running(sandbox.environment) as server:
        server.notify("notifications/cancelled", requestId=started(server, sandbox))
        server.request("tools/list")
        collected = answered(server)
        _, err = server.close()
    assert COLLECTED in json.dumps(collected) or "slow" in fault
    assert collected["structuredContent"]["images"]
    assert (sandbox.posts, sandbox.charges) == (1, 1)
    assert "Traceback" not in err


def test_call_after_a_collected_one_is_another_purchase(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 0.3}])
    with running(sandbox.environment) as server:
        server.notify("notifications/cancelled", requestId=started(server, sandbox))
        server.request("tools/list")
        collected, another = answered(server), answered(server)
    assert COLLECTED in json.dumps(collected)
    assert COLLECTED not in json.dumps(another)
    assert (sandbox.posts, sandbox.charges) == (2, 2)


@pytest.mark.parametrize("fault", [{"delay_seconds": 1}, {"slow": True, "delay_seconds": 1}])
def test_abandoned_call_is_collected_by_the_next_process(sandbox: Sandbox, fault: Mapping[str, Any]) -> None:
    sandbox.script([fault])
    with running(sandbox.environment) as server:
        started(server, sandbox)
        _, err = server.close()
    assert "Traceback" not in err
    assert states() == {"settled": 1}
    with running(sandbox.environment) as server:
        collected = answered(server)["structuredContent"]
    assert (len(collected["images"]), collected["gateway"]) == (1, "127.0.0.1")
    assert (sandbox.posts, sandbox.charges) == (1, 1)


def test_cancelling_a_collecting_call_logs_no_traceback(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 2}])
    with running(sandbox.environment) as server:
        server.notify("notifications/cancelled", requestId=started(server, sandbox))
        id = server.send("tools/call", name="generate_image", arguments=FOX)
        while "still under way" not in json.dumps(server.receive()):
            pass
        server.notify("notifications/cancelled", requestId=id)
        server.request("tools/list")
        collected = answered(server)
        _, err = server.close()
    assert COLLECTED in json.dumps(collected)
    assert (sandbox.posts, sandbox.charges) == (1, 1)
    assert "Traceback" not in err


def test_repeated_calls_recover_the_attempts_of_a_killed_process(sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True}, {"delay_seconds": 60}])
    with running(sandbox.environment | OFF) as server:
        started_job(server)
        server.send("tools/call", name="generate_image", arguments={**FOX, "n": 2})
        wait_until(sandbox, posts=2)
        server.process.kill()
    with running(sandbox.environment) as server:
        server.request("tools/list")  # what waits for a slow start may be answered once more
        ids = [server.send("tools/call", name="generate_image", arguments={**FOX, **more}) for more in ({}, {"n": 2})]
        answers = answers_to(server, ids)
        assert len(answered(server, n=2)["structuredContent"]["images"]) == 2
    assert answers[0]["structuredContent"]["images"]
    assert answers[1]["structuredContent"]["error"]["charged"] == "unknown"
    assert "repeating the call buys a new picture" in json.dumps(answers[1])
    assert (sandbox.posts, sandbox.charges) == (3, 3)


async def test_abandoned_job_is_finished_by_an_idle_server(sandbox: Sandbox, impatient: Mapping[str, str]) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 3}])
    quick = {**QUICK_SWEEPS, **QUICK_POLLS}
    async with served(impatient, timings=quick) as client:
        await client.call_tool("generate_image", FOX)
    assert states() == {"accepted": 1}
    async with served(sandbox.environment, timings=quick) as client:
        await until_settled()
        collected = await client.call_tool("generate_image", FOX)
    assert COLLECTED in text(collected)
    assert (sandbox.posts, sandbox.charges) == (1, 1)


async def test_identical_call_in_another_live_process_is_a_new_purchase(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 1}, {"delay_seconds": 0}])
    async with (
        served(sandbox.environment) as one,
        served(sandbox.environment) as other,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(one.call_tool, "generate_image", FOX)
        await anyio.to_thread.run_sync(wait_until, sandbox, 1)
        assert COLLECTED not in text(await other.call_tool("generate_image", FOX))
    assert (sandbox.posts, sandbox.charges) == (2, 2)


@pytest.mark.parametrize("limits", [{MOST: "0.001"}, {BUDGET: "0.042"}])
async def test_call_over_new_limits_still_collects_its_paid_picture(
    sandbox: Sandbox, limits: Mapping[str, str]
) -> None:
    url = await anyio.to_thread.run_sync(left_picture, sandbox)
    async with served({**sandbox.environment, **limits}) as client:
        collected = await client.call_tool("generate_image", FOX)
        refused = await client.call_tool("generate_image", FOX)
    assert data(collected)["images"][0]["url"] == url
    assert COLLECTED in text(collected)
    assert data(refused)["error"]["type"] == "budget_exceeded"
    assert (sandbox.posts, sandbox.charges) == (1, 1)


async def test_next_call_reports_undelivered_pictures_only_once(sandbox: Sandbox) -> None:
    url = await anyio.to_thread.run_sync(left_picture, sandbox)
    async with served(sandbox.environment) as client:
        told = [text(await client.call_tool("generate_image", {**FOX, "n": n})) for n in (2, 3)]
        collected = await client.call_tool("generate_image", FOX)
    assert f'An earlier call paid for 1 image that nobody received: "{FOX["prompt"]}' in told[0]
    assert url in told[0]
    assert "that nobody received" not in told[1]
    assert data(collected)["images"][0]["url"] == url
    assert (sandbox.posts, sandbox.charges) == (3, 3)


async def test_approved_call_is_collected_without_another_confirmation(
    sandbox: Sandbox, impatient: Mapping[str, str]
) -> None:
    sandbox.script([{"delay_seconds": 2.6}])
    user = User()
    async with served({**impatient, CONFIRM_ABOVE: "0"}, user) as client:
        assert data(await client.call_tool("generate_image", FOX))["status"] == "pending"
        assert data(await client.call_tool("generate_image", FOX))["status"] == "complete"
        assert len(user.questions) == 1
        assert data(await client.call_tool("generate_image", FOX))["status"] == "complete"
    assert len(user.questions) == 2
    assert (sandbox.posts, sandbox.charges) == (2, 2)


async def test_another_credential_collects_nothing(sandbox: Sandbox, impatient: Mapping[str, str]) -> None:
    sandbox.script([{"delay_seconds": 2.6}])
    async with served(impatient) as client:
        assert data(await client.call_tool("generate_image", FOX))["status"] == "pending"
    async with served({**sandbox.environment, "BLOCKRUN_API_KEY": "brk_another_one"}) as client:
        assert COLLECTED not in text(await client.call_tool("generate_image", FOX))
    assert (sandbox.posts, sandbox.charges) == (2, 2)


async def test_call_over_the_rate_limit_waits_for_its_slot_or_is_refused(catalog: Catalog, sandbox: Sandbox) -> None:
    window = {"rate_window_seconds": 4.0}
    impatient = {**sandbox.environment, SECONDS: "1"}
    heard: list[str] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    most = catalog.find("dall-e-3").requests_per_minute or 0
    patient = {**sandbox.environment, SECONDS: "20"}
    async with served(impatient, timings=window) as one, served(patient, timings=window) as other:
        await book(most, sandbox, window)
        refused = await one.call_tool("generate_image", FOX)
        unlimited = await one.call_tool("generate_image", {**FOX, "model": "nano-banana-pro"})
        assert (sandbox.posts, states()) == (1, {"released": most, "settled": 1})
        waited = await other.call_tool("generate_image", FOX, progress_callback=listen)
    error = data(refused)["error"]
    assert (error["type"], error["charged"], error["retryable"]) == ("rate_limit", "no", True)
    assert 0 < error["retry_after_seconds"] <= 4
    assert f"dall-e-3 accepts {most} requests a minute" in text(refused)
    assert not unlimited.is_error
    assert not waited.is_error
    assert ", because dall-e-3 accepts" in "".join(heard)
    assert sandbox.charges == 2


async def book(slots: int, sandbox: Sandbox, timings: Mapping[str, float]) -> None:
    """Take so many slots, as another process of the same user would."""
    async with backend_of(sandbox.environment, **timings) as backend:
        ledger = await backend.ledger()
        for number in range(slots):
            order = Order(ImageRequest("A fox", "dall-e-3", "1024x1024", "standard", 1), ExpectedCost(), slots)
            begun = await ledger.begin(CallInfo(f"call {number}"), order)
            assert isinstance(begun, Reserved)
            await begun.attempt.released()
