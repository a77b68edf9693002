"""A client of the server on real pipes in this process, which sends lines as it likes and reads when it likes."""

import fcntl
import json
import os
import struct
import termios
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread

from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.mcp_server.server import build_server
from blockrun_image_mcp.mcp_server.stdio import serve_streams

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
        """Wait until the server can write no more, and return how many bytes it has written."""
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
async def wired(backend: Backend, read_before: bytes = b"", *, blocking: bool = True) -> AsyncGenerator[Wire]:
    """Serve a client on two pipes; at the end of the block stdin closes, and the server must end."""
    its_stdin, client_out = os.pipe()
    client_in, its_stdout = os.pipe()
    for descriptor in (its_stdin, its_stdout):
        os.set_blocking(descriptor, blocking)
    scope = anyio.CancelScope()
    wire = Wire(client_out, client_in, scope)

    async def serve() -> None:
        try:
            with scope:
                await serve_streams(build_server(backend), backend.timings, its_stdin, its_stdout, read_before)
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
