"""Makes, writes, renames and removes files in ways that hold on Windows too.

The standard library's `tempfile` does not: in a folder that cannot be written, Windows refuses every name, and before
Python 3.13 it takes each refusal for a collision and tries the next name, for hours.
"""

import os
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path

PART = ".part"
"""Ends the name of a file that is being written."""

PATIENCE_SECONDS = 2.0
"""How long a rename is tried: on Windows, a virus scanner or an indexer may have the file open."""

_PAUSE_SECONDS = 0.05
_BINARY: int = getattr(os, "O_BINARY", 0)  # without it, Windows writes two bytes for each line feed


def make_folder(folder: Path) -> None:
    """Make a folder and the parents that are missing; only their user can read them. Raises `OSError`.

    On Windows they inherit their parent's rights. Python would turn mode 0700 into rights for the owner alone, and the
    owner of what an elevated process makes is the group of administrators: the user would be locked out.
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


def create(path: Path) -> int:
    """Make a new file, which only its user can read, and return its descriptor. Raises `OSError`."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)


def write_part(path: Path, content: bytes, *, is_synced: bool = True) -> Path:
    """Write a new file beside `path`, whole or not at all, and return it. Raises `OSError`."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
    descriptor = create(part)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        remove(part)
        raise
    return part


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, over what was there; it never waits. Raises `OSError`."""
    part = write_part(path, content, is_synced=False)
    try:
        part.replace(path)
    except BaseException:
        remove(part)
        raise


def replace(source: Path, target: Path) -> None:
    """Rename a file, over what was there; `PermissionError` is raised only after two seconds. Raises `OSError`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def remove(path: Path) -> None:
    """Remove a file if that is possible; on Windows it is not while another program has it open."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Raise `OSError` if no file can be made in a folder; none is left there."""
    path = folder / f".{secrets.token_hex(8)}{PART}"
    os.close(create(path))
    remove(path)


def sync_folder(folder: Path) -> None:
    """Have the folder's names outlast a power cut; Windows cannot be asked to. Raises `OSError`."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_folder() -> Path:
    """Return the system's folder for temporary files, which may not exist."""
    named = next((os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), None)
    return Path(named or ("~" if sys.platform == "win32" else "/tmp")).expanduser()  # noqa: S108 - its files are new
