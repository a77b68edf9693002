"""What several commands share: their options, how they start, and how they say that something went wrong."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec

import click

from blockrun_image.errors import ImageError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.settings import SANDBOX
from blockrun_image_mcp.startup import exit_with, load_backend

P = ParamSpec("P")

gateway = click.option("--gateway", metavar="URL", help="OpenAI-compatible base URL, or sandbox.")
sandbox = click.option("--sandbox", is_flag=True, help="Use a sandbox in this process: no key, no network, no money.")
spec = click.option("--spec", metavar="FILE", help="Another description of the API than the built-in openapi.json.")
enrich = click.option("--enrich", metavar="MODE", help="auto, suggest or off: whether missing tips are added.")
purpose = click.option("--purpose", metavar="KIND", help="What it is for, such as portrait or logo_icon.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def wishes(command: Callable[P, None]) -> Callable[P, None]:
    """Add the options that say what to add to the prompt."""
    for name, help in (
        ("--lighting", "Light to add, such as 'golden hour'."),
        ("--composition", "Framing to add, such as close-up."),
        ("--art-style", "Style to add, such as watercolor."),
    ):
        command = click.option(name, metavar="WORDS", help=help)(command)
    return command


def chosen(sandbox: bool, flags: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Return the flags with the gateway that was chosen."""
    if sandbox and flags.get("gateway"):
        raise click.UsageError("--sandbox and --gateway exclude each other.")
    return dict(flags) | ({"gateway": SANDBOX} if sandbox else {})


def start(sandbox: bool, flags: Mapping[str, str | None]) -> Backend:
    """Read the settings, set up logging, and return the backend; raises `ConfigurationError` for an unusable one."""
    backend = load_backend(chosen(sandbox, flags))
    backend.check_description()
    return backend


def reporting_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an `ImageError` into its words on stderr and exit status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ImageError as error:
            exit_with(error)

    return run
