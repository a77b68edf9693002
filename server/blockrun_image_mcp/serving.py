"""Serves MCP on stdin and stdout, and loads no more than a start needs."""

import gc
from collections.abc import Generator, Mapping
from contextlib import contextmanager

import anyio

from blockrun_image.errors import ImageError
from blockrun_image_mcp.startup import exit_with, load_backend


def serve(flags: Mapping[str, str | None]) -> None:
    """Serve with the settings that the environment and the flags name, until stdin closes or a signal comes."""
    try:
        with _nothing_collected():
            from blockrun_image_mcp.mcp_server.server import build_server  # noqa: PLC0415 - mcp, with nothing collected
            from blockrun_image_mcp.mcp_server.stdio import serve_stdio  # noqa: PLC0415 - as above

            backend = load_backend(flags, answers_in_time=True)
            server = build_server(backend)
    except ImageError as error:
        exit_with(error)
    anyio.run(serve_stdio, server, backend.timings)


@contextmanager
def _nothing_collected() -> Generator[None]:
    """Keep the garbage collector from what is loaded: none of it is garbage, and looking is a tenth of the start."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
