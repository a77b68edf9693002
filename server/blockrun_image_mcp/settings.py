"""The operator's settings, from the environment and the command line."""

import logging
import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr

from blockrun_image.enrichment import MODES
from blockrun_image.errors import ConfigurationError
from blockrun_image.images import Defaults
from blockrun_image.joining import SCOPES
from blockrun_image_mcp.placeholders import is_example, is_placeholder

SANDBOX = "sandbox"

VARIABLES: Mapping[str, str] = {
    "gateway": "BLOCKRUN_IMAGE_GATEWAY",
    "credential": "BLOCKRUN_IMAGE_CREDENTIAL",
    "credential_file": "BLOCKRUN_IMAGE_CREDENTIAL_FILE",
    "api_key": "BLOCKRUN_API_KEY",
    "api_key_file": "BLOCKRUN_API_KEY_FILE",
    "api_key_url": "BLOCKRUN_API_KEY_URL",
    "wallet_key": "BLOCKRUN_WALLET_KEY",
    "wallet_key_file": "BLOCKRUN_WALLET_KEY_FILE",
    "wallet": "BLOCKRUN_IMAGE_WALLET",
    "api_url": "BLOCKRUN_API_URL",
    "default_model": "BLOCKRUN_IMAGE_DEFAULT_MODEL",
    "enrich": "BLOCKRUN_IMAGE_ENRICH",
    "max_cost_usd": "BLOCKRUN_IMAGE_MAX_COST_USD",
    "daily_budget_usd": "BLOCKRUN_IMAGE_DAILY_BUDGET_USD",
    "call_seconds": "BLOCKRUN_IMAGE_CALL_SECONDS",
    "confirm_above_usd": "BLOCKRUN_IMAGE_CONFIRM_ABOVE_USD",
    "spec": "BLOCKRUN_IMAGE_SPEC",
    "catalog": "BLOCKRUN_IMAGE_CATALOG",
    "dir": "BLOCKRUN_IMAGE_DIR",
    "state_dir": "BLOCKRUN_IMAGE_STATE_DIR",
    "log_level": "BLOCKRUN_IMAGE_LOG_LEVEL",
}
"""The environment variable of each setting; a blank one is not set."""

_UNSET_BY_PLACEHOLDER = ("default_model", "enrich", "call_seconds", "catalog", "dir", "log_level", "wallet")
"""The settings that a placeholder leaves unset.

In the others, "not set" could send a key to the wrong host, or lift a limit, so a placeholder is refused there.
"""

CALL_SECONDS = "50"
"""The default for the seconds until a call is answered without its pictures."""

_MAX_CALL_SECONDS = 3_600

SESSION = "session"
"""The value of BLOCKRUN_IMAGE_WALLET for the key in the file of BlockRun's own software."""

SESSION_FILE = "~/.blockrun/.session"
"""The file of BlockRun's own software with a wallet's private key, as text."""

RELATIVE = "is not an absolute path: the folder depends on where the server is started"
"""The fault of a relative folder name, to follow the setting's name."""

_log = logging.getLogger(__name__)

_MAX_CREDENTIAL_BYTES = 4_096
_PREFIX = "BLOCKRUN_"
_OWN_PREFIX = "BLOCKRUN_IMAGE_"
_MONEY_WORDS = re.compile("BUDGET|COST|LIMIT|SPEND|CONFIRM|USD")
_NEAR = 0.85
LIMITS = ("max_cost_usd", "daily_budget_usd", "confirm_above_usd")
"""The settings that limit spending."""

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
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


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _gateway(value: object) -> object:
    return SANDBOX if isinstance(value, str) and value.lower() == SANDBOX else value


def _log_level(value: object) -> object:
    return _OTHER_LOG_LEVELS.get(value.upper(), value.upper()) if isinstance(value, str) else value


def _expanded(value: object) -> object:
    return _path(value) if isinstance(value, str) else value


def _path(text: str) -> Path:
    """Return a path with its home folder and variables expanded.

    They are written as `~` and `$HOME` or, on Windows, `%USERPROFILE%`. Unknown ones stay as they are.
    """
    path = Path(os.path.expandvars(text))
    try:
        return path.expanduser()
    except RuntimeError:
        return path


