"""What is tried with each client, and what must come of it."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tests.compat.gateway import Gateway

PICTURE = re.compile(r"http://127\.0\.0\.1:\d+/images/\w+\.png")

_TOOLS = {"generate_image", "list_models", "estimate_cost"}
_MODEL = "dall-e-3"
_DELAY = 1.6  # how much longer than the client waits a slow picture takes
_MOST_CALLS = 6
_SHOWN = 300


class Caller(Protocol):
    """A client that is connected to the server.

    Both raise `ClientGoneError` when it has ended, or says nothing for a long time.
    """

    def tools(self) -> Sequence[str]:
        """Return the names of the tools, as the client has them."""
        ...

    def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return what the client has from a call: the result's text, or the words of its error."""
        ...


class ClientGoneError(Exception):
    """A client has ended, or is stuck."""


class FailedError(Exception):
    """A step did not end as it must."""


class Trial:
    """One client's five steps, from an empty till on."""

    def __init__(self, caller: Caller, gateway: Gateway, seconds: float) -> None:
        self._caller = caller
        self._gateway = gateway
        self._seconds = seconds
        """How long the client waits for an answer before it gives up."""

    def run(self, *, is_slow_left_out: bool = False) -> list[str]:
        """Return the names of the steps; raises `FailedError` at the first that fails."""
        steps: dict[str, Callable[[], None]] = {
            "list": self._list,
            "estimate": self._estimate,
            "generate": self._generate,
            "error": self._error,
            "slow": self._slow,
        }
        if is_slow_left_out:
            del steps["slow"]
        for name, step in steps.items():
            try:
                step()
            except (AssertionError, ClientGoneError) as error:
                raise FailedError(f"{name}: {error}") from error
        return list(steps)

    def _list(self) -> None:
        names = self._caller.tools()
        found = {tool for tool in _TOOLS for name in names if name.endswith(tool)}
        assert found == _TOOLS, f"found {', '.join(names) or 'no tools'}"

    def _estimate(self) -> None:
        said = self._caller.call("estimate_cost", {"model": _MODEL})
        assert "0.042" in said, _short(said)
        assert self._gateway.paid == []

    def _generate(self) -> None:
        said = self._buy("A red fox")
        assert PICTURE.search(said), _short(said)
        self._expect_paid(1)

    def _error(self) -> None:
        said = self._buy("A wrong model", "no-such-model")
        assert not PICTURE.search(said), _short(said)
        if "There is no model" not in said:  # the client holds the call against the schema itself
            said = self._buy("A wrong size", size="256x256")
            assert "has no size '256x256'" in said, _short(said)
        self._expect_paid(1)

    def _slow(self) -> None:
        self._gateway.delay(self._seconds * _DELAY)
        said = self._buy("A slow snail")
        assert not PICTURE.search(said), "the client waited for the picture"
        for _ in range(_MOST_CALLS):
            begun = time.monotonic()
            said = self._buy("A slow snail")
            if PICTURE.search(said):
                break
            time.sleep(max(0.0, begun + 1 - time.monotonic()))
        assert PICTURE.search(said), f"no picture after {_MOST_CALLS + 1} calls: {_short(said)}"
        self._expect_paid(2)

    def _buy(self, prompt: str, model: str = _MODEL, **more: str) -> str:
        return self._caller.call("generate_image", {"prompt": prompt, "model": model, **more})

    def _expect_paid(self, count: int) -> None:
        paid = self._gateway.paid
        assert len(paid) == count, f"{len(paid)} settlements instead of {count}: {'; '.join(paid)}"


def _short(said: str) -> str:
    return repr(said if len(said) <= _SHOWN else f"{said[:_SHOWN]}...")
