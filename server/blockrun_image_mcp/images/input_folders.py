"""Reads the files that calls may start from: those below a few folders, and nothing else.

A call is written by a model, and perhaps by whoever wrote the text that the model has read. So no name leads out of the
folders, through a link or to a hidden file, and what was checked is what is read.
"""

import os
import re
import stat
import sys
import unicodedata
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath, PureWindowsPath

from blockrun_image.errors import InvalidRequestError
from blockrun_image.text import clean, did_you_mean, is_unicode, quoted
from blockrun_image_mcp.folders import kind_of_no_project
from blockrun_image_mcp.images.pinned_folder import PinnedFolder, pinned

_MAX_BYTES = 100_000_000
_MAX_NAME_BYTES = 1_000
_MAX_PARTS = 32
_MAX_NAMES = 1_000  # of a folder, in which a similar name is looked for
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".bmp", ".tif", ".tiff")
_DEVICE = re.compile(r"(?i)(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9]|CONIN\$|CONOUT\$|CLOCK\$) *")
_IS_WINDOWS = sys.platform == "win32"


class InputFolders:
    """Some folders, each with all that is below it."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = list(dict.fromkeys(folder for folder in folders if folder.is_absolute()))

    def read(self, name: str) -> tuple[bytes, Path]:
        """Return the content of a file and its real path.

        `name` is relative to one of the folders, the first that has it, or absolute. Raises `InvalidRequestError`.
        """
        if fault := _fault_of(name):
            raise self._refusal(name, fault)
        places = self._places(PurePath(name))
        if not places:
            raise self._refusal(name, "it lies outside the folders from which pictures may be used")
        for folder, parts in places:
            if fault := next(filter(None, map(_fault_of_part, parts)), None):
                raise self._refusal(name, fault)
            try:
                return _read(folder, parts)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                raise self._refusal(name, _why(error)) from error
        near = did_you_mean(places[0][1][-1], _names_beside(*places[0]))
        raise self._refusal(name, f"there is no such file.{near}".removesuffix("."))

    def _places(self, path: PurePath) -> Sequence[tuple[Path, Sequence[str]]]:
        """Return each folder that can hold the file, and the parts of its name there."""
        if not path.is_absolute():
            return [(folder, path.parts) for folder in self.folders]
        found: list[tuple[Path, Sequence[str]]] = []
        for folder in self.folders:
            for root in dict.fromkeys((folder, Path(os.path.realpath(folder)))):
                with suppress(ValueError):
                    found.append((folder, path.relative_to(root).parts))
        return [(folder, parts) for folder, parts in found if parts]

    def _refusal(self, name: str, fault: str) -> InvalidRequestError:
        folders = " or ".join(clean(folder, 200) for folder in self.folders) or "no folder"
        return InvalidRequestError(
            f"The picture {quoted(name, 80)} cannot be used: {fault}.",
            hint=f"Name a file below {folders}. BLOCKRUN_IMAGE_INPUT_DIRS adds folders.",
        )


def allowed_folders(folders: Sequence[Path]) -> Sequence[Path]:
    """Return the folders in which a project can be: not a home folder, nor one of a system, nor one above those."""
    return [folder for folder in folders if folder.is_absolute() and kind_of_no_project(folder) is None]


def _fault_of(name: str) -> str | None:
    """Return what is wrong with a whole name, in words."""
    if not name.strip():
        return "its name is empty"
    if not PurePath(name).parts:
        return "it is a folder"
    if not is_unicode(name) or any(unicodedata.category(each) in ("Cc", "Cs") for each in name):
        return "its name holds characters that no file's name has"
    if len(name.encode()) > _MAX_NAME_BYTES or len(PurePath(name).parts) > _MAX_PARTS:
        return "its name is too long"
    if name.startswith("~"):
        return "~ is not expanded; write the folder itself"
    return _fault_on_windows(PureWindowsPath(name)) if _IS_WINDOWS else None


def _fault_on_windows(path: PureWindowsPath) -> str | None:
    if path.drive.startswith("\\\\"):
        return "it is not on a drive of this machine"
    if bool(path.drive) != bool(path.root):
        return "its drive and its folder go together, as in C:\\pictures\\cat.png"
    if any(":" in part for part in path.parts[1 if path.drive else 0 :]):
        return "it names a stream of a file"
    return None


def _fault_of_part(part: str) -> str | None:
    """Return what is wrong with one part of a name below its folder, in words."""
    if part == "..":
        return "it leads out of its folder"
    if part.startswith("."):
        return "hidden files and folders are not used"
    if _IS_WINDOWS and (_DEVICE.fullmatch(part.partition(".")[0]) or part != part.rstrip(" .")):
        return f"{quoted(part)} is no name of a file on Windows"
    return None


def _read(root: Path, parts: Sequence[str]) -> tuple[bytes, Path]:
    """Return the content of a file and its real path; raises `OSError`, and `ValueError` in words."""
    if not root.is_dir():
        raise FileNotFoundError
    *folders, name = parts
    with _entered(root, folders) as folder:
        descriptor = folder.open(name)
        try:
            _check(os.fstat(descriptor))
            content = _content(descriptor)
        finally:
            os.close(descriptor)
    if not content:
        raise ValueError("it is empty")
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it has more than {_MAX_BYTES // 10**6} MB")
    return content, Path(os.path.realpath(root), *parts)


def _check(status: os.stat_result) -> None:
    """Raise `ValueError` unless it is a plain file that is not hidden."""
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no plain file")
    if _IS_WINDOWS and getattr(status, "st_file_attributes", 0) & stat.FILE_ATTRIBUTE_HIDDEN:
        raise ValueError("hidden files and folders are not used")


def _content(descriptor: int) -> bytes:
    """Return the content of a file, at most a little more than it may have."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read(_MAX_BYTES + 1)


@contextmanager
def _entered(root: Path, folders: Sequence[str]) -> Generator[PinnedFolder]:
    with pinned(root, makes_root=False) as folder:
        for part in folders:
            folder.enter(part)
        yield folder


def _names_beside(root: Path, parts: Sequence[str]) -> Sequence[str]:
    """Return the names of the pictures in a file's folder."""
    with suppress(OSError), _entered(root, parts[:-1]) as folder:
        names = sorted(folder.names())[:_MAX_NAMES]
        return [name for name in names if name.lower().endswith(_SUFFIXES) and not name.startswith(".")]
    return []


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return clean(error.strerror or type(error).__name__, 120)
    return clean(error, 120)
