"""What becomes of an answer on its way to the client, also if the client cancels too late."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse
from tests.support.wire import Served, generate, until, wired

from blockrun_image.callers import DeliveryEvent
from blockrun_image_mcp.mcp_server.answers import Answer
from blockrun_image_mcp.mcp_server.conversation import Conversation
from blockrun_image_mcp.mcp_server.server import build_server

pytestmark = pytest.mark.anyio

WRITTEN, LOST, CANCELLED = DeliveryEvent.WRITTEN, DeliveryEvent.LOST, DeliveryEvent.CANCELLED


class Client:
    """Keeps what is reported of an answer, and how often it is settled."""

    def __init__(self, reports: TaskGroup, *, is_result: bool = True) -> None:
        self.events: list[DeliveryEvent] = []
        self.forgotten = 0
        self.answer = Answer(7, None, "tools/call", 0, reports, self._forget, is_result=is_result)

    def listen(self) -> None:
        self.answer.on_report(self.note)

    async def note(self, event: DeliveryEvent) -> None:
        await anyio.lowlevel.checkpoint()
        self.events.append(event)

    def _forget(self) -> None:
        self.forgotten += 1


@pytest.mark.parametrize(
    ("is_result", "steps", "events"),
    [
        (True, ["listen", "written"], [WRITTEN]),
        (True, ["listen", "lost"], [LOST]),
        (False, ["listen", "written"], [LOST]),  # an error is not what the call returned
        (True, ["listen", "written", "cancel"], [WRITTEN, CANCELLED]),
        (True, ["listen", "cancel", "written"], [CANCELLED]),  # it was being written
        (True, ["listen", "cancel", "lost"], [LOST]),
        (True, ["listen", "lost", "cancel"], [LOST]),
        (False, ["listen", "written", "cancel"], [LOST]),
        (True, ["listen", "written", "lost"], [WRITTEN]),
        (True, ["listen", "lost", "written"], [LOST]),
        (True, ["written", "listen"], [LOST]),  # an answer that was written before was another one
        (True, ["lost", "listen"], [LOST]),
        (True, ["listen", "listen", "written"], [WRITTEN, WRITTEN]),
        (True, ["listen"], []),
        (True, ["listen", "cancel"], []),
    ],
)
async def test_answer_reports_each_event(is_result: bool, steps: list[str], events: list[DeliveryEvent]) -> None:
    async with anyio.create_task_group() as reports:
        client = Client(reports, is_result=is_result)
        for step in steps:
            match step:
                case "listen":
                    client.listen()
                case "cancel":
                    client.answer.cancel()
                case _:
                    client.answer.close(is_written=step == "written")
            await anyio.wait_all_tasks_blocked()
        assert client.events == events
        assert client.forgotten == len({"written", "lost"} & set(steps)) - ("written" in steps and "lost" in steps)


async def test_cancelled_answer_is_unwanted() -> None:
    async with anyio.create_task_group() as reports:
        answer = Client(reports).answer
        assert not answer.is_unwanted
        answer.cancel()
        assert answer.is_unwanted


async def test_failing_delivery_report_is_logged_without_stopping_others(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: DeliveryEvent) -> None:
        raise ZeroDivisionError

    async with anyio.create_task_group() as reports:
        client = Client(reports)
        client.answer.on_report(fail)
        client.listen()
        client.answer.close(is_written=True)
        await anyio.wait_all_tasks_blocked()
        assert client.events == [WRITTEN]
    assert "an answer's delivery could not be recorded" in caplog.text


async def test_delivery_report_is_recorded_despite_shutdown() -> None:
    events: list[DeliveryEvent] = []

    async def note(event: DeliveryEvent) -> None:
        await anyio.sleep(0.01)
        events.append(event)

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as reports:
            client = Client(reports)
            client.answer.on_report(note)
            client.answer.close(is_written=True)
            await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert events == [WRITTEN]


# a client on pipes


async def cancelled(served: Served, id: object, cancels: object) -> list[str]:
    """Return what is noted of a call whose client cancels a request after it was answered."""
    async with wired(served.backend) as wire:
        await generate(wire, id)
        await wire.answer(id)
        await until(lambda: served.ledger.notes == ["delivered"])
        await wire.notify("notifications/cancelled", requestId=cancels)
        await wire.request("mark", "ping")
        await wire.answer("mark")
        await anyio.sleep(0.01)
    return served.ledger.notes


async def test_cancellation_after_the_answer_is_recorded() -> None:
    assert await cancelled(Served(), 7, 7) == ["delivered", "delivered repeatably"]


@pytest.mark.parametrize("other", ["8", 8, None, True, [7]])
async def test_cancelling_another_request_does_not_affect_the_answer(other: object) -> None:
    assert await cancelled(Served(), 7, other) == ["delivered"]


async def test_cancellation_matches_a_numeric_id_sent_as_text() -> None:
    assert await cancelled(Served(), 7, "7") == ["delivered", "delivered repeatably"]


async def test_cancellation_applies_to_the_newest_request_with_its_id() -> None:
    served = Served()
    async with wired(served.backend) as wire:
        for number in (1, 2):
            await generate(wire, 7, prompt=f"{number} foxes")
            await wire.answer(7)
            await until(lambda number=number: len(served.ledger.notes) == number)
        await wire.notify("notifications/cancelled", requestId=7)
        await until(lambda: len(served.ledger.notes) == 3)
    assert served.ledger.noted_prompts[-1].startswith("2 foxes")


async def test_cancelling_a_pending_request_spares_an_answered_one_with_its_id() -> None:
    served = Served(is_open=False)
    async with wired(served.backend) as wire:
        served.gateway.gate.set()
        await generate(wire, 7)
        await wire.answer(7)
        await until(lambda: served.ledger.notes == ["delivered"])
        served.gateway.gate = anyio.Event()
        await generate(wire, 7, prompt="Two foxes")
        await served.until_asked(2)
        await wire.notify("notifications/cancelled", requestId=7)
        await until(lambda: served.ledger.notes == ["delivered", "abandoned"])
        served.gateway.gate.set()
    assert set(served.ledger.notes) == {"delivered", "abandoned"}


async def test_answer_written_despite_cancellation_is_recorded_as_cancelled() -> None:
    answers: list[Answer] = []

    class Output:
        async def send(self, line: bytes, answer: Answer | None = None) -> None:
            if answer is not None:
                answers.append(answer)

    served = Served()
    async with anyio.create_task_group() as reports, served.backend:
        conversation = Conversation(build_server(served.backend), served.backend, Output(), reports)
        answer = Answer(7, None, "tools/call", 0, reports, lambda: None)
        conversation._answers[1] = answer  # pyright: ignore[reportPrivateUsage] - a call that has just ended
        await conversation.take({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
        assert not answer.is_unwanted
        await conversation.put(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=1, result={})))
        client = Client(reports)
        answer.on_report(client.note)
        answers[0].close(is_written=True)
        await anyio.wait_all_tasks_blocked()
        assert client.events == [CANCELLED]


async def test_slow_answer_over_the_wire_is_repeatable() -> None:
    served = Served(slow_call_seconds=0)
    async with wired(served.backend) as wire:
        await generate(wire, 7)
        await wire.answer(7)
        await until(lambda: served.ledger.notes == ["delivered repeatably"])


async def test_number_of_remembered_answers_is_limited() -> None:
    served: Any = Served()
    async with wired(served.backend) as wire:
        await generate(wire, "first")
        await wire.answer("first")
        for id in range(256):
            await wire.request(id, "ping")
            await wire.answer(id)
        await wire.notify("notifications/cancelled", requestId="first")
        await wire.request("mark", "ping")
        await wire.answer("mark")
    assert served.ledger.notes == ["delivered"]
