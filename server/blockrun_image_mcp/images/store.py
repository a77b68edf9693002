"""Stores pictures and long URLs in a folder, whole or not at all."""

import errno
import secrets
import time
import warnings
from io import BytesIO
from pathlib import Path

import anyio
import anyio.to_thread

from blockrun_image.errors import StorageError
from blockrun_image.images import SavedPicture
from blockrun_image.text import clean
from blockrun_image_mcp.files import PART, check_writable, make_folder, replace, temporary_folder, write_part
from blockrun_image_mcp.folders import pictures_folder
from blockrun_image_mcp.formats import suffix_of

URL_SUFFIX = ".url.txt"
"""The suffix of a file with a picture's URL."""

_OTHER_FOLDER = "Set BLOCKRUN_IMAGE_DIR to a writable folder."
_CHECKED = ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF"]


class FolderStore:
    """An `ImageStore` in a folder, which is created when it is first needed.

    `remedy` is the advice if the folder cannot be written.
    """

    def __init__(self, folder: Path | None = None, remedy: str = _OTHER_FOLDER) -> None:
        self._remedy = remedy
        self.folder = _absolute(folder or pictures_folder())
        self._one_at_a_time = anyio.CapacityLimiter(1)  # `_is_whole` changes the warning filters of the whole process

    async def save(self, picture: bytes) -> SavedPicture:
        """Write the picture under a new name and return its absolute path.

        Raises `StorageError` if the format of the bytes is unknown or they cannot be written.
        """
        return await anyio.to_thread.run_sync(self._save, picture, limiter=self._one_at_a_time)

    async def save_url(self, url: str) -> Path:
        """Write the URL to a new text file and return its absolute path; raises `StorageError`."""
        return await anyio.to_thread.run_sync(self._write_new, url.encode(), URL_SUFFIX)

    async def keep(self, content: bytes) -> Path:
        """Write content of any kind to a new file and return its path; raises `StorageError`.

        If the folder fails, the file is in the temporary folder.
        """
        return await anyio.to_thread.run_sync(self._keep, content)

    async def check(self) -> None:
        """Raise `StorageError` if the folder cannot be written."""
        await anyio.to_thread.run_sync(self._check)

    def _save(self, picture: bytes) -> SavedPicture:
        suffix = suffix_of(picture)
        if suffix is None:
            raise StorageError(f"A picture came as {len(picture):,} bytes in an unknown format.")
        path = self._write_new(picture, suffix)
        return SavedPicture(path, is_checked=_is_whole(picture), is_named=path.suffix != PART)

    def _keep(self, content: bytes) -> Path:
        suffix = ".json" if content[:64].lstrip()[:1] in (b"{", b"[") else ".bin"
        try:
            return self._write_new(content, suffix)
        except StorageError as error:
            try:
                return _write(temporary_folder(), content, suffix)
            except OSError:
                raise error from None

    def _write_new(self, content: bytes, suffix: str) -> Path:
        try:
            self._make_folder()
            return _write(self.folder, content, suffix)
        except (OSError, ValueError) as error:
            raise StorageError(
                f"A picture or its URL could not be saved in {clean(self.folder, 200)}: {_why(error)}.",
                hint=self._remedy,
            ) from error

    def _check(self) -> None:
        try:
            self._make_folder()
            check_writable(self.folder)
        except (OSError, ValueError) as error:
            raise StorageError(
                f"Pictures cannot be written to {clean(self.folder, 200)}: {_why(error)}.",
                hint=self._remedy,
                charged="no",
            ) from error

    def _make_folder(self) -> None:
        check_absolute(self.folder)
        make_folder(self.folder)


def check_absolute(folder: Path) -> None:
    """Raise `FileNotFoundError` for a folder that is not absolute: its parent is unknown."""
    if not folder.is_absolute():
        raise FileNotFoundError(errno.ENOENT, "its home or working folder does not exist")


def _absolute(folder: Path) -> Path:
    """Return the folder as an absolute path.

    It stays as it is if there is no such home folder, or no working folder.
    """
    if folder.parts[:1] and folder.parts[0].startswith("~"):  # it was not expanded, so there is no such home folder
        return folder
    try:
        return folder.absolute()
    except OSError:
        return folder


def _why(error: OSError | ValueError) -> str:
    return clean((error.strerror if isinstance(error, OSError) else None) or error, 80)


def _write(folder: Path, content: bytes, suffix: str) -> Path:
    """Write a new file, whole or not at all, and return its path.

    Only its owner can read it. It keeps its temporary name if it cannot be renamed.
    """
    # several processes may write in the same second
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(6)}{suffix}"
    part = write_part(path, content)
    try:
        replace(part, path)
    except OSError:  # on Windows, another program has it open; a paid picture is not removed
        return part
    return path


def _is_whole(picture: bytes) -> bool:
    """Return whether a picture was checked and is whole.

    Some formats cannot be checked, and huge pictures are not.
    """
    from PIL import Image  # noqa: PLC0415 - only needed when a picture comes as data

    try:
        with warnings.catch_warnings(action="error"), Image.open(BytesIO(picture), formats=_CHECKED) as image:
            image.verify()
            Image.open(BytesIO(picture), formats=_CHECKED).load()  # JPEG has no checksum to verify
    except Exception:  # noqa: BLE001 - decoders raise all kinds
        return False
    return True
