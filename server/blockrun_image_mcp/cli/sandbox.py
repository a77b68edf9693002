"""The command sandbox: runs the image API's sandbox as a server."""

import anyio
import click

from blockrun_image.catalog import Catalog
from blockrun_image_mcp.cli import options
from blockrun_image_mcp.signals import ending_signals


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=8402, show_default=True, help="0 picks any free port.")
@options.spec
@options.reporting_errors
def sandbox(port: int, spec: str | None) -> None:
    """Run the image API's sandbox on this machine until Ctrl-C: real HTTP, drawn pictures, no money.

    Example: blockrun-image-mcp sandbox --port 8402
    """
    catalog = options.start(sandbox=False, flags={"spec": spec}).catalog
    anyio.run(_run, catalog.contract or catalog, port)


async def _run(catalog: Catalog, port: int) -> None:
    from blockrun_image_sandbox.server import running_sandbox  # noqa: PLC0415 - loads uvicorn, which --help need not

    with ending_signals() as signals:
        async with running_sandbox(catalog, port) as origin:
            click.echo(f"The sandbox is at {origin}/v1 (any key that starts with brk_). Ctrl-C ends it.")
            async for _ in signals:
                break
