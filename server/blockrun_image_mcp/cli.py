"""The command `blockrun-image-mcp`: the server, the sandbox, and the three tools for a person at a terminal."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import anyio
import click

from blockrun_image.arguments import check_arguments
from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import enrich
from blockrun_image.errors import GatewayError, ImageError, StorageError, UnexpectedError
from blockrun_image.images import Defaults, ImageArguments
from blockrun_image.ports import OnStatus
from blockrun_image.results import GeneratedImages
from blockrun_image.schemas import tool_schemas
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp import terminal
from blockrun_image_mcp.app import build_server, with_known_defaults
from blockrun_image_mcp.logs import Redactor, configure_logging
from blockrun_image_mcp.settings import SANDBOX, Settings

P = ParamSpec("P")

_ASKED = ("model", "size", "quality", "n", "enrich", "purpose", "art_style", "composition", "lighting")
_ABOUT_MONEY = (GatewayError, StorageError, UnexpectedError)


class _Cli(click.Group):
    """Serves when no command is given, as hosts start it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["serve"])


@click.group(cls=_Cli, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="blockrun-image-mcp")
def main() -> None:
    """Make pictures over the Model Context Protocol, and know what they cost.

    Without a command, it serves MCP on stdin and stdout. Settings come from the environment; the README lists them.
    """


def _reporting_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an `ImageError` into its words on stderr and exit status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ImageError as error:
            words = error.to_text() if isinstance(error, _ABOUT_MONEY) else f"{error.message} {error.hint}".strip()
            click.echo(f"Error: {Redactor()(words)}", err=True)
            sys.exit(1)

    return run


_gateway = click.option("--gateway", metavar="URL", help="OpenAI-compatible base URL, or sandbox.")
_sandbox = click.option("--sandbox", is_flag=True, help="Use a sandbox in this process: no key, no network, no money.")
_spec = click.option("--spec", metavar="FILE", help="Another description of the API than the built-in openapi.json.")
_enrich = click.option("--enrich", metavar="MODE", help="auto, suggest or off: whether missing tips are added.")
_purpose = click.option("--purpose", metavar="KIND", help="What it is for, such as portrait or logo_icon.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _wishes(command: Callable[P, None]) -> Callable[P, None]:
    """Add the options that say what to add to the prompt."""
    for name, help in (
        ("--lighting", "Light to add, such as 'golden hour'."),
        ("--composition", "Framing to add, such as close-up."),
        ("--art-style", "Style to add, such as watercolor."),
    ):
        command = click.option(name, metavar="WORDS", help=help)(command)
    return command


@main.command()
@_sandbox
@_gateway
@_spec
@_enrich
@click.option("--default-model", metavar="ID", help="The model of calls that name none.")
@click.option("--dir", metavar="FOLDER", help="Where pictures are kept that come as data.")
@_reporting_errors
def serve(sandbox: bool, **flags: str | None) -> None:
    """Serve MCP on stdin and stdout (the default).

    Example: blockrun-image-mcp serve --sandbox
    """
    with _nothing_collected():
        from blockrun_image_mcp.transports import serve_stdio  # noqa: PLC0415 - mcp is for this command only

        settings, catalog = _start(sandbox, flags)
        closed = anyio.Event()
        server = build_server(settings, catalog, closed.set)
    anyio.run(serve_stdio, server, closed)


@main.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=8402, show_default=True, help="0 takes any free one.")
@_spec
@_reporting_errors
def sandbox_command(port: int, spec: str | None) -> None:
    """Run the image API's sandbox on this machine until Ctrl-C: real HTTP, drawn pictures, no money.

    Example: blockrun-image-mcp sandbox --port 8402
    """
    _, catalog = _start(sandbox=False, flags={"spec": spec})
    anyio.run(_run_sandbox, catalog, port)


@main.command()
@click.argument("prompt")
@click.option("--model", metavar="ID", help="The model; see the command models.")
@click.option("--size", metavar="WxH", help="The model's default if not given.")
@click.option("--quality", help="standard or hd.")
@click.option("-n", "n", metavar="COUNT", help="How many images.")
@_enrich
@_purpose
@_wishes
@click.option("--save", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path), help="Save them there too.")
@_json
@_sandbox
@_gateway
@_spec
@_reporting_errors
def generate(prompt: str, save: Path | None, as_json: bool, sandbox: bool, **flags: str | None) -> None:
    """Make images. This costs money, unless on the sandbox.

    Example: blockrun-image-mcp generate "A red fox in the snow" --model dall-e-3 --sandbox --save .
    """
    asked = {name: flags.pop(name) for name in _ASKED} | {"prompt": prompt}
    settings, catalog = _start(sandbox, flags)
    checked = _checked(catalog, "generate_image", asked, settings.defaults)

    async def call(toolset: ImageToolset, on_status: OnStatus) -> GeneratedImages:
        return await toolset.generate_image(**checked, on_status=on_status)

    anyio.run(terminal.generate, settings, catalog, call, save, as_json)


