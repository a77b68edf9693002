"""A library that is tried: a driver, which is a process in the library's environment, spoken to in lines of JSON."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Self

from tests.compat.trial import ClientGoneError

_LONGEST_SECONDS = 180


class DrivenClient:
    """A driver that runs within `with`; `server` is what it starts, and how."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], server: Mapping[str, Any], log: Path
    ) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [*command, json.dumps(server)],
                cwd=log.parent,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self._timer = Timer(_LONGEST_SECONDS, self._process.kill)
        self._timer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        with self._process:
            self._process.stdin.close()
            self._process.wait()
        self._timer.cancel()

    def tools(self) -> list[str]:
        """Return the names of the tools, as the client has them."""
        return self._ask({})["tools"]

    def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return what the client has from a call."""
        return self._ask({"tool": tool, "arguments": arguments})["said"]

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ClientGoneError(last_words(self._log))
        return json.loads(line)


def last_words(log: Path) -> str:
    """Return the last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"the client ended: {lines[-1] if lines else 'it said nothing'}"
