"""Removes what the command images is asked to: old pictures, or a prompt from the ledger."""

import click

from blockrun_image.errors import InvalidRequestError, StorageError
from blockrun_image.text import clean
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.cli import options
from blockrun_image_mcp.images.store import is_as_named
from blockrun_image_mcp.ledger.limits import utc_day


def remove_pictures(backend: Backend, before: str, *, is_confirmed: bool) -> None:
    """Remove the pictures without a name of their own that were saved before a UTC day; raises `StorageError`.

    Those that were saved under a chosen name, or elsewhere, stay.
    """
    folder = backend.folder
    old = [(path, size) for path, saved_at, size in folder.kept() if utc_day(saved_at) < before and is_as_named(path)]
    megabytes = sum(size for _, size in old) / 10**6
    if old and not is_confirmed:
        click.confirm(f"Remove {_pictures(len(old))} ({megabytes:,.1f} MB) saved before {before}?", abort=True)
    for path, _ in old:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{clean(path, 200)} could not be removed: {clean(error.strerror, 80)}.", charged="no"
            ) from error
    click.echo(f"Removed {_pictures(len(old))} ({megabytes:,.1f} MB) from {folder.folder}.")


def forget_prompt(backend: Backend, id: str) -> None:
    """Remove a call's prompt and revised prompts from the ledger; raises `InvalidRequestError` if there is none."""
    if not options.ask_ledger(backend, lambda ledger: ledger.forget(id)):
        raise InvalidRequestError(
            f"There is no finished call with the id {clean(id, 80)}.",
            hint="`blockrun-image-mcp images --json` shows the ids.",
        )
    click.echo("Forgotten. The charge, the URLs and the files stay.")


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"
