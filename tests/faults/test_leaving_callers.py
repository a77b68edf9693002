"""Callers who leave while a call looks into the ledger."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import TypeVar

import anyio
import pytest
from tests.support.fakes import URL, FailingGateway, FakeDelivery, FakeGateway

from blockrun_image.callers import DeliveryEvent
from blockrun_image.catalog import Catalog
from blockrun_image.errors import OutcomeUnknownError
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, OnStatus
from blockrun_image.results import GeneratedImages
from blockrun_image.timings import CallTimings
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection, Work
from blockrun_image_mcp.tasks import TaskSupervisor

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class SlowConnection(SqliteConnection):
    """Holds the next transaction open, if it is told to, until it may end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_slow = False
        self.is_held, self.may_end = Event(), Event()

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction."""
        is_slow, self.is_slow = self.is_slow, False
        return await super().write(lambda store: self._held(work(store)) if is_slow else work(store))

    def _held(self, result: T) -> T:
        self.is_held.set()
        self.may_end.wait()
        return result


class LosingGateway(FailingGateway):
    """Loses the answer to each request that is sent."""

    def __init__(self) -> None:
        super().__init__(OutcomeUnknownError("No answer came."))

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        self.requests.append(request)
        return await super().generate(request, attempt, on_status, within_seconds)


class Gateway(FakeGateway):
    """Makes a picture for each request that is sent."""

    def __init__(self) -> None:
        super().__init__(Image(URL), charged="0.042")

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        await attempt.sent()
        return await super().generate(request, attempt, on_status, within_seconds)


@asynccontextmanager
async def toolset(catalog: Catalog, connection: SlowConnection, gateway: FakeGateway) -> AsyncGenerator[ImageToolset]:
    async with Ledger(connection, connection.path, Limits(None, None)) as ledger, TaskSupervisor() as background:
        yield ImageToolset(catalog, gateway, run=background.run, ledger=ledger, timings=CallTimings())
    await connection.close()


async def generate(tools: ImageToolset, event: DeliveryEvent = DeliveryEvent.WRITTEN) -> GeneratedImages:
    delivery = FakeDelivery()
    result = await tools.generate_image("A fox", "dall-e-3", delivery=delivery)
    await delivery.tell(event)
    return result


async def test_repeat_of_a_call_cancelled_mid_ledger_write_is_not_charged(catalog: Catalog, tmp_path: Path) -> None:
    connection, gateway = SlowConnection(tmp_path / "ledger.sqlite3"), Gateway()
    async with toolset(catalog, connection, gateway) as tools:
        await generate(tools, DeliveryEvent.LOST)
        connection.is_slow = True
        results: list[GeneratedImages] = []
        second = anyio.CancelScope()

        async def call() -> None:
            with second:
                await generate(tools)

        async def repeat() -> None:
            results.append(await generate(tools))

        async with anyio.create_task_group() as calls:
            calls.start_soon(call)
            while not connection.is_held.is_set():  # noqa: ASYNC110 - a thread's event
                await anyio.sleep(0.001)
            second.cancel()
            calls.start_soon(repeat)
            await anyio.sleep(0.01)
            connection.may_end.set()
    assert [image.url for image in results[0].images] == [URL]
    assert len(gateway.requests) == 1


async def test_unknown_outcome_is_reported_again_after_a_cancelled_delivery(catalog: Catalog, tmp_path: Path) -> None:
    connection, gateway = SlowConnection(tmp_path / "ledger.sqlite3"), LosingGateway()
    async with toolset(catalog, connection, gateway) as tools:
        for event in (DeliveryEvent.CANCELLED, DeliveryEvent.WRITTEN):
            delivery = FakeDelivery()
            with pytest.raises(OutcomeUnknownError):
                await tools.generate_image("A fox", "dall-e-3", delivery=delivery)
            await delivery.tell(event)
    assert len(gateway.requests) == 1
