"""How the server is reached: over stdin and stdout, until they close or a signal comes."""

import logging
import os
import signal
import sys
from typing import Any

import anyio
from mcp.server.mcpserver import MCPServer

CLOSING_SECONDS = 0.8
"""How long a server that is told to end waits for what is under way."""

_log = logging.getLogger(__name__)


async def serve_stdio(server: MCPServer[Any], closed: anyio.Event) -> None:
    """Serve until stdin closes; a SIGINT or SIGTERM ends the process within a second.

    `closed` is set when all that the server held is closed.
    """
    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()
        if sys.platform != "win32":
            tasks.start_soon(_exit_on_signal, scope, closed)
        with scope:
            await _run(server)
        if scope.cancelled_caught:
            await anyio.sleep_forever()  # _exit_on_signal ends the process
        tasks.cancel_scope.cancel()


async def _run(server: MCPServer[Any]) -> None:
    try:
        await server.run_stdio_async()
    except* (BrokenPipeError, ConnectionResetError):
        _log.warning("the client has gone")


async def _exit_on_signal(scope: anyio.CancelScope, closed: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            scope.cancel()
            with anyio.move_on_after(CLOSING_SECONDS):
                await closed.wait()
            logging.shutdown()
            os._exit(128 + number)  # the thread that reads stdin cannot be left in any other way
