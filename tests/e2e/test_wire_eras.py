"""Both protocol eras on one pair of streams, the ids of requests, and what old clients lack."""

import json
from typing import Any

import anyio
import pytest
from tests.support.fakes import URL
from tests.support.wire import (
    FILLER,
    INITIALIZE,
    LISTED,
    MODERN,
    PIPE_FULL,
    Served,
    generate,
    generate_with_progress,
    names,
    until,
    wired,
)

pytestmark = pytest.mark.anyio


async def test_client_that_probes_before_its_handshake_is_served() -> None:
    async with wired(Served().backend) as wire:
        await wire.request(0, "server/discover", modern=True)
        assert (await wire.answer(0))["result"]["supportedVersions"] == ["2026-07-28"]
        assert (await wire.shake_hands(1))["result"]["protocolVersion"] == "2025-06-18"
        assert await names(wire, 2, modern=False) == LISTED


async def test_answer_to_an_abandoned_probe_is_never_written() -> None:
    async with wired(Served().backend) as wire:
        for id in range(PIPE_FULL):
            await wire.request(f"filler {id}", "tools/call", modern=True, **FILLER)
        await wire.request(0, "server/discover", modern=True)
        await wire.request(0, "initialize", **INITIALIZE)
        await wire.request(1, "tools/list")
        answers: list[dict[str, Any]] = []
        while not answers or answers[-1]["id"] != 1:
            answers.append(await wire.receive())
        probed = [answer for answer in answers if answer["id"] == 0]
    assert [answer["result"].get("protocolVersion") for answer in probed] == ["2025-06-18"]


