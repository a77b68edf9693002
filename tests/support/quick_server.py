"""The server on stdin and stdout, with waits that a test can wait for."""

import os

import anyio

from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.mcp_server.server import build_server
from blockrun_image_mcp.mcp_server.stdio import serve_stdio
from blockrun_image_mcp.serving import worker_of
from blockrun_image_mcp.settings import Settings
from blockrun_image_mcp.timings import Timings

if __name__ == "__main__":
    settings = Settings.read(os.environ)
    timings = Timings.for_calls(
        settings, poll_seconds=0.1, slow_call_seconds=0.2, attempt_poll_seconds=0.02, spill_seconds=0.2
    )
    backend = Backend(settings, timings=timings)
    anyio.run(serve_stdio, build_server(backend, worker_of(backend, {})), timings)
