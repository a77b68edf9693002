"""The operator's settings, from the environment and the command line."""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from blockrun_image.enrichment import MODES
from blockrun_image.errors import ConfigurationError
from blockrun_image.images import Defaults
from blockrun_image.joining import SCOPES
from blockrun_image_mcp.placeholders import is_example, is_placeholder
from blockrun_image_mcp.setting_values import (
    SESSION,
    UNREADABLE,
    UNSET,
    CallSeconds,
    Gateway,
    Limit,
    Location,
    Locations,
    LogLevel,
    SecretWord,
    Source,
    Unreadable,
    Word,
    setting,
    stripped,
)

KEEP_MB = Decimal(5_000)
"""The default for the megabytes of kept pictures; a megabyte is a million bytes."""

CALL_SECONDS = 50.0
"""The default for the seconds until a call is answered without its pictures."""

SESSION_FILE = "~/.blockrun/.session"
"""The file of BlockRun's own software with a wallet's private key, as text."""

RELATIVE = "is not an absolute path: the folder depends on where the server is started"
"""The fault of a relative folder name, to follow the setting's name."""

LIMITS = ("max_cost_usd", "daily_budget_usd", "confirm_above_usd")
"""The settings that limit spending."""

_log = logging.getLogger(__name__)

_PREFIX = "BLOCKRUN_"
OWN_PREFIX = "BLOCKRUN_IMAGE_"  # of all settings of this server alone
_MONEY_WORDS = re.compile("BUDGET|COST|LIMIT|SPEND|CONFIRM|USD")
_NEAR = 0.85
_CHOICES: Mapping[str, tuple[Sequence[str], str, str]] = {
    "log_level": (("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "using WARNING", "WARNING"),
    "catalog": (SCOPES, "using both", "both"),
    "enrich": (MODES, "prompts are sent as they are", "off"),
    "keep": (("on", "off"), "using on", "on"),
    "preview": (("off", "small"), "using off", "off"),
    "metadata": (("standard", "full"), "using standard", "standard"),
    "worker": (("on", "off"), "using on", "on"),
    "fast_start": (("on", "off"), "using on", "on"),
}
"""The values of a setting with a few of them; what happens with any other, and the value used instead."""


@dataclass(frozen=True)
class Mistake:
    """An unusable value: its fault in words, and the value used instead."""

    words: str
    instead: str | float | Decimal


class Settings(BaseModel):
    """The operator's settings; `None` means "not set"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gateway: Gateway = setting(
        "BLOCKRUN_IMAGE_GATEWAY",
        None,
        meaning="the base URL of another OpenAI-compatible image API, such as `https://api.example.com/v1`"
        " (rules), or `sandbox`",
    )
    credential: SecretStr | None = setting(
        "BLOCKRUN_IMAGE_CREDENTIAL",
        None,
        meaning="a credential for this server alone; it counts before `BLOCKRUN_API_KEY`, which counts before"
        " `BLOCKRUN_WALLET_KEY`",
    )
    credential_file: SecretStr | None = setting(
        "BLOCKRUN_IMAGE_CREDENTIAL_FILE",
        None,
        meaning="a file that holds it in its first line",
    )
    api_key: SecretStr | None = setting(
        "BLOCKRUN_API_KEY",
        None,
        meaning="your BlockRun account key (`brk_...`)",
    )
    api_key_file: SecretStr | None = setting(
        "BLOCKRUN_API_KEY_FILE",
        None,
        meaning="a file that holds that key in its first line",
    )
    api_key_url: str | None = setting(
        "BLOCKRUN_API_KEY_URL",
        None,
        meaning="the host for an account key, instead of `https://api.blockrun.ai`",
    )
    wallet_key: SecretStr | None = setting(
        "BLOCKRUN_WALLET_KEY",
        None,
        meaning="the private key of a wallet, or a token that BlockRun gave you for its API",
    )
    wallet_key_file: SecretStr | None = setting(
        "BLOCKRUN_WALLET_KEY_FILE",
        None,
        meaning="a file that holds it in its first line",
    )
    wallet: SecretWord = setting(
        "BLOCKRUN_IMAGE_WALLET",
        None,
        is_unset_by_placeholder=True,
        meaning="`session` pays from the wallet in `~/.blockrun/.session`, which BlockRun's own software made;"
        " without it, that wallet is never used",
    )
    api_url: str | None = setting(
        "BLOCKRUN_API_URL",
        None,
        meaning="the host for a wallet or a token, instead of `https://blockrun.ai/api`",
    )
    default_model: str | None = setting(
        "BLOCKRUN_IMAGE_DEFAULT_MODEL",
        None,
        is_unset_by_placeholder=True,
        meaning="the model of a call that names none",
    )
    enrich: Word = setting(
        "BLOCKRUN_IMAGE_ENRICH",
        "auto",
        is_unset_by_placeholder=True,
        meaning="what happens to a prompt if the call does not say: `auto` (default), `suggest` or `off`; with any"
        " other value, prompts are sent unchanged",
    )
    max_cost_usd: Limit = setting(
        "BLOCKRUN_IMAGE_MAX_COST_USD",
        Decimal("1.50"),
        meaning="the most that one call may cost, in US dollars: 1.50 by default, `none` for no limit",
    )
    daily_budget_usd: Limit = setting(
        "BLOCKRUN_IMAGE_DAILY_BUDGET_USD",
        Decimal("10.00"),
        meaning="the most that all calls of one UTC day may cost: 10.00 by default, `none` for no limit",
    )
    call_seconds: CallSeconds = setting(
        "BLOCKRUN_IMAGE_CALL_SECONDS",
        CALL_SECONDS,
        is_unset_by_placeholder=True,
        meaning="after how many seconds a call answers `pending`: 50 by default, from 1 to 3600",
    )
    confirm_above_usd: Limit = setting(
        "BLOCKRUN_IMAGE_CONFIRM_ABOVE_USD",
        None,
        meaning="ask the user before a call that may cost more than this, in US dollars; 0 for every call, `none`"
        " (default) for no call",
    )
    catalog: Word = setting(
        "BLOCKRUN_IMAGE_CATALOG",
        "both",
        is_unset_by_placeholder=True,
        meaning="which models count: `contract` (the built-in ones), `live` (those that the gateway lists) or"
        " `both` (default)",
    )
    spec: Location = setting(
        "BLOCKRUN_IMAGE_SPEC",
        None,
        meaning="your own file of models and prices instead of the built-in `openapi.json`, or a short one that is"
        " laid over it; if it cannot be used, every call is refused, because models and prices may differ",
    )
    dir: Location = setting(
        "BLOCKRUN_IMAGE_DIR",
        None,
        is_unset_by_placeholder=True,
        meaning="the images folder, an absolute path, or `.` for the folder in which the host starts the server, such"
        " as an IDE's project; by default `blockrun-image-mcp` in your Pictures folder, or `images` in your data folder"
        " if there is none",
    )
    input_dirs: Locations = setting(
        "BLOCKRUN_IMAGE_INPUT_DIRS",
        (),
        is_unset_by_placeholder=True,
        meaning="more folders with pictures that a call may start from, absolute paths with `:` between them (`;` on"
        " Windows), beside the images folder and the folder in which the host starts the server",
    )
    keep: Word = setting(
        "BLOCKRUN_IMAGE_KEEP",
        "on",
        is_unset_by_placeholder=True,
        meaning="`on` (default) saves every picture in the images folder; `off` only those with `save_as`, and those"
        " that the gateway sends as data",
    )
    keep_mb: Limit = setting(
        "BLOCKRUN_IMAGE_KEEP_MB",
        KEEP_MB,
        is_unset_by_placeholder=True,
        meaning="how many megabytes (millions of bytes) of pictures without a name of their own the images folder may"
        " hold: 5000 by default, `none` for no limit; beyond it, only their URLs are returned",
    )
    preview: Word = setting(
        "BLOCKRUN_IMAGE_PREVIEW",
        "off",
        is_unset_by_placeholder=True,
        meaning="`small` adds a picture of at most 512 pixels a side to each result, for models that look at pictures;"
        " `off` (default) adds none",
    )
    metadata: Word = setting(
        "BLOCKRUN_IMAGE_METADATA",
        "standard",
        is_unset_by_placeholder=True,
        meaning="what a saved picture says of itself: `standard` (default: that a model made it, and which one) or"
        " `full` (also the prompt, its revision and the cost)",
    )
    state_dir: Location = setting(
        "BLOCKRUN_IMAGE_STATE_DIR",
        None,
        meaning="the folder of the ledger and the gateway's list, an absolute path; use the same one for every"
        " host and terminal that shares a budget. By default in your state and cache folders, on Windows"
        " `.blockrun-image-mcp` in your home folder",
    )
    fast_start: Word = setting(
        "BLOCKRUN_IMAGE_FAST_START",
        "on",
        is_unset_by_placeholder=True,
        meaning="`on` (default) answers a host's first requests from what the server answered the last time, while the"
        " server is still being loaded; `off` loads it first; on Windows it is always off",
    )
    worker: Word = setting(
        "BLOCKRUN_IMAGE_WORKER",
        "on",
        is_unset_by_placeholder=True,
        meaning="`on` (default) performs paid calls in a process of their own, which finishes them when the host ends"
        " the server; `off` performs them in the server",
    )
    log_level: LogLevel = setting(
        "BLOCKRUN_IMAGE_LOG_LEVEL",
        "WARNING",
        is_unset_by_placeholder=True,
        meaning="`DEBUG`, `INFO`, `WARNING` (default), `ERROR` or `CRITICAL`, or another program's name for one,"
        " such as `warn` or `trace`; the log goes to stderr",
    )
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
        mistakes = {
            field: Mistake(f"must be one of {', '.join(choices)}; {meanwhile}", instead)
            for field, (choices, meanwhile, instead) in _CHOICES.items()
            if getattr(self, field) not in choices
        }
        if self.keep_mb is UNREADABLE:
            mistakes["keep_mb"] = Mistake(f"cannot be read; using {KEEP_MB} MB", KEEP_MB)
        if self.call_seconds is UNREADABLE:
            mistakes["call_seconds"] = Mistake(f"cannot be read; using {CALL_SECONDS:g} seconds", CALL_SECONDS)
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
            if getattr(self, field) is None:
                _log.warning("%s is none: spending is not limited", VARIABLES[field])
        return self.model_copy(update={field: mistake.instead for field, mistake in self.mistakes.items()})

    @property
    def call_timeout_seconds(self) -> float:
        """The seconds until a call is answered without its pictures."""
        return CALL_SECONDS if isinstance(self.call_seconds, Unreadable) else self.call_seconds

    @property
    def kept_bytes(self) -> int | None:
        """The most bytes of pictures that are kept without being asked for; `None` for no limit."""
        return None if self.keep_mb is None or isinstance(self.keep_mb, Unreadable) else int(self.keep_mb * 10**6)

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
            for field, value, file in self._credential_fields
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
        for field, value, file in self._credential_fields:
            if _is_filled(value) or _is_filled(file):
                break
            unfilled += [VARIABLES[field]] if value else [VARIABLES[f"{field}_file"]] if file else []
        return unfilled

    @property
    def _credential_fields(self) -> Sequence[tuple[str, SecretStr | None, SecretStr | None]]:
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


VARIABLES: Mapping[str, str] = {field: info.title for field, info in Settings.model_fields.items() if info.title}
"""The environment variable of each setting; a blank one is not set."""

_UNSET_BY_PLACEHOLDER = [
    field for field, info in Settings.model_fields.items() if info.json_schema_extra == {UNSET: True}
]


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
    is_about_money = name.startswith(OWN_PREFIX) and _MONEY_WORDS.search(name)
    limits = [VARIABLES[field] for field in LIMITS]
    near = get_close_matches(name, limits, n=1, cutoff=0) if is_about_money else []
    return next(iter(near or get_close_matches(name, known, n=1, cutoff=_NEAR)), None)


def _setting(field: str, text: str | None) -> str | None:
    value = stripped(text)
    return None if value is not None and field in _UNSET_BY_PLACEHOLDER and is_placeholder(value) else value
