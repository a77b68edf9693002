"""Creates, writes, renames and removes files, on Windows as well.

The standard library's `tempfile` does not work there. In a folder that cannot be written, Windows refuses every name.
Before Python 3.13, `tempfile` takes each refusal for a collision and tries the next name, for hours.
"""

import errno
import os
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeAlias

PART = ".part"
"""The suffix of a file while it is written."""

Piece: TypeAlias = bytes | memoryview
"""A part of what is written: large content is not copied to be joined."""

PATIENCE_SECONDS = 2.0
"""The time limit for a rename: on Windows, a virus scanner or an indexer may have the file open."""

_PAUSE_SECONDS = 0.05
_TRIAL_BYTES = 4_096
_UNNAMED: int = getattr(os, "O_TMPFILE", 0)  # of Linux
_NO_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS}  # file systems and kernels without it
_BINARY: int = getattr(os, "O_BINARY", 0)  # without it, Windows writes two bytes for each line feed


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents for this user alone. Raises `OSError`.

    On Windows they inherit their parent's permissions. There, Python turns mode 0700 into permissions for the owner
    alone, and the administrators group owns the files of an elevated process: the user would be locked out.
    """
    if sys.platform == "win32":
        folder.mkdir(parents=True, exist_ok=True)
        return
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_folder(folder.parent)  # `parents=True` would let others read them
        folder.mkdir(exist_ok=True, mode=0o700)


def create(path: Path, *, is_private: bool = True, dir_fd: int | None = None) -> int:
    """Create a new file and return its descriptor. Raises `OSError`.

    It is for this user alone, or else for whom the umask lets read it. `dir_fd` is the descriptor of the folder in
    which a relative path is; Windows has none.
    """
    mode = 0o600 if is_private else 0o666
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, mode, dir_fd=dir_fd)


def part_name(name: str) -> str:
    """Return a new name for a file while it is written, which later gets the name `name`."""
    return f"{name}.{secrets.token_hex(4)}{PART}"


def write_part(path: Path, *content: Piece, is_synced: bool = True) -> Path:
    """Write a new file beside `path`, whole or not at all, and return its path. Raises `OSError`.

    If `is_synced`, its content is also flushed to disk.
    """
    part = path.with_name(part_name(path.name))
    descriptor = create(part)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if is_synced:
                write_synced(file, *content)
            else:
                file.writelines(content)
    except BaseException:
        remove(part)
        raise
    return part


def write_synced(file: BinaryIO, *content: Piece) -> None:
    """Write content and flush it to disk. Raises `OSError`."""
    file.writelines(content)
    file.flush()
    os.fsync(file.fileno())


def write_whole(path: Path, content: bytes) -> None:
    """Write or overwrite a file, whole or not at all, without waiting. Raises `OSError`."""
    part = write_part(path, content, is_synced=False)
    try:
        part.replace(path)
    except BaseException:
        remove(part)
        raise


def replace(source: Path, target: Path) -> None:
    """Rename a file and overwrite the target. Raises `OSError`.

    It tries for two seconds before it raises `PermissionError`.
    """
    patiently(lambda: source.replace(target))


def rename(source: Path, target: Path) -> None:
    """Rename a file, as patiently; Windows raises `FileExistsError` if the name is taken. Raises `OSError`."""
    patiently(lambda: source.rename(target))


def patiently(work: Callable[[], object]) -> None:
    """Repeat what raises `PermissionError` for two seconds, before that is raised."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            work()
        except PermissionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def remove(path: Path) -> None:
    """Remove a file if possible; on Windows, another program may have it open."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def check_writable(folder: Path) -> Path | None:
    """Raise `OSError` if no file can be written in a folder, as on a full disk.

    The trial file has no name where the system can do that. Elsewhere it is removed; if that is refused, its path is
    returned.
    """
    path = folder / f".{secrets.token_hex(8)}{PART}"
    descriptor = _create_unnamed(folder)
    is_named = descriptor is None
    with os.fdopen(create(path) if descriptor is None else descriptor, "wb") as file:
        try:
            file.write(bytes(_TRIAL_BYTES))
            file.flush()
        finally:
            file.close()
            if is_named:
                remove(path)
    return path if is_named and os.path.lexists(path) else None


def _create_unnamed(folder: Path) -> int | None:
    """Create a file that has no name, and is gone once it is closed; `None` where that is not possible.

    Raises `OSError` if no file can be created.
    """
    if not _UNNAMED:
        return None
    try:
        return os.open(folder, _UNNAMED | os.O_RDWR, 0o600)
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return None
        raise


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk, to outlast a power cut. Raises `OSError`.

    Windows has no call for that.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_folder() -> Path:
    """Return the system's folder for temporary files, which may not exist."""
    from_environment = next((os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), None)
    return Path(from_environment or ("~" if sys.platform == "win32" else "/tmp")).expanduser()  # noqa: S108 - only new files
