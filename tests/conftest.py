"""What the tests share: a sandbox on a real socket, and clients over every transport and protocol era."""

import itertools
import os
import socket
import stat
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client, StdioServerParameters
from mcp.client.session import ElicitationFnT

from blockrun_image.catalog import Catalog
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.mcp_server.server import build_server
from blockrun_image_mcp.settings import Settings
from blockrun_image_mcp.timings import Timings
from blockrun_image_sandbox.server import running_sandbox

CONTRACT_FILE = Path(__file__).parent / "openapi.json"
"""The API's description as the tests know it: models and prices of the packaged one may change at any time."""

_RECURSION_LIMIT = sys.getrecursionlimit()
_FOLDERS = {"XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache", "USERPROFILE": "home"}
"""What the folders of a user go by, and those that a test has instead; the last one is Windows'."""
_KEPT = ("PATH", "SYSTEMROOT", *_FOLDERS)  # without the second, a program on Windows can open no socket

Connect = Callable[..., AbstractAsyncContextManager[Client]]


def only_on_posix(why: str) -> pytest.MarkDecorator:
    """Leave a test out on Windows, which lacks what it is about."""
    return pytest.mark.skipif(sys.platform == "win32", reason=f"not on Windows: {why}")


def only_on_linux(why: str) -> pytest.MarkDecorator:
    """Leave a test out on all systems but Linux, which alone has what it is about."""
    return pytest.mark.skipif(sys.platform != "linux", reason=f"only on Linux: {why}")


def has_mode(path: Path, mode: int) -> bool:
    """Return whether a file or folder has this mode; all have on Windows, where modes protect nothing."""
    return sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == mode


def contract() -> Catalog:
    """Return the catalogue that the tests know, as if it were the packaged one."""
    catalog = Catalog.load(CONTRACT_FILE)
    return replace(catalog, spec=replace(catalog.spec, source="the built-in openapi.json", has_own_models=False))


_LONG = {
    "test_packages.py": "packages",
    "test_other_gateways.py": "peers",
    "test_readme.py": "processes",
    "e2e": "processes",
    "faults": "processes",
}
"""The marks of files and folders whose tests last long or need more than Python; `make test` leaves them out."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = _LONG.get(item.path.name) or _LONG.get(item.path.parent.name)
        if mark:
            item.add_marker(mark)


def pytest_runtest_setup() -> None:
    """Undo what a library below eth_account does when a test imports it: nested JSON would end the whole process."""
    sys.setrecursionlimit(_RECURSION_LIMIT)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return contract()


@pytest.fixture(scope="session")
def state_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return folders that do not exist yet; pytest would look through all that it has made to number the next one."""
    folder = tmp_path_factory.mktemp("states")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def a_ledger_of_its_own(monkeypatch: pytest.MonkeyPatch, state_folders: Iterator[Path]) -> None:
    """Keep what a test spends, and the lists of its gateways, out of the folders of whoever runs it."""
    folder = next(state_folders)
    for variable, name in _FOLDERS.items():
        (folder / name).mkdir(parents=True, mode=0o700)
        monkeypatch.setenv(variable, str(folder / name))


