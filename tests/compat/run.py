"""One client's run: folders of its own, the gateway, the client, and the trial."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.compat.clients import Client
from tests.compat.driven import running_driver
from tests.compat.environments import NODE
from tests.compat.gateway import running_gateway
from tests.compat.hosts import running_host
from tests.compat.trial import Trial


def run_client(client: Client, command: Sequence[str], server: str, folder: Path, seconds: float) -> list[str]:
    """Return the steps that went well; raises `FailedError`. The client gives up on a call after so many seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    own = {"HOME": "home", "XDG_STATE_HOME": "state", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache"}
    for name in own.values():
        (folder / name).mkdir(parents=True)
    path = os.pathsep.join((str(NODE.parent), os.environ["PATH"]))
    environment = {"PATH": path, **{variable: str(folder / name) for variable, name in own.items()}}
    with running_gateway(server, environment, folder / "gateway.txt") as gateway:
        start = {"command": server, "args": ["serve"], "env": {**environment, **gateway.settings}}
        if client.driver:
            running = running_driver(command, environment, {**start, "seconds": seconds, "option": client.option})
        else:
            running = running_host(client.name, command, environment, start, seconds)
        with running as caller:
            return Trial(caller, gateway, seconds).run(is_slow_left_out=client.ends_server)
