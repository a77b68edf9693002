"""Pictures to start from, for tests without files."""

from collections.abc import Mapping

from blockrun_image.document import Editing
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import Image
from blockrun_image.ports import ReadyPicture


class FakeReader:
    """Reads from a mapping, and marks what it has made ready."""

    def __init__(self, files: Mapping[str, bytes], saved: Mapping[str, bytes] | None = None) -> None:
        self.files = dict(files)
        self.saved_files = dict(saved or {})
        self.limits: list[Editing] = []

    async def read(self, path: str) -> tuple[bytes, str]:
        if path not in self.files:
            raise InvalidRequestError(f"There is no file {path}.")
        return self.files[path], f"/project/{path}"

    async def saved(self, image: Image, id: str) -> tuple[bytes, str] | None:
        return (self.saved_files[id], f"/pictures/{id}.png") if id in self.saved_files else None

    async def ready(self, content: bytes, limits: Editing) -> ReadyPicture:
        self.limits.append(limits)
        return ReadyPicture(b"ready " + content, "image/png", 30, 20)

    async def ready_mask(self, content: bytes, width: int, height: int) -> ReadyPicture:
        return ReadyPicture(b"mask %dx%d " % (width, height) + content, "image/png", width, height)
