"""Runs the sandbox on a local socket, inside the current process."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from email.utils import formatdate

import anyio
import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from blockrun_image.catalog import Catalog
from blockrun_image.errors import ConfigurationError
from blockrun_image_sandbox.app import sandbox_app


@asynccontextmanager
async def running_sandbox(
    catalog: Catalog, port: int = 0, clock: Callable[[], float] = time.time
) -> AsyncGenerator[str]:
    """Serve the sandbox on the loopback address and yield its origin.

    Port 0 means any free one. `clock` returns the sandbox's time in seconds since 1970. Raises `ConfigurationError` if
    the port is not available.
    """
    listener = _listener(port)
    closing = anyio.Event()
    server = _EmbeddedServer(
        uvicorn.Config(
            _Dated(sandbox_app(catalog, closing, clock), clock),
            http=_ClosableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
            timeout_graceful_shutdown=1,  # a client may hold its connection open
        )
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_serve, server, listener)
        try:
            await server.ready.wait()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            closing.set()
            server.should_exit = True


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    with anyio.CancelScope(shield=True):  # a cancelled server prints a traceback; this one ends by should_exit
        await server.serve([listener])


class _EmbeddedServer(uvicorn.Server):
    """A server with a ready event, which leaves signals to its host process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class _Dated:
    """Dates responses by the sandbox's clock.

    uvicorn would add its own date beside that of a scripted fault.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], float]) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Date", formatdate(self._clock(), usegmt=True))
            await send(message)

        await self._app(scope, receive, send_dated)


class _ClosableProtocol(H11Protocol):
    """Gives the application its connection, for scripted faults to close."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as in uvicorn
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": transport}


def _listener(port: int) -> socket.socket:
    # create_server leaves the protocol at 0, and asyncio then does not set TCP_NODELAY: 40 ms more for each call
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there it lets another program take the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"The sandbox cannot have port {port}: {error.strerror}.") from error
    return listener
