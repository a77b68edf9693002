"""Starts the server, loading no more than a start needs."""

import gc
from collections.abc import Generator, Mapping
from contextlib import contextmanager

import anyio

from blockrun_image.errors import ImageError
from blockrun_image_mcp.startup import exit_with, load_backend


def serve(flags: Mapping[str, str | None]) -> None:
    """Serve MCP on stdin and stdout with the settings of the environment and the flags."""
    try:
        with _without_collection():
            from blockrun_image_mcp.mcp_server.server import build_server  # noqa: PLC0415 - mcp is loaded without collection
            from blockrun_image_mcp.mcp_server.stdio import serve_stdio  # noqa: PLC0415 - as above

            backend = load_backend(flags, answers_in_time=True)
            server = build_server(backend)
    except ImageError as error:
        exit_with(error)
    anyio.run(serve_stdio, server, backend.timings)


@contextmanager
def _without_collection() -> Generator[None]:
    """Load without garbage collection."""
    gc.disable()  # what is imported is never garbage, and searching it takes a tenth of the start
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