class Sandbox:
    """A running sandbox, as one test sees it: with a till and a count of requests that start at zero."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.base_url = f"{origin}/v1"
        self.api_url = f"{origin}/api"
        self._http = httpx2.Client(base_url=origin, trust_env=False)
        self.script([])
        self.change_models({"reset": True})
        self._before = self._statement()

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a server that uses this sandbox as its gateway."""
        return {"BLOCKRUN_IMAGE_GATEWAY": self.base_url, "BLOCKRUN_API_KEY": "brk_test_0123456789"}

    def script(self, faults: Sequence[Mapping[str, Any]]) -> None:
        self._http.post("/sandbox/faults", json=list(faults)).raise_for_status()

    def change_models(self, *changes: Mapping[str, Any]) -> None:
        """Change what is listed, and so what can be asked for, until the test ends."""
        self._http.post("/sandbox/models", json=list(changes)).raise_for_status()

    @property
    def posts(self) -> int:
        """How many generation requests have come in."""
        return self._statement()["posts"] - self._before["posts"]

    @property
    def charges(self) -> int:
        """How many calls were charged."""
        return self._statement()["count"] - self._before["count"]

    @property
    def charged_micro_usd(self) -> int:
        return self._statement()["total_micro_usd"] - self._before["total_micro_usd"]

    @property
    def quotes(self) -> int:
        """How many generation requests have asked for a price."""
        return self._statement()["quotes"] - self._before["quotes"]

    @property
    def paid_posts(self) -> int:
        """How many generation requests have come in with a key or a payment."""
        return self._statement()["paid_posts"] - self._before["paid_posts"]

    @property
    def lists(self) -> int:
        """How many requests for the list of models have come in."""
        return self._statement()["lists"] - self._before["lists"]

    @property
    def unchanged_lists(self) -> int:
        """How many of these were told that the list is still the same."""
        return self._statement()["unchanged_lists"] - self._before["unchanged_lists"]

    @property
    def settlements(self) -> list[dict[str, Any]]:
        """What was charged, in order."""
        return self._statement()["items"][-self.charges :] if self.charges else []

    @property
    def last_settlement(self) -> dict[str, Any]:
        return self._statement()["items"][-1]

    @property
    def idempotency_keys(self) -> list[str]:
        """The key of each generation request."""
        return self._statement()["idempotency_keys"][-self.posts :]

    @property
    def prompts(self) -> list[str]:
        """The prompts of the calls that were charged."""
        return [item["prompt"] for item in self._statement()["items"]]

    def get(self, url: str) -> httpx2.Response:
        return self._http.get(url)

    def close(self) -> None:
        self._http.close()

    def _statement(self) -> dict[str, Any]:
        return self._http.get("/sandbox/settlements").json()


@pytest.fixture(scope="session")
def sandbox_origin(catalog: Catalog) -> Iterator[str]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(running_sandbox(catalog)) as origin:
        yield origin


@pytest.fixture
def sandbox(sandbox_origin: str) -> Iterator[Sandbox]:
    sandbox = Sandbox(sandbox_origin)
    yield sandbox
    sandbox.close()


def process_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the bare environment that hosts start servers in, with what measures the tests' coverage.

    Models and prices are those that the tests know.
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_") or name in _KEPT}
    return {**kept, "BLOCKRUN_IMAGE_SPEC": str(CONTRACT_FILE), **settings}


def server_parameters(settings: Mapping[str, str], *arguments: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable, args=["-m", "blockrun_image_mcp", *arguments], env=process_environment(settings)
    )


def backend_of(settings: Mapping[str, str], **timings: float) -> Backend:
    """Return what a server with these settings works with; `timings` are those that a test cannot wait for."""
    read = Settings.read({"BLOCKRUN_IMAGE_SPEC": str(CONTRACT_FILE), **settings})
    return Backend(read, timings=Timings.for_calls(read, **timings))


@pytest.fixture(params=["memory-modern", "memory-handshake", "stdio-modern", "stdio-handshake"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Return what connects a client to a server with the given settings, over one transport and protocol era."""
    transport, _, era = str(request.param).partition("-")
    mode: Literal["auto", "legacy"] = "auto" if era == "modern" else "legacy"

    @asynccontextmanager
    async def connected(settings: Mapping[str, str], answer: ElicitationFnT | None = None) -> AsyncGenerator[Client]:
        if transport == "stdio":
            async with Client(server_parameters(settings), mode=mode, elicitation_callback=answer) as client:
                yield client
        else:
            server = build_server(backend_of(settings))
            async with Client(server, mode=mode, elicitation_callback=answer) as client:
                yield client

    return connected


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def unused_port() -> int:
    return free_port()
