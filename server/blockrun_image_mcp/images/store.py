"""Stores pictures and long URLs in a folder, whole or not at all."""

import errno
import hashlib
import logging
import os
import re
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread

from blockrun_image.errors import StorageError
from blockrun_image.file_names import SaveAs
from blockrun_image.images import PictureDetails, SavedPicture
from blockrun_image.text import clean, usd
from blockrun_image_mcp.files import PART, Piece, check_writable, make_folder, replace, temporary_folder, write_part
from blockrun_image_mcp.folders import check_project_folder, pictures_folder
from blockrun_image_mcp.formats import MAX_PICTURE_BYTES, suffix_of
from blockrun_image_mcp.images.conversion import converted, is_whole
from blockrun_image_mcp.images.placing import check_place, place
from blockrun_image_mcp.images.provenance import Provenance, pieces_with_provenance

_log = logging.getLogger(__name__)

URL_SUFFIX = ".url.txt"
"""The suffix of a file with a picture's URL."""

_OTHER_FOLDER = "Set BLOCKRUN_IMAGE_DIR to a writable folder."

_WITH_SCRIPTS = (".svg",)
_KEPT = re.compile(r"\d{8}-\d{6}-[0-9a-f]{12}\.(png|jpg|webp|gif|avif|bmp|tiff|svg|heic|ico|psd|jxl|jp2)")


class FolderStore:
    """An `ImageStore` in a folder, which is created when it is first needed.

    `remedy` is the advice if the folder, or a name in it, cannot be written. Pictures that nobody named may fill
    `max_kept_bytes`. With `is_detailed`, a file also holds the prompt, its revision and the cost of its picture.
    """

    def __init__(
        self,
        folder: Path | None = None,
        remedy: str | None = None,
        *,
        max_kept_bytes: int | None = None,
        is_detailed: bool = False,
    ) -> None:
        self._remedy = remedy
        self._is_start_folder = folder == Path()
        self._max_kept_bytes = max_kept_bytes
        self._is_detailed = is_detailed
        self.folder = _absolute(folder or pictures_folder())
        self._trial: Path | None = None
        self._one_at_a_time = anyio.CapacityLimiter(1)  # decoded pictures are large

    async def save(self, picture: bytes, details: PictureDetails, name: SaveAs | None = None) -> SavedPicture:
        """Write the picture to a new file, and return its absolute path.

        Without a `name`, or if nothing can be written there, the file is named after the time. Raises `StorageError` if
        the format of the bytes is unknown or they cannot be written.
        """
        return await anyio.to_thread.run_sync(self._save, picture, details, name, limiter=self._one_at_a_time)

    async def copy(self, path: Path, details: PictureDetails, name: SaveAs) -> SavedPicture:
        """Save a picture of this folder under another name; raises `StorageError`."""
        return await anyio.to_thread.run_sync(self._copy, path, details, name, limiter=self._one_at_a_time)

    async def holds(self, path: Path, name: SaveAs | None) -> bool:
        """Return whether a saved picture is still there, and has that name, with or without a number added."""
        if name is not None and not self._is_named(path, name):
            return False
        return await anyio.Path(path).is_file()

    async def check_room(self) -> None:
        """Raise `StorageError` if the pictures that nobody named have reached the folder's limit."""
        await anyio.to_thread.run_sync(self._check_room)

    async def save_url(self, url: str) -> Path:
        """Write the URL to a new text file and return its absolute path; raises `StorageError`."""
        return await anyio.to_thread.run_sync(self._write_new, URL_SUFFIX, url.encode())

    async def url_in(self, path: Path) -> str | None:
        """Return the URL in a file of `save_url`, or `None` for another file."""
        if not path.name.endswith(URL_SUFFIX):
            return None
        try:
            return await anyio.Path(path).read_text("utf-8")
        except (OSError, ValueError):
            return None

    async def keep(self, content: bytes) -> Path:
        """Write content of any kind to a new file and return its path; raises `StorageError`.

        If the folder fails, the file is in the temporary folder.
        """
        return await anyio.to_thread.run_sync(self._keep, content)

    async def check(self, name: SaveAs | None = None) -> None:
        """Raise `StorageError` if the folder, or a name in it, cannot be written."""
        await anyio.to_thread.run_sync(self._check, name)

    def kept(self) -> Sequence[tuple[Path, float, int]]:
        """Return the pictures in the folder that nobody named: path, time in seconds since 1970, and bytes."""
        with suppress(OSError), os.scandir(self.folder) as entries:
            kept = [each for each in entries if _KEPT.fullmatch(each.name) and each.is_file(follow_symlinks=False)]
            return [(Path(each.path), each.stat().st_mtime, each.stat().st_size) for each in kept]
        return []

    def _save(self, picture: bytes, details: PictureDetails, name: SaveAs | None) -> SavedPicture:
        suffix = suffix_of(picture)
        if suffix is None:
            raise StorageError(f"A picture came as {len(picture):,} bytes in an unknown format.")
        provenance = self._provenance(details)
        notes: list[str] = []
        if name is not None:
            try:
                return self._save_named(picture, suffix, provenance, name)
            except StorageError as error:
                notes.append(f"It could not be saved as {name.template}. {error.message}")
        content = pieces_with_provenance(picture, provenance)
        path = self._write_new(suffix, *content)
        return SavedPicture(path, id_of(*content), [*notes, *_notes(path, picture)])

    def _save_named(self, picture: bytes, suffix: str, provenance: Provenance, name: SaveAs) -> SavedPicture:
        if name.suffix is None and suffix in _WITH_SCRIPTS:
            raise StorageError(
                f"A picture in {suffix.removeprefix('.').upper()} can hold a program, so it gets no chosen name."
            )
        note, content = None, pieces_with_provenance(picture, provenance)
        if name.suffix not in (None, suffix):
            content, note = converted(picture, name.suffix, provenance)
        with self._in_words("A picture could not be saved in"):
            self._make_folder()
        path = place(self.folder, name.path(1, suffix), *content, remedy=self._remedy)
        return SavedPicture(path, id_of(*content), [*([note] if note else []), *_notes(path, picture)])

    def _copy(self, path: Path, details: PictureDetails, name: SaveAs) -> SavedPicture:
        return self._save(content_of(path), details, name)

    def _provenance(self, details: PictureDetails) -> Provenance:
        if not self._is_detailed:
            return Provenance(details.model)
        cost_usd = None if details.charged_usd is None else usd(details.charged_usd)
        return Provenance(details.model, details.prompt, details.revised_prompt, cost_usd)

    def _is_named(self, path: Path, name: SaveAs) -> bool:
        wanted = self.folder / name.path(1, path.suffix)
        numbered = rf"{re.escape(wanted.stem)}(-\d+)?{re.escape(wanted.suffix)}"
        return path.parent == wanted.parent and re.fullmatch(numbered, path.name) is not None

    def _check_room(self) -> None:
        if self._max_kept_bytes is None:
            return
        used = sum(size for _, _, size in self.kept())
        if used >= self._max_kept_bytes:
            raise StorageError(
                f"The images folder holds {_megabytes(used)} MB of pictures, and its limit is"
                f" {_megabytes(self._max_kept_bytes)} MB.",
                hint="Remove old ones with `blockrun-image-mcp images --prune`, or raise BLOCKRUN_IMAGE_KEEP_MB.",
            )

    def _keep(self, content: bytes) -> Path:
        suffix = ".json" if content[:64].lstrip()[:1] in (b"{", b"[") else ".bin"
        try:
            return self._write_new(suffix, content)
        except StorageError as error:
            try:
                return _write(temporary_folder(), suffix, content)
            except OSError:
                raise error from None

    def _write_new(self, suffix: str, *content: Piece) -> Path:
        with self._in_words("A picture could not be saved in"):
            self._make_folder()
            return _write(self.folder, suffix, *content)

    def _check(self, name: SaveAs | None) -> None:
        try:
            with self._in_words("Pictures cannot be written to"):
                self._make_folder()
                self._check_writable()
            if name is not None:
                check_place(self.folder, name.path(1, ".png"), remedy=self._remedy)
        except StorageError as error:
            error.charged = "no"
            raise

    def _check_writable(self) -> None:
        if self._trial is not None:  # where nothing can be removed, one file is enough
            return
        self._trial = check_writable(self.folder)
        if self._trial is not None:
            _log.warning("The images folder lets no file be removed; a trial file is left: %s", clean(self._trial, 200))

    @contextmanager
    def _in_words(self, failure: str) -> Generator[None]:
        """Turn what the system raises into a `StorageError`."""
        try:
            yield
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{failure} {clean(self.folder, 200)}: {_why(error)}.",
                hint=self._remedy or _OTHER_FOLDER,
            ) from error

    def _make_folder(self) -> None:
        check_absolute(self.folder)
        if self._is_start_folder:
            check_project_folder(self.folder)
        make_folder(self.folder)


