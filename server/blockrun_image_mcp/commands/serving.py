"""The command that serves MCP, which loads no more than a start needs."""

import gc
from collections.abc import Generator
from contextlib import contextmanager

import anyio
import click

from blockrun_image_mcp.commands import options
from blockrun_image_mcp.service import build_server


@click.command()
@options.sandbox
@options.gateway
@options.spec
@options.enrich
@click.option("--default-model", metavar="ID", help="The model of calls that name none.")
@click.option("--dir", metavar="FOLDER", help="Where pictures are kept that come as data.")
@options.reporting_errors
def serve(sandbox: bool, **flags: str | None) -> None:
    """Serve MCP on stdin and stdout (the default).

    Example: blockrun-image-mcp serve --sandbox
    """
    with _nothing_collected():
        from blockrun_image_mcp.transports import serve_stdio  # noqa: PLC0415 - loads mcp, with nothing collected

        settings, catalog = options.start(sandbox, flags)
        closed = anyio.Event()
        server = build_server(settings, catalog, closed.set)
    anyio.run(serve_stdio, server, closed)


@contextmanager
def _nothing_collected() -> Generator[None]:
    """Keep the garbage collector from what is loaded: none of it is garbage, and looking is a tenth of the start."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