async def test_handshake_in_the_same_write_as_its_probe_is_served() -> None:
    async with wired(Served().backend) as wire:
        probe = {"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {"_meta": MODERN}}
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
        await wire.write(b"".join(json.dumps(each).encode() + b"\n" for each in (probe, hello)))
        assert (await wire.answer(1))["result"]["protocolVersion"] == "2025-06-18"
        assert await names(wire, 2, modern=False) == LISTED


async def test_open_call_continues_through_a_handshake() -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await generate(wire, "picture")
        await served.until_asked()
        await wire.shake_hands()
        assert await names(wire, 2, modern=False) == LISTED
        served.gateway.gate.set()
        assert (await wire.answer("picture"))["result"]["structuredContent"]["images"] == [{"url": URL}]
        await until(lambda: served.ledger.notes == ["delivered"])


async def test_answer_is_not_confused_with_a_reused_id_in_a_new_session() -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await generate(wire, 2)
        await served.until_asked()
        await wire.shake_hands(1)
        await generate(wire, 2, modern=False, prompt="An owl")
        await served.until_asked(2)
        served.gateway.gate.set()
        assert '"An owl"' in json.dumps((await wire.answer(2))["result"]["structuredContent"])
        await until(lambda: sorted(served.ledger.notes) == ["abandoned", "delivered"])
    assert len(served.gateway.requests) == 2


async def test_answer_is_unwanted_after_a_new_session_got_its_own_for_the_same_id() -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await generate(wire, 2)
        await served.until_asked()
        await wire.shake_hands(1)
        assert await names(wire, 2, modern=False) == LISTED
        served.gateway.gate.set()
        await until(lambda: served.ledger.notes == ["abandoned"])


async def test_modern_requests_are_served_after_a_handshake() -> None:
    async with wired(Served().backend) as wire:
        await wire.shake_hands(0)
        assert await names(wire, 1, modern=True) == LISTED
        assert await names(wire, 2, modern=False) == LISTED


async def test_progress_continues_after_a_handshake() -> None:
    served = Served(is_open=False, progress_seconds=0.05)
    async with wired(served.backend) as wire:
        await generate_with_progress(wire, "picture", modern=True)
        await served.until_asked()
        await wire.shake_hands()
        assert (await wire.receive())["method"] == "notifications/progress"
        served.gateway.gate.set()
        await wire.answer("picture")


async def test_progress_is_not_sent_to_a_later_session_with_the_same_token() -> None:
    served = Served(is_open=False, progress_seconds=0.05)
    async with wired(served.backend) as wire:
        await generate_with_progress(wire, "earlier", modern=True)
        await served.until_asked()
        await anyio.sleep(1)
        await wire.shake_hands()
        await generate_with_progress(wire, "later", modern=False)
        await served.until_asked(2)
        await wire.request("mark", "ping")
        await wire.answer("mark")
        told = [(await wire.receive())["params"]["progress"] for _ in range(5)]
        served.gateway.gate.set()
        await wire.answer("later")
    assert max(told) < 1


@pytest.mark.parametrize("ids", [(7, 7), (7, "7"), ("a", "a")])
async def test_calls_with_the_same_id_are_each_answered(ids: tuple[object, object]) -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        for id, prompt in zip(ids, ("A fox", "An owl"), strict=True):
            await generate(wire, id, prompt=prompt)
        await served.until_asked(2)
        served.gateway.gate.set()
        answers = [await wire.receive() for _ in ids]
    assert sorted(str(answer["id"]) for answer in answers) == sorted(map(str, ids))
    sent = {answer["result"]["structuredContent"]["prompt"]["sent"] for answer in answers}
    assert sent == {"A fox", "An owl"}


async def test_request_that_also_looks_like_a_response_is_answered() -> None:
    async with wired(Served().backend) as wire:
        await wire.write(b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}\n')
        assert "result" in await wire.answer(1)


async def test_request_id_with_a_lone_surrogate_is_returned_unchanged() -> None:
    async with wired(Served().backend) as wire:
        await wire.request("fox \ud83e", "tools/list", modern=True)
        assert "result" in await wire.answer("fox \ud83e")


@pytest.mark.parametrize("named", [7, "7"])
async def test_cancel_applies_to_the_newest_call_with_the_id(named: object) -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await generate(wire, 7)
        await served.until_asked()
        await generate(wire, 7, prompt="An owl")
        await served.until_asked(2)
        await wire.notify("notifications/cancelled", requestId=named)
        await until(lambda: served.ledger.notes == ["abandoned"])
        served.gateway.gate.set()
        answer = await wire.answer(7)
        assert answer["result"]["structuredContent"]["prompt"]["sent"] == "A fox"
        await until(lambda: served.ledger.notes == ["abandoned", "delivered"])


@pytest.mark.parametrize(("kept", "cancelled"), [(7, "7"), ("7", 7)])
async def test_call_with_a_lookalike_of_the_cancelled_id_continues(kept: object, cancelled: object) -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        for number, id in enumerate((cancelled, kept), start=1):
            await generate(wire, id)
            await served.until_asked(number)
        await wire.notify("notifications/cancelled", requestId=cancelled)
        await until(lambda: served.ledger.notes == ["abandoned"])
        served.gateway.gate.set()
        assert not (await wire.answer(kept))["result"]["isError"]


@pytest.mark.parametrize("id", [0, -5, "abc", "7"])
async def test_subscription_has_the_id_of_its_request(id: object) -> None:
    served = Served()
    async with wired(served.backend) as wire:
        await wire.request("first", "tools/list", modern=True)
        await wire.answer("first")
        await wire.request(id, "subscriptions/listen", modern=True, notifications={"toolsListChanged": True})
        acknowledged = await wire.receive()
    assert acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == id


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("2024-11-05", set[str]()),
        ("2025-03-26", {"annotations"}),
        ("2025-06-18", {"annotations", "title", "outputSchema"}),
        ("2025-11-25", {"annotations", "title", "outputSchema"}),
    ],
)
async def test_client_receives_only_what_its_protocol_version_supports(version: str, fields: set[str]) -> None:
    async with wired(Served().backend) as wire:
        await wire.request(0, "initialize", **dict(INITIALIZE, protocolVersion=version))
        hello = (await wire.answer(0))["result"]
        await wire.notify("notifications/initialized")
        await wire.request(1, "tools/list")
        tools = (await wire.answer(1))["result"]["tools"]
        await wire.request(2, "tools/call", **FILLER)
        result = (await wire.answer(2))["result"]
        await wire.request(3, "resources/list")
        (resource,) = (await wire.answer(3))["result"]["resources"]
    assert hello["protocolVersion"] == version
    for tool in tools:
        assert set(tool) - {"name", "description", "inputSchema"} == fields
    assert {"title" in hello["serverInfo"], "title" in resource} == {"title" in fields}
    assert ("structuredContent" in result) == ("outputSchema" in fields)
    assert result["content"][0]["text"]
