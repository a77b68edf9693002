"""How every command begins: settings, logging, and the backend that they ask for."""

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

from blockrun_image.errors import GatewayError, ImageError, StorageError, UnexpectedError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.logs import Redactor, configure_logging
from blockrun_image_mcp.settings import Settings
from blockrun_image_mcp.timings import DEFAULT, Timings

_ABOUT_MONEY = (GatewayError, StorageError, UnexpectedError)


def load_backend(flags: Mapping[str, str | None], *, answers_in_time: bool = False) -> Backend:
    """Read the settings, set up logging, and return the backend.

    With `answers_in_time`, calls are answered within the time that the settings name. Raises `ConfigurationError` and
    `SpecError`.
    """
    settings = Settings.read(os.environ, **flags)
    configure_logging(settings.log_level, Redactor(settings.credentials.values()))
    return Backend(settings, timings=Timings.for_calls(settings) if answers_in_time else DEFAULT)


def exit_with(error: ImageError) -> NoReturn:
    """Say on stderr what went wrong, and end the process with status 1."""
    words = error.to_text() if isinstance(error, _ABOUT_MONEY) else f"{error.message} {error.hint}".strip()
    sys.stderr.write(f"Error: {Redactor()(words)}\n")
    sys.exit(1)
