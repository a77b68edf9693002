"""The commands generate, models, estimate and prompt.

The first three are an agent's three tools, for a person at a terminal. The last one is a dry run of a prompt.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import click

from blockrun_image.arguments import check_arguments
from blockrun_image.enrichment import enrich
from blockrun_image.images import ImageArguments
from blockrun_image.ports import OnStatus
from blockrun_image.results import GeneratedImages
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.commands import options, terminal
from blockrun_image_mcp.commands.saving import Destination
from blockrun_image_mcp.ledger.confirmation import Ask, confirming
from blockrun_image_mcp.settings import VARIABLES

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_PRICED = ("model", "size", "quality", "n", "prompt", "enrich", "purpose")
_ASKED = ("model", "size", "quality", "n", "enrich", "purpose", "art_style", "composition", "lighting")


@click.command()
@click.argument("prompt")
@click.option("--model", metavar="ID", help="The model; see the command models.")
@click.option("--size", metavar="WxH", help="The model's default if not given.")
@click.option("--quality", help="standard or hd.")
@click.option("-n", "n", metavar="COUNT", help="How many images.")
@options.enrich
@options.purpose
@options.wishes
@click.option("--output", metavar="FILE", type=_FILE, help="Save the picture as this file.")
@click.option("--save", metavar="FOLDER", type=_FOLDER, help="Save the pictures in this folder.")
@options.as_json
@options.sandbox
@options.gateway
@options.spec
@options.reporting_errors
def generate(
    prompt: str, output: Path | None, save: Path | None, as_json: bool, sandbox: bool, **flags: str | None
) -> None:
    """Make images. This costs money, unless on the sandbox.

    Example: blockrun-image-mcp generate "A red fox in the snow" --model dall-e-3 --sandbox --output fox.png
    """
    destination = Destination.named(save, output, flags["n"])
    asked = {name: flags.pop(name) for name in _ASKED} | {"prompt": prompt}
    backend = options.start(sandbox, flags)
    asked["model"] = asked["model"] or backend.defaults.model
    terminal.take_first_list(backend, asked["model"])  # before the check, which refuses unknown models
    if asked["model"] is None:
        raise _no_model(backend, asked)
    checked = _checked(backend, "generate_image", asked)

    async def call(toolset: ImageToolset, on_status: OnStatus, ask: Ask) -> GeneratedImages:
        return await toolset.generate_image(**checked, on_status=on_status, approve=confirming(ask))

    anyio.run(terminal.generate, backend, call, destination, as_json)


@click.command()
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
    asked = {name: given.pop(name) for name in ("use_case", "max_price_usd")}
    backend = options.start(sandbox=False, flags=given)
    if refresh:
        anyio.run(terminal.refresh, backend)
    checked = _checked(backend, "list_models", asked)
    terminal.show(backend.toolset.list_models(**checked, search=search or ""), as_json)


@click.command()
@click.option("--model", metavar="ID", help="Without one, all models are compared.")
@click.option("--size", metavar="WxH", help="The model's default if not given.")
@click.option("--quality", help="standard or hd.")
@click.option("-n", "n", metavar="COUNT", help="How many images.")
@click.option("--prompt", help="A dry run: show what would be sent of it, and why.")
@options.enrich
@options.purpose
@click.option("--live", is_flag=True, help="Ask the gateway for its exact price, for free; needs a wallet.")
@options.as_json
@options.gateway
@options.spec
@options.reporting_errors
def estimate(live: bool, as_json: bool, **given: str | None) -> None:
    """Price a generation without making it. Free, and offline unless --live.

    Example: blockrun-image-mcp estimate --model dall-e-3 --quality hd --size 1792x1024
    """
    asked = {name: given.pop(name) for name in _PRICED}
    backend = options.start(sandbox=False, flags=given)
    checked = _checked(backend, "estimate_cost", asked)
    anyio.run(lambda: terminal.estimate(backend, checked, live=live, as_json=as_json))


@click.command()
@click.argument("prompt")
@click.option("--model", metavar="ID", help="The model; the default one, or the first, if not given.")
@click.option("--size", metavar="WxH", help="A wide or tall size is named in the composition.")
@options.purpose
@options.wishes
@options.as_json
@options.spec
@options.reporting_errors
def prompt(prompt: str, model: str | None, as_json: bool, spec: str | None, **asked: str | None) -> None:
    """Show what enrichment would do to a prompt: what it has, what would be added and why. Free and offline.

    Example: blockrun-image-mcp prompt "A dog" --purpose portrait
    """
    backend = options.start(sandbox=False, flags={"spec": spec})
    catalog = backend.catalog
    chosen = model or backend.defaults.model or next(iter(catalog.models))
    checked = _checked(backend, "generate_image", asked | {"prompt": prompt, "model": chosen})
    request = catalog.resolve(ImageArguments(prompt, checked.pop("model"), checked.pop("size", None)))
    described = catalog.find(request.model)
    enriched = enrich(checked.pop("prompt"), model=described, size=request.size, **checked)
    warnings = [*enriched.warnings, *described.cannot_promise(request.prompt)]
    terminal.show_enrichment(replace(enriched, warnings=warnings), request.model, as_json)


def _no_model(backend: Backend, asked: Mapping[str, str | None]) -> Exception:
    """Return the error for a call without a model, with the cheapest suitable one."""
    default = backend.settings.default_model
    if default:  # it is set, but not in the catalog
        error = backend.catalog.unknown_model(default)
        error.append_hints([f"{VARIABLES['default_model']} names it."])
        return error
    wanted = _checked(backend, "estimate_cost", {name: asked[name] for name in ("size", "quality", "n")})
    cheapest = backend.toolset.estimate_cost(**wanted).estimates[0]
    return click.UsageError(
        f"Name a model with --model. The cheapest for this call is {cheapest.what()} ({cheapest.amount()}): --model"
        f" {cheapest.model}. {VARIABLES['default_model']} sets a default."
    )


def _checked(backend: Backend, tool: str, asked: Mapping[str, object]) -> dict[str, Any]:
    """Check the options as the tool's arguments, and return them."""
    schema = next(schema for schema in backend.schemas() if schema.name == tool)
    return check_arguments(schema, asked)
