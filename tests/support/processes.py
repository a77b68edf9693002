"""What processes are started with, and what a server in this process is made of."""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from mcp import StdioServerParameters
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.settings import Settings
from blockrun_image_mcp.timings import Timings

FOLDERS = {
    "XDG_STATE_HOME": "state",
    "XDG_CACHE_HOME": "cache",
    "XDG_DATA_HOME": "data",
    "XDG_PICTURES_DIR": "pictures",
    "USERPROFILE": "home",
}
"""What the folders of a user go by, and those that a test has instead; the last one is Windows'."""
LEDGER_SPENDER = Path(__file__).with_name("ledger_spender.py")
QUICK_SERVER = Path(__file__).with_name("quick_server.py")

_KEPT = ("PATH", "SYSTEMROOT", *FOLDERS)  # without the second, a program on Windows can open no socket


def process_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the bare environment that hosts start servers in.

    What measures the tests' coverage is added, and models and prices are those that the tests know.
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_") or name in _KEPT}
    return {**kept, "BLOCKRUN_IMAGE_SPEC": str(CONTRACT_FILE), **settings}


def server_parameters(settings: Mapping[str, str], *arguments: str) -> StdioServerParameters:
    """Return how a client starts a server with these settings."""
    return StdioServerParameters(
        command=sys.executable, args=["-m", "blockrun_image_mcp", *arguments], env=process_environment(settings)
    )


def backend_of(settings: Mapping[str, str], **timings: float) -> Backend:
    """Return what a server works with, at timings of its own."""
    read = Settings.read({"BLOCKRUN_IMAGE_SPEC": str(CONTRACT_FILE), **settings})
    return Backend(read, timings=Timings.for_calls(read, **timings))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
