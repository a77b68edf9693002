"""Reads the values of single settings."""

import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr

from blockrun_image.errors import ConfigurationError
from blockrun_image_mcp.placeholders import is_example

SANDBOX = "sandbox"

SESSION = "session"
"""The value of BLOCKRUN_IMAGE_WALLET for the key in the file of BlockRun's own software."""

UNSET = "is_unset_by_placeholder"
"""The key under which a field says that."""

_MAX_CALL_SECONDS = 3_600
_MAX_CREDENTIAL_BYTES = 4_096
_NO_LIMIT = "none"
_AMOUNT = re.compile(r"\$?(\d{1,9}(?:\.\d{1,6})?)")
_OTHER_LOG_LEVELS = {
    "TRACE": "DEBUG",
    "VERBOSE": "DEBUG",
    "NOTICE": "INFO",
    "WARN": "WARNING",
    "ERR": "ERROR",
    "FATAL": "CRITICAL",
    "OFF": "CRITICAL",
    "SILENT": "CRITICAL",
}
"""The names that other programs have for these levels."""


class Unreadable(Enum):
    """The type of `UNREADABLE`, so that it can be told from a value."""

    UNREADABLE = "unreadable"


UNREADABLE: Final = Unreadable.UNREADABLE
"""The value of a setting that cannot be read; it is not repeated, because it may be a key."""


def setting(variable: str, default: object, *, meaning: str, is_unset_by_placeholder: bool = False) -> Any:  # noqa: ANN401 - as pydantic's own
    """Declare a setting: its environment variable, its default, and its meaning for the operator.

    A placeholder is refused where "not set" could send a key to the wrong host, or lift a limit, and unset elsewhere.
    """
    return Field(default, title=variable, description=meaning, json_schema_extra={UNSET: is_unset_by_placeholder})


@dataclass(frozen=True)
class Source:
    """The source of a credential: its variable, with a value or the name of a file."""

    variable: str
    value: SecretStr | None = None
    file: SecretStr | None = None

    def read(self) -> str:
        """Return the credential; from a file, this is the first line.

        Raises `ConfigurationError` if the file cannot be read or has no credential. The error does not name the file,
        because the name may be a key in the wrong variable.
        """
        if self.value is not None:
            return self.value.get_secret_value()
        if self.file is None:
            raise ConfigurationError(f"{self.variable} can only be {SESSION}, or not set.")
        try:
            line = stripped(_first_line(expanded(self.file.get_secret_value())))
        except UnicodeError:
            raise ConfigurationError(
                f"{self.variable} names a file that is not text in UTF-8.", hint="Save it again as UTF-8."
            ) from None
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{self.variable} names a file that cannot be read ({type(error).__name__}).",
                hint="Name a file whose first line is the credential, and that the server's user may read.",
            ) from None
        if line is None:
            raise ConfigurationError(f"{self.variable} names a file whose first line is empty.")
        if is_example(line):
            raise ConfigurationError(f"{self.variable} names a file that still holds a placeholder.")
        return line


def stripped(text: str | None) -> str | None:
    """Return a value without the space and quotes around it; `None` if it is blank."""
    value = (text or "").strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1].strip()  # values in env files are often quoted
    return value or None


def expanded(text: str) -> Path:
    """Return a path with its home folder and variables expanded.

    They are written as `~` and `$HOME` or, on Windows, `%USERPROFILE%`. Unknown ones stay as they are.
    """
    path = Path(os.path.expandvars(text))
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _first_line(path: Path) -> str:
    if not path.is_file():  # a pipe can be read only once, and its reader could wait for ever
        raise FileNotFoundError
    with path.open("rb") as file:
        content = file.read(_MAX_CREDENTIAL_BYTES)
    is_utf_16 = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))  # Windows PowerShell writes UTF-16
    text = content.decode("utf-16" if is_utf_16 else "utf-8-sig", "replace")  # later lines may be anything
    line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    if "\0" in line or "\N{REPLACEMENT CHARACTER}" in line:
        raise UnicodeError
    return line


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _gateway(value: object) -> object:
    return SANDBOX if isinstance(value, str) and value.lower() == SANDBOX else value


def _log_level(value: object) -> object:
    return _OTHER_LOG_LEVELS.get(value.upper(), value.upper()) if isinstance(value, str) else value


def _folder_or_file(value: object) -> object:
    return expanded(value) if isinstance(value, str) else value


def _folders(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(expanded(each) for each in map(stripped, value.split(os.pathsep)) if each)


def _limit(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lower() == _NO_LIMIT:
        return None
    amount = _AMOUNT.fullmatch(value)
    return Decimal(amount[1]) if amount else UNREADABLE


def _call_seconds(value: object) -> object:
    try:
        seconds = float(value) if isinstance(value, str) else value
    except ValueError:
        return UNREADABLE
    return seconds if isinstance(seconds, float) and 1 <= seconds <= _MAX_CALL_SECONDS else UNREADABLE


Gateway: TypeAlias = Annotated[str | None, BeforeValidator(_gateway)]
SecretWord: TypeAlias = Annotated[SecretStr | None, BeforeValidator(_lower)]
Word: TypeAlias = Annotated[str, BeforeValidator(_lower)]
LogLevel: TypeAlias = Annotated[str, BeforeValidator(_log_level)]
Location: TypeAlias = Annotated[Path | None, BeforeValidator(_folder_or_file)]
Locations: TypeAlias = Annotated[tuple[Path, ...], BeforeValidator(_folders)]
Limit: TypeAlias = Annotated[Decimal | Unreadable | None, BeforeValidator(_limit)]
"""An amount of US dollars; `None` for no limit."""
CallSeconds: TypeAlias = Annotated[float | Unreadable, BeforeValidator(_call_seconds)]
