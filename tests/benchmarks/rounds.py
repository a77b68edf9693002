"""What is measured in rounds: starting, and calling."""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tests.benchmarks.process import ServerProcess, Usage
from tests.benchmarks.report import Figure
from tests.benchmarks.subjects import KEY, Subjects

A = TypeVar("A")
B = TypeVar("B")

PICTURE = {"model": "dall-e-3", "prompt": "A red fox in the snow", "size": "1024x1024", "n": 1}

_TIMED = {**PICTURE, "model": "nano-banana-pro"}  # whose requests a minute have no limit, so that no call has to wait

_BOUNDS = {"cpu_ms": 1.10, "rss_mb": 1.15}


def interleaved(one: Callable[[], A], other: Callable[[], B], rounds: int) -> list[tuple[A, B]]:
    """Do both in every round, in an order that swaps; a first round that warms up is left out."""
    taken: list[tuple[A, B]] = []
    for number in range(rounds + 1):
        if number % 2:
            taken.append((one(), other()))
        else:
            second = other()
            taken.append((one(), second))
    return taken[1:]


def start_figures(subjects: Subjects, rounds: int) -> list[Figure]:
    """Measure both servers from being spawned to having answered `tools/list`, and ours through its first call."""
    taken = interleaved(lambda: _start_and_call(subjects), lambda: _start(subjects), rounds)
    started = [
        Figure(
            f"start_{field.name}",
            [getattr(ours, field.name) for (ours, _), _ in taken],
            [getattr(floor, field.name) for _, floor in taken],
            most=_BOUNDS.get(field.name),
        )
        for field in fields(Usage)
    ]
    return [*started, Figure("first_call_overhead_ms", [overhead for (_, overhead), _ in taken])]


def call_figures(subjects: Subjects, server: ServerProcess, calls: int) -> list[Figure]:
    """Measure what a `generate_image` call takes more than the same request made directly in the same round."""
    taken = interleaved(lambda: _call_ms(server), lambda: _upstream_ms(subjects), calls)
    return [
        Figure("call_overhead_ms", [call - upstream for call, upstream in taken], most=10),
        Figure("upstream_ms", [upstream for _, upstream in taken]),
    ]


def generate(server: ServerProcess, picture: Mapping[str, Any]) -> bytes:
    """Ask the server for pictures, and return the line that holds the result."""
    return server.request("tools/call", name="generate_image", arguments=dict(picture))


def post(gateway: str, picture: Mapping[str, Any]) -> None:
    """Ask the gateway for pictures, over a new connection as our server does."""
    url = urlsplit(gateway)
    connection = http.client.HTTPConnection(url.netloc)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    connection.request("POST", f"{url.path}/images/generations", json.dumps(picture), headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"the sandbox answered {response.status}")


def _start_and_call(subjects: Subjects) -> tuple[Usage, float]:
    with subjects.ours() as server:
        server.request("tools/list")
        usage = server.usage()
        upstream = _upstream_ms(subjects)
        return usage, _call_ms(server) - upstream


def _start(subjects: Subjects) -> Usage:
    with subjects.floor() as server:
        server.request("tools/list")
        return server.usage()


def _call_ms(server: ServerProcess) -> float:
    return _milliseconds(lambda: generate(server, _TIMED))


def _upstream_ms(subjects: Subjects) -> float:
    return _milliseconds(lambda: post(subjects.gateway, _TIMED))


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3
