"""Saves the pictures of a purchase in files, because their URLs expire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import anyio

from blockrun_image.delivery import details_of
from blockrun_image.errors import ConfigurationError, StorageError
from blockrun_image.file_names import SaveAs
from blockrun_image.images import Image, ImageRequest, SavedPicture
from blockrun_image.ports import ImageStore, Ports

_AT_ONCE = 4


@dataclass(frozen=True)
class SavedImages:
    """A purchase's images, those that were saved with their paths, and what went wrong."""

    images: Sequence[Image]
    warnings: Sequence[str] = ()

    @property
    def files(self) -> Mapping[str, Path]:
        """The path of each saved picture, by its URL."""
        return {image.url: image.path for image in self.images if image.url and image.path}


@dataclass(frozen=True)
class Keeper:
    """Saves the pictures of one request, each at most once for one name.

    `charged_usd` is the charge for all of them together.
    """

    ports: Ports
    store: ImageStore
    request: ImageRequest
    charged_usd: Decimal | None
    _limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_AT_ONCE))

    async def save(self, images: Sequence[Image], save_as: SaveAs | None) -> SavedImages:
        """Save the pictures under a name, or under names of their own.

        It raises nothing: a picture that cannot be saved keeps its URL, with a warning.
        """
        saved, warnings = list(images), list[str]()

        async def save_one(number: int, image: Image) -> None:
            async with self._limiter:
                try:
                    picture = await self._save(image, save_as and save_as.numbered(number))
                except (StorageError, ConfigurationError) as error:
                    warnings.append(f"Image {number} could not be saved. {error.message}")
                    return
            if picture is not None:
                saved[number - 1] = replace(image, path=picture.path, id=picture.id)
                warnings.extend(f"Image {number}: {note}" for note in picture.notes)

        async with anyio.create_task_group() as tasks:
            for number, image in enumerate(images, start=1):
                tasks.start_soon(save_one, number, image)
        return SavedImages(saved, warnings)

    async def _save(self, image: Image, name: SaveAs | None) -> SavedPicture | None:
        """Save a picture, or return `None` if it is saved already; raises `StorageError`."""
        details = details_of(image, self.request, self.charged_usd)
        url = image.url or ""
        if image.path is not None:
            long_url = await self.store.url_in(image.path)
            if long_url is not None:
                url = long_url
            elif await self.store.holds(image.path, name):
                return None
            elif name is not None and await self.store.holds(image.path, None):
                return await self.store.copy(image.path, details, name)
        if url.startswith("file:"):
            raise StorageError("Its file was removed.")
        if name is None:
            await self.store.check_room()
        picture = await (await self.ports.gateway()).fetch(url)
        return await self.store.save(picture, details, name)
