"""A server process, spoken to in raw lines over its pipes so that the client adds nothing to what is measured.

It speaks the modern protocol era, in which the first line may be the request. Linux only: it reads `/proc`.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


_END_SECONDS = 5


@dataclass(frozen=True)
class Usage:
    """What a process has used since it was spawned."""

    wall_ms: float
    cpu_ms: float
    rss_mb: float
    uss_mb: float
    peak_rss_mb: float


class ServerProcess:
    """A running server, whose stdin closes at the end of `with`; one that does not end is killed.

    A server that is killed with its answer on the way cannot note the delivery, and the next one would wait for it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], stderr: IO[bytes] | None = None) -> None:
        self._started = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment
        )
        self._id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        with self._process:
            self._process.stdin.close()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def request(self, method: str, **params: Any) -> bytes:
        """Send a request and return the line that answers it."""
        assert self._process.stdin is not None
        self._id += 1
        meta = {**_META, "progressToken": self._id}
        message = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": {**params, "_meta": meta}}
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        while json.loads(line := self.read_line()).get("id") != self._id:
            pass
        return line

    def read_line(self) -> bytes:
        """Return the next line without its end; raises `RuntimeError` when the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with status {self._process.wait()}")
        return line.rstrip(b"\n")

    def usage(self) -> Usage:
        """Return what it has used up to now."""
        wall = time.perf_counter() - self._started
        cpu = _cpu_seconds(self._process.pid)
        memory = _kilobytes(self._process.pid, "smaps_rollup")
        return Usage(
            wall_ms=wall * 1e3,
            cpu_ms=cpu * 1e3,
            rss_mb=_megabytes(memory["Rss"]),
            uss_mb=_megabytes(memory["Private_Clean"] + memory["Private_Dirty"]),
            peak_rss_mb=_megabytes(_kilobytes(self._process.pid, "status")["VmHWM"]),
        )


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, and of the children that it has waited for.

    Its own is read from its CPU-time clock: user and system time in nanoseconds, of threads that have ended too, and
    without killing it, which would add the time that the kernel takes to clear its memory away. `schedstat` leaves out
    the threads that have ended; the ticks of `stat` are 10 ms long, which is enough to see that there were no children.
    """
    clock = (~pid << 3) | 2  # as glibc's clock_getcpuclockid has it: CPUCLOCK_SCHED of a process
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    children = int(fields[13]) + int(fields[14])
    return time.clock_gettime(clock) + children / os.sysconf("SC_CLK_TCK")


def _kilobytes(pid: int, file: str) -> dict[str, int]:
    text = Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8")
    return {name: int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


def _megabytes(kilobytes: int) -> float:
    return kilobytes * 1024 / 1e6
