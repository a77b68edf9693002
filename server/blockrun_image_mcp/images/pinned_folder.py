"""Holds on to a folder below a root, so that no link leads out of it while a file is written.

On POSIX, each folder on the way is opened without following links, and stays open: what is done then happens in these
very folders, whatever happens to their names. Not every file system has hard links, which name a file without
overwriting another; the next best is a rename that fails if the name is taken, and then an empty file that reserves it.
Windows has no such calls. There, each folder on the way is checked
before, while a file in it is open, which keeps the folders above from being renamed, and afterwards.
"""

import errno
import os
import secrets
import stat
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from blockrun_image_mcp import files

_NAME_SURROGATE = 0x2000_0000
"""The bit of a reparse tag for names that stand for others: links and junctions, but not OneDrive's files."""

_EXCLUSIVE_RENAMES = {"linux": ("renameat2", 1), "darwin": ("renameatx_np", 4)}
"""The call of each system that renames over nothing, and its flag: RENAME_NOREPLACE, RENAME_EXCL."""

_WHOLE = f".whole{files.PART}"
"""The end of a file's name while another one reserves the name that it gets."""

_ABANDONED_SECONDS = 60.0
"""The age of a reservation whose process cannot be alive, for it takes no time."""


class PinnedFolder(Protocol):
    """A folder, its path, and what can be done in it. Every method raises `OSError`."""

    path: Path

    def enter(self, name: str) -> None:
        """Go into a folder of this folder; a link to one is refused."""
        ...

    def make(self, name: str) -> None:
        """Create a folder that others can use as the umask allows, if there is none yet."""
        ...

    def create(self, name: str) -> int:
        """Create a new file that others can use as the umask allows, and return its descriptor."""
        ...

    def open(self, name: str) -> int:
        """Open a file for reading, and return its descriptor; a link to one is refused. It never waits."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of what is in the folder."""
        ...

    def rename(self, name: str, new_name: str) -> None:
        """Rename a file. Raises `FileExistsError` if the new name is taken, by a link as well."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file if possible."""
        ...

    def check(self, name: str) -> None:
        """Raise if the path of a file in this folder now leads anywhere else."""
        ...


@contextmanager
def pinned(root: Path, *, makes_root: bool = True) -> Generator[PinnedFolder]:
    """Open `root`, which is created for this user alone if it is missing and `makes_root`. Raises `OSError`.

    The root itself may be a link: the user chose it.
    """
    if makes_root:
        files.make_folder(root)
    if sys.platform == "win32":
        yield _WindowsFolder(root)
        return
    folder = _PosixFolder(root)
    try:
        yield folder
    finally:
        folder.close()


