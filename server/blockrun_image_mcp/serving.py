"""Starts the server, and loads only the modules needed for that."""

import gc
import logging
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from blockrun_image.errors import ConfigurationError, ImageError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.front import UNOPENED, Opening
from blockrun_image_mcp.settings import VARIABLES
from blockrun_image_mcp.startup import exit_with, load_backend
from blockrun_image_mcp.timings import Timings

if TYPE_CHECKING:
    from blockrun_image_mcp.worker.client import WorkerClient

_log = logging.getLogger(__name__)


def serve(flags: Mapping[str, str | None], opening: Opening = UNOPENED) -> None:
    """Serve MCP on stdin and stdout with the settings in the environment and flags.

    `opening` is what the client was answered before.
    """
    try:
        _check_streams()
        with _without_collection():
            from blockrun_image_mcp.mcp_server.server import build_server  # noqa: PLC0415 - mcp is loaded without collection
            from blockrun_image_mcp.mcp_server.stdio import serve_stdio  # noqa: PLC0415 - as above

            backend = load_backend(flags, Timings.for_calls)
            _warn_of_refusals(backend)
            server = build_server(backend, worker_of(backend, flags))
    except ImageError as error:
        exit_with(error)
    if sys.stdin.isatty():  # a person, who may wait for something
        sys.stderr.write("Serving MCP on stdin and stdout, for a host. Ctrl-C ends it; --help shows the commands.\n")
    anyio.run(serve_stdio, server, backend.timings, opening, backend.keep_records)


def worker_of(backend: Backend, flags: Mapping[str, str | None]) -> "WorkerClient | None":
    """Return the worker of the paid calls, unless they are performed in this process.

    The built-in sandbox ends with its server.
    """
    if backend.is_sandbox or backend.settings.worker == "off" or not sys.executable:
        return None
    from blockrun_image_mcp.worker.client import WorkerClient  # noqa: PLC0415 - a sandbox does without

    chosen = {VARIABLES[field]: value for field, value in flags.items() if value is not None}
    return WorkerClient(backend, {**os.environ, **chosen})


def _warn_of_refusals(backend: Backend) -> None:
    """Log a warning if every call will be refused.

    The server still starts: hosts show the error of a call, but not of a start.
    """
    try:
        backend.check_description()
    except ConfigurationError as error:
        _log.warning("every call is refused: %s", error.message)


def _check_streams() -> None:
    """Raise `ConfigurationError` if stdin or stdout is closed; a closed stderr goes nowhere.

    The next file to be opened, such as one of the event loop's, would take the number of a closed one.
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
    """Pause garbage collection in the block, and exempt the loaded objects from it."""
    gc.disable()  # imported modules are never garbage, and searching them takes a tenth of the start
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
