"""The server's side, with programs in the worker's place."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from tests.support.wire import FOX, Served, until

from blockrun_image.attempts import Approval
from blockrun_image.callers import Caller
from blockrun_image.errors import ConfirmationError
from blockrun_image_mcp.ledger.confirmation import Ask, Question
from blockrun_image_mcp.paid_call import CallEnded, Outcome, PaidCall
from blockrun_image_mcp.worker import connection
from blockrun_image_mcp.worker.client import WorkerClient
from blockrun_image_mcp.worker.launch import LOG

pytestmark = pytest.mark.anyio

IMPORTS = """
import json, os, sys
def send(kind, **values):
    print(json.dumps([kind, values]), flush=True)
def take():
    line = sys.stdin.readline()
    return json.loads(line) if line else sys.exit()
start = take()
"""
READY = f"{IMPORTS}send('Ready')\ncall = take()[1]['call']\n"
BEGAN = f"{READY}send('Began', call=call)\n"
DONE = f"{BEGAN}send('Ended', call=call, text='Done', content={{}})\n"
ASKS = (
    f"{BEGAN}send('Asked', call=call, what='Make it?', price='$1', prompt='A fox', max_usd='1.00')\n"
    "reply = take()[1]\n"
    "send('Ended', call=call, text=json.dumps(reply), content=None if not any(reply[name] for name in"
    " ('approval', 'refusal')) else {})\n"
    "take()\n"
)


MORE = """
while True:
    kind, values = take()
    if kind == 'Begin':
        send('Began', call=values['call'])
        send('Ended', call=values['call'], text=str(os.getpid()), content={})
"""


async def never(question: Question) -> Approval:
    raise AssertionError(question)


def call(ask: Ask = never, heard: list[str] | None = None) -> PaidCall:
    return PaidCall(FOX, ask, ([] if heard is None else heard).append, Caller("caller"))


@asynccontextmanager
async def client(program: str, served: Served | None = None) -> AsyncGenerator[WorkerClient]:
    """Return a client whose worker is a program."""
    served = served or Served()
    async with served.backend, WorkerClient(served.backend, {}, [sys.executable, "-c", program]) as client:
        yield client


async def outcome(program: str, served: Served | None = None) -> Outcome:
    async with client(program, served) as worker:
        return await worker.perform(call())


async def test_outcome_is_the_workers() -> None:
    assert await outcome(DONE) == Outcome("Done", {}, paths=[])


@pytest.mark.parametrize(
    ("program", "words", "charged"),
    [
        ("import sys; sys.exit('no module')", "could not be started. Nothing was sent", "no"),
        (f"{IMPORTS}send('Refused', version='9.9.9')", "was changed from", "no"),
        (f"{IMPORTS}print('nonsense', flush=True); take()", "could not be started. Nothing was sent", "no"),
        (READY, "could not be started. Nothing was sent", "no"),
        (BEGAN, "ended unexpectedly", "unknown"),
        (f"{BEGAN}print('[\"Ended\"', end='', flush=True)", "ended unexpectedly", "unknown"),
    ],
)
async def test_worker_that_fails_is_an_error_about_money(program: str, words: str, charged: str) -> None:
    failed = await outcome(program)
    assert failed.is_error
    assert words in failed.text
    error = failed.content["error"]
    assert isinstance(error, dict)
    assert error["charged"] == charged
    assert "9.9.9" in failed.text or LOG in failed.text


async def test_call_is_given_to_another_worker_if_the_first_ended_without_it(tmp_path: Path) -> None:
    once = f"{IMPORTS}send('Ready')\nopen({str(tmp_path / 'been')!r}, 'x')\ntake()\n"
    program = (
        f"import os, sys\nif os.path.exists({str(tmp_path / 'been')!r}):\n    exec({DONE!r})\nelse:\n    exec({once!r})"
    )
    assert (await outcome(program)).text == "Done"


async def test_without_another_process_the_call_is_performed_here() -> None:
    served = Served()
    async with served.backend, WorkerClient(served.backend, {}, ["/nowhere/python"]) as worker:
        made = [await worker.perform(call()) for _ in range(2)]
    assert [each.content["status"] for each in made] == ["complete", "complete"]
    assert len(served.gateway.requests) == 2


def nowhere(_named: Path | None) -> Path:
    return Path("~")


async def test_without_a_folder_for_the_ledger_the_call_is_performed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("blockrun_image_mcp.backend.state_folder", nowhere)
    assert (await outcome("exit()")).content["status"] == "complete"
    assert [each async for each in anyio.Path(tmp_path).iterdir()] == []


async def test_worker_that_does_not_answer_is_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_GRACE_SECONDS", -14.9)  # the calls of these tests have 15 seconds
    failed = await outcome(f"{BEGAN}take()\ntake()\n")
    assert "does not answer" in failed.text
    assert '"unknown"' in str(failed.content).replace("'", '"')


async def test_start_that_takes_too_long_is_an_error() -> None:
    failed = await outcome(f"{IMPORTS}take()\ntake()\n", Served(worker_start_seconds=0.3))
    assert "could not be started" in failed.text


async def test_worker_started_once_serves_several_calls() -> None:
    program = DONE + MORE
    async with client(program) as worker:
        texts = [(await worker.perform(call())).text for _ in range(3)]
    assert texts[0] == "Done"
    assert texts[1] == texts[2]


async def test_idle_worker_is_ended_and_the_next_call_starts_another() -> None:
    program = DONE.replace("text='Done'", "text=str(os.getpid())") + "\ntake()\ntake()\n"
    async with client(program, Served(worker_idle_seconds=0.3)) as worker:
        first = await worker.perform(call())
        await anyio.sleep(1)
        second = await worker.perform(call())
    assert first.text != second.text


async def test_approval_and_refusal_reach_the_worker() -> None:
    async def agree(question: Question) -> Approval:
        return Approval("id", question.max_usd)

    async def decline(_question: Question) -> Approval:
        raise ConfirmationError("It was declined.", hint="Choose something cheaper.")

    async with client(ASKS) as worker:
        agreed = await worker.perform(call(agree))
    async with client(ASKS) as worker:
        declined = await worker.perform(call(decline))
    assert '"approval": "id", "max_usd": "1.00"' in agreed.text
    assert '"refusal": "It was declined.", "hint": "Choose something cheaper."' in declined.text


async def test_question_for_the_next_call_ends_this_one_with_its_own_exception() -> None:
    class Later(CallEnded):
        pass

    async def later(_question: Question) -> Approval:
        raise Later

    async with client(ASKS) as worker:
        with pytest.raises(Later):
            await worker.perform(call(later))


async def test_cancelled_call_is_cancelled_in_the_worker(tmp_path: Path) -> None:
    program = f"{BEGAN}open({str(tmp_path / 'told')!r}, 'w').write(str(take()))\ntake()\n"
    heard: list[str] = []
    async with client(f"{BEGAN}send('Status', call=call, words='drawing')\n" + program[len(BEGAN) :]) as worker:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.perform, call(heard=heard))
            await until(lambda: "drawing" in heard)
            tasks.cancel_scope.cancel()
        await until((tmp_path / "told").exists)
        await until(lambda: "Cancel" in (tmp_path / "told").read_text())
