"""The server on real pipes: both protocol eras on one pair of streams, and what is reported of each answer."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.fakes import URL, FakeGateway
from tests.wire import INITIALIZE, MODERN, Wire, wired

from blockrun_image.callers import Caller
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, ExpectedCost, OnStatus, Unrecorded
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.settings import Settings
from blockrun_image_mcp.timings import Timings

pytestmark = pytest.mark.anyio

FOX: Mapping[str, Any] = {"prompt": "A fox", "model": "dall-e-3", "enrich": "off"}
LISTED = {"generate_image", "list_models", "estimate_cost"}
FILLER: Mapping[str, Any] = {"name": "list_models", "arguments": {}}
PIPE_FULL = 150
"""Answers of `list_models` that no pipe of this system holds."""


class Gateway(FakeGateway):
    """Makes a picture once it may."""

    def __init__(self, *, is_open: bool = True) -> None:
        super().__init__(Image(URL), charged="0.042")
        self.gate = anyio.Event()
        if is_open:
            self.gate.set()

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        self.requests.append(request)
        with anyio.CancelScope(shield=True):  # as a request that has left
            await self.gate.wait()
        return self._response


class Ledger(Unrecorded):
    """Keeps who asked, and what became of each answer."""

    def __init__(self) -> None:
        super().__init__()
        self.callers: list[Caller | None] = []
        self.notes: list[str] = []

    async def find(self, request: ImageRequest, caller: Caller | None = None) -> Unrecorded | None:
        await anyio.lowlevel.checkpoint()
        self.callers.append(caller)
        return None

    async def reserve(self, request: ImageRequest, cost: ExpectedCost, approval: str | None = None) -> "Ledger":
        return self

    async def told(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.notes.append("told")

    async def left(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.notes.append("left")


class Served:
    """A backend with adapters that a test looks into."""

    def __init__(self, *, is_open: bool = True, confirm_above_usd: str | None = None, **timings: float) -> None:
        self.gateway, self.ledger = Gateway(is_open=is_open), Ledger()
        settings = Settings(confirm_above_usd=confirm_above_usd)
        self.backend = Backend(
            settings, gateway=self.gateway, ledger=self.ledger, timings=Timings(call_timeout_seconds=15, **timings)
        )

    async def until_asked(self, count: int = 1) -> None:
        await until(lambda: len(self.gateway.requests) == count)


async def until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not is_so():  # noqa: ASYNC110 - it happens in other tasks
            await anyio.sleep(0.005)


async def generate(wire: Wire, id: object, *, modern: bool = True, **more: Any) -> None:
    await wire.request(id, "tools/call", modern=modern, name="generate_image", arguments={**FOX, **more})


async def names(wire: Wire, id: object, *, modern: bool) -> set[str]:
    await wire.request(id, "tools/list", modern=modern)
    return {tool["name"] for tool in (await wire.answer(id))["result"]["tools"]}


# the two eras


async def test_client_that_probes_and_then_shakes_hands_is_served() -> None:
    async with wired(Served().backend) as wire:
        await wire.request(0, "server/discover", modern=True)
        assert (await wire.answer(0))["result"]["supportedVersions"] == ["2026-07-28"]
        assert (await wire.shake_hands(1))["result"]["protocolVersion"] == "2025-06-18"
        assert await names(wire, 2, modern=False) == LISTED


async def test_answer_to_a_probe_that_was_given_up_is_never_written() -> None:
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


async def test_handshake_in_one_write_with_its_probe_is_served() -> None:
    async with wired(Served().backend) as wire:
        probe = {"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {"_meta": MODERN}}
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
        await wire.write(b"".join(json.dumps(each).encode() + b"\n" for each in (probe, hello)))
        assert (await wire.answer(1))["result"]["protocolVersion"] == "2025-06-18"
        assert await names(wire, 2, modern=False) == LISTED


async def test_call_under_way_goes_on_when_its_client_shakes_hands() -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await generate(wire, "picture")
        await served.until_asked()
        await wire.shake_hands()
        assert await names(wire, 2, modern=False) == LISTED
        served.gateway.gate.set()
        assert (await wire.answer("picture"))["result"]["structuredContent"]["images"] == [{"url": URL}]
        await until(lambda: served.ledger.notes == ["told"])


async def test_answer_whose_id_a_new_session_has_given_to_another_request_is_not_mistaken_for_its() -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await generate(wire, 2)
        await served.until_asked()
        await wire.shake_hands(1)
        await generate(wire, 2, modern=False, prompt="An owl")
        await served.until_asked(2)
        served.gateway.gate.set()
        assert '"An owl"' in json.dumps((await wire.answer(2))["result"]["structuredContent"])
        await until(lambda: sorted(served.ledger.notes) == ["left", "told"])
    assert len(served.gateway.requests) == 2


async def test_modern_requests_are_served_after_a_handshake_too() -> None:
    async with wired(Served().backend) as wire:
        await wire.shake_hands(0)
        assert await names(wire, 1, modern=True) == LISTED
        assert await names(wire, 2, modern=False) == LISTED


# ids


@pytest.mark.parametrize("ids", [(7, 7), (7, "7"), ("a", "a")])
async def test_calls_with_one_id_are_each_answered_with_it(ids: tuple[object, object]) -> None:
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


async def test_id_with_half_of_a_surrogate_pair_is_answered_with_it() -> None:
    async with wired(Served().backend) as wire:
        await wire.request("fox \ud83e", "tools/list", modern=True)
        assert "result" in await wire.answer("fox \ud83e")


@pytest.mark.parametrize("named", [7, "7"])
async def test_cancelled_is_the_newest_call_with_the_id(named: object) -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await generate(wire, 7)
        await served.until_asked()
        await generate(wire, 7, prompt="An owl")
        await served.until_asked(2)
        await wire.notify("notifications/cancelled", requestId=named)
        await until(lambda: served.ledger.notes == ["left"])
        served.gateway.gate.set()
        answer = await wire.answer(7)
        assert answer["result"]["structuredContent"]["prompt"]["sent"] == "A fox"
        await until(lambda: served.ledger.notes == ["left", "told"])


@pytest.mark.parametrize(("kept", "cancelled"), [(7, "7"), ("7", 7)])
async def test_call_whose_id_looks_like_the_cancelled_one_goes_on(kept: object, cancelled: object) -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        for number, id in enumerate((cancelled, kept), start=1):
            await generate(wire, id)
            await served.until_asked(number)
        await wire.notify("notifications/cancelled", requestId=cancelled)
        await until(lambda: served.ledger.notes == ["left"])
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


# deliveries


async def test_answer_that_was_read_is_delivered_and_the_caller_is_the_process() -> None:
    served = Served()
    async with wired(served.backend) as wire:
        await generate(wire, 1)
        assert not (await wire.answer(1))["result"]["isError"]
        await until(lambda: served.ledger.notes == ["told"])
        await wire.shake_hands(2)
        await generate(wire, 3, modern=False)
        await wire.answer(3)
    assert set(served.ledger.callers) == {served.backend.process}


async def close_stdin(wire: Wire, served: Served) -> None:
    wire.close_stdin()
    await until(lambda: served.ledger.notes == ["left"])


async def cancel(wire: Wire, served: Served) -> None:
    await wire.notify("notifications/cancelled", requestId=1)
    await until(lambda: served.ledger.notes == ["left"])


async def close_stdout(wire: Wire, served: Served) -> None:
    wire.close_stdout()


@pytest.mark.parametrize("leave", [close_stdin, cancel, close_stdout])
async def test_answer_that_was_never_written_is_reported_so(leave: Callable[[Wire, Served], Awaitable[None]]) -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await generate(wire, 1)
        await served.until_asked()
        await leave(wire, served)
        served.gateway.gate.set()
    assert served.ledger.notes
    assert set(served.ledger.notes) == {"left"}


async def test_answer_that_is_cancelled_in_the_queue_is_not_written() -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await generate(wire, "picture")
        await served.until_asked()
        for id in range(PIPE_FULL):
            await wire.request(id, "tools/call", modern=True, **FILLER)
        await wire.until_stuck()
        served.gateway.gate.set()
        await anyio.sleep(0.2)
        await wire.notify("notifications/cancelled", requestId="picture")
        await wire.request("mark", "ping")
        answers: list[object] = []
        while "mark" not in answers:
            answers.append((await wire.receive())["id"])
        await until(lambda: served.ledger.notes == ["left"])
    assert "picture" not in answers


async def test_answer_in_a_full_pipe_is_noted_as_undelivered_within_the_time_of_a_signal() -> None:
    served = Served(is_open=False, output_seconds=60, shutdown_seconds=0.4)
    async with wired(served.backend) as wire:
        await generate(wire, "picture")
        await served.until_asked()
        for id in range(PIPE_FULL):
            await wire.request(id, "tools/call", modern=True, **FILLER)
        await wire.until_stuck()
        served.gateway.gate.set()
        await anyio.sleep(0.2)
        wire.interrupt()
        await until(lambda: served.ledger.notes == ["left"])


async def test_pipe_that_another_process_made_non_blocking_is_read_and_written() -> None:
    async with wired(Served().backend, blocking=False) as wire:
        for id in range(PIPE_FULL):
            await wire.request(id, "tools/call", modern=True, **FILLER)
        await wire.until_stuck()
        assert len({(await wire.receive())["id"] for _ in range(PIPE_FULL)}) == PIPE_FULL


async def test_answer_in_a_pipe_that_nobody_reads_is_not_delivered_and_the_server_ends() -> None:
    served = Served(is_open=False, output_seconds=0.05)
    async with wired(served.backend) as wire:
        await generate(wire, "picture")
        await served.until_asked()
        for id in range(PIPE_FULL):
            await wire.request(id, "tools/call", modern=True, **FILLER)
        await anyio.sleep(0.5)
        served.gateway.gate.set()
        await anyio.sleep(0.1)
        assert served.ledger.notes == []
        wire.close_stdin()
        await until(lambda: served.ledger.notes == ["left"])
        wire.close_stdout()


@pytest.mark.parametrize("read_lines", [1, 7, 60])
async def test_delivered_is_each_whole_answer_in_the_pipe_of_a_client_that_hangs_up_and_no_other(
    read_lines: int,
) -> None:
    served = Served()
    async with wired(served.backend) as wire:
        for id in range(100, 300):
            await generate(wire, id, prompt="fox " * 900)  # an answer that no pipe takes in one piece
        lengths = {len(await wire.read_line()) for _ in range(read_lines)}
        written = await wire.until_stuck()
        wire.close_stdout()
    (length,) = lengths
    assert written % (length + 1)  # it hung up in the middle of an answer
    assert served.ledger.notes.count("told") == written // (length + 1) < 200
    assert set(served.ledger.notes) == {"told", "left"}


# lines


async def test_every_answer_is_whole_and_in_order_for_a_client_that_reads_slowly() -> None:
    served = Served()
    async with wired(served.backend) as wire:
        for id in range(PIPE_FULL):
            await wire.request(id, "tools/call", modern=True, **FILLER)
        answers = [await wire.receive() for _ in range(5)]
        await anyio.sleep(0.3)
        answers += [await wire.receive() for _ in range(PIPE_FULL - 5)]
    assert sorted(answer["id"] for answer in answers) == [*range(PIPE_FULL)]


async def test_bytes_that_somebody_has_read_before_are_served_first() -> None:
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}).encode() + b"\r\n"
    async with wired(Served().backend, hello + b'{"jsonrpc":"2.0","id":2,') as wire:
        await wire.write(b'"method":"tools/list"}\n')
        assert [(await wire.receive())["id"] for _ in range(2)] == [1, 2]


async def test_line_that_is_split_at_every_byte_is_read() -> None:
    async with wired(Served().backend) as wire:
        for byte in b'{"jsonrpc":"2.0","id":"caf\xc3\xa9","method":"ping"}\r\n':
            await wire.write(bytes([byte]))
        assert "result" in await wire.answer("café")


async def test_last_line_needs_no_end() -> None:
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
async def test_arguments_that_are_no_object_are_refused_where_a_model_sees_it(arguments: object) -> None:
    served = Served()
    async with wired(served.backend) as wire:
        await wire.request(1, "tools/call", modern=True, name="generate_image", arguments=arguments)
        result = (await wire.answer(1))["result"]
        await wire.request(2, "tools/call", modern=True, name="list_models", arguments=[])
        assert not (await wire.answer(2))["result"]["isError"]
    assert result["isError"]
    assert "prompt, model, size" in result["content"][0]["text"]
    assert served.gateway.requests == []


# what mcp's own server did for us before


async def test_resource_that_does_not_exist_is_refused_with_the_one_that_does() -> None:
    async with wired(Served().backend) as wire:
        await wire.request(1, "resources/read", modern=True, uri="images://none")
        error = (await wire.answer(1))["error"]
        await wire.request(2, "resources/templates/list", modern=True)
        assert (await wire.answer(2))["result"]["resourceTemplates"] == []
        await wire.request(3, "prompts/list", modern=True)
        assert (await wire.answer(3))["result"]["prompts"] == []
    assert (error["code"], error["data"]) == (-32602, {"uri": "images://none"})
    assert "images://recent" in error["message"]


async def test_ledger_that_cannot_be_read_is_an_error_with_words_and_no_exception_is_quoted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served()
    served.backend.ledger_path.parent.mkdir()
    served.backend.ledger_path.write_bytes(b"no database" * 1_000)
    async with wired(served.backend) as wire:
        await wire.request(1, "resources/read", modern=True, uri="images://recent")
        damaged = (await wire.answer(1))["error"]

        def fail() -> None:
            raise RuntimeError("/home/someone/secret")

        monkeypatch.setattr(served.backend, "operator_ledger", fail)
        await wire.request(2, "resources/read", modern=True, uri="images://recent")
        broken = (await wire.answer(2))["error"]
    assert "The ledger of what is spent cannot be used" in damaged["message"]
    assert broken["message"] == "images://recent could not be read."
    assert "secret" in caplog.text


async def test_user_is_asked_in_the_middle_of_a_call_and_the_answer_reaches_it() -> None:
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


async def generate_with_progress(wire: Wire, id: str, *, modern: bool) -> None:
    meta = {**(MODERN if modern else {}), "progressToken": 1}
    call = {"name": "generate_image", "arguments": dict(FOX), "_meta": meta}
    line = {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call}
    await wire.write(json.dumps(line).encode() + b"\n")


async def test_progress_goes_on_after_a_handshake() -> None:
    served = Served(is_open=False, progress_seconds=0.05)
    async with wired(served.backend) as wire:
        await generate_with_progress(wire, "picture", modern=True)
        await served.until_asked()
        await wire.shake_hands()
        assert (await wire.receive())["method"] == "notifications/progress"
        served.gateway.gate.set()
        await wire.answer("picture")


async def test_progress_is_not_mistaken_for_that_of_a_later_session_with_the_same_token() -> None:
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


# protocol versions


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("2024-11-05", set[str]()),
        ("2025-03-26", {"annotations"}),
        ("2025-06-18", {"annotations", "title", "outputSchema"}),
        ("2025-11-25", {"annotations", "title", "outputSchema"}),
    ],
)
async def test_client_gets_nothing_that_its_protocol_lacks(version: str, fields: set[str]) -> None:
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
