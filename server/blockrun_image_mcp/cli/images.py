"""The command images."""

import click

from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.cli import options, output


@click.command("images")
@click.option("--most", type=click.IntRange(1, 1_000), default=10, show_default=True, help="How many, newest first.")
@options.days
@options.sandbox_ledger
@options.as_json
@options.reporting_errors
def images(most: int, since: str | None, until: str | None, sandbox: bool, as_json: bool) -> None:
    """Show the latest pictures: time, cost, prompt, URLs and files. Free and offline.

    Example: blockrun-image-mcp images --since 2026-11-22
    """
    backend = options.start(sandbox, {})
    days = options.days_from(since, until)
    entries = options.ask_ledger(backend, lambda ledger: ledger.recent(most, days=days))
    if as_json:
        listed = [entry.to_dict(is_sandbox=backend.is_sandbox) for entry in entries]
        output.print_json(listed)
    else:
        click.echo("\n".join(entry.to_text() for entry in entries) or _none_yet(backend))


def _none_yet(backend: Backend) -> str:
    has_others = not backend.is_sandbox and backend.has_sandbox_ledger
    return "There are none yet." + (" --sandbox shows those of the sandbox." if has_others else "")
