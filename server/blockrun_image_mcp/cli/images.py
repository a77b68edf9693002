"""The command images."""

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from blockrun_image.errors import InvalidRequestError, StorageError
from blockrun_image.images import Image
from blockrun_image.text import clean
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.cli import options, output
from blockrun_image_mcp.cli.removal import forget_prompt, remove_pictures
from blockrun_image_mcp.files import remove, replace, write_part
from blockrun_image_mcp.images.page import VIEWED_SUFFIXES, PageEntry, is_file, picture_page
from blockrun_image_mcp.ledger.limits import from_micro_usd

if TYPE_CHECKING:
    from blockrun_image_mcp.ledger.report import AttemptReport

_FILE = click.Path(dir_okay=False, path_type=Path)
_MAX_ENTRIES = 1_000


@click.command("images")
@click.option(
    "--most", type=click.IntRange(1, _MAX_ENTRIES), default=10, show_default=True, help="How many calls, newest first."
)
@options.days
@click.option("--html", metavar="FILE", type=_FILE, help="Write the pictures to one HTML page.")
@click.option("--no-costs", is_flag=True, help="Leave the costs out of the page.")
@click.option("--no-prompts", is_flag=True, help="Leave the prompts out of the page.")
@click.option("--no-links", is_flag=True, help="Leave links, paths and URLs out of the page.")
@click.option("--force", is_flag=True, help="Overwrite the page if it exists.")
@click.option(
    "--open",
    "number",
    metavar="[N]",
    type=click.IntRange(1),
    is_flag=False,
    flag_value=1,
    help="Open the newest saved picture, or the Nth newest.",
)
@click.option("--prune", metavar="DAY", callback=options.day, help="Remove kept pictures from before a day, or 90d.")
@click.option("--forget", metavar="ID", help="Remove the prompt of a call from the ledger.")
@click.option("--yes", is_flag=True, help="Do not ask before removing pictures.")
@options.sandbox_ledger
@options.as_json
@options.reporting_errors
def images(  # noqa: PLR0913, PLR0917 - one for each option
    most: int,
    since: str | None,
    until: str | None,
    html: Path | None,
    number: int | None,
    prune: str | None,
    forget: str | None,
    yes: bool,
    sandbox: bool,
    as_json: bool,
    **page: bool,
) -> None:
    """Show the latest pictures: time, cost, prompt, URLs and files. Free and offline.

    With --html, write them to a page to look at or to send. With --open, look at one of them. With --prune, remove old
    ones that were not given a name.

    Example: blockrun-image-mcp images --since 2026-11-22
    """
    if sum((html is not None, number is not None, as_json, prune is not None, forget is not None)) > 1:
        raise click.UsageError("--html, --open, --json, --prune and --forget exclude each other.")
    if html is None and any(page.values()):
        raise click.UsageError(f"{_option(next(name for name in page if page[name]))} needs --html FILE.")
    backend = options.start(sandbox, {})
    if prune is not None or forget is not None:
        _remove(backend, prune, forget, is_confirmed=yes)
        return
    if html is not None:
        _check_new(html, is_forced=page["force"])
    days, limit = options.days_from(since, until), most if number is None else _MAX_ENTRIES
    entries = options.ask_ledger(backend, lambda ledger: ledger.recent(limit, days=days))
    if html is not None:
        _write_page(html.absolute(), _page_entries(backend, entries, page), has_links=not page["no_links"])
    elif number is not None:
        _open([image.path for entry in entries for image in map(_as_found, entry.images) if image.path], number)
    elif as_json:
        output.print_json([entry.to_dict(is_sandbox=backend.is_sandbox) for entry in entries])
    else:
        click.echo("\n".join(entry.to_text(_missing(entry)) for entry in entries) or _none_yet(backend))


def _remove(backend: Backend, before: str | None, id: str | None, *, is_confirmed: bool) -> None:
    if before is not None:
        remove_pictures(backend, before, is_confirmed=is_confirmed)
    if id is not None:
        forget_prompt(backend, id)


def _none_yet(backend: Backend) -> str:
    has_others = not backend.is_sandbox and backend.has_sandbox_ledger
    return "There are none yet." + (" --sandbox shows those of the sandbox." if has_others else "")


def _as_found(image: Image) -> Image:
    """Return an image with the first of its files that is still there."""
    found = next((path for path, _ in image.files if is_file(path)), image.path)
    return dataclasses.replace(image, path=found)


def _missing(entry: "AttemptReport") -> Sequence[str]:
    return [file for file in entry.files if not is_file(Path(file))]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_new(file: Path, *, is_forced: bool) -> None:
    """Raise `StorageError` if the page would overwrite something that it must not."""
    try:
        is_taken = file.exists() and not (is_forced and file.is_file())
    except OSError:
        return  # writing will fail, and say why
    if is_taken:
        hint = "Name another file, or overwrite it with --force."
        raise StorageError(f"{clean(file, 200)} exists, and is not overwritten.", hint=hint, charged="no")


def _page_entries(backend: Backend, entries: "Sequence[AttemptReport]", without: Mapping[str, bool]) -> list[PageEntry]:
    """Return the calls with pictures, without what the options leave out.

    Raises `InvalidRequestError` if there are no pictures.
    """
    shown = [
        PageEntry(
            model=entry.model,
            size=entry.size,
            created_at=entry.created_at,
            images=[*map(_as_found, entry.images)],
            prompt=None if without["no_prompts"] else entry.prompt,
            cost_usd=None if without["no_costs"] else Decimal(0) if backend.is_sandbox else _cost_usd(entry),
            is_cost_exact=backend.is_sandbox or entry.charged_micro_usd is not None,
        )
        for entry in entries
        if entry.images
    ]
    if not shown:
        raise InvalidRequestError(f"No page was written, because there are no pictures. {_none_yet(backend)}")
    return shown


def _cost_usd(entry: "AttemptReport") -> Decimal:
    charged = entry.charged_micro_usd
    return from_micro_usd(entry.reserved_micro_usd if charged is None else charged)


def _write_page(file: Path, entries: Sequence[PageEntry], *, has_links: bool) -> None:
    """Write the page, whole or not at all; raises `StorageError`."""
    page = picture_page(entries, file.parent if has_links else None)
    try:
        part = write_part(file, page.encode())
        try:
            replace(part, file)
        except OSError:
            remove(part)
            raise
    except OSError as error:
        words = f"The page could not be written to {clean(file, 200)}: {clean(error.strerror or error, 80)}."
        raise StorageError(words, hint="Name another file with --html.", charged="no") from error
    click.echo(f"{_pictures(sum(len(entry.images) for entry in entries))} in {file}")


def _open(files: Sequence[Path], number: int) -> None:
    """Open one of the files with the system's viewer; raises `InvalidRequestError` or `StorageError`."""
    if number > len(files):
        raise InvalidRequestError(f"Picture {number} cannot be opened: only {_pictures(len(files))} saved.")
    file = files[number - 1]
    if not (file.is_absolute() and is_file(file)):
        raise InvalidRequestError(
            f"{clean(file, 200)} is missing.", hint="`blockrun-image-mcp images` lists the files."
        )
    if file.suffix.lower() not in VIEWED_SUFFIXES:  # the system would open it with any program
        raise InvalidRequestError(f"{clean(file, 200)} is not opened: its name is not that of a picture.")
    if click.launch(str(file)):
        hint = f"Open it yourself: {clean(file, 200)}"
        raise StorageError("The system has no viewer that could be started.", hint=hint, charged="no")
    click.echo(f"Opening {file}")  # the system may still fail, and says so itself


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"
