"""Servers as hosts run them: processes that are spoken to line by line."""

import json
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.clients import FOX
from tests.support.commands import images
from tests.support.processes import process_environment
from tests.support.sandbox import Sandbox
from tests.support.workers import OFF, wait_for_workers

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Server:
    """A server process, spoken to line by line; `program` is what Python runs."""

    def __init__(
        self,
        settings: Mapping[str, str],
        *arguments: str,
        program: Sequence[str] = ("-m", "blockrun_image_mcp"),
        cwd: Path | None = None,
        start_new_session: bool = False,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=process_environment(settings),
            cwd=cwd,
            start_new_session=start_new_session,
        )
        self.capabilities: Mapping[str, Any] = {}
        self._id = 0

    def send(self, method: str, **params: Any) -> int:
        """Write a request, and return its id."""
        self._id += 1
        capabilities = {"io.modelcontextprotocol/clientCapabilities": self.capabilities}
        meta = {**META, **capabilities, "progressToken": self._id}
        self._write({"jsonrpc": "2.0", "id": self._id, "method": method, "params": {**params, "_meta": meta}})
        return self._id

    def notify(self, method: str, **params: Any) -> None:
        """Write a notification."""
        self._write({"jsonrpc": "2.0", "method": method, "params": {**params, "_meta": META}})

    def receive(self) -> dict[str, Any]:
        """Return the next message."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the answer to a request; drop what comes before."""
        wanted = self.send(method, **params)
        while (answer := self.receive()).get("id") != wanted:
            pass
        return answer

    def generate(self, **more: Any) -> int:
        """Write a call that makes a picture, and return its id."""
        return self.send(
            "tools/call", name="generate_image", arguments={"prompt": "A fox", "model": "dall-e-2", **more}
        )

    def close(self) -> tuple[str, str]:
        """Return the rest of stdout and stderr, after closing stdin; what its worker has logged is in the latter."""
        out, err = self.process.communicate(timeout=30)
        return out.decode(), err.decode() + wait_for_workers()

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()


@contextmanager
def running(
    settings: Mapping[str, str],
    *arguments: str,
    program: Sequence[str] = ("-m", "blockrun_image_mcp"),
    cwd: Path | None = None,
    start_new_session: bool = False,
) -> Generator[Server]:
    """Run a server, and kill it at the end."""
    server = Server(settings, *arguments, program=program, cwd=cwd, start_new_session=start_new_session)
    with server.process:
        yield server
        server.process.kill()


def wait_until(sandbox: Sandbox, posts: int) -> None:
    """Wait until so many generation requests have come in."""
    while sandbox.posts < posts:
        pass


def answered(server: Server, **arguments: Any) -> dict[str, Any]:
    """Return the result of a call that makes a picture."""
    return server.request("tools/call", name="generate_image", arguments={**FOX, **arguments})["result"]


def answers_to(server: Server, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return the results of these calls, in their order."""
    results: dict[int, dict[str, Any]] = {}
    while len(results) < len(ids):
        message = server.receive()
        if message.get("id") in ids:
            results[message["id"]] = message["result"]
    return [results[id] for id in ids]


def started(server: Server, sandbox: Sandbox, **arguments: Any) -> int:
    """Return the id of a call whose request has come in."""
    posts = sandbox.posts
    id = server.send("tools/call", name="generate_image", arguments={**FOX, **arguments})
    wait_until(sandbox, posts=posts + 1)
    return id


def started_job(server: Server, **arguments: Any) -> None:
    """Make a call, and wait until it is a job."""
    server.send("tools/call", name="generate_image", arguments={**FOX, **arguments})
    while "drawing" not in json.dumps(server.receive()):
        pass


def left_picture(sandbox: Sandbox, **arguments: Any) -> str:
    """Return the URL of a paid picture that nobody received."""
    sandbox.script([{"delay_seconds": 0.3}])
    with running(sandbox.environment) as server:
        posts = sandbox.posts
        id = server.send("tools/call", name="generate_image", arguments={**FOX, **arguments})
        wait_until(sandbox, posts + 1)
        server.notify("notifications/cancelled", requestId=id)
        server.close()
    return images()[0]["images"][0]


def left_job(sandbox: Sandbox, *faults: Mapping[str, Any]) -> None:
    """Run a server that leaves a job, or one for each fault."""
    sandbox.script([{"slow": True, **fault} for fault in faults or ({},)])
    with running(sandbox.environment | OFF) as server:
        started_job(server)
        for number in range(1, len(faults)):
            started_job(server, n=number + 1)
        server.close()
