"""The clients of `make compat` that the development tools bring along, on the server as it is here."""

import sys
from pathlib import Path

import pytest
from tests.compat.clients import CLIENTS, DRIVERS, Client
from tests.compat.trial import try_client

pytestmark = pytest.mark.compat


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.package == "mcp"], ids=lambda c: c.name)
def test_client_has_each_picture_that_is_paid_for(client: Client, tmp_path: Path) -> None:
    command = [sys.executable, str(DRIVERS / client.driver)]
    server = str(Path(sys.executable).with_name("blockrun-image-mcp"))
    assert "slow" in try_client(client, command, server, tmp_path / "run", seconds=2.5)
