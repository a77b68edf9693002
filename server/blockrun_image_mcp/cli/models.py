"""The command models."""

import anyio
import click

from blockrun_image_mcp.cli import options, terminal


@click.command("models")
@click.option("--search", metavar="WORDS", help="Only models with these words in their id or provider.")
@click.option("--use-case", metavar="NAME", help="Only models recommended for it, such as fast_and_cheap.")
@click.option("--max-price-usd", metavar="USD", help="Only models whose images cost at most this much.")
@click.option("--refresh", is_flag=True, help="Ask the gateway for its list of models first.")
@options.as_json
@options.gateway
@options.spec
@options.reporting_errors
def models(search: str | None, refresh: bool, as_json: bool, **given: str | None) -> None:
    """List the models with sizes, prices, limits and recommended uses. Free, and offline unless --refresh.

    Example: blockrun-image-mcp models --max-price-usd 0.05
    """
    arguments = {name: given.pop(name) for name in ("use_case", "max_price_usd")}
    backend = options.start(sandbox=False, flags=given)
    if refresh:
        anyio.run(terminal.refresh, backend)
    checked = options.check_options(backend, "list_models", arguments)
    terminal.show(backend.toolset.list_models(**checked, search=search or ""), as_json)
