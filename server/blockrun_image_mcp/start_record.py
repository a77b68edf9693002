"""The record of what a server answered, and what that depends on: the program, settings, and files that they name.

It is read before anything heavy is loaded, so it needs the standard library alone.
"""

import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import TypeAlias

Contents: TypeAlias = dict[str, str | None]
"""The SHA-256 of each file by its path, `None` for a missing one."""

_PREFIX = "BLOCKRUN_"
_FOLDERS = ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
_FILES = ("_FILE", "_SPEC")  # never the others: a credential would be written down as the name of a file
_PACKAGES = ("blockrun_image", "blockrun_image_mcp")
_MAX_RECORD_BYTES = 2**20
_TIMES = re.compile(rb'"(?:asked|seen)_at":[^,}]*')


class Record:
    """The answers of an earlier process, by what they depend on.

    Each is the text of a result. They hold while the files of `contents` are the same.
    """

    def __init__(self, path: str, contents: Contents, answers: dict[str, str] | None = None) -> None:
        self.path = path
        self.contents = contents
        self.answers = answers or {}

    @classmethod
    def read(cls, path: str) -> "Record | None":
        """Return the record at a path, or `None` if there is none that holds."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            descriptor = os.open(path, os.O_RDONLY)
            with os.fdopen(descriptor, "rb") as file:
                if not _is_private(os.fstat(descriptor)):
                    return None
                content = json.loads(file.read(_MAX_RECORD_BYTES))
            record = cls(path, dict(content["contents"]), dict(content["answers"]))
            return record if record.contents == contents_of([*record.contents]) else None
        return None

    def to_bytes(self) -> bytes:
        """Return the content of its file."""
        return json.dumps({"contents": self.contents, "answers": self.answers}).encode()


def record_for(flags: Mapping[str, str]) -> tuple[Record, bool] | None:
    """Return the record for these flags and the environment, and whether it holds.

    One that does not hold is empty. Return `None` if a setting names what cannot be read twice, such as a pipe.
    """
    files = _named_files(flags)
    if not all(map(_is_file_or_missing, files)):
        return None
    path = os.path.join(_folder(), f"{_key(flags, files)}.json")
    record = Record.read(path)
    return (record, True) if record else (Record(path, contents_of(files)), False)


def contents_of(paths: Sequence[str]) -> Contents:
    """Return the contents of files, without the times that a gateway's list notes at each look at it."""
    return {path: _content_of(path) for path in paths}


def _key(flags: Mapping[str, str], files: Sequence[str]) -> str:
    """Return a text that changes with the program, its libraries and the settings; no setting can be read from it."""
    settings = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX) or name in _FOLDERS}
    facts = [sys.version, sys.executable, sorted(settings.items()), sorted(flags.items()), files]
    facts += [*map(_program, _PACKAGES), _libraries()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _program(package: str) -> list[tuple[str, list[int] | None]]:
    """Return the stamp of each file of a package."""
    spec = find_spec(package)
    folders = list((spec and spec.submodule_search_locations) or [])
    files: list[str] = []
    while folders:
        for entry in os.scandir(folders.pop()):
            if entry.name.endswith((".py", ".json")):
                files.append(entry.path)
            elif entry.is_dir() and entry.name != "__pycache__":
                folders.append(entry.path)
    return [(path, _stamp(path)) for path in sorted(files)]


def _libraries() -> list[str]:
    """Return the names and versions of the libraries beside `mcp`."""
    spec = find_spec("mcp")
    folder = os.path.dirname(os.path.dirname(spec.origin)) if spec and spec.origin else os.curdir
    return sorted(name for name in os.listdir(folder) if name.endswith(".dist-info"))


def _named_files(flags: Mapping[str, str]) -> list[str]:
    """Return the files that settings name, and that of BlockRun's own software."""
    named = [value for name, value in os.environ.items() if name.startswith(_PREFIX) and name.endswith(_FILES)]
    named += [flags.get("spec", ""), "~/.blockrun/.session"]
    return [os.path.abspath(os.path.expanduser(each)) for each in named if each and "\0" not in each]


def _folder() -> str:
    named, cache = os.environ.get("BLOCKRUN_IMAGE_STATE_DIR"), os.environ.get("XDG_CACHE_HOME")
    system = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    base = named or os.path.join(cache or system, "blockrun-image-mcp")
    return os.path.join(os.path.expanduser(base), "starts")


def _stamp(path: str) -> list[int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return [found.st_ino, found.st_mtime_ns, found.st_size]


def _is_file_or_missing(path: str) -> bool:
    """Return whether a file can be read now and once more later; a pipe cannot."""
    with suppress(OSError, ValueError):
        return stat.S_ISREG(os.stat(path).st_mode)
    return True


def _content_of(path: str) -> str | None:
    with suppress(OSError, ValueError), open(path, "rb") as file:
        return hashlib.sha256(_TIMES.sub(b"", file.read())).hexdigest()
    return None


def _is_private(found: os.stat_result) -> bool:
    """Return whether only this user can have written a file."""
    return sys.platform == "win32" or (found.st_uid == os.geteuid() and not found.st_mode & 0o022)
