"""Writes a picture under a name that a caller chose, below the images folder.

A name that is taken is never overwritten, and no link leads out of the folder. Files and folders get the permissions
that the user's umask gives to those of other programs, because the folder may be that of a project.
"""

import errno
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath

from blockrun_image.errors import Charged, StorageError
from blockrun_image.text import clean
from blockrun_image_mcp.files import Piece, part_name, patiently, write_synced
from blockrun_image_mcp.images.pinned_folder import PinnedFolder, pinned

_MAX_SAME_NAMES = 1_000
_FORBIDDEN = frozenset("\0/\\:")

_OTHER_FOLDER = "Choose another folder in save_as, or set BLOCKRUN_IMAGE_DIR to a writable folder."
_OTHER_NAME = "Choose another name in save_as."
_HINTS = {
    errno.ENOSPC: "Free some space on the disk, or set BLOCKRUN_IMAGE_DIR to a folder on another one.",
    errno.EDQUOT: "Free some space, or set BLOCKRUN_IMAGE_DIR to a folder outside of the quota.",
    errno.ENAMETOOLONG: "Choose a shorter name in save_as.",
    errno.EEXIST: _OTHER_NAME,
    errno.EINVAL: _OTHER_NAME,
    errno.ELOOP: "Choose another folder in save_as.",
    errno.ENOTDIR: "Choose another folder in save_as.",
}


def place(root: Path, relative: PurePath, *content: Piece, remedy: str | None = None) -> Path:
    """Write a new file below `root`, whole or not at all, and return its absolute path. Raises `StorageError`.

    Missing folders are created. If the name is taken, `-2`, `-3` and so on come before its suffix. The file keeps its
    temporary name if the system does not let it be renamed. `remedy` is the advice instead of one about `save_as`.
    """
    with _in_words(root, relative, "yes", remedy):
        *folders, name = _names(root, relative)
        with pinned(root) as folder:
            for each in folders:
                _enter_or_make(folder, each)
            part = _write(folder, name, content)
            name = _rename(folder, part, name)
            folder.check(name)  # if it fails, the file stays: the path may now be that of another one
            return folder.path / name


def check_place(root: Path, relative: PurePath, *, remedy: str | None = None) -> None:
    """Raise `StorageError` if no file could be written there; of what is missing, only `root` is created."""
    with _in_words(root, relative, "no", remedy):
        names = _names(root, relative)
        with pinned(root) as folder:
            trial = part_name(_enter_existing(folder, names))
            os.close(folder.create(trial))
            folder.remove(trial)


def _names(root: Path, relative: PurePath) -> Sequence[str]:
    if not root.is_absolute():
        raise FileNotFoundError(errno.ENOENT, "its home or working folder does not exist")
    names = relative.parts
    if not names or any(name == ".." or _FORBIDDEN & {*name} for name in names):
        raise OSError(errno.EINVAL, "it is not a path below that folder")
    return names


def _enter_or_make(folder: PinnedFolder, name: str) -> None:
    try:
        folder.enter(name)
    except FileNotFoundError:
        folder.make(name)
        folder.enter(name)


def _enter_existing(folder: PinnedFolder, names: Sequence[str]) -> str:
    """Enter the folders of a path as far as they exist, and return the name that is then to be created."""
    for name in names[:-1]:
        try:
            folder.enter(name)
        except FileNotFoundError:
            return name
    return names[-1]


def _write(folder: PinnedFolder, name: str, content: Sequence[Piece]) -> str:
    """Write a file under a temporary name and return that."""
    part = part_name(name)
    descriptor = folder.create(part)
    try:
        with os.fdopen(descriptor, "wb") as file:
            folder.check(part)
            write_synced(file, *content)
    except BaseException:
        folder.remove(part)
        raise
    return part


def _rename(folder: PinnedFolder, part: str, name: str) -> str:
    """Rename the file to the first name that is not taken, and return the name that it then has."""
    for candidate in _candidates(name):
        try:
            patiently(partial(folder.rename, part, candidate))
        except FileExistsError:
            continue
        except OSError:  # on Windows, another program has it open; a paid picture is not removed
            return part
        return candidate
    folder.remove(part)
    raise FileExistsError(errno.EEXIST, f"this name is taken, and so are its {_MAX_SAME_NAMES - 1:,} numbered ones")


def _candidates(name: str) -> Iterator[str]:
    path = PurePath(name)
    yield name
    for number in range(2, _MAX_SAME_NAMES + 1):
        yield f"{path.stem}-{number}{path.suffix}"


@contextmanager
def _in_words(root: Path, relative: PurePath, charged: Charged, remedy: str | None) -> Generator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        number, words = (error.errno, error.strerror) if isinstance(error, OSError) else (None, None)
        failed = "cannot be saved" if charged == "no" else "could not be saved"
        raise StorageError(
            f"A picture {failed} as {clean(relative, 200)} in {clean(root, 200)}: {clean(words or error, 200)}.",
            hint=remedy or _HINTS.get(number or 0, _OTHER_FOLDER),
            charged=charged,
        ) from error
