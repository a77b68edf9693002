"""Money under real server processes that share a ledger, and are closed, killed, stopped or cancelled at any moment."""

import json
import os
import signal
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event
from time import sleep
from typing import Any

import anyio
import pytest
from tests.support.clients import COLLECTED
from tests.support.commands import ledger_file, run, spend
from tests.support.fakes import Clock
from tests.support.ledgers import NEW_YEARS_EVE, change, running_processes
from tests.support.platforms import only_on_posix
from tests.support.processes import QUICK_SERVER
from tests.support.raw_gateway import JOB, MICRO_USD, REFUSED, RawGateway, raw_gateway
from tests.support.servers import Server, running
from tests.support.workers import OFF

QUICK = (str(QUICK_SERVER),)
ENTRY = "from blockrun_image_mcp.cli.main import main; main()"
STARTED = "import blockrun_image_mcp; blockrun_image_mcp.STARTED_AT {}; " + ENTRY
SLOWLY_STARTED, AT_ONCE = ("-c", STARTED.format("-= 2")), ("-c", STARTED.format("+= 600"))
REPEATED = "the same call moments ago"
UNDER_WAY = "still under way"
VISITS = 3


@pytest.fixture
def gateway() -> Iterator[RawGateway]:
    with raw_gateway() as gateway:
        yield gateway


@contextmanager
def quick(gateway: RawGateway, **settings: str) -> Generator[Server]:
    """Run a server whose waits are short; a process that a test has stopped ends, too."""
    server = Server({**gateway.settings, **settings}, program=QUICK)
    with server.process:
        try:
            yield server
        finally:
            server.process.kill()


def call(server: Server, prompt: str) -> int:
    asked = {"prompt": prompt, "model": "nano-banana-pro", "enrich": "off"}
    return server.send("tools/call", name="generate_image", arguments=asked)


def answer(server: Server, id: int) -> tuple[Mapping[str, Any], str]:
    """Return the answer to a call, and all that was told before."""
    told: list[str] = []
    while (message := server.receive()).get("id") != id:
        told.append(json.dumps(message))
    return message["result"]["structuredContent"], "".join(told)


def urls(answered: Mapping[str, Any]) -> Sequence[str]:
    return [image["url"] for image in answered["images"]]


def rows(query: str) -> Sequence[tuple[Any, ...]]:
    with closing(sqlite3.connect(ledger_file())) as connection:
        return connection.execute(query).fetchall()


def until(is_so: Any) -> None:
    while not is_so():  # the test's own timeout ends this
        sleep(0.005)


def test_every_charge_is_in_the_ledger_while_other_processes_come_and_go(gateway: RawGateway) -> None:
    is_over = Event()
    received: list[str] = []

    def buy_and_read(name: str) -> None:
        number = 0
        with running(gateway.settings) as server:
            while not is_over.is_set():
                number += 1
                id = call(server, f"A fox, {name}, {number}")
                server.send("resources/read", uri="images://recent")
                received.extend(urls(answer(server, id)[0]))
            server.process.kill()  # what only its own write-ahead log had would be lost

    with ThreadPoolExecutor() as threads:
        try:
            buyers = [threads.submit(buy_and_read, name) for name in ("one", "two", "three")]
            until(lambda: len({charge.prompt.split(", ")[1] for charge in gateway.charges}) == len(buyers))
            for number in range(VISITS):
                with running(gateway.settings) as visitor:
                    assert "contents" in visitor.request("resources/read", uri="images://recent")["result"]
                    received.extend(urls(answer(visitor, call(visitor, f"A fox, visitor, {number}"))[0]))
                    visitor.process.communicate(timeout=30)
        finally:
            is_over.set()
        for buyer in buyers:
            buyer.result()
    stored = {id: (state, charged) for id, state, charged in rows("SELECT id, state, charged_micro_usd FROM spending")}
    assert stored == {charge.key: ("settled", MICRO_USD) for charge in gateway.charges}
    assert sorted(received) == sorted(charge.url for charge in gateway.charges)
    assert rows("PRAGMA integrity_check") == [("ok",)]
    assert rows("SELECT sent_count FROM ledger") == [(len(gateway.charges),)]


