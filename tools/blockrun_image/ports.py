"""What the toolset needs from the world, as protocols for adapters to fulfil."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from blockrun_image.images import ImageRequest, ImagesResponse

T = TypeVar("T")

OnStatus: TypeAlias = Callable[[str], None]
"""Is told in a few words what a call is waiting for."""


class ImageGateway(Protocol):
    """Something that makes pictures and charges for them."""

    @property
    def name(self) -> str:
        """What to call it before the asker: its host, or `sandbox`."""
        ...

    async def generate(self, request: ImageRequest, on_status: OnStatus) -> ImagesResponse:
        """Make the pictures, sending a request that may be charged at most once; raises `ImageError`."""
        ...


class ImageStore(Protocol):
    """A place for what a result cannot hold: pictures that come as data, and URLs that are too long to tell."""

    async def save(self, picture: bytes) -> Path:
        """Write the picture and return its absolute path; raises `StorageError`."""
        ...

    async def save_url(self, url: str) -> Path:
        """Write the URL to a text file and return its absolute path; raises `StorageError`."""
        ...


class Runner(Protocol):
    """Does work that costs money, perhaps where it outlives a caller who leaves."""

    async def __call__(self, work: Callable[[], Awaitable[T]], /) -> T:
        """Return what the work returns, or raise what it raises."""
        ...


async def run_here(work: Callable[[], Awaitable[T]], /) -> T:
    """Do the work in its caller's own task, as a `Runner`."""
    return await work()
