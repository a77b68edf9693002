"""What is reported of each answer: whether its client had it."""

import json
import time
from collections.abc import Awaitable, Callable

import anyio
import pytest
from tests.support.platforms import only_on_posix
from tests.support.wire import (
    FILLER,
    FOX,
    MODERN,
    PIPE_FULL,
    Served,
    Wire,
    generate,
    generate_with_progress,
    until,
    until_its_picture_waits_in_a_full_pipe,
    wired,
)

pytestmark = pytest.mark.anyio

posix_only = only_on_posix("pipes that tell how full they are")


async def test_read_answer_is_delivered_and_its_caller_is_the_process() -> None:
    served = Served()
    async with wired(served.backend) as wire:
        await generate(wire, 1)
        assert not (await wire.answer(1))["result"]["isError"]
        await until(lambda: served.ledger.notes == ["delivered"])
        await wire.shake_hands(2)
        await generate(wire, 3, modern=False)
        await wire.answer(3)
    assert set(served.ledger.callers) == {served.backend.process}


async def close_stdin(wire: Wire, served: Served) -> None:
    wire.close_stdin()
    await until(lambda: served.ledger.notes == ["abandoned"])


async def cancel(wire: Wire, served: Served) -> None:
    await wire.notify("notifications/cancelled", requestId=1)
    await until(lambda: served.ledger.notes == ["abandoned"])


async def close_stdout(wire: Wire, served: Served) -> None:
    wire.close_stdout()


@pytest.mark.parametrize("leave", [close_stdin, cancel, close_stdout])
async def test_unwritten_answer_is_reported_as_abandoned(leave: Callable[[Wire, Served], Awaitable[None]]) -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await generate(wire, 1)
        await served.until_asked()
        await leave(wire, served)
        served.gateway.gate.set()
    assert served.ledger.notes
    assert set(served.ledger.notes) == {"abandoned"}


@posix_only
async def test_answer_cancelled_in_the_queue_is_not_written() -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        await until_its_picture_waits_in_a_full_pipe(served, wire, "picture")
        await wire.notify("notifications/cancelled", requestId="picture")
        await wire.request("mark", "ping")
        answers: list[object] = []
        while "mark" not in answers:
            answers.append((await wire.receive())["id"])
        await until(lambda: served.ledger.notes == ["abandoned"])
    assert "picture" not in answers


@posix_only
async def test_answer_stuck_in_a_full_pipe_is_abandoned_within_the_shutdown_time() -> None:
    served = Served(is_open=False, output_seconds=60, shutdown_seconds=0.4)
    async with wired(served.backend) as wire:
        await until_its_picture_waits_in_a_full_pipe(served, wire, "picture")
        wire.interrupt()
        await until(lambda: served.ledger.notes == ["abandoned"])


@posix_only
async def test_non_blocking_pipe_is_read_and_written() -> None:
    async with wired(Served().backend, blocking=False) as wire:
        for id in range(PIPE_FULL):
            await wire.request(id, "tools/call", modern=True, **FILLER)
        await wire.until_stuck()
        assert len({(await wire.receive())["id"] for _ in range(PIPE_FULL)}) == PIPE_FULL


@posix_only
async def test_answer_in_an_unread_pipe_is_abandoned_and_the_server_ends() -> None:
    served = Served(is_open=False, output_seconds=0.05)
    async with wired(served.backend) as wire:
        await until_its_picture_waits_in_a_full_pipe(served, wire, "picture")
        assert served.ledger.notes == []
        wire.close_stdin()
        await until(lambda: served.ledger.notes == ["abandoned"])
        wire.close_stdout()


@posix_only
@pytest.mark.parametrize("read_lines", [1, 7, 60])
async def test_only_whole_answers_count_as_delivered_if_a_client_hangs_up(
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
    assert served.ledger.notes.count("delivered") == written // (length + 1) < 200
    assert set(served.ledger.notes) == {"delivered", "abandoned"}


async def test_answer_cancelled_after_delivery_is_repeatable() -> None:
    served = Served()
    async with wired(served.backend) as wire:
        await generate(wire, 1)
        await wire.answer(1)
        await until(lambda: served.ledger.notes == ["delivered"])
        await wire.notify("notifications/cancelled", requestId=1)
        await until(lambda: served.ledger.notes == ["delivered", "delivered repeatably"])


async def test_answer_of_a_slow_call_is_repeatable() -> None:
    served = Served(is_open=False, slow_call_seconds=0.05)
    async with wired(served.backend) as wire:
        await generate(wire, 1)
        await served.until_asked()
        await anyio.sleep(0.06)
        served.gateway.gate.set()
        await wire.answer(1)
        await until(lambda: served.ledger.notes == ["delivered repeatably"])


async def join(wire: Wire, served: Served, id: str) -> None:
    """Make the call of `generate` again, some time after it, and wait until it is open, too."""
    await served.until_asked()
    await anyio.sleep(0.06)
    await generate_with_progress(wire, id, modern=True)
    while "waiting for dall-e-3" not in json.dumps(await wire.receive()):
        pass


async def test_later_identical_call_joins_the_open_one_and_both_are_answered() -> None:
    served = Served(is_open=False, join_seconds=0.05)
    async with wired(served.backend) as wire:
        await generate(wire, "first")
        await join(wire, served, "second")
        served.gateway.gate.set()
        answers: list[str] = []
        while len(answers) < 2:
            message = await wire.receive()
            answers += [message["id"]] if "id" in message else []  # the rest is progress
        await until(lambda: served.ledger.notes == ["delivered"] * 2)
    assert sorted(answers) == ["first", "second"]
    assert len(served.gateway.requests) == len(served.ledger.callers) == 1


def line_of_a_call(id: str) -> bytes:
    call = {"name": "generate_image", "arguments": dict(FOX), "_meta": MODERN}
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call}).encode() + b"\n"


async def test_identical_calls_read_apart_by_a_busy_loop_are_joined() -> None:
    served = Served(is_open=False, join_seconds=0.1)
    async with wired(served.backend) as wire:
        await wire.request("mark", "ping")
        await wire.answer("mark")
        wire.write_in_the_loop(line_of_a_call("first"))
        time.sleep(0.3)  # noqa: ASYNC251 - the loop must be busy
        wire.write_in_the_loop(line_of_a_call("second"))
        await until(lambda: len(served.gateway.requests) > 0)
        await anyio.sleep(0.1)
        served.gateway.gate.set()
        answers = [message["id"] for message in [await wire.receive() for _ in range(2)] if "id" in message]
    assert sorted(answers) == ["first", "second"]
    assert len(served.gateway.requests) == 1


async def test_cancelled_call_hands_its_picture_to_the_call_that_joined_it() -> None:
    served = Served(is_open=False, join_seconds=0.05)
    async with wired(served.backend) as wire:
        await generate(wire, "first")
        await join(wire, served, "second")
        await wire.notify("notifications/cancelled", requestId="first")
        await wire.request("mark", "ping")
        await wire.answer("mark")
        served.gateway.gate.set()
        assert (await wire.answer("second"))["result"]["structuredContent"]["images"]
        await until(lambda: served.ledger.notes == ["delivered"])
    assert len(served.gateway.requests) == 1
