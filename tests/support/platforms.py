"""What differs between operating systems."""

import stat
import sys
from pathlib import Path

import pytest


def only_on_posix(why: str) -> pytest.MarkDecorator:
    """Return the mark of a test that Windows cannot run."""
    return pytest.mark.skipif(sys.platform == "win32", reason=f"not on Windows: {why}")


def only_on_linux(why: str) -> pytest.MarkDecorator:
    """Return the mark of a test that only Linux can run."""
    return pytest.mark.skipif(sys.platform != "linux", reason=f"only on Linux: {why}")


def has_mode(path: Path, mode: int) -> bool:
    """Return whether a file has this mode; on Windows all have."""
    return sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == mode
