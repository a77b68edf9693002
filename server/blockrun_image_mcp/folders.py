"""The user's folders for what this program keeps."""

from collections.abc import Callable
from pathlib import Path

_NAME = "blockrun-image-mcp"


def folder_from(find: Callable[[str], Path]) -> Path:
    """Return the folder that a function of platformdirs finds; where no home folder is known, one that is not absolute.

    Nothing may be kept in that: it would be another one in each working directory.
    """
    try:
        return find(_NAME)
    except RuntimeError:
        return Path("~")