@dataclass(frozen=True)
class Mistake:
    """An unusable value: its fault in words, and the value used instead."""

    words: str
    instead: str


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
            line = _value(_first_line(_path(self.file.get_secret_value())))
        except UnicodeError:
            raise ConfigurationError(
                f"{self.variable} names a file that is not text in UTF-8.", hint="Save it again as UTF-8."
            ) from None
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{self.variable} names no file that can be read ({type(error).__name__}).",
                hint="Name a file whose first line is the credential, and that the server's user may read.",
            ) from None
        if line is None:
            raise ConfigurationError(f"{self.variable} names a file whose first line is empty.")
        if is_example(line):
            raise ConfigurationError(f"{self.variable} names a file that still holds a placeholder.")
        return line


class Settings(BaseModel):
    """The operator's settings; `None` means "not set"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gateway: Annotated[str | None, BeforeValidator(_gateway)] = None
    credential: SecretStr | None = None
    credential_file: SecretStr | None = None
    api_key: SecretStr | None = None
    api_key_file: SecretStr | None = None
    api_key_url: str | None = None
    wallet_key: SecretStr | None = None
    wallet_key_file: SecretStr | None = None
    wallet: Annotated[SecretStr | None, BeforeValidator(_lower)] = None
    api_url: str | None = None
    default_model: str | None = None
    enrich: Annotated[str, BeforeValidator(_lower)] = "auto"
    max_cost_usd: str = "1.50"
    daily_budget_usd: str = "10.00"
    call_seconds: str = CALL_SECONDS
    confirm_above_usd: str | None = None
    catalog: Annotated[str, BeforeValidator(_lower)] = "both"
    spec: Annotated[Path | None, BeforeValidator(_expanded)] = None
    dir: Annotated[Path | None, BeforeValidator(_expanded)] = None
    state_dir: Annotated[Path | None, BeforeValidator(_expanded)] = None
    log_level: Annotated[str, BeforeValidator(_log_level)] = "WARNING"
    misspelt: Mapping[str, str] = {}
    """Unknown variables in the environment, with the setting that each may mean."""

    @classmethod
    def read(cls, environ: Mapping[str, str], **flags: str | None) -> "Settings":
        """Read the settings from the environment; a flag takes precedence over its variable.

        Every value lets the server start: an unusable one is refused by the calls that need it.
        """
        given = {field: environ.get(variable) for field, variable in VARIABLES.items()} | {
            field: value for field, value in flags.items() if _setting(field, value) is not None
        }
        values = {field: _setting(field, value) for field, value in given.items()}
        found = {field: value for field, value in values.items() if value is not None}
        return cls.model_validate({**found, "misspelt": _misspelt(environ)})

    @property
    def mistakes(self) -> Mapping[str, Mistake]:
        """The unusable values that have a replacement, by field.

        The words never quote a value, because it may be a key.
        """
        mistakes: dict[str, Mistake] = {}
        if self.log_level not in _LOG_LEVELS:
            mistakes["log_level"] = Mistake(f"must be one of {', '.join(_LOG_LEVELS)}; using WARNING", "WARNING")
        if self.catalog not in SCOPES:
            mistakes["catalog"] = Mistake(f"must be one of {', '.join(SCOPES)}; using both", "both")
        if self.enrich not in MODES:
            mistakes["enrich"] = Mistake(f"must be one of {', '.join(MODES)}; prompts are sent as they are", "off")
        if self.call_timeout_seconds is None:
            mistakes["call_seconds"] = Mistake(f"cannot be read; using {CALL_SECONDS} seconds", CALL_SECONDS)
        return mistakes

    @property
    def is_dir_relative(self) -> bool:
        """Whether the images folder is relative by mistake; `.` is relative on purpose.

        A relative folder depends on where a host starts the server.
        """
        return self.dir is not None and not self.dir.is_absolute() and self.dir != Path()

    def with_valid_values(self) -> "Settings":
        """Return the settings with mistakes replaced, and log a warning for each.

        A mistake must not keep the server from starting.
        """
        for field, mistake in self.mistakes.items():
            _log.warning("%s %s", VARIABLES[field], mistake.words)
        for name, meant in self.misspelt.items():
            _log.warning("%s is not a setting; did you mean %s?", name, meant)
        if self.is_dir_relative:
            _log.warning("%s %s", VARIABLES["dir"], RELATIVE)
        for field in ("max_cost_usd", "daily_budget_usd"):
            if getattr(self, field).lower() == "none":
                _log.warning("%s is none: nothing limits what is spent", VARIABLES[field])
        return self.model_copy(update={field: mistake.instead for field, mistake in self.mistakes.items()})

    @property
    def call_timeout_seconds(self) -> float | None:
        """The seconds until a call is answered without its pictures; `None` if unreadable."""
        try:
            seconds = float(self.call_seconds)
        except ValueError:
            return None
        return seconds if 1 <= seconds <= _MAX_CALL_SECONDS else None

    @property
    def defaults(self) -> Defaults:
        """Defaults for arguments that a call leaves out."""
        return Defaults(self.default_model, self.enrich)

    @property
    def sources(self) -> Sequence[Source]:
        """The sources of all credentials set, in order of precedence.

        A value takes precedence over its file.
        """
        sources = [
            Source(VARIABLES[field], value) if _is_filled(value) else Source(VARIABLES[f"{field}_file"], file=file)
            for field, value, file in self._kept
            if _is_filled(value) or _is_filled(file)
        ]
        if self.wallet is None:
            return sources
        file = SecretStr(SESSION_FILE) if self.wallet.get_secret_value() == SESSION else None
        return [*sources, Source(VARIABLES["wallet"], file=file)]

    @property
    def unfilled(self) -> Sequence[str]:
        """The variables with only a placeholder, up to the first credential that is set."""
        unfilled: list[str] = []
        for field, value, file in self._kept:
            if _is_filled(value) or _is_filled(file):
                break
            unfilled += [VARIABLES[field]] if value else [VARIABLES[f"{field}_file"]] if file else []
        return unfilled

    @property
    def _kept(self) -> Sequence[tuple[str, SecretStr | None, SecretStr | None]]:
        """Each credential's field, value and file, in order of precedence."""
        return [
            ("credential", self.credential, self.credential_file),
            ("api_key", self.api_key, self.api_key_file),
            ("wallet_key", self.wallet_key, self.wallet_key_file),
        ]

    @property
    def credentials(self) -> Mapping[str, str]:
        """The readable credentials by their variables, in order of precedence."""
        read: dict[str, str] = {}
        for source in self.sources:
            with suppress(ConfigurationError):
                read[source.variable] = source.read()
        return read


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


