"""Saves the pictures of a purchase in files, because their URLs expire."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import anyio
from anyio.lowlevel import checkpoint

from blockrun_image.delivery import details_of
from blockrun_image.errors import ConfigurationError, StorageError
from blockrun_image.file_names import SaveAs
from blockrun_image.images import Image, ImageRequest, SavedPicture
from blockrun_image.ports import Attempt, ImageStore, Ports, Runner, SharedTask

_AT_ONCE = 4
_STILL_SAVING = (
    "{} still being saved in the images folder; images://recent names the file. Do not repeat the call for it:"
    " that would buy another picture."
)


@dataclass(eq=False)
class Saving:
    """Saves the images of one request, under a name or under names of their own.

    `charged_usd` is the charge for all of them. With `is_own`, the pictures that came as data are saved already, under
    the same name. While it runs, `images` has the paths of those that were saved, and `warnings` what went wrong.
    """

    ports: Ports
    store: ImageStore
    request: ImageRequest
    charged_usd: Decimal | None
    images: list[Image]
    save_as: SaveAs | None
    is_own: bool = False
    warnings: list[str] = field(default_factory=list[str])
    _unfinished: set[int] = field(default_factory=set[int])

    async def run(self) -> None:
        """Save the pictures; it raises nothing: one that cannot be saved keeps its URL, with a warning."""
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        self._unfinished = {*range(1, len(self.images) + 1)}
        async with anyio.create_task_group() as tasks:
            for number in sorted(self._unfinished):
                tasks.start_soon(self._save_one, number, limiter)

    def so_far(self) -> tuple[Sequence[Image], Sequence[str]]:
        """Return the images and the warnings, one of them about those that are still being saved."""
        numbers = sorted(self._unfinished)
        if not numbers:
            return list(self.images), list(self.warnings)
        which = f"Image {numbers[0]} is" if len(numbers) == 1 else f"Images {', '.join(map(str, numbers))} are"
        return list(self.images), [*self.warnings, _STILL_SAVING.format(which)]

    async def _save_one(self, number: int, limiter: anyio.CapacityLimiter) -> None:
        image = self.images[number - 1]
        async with limiter:
            try:
                picture = await self._save(image, self.save_as and self.save_as.numbered(number))
            except (StorageError, ConfigurationError) as error:
                self.warnings.append(f"Image {number} could not be saved. {error.message}")
                picture = None
            except Exception as error:  # noqa: BLE001 - whatever it is, the URL of what was paid for must be told
                self.warnings.append(f"Image {number} could not be saved ({type(error).__name__}).")
                picture = None
        if picture is not None:
            self.images[number - 1] = replace(image, path=picture.path, id=picture.id)
            self.warnings.extend(f"Image {number}: {note}" for note in picture.notes)
        self._unfinished.discard(number)

    async def _save(self, image: Image, name: SaveAs | None) -> SavedPicture | None:
        """Save a picture, or return `None` if it is saved already; raises `StorageError`."""
        details = details_of(image, self.request, self.charged_usd)
        url = image.url or ""
        if image.path is not None:
            long_url = await self.store.url_in(image.path)
            if long_url is not None:
                url = long_url
            elif await self.store.holds(image.path, None if self.is_own else name):
                return None
            elif name is not None and await self.store.holds(image.path, None):
                return await self.store.copy(image.path, details, name)
        if url.startswith("file:"):
            raise StorageError("Its file was removed.")
        if name is None:
            await self.store.check_room()
        picture = await (await self.ports.gateway()).fetch(url)
        return await self.store.save(picture, details, name)


@dataclass(frozen=True)
class RunningSaving:
    """A saving, and the task that does it."""

    saving: Saving
    task: SharedTask[None]


class Savings:
    """What this process is saving, so that a call that collects the same pictures shares it."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], RunningSaving] = {}

    def start(self, attempt: Attempt, saving: Saving, run: Runner, earlier: Sequence[RunningSaving]) -> RunningSaving:
        """Start to save an attempt's pictures, or return the task that does.

        What is being saved under another name, or was by one of the `earlier`, is fetched once and copied.
        """
        key = (attempt.id, name_of(saving.save_as))
        if key in self._running:
            return self._running[key]
        others = [*earlier, *(each for (id, _), each in self._running.items() if id == attempt.id)]

        async def save() -> None:
            with anyio.CancelScope(shield=True):  # the pictures are paid for: a caller who leaves does not stop it
                if others:
                    await others[0].task.wait(math.inf, checkpoint)
                    saving.images = list(others[0].saving.images)
                before = list(saving.images)
                await saving.run()
                del self._running[key]
                if saving.images != before:
                    await attempt.note_files(saving.images)

        running = self._running[key] = RunningSaving(saving, run(save))
        return running


def name_of(save_as: SaveAs | None) -> str:
    """Return the chosen name, or an empty text."""
    return "" if save_as is None else save_as.template