@main.command()
@click.option("--use-case", metavar="NAME", help="Only models recommended for it, such as fast_and_cheap.")
@click.option("--max-price-usd", metavar="USD", help="Only models with an image at most this dear.")
@_json
@_spec
@_reporting_errors
def models(as_json: bool, spec: str | None, **asked: str | None) -> None:
    """List the models with sizes, prices, limits and recommended uses. Free and offline.

    Example: blockrun-image-mcp models --max-price-usd 0.05
    """
    _, catalog = _start(sandbox=False, flags={"spec": spec})
    terminal.show(ImageToolset(catalog).list_models(**_checked(catalog, "list_models", asked)), as_json)


@main.command()
@click.option("--model", metavar="ID", help="Without one, all models are compared.")
@click.option("--size", metavar="WxH", help="The model's default if not given.")
@click.option("--quality", help="standard or hd.")
@click.option("-n", "n", metavar="COUNT", help="How many images.")
@click.option("--prompt", help="A dry run: show what would be sent of it, and why.")
@_enrich
@_purpose
@_json
@_spec
@_reporting_errors
def estimate(as_json: bool, spec: str | None, **asked: str | None) -> None:
    """Price a generation without making it. Free and offline.

    Example: blockrun-image-mcp estimate --model dall-e-3 --quality hd --size 1792x1024
    """
    settings, catalog = _start(sandbox=False, flags={"spec": spec})
    toolset = ImageToolset(catalog, defaults=settings.defaults)
    terminal.show(toolset.estimate_cost(**_checked(catalog, "estimate_cost", asked)), as_json)


@main.command("prompt")
@click.argument("prompt")
@click.option("--model", metavar="ID", help="The model; the default one, or the first, if not given.")
@click.option("--size", metavar="WxH", help="A wide or tall size is named in the composition.")
@_purpose
@_wishes
@_json
@_spec
@_reporting_errors
def prompt_command(prompt: str, model: str | None, as_json: bool, spec: str | None, **asked: str | None) -> None:
    """Show what enrichment would do to a prompt: what it has, what would be added and why. Free and offline.

    Example: blockrun-image-mcp prompt "A dog" --purpose portrait
    """
    settings, catalog = _start(sandbox=False, flags={"spec": spec})
    checked = _checked(catalog, "generate_image", asked | {"prompt": prompt, "model": _model(settings, catalog, model)})
    request = catalog.resolve(ImageArguments(prompt, checked.pop("model"), checked.pop("size", None)))
    enriched = enrich(checked.pop("prompt"), model=catalog.find(request.model), size=request.size, **checked)
    terminal.show_enrichment(enriched, request.model, as_json)


@main.command()
@_sandbox
@_gateway
@_spec
@_reporting_errors
def doctor(sandbox: bool, **flags: str | None) -> None:
    """Check the settings, the credential's shape, the gateway and the folders, and say what to do. Free.

    Example: blockrun-image-mcp doctor
    """
    from blockrun_image_mcp.doctor import examine  # noqa: PLC0415 - httpx2 is for this command only

    settings, catalog = _start(sandbox, flags)
    findings = anyio.run(examine, settings, catalog, os.environ)
    for finding in findings:
        click.echo(Redactor(settings.credentials.values())(str(finding)))
    if any(finding.is_trouble for finding in findings):
        sys.exit(1)


def _start(sandbox: bool, flags: Mapping[str, str | None]) -> tuple[Settings, Catalog]:
    """Read the settings, set up logging, and read the catalogue."""
    if sandbox and flags.get("gateway"):
        raise click.UsageError("--sandbox and --gateway exclude each other.")
    settings = Settings.read(os.environ, **(dict(flags) | ({"gateway": SANDBOX} if sandbox else {})))
    configure_logging(settings.log_level, Redactor(settings.credentials.values()))
    catalog = Catalog.load(settings.spec)
    return with_known_defaults(settings, catalog), catalog


@contextmanager
def _nothing_collected() -> Generator[None]:
    """Keep the garbage collector from what is loaded: none of it is garbage, and looking is a tenth of the start."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _model(settings: Settings, catalog: Catalog, model: str | None) -> str:
    return model or settings.default_model or next(iter(catalog.models))


def _checked(
    catalog: Catalog, tool: str, asked: Mapping[str, object], defaults: Defaults | None = None
) -> dict[str, Any]:
    """Check what was asked for as the tool's own arguments would be."""
    schema = next(schema for schema in tool_schemas(catalog, defaults) if schema.name == tool)
    return check_arguments(schema, asked)


async def _run_sandbox(catalog: Catalog, port: int) -> None:
    from blockrun_image_mcp.sandbox.server import running_sandbox  # noqa: PLC0415 - uvicorn is for this command only

    async with running_sandbox(catalog, port) as origin:
        click.echo(f"The sandbox is at {origin}/v1 (any key that starts with brk_). Ctrl-C ends it.")
        if sys.platform == "win32":
            await anyio.sleep_forever()
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                break
