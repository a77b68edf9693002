"""Where the command generate saves its pictures."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from blockrun_image.errors import StorageError
from blockrun_image.file_names import NUMBER, SaveAs
from blockrun_image.text import clean
from blockrun_image_mcp.backend import Backend

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Destination:
    """A folder for pictures, and the name of the files in it if `save_as` is given."""

    folder: Path
    save_as: str | None = None

    @classmethod
    def from_options(cls, folder: Path | None, file: Path | None) -> "Destination | None":
        """Return the destination by the options --save and --output; raises `click.UsageError`."""
        if folder is not None and file is not None:
            raise click.UsageError("--save and --output exclude each other.")
        if file is not None:
            file = file.absolute()
            root = next(each for each in file.parents if NUMBER not in str(each))
            return cls(root, file.relative_to(root).as_posix())
        if folder is None:
            return None
        if folder.suffix.lower() in _SUFFIXES and not folder.exists():
            raise click.UsageError(f"{folder} looks like a file. To name the file, use --output {folder}.")
        return cls(folder)

    def use_in(self, backend: Backend, count: int) -> None:
        """Let a backend save so many pictures there.

        Raises `StorageError` if a file exists, and `InvalidRequestError` if it cannot have that name.
        """
        option = "folder with --save" if self.save_as is None else "file with --output"
        for file in self._files(count):
            if _exists(file):
                raise StorageError(
                    f"{clean(file, 200)} exists, and is not overwritten.", hint=f"Name another {option}.", charged="no"
                )
        backend.save_in(self.folder, f"Name another {option}.")

    def _files(self, count: int) -> Sequence[Path]:
        name = None if self.save_as is None else SaveAs.parse(self.save_as, count)
        return [] if name is None else [self.folder / name.path(number) for number in range(1, count + 1)]


def _exists(file: Path) -> bool:
    with suppress(OSError):  # its name may be too long
        return file.exists()
    return False
