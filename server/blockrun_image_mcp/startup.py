"""The start of every command: settings, logging and backend."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from blockrun_image.errors import GatewayError, ImageError, StorageError, UnexpectedError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.logs import Redactor, configure_logging
from blockrun_image_mcp.settings import Settings
from blockrun_image_mcp.timings import DEFAULT, Timings

_ABOUT_MONEY = (GatewayError, StorageError, UnexpectedError)


def load_backend(
    flags: Mapping[str, str | None], timings_for: Callable[[Settings], Timings] = lambda _: DEFAULT
) -> Backend:
    """Read the settings, set up logging and return the backend.

    With the default timings, as at a terminal, a call has no time limit.
    """
    settings = Settings.read(os.environ, **flags)
    mistake = settings.mistakes.get("log_level")
    configure_logging(str(mistake.instead) if mistake else settings.log_level, Redactor(settings.credentials.values()))
    return Backend(settings, timings=timings_for(settings))


def exit_with(error: ImageError) -> NoReturn:
    """Print the error to stderr and exit with status 1."""
    print_error(error)
    sys.exit(1)


def print_error(error: ImageError) -> None:
    """Print the error to stderr in words for a person, without secrets."""
    is_about_money = isinstance(error, _ABOUT_MONEY)
    words = error.to_text(is_agent=False) if is_about_money else f"{error.message} {error.hint}".strip()
    sys.stderr.write(f"Error: {Redactor()(words)}\n")
