"""Hosts that are tried: agents at the terminal, each told by a scripted model what to call."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from tests.compat.processes import running_client
from tests.compat.scripted_model import Anthropic, Api, Gemini, OpenAI, ScriptedModel, running_model

_PROMPT = "Make a picture of a red fox."
_NAME = "images"

Setup = tuple[list[str], dict[str, str]]
"""The arguments and the environment that a host is started with."""


def _claude_code(origin: str, folder: Path, server: Mapping[str, Any], seconds: float) -> Setup:
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": {_NAME: server}}))
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
        "model": "scripted",
        "model_provider": "scripted",
        "model_providers.scripted.name": "scripted",
        "model_providers.scripted.base_url": origin,
        "model_providers.scripted.env_key": "SCRIPTED_KEY",
        f"mcp_servers.{_NAME}.command": server["command"],
        f"mcp_servers.{_NAME}.args": server["args"],
        f"mcp_servers.{_NAME}.required": True,  # it is waited for
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
    trust = {"GEMINI_CLI_TRUST_WORKSPACE": "true"}
    return arguments, {"GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": origin, **trust}


_HOSTS: Mapping[str, tuple[type[Api], Callable[[str, Path, Mapping[str, Any], float], Setup]]] = {
    "claude-code": (Anthropic, _claude_code),
    "codex": (OpenAI, _codex),
    "gemini-cli": (Gemini, _gemini_cli),
}


@contextmanager
def running_host(
    name: str, command: Sequence[str], environment: Mapping[str, str], server: Mapping[str, Any], seconds: float
) -> Generator[ScriptedModel]:
    """Start a host that starts `server`, and waits so many seconds for an answer; return the model that leads it."""
    api, set_up = _HOSTS[name]
    with running_model(api()) as model:
        arguments, more = set_up(model.origin, Path(environment["HOME"]), server, seconds)
        with running_client([*command, *arguments], {**environment, **more}) as host:
            host.stdin.close()
            Thread(target=lambda: model.fail(host.gone(host.stdout.read())), daemon=True).start()
            try:
                yield model
            finally:
                model.end()
