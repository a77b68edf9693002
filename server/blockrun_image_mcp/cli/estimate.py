"""The command estimate."""

import anyio
import click

from blockrun_image_mcp.cli import options, terminal

_PRICED = ("model", "size", "quality", "n", "prompt", "enrich", "purpose")


@click.command("estimate")
@click.option("--model", metavar="ID", help="Without one, all models are compared.")
@click.option("--size", metavar="WxH", help="The model's default if not given.")
@click.option("--quality", help="standard or hd.")
@click.option("-n", "n", metavar="COUNT", help="How many images.")
@click.option("--prompt", help="A dry run: show the prompt that would be sent, and why.")
@options.enrich
@options.purpose
@click.option("--live", is_flag=True, help="Ask the gateway for its exact price, for free; needs a wallet.")
@options.as_json
@options.gateway
@options.spec
@options.reporting_errors
def estimate(live: bool, as_json: bool, **given: str | None) -> None:
    """Estimate what images cost without making them. Free, and offline unless --live.

    Example: blockrun-image-mcp estimate --model dall-e-3 --quality hd --size 1792x1024
    """
    arguments = {name: given.pop(name) for name in _PRICED}
    backend = options.start(sandbox=False, flags=given)
    checked = options.check_options(backend, "estimate_cost", arguments)
    anyio.run(lambda: terminal.estimate(backend, checked, live=live, as_json=as_json))
