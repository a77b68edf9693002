"""The options, the start and the error messages shared by several commands."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import anyio
import click

from blockrun_image.arguments import check_arguments
from blockrun_image.errors import ImageError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.cli import output
from blockrun_image_mcp.cli.wording import word_in_options
from blockrun_image_mcp.setting_values import SANDBOX
from blockrun_image_mcp.startup import exit_with, load_backend

if TYPE_CHECKING:
    from blockrun_image_mcp.ledger.ledger import Ledger
    from blockrun_image_mcp.ledger.report import Days

P = ParamSpec("P")
T = TypeVar("T")

gateway = click.option("--gateway", metavar="URL", help="OpenAI-compatible base URL, or sandbox.")
sandbox_ledger = click.option("--sandbox", is_flag=True, help="Use the sandbox's own ledger.")
sandbox = click.option("--sandbox", is_flag=True, help="Use a sandbox in this process: no key, no network, no money.")
spec = click.option("--spec", metavar="FILE", help="A file of models and prices instead of the built-in one.")
enrich = click.option("--enrich", metavar="MODE", help="auto, suggest or off: whether to add missing elements.")
purpose = click.option("--purpose", metavar="KIND", help="Kind of picture, such as portrait or logo_icon.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def wishes(command: Callable[P, None]) -> Callable[P, None]:
    """Add the options for elements to add to the prompt."""
    for name, help in (
        ("--lighting", "Light to add, such as 'golden hour'."),
        ("--composition", "Framing to add, such as close-up."),
        ("--art-style", "Style to add, such as watercolor."),
    ):
        command = click.option(name, metavar="WORDS", help=help)(command)
    return command


def days(command: Callable[P, None]) -> Callable[P, None]:
    """Add the options for a range of UTC days."""
    command = click.option("--until", metavar="DAY", callback=day, help="The last UTC day.")(command)
    since = "The first UTC day, such as 2026-11-22; 7d for the last 7 days."
    return click.option("--since", metavar="DAY", callback=first_day, help=since)(command)


def first_day(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Return the first UTC day of an option's range, such as `2026-11-22`.

    The range of `7d` is seven days, with today as the last.
    """
    ago = re.fullmatch(r"([1-9]\d{0,4})d", text or "")
    return days_ago(int(ago[1]) - 1) if ago else day(context, option, text)


def day(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """Return the UTC day of an option: a date, `today`, or `7d` for seven days ago."""
    if text is None:
        return None
    ago = re.fullmatch(r"(\d{1,5})d", text)
    if ago or text == "today":
        return days_ago(int(ago[1]) if ago else 0)
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise click.BadParameter(
            "it must be a day such as 2026-11-22, today, or a number of days such as 7d."
        ) from None


def days_ago(count: int) -> str:
    """Return the UTC day `count` days ago."""
    return (datetime.now(UTC).date() - timedelta(days=count)).isoformat()


def days_from(since: str | None, until: str | None) -> "Days":
    """Return the range of days of two options."""
    from blockrun_image_mcp.ledger.report import ALL_DAYS, Days  # noqa: PLC0415 - loads the ledger

    return Days(since or ALL_DAYS.first, until or ALL_DAYS.last)


def chosen(sandbox: bool, flags: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Return the flags with the chosen gateway; raises `click.UsageError` if there are two."""
    if sandbox and flags.get("gateway"):
        raise click.UsageError("--sandbox and --gateway exclude each other.")
    return dict(flags) | ({"gateway": SANDBOX} if sandbox else {})


def start(sandbox: bool, flags: Mapping[str, str | None]) -> Backend:
    """Read the settings, set up logging, and return the backend.

    Raises `ConfigurationError` for an unusable one.
    """
    backend = load_backend(chosen(sandbox, flags))
    backend.check_description()
    return backend


def reporting_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an `ImageError` into a message on stderr and exit status 1.

    With --json, the error is also printed as JSON on stdout.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ImageError as error:
            word_in_options(error)
            if kwargs.get("as_json"):
                output.print_json(error.to_dict())
            exit_with(error)

    return run


def check_options(backend: Backend, tool: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Check the options as the tool's arguments, and return them."""
    schema = next(schema for schema in backend.schemas() if schema.name == tool)
    return check_arguments(schema, arguments)


def ask_ledger(backend: Backend, question: "Callable[[Ledger], Awaitable[T]]") -> T:
    """Return the answer of the operator's ledger to a question."""

    async def ask() -> T:
        async with backend:
            return await question(backend.operator_ledger())

    return anyio.run(ask)
