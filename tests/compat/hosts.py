"""Hosts that are tried: agents at the terminal, each told by a scripted model what to call."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any, TypeVar

from tests.compat.driven import last_words
from tests.compat.scripted_model import Anthropic, Api, Gemini, OpenAI, ScriptedModel, running_model
from tests.compat.trial import ClientGoneError

_LONGEST_SECONDS = 60
_END_SECONDS = 15
_PROMPT = "Make a picture of a red fox."
_NAME = "images"

T = TypeVar("T")


Setup = tuple[list[str], dict[str, str]]
"""The arguments and the environment that a host is started with."""


def _claude_code(origin: str, folder: Path, server: Mapping[str, Any], seconds: float) -> Setup:
    config = {"mcpServers": {_NAME: server}}
    (folder / "mcp.json").write_text(json.dumps(config))
    allowed = [f"mcp__{_NAME}__{tool}" for tool in ("generate_image", "list_models", "estimate_cost")]
    arguments = ["-p", _PROMPT, "--mcp-config", "mcp.json", "--strict-mcp-config", "--allowedTools", ",".join(allowed)]
    return arguments, {
        "ANTHROPIC_BASE_URL": origin,
        "ANTHROPIC_API_KEY": "none",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ENABLE_TOOL_SEARCH": "false",
        "MCP_TOOL_TIMEOUT": str(round(seconds * 1000)),
    }


def _codex(origin: str, folder: Path, server: Mapping[str, Any], seconds: float) -> Setup:
    settings = {
        "model": "gpt-5",
        "model_provider": "scripted",
        "model_providers.scripted.name": "scripted",
        "model_providers.scripted.base_url": origin,
        "model_providers.scripted.env_key": "SCRIPTED_KEY",
        f"mcp_servers.{_NAME}.command": server["command"],
        f"mcp_servers.{_NAME}.args": server["args"],
        f"mcp_servers.{_NAME}.required": True,
        f"mcp_servers.{_NAME}.tool_timeout_sec": seconds,
        **{f"mcp_servers.{_NAME}.env.{name}": value for name, value in server["env"].items()},
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={json.dumps(value)}")]
    arguments = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", *options, _PROMPT]
    return arguments, {"SCRIPTED_KEY": "none"}


def _gemini_cli(origin: str, folder: Path, server: Mapping[str, Any], seconds: float) -> Setup:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False},
        "mcpServers": {_NAME: {**server, "timeout": round(seconds * 1000)}},
    }
    (folder / ".gemini").mkdir()
    (folder / ".gemini" / "settings.json").write_text(json.dumps(settings))
    arguments = ["-m", "gemini-2.5-pro", "--approval-mode", "yolo", "-p", _PROMPT]
    return arguments, {
        "GEMINI_API_KEY": "none",
        "GOOGLE_GEMINI_BASE_URL": origin,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }


_HOSTS: Mapping[str, tuple[type[Api], Callable[[str, Path, Mapping[str, Any], float], Setup]]] = {
    "claude-code": (Anthropic, _claude_code),
    "codex": (OpenAI, _codex),
    "gemini-cli": (Gemini, _gemini_cli),
}


@dataclass(frozen=True)
class HostedClient:
    """A running host, and the model that tells it what to call."""

    model: ScriptedModel
    process: subprocess.Popen[bytes]
    log: Path

    def tools(self) -> list[str]:
        """Return the names of the tools that the model is offered."""
        return self._wait_for(self.model.offers)

    def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return what the model is told of a call."""
        self.model.call(tool, arguments)
        return self._wait_for(self.model.answers)

    def _wait_for(self, queue: Queue[T]) -> T:
        gives_up_at = time.monotonic() + _LONGEST_SECONDS
        while time.monotonic() < gives_up_at:
            with suppress(Empty):
                return queue.get(timeout=0.5)
            if self.process.poll() is not None:
                break
        raise ClientGoneError(last_words(self.log))


@contextmanager
def running_host(
    name: str, command: Sequence[str], environment: Mapping[str, str], server: Mapping[str, Any], seconds: float
) -> Generator[HostedClient]:
    """Start a host in its home, where it starts `server`; it gives up on a call after so many seconds."""
    home = Path(environment["HOME"])
    log = home.with_name("client.txt")
    api, set_up = _HOSTS[name]
    with running_model(api()) as model, log.open("wb") as output:
        arguments, more = set_up(model.origin, home, server, seconds)
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=home,
            env={**environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with process:
            try:
                yield HostedClient(model, process, log)
            finally:
                model.end()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_END_SECONDS)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
