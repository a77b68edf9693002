"""A client and a server on real pipes in this process: one sends and reads at will, the other can be looked into."""

import json
import os
import struct
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
from tests.support.fakes import GatedGateway

from blockrun_image.attempts import CallInfo, Order
from blockrun_image.callers import Caller
from blockrun_image.images import Image, ImageRequest
from blockrun_image.null_ledger import NullAttempt
from blockrun_image.ports import Begun, NeedsApproval, NothingFound, Reserved
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.front import Opening
from blockrun_image_mcp.mcp_server.server import build_server
from blockrun_image_mcp.mcp_server.stdio import serve_streams
from blockrun_image_mcp.settings import Settings
from blockrun_image_mcp.timings import Timings

if sys.platform != "win32":
    import fcntl
    import termios

MODERN: Mapping[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}

INITIALIZE: Mapping[str, Any] = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}

_PATIENCE_SECONDS = 20


class Wire:
    """The client's ends of the two pipes."""

    def __init__(self, stdin: int, stdout: int, scope: anyio.CancelScope) -> None:
        self._scope = scope
        self._stdin: int | None = stdin
        self._stdout: int | None = stdout
        self._unread = b""
        self._read_bytes = 0

    async def write(self, data: bytes) -> None:
        """Write bytes as they are, which may be no whole line."""
        assert self._stdin is not None
        rest = data
        while rest:
            rest = rest[await anyio.to_thread.run_sync(os.write, self._stdin, rest) :]

    def write_in_the_loop(self, data: bytes) -> None:
        """Write a little without giving up the event loop."""
        assert self._stdin is not None
        assert os.write(self._stdin, data) == len(data)

    async def request(self, id: object, method: str, *, modern: bool = False, **params: Any) -> None:
        """Send a request, without waiting for its answer."""
        meta = {"_meta": MODERN} if modern else {}
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": {**params, **meta}}
        await self.write(json.dumps(message).encode() + b"\n")

    async def notify(self, method: str, **params: Any) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        await self.write(json.dumps(message).encode() + b"\n")

    async def shake_hands(self, id: object = "hello") -> dict[str, Any]:
        """Do the handshake, and return its answer."""
        await self.request(id, "initialize", **INITIALIZE)
        answer = await self.answer(id)
        await self.notify("notifications/initialized")
        return answer

    async def read_line(self) -> bytes:
        """Return the next line, or nothing at the end."""
        assert self._stdout is not None
        with anyio.fail_after(_PATIENCE_SECONDS):
            while b"\n" not in self._unread:
                chunk = await anyio.to_thread.run_sync(os.read, self._stdout, 2**16, abandon_on_cancel=True)
                if not chunk:
                    break
                self._unread += chunk
                self._read_bytes += len(chunk)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    async def until_stuck(self) -> int:
        """Wait until the server can write no more, and return how many bytes it has written; not on Windows."""
        assert self._stdout is not None
        waiting = -1
        while waiting != (now := _readable(self._stdout)):
            waiting = now
            await anyio.sleep(0.3)
        return self._read_bytes + waiting

    async def receive(self) -> dict[str, Any]:
        return json.loads(await self.read_line())

    async def answer(self, id: object) -> dict[str, Any]:
        """Return the next answer with this id; what comes before it is dropped."""
        while True:
            message = await self.receive()
            if "method" not in message and message["id"] == id and type(message["id"]) is type(id):
                return message

    async def rest(self) -> list[dict[str, Any]]:
        """Return all that comes until the server closes its end."""
        lines: list[dict[str, Any]] = []
        while line := await self.read_line():
            lines.append(json.loads(line))
        return lines

    def interrupt(self) -> None:
        """End the server as a signal does."""
        self._scope.cancel()

    def close_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    def close_stdout(self) -> None:
        if self._stdout is not None:
            os.close(self._stdout)
            self._stdout = None


def _readable(descriptor: int) -> int:
    """Return how many bytes a pipe holds."""
    return struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))[0]


