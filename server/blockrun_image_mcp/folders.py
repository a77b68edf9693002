"""The user's folders for what this program keeps.

On Windows they lie outside of AppData. Programs that are packaged as MSIX, such as Claude Desktop, and what they start
see a private copy of new files there (Microsoft, "Understanding how packaged desktop apps run on Windows"). A ledger
would not be shared with the terminal, or only in part.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs

NAME = "blockrun-image-mcp"

_NOWHERE = Path("~")
"""No absolute folder, so that nothing is kept in it: it would be another one in each working folder."""


def state_folder(named: Path | None = None) -> Path:
    """Return the folder of the ledger: the `named` one, or the system's own; not absolute where there is no home."""
    if named is not None:
        return named
    if sys.platform == "win32":
        return _found(lambda: Path.home() / f".{NAME}")
    return _found(lambda: platformdirs.user_state_path(NAME))


def cache_folder(named: Path | None = None) -> Path:
    """Return the folder for the lists of gateways, which is in the `named` one if there is one."""
    if named is not None or sys.platform == "win32":
        return state_folder(named) / "catalogs"
    return _found(lambda: platformdirs.user_cache_path(NAME)) / "catalogs"


def pictures_folder() -> Path:
    """Return the folder for pictures; not absolute where there is no home folder."""
    if sys.platform == "win32":
        return _found(lambda: platformdirs.user_pictures_path() / NAME)
    return _found(lambda: platformdirs.user_data_path(NAME)) / "images"


def _found(find: Callable[[], Path]) -> Path:
    try:
        return find()
    except RuntimeError:
        return _NOWHERE
