"""Keeps pictures that come as data, and URLs that are too long to tell, in a folder, whole or not at all."""

import os
import tempfile
import time
import warnings
from io import BytesIO
from pathlib import Path

import anyio
import anyio.to_thread
import platformdirs

from blockrun_image.errors import StorageError
from blockrun_image.text import clean

URL_SUFFIX = ".url.txt"
"""Ends the name of a file that holds a picture's URL."""

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "GIF": ".gif"}


class FolderStore:
    """An `ImageStore` that is a folder, made when the first picture or long URL comes."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or platformdirs.user_data_path("blockrun-image-mcp") / "images").absolute()
        self._one_at_a_time = anyio.CapacityLimiter(1)  # the warnings that `_suffix` makes errors are the process's

    async def save(self, picture: bytes) -> Path:
        """Write the picture under a new name and return its absolute path.

        Raises `StorageError` when the bytes are no picture or cannot be written.
        """
        return await anyio.to_thread.run_sync(self._save, picture, limiter=self._one_at_a_time)

    async def save_url(self, url: str) -> Path:
        """Write the URL to a text file under a new name and return its absolute path; raises `StorageError`."""
        return await anyio.to_thread.run_sync(self._write_new, url.encode(), URL_SUFFIX)

    def _save(self, picture: bytes) -> Path:
        return self._write_new(picture, _suffix(picture))

    def _write_new(self, content: bytes, suffix: str) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return self._write(content, suffix)
        except OSError as error:
            raise StorageError(
                f"A picture or its URL could not be written to {clean(self.folder, 200)}: {clean(error.strerror, 80)}.",
                hint="Set BLOCKRUN_IMAGE_DIR to a folder that can be written.",
            ) from error

    def _write(self, content: bytes, suffix: str) -> Path:
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".incoming-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unique = Path(temporary).name.removeprefix(".incoming-")
            path = self.folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{unique}{suffix}"
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return path


def _suffix(picture: bytes) -> str:
    from PIL import Image  # noqa: PLC0415 - only needed when a picture comes as data

    try:
        with warnings.catch_warnings(action="error"), Image.open(BytesIO(picture), formats=list(_SUFFIXES)) as image:
            image.verify()
            return _SUFFIXES[image.format or ""]
    except Exception as error:  # decoders raise all kinds for what is no picture, or one too large to be one
        raise StorageError(f"A picture came as {len(picture):,} bytes that are no PNG, JPEG, WebP or GIF.") from error
