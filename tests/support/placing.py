"""Images folders on each system."""

import errno
import os
import sys
from pathlib import Path

import pytest
from tests.support.platforms import only_on_posix

from blockrun_image_mcp import files

PICTURE = os.urandom(100_000)

SYSTEMS = [pytest.param("posix", marks=only_on_posix("it has other functions")), "windows"]
"""The parameters of a fixture that acts as each system."""


def images_folder(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty images folder, and act as the system, whose refusals are only waited for shortly."""
    monkeypatch.setattr(files, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(files, "_PAUSE_SECONDS", 0.001)
    if system == "windows" and sys.platform != "win32":
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setattr(Path, "rename", _rename_on_windows)
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def tree(folder: Path) -> list[str]:
    """Return the relative paths of all that is in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def _rename_on_windows(source: Path, target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "It exists", str(source), None, str(target))
    os.rename(source, target)  # noqa: PTH104 - Path.rename is this function
