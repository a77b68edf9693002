"""Adapters of the toolset's ports that keep what they are told."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.lowlevel

from blockrun_image.errors import (
    StorageError,
)
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, ExpectedCost, Job, OnStatus

URL = "https://pictures.example/1.png"
OTHER_URL = "https://pictures.example/2.png"


def at_most(usd: Decimal) -> ExpectedCost:
    """Return what is expected of a call that costs at most so much."""
    return ExpectedCost(Decimal(0), usd)


class Clock:
    """A clock that a test turns."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeGateway:
    """Keeps what it is asked for, and answers with the images that it was given."""

    name = "pictures.example"

    def __init__(self, *images: Image, charged: str | None = None, warnings: Sequence[str] = ()) -> None:
        self.requests: list[ImageRequest] = []
        self.followed: list[Job] = []
        self._response = ImagesResponse(images, Decimal(charged) if charged else None, warnings)

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        self.requests.append(request)
        on_status("drawing")
        return self._response

    async def follow(self, job: Job, most: int, on_status: OnStatus) -> ImagesResponse:
        self.followed.append(job)
        return self._response

    async def quote(self, request: ImageRequest) -> Decimal | None:
        return None


class FakeStore:
    """Keeps pictures in memory; of those that are called `lost` it says that it could not."""

    def __init__(self) -> None:
        self.kept: dict[Path, bytes] = {}

    async def save(self, picture: bytes) -> Path:
        await anyio.lowlevel.checkpoint()
        if picture == b"lost":
            raise StorageError("The disk is full.")
        path = Path(f"/pictures/{len(self.kept) + 1}.png")
        self.kept[path] = picture
        return path

    async def save_url(self, url: str) -> Path:
        await anyio.lowlevel.checkpoint()
        if "lost" in url:
            raise StorageError("The disk is full.")
        path = Path(f"/pictures/{len(self.kept) + 1}.url.txt")
        self.kept[path] = url.encode()
        return path
