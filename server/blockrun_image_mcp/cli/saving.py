"""Saves the pictures of the command generate, in a folder or as a named file."""

from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
import click

from blockrun_image.errors import StorageError
from blockrun_image.text import clean
from blockrun_image_mcp.files import replace
from blockrun_image_mcp.images.store import FolderStore
from blockrun_image_mcp.timings import Timings

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".bmp", ".tif", ".tiff")
_OTHER_SPELLINGS = {".jpeg": ".jpg", ".tif": ".tiff"}


@dataclass(frozen=True)
class Destination:
    """A folder for pictures, or one file in it if `file` is given."""

    store: FolderStore
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
            return cls(FolderStore(file.parent, "Name another file with --output."), file)
        if folder is None:
            return None
        if folder.suffix.lower() in _SUFFIXES and not folder.exists():
            raise click.UsageError(f"{folder} looks like a file. To name the file, use --output {folder}.")
        return cls(FolderStore(folder, "Name another folder with --save."))

    async def check(self) -> None:
        """Raise `StorageError` if nothing can be saved there; called before anything is paid."""
        if self.file is not None and self.file.exists():
            raise StorageError(
                f"{clean(self.file, 200)} exists, and is not overwritten.",
                hint="Name another file with --output.",
                charged="no",
            )
        await self.store.check()

    async def save(self, url: str, timings: Timings) -> Path:
        """Save the picture at a URL and return its path; raises `StorageError`."""
        from blockrun_image_mcp.images.download import download  # noqa: PLC0415 - httpx2 is for this command only

        # the store names the file itself, by its real type
        path = await download(url, self.store, timings)
        return path if self.file is None else await anyio.to_thread.run_sync(_rename_as_requested, path, self.file)


def _rename_as_requested(path: Path, file: Path) -> Path:
    """Rename a picture as requested, if possible, and return its path."""
    if file.exists():  # it was made since the check
        click.echo(f"{file} exists; the picture keeps another name.", err=True)
        return path
    try:
        replace(path, file)
    except OSError as error:
        click.echo(f"{file} cannot be written ({error.strerror}); the picture keeps another name.", err=True)
        return path
    given = _OTHER_SPELLINGS.get(file.suffix.lower(), file.suffix.lower())
    if given != path.suffix:
        click.echo(f"{file} is a {path.suffix.removeprefix('.').upper()} picture.", err=True)
    return file
