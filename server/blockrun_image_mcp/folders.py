"""The user's folders for this program's files.

On Windows they are outside of AppData. There, programs packaged as MSIX, such as Claude Desktop, and their child
processes see a private copy of new files (Microsoft, "Understanding how packaged desktop apps run on Windows"). A
ledger would not be shared with the terminal, or only in part.
"""

import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path, PurePath, PureWindowsPath

import platformdirs

from blockrun_image.errors import StorageError
from blockrun_image.text import clean

NAME = "blockrun-image-mcp"
"""The name of the distribution, of the server and of its folders."""

_NOWHERE = Path("~")
"""A relative folder: nothing is stored in it, because it differs with the working folder."""

_POSIX_FOLDERS = frozenset(
    {
        *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr"),
        *("Applications", "Library", "Network", "System", "cores"),  # of macOS
    }
)
_SHARED = frozenset(
    {
        (),
        *((name,) for name in ("home", "media", "mnt", "opt", "run", "srv", "var", "Users", "Volumes")),
        ("var", "lib"),
    }
)
"""Folders that hold those of users, disks or services: projects are in them, but are not they."""
_SOURCES = (("usr", "src"), ("usr", "local", "src"))
"""The folders of programs' sources: images of containers often have a project in `/usr/src/app`."""

_WINDOWS_FOLDERS = frozenset({"windows", "program files", "program files (x86)", "program files (arm)", "programdata"})
"""Lower-case names at the root of a drive; they are the same in every language."""


def state_folder(named: Path | None = None) -> Path:
    """Return the ledger's folder: the `named` one, or the system's own.

    The system's own is not absolute if there is no home folder.
    """
    if named is not None:
        return named
    if sys.platform == "win32":
        return _find_or_nowhere(lambda: Path.home() / f".{NAME}")
    return _find_or_nowhere(lambda: platformdirs.user_state_path(NAME))


def cache_folder(named: Path | None = None) -> Path:
    """Return the folder for the gateways' lists, inside the `named` one if given.

    Otherwise, it is not absolute if there is no home folder.
    """
    if named is not None or sys.platform == "win32":
        return state_folder(named) / "catalogs"
    return _find_or_nowhere(lambda: platformdirs.user_cache_path(NAME)) / "catalogs"


def pictures_folder() -> Path:
    """Return the folder for pictures: in the user's own pictures folder if there is one.

    Otherwise, it is with this program's data, and not absolute if there is no home folder. In a user's home folder
    itself, which desktops name if there is no other, pictures would be in the way.
    """
    pictures = _find_or_nowhere(platformdirs.user_pictures_path)
    if _is_usable(pictures):
        return pictures / NAME
    if sys.platform == "win32":
        return state_folder() / "images"
    return _find_or_nowhere(lambda: platformdirs.user_data_path(NAME)) / "images"


def check_project_folder(folder: Path) -> None:
    """Raise `StorageError` if a folder in which a host has started the server cannot be that of a project.

    The setting BLOCKRUN_IMAGE_DIR=. means that folder. Some hosts start their servers in the home folder, in the root
    of a disk or in a folder of their own.
    """
    kind = kind_of_no_project(folder)
    if kind:
        raise StorageError(
            f"BLOCKRUN_IMAGE_DIR means the folder where the server is started; that is {kind}: {clean(folder, 200)}.",
            hint="Set BLOCKRUN_IMAGE_DIR to an absolute folder.",
            charged="no",
        )


def kind_of_no_project(folder: Path) -> str | None:
    """Return what a folder is, in words, if no project can be in it."""
    home = _find_or_nowhere(Path.home)
    try:
        return _kind_of_no_project(folder.resolve(), home.resolve() if home.is_absolute() else home)
    except (OSError, RuntimeError):  # a loop of links, or no working folder any more
        return "no folder any more"


def _kind_of_no_project(folder: PurePath, home: PurePath) -> str | None:
    """Return what a folder is, in words, if no project can be in it; both are real paths."""
    if folder == folder.parent:
        return "the root of a file system"
    if folder == home:
        return "the home folder"
    if home.is_relative_to(folder):
        return "a folder above the home folder"
    return "a folder of the system or of a program" if _is_system_folder(folder) else None


def _is_system_folder(folder: PurePath) -> bool:
    names = folder.parts[1:]
    if isinstance(folder, PureWindowsPath):
        lowered = [name.lower() for name in names]
        return lowered[0] in _WINDOWS_FOLDERS or "appdata" in lowered
    if any(outer.endswith(".app") and inner == "Contents" for outer, inner in pairwise(names)):
        return True
    names = names[1:] if names[0] == "private" else names  # on macOS, /etc is a link to /private/etc
    is_source = any(names[: len(each)] == each and len(names) > len(each) for each in _SOURCES)
    return names in _SHARED or (names[0] in _POSIX_FOLDERS and not is_source)


def _is_usable(pictures: Path) -> bool:
    try:
        is_own = pictures.is_absolute() and pictures.is_dir() and not pictures.samefile(Path.home())
        return is_own and os.access(pictures, os.W_OK)
    except (OSError, RuntimeError):
        return False


def _find_or_nowhere(find: Callable[[], Path]) -> Path:
    try:
        return find()
    except RuntimeError:
        return _NOWHERE
