"""Fetches that end with the program."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from blockrun_image.errors import StorageError
from blockrun_image_mcp.gateway.client import HttpGateway
from blockrun_image_mcp.gateway.credentials import Endpoint

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def silent_server(reached: anyio.Event) -> AsyncGenerator[str]:
    """A server that takes connections and says nothing."""

    async def hold(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            reached.set()
            await anyio.sleep_forever()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, hold)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


async def test_fetch_under_way_ends_and_no_other_begins() -> None:
    reached = anyio.Event()
    async with silent_server(reached) as origin, HttpGateway(Endpoint(f"{origin}/v1", {}, "test")) as gateway:

        async def fail_to_fetch() -> None:
            with pytest.raises(StorageError, match="ended before"):
                await gateway.fetch(f"{origin}/1.png")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail_to_fetch)
            await reached.wait()
            assert gateway.is_fetching
            gateway.begin_shutdown()
        await fail_to_fetch()
        assert not gateway.is_fetching
