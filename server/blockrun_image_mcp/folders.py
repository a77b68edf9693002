"""The user's folders for this program's files.

On Windows they are outside of AppData. There, programs packaged as MSIX, such as Claude Desktop, and their child
processes see a private copy of new files (Microsoft, "Understanding how packaged desktop apps run on Windows"). A
ledger would not be shared with the terminal, or only in part.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs

NAME = "blockrun-image-mcp"
"""The name of the distribution, of the server and of its folders."""

_NOWHERE = Path("~")
"""A relative folder: nothing is stored in it, because it differs with the working folder."""


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
    """Return the folder for pictures; it is not absolute if there is no home folder."""
    if sys.platform == "win32":
        return _find_or_nowhere(lambda: platformdirs.user_pictures_path() / NAME)
    return _find_or_nowhere(lambda: platformdirs.user_data_path(NAME)) / "images"


def _find_or_nowhere(find: Callable[[], Path]) -> Path:
    try:
        return find()
    except RuntimeError:
        return _NOWHERE
