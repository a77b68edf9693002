"""Reads the pictures that calls start from, one at a time, in threads."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from blockrun_image.document import Editing
from blockrun_image.errors import StorageError
from blockrun_image.images import Image
from blockrun_image.ports import ReadyPicture
from blockrun_image_mcp.images.input_folders import InputFolders, allowed_folders
from blockrun_image_mcp.images.inputs import prepared, prepared_mask
from blockrun_image_mcp.images.store import content_of, id_of

T = TypeVar("T")


class InputReader:
    """A `PictureReader` of the files below some folders.

    Pictures may be in the images folder, and in each of the `others` that can hold a project. `limiter` says how many
    are read at once, because decoded ones are large.
    """

    def __init__(self, images_folder: Path, others: Sequence[Path], limiter: anyio.CapacityLimiter) -> None:
        self._folders = InputFolders([*allowed_folders(others), images_folder])
        self._limiter = limiter

    async def read(self, path: str) -> tuple[bytes, str]:
        """Return the content of a file, and its real path; raises `InvalidRequestError`."""
        content, real = await self._run(lambda: self._folders.read(path))
        return content, str(real)

    async def saved(self, image: Image, id: str) -> tuple[bytes, str] | None:
        """Return the content of an image's file and its path, or `None` if it was removed or changed."""
        paths = [path for path, each in image.files if each == id]
        return await self._run(lambda: _first_unchanged(paths, id))

    async def ready(self, content: bytes, limits: Editing) -> ReadyPicture:
        """Return a picture without its metadata, as large as a model takes it; raises `InvalidRequestError`."""
        return await self._run(lambda: prepared(content, limits.max_bytes, limits.max_side))

    async def ready_mask(self, content: bytes, width: int, height: int) -> ReadyPicture:
        """Return a mask for a picture of that size; raises `InvalidRequestError`."""
        mask = await self._run(lambda: prepared_mask(content, (width, height)))
        return ReadyPicture(mask, "image/png", width, height)

    async def _run(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


def _first_unchanged(paths: Sequence[Path], id: str) -> tuple[bytes, str] | None:
    for path in paths:
        try:
            content = content_of(path)
        except StorageError:
            continue
        if id_of(content) == id:
            return content, str(path)
    return None
