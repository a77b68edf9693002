"""The gateway that the pictures come from: the sandbox as a process apart, with its till."""

import re
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2


@dataclass(frozen=True)
class Gateway:
    """A running sandbox."""

    origin: str

    @property
    def settings(self) -> dict[str, str]:
        """Those of a server that buys there."""
        return {"BLOCKRUN_IMAGE_GATEWAY": f"{self.origin}/v1", "BLOCKRUN_IMAGE_CREDENTIAL": "brk_test_0123456789"}

    @property
    def paid(self) -> list[str]:
        """The prompts of the calls that were charged."""
        statement = httpx2.get(f"{self.origin}/sandbox/settlements", trust_env=False)
        return [item["prompt"] for item in statement.json()["items"]]

    def delay(self, seconds: float) -> None:
        """Let the next picture take so long."""
        httpx2.post(f"{self.origin}/sandbox/faults", json=[{"delay_seconds": seconds}], trust_env=False)


@contextmanager
def running_gateway(server: str, environment: Mapping[str, str], log: Path) -> Generator[Gateway]:
    """Start the sandbox of an installed server, and end it."""
    command = [server, "sandbox", "--port", "0"]
    with (
        log.open("wb") as stderr,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
            assert found, log.read_text()
            yield Gateway(found[0])
        finally:
            process.terminate()
