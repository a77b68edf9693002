"""Where the command generate saves its pictures."""

from dataclasses import dataclass
from pathlib import Path

import click

from blockrun_image.errors import StorageError
from blockrun_image.text import clean
from blockrun_image_mcp.backend import Backend

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Destination:
    """A folder for pictures, or one file in it if `file` is given."""

    folder: Path
    file: Path | None = None

    @classmethod
    def from_options(cls, folder: Path | None, file: Path | None, count: object) -> "Destination | None":
        """Return the destination by the options --save and --output; raises `click.UsageError`."""
        if folder is not None and file is not None:
            raise click.UsageError("--save and --output exclude each other.")
        if file is not None:
            if str(count or 1).strip() != "1":
                raise click.UsageError("--output names the file of one picture; use --save FOLDER for several.")
            file = file.absolute()
            return cls(file.parent, file)
        if folder is None:
            return None
        if folder.suffix.lower() in _SUFFIXES and not folder.exists():
            raise click.UsageError(f"{folder} looks like a file. To name the file, use --output {folder}.")
        return cls(folder)

    @property
    def save_as(self) -> str | None:
        """The name of the file in the folder."""
        return None if self.file is None else self.file.name

    def use_in(self, backend: Backend) -> None:
        """Let a backend save its pictures there; raises `StorageError` if the file exists."""
        option = "folder with --save" if self.file is None else "file with --output"
        if self.file is not None and self.file.exists():
            raise StorageError(
                f"{clean(self.file, 200)} exists, and is not overwritten.", hint=f"Name another {option}.", charged="no"
            )
        backend.save_in(self.folder, f"Name another {option}.")
