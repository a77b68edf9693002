"""Clients' hosts: each keeps one server process running, and speaks to it in lines."""

import asyncio
import json
import math
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.books import Clock

PROGRAM = Path(__file__).with_name("scaled_server.py")

_START_SECONDS = 60.0
_END_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """What a client reads: `kind` is complete, pending or error, or lost where its server ended before.

    `charged` and `type` are those of an error; `text` is all that was said.
    """

    kind: str
    urls: tuple[str, ...] = ()
    type: str = ""
    charged: str = ""
    text: str = ""


@dataclass
class Call:
    """One call: when it was sent, answered, and over for its client, who does not read what comes `is_dropped`."""

    prompt: str
    chain: int
    host: "Host"
    id: int = 0
    sent: float = 0.0
    answered: float | None = None
    over: float | None = None
    is_dropped: bool = False
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def end(self) -> float:
        """When it was last heard of."""
        return max(self.sent, self.answered or 0.0, self.over or 0.0)


@dataclass
class Trouble:
    """What was done to a server, and how long it lasted."""

    what: str
    begun: float
    over: float = math.inf


class Host:
    """One client with one server process at a time, which is started again when it has ended."""

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        folder: Path,
        clock: Clock,
        on_answer: Callable[[Call, Answer], None],
    ) -> None:
        self.name = name
        self.troubles: list[Trouble] = []
        self.crashes: list[str] = []
        self.is_up = asyncio.Event()
        self.process: Process | None = None
        self._environment = environment
        self._log = folder / f"stderr-{name}.txt"
        self._clock = clock
        self._on_answer = on_answer
        self._ending: Trouble | None = None
        self._is_closing = False
        self._calls: dict[int, Call] = {}
        self._questions: dict[int, asyncio.Future[Any]] = {}
        self._id = 0

    @property
    def is_untroubled(self) -> bool:
        """Whether the server runs and nothing is being done to it."""
        return self.is_up.is_set() and all(trouble.over < math.inf for trouble in self.troubles)

    def was_troubled(self, begun: float, over: float) -> bool:
        """Tell whether anything was done to the server between two times."""
        return any(trouble.begun <= over and trouble.over >= begun for trouble in self.troubles)

    async def run(self) -> None:
        """Keep a server running until `close`."""
        while not self._is_closing:
            await self._run_once()

    def call(self, call: Call, arguments: Mapping[str, Any]) -> None:
        """Send a call; nothing is awaited, so that several calls leave at once."""
        self._id += 1
        call.id, call.sent = self._id, self._clock.now()
        self._calls[call.id] = call
        self._send(id=call.id, method="tools/call", params={"name": "generate_image", "arguments": arguments})

    def cancel(self, call: Call) -> None:
        """Tell the server that nobody waits for a call any more."""
        self._send(method="notifications/cancelled", params={"requestId": call.id})

    async def ask(self, method: str, **params: Any) -> Mapping[str, Any]:
        """Return the answer to a question; raises `ConnectionError` where the server ends before."""
        self._id += 1
        future = self._questions[self._id] = asyncio.get_running_loop().create_future()
        self._send(id=self._id, method=method, params=params)
        return await future

    def end(self, how: str) -> None:
        """End the server by a kill, a signal, or the end of its stdin."""
        if self.process is None or self.process.returncode is not None or self._ending is not None:
            return
        self._ending = Trouble(how, self._clock.now())
        self.troubles.append(self._ending)
        self.is_up.clear()
        if how == "closed stdin":
            assert self.process.stdin is not None
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)

    async def close(self) -> None:
        """Close stdin for good; a server that does not end is killed, and counts as one that has crashed."""
        self._is_closing = True
        self.end("closed stdin")
        if self.process is not None:
            try:
                await asyncio.wait_for(self.process.wait(), _END_SECONDS)
            except TimeoutError:
                self.crashes.append(f"{self.name} does not end after its stdin was closed")
                self.process.kill()

    async def _run_once(self) -> None:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                os.fspath(PROGRAM),
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                env=self._environment,
                limit=2**24,
            )
        self._ending = None
        reading = asyncio.create_task(self._read(self.process))
        try:
            async with asyncio.timeout(_START_SECONDS):
                info = {"name": "soak", "version": "1"}
                await self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=info)
                self._send(method="notifications/initialized")
                # What a first call loads takes as long as a slow call does at a tenth of the time.
                await self.ask("tools/call", name="estimate_cost", arguments={})
                await self.ask("resources/read", uri="images://recent")
            self.is_up.set()
        except (TimeoutError, ConnectionError):
            self.end("kill")
        await reading
        status = await self.process.wait()
        self.is_up.clear()
        if self._ending is None:
            self.crashes.append(f"{self.name} ended by itself with status {status}, see {self._log}")
            self._ending = Trouble("crash", self._clock.now())
            self.troubles.append(self._ending)
            await asyncio.sleep(0.5)
        for trouble in self.troubles:
            trouble.over = min(trouble.over, self._clock.now())
        self._lose()

    def _lose(self) -> None:
        calls, self._calls = self._calls, {}
        for call in calls.values():
            self._on_answer(call, Answer("lost"))
        questions, self._questions = self._questions, {}
        for future in questions.values():
            if not future.done():
                future.set_exception(ConnectionError("the server ended"))
                future.exception()  # whoever asked may have gone

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            message = json.loads(line)
            id = message.get("id")
            if id in self._calls:
                call = self._calls.pop(id)
                call.answered = self._clock.now()
                self._on_answer(call, Answer("lost") if self._is_cut_off(message) else _answer(message))
            elif (future := self._questions.pop(id, None)) is not None and not future.done():
                future.set_result(message)

    def _is_cut_off(self, message: Mapping[str, Any]) -> bool:
        """Tell whether a server that ends says so instead of an answer."""
        return "error" in message and self._ending is not None

    def _send(self, **message: Any) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        with suppress(ConnectionError, RuntimeError):
            self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


def _answer(message: Mapping[str, Any]) -> Answer:
    text = json.dumps(message.get("result", message.get("error")), ensure_ascii=False)
    content: Mapping[str, Any] = message.get("result", {}).get("structuredContent") or {}
    if "error" in content:
        return Answer("error", type=content["error"]["type"], charged=content["error"]["charged"], text=text)
    if content.get("status") == "pending":
        return Answer("pending", text=text)
    if content.get("status") == "complete":
        return Answer("complete", tuple(image.get("url") or "" for image in content["images"]), text=text)
    return Answer("error", type="protocol", charged="unknown", text=text)
