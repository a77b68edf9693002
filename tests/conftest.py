"""What the tests share: a sandbox on a real socket, and clients over every transport and protocol era."""

import itertools
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import hypothesis
import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client
from mcp.client.session import ElicitationFnT

from blockrun_image.catalog import Catalog
from blockrun_image_mcp.mcp_server.server import build_server
from blockrun_image_sandbox.server import running_sandbox
from tests.support.clients import MEMORY, Connect
from tests.support.processes import FOLDERS, backend_of, free_port, server_parameters
from tests.support.sandbox import Sandbox, contract
from tests.support.workers import kill_workers

# A busy machine is no fault, and each run tries the same examples; --hypothesis-profile=default tries others.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")

_RECURSION_LIMIT = sys.getrecursionlimit()


_LONG = {
    "test_packages.py": "packages",
    "test_other_gateways.py": "peers",
    "test_readme.py": "processes",
    "e2e": "processes",
    "faults": "processes",
    "test_catalogue_properties.py": "exhaustive",
    "test_enrichment_properties.py": "exhaustive",
    "test_made_up_prompts.py": "exhaustive",
    "test_prompt_tips.py": "exhaustive",
    "test_prompt_tips_mutations.py": "exhaustive",
    "test_quality_bar.py": "exhaustive",
    "test_hostile_pictures.py": "exhaustive",
}
"""The marks of files and folders whose tests last long or need more than Python."""


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
def a_ledger_of_its_own(monkeypatch: pytest.MonkeyPatch, state_folders: Iterator[Path]) -> Iterator[None]:
    """Keep what a test spends, and the lists of its gateways, out of the folders of whoever runs it.

    Workers that still finish something when the test ends are killed.
    """
    folder = next(state_folders)
    for variable, name in FOLDERS.items():
        (folder / name).mkdir(parents=True, mode=0o700)
        monkeypatch.setenv(variable, str(folder / name))
    yield
    kill_workers()


@pytest.fixture(scope="session")
def sandbox_origin(catalog: Catalog) -> Iterator[str]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(running_sandbox(catalog)) as origin:
        yield origin


@pytest.fixture
def sandbox(sandbox_origin: str) -> Iterator[Sandbox]:
    sandbox = Sandbox(sandbox_origin)
    yield sandbox
    sandbox.close()


@pytest.fixture(params=MEMORY)
def connect(request: pytest.FixtureRequest) -> Connect:
    """Return what connects a client to a server with the given settings, in one protocol era.

    The server is in this process; `over_every_transport` also runs a test with a process, spoken to over its pipes.
    """
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


@pytest.fixture
def unused_port() -> int:
    return free_port()
