"""The command prompt: a dry run of enrichment."""

from dataclasses import replace

import click

from blockrun_image.enrichment import enrich
from blockrun_image.images import ImageArguments
from blockrun_image_mcp.cli import options, terminal


@click.command("prompt")
@click.argument("prompt")
@click.option("--model", metavar="ID", help="The model's id. Default: the default model, or the first.")
@click.option("--size", metavar="WxH", help="A wide or tall size is named in the composition.")
@options.purpose
@options.wishes
@options.as_json
@options.spec
@options.reporting_errors
def prompt(prompt: str, model: str | None, as_json: bool, spec: str | None, **arguments: str | None) -> None:
    """Show what enrichment would do to a prompt: what it has, what would be added and why. Free and offline.

    Example: blockrun-image-mcp prompt "A dog" --purpose portrait
    """
    backend = options.start(sandbox=False, flags={"spec": spec})
    catalog = backend.catalog
    chosen = model or backend.defaults.model or next(iter(catalog.models))
    checked = options.check_options(backend, "generate_image", arguments | {"prompt": prompt, "model": chosen})
    request = catalog.resolve(ImageArguments(prompt, checked.pop("model"), checked.pop("size", None)))
    described = catalog.find(request.model)
    enriched = enrich(checked.pop("prompt"), model=described, size=request.size, **checked)
    warnings = [*enriched.warnings, *described.cannot_promise(request.prompt)]
    terminal.show_enrichment(replace(enriched, warnings=warnings), request.model, as_json)