def id_of(*content: Piece) -> str:
    """Return the id of a file: the first twelve digits of its SHA-256."""
    digest = hashlib.sha256()
    for piece in content:
        digest.update(piece)
    return digest.hexdigest()[:12]


def is_as_named(path: Path) -> bool:
    """Return whether a file still has the content that its name was made from; a user's own file has not."""
    with suppress(StorageError):
        return path.stem.endswith(f"-{id_of(content_of(path))}")
    return False


def content_of(path: Path) -> bytes:
    """Return the content of a picture's file, at most a little more than a picture may have; raises `StorageError`."""
    try:
        if not path.is_file():  # a pipe would never end
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        with path.open("rb") as file:
            return file.read(MAX_PICTURE_BYTES + 1)
    except OSError as error:
        raise StorageError(f"{clean(path, 200)} is no longer there, or cannot be read: {_why(error)}.") from error


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


def _megabytes(count: int) -> str:
    """Return a number of bytes in MB, each of a million bytes."""
    return f"{count / 10**6:,.1f}".removesuffix(".0")


def _why(error: OSError | ValueError) -> str:
    return clean((error.strerror if isinstance(error, OSError) else None) or error, 80)


def _write(folder: Path, suffix: str, *content: Piece) -> Path:
    """Write a new file, whole or not at all, and return its path.

    Only its owner can read it. It keeps its temporary name if it cannot be renamed.
    """
    # several processes may write in the same second, but only the same picture has the same id
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{id_of(*content)}{suffix}"
    part = write_part(path, *content)
    try:
        replace(part, path)
    except OSError:  # on Windows, another program has it open; a paid picture is not removed
        return part
    return path


def _notes(path: Path, picture: bytes) -> Sequence[str]:
    if path.suffix == PART:
        return ["It is whole and could not be renamed; remove the end of its name."]
    if not is_whole(picture):
        return [f"It was saved as {_format(path.suffix)}, and not checked to be whole."]
    return []


def _format(suffix: str) -> str:
    return suffix.removeprefix(".").upper().replace("JPG", "JPEG")
