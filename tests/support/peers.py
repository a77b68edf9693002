"""Other people's image gateways: each a process of its own, in an environment of its own that `make peers` installs."""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from tests.support.processes import free_port

KEY = "sk-of-a-peer-0123456789"
REFUSED = "a forbidden fox"
"""What aimock refuses to draw; LiteLLM refuses what the gateway behind it refuses."""

_PEERS = Path(__file__).parents[2] / "build" / "peers"
_MAX_START_SECONDS = 200


def install() -> None:
    """Install what is not yet there, or pinned anew."""
    done = subprocess.run(["make", "peers"], cwd=_PEERS.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Peer:
    """A gateway that takes one key; it starts by itself, and is killed at the end of `with`."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._log = folder / "log.txt"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._process:
            self._process.kill()

    def wait_until_it_answers(self) -> None:
        gives_up_at = time.monotonic() + _MAX_START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < gives_up_at, self._log.read_text()
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            answer = httpx2.get(f"{self.base_url}/models", headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
        except httpx2.TransportError:
            return False
        return answer.status_code == 200


def litellm(model: str, upstream: str, folder: Path, behind: str = "openai/dall-e-3") -> Peer:
    """Start LiteLLM, which passes what is asked of `model` on to a model of another gateway."""
    port = free_port()
    passed_on = {"model": behind, "api_base": upstream, "api_key": "brk_test_0123456789"}
    config = _written(
        folder / "litellm.json",
        {
            "model_list": [{"model_name": model, "litellm_params": passed_on}],
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
            "general_settings": {"master_key": KEY},
        },
    )
    command = [_PEERS / "litellm/bin/litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port)]
    return Peer(command, {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}, folder, port)


def aimock(model: str, picture: Mapping[str, str], folder: Path) -> Peer:
    """Start aimock, which answers to `model` with one picture, given in its own words."""
    port = free_port()
    error = {"message": "The moderators blocked it", "type": "user_error", "code": "moderation_blocked"}
    match = {"model": model, "endpoint": "image"}
    fixtures = _written(
        folder / "fixtures.json",
        {
            "fixtures": [
                {"match": {**match, "userMessage": REFUSED}, "response": {"error": error, "status": 400}},
                {"match": match, "response": {"image": picture}},
            ]
        },
    )
    config = _written(folder / "aimock.json", {"auth": {"apiKeys": [KEY]}, "llm": {"fixtures": str(fixtures)}})
    command = [_PEERS / "aimock/node_modules/.bin/aimock", "--config", config, "--port", str(port)]
    return Peer(command, {}, folder, port)


def _written(file: Path, content: Mapping[str, Any]) -> Path:
    file.write_text(json.dumps(content), encoding="utf-8")
    return file
