"""The clients of `make compat` that the development tools bring along, on the server as it is here."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.compat.clients import CLIENTS, DRIVERS, Client
from tests.compat.trial import try_client
from tests.support.platforms import only_on_posix

pytestmark = [pytest.mark.compat, only_on_posix("groups of processes, which end together")]


def test_clients_receive_every_paid_picture_in_both_protocol_eras(tmp_path: Path) -> None:
    def tried(client: Client) -> list[str]:
        command = [sys.executable, str(DRIVERS / client.driver)]
        server = str(Path(sys.executable).with_name("blockrun-image-mcp"))
        return try_client(client, command, server, tmp_path / client.name, seconds=3)

    clients = [client for client in CLIENTS if client.package == "mcp"]
    assert [client.option for client in clients] == ["auto", "legacy"]
    with ThreadPoolExecutor() as pool:  # they wait most of the time
        outcomes = pool.map(tried, clients)
        assert all("slow" in steps for steps in outcomes)
