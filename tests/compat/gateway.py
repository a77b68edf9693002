"""The gateway that the pictures come from: the sandbox as a process apart, with its till."""

import json
import re
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2


class Gateway:
    """A running sandbox."""

    def __init__(self, origin: str) -> None:
        self._http = httpx2.Client(base_url=origin, trust_env=False)
        self.settings = {
            "BLOCKRUN_IMAGE_GATEWAY": f"{origin}/v1",
            "BLOCKRUN_IMAGE_CREDENTIAL": "brk_test_0123456789",
        }
        """Those of a server that buys there."""

    @property
    def paid(self) -> list[str]:
        """The prompts of the calls that were charged."""
        return [item["prompt"] for item in self._http.get("/sandbox/settlements").json()["items"]]

    def delay(self, seconds: float) -> None:
        """Let the next picture take so long."""
        self.script([{"delay_seconds": seconds}])

    def script(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Say what the next calls shall suffer."""
        self._http.post("/sandbox/faults", content=json.dumps(faults)).raise_for_status()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


@contextmanager
def running_gateway(server: str, environment: Mapping[str, str], log: Path) -> Generator[Gateway]:
    """Start the sandbox of an installed server, and end it."""
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [server, "sandbox", "--port", "0"], env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://[\d.]+:\d+", line)
            assert found, f"{line}{log.read_text()}"
            gateway = Gateway(found[0])
            yield gateway
            gateway.close()
        finally:
            process.terminate()
