"""What is measured: our server, the floor's and the sandbox, each as a process of its own."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.process import ServerProcess

KEY = "brk_bench"

_FLOOR = Path(__file__).with_name("floor_server.py")


@dataclass(frozen=True)
class Subjects:
    """The interpreters of our server and of the floor's, the sandbox that ours calls, and the folder of its ledger."""

    python: str
    floor_python: str
    gateway: str
    state: str

    def ours(self) -> ServerProcess:
        """Start our server, by its console script as hosts do."""
        return self._start(self.python, _command(self.python))

    def floor(self) -> ServerProcess:
        """Start the floor's server, in the same environment variables."""
        return self._start(self.floor_python, str(_FLOOR))

    def _start(self, python: str, script: str) -> ServerProcess:
        spending = {"XDG_STATE_HOME": self.state, "BLOCKRUN_IMAGE_DAILY_BUDGET_USD": "1000000"}
        gateway = {"BLOCKRUN_IMAGE_GATEWAY": self.gateway, "BLOCKRUN_API_KEY": KEY}
        return ServerProcess([python, script], spending | gateway)


@contextmanager
def opened(python: str, floor_python: str) -> Generator[Subjects]:
    """Start the sandbox, and return the subjects around it."""
    with (
        TemporaryDirectory() as state,
        ServerProcess([python, _command(python), "sandbox", "--port", "0"], {}) as sandbox,
    ):
        said = re.search(r"http://\S+", sandbox.read_line().decode())
        assert said is not None
        yield Subjects(python, floor_python, said[0], state)


def _command(python: str) -> str:
    return str(Path(python).with_name("blockrun-image-mcp"))
