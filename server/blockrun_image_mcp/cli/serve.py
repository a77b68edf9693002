"""The command serve: serves MCP on stdin and stdout."""

import click

from blockrun_image_mcp.cli import options
from blockrun_image_mcp.serving import serve as run


@click.command("serve")
@options.sandbox
@options.gateway
@options.spec
@options.enrich
@click.option("--default-model", metavar="ID", help="The model for calls that name none.")
@click.option("--dir", metavar="FOLDER", help="The folder for pictures that come as data.")
@options.reporting_errors
def serve(sandbox: bool, **flags: str | None) -> None:
    """Serve MCP on stdin and stdout (the default).

    Example: blockrun-image-mcp serve --sandbox
    """
    run(options.chosen(sandbox, flags))
