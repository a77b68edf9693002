"""The command generate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import click

from blockrun_image.ports import OnStatus
from blockrun_image.results import GeneratedImages
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.cli import options, terminal
from blockrun_image_mcp.cli.saving import Destination
from blockrun_image_mcp.ledger.confirmation import Ask, confirming
from blockrun_image_mcp.settings import VARIABLES

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_ARGUMENTS = ("model", "size", "quality", "n", "enrich", "purpose", "art_style", "composition", "lighting")


@click.command("generate")
@click.argument("prompt")
@click.option("--model", metavar="ID", help="The model's id; the command models lists them.")
@click.option("--size", metavar="WxH", help="The model's default if not given.")
@click.option("--quality", help="standard or hd.")
@click.option("-n", "n", metavar="COUNT", help="How many images.")
@click.option("--image", "images", metavar="FILE", multiple=True, help="Start from this picture; may be repeated.")
@click.option("--mask", metavar="FILE", help="A PNG whose white or transparent area changes.")
@click.option("--parameter", "parameters", metavar="NAME=VALUE", multiple=True, help="What else the model takes.")
@options.enrich
@options.purpose
@options.wishes
@click.option("--output", metavar="FILE", type=_FILE, help="Save as this file; of several, {n} is the number.")
@click.option("--save", metavar="FOLDER", type=_FOLDER, help="Save the pictures in this folder.")
@options.as_json
@options.sandbox
@options.gateway
@options.spec
@options.reporting_errors
def generate(
    prompt: str,
    output: Path | None,
    save: Path | None,
    as_json: bool,
    sandbox: bool,
    **flags: Any,  # noqa: ANN401 - what click passes
) -> None:
    """Make images. This costs money, unless on the sandbox.

    Example: blockrun-image-mcp generate "A red fox in the snow" --model dall-e-3 --sandbox --output fox.png
    """
    destination = Destination.from_options(save, output)
    images, mask, parameters = flags.pop("images"), flags.pop("mask"), flags.pop("parameters")
    arguments: dict[str, str | None] = {name: flags.pop(name) for name in _ARGUMENTS} | {"prompt": prompt}
    backend = options.start(sandbox, flags)
    arguments["model"] = arguments["model"] or backend.defaults.model
    terminal.fetch_list_if_needed(backend, arguments["model"])  # before the check, which refuses unknown models
    if arguments["model"] is None:
        raise _no_model(backend, arguments)
    files = _Files(backend)
    inputs = {"images": [files.named(each) for each in images], "mask": files.named(mask)}
    checked = options.check_options(backend, "generate_image", {**_pairs(parameters), **arguments, **inputs})
    if destination is not None:
        destination.use_in(backend, checked.get("n") or 1)
    save_as = None if destination is None else destination.save_as

    async def call(toolset: ImageToolset, on_status: OnStatus, ask: Ask) -> GeneratedImages:
        return await toolset.generate_image(**checked, save_as=save_as, on_status=on_status, approve=confirming(ask))

    anyio.run(terminal.generate, backend, call, as_json)


@dataclass(frozen=True)
class _Files:
    """The files that the user names: each may be read, wherever it is."""

    backend: Backend

    def named(self, name: str | None) -> str | None:
        """Return a file's real path, or the name of any other picture."""
        if not name or not Path(name).is_file():
            return name
        path = Path(name).resolve()
        self.backend.read_also_in(path.parent)
        return str(path)


def _pairs(parameters: Sequence[str]) -> Mapping[str, str]:
    pairs = [each.partition("=") for each in parameters]
    wrong = next((f"{name}{sign}{value}" for name, sign, value in pairs if not (name and sign)), None)
    if wrong is not None:
        raise click.UsageError(f"--parameter takes NAME=VALUE, not {wrong}.")
    return {name: value for name, _, value in pairs}


def _no_model(backend: Backend, arguments: Mapping[str, str | None]) -> Exception:
    """Return the error for a call without a model, with the cheapest suitable one."""
    default = backend.settings.default_model
    if default:  # it is set, but not in the catalog
        error = backend.catalog.unknown_model(default)
        error.append_hints([f"{VARIABLES['default_model']} sets it."])
        return error
    wanted = options.check_options(
        backend, "estimate_cost", {name: arguments[name] for name in ("size", "quality", "n")}
    )
    cheapest = backend.toolset.estimate_cost(**wanted).estimates[0]
    return click.UsageError(
        f"Name a model with --model. The cheapest for this call is {cheapest.label()} ({cheapest.price_text()}):"
        f" --model {cheapest.model}. {VARIABLES['default_model']} sets a default."
    )