class _PosixFolder:
    def __init__(self, root: Path) -> None:
        self.path = self._root = root
        self._descriptors = [os.open(root, os.O_RDONLY | os.O_DIRECTORY)]
        self._names: list[str] = []

    def close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)

    def enter(self, name: str) -> None:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._here)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            is_link = stat.S_ISLNK(os.stat(name, dir_fd=self._here, follow_symlinks=False).st_mode)
            raise _link(name) if is_link else _not_a_folder(name) from None
        self._descriptors.append(descriptor)
        self._names.append(name)
        self.path /= name

    def make(self, name: str) -> None:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=self._here)

    def create(self, name: str) -> int:
        return files.create(Path(name), is_private=False, dir_fd=self._here)

    def open(self, name: str) -> int:
        try:
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=self._here)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _link(name) from None
            raise

    def names(self) -> Sequence[str]:
        with os.scandir(self._here) as entries:
            return [entry.name for entry in entries]

    def rename(self, name: str, new_name: str) -> None:
        try:
            self._rename_over_nothing(name, new_name)
        except FileExistsError:
            self._finish(new_name)
            raise

    def _rename_over_nothing(self, name: str, new_name: str) -> None:
        try:
            os.link(name, new_name, src_dir_fd=self._here, dst_dir_fd=self._here, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:  # there are no hard links, as on exFAT and some network file systems
            try:
                rename_new(self._here, name, new_name)
            except FileExistsError:
                raise
            except OSError:  # nor can this file system, or the system, do that
                self._rename_reserved(name, new_name)
        else:
            self.remove(name)

    def _rename_reserved(self, name: str, new_name: str) -> None:
        """Rename over an empty file that reserves the name.

        A process that is killed between the two leaves both files; `_finish` knows them by the name of the whole one.
        """
        with suppress(FileNotFoundError):
            self._status(new_name)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name, None, new_name)
        whole = f"{new_name}.{secrets.token_hex(4)}{_WHOLE}"
        self._move(name, whole)
        try:
            os.close(self.create(new_name))
            try:
                self._move(whole, new_name)
            except BaseException:
                if self._status(new_name).st_size:  # another process has finished it
                    return
                self.remove(new_name)
                raise
        except BaseException:
            self._move(whole, name)
            raise

    def _finish(self, name: str) -> None:
        """Finish what a killed process has begun, if it has reserved this name and not renamed its file."""
        with suppress(OSError):
            status = self._status(name)
            is_old = time.time() - status.st_mtime > _ABANDONED_SECONDS
            if status.st_size or not is_old or not stat.S_ISREG(status.st_mode):
                return
            with os.scandir(self._here) as entries:
                names = sorted(entry.name for entry in entries)
            whole = next((each for each in names if each.startswith(f"{name}.") and each.endswith(_WHOLE)), None)
            if whole is not None:
                self._move(whole, name)  # only one process can do that; afterwards, the name's file is not empty

    def _move(self, name: str, new_name: str) -> None:
        os.rename(name, new_name, src_dir_fd=self._here, dst_dir_fd=self._here)

    def _status(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._here, follow_symlinks=False)

    def remove(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=self._here)

    def check(self, name: str) -> None:
        is_same = os.path.samestat(self._root.stat(), os.fstat(self._descriptors[0])) and all(
            os.path.samestat(os.stat(each, dir_fd=parent, follow_symlinks=False), os.fstat(child))
            for each, (parent, child) in zip(self._names, pairwise(self._descriptors), strict=True)
        )
        if not is_same or not stat.S_ISREG(os.stat(name, dir_fd=self._here, follow_symlinks=False).st_mode):
            raise _moved()

    @property
    def _here(self) -> int:
        return self._descriptors[-1]


class _WindowsFolder:
    def __init__(self, root: Path) -> None:
        self.path = self._root = root

    def enter(self, name: str) -> None:
        path = self.path / name
        if _is_link(path):
            raise _link(name)
        if not path.is_dir():
            raise _not_a_folder(name)
        self.path = path

    def make(self, name: str) -> None:
        (self.path / name).mkdir(exist_ok=True)

    def create(self, name: str) -> int:
        return files.create(self.path / name, is_private=False)

    def open(self, name: str) -> int:
        path = self.path / name
        if _is_link(path):
            raise _link(name)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            self.check(name)  # while it is open, the folders above it keep their names
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def names(self) -> Sequence[str]:
        return [path.name for path in self.path.iterdir()]

    def rename(self, name: str, new_name: str) -> None:
        (self.path / name).rename(self.path / new_name)

    def remove(self, name: str) -> None:
        files.remove(self.path / name)

    def check(self, name: str) -> None:
        path = self.path / name
        path.lstat()  # raises if it is gone
        expected = Path(os.path.realpath(self._root), path.relative_to(self._root))
        if Path(os.path.realpath(path)) != expected:  # Windows ignores case, and so does this
            raise _moved()


def rename_new(folder: int, name: str, new_name: str) -> None:
    """Rename a file in an open folder if the new name is free, in one step.

    Raises `FileExistsError` if it is taken, and another `OSError` if the system or the file system has no such call.
    """
    import ctypes  # noqa: PLC0415 - only where there are no hard links

    called, flag = _EXCLUSIVE_RENAMES.get(sys.platform, ("", 0))
    function = getattr(ctypes.CDLL(None, use_errno=True), called, None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    if function(folder, os.fsencode(name), folder, os.fsencode(new_name), flag):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name, None, new_name)


def _is_link(path: Path) -> bool:
    """Return whether a path is a symbolic link or, on Windows, a junction. Raises `OSError`."""
    status = path.lstat()
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_reparse_tag", 0) & _NAME_SURROGATE)


def _link(name: str) -> OSError:
    return OSError(errno.ELOOP, f"{name} is a link, and links are not followed")


def _not_a_folder(name: str) -> OSError:
    return OSError(errno.ENOTDIR, f"{name} is not a folder")


def _moved() -> OSError:
    return OSError(errno.ELOOP, "its folder was moved or replaced meanwhile")
