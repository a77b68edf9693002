"""An internet on loopback: names that lead there, and servers there that seem to have other addresses."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from blockrun_image_mcp.gateway import fetch

PUBLIC = "93.184.216.34"

_look_up = socket.getaddrinfo
_peer_of = fetch.peer_of


class Internet:
    """What name servers answer, and which addresses connections seem to reach, as long as a test lasts.

    `answers` are the addresses of any name that ends in `.example`, one answer for each look-up. `peers` are the
    addresses that the connections seem to reach, one for each. The last of both stays. Without peers, nothing is
    pretended.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, authority: Path) -> None:
        self.answers: list[Sequence[str]] = [["127.0.0.1"]]
        self.peers: list[str] = [PUBLIC]
        self.asked: list[str] = []
        self._streams: list[object] = []  # so that no connection is closed because nobody refers to it
        monkeypatch.setattr(fetch, "peer_of", self._peer_of)
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))

    def _peer_of(self, stream: Any) -> str:
        self._streams.append(stream)
        return _next(self.peers) if self.peers else _peer_of(stream)

    def _look_up(self, host: str | bytes, port: int, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not name.endswith(".example"):
            return _look_up(host, port, *rest, **more)
        self.asked.append(name)
        return [each for address in _next(self.answers) for each in _look_up(address, port, *rest, **more)]


def _next(values: list[Any]) -> Any:
    return values.pop(0) if len(values) > 1 else values[0]
