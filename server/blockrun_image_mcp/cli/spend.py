"""The command spend."""

from typing import TYPE_CHECKING

import click

from blockrun_image_mcp.cli import options, terminal

if TYPE_CHECKING:
    from blockrun_image_mcp.ledger.report import GroupedBy


@click.command("spend")
@options.days
@click.option("--by", type=click.Choice(["day", "model"]), help="Group by day or by model.")
@options.sandbox_ledger
@options.as_json
@options.reporting_errors
def spend(since: str | None, until: str | None, by: "GroupedBy | None", sandbox: bool, as_json: bool) -> None:
    """Show what was spent today (UTC) or on given days, what is held or unknown, and what is left. Free and offline.

    Example: blockrun-image-mcp spend --since 7d --by model
    """
    backend = options.start(sandbox, {})
    if since or until or by:
        days = options.days_from(since, until)
        terminal.show(options.ask_ledger(backend, lambda ledger: ledger.spending(days, by or "day")), as_json)
    else:
        terminal.show(options.ask_ledger(backend, lambda ledger: ledger.spending_today()), as_json)
    if backend.is_sandbox and not as_json:
        click.echo("Sandbox: none of this was charged.")
