"""The command prune."""

import click

from blockrun_image_mcp.cli import options


@click.command("prune")
@click.option("--before", metavar="DAY", required=True, callback=options.day, help="Such as 2026-01-01, or 90d.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@options.sandbox_ledger
@options.reporting_errors
def prune(before: str, yes: bool, sandbox: bool) -> None:
    """Remove the records of calls before a UTC day, except those that are held or unknown. Saved pictures stay.

    Example: blockrun-image-mcp prune --before 365d
    """
    if before >= options.days_ago(1):
        raise click.UsageError("The last two days are kept: the limits and repeated calls need them.")
    if not yes:
        click.confirm(f"Remove the records of all calls before {before}?", abort=True)
    count = options.ask_ledger(options.start(sandbox, {}), lambda ledger: ledger.remove_before(before))
    click.echo(f"Removed {count} calls made before {before}.")
