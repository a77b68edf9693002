"""The server on stdin and stdout, whose waits are a fraction of the usual ones: SOAK_SCALE says which.

What is held against the lifetime of a signature stays, and so does what a machine needs to write, read and end.
"""

import os
from dataclasses import fields, replace

import anyio

from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.mcp_server.server import build_server
from blockrun_image_mcp.mcp_server.stdio import serve_stdio
from blockrun_image_mcp.serving import worker_of
from blockrun_image_mcp.settings import Settings
from blockrun_image_mcp.timings import Timings

_UNSCALED = ("payment", "signature", "clock", "valid", "share", "approval", "cached", "shutdown", "busy", "continued")


def scaled(timings: Timings, scale: float) -> Timings:
    """Return the timings divided by a number, but for those that must stay."""
    named = [field.name for field in fields(timings) if not any(part in field.name for part in _UNSCALED)]
    values = {name: getattr(timings, name) for name in named}
    return replace(timings, **{name: value / scale for name, value in values.items() if isinstance(value, float)})


if __name__ == "__main__":
    settings = Settings.read(os.environ)
    backend = Backend(settings, timings=scaled(Timings.for_calls(settings), float(os.environ["SOAK_SCALE"])))
    anyio.run(serve_stdio, build_server(backend, worker_of(backend, {})), backend.timings)
