"""What is tried with each client, and what must come of it."""

import json
import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from tests.compat.clients import NODE, Client
from tests.compat.gateway import Gateway, running_gateway
from tests.compat.hosts import running_host
from tests.compat.processes import ClientProcess, running_client
from tests.compat.scripted_model import ScriptedModel

_PICTURE = re.compile(r"http://127\.0\.0\.1:\d+/images/\w+\.png")
_TOOLS = {"generate_image", "list_models", "estimate_cost"}
_MODEL = "dall-e-3"
_DELAY = 1.4  # how much longer than the client waits a slow picture takes
_MAX_CALLS = 6
_SHOWN = 300


@dataclass(frozen=True)
class Trial:
    """One client's five steps, from an empty till on; it waits so many `seconds` for an answer before it gives up."""

    caller: ClientProcess | ScriptedModel
    gateway: Gateway
    seconds: float

    def run(self, *, is_slow_left_out: bool = False) -> list[str]:
        """Return the names of the steps; raises `AssertionError` at the first that fails."""
        steps = {"list": self._list, "estimate": self._estimate, "generate": self._generate, "error": self._error}
        if not is_slow_left_out:
            steps["slow"] = self._slow
        for name, step in steps.items():
            try:
                step()
            except (AssertionError, ConnectionError) as error:
                raise AssertionError(f"{name}: {error}") from error
        return list(steps)

    def _list(self) -> None:
        names = self.caller.tools()
        found = {tool for tool in _TOOLS for name in names if name.endswith(tool)}
        assert found == _TOOLS, f"found {names}"

    def _estimate(self) -> None:
        said = self.caller.call("estimate_cost", {"model": _MODEL})
        assert "0.042" in said, shorten(said, _SHOWN)
        self._expect_paid(0)

    def _generate(self) -> None:
        said = self._buy("A red fox")
        assert _PICTURE.search(said), shorten(said, _SHOWN)
        self._expect_paid(1)

    def _error(self) -> None:
        said = self._buy("A wrong model", "no-such-model")
        assert not _PICTURE.search(said), shorten(said, _SHOWN)
        if "There is no model" not in said:  # the client holds the call against the schema itself
            said = self._buy("A wrong size", size="256x256")
            assert "has no size '256x256'" in said, shorten(said, _SHOWN)
        self._expect_paid(1)

    def _slow(self) -> None:
        self.gateway.delay(self.seconds * _DELAY)
        begun = time.monotonic()
        said = self._buy("A slow snail")
        assert not _PICTURE.search(said), "the client waited for the picture"
        assert time.monotonic() > begun + self.seconds / 2, f"the client did not wait: {shorten(said, _SHOWN)}"
        for _ in range(_MAX_CALLS):
            said = self._buy("A slow snail")
            if _PICTURE.search(said):
                break
            time.sleep(1)
        assert _PICTURE.search(said), f"no picture in the end: {shorten(said, _SHOWN)}"
        self._expect_paid(2)

    def _buy(self, prompt: str, model: str = _MODEL, **more: str) -> str:
        return self.caller.call("generate_image", {"prompt": prompt, "model": model, **more})

    def _expect_paid(self, count: int) -> None:
        paid = self.gateway.paid
        assert len(paid) == count, f"{len(paid)} settlements instead of {count}: {'; '.join(paid)}"


def try_client(client: Client, command: Sequence[str], server: str, folder: Path, seconds: float) -> list[str]:
    """Return the steps that went well; raises `AssertionError`. The client gives up on a call after so many seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    own = {"HOME": "home", "XDG_STATE_HOME": "state", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache"}
    for name in own.values():
        (folder / name).mkdir(parents=True)
    path = os.pathsep.join((str(NODE.parent), os.environ["PATH"]))
    environment = {"PATH": path, **{variable: str(folder / name) for variable, name in own.items()}}
    with running_gateway(server, environment, folder / "gateway.txt") as gateway:
        start = {"command": server, "args": ["serve"], "env": {**environment, **gateway.settings}}
        if not client.driver:
            with running_host(client.name, command, environment, start, seconds) as model:
                return Trial(model, gateway, seconds).run()
        told = json.dumps({"start": start, "seconds": seconds, "option": client.option})
        with running_client([*command, told], environment) as process:
            return Trial(process, gateway, seconds).run(is_slow_left_out=client.ends_server)