@asynccontextmanager
async def wired(backend: Backend, already_read: bytes = b"", *, blocking: bool = True) -> AsyncGenerator[Wire]:
    """Serve a client on two pipes; at the end of the block stdin closes, and the server must end."""
    its_stdin, client_out = os.pipe()
    client_in, its_stdout = os.pipe()
    if not blocking:  # as they are made; Python 3.11 has no such call on Windows
        for descriptor in (its_stdin, its_stdout):
            os.set_blocking(descriptor, False)
    scope = anyio.CancelScope()
    wire = Wire(client_out, client_in, scope)

    async def serve() -> None:
        try:
            with scope:
                await serve_streams(
                    build_server(backend), backend.timings, its_stdin, its_stdout, Opening(already_read)
                )
        finally:  # threads that still read or write then find the other side gone
            os.close(its_stdout)
            os.close(its_stdin)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        try:
            yield wire
        finally:
            wire.close_stdin()
            tasks.cancel_scope.deadline = anyio.current_time() + _PATIENCE_SECONDS
    wire.close_stdout()
    assert not tasks.cancel_scope.cancelled_caught


FOX: Mapping[str, Any] = {"prompt": "A fox", "model": "dall-e-3", "enrich": "off"}
LISTED = {"generate_image", "list_models", "estimate_cost"}
FILLER: Mapping[str, Any] = {"name": "list_models", "arguments": {}}
PIPE_FULL = 150
"""Answers of `list_models` that no pipe of this system holds."""


class Ledger:
    """Keeps who asked, and what became of each answer; with `asks`, the user must approve each call."""

    def __init__(self, *, asks: bool = False) -> None:
        self.callers: list[Caller | None] = []
        self.notes: list[str] = []
        self.noted_prompts: list[str] = []
        self._asks = asks

    async def begin(self, call: CallInfo, order: Order | None) -> Begun:
        await anyio.lowlevel.checkpoint()
        self.callers.append(call.caller)
        if order is None:
            return NothingFound()
        if self._asks and order.approval is None:
            return NeedsApproval(order.cost.max_usd)
        return Reserved(_NotedAttempt(order.request, self))

    async def charged_lately(self, requests: Sequence[ImageRequest]) -> Sequence[Decimal | None]:
        return [None] * len(requests)

    async def picture(self, id: str) -> Image | None:
        return None

    async def last_pictures(self, caller: Caller | None) -> Sequence[Image]:
        return ()


class _NotedAttempt(NullAttempt):
    def __init__(self, request: ImageRequest, ledger: Ledger) -> None:
        super().__init__(request)
        self._ledger = ledger

    async def mark_delivered(
        self,
        *,
        is_repeatable: bool = False,
        is_unknown: bool = False,
        mentioned_ids: Sequence[str] = (),
    ) -> None:
        await self._note("delivered repeatably" if is_repeatable else "delivered")

    async def mark_abandoned(self) -> None:
        await self._note("abandoned")

    async def _note(self, what: str) -> None:
        await anyio.lowlevel.checkpoint()
        self._ledger.notes.append(what)
        self._ledger.noted_prompts.append(self.request.prompt)


class Served:
    """A backend with adapters that a test looks into."""

    def __init__(self, *, is_open: bool = True, confirm_above_usd: str | None = None, **timings: float) -> None:
        self.gateway, self.ledger = GatedGateway(is_open=is_open), Ledger(asks=confirm_above_usd is not None)
        settings = Settings.read({"BLOCKRUN_IMAGE_CONFIRM_ABOVE_USD": confirm_above_usd or ""})
        self.backend = Backend(
            settings,
            gateway=self.gateway,
            ledger=self.ledger,
            timings=Timings.for_calls(settings, call_timeout_seconds=15, **timings),
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


async def generate_with_progress(wire: Wire, id: str, *, modern: bool) -> None:
    meta = {**(MODERN if modern else {}), "progressToken": 1}
    call = {"name": "generate_image", "arguments": dict(FOX), "_meta": meta}
    line = {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call}
    await wire.write(json.dumps(line).encode() + b"\n")


async def until_its_picture_waits_in_a_full_pipe(served: Served, wire: Wire, id: object) -> None:
    """Make a call whose answer cannot be written, because the client does not read what is before it."""
    await generate(wire, id)
    await served.until_asked()
    for filler in range(PIPE_FULL):
        await wire.request(filler, "tools/call", modern=True, **FILLER)
    await wire.until_stuck()
    served.gateway.gate.set()
    await anyio.sleep(0.2)
