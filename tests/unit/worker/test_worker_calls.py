"""The worker's side, spoken to message by message."""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from tests.support.wire import FOX, Served, until

from blockrun_image_mcp.worker.messages import (
    Asked,
    Began,
    Begin,
    Cancel,
    Delivered,
    Ended,
    Message,
    Ready,
    Reply,
    Status,
    from_line,
    to_line,
)
from blockrun_image_mcp.worker.pipes import Pipes
from blockrun_image_mcp.worker.work import work

pytestmark = pytest.mark.anyio

BEGIN = Begin(1, FOX, "caller", "", None)


class ServerSide:
    """The server's end of the pipes."""

    def __init__(self) -> None:
        self.received: list[Message] = []
        self.has_ended = anyio.Event()

    def of(self, kind: type[Message]) -> Sequence[Message]:
        return [each for each in self.received if isinstance(each, kind)]

    async def until(self, kind: type[Message], count: int = 1) -> Message:
        await until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]


@asynccontextmanager
async def worker(served: Served) -> AsyncGenerator[tuple[ServerSide, Pipes]]:
    """Run a worker in this process; the server has gone at the end of the block."""
    its_stdin, write = os.pipe()
    read, its_stdout = os.pipe()
    side = ServerSide()
    pipes = Pipes(read, write, side.received.append, side.has_ended.set)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, served.backend, its_stdin, its_stdout)
        pipes.start()
        await side.until(Ready)
        yield side, pipes
        await pipes.close(within_seconds=5)
    os.close(its_stdout)


async def test_outcome_and_its_delivery(served: Served) -> None:
    async with worker(served) as (side, pipes):
        pipes.send(BEGIN)
        outcome = await side.until(Ended)
        assert isinstance(outcome, Ended)
        assert outcome.content is not None
        assert (outcome.content["status"], outcome.is_error) == ("complete", False)
        assert served.ledger.notes == []
        pipes.send(Delivered(1, "WRITTEN"))
        await until(lambda: served.ledger.notes == ["delivered"])
    assert side.received[1] == Began(1)
    assert Status(1, "waiting for dall-e-3") in side.received
    assert served.ledger.callers[0] is not None
    assert served.ledger.callers[0].id == "caller"


async def test_outcome_that_crosses_with_a_cancellation_is_collectable(served: Served) -> None:
    async with worker(served) as (side, pipes):
        pipes.send(BEGIN)
        await side.until(Ended)
        pipes.send(Cancel(1))
        await until(lambda: served.ledger.notes == ["abandoned"])


async def test_outcome_after_a_cancellation_is_collectable() -> None:
    served = Served(is_open=False)
    async with worker(served) as (side, pipes):
        pipes.send(BEGIN)
        await served.until_asked()
        pipes.send(Cancel(1))
        await until(lambda: served.ledger.notes == ["abandoned"])
        served.gateway.gate.set()
    assert set(served.ledger.notes) == {"abandoned"}
    assert side.of(Ended) == []


async def test_answer_not_reported_when_the_server_ends_is_collectable(served: Served) -> None:
    async with worker(served) as (side, pipes):
        pipes.send(BEGIN)
        await side.until(Ended)
    assert served.ledger.notes == ["abandoned"]


async def test_answer_reported_before_the_server_ends_stays_delivered(served: Served) -> None:
    async with worker(served) as (side, pipes):
        pipes.send(BEGIN)
        await side.until(Ended)
        pipes.send(Delivered(1, "WRITTEN"))
    assert served.ledger.notes == ["delivered"]


async def test_worker_ends_once_its_paid_request_is_answered() -> None:
    served = Served(is_open=False)
    with anyio.fail_after(10):
        async with worker(served) as (_, pipes):
            pipes.send(BEGIN)
            await served.until_asked()
            await pipes.close(within_seconds=5)
            await until(lambda: served.ledger.notes == ["abandoned"])
            served.gateway.gate.set()


@pytest.mark.parametrize(
    ("reply", "ends_with"),
    [
        (Reply(1, approval="id", max_usd="1.00"), "complete"),
        (Reply(1, approval="id"), "complete"),
        (Reply(1, refusal="It was declined.", hint="Choose something cheaper."), "It was declined."),
        (Reply(1), None),
    ],
)
async def test_replies_to_the_question(reply: Reply, ends_with: str | None) -> None:
    served = Served(confirm_above_usd="0")
    async with worker(served) as (side, pipes):
        pipes.send(BEGIN)
        asked = await side.until(Asked)
        assert isinstance(asked, Asked)
        assert (asked.call, asked.max_usd) == (1, "0.042")
        assert FOX["prompt"] in asked.prompt
        pipes.send(reply)
        outcome = await side.until(Ended)
        assert isinstance(outcome, Ended)
    assert (outcome.content is None) == (ends_with is None)
    assert ends_with is None or ends_with in str(outcome)
    assert len(served.gateway.requests) == (ends_with == "complete")


async def test_open_question_outlives_many_later_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockrun_image_mcp.worker.work._MAX_OVER", 1)
    served = Served(confirm_above_usd="0")
    async with worker(served) as (side, pipes):
        pipes.send(BEGIN)
        await side.until(Asked)
        for number in range(2, 6):
            pipes.send(replace(BEGIN, call=number, arguments={"prompt": ""}))
            await side.until(Ended, number - 1)
        pipes.send(Reply(1, approval="id"))
        outcome = await side.until(Ended, 5)
    assert isinstance(outcome, Ended)
    assert (outcome.call, outcome.is_error) == (1, False)


async def test_messages_about_unknown_calls_are_logged(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    async with worker(served) as (side, pipes):
        pipes.send(Cancel(7))
        pipes.send(Ready())
        pipes.send(BEGIN)
        await side.until(Ended)
    assert "Cancel from the server fits no call" in caplog.text
    assert "Ready from the server fits no call" in caplog.text


async def test_lone_surrogate_in_a_prompt_passes(served: Served) -> None:
    async with worker(served) as (side, pipes):
        pipes.send(replace(BEGIN, arguments={**FOX, "prompt": "A fox \ud83e"}))
        assert "\ud83e" not in str(await side.until(Ended))


@pytest.mark.parametrize("line", [b"", b"{}", b'["Begin", {}]', b'["Nothing", {}]', b"[1, 2]"])
def test_other_lines_are_no_message(line: bytes) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        from_line(line)


def test_message_survives_its_line() -> None:
    assert from_line(to_line(BEGIN)) == BEGIN


@pytest.fixture
def served() -> Served:
    return Served()