@pytest.mark.parametrize("is_first_killed", [True, False], ids=["killed", "living on"])
def test_delivered_pictures_of_a_slow_call_are_returned_again_by_another_server(
    gateway: RawGateway, is_first_killed: bool
) -> None:
    gateway.hold()
    with quick(gateway) as first_server, quick(gateway) as server:
        id = call(first_server, "A fox")
        until(lambda: gateway.posts == 1)
        sleep(0.25)  # longer than a call that is quick
        gateway.let_go()
        first, _ = answer(first_server, id)
        until(lambda: rows("SELECT is_delivered FROM spending") == [(1,)])
        if is_first_killed:
            first_server.process.kill()
        again, told = answer(server, call(server, "A fox"))
    assert urls(again) == urls(first) == [gateway.charges[0].url]
    assert REPEATED in json.dumps(again)
    assert UNDER_WAY not in told
    assert (gateway.posts, len(gateway.charges)) == (1, 1)


def test_pictures_unrecorded_in_a_locked_ledger_are_collected_after_a_kill(gateway: RawGateway) -> None:
    gateway.hold()
    with quick(gateway) as server:
        id = call(server, "A fox")
        until(lambda: gateway.posts == 1)
        with closing(sqlite3.connect(ledger_file(), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            gateway.let_go()
            first, _ = answer(server, id)
            server.process.kill()
            server.process.wait()
            other.execute("ROLLBACK")
    assert rows("SELECT state FROM spending") == [("sent",)]
    with quick(gateway) as server:
        again, told = answer(server, call(server, "A fox"))
    assert urls(again) == urls(first)
    assert COLLECTED in json.dumps(again)
    assert UNDER_WAY not in told
    assert rows("SELECT state, charged_micro_usd FROM spending") == [("settled", MICRO_USD)]
    assert len(gateway.charges) == 1


async def look_into_the_ledger() -> None:
    async with running_processes(ledger_file(), Clock(NEW_YEARS_EVE)) as processes:
        await (await processes.start()).sweep()


@only_on_posix("signals")
def test_charge_unrecorded_in_a_locked_ledger_is_settled_after_a_signal(gateway: RawGateway) -> None:
    gateway.hold()
    with running({**gateway.settings, **OFF}) as server:
        call(server, "A fox")
        until(lambda: gateway.posts == 1)
        with closing(sqlite3.connect(ledger_file(), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            gateway.let_go()
            until(lambda: len(gateway.charges) == 1)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait()
            other.execute("ROLLBACK")
    assert rows("SELECT state FROM spending") == [("sent",)]
    anyio.run(look_into_the_ledger)
    assert rows("SELECT state, charged_micro_usd FROM spending") == [("settled", MICRO_USD)]


def test_request_of_a_killed_process_is_reported_unknown_at_once(gateway: RawGateway) -> None:
    gateway.hold()
    with quick(gateway, **OFF) as server:
        call(server, "A fox")
        until(lambda: gateway.posts == 1)
        server.process.kill()
    with quick(gateway) as server:
        unknown, told = answer(server, call(server, "A fox"))
        assert unknown["error"]["charged"] == "unknown"
        assert UNDER_WAY not in told
        gateway.let_go()
        bought = unknown
        while "error" in bought:  # a slow answer may have been missed, and is told again
            assert bought["error"]["charged"] == "unknown"
            bought, _ = answer(server, call(server, "A fox"))
    assert len(urls(bought)) == 1
    assert gateway.posts == 2


def test_charged_refusal_is_reported_as_charged_only_once(gateway: RawGateway) -> None:
    gateway.hold()
    with quick(gateway, BLOCKRUN_IMAGE_CALL_SECONDS="1") as server:
        pending, _ = answer(server, call(server, REFUSED))
        assert pending["status"] == "pending"
        gateway.let_go()
        until(lambda: rows("SELECT state FROM spending") == [("settled",)])
        refused, _ = answer(server, call(server, REFUSED))
        assert refused["error"]["charged"] == "yes"
        assert gateway.posts == 1
        answer(server, call(server, REFUSED))
    assert gateway.posts == 2


@only_on_posix("signals")
def test_job_of_a_stopped_process_is_polled_by_the_waiting_process(gateway: RawGateway) -> None:
    gateway.hold()
    with quick(gateway, BLOCKRUN_IMAGE_CALL_SECONDS="1", **OFF) as stopped, quick(gateway) as waiting:
        id = call(stopped, f"{JOB}: a fox")
        until(lambda: gateway.polls == 1)  # it waits for the gateway, and has nothing locked
        pending, _ = answer(stopped, id)
        assert pending["status"] == "pending"
        until(lambda: rows("SELECT delivery FROM callers") == [("abandoned",)])
        os.kill(stopped.process.pid, signal.SIGSTOP)
        collected, told = answer(waiting, call(waiting, f"{JOB}: a fox"))
        assert UNDER_WAY in told
        assert (len(urls(collected)), gateway.polls) == (1, 2)
        os.kill(stopped.process.pid, signal.SIGCONT)
        gateway.let_go()
        assert "tools" in stopped.request("tools/list")["result"]
        stopped.process.communicate(timeout=30)
    assert rows("SELECT state, charged_micro_usd FROM spending") == [("settled", MICRO_USD)]
    assert (gateway.posts, len(gateway.charges)) == (1, 1)


@only_on_posix("signals")
def test_operator_cannot_release_the_attempt_of_a_stopped_process(gateway: RawGateway) -> None:
    gateway.hold()
    with quick(gateway, **OFF) as stopped:
        id = call(stopped, "A fox")
        until(lambda: gateway.posts == 1)
        os.kill(stopped.process.pid, signal.SIGSTOP)
        ((attempt,),) = rows("SELECT id FROM spending")
        assert "That attempt is sent" in run("recover", "--release", attempt).stderr
        change(ledger_file(), "UPDATE spending SET state = 'unknown'")  # as a version might that tells it early
        assert "still works on it" in run("recover", "--release", attempt).stderr
        assert spend()["unknown_usd"] == "0.105"
        os.kill(stopped.process.pid, signal.SIGCONT)
        gateway.let_go()
        assert urls(answer(stopped, id)[0]) == [gateway.charges[0].url]
        stopped.close()
    assert rows("SELECT state, charged_micro_usd FROM spending") == [("settled", MICRO_USD)]


def test_identical_calls_after_the_first_answer_are_separate_purchases(gateway: RawGateway) -> None:
    gateway.hold()
    server = Server(gateway.settings, program=SLOWLY_STARTED)
    with server.process:
        server.request("tools/list")
        for _ in range(3):
            call(server, "A fox")
        until(lambda: gateway.posts == 3)
        gateway.let_go()
        server.close()


@pytest.mark.parametrize(("program", "purchases"), [(SLOWLY_STARTED, 1), (AT_ONCE, 2)])
def test_identical_calls_queued_during_a_slow_start_are_joined(
    gateway: RawGateway, program: tuple[str, ...], purchases: int
) -> None:
    gateway.hold()
    server = Server(gateway.settings, program=program)
    with server.process:
        call(server, "A fox")
        call(server, "A fox")
        until(lambda: gateway.posts == purchases)
        gateway.let_go()
        told: list[Sequence[str]] = []
        while len(told) < 2:
            message = server.receive()
            if "result" in message:
                told.append(urls(message["result"]["structuredContent"]))
        server.close()
    assert {url for (url,) in told} == {charge.url for charge in gateway.charges}
    assert len(gateway.charges) == purchases


def test_call_cancelled_at_one_host_is_collected_at_another(gateway: RawGateway) -> None:
    gateway.hold()
    with quick(gateway) as one, quick(gateway) as other:
        id = call(one, "A fox")
        until(lambda: gateway.posts == 1)
        one.notify("notifications/cancelled", requestId=id)
        until(lambda: rows("SELECT delivery FROM callers") == [("abandoned",)])
        id = call(other, "A fox")
        while UNDER_WAY not in json.dumps(other.receive()):
            pass
        gateway.let_go()
        collected, _ = answer(other, id)
    assert urls(collected) == [gateway.charges[0].url]
    assert COLLECTED in json.dumps(collected)
    assert (gateway.posts, len(gateway.charges)) == (1, 1)