def _is_filled(secret: SecretStr | None) -> bool:
    return secret is not None and bool(secret) and not is_example(secret.get_secret_value())


def _misspelt(environ: Mapping[str, str]) -> Mapping[str, str]:
    known = list(VARIABLES.values())
    names = [name for name in sorted(environ) if name.startswith(_PREFIX) and name not in known and environ[name]]
    near = {name: _setting_meant_by(name, known) for name in names if name.isascii()}
    return {name: meant for name, meant in near.items() if meant}


def _setting_meant_by(name: str, known: Sequence[str]) -> str | None:
    """Return the likely setting for a misspelt variable.

    A variable of ours that is about money always means a limit: a mistake there must not go unnoticed.
    """
    is_about_money = name.startswith(_OWN_PREFIX) and _MONEY_WORDS.search(name)
    limits = [VARIABLES[field] for field in LIMITS]
    near = get_close_matches(name, limits, n=1, cutoff=0) if is_about_money else []
    return next(iter(near or get_close_matches(name, known, n=1, cutoff=_NEAR)), None)


def _setting(field: str, text: str | None) -> str | None:
    value = _value(text)
    return None if value is not None and field in _UNSET_BY_PLACEHOLDER and is_placeholder(value) else value


def _value(text: str | None) -> str | None:
    stripped = (text or "").strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "\"'":
        stripped = stripped[1:-1].strip()  # values in env files are often quoted
    return stripped or None
