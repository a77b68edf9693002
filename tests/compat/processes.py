"""Clients as processes. Those that are drivers are spoken to in lines of JSON."""

import json
import os
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

_MAX_SECONDS = 180


class ClientProcess:
    """A running client; what it says on stderr is kept in a file.

    To ask one that has ended, by itself or because it was stuck, is a `ConnectionError`.
    """

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin, self.stdout = process.stdin, process.stdout
        self._log = log

    def gone(self, said: str = "") -> ConnectionError:
        """Return the error that tells its last words."""
        lines = [line.strip() for line in f"{said}\n{self._log.read_text(errors='replace')}".splitlines()]
        told = [line for line in lines if "rror: " in line] or [line for line in lines if line] or ["it said nothing"]
        return ConnectionError(f"the client ended: {told[-1]}")

    def tools(self) -> list[str]:
        """Return the names of the tools, as the client has them."""
        return self._ask({})

    def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return what the client has from a call: the result's text, or the words of its error."""
        return self._ask({"tool": tool, "arguments": arguments})

    def _ask(self, request: Mapping[str, Any]) -> Any:
        line = ""
        with suppress(BrokenPipeError):
            self.stdin.write(json.dumps(request) + "\n")
            self.stdin.flush()
            line = self.stdout.readline()
        if not line:
            raise self.gone()
        return json.loads(line)


@contextmanager
def running_client(command: Sequence[str], environment: Mapping[str, str]) -> Generator[ClientProcess]:
    """Start a client at home, and wait for its end; one that takes longer than three minutes in all is killed."""
    home = environment["HOME"]
    log = Path(home).with_name("client.txt")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    timer = Timer(_MAX_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    client = ClientProcess(process, log)
    with process:
        try:
            yield client
        finally:
            with suppress(BrokenPipeError):
                client.stdin.close()
            process.wait()
            timer.cancel()
