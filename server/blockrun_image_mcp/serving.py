"""Starts the server, loading no more than a start needs."""

import gc
import logging
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager

import anyio

from blockrun_image.errors import ConfigurationError, ImageError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.startup import exit_with, load_backend

_log = logging.getLogger(__name__)


def serve(flags: Mapping[str, str | None]) -> None:
    """Serve MCP on stdin and stdout with the settings of the environment and the flags."""
    try:
        _check_streams()
        with _without_collection():
            from blockrun_image_mcp.mcp_server.server import build_server  # noqa: PLC0415 - mcp is loaded without collection
            from blockrun_image_mcp.mcp_server.stdio import serve_stdio  # noqa: PLC0415 - as above

            backend = load_backend(flags, answers_in_time=True)
            _warn_of_refusals(backend)
            server = build_server(backend)
    except ImageError as error:
        exit_with(error)
    if sys.stdin.isatty():  # a person, who may wait for something
        sys.stderr.write("Serving MCP on stdin and stdout, for a host. Ctrl-C ends it; --help shows the commands.\n")
    anyio.run(serve_stdio, server, backend.timings, b"", backend.keep_records)


def _warn_of_refusals(backend: Backend) -> None:
    """Log why every call will be refused; the server starts, because hosts show the words of a call, not of a start."""
    try:
        backend.check_description()
    except ConfigurationError as error:
        _log.warning("every call is refused: %s", error.message)


def _check_streams() -> None:
    """Raise `ConfigurationError` if stdin or stdout is closed; a closed stderr goes nowhere.

    What is opened next, such as the event loop's own descriptors, would take the number of a closed one.
    """
    for descriptor, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(descriptor)
        except OSError as error:
            if descriptor != 2:
                raise ConfigurationError(f"The server speaks MCP on stdin and stdout, and {name} is closed.") from error
            os.open(os.devnull, os.O_WRONLY)  # the lowest free number, which is 2


@contextmanager
def _without_collection() -> Generator[None]:
    """Load without garbage collection."""
    gc.disable()  # what is imported is never garbage, and searching it takes a tenth of the start
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
