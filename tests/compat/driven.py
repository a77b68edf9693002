"""A library that is tried: a driver, which is a process in the library's environment, spoken to in lines of JSON."""

import json
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

from tests.compat.trial import ClientGoneError

_LONGEST_SECONDS = 180


class DrivenClient:
    """A running driver."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests, self._answers = process.stdin, process.stdout
        self._log = log

    def tools(self) -> list[str]:
        """Return the names of the tools, as the client has them."""
        return self._ask({})["tools"]

    def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return what the client has from a call."""
        return self._ask({"tool": tool, "arguments": arguments})["said"]

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        line = ""
        with suppress(BrokenPipeError):
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
            line = self._answers.readline()
        if not line:
            raise ClientGoneError(last_words(self._log))
        return json.loads(line)


@contextmanager
def running_driver(
    command: Sequence[str], environment: Mapping[str, str], server: Mapping[str, Any]
) -> Generator[DrivenClient]:
    """Start a driver at home; `server` is what it starts, and how. One that is stuck is killed."""
    home = Path(environment["HOME"])
    log = home.with_name("client.txt")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, json.dumps(server)],
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    timer = Timer(_LONGEST_SECONDS, process.kill)
    timer.start()
    with process:
        yield DrivenClient(process, log)
        process.communicate()
    timer.cancel()


def last_words(log: Path) -> str:
    """Return the last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"the client ended: {lines[-1] if lines else 'it said nothing'}"
