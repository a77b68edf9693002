"""Lines of all kinds on real pipes, and what mcp's own server did for us before."""

import json
from typing import Any

import anyio
import pytest
from tests.support.wire import (
    FILLER,
    INITIALIZE,
    LISTED,
    PIPE_FULL,
    Served,
    generate,
    names,
    wired,
)

pytestmark = pytest.mark.anyio


async def test_slow_reader_receives_every_answer_whole() -> None:
    served = Served()
    async with wired(served.backend) as wire:
        for id in range(PIPE_FULL):
            await wire.request(id, "tools/call", modern=True, **FILLER)
        answers = [await wire.receive() for _ in range(5)]
        await anyio.sleep(0.3)
        answers += [await wire.receive() for _ in range(PIPE_FULL - 5)]
    assert sorted(answer["id"] for answer in answers) == [*range(PIPE_FULL)]


async def test_bytes_read_in_advance_are_served_first() -> None:
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}).encode() + b"\r\n"
    async with wired(Served().backend, hello + b'{"jsonrpc":"2.0","id":2,') as wire:
        await wire.write(b'"method":"tools/list"}\n')
        assert [(await wire.receive())["id"] for _ in range(2)] == [1, 2]


async def test_line_arriving_byte_by_byte_is_read() -> None:
    async with wired(Served().backend) as wire:
        for byte in b'{"jsonrpc":"2.0","id":"caf\xc3\xa9","method":"ping"}\r\n':
            await wire.write(bytes([byte]))
        assert "result" in await wire.answer("café")


async def test_last_line_needs_no_newline() -> None:
    async with wired(Served().backend) as wire:
        await wire.write(b'{"jsonrpc":"2.0","id":1,"method":"server/discover"')
        wire.close_stdin()
        assert (await wire.receive())["error"]["code"] == -32700


@pytest.mark.parametrize("length", [2**20, 2**24 + 2**16, 3 * 2**24])
async def test_line_of_any_length_is_answered_and_the_next_one_is_served(length: int) -> None:
    async with wired(Served().backend) as wire:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wire.write, b'{"' + b"x" * length + b"\n")
            assert (await wire.receive())["error"]["code"] in (-32700, -32600)
        assert await names(wire, 1, modern=True) == LISTED


@pytest.mark.parametrize("arguments", ["text", ["list"], 7, False, '{"prompt": "A fox"}'])
async def test_non_object_arguments_are_refused_in_the_tool_result(arguments: object) -> None:
    served = Served()
    async with wired(served.backend) as wire:
        await wire.request(1, "tools/call", modern=True, name="generate_image", arguments=arguments)
        result = (await wire.answer(1))["result"]
        await wire.request(2, "tools/call", modern=True, name="list_models", arguments=[])
        assert not (await wire.answer(2))["result"]["isError"]
    assert result["isError"]
    assert "prompt, model, size" in result["content"][0]["text"]
    assert served.gateway.requests == []


async def test_unknown_resource_error_names_the_existing_one() -> None:
    async with wired(Served().backend) as wire:
        await wire.request(1, "resources/read", modern=True, uri="images://none")
        error = (await wire.answer(1))["error"]
        await wire.request(2, "resources/templates/list", modern=True)
        (template,) = (await wire.answer(2))["result"]["resourceTemplates"]
        assert template["uriTemplate"] == "images://{id}{?width}"
        await wire.request(3, "prompts/list", modern=True)
        assert (await wire.answer(3))["result"]["prompts"] == []
    assert (error["code"], error["data"]) == (-32602, {"uri": "images://none"})
    assert "images://recent" in error["message"]


async def test_unreadable_ledger_error_quotes_no_exception(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served()
    served.backend.ledger_path.parent.mkdir(parents=True)
    served.backend.ledger_path.write_bytes(b"no database" * 1_000)
    async with wired(served.backend) as wire:
        await wire.request(1, "resources/read", modern=True, uri="images://recent")
        damaged = (await wire.answer(1))["error"]

        def fail() -> None:
            raise RuntimeError("/home/someone/secret")

        monkeypatch.setattr(served.backend, "operator_ledger", fail)
        await wire.request(2, "resources/read", modern=True, uri="images://recent")
        broken = (await wire.answer(2))["error"]
    assert "The spending ledger cannot be used" in damaged["message"]
    assert broken["message"] == "images://recent could not be read."
    assert "secret" in caplog.text


async def test_user_is_asked_during_a_call_and_the_answer_reaches_it() -> None:
    served = Served(confirm_above_usd="0")
    async with wired(served.backend) as wire:
        await wire.request(0, "server/discover", modern=True)
        await wire.request(0, "initialize", **dict(INITIALIZE, capabilities={"elicitation": {}}))
        while "protocolVersion" not in (await wire.answer(0))["result"]:
            pass
        await wire.notify("notifications/initialized")
        await generate(wire, 1, modern=False)
        question = await wire.receive()
        assert question["method"] == "elicitation/create"
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}}
        await wire.write(json.dumps(answer).encode() + b"\n")
        assert not (await wire.answer(1))["result"]["isError"]
