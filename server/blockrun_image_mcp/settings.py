"""The operator's settings, from the environment and the command line."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError

from blockrun_image.errors import ConfigurationError
from blockrun_image.images import Defaults
from blockrun_image.text import clean

SANDBOX = "sandbox"

VARIABLES: Mapping[str, str] = {
    "gateway": "BLOCKRUN_IMAGE_GATEWAY",
    "credential": "BLOCKRUN_IMAGE_CREDENTIAL",
    "api_key": "BLOCKRUN_API_KEY",
    "api_key_url": "BLOCKRUN_API_KEY_URL",
    "wallet_key": "BLOCKRUN_WALLET_KEY",
    "api_url": "BLOCKRUN_API_URL",
    "default_model": "BLOCKRUN_IMAGE_DEFAULT_MODEL",
    "enrich": "BLOCKRUN_IMAGE_ENRICH",
    "max_cost_usd": "BLOCKRUN_IMAGE_MAX_COST_USD",
    "daily_budget_usd": "BLOCKRUN_IMAGE_DAILY_BUDGET_USD",
    "confirm_above_usd": "BLOCKRUN_IMAGE_CONFIRM_ABOVE_USD",
    "spec": "BLOCKRUN_IMAGE_SPEC",
    "dir": "BLOCKRUN_IMAGE_DIR",
    "log_level": "BLOCKRUN_IMAGE_LOG_LEVEL",
}
"""The environment variable of each setting; a blank one, or an unsubstituted `${...}`, is not set."""

_UNSUBSTITUTED = re.compile(r"\$\{[^}]*\}")


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _expanded(value: object) -> object:
    try:
        return Path(value).expanduser() if isinstance(value, str) else value
    except RuntimeError as error:
        raise ValueError("there is no such user") from error


class Settings(BaseModel):
    """What the operator decides; `None` is "not set"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gateway: str | None = None
    credential: SecretStr | None = None
    api_key: SecretStr | None = None
    api_key_url: str | None = None
    wallet_key: SecretStr | None = None
    api_url: str | None = None
    default_model: str | None = None
    enrich: Annotated[str, BeforeValidator(_lower)] = "auto"
    max_cost_usd: str = "1.50"
    daily_budget_usd: str = "10.00"
    confirm_above_usd: str | None = None
    spec: Annotated[Path | None, BeforeValidator(_expanded)] = None
    dir: Annotated[Path | None, BeforeValidator(_expanded)] = None
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)] = "WARNING"

    @classmethod
    def read(cls, environ: Mapping[str, str], **flags: str | None) -> "Settings":
        """Read the settings from the environment; a flag that is given beats its variable.

        Raises `ConfigurationError` for a value that cannot be used.
        """
        values = {field: _value(environ.get(variable)) for field, variable in VARIABLES.items()} | {
            field: value for field, value in flags.items() if _value(value) is not None
        }
        try:
            return cls.model_validate({field: value for field, value in values.items() if value is not None})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = str(first["loc"][0])
            raise ConfigurationError(  # its value is not told: it may be a key in the wrong variable
                f"{VARIABLES.get(field, field)} cannot be used: {clean(first['msg'], 120)}."
            ) from error

    @property
    def defaults(self) -> Defaults:
        """What calls get that do not say."""
        return Defaults(self.default_model, self.enrich)

    @property
    def credentials(self) -> Mapping[str, str]:
        """The credentials that are set, by their variables, the one that counts first."""
        fields = {"credential": self.credential, "api_key": self.api_key, "wallet_key": self.wallet_key}
        return {VARIABLES[field]: secret.get_secret_value() for field, secret in fields.items() if secret is not None}


def _value(text: str | None) -> str | None:
    stripped = (text or "").strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "\"'":
        stripped = stripped[1:-1].strip()  # as env files are often written
    return None if not stripped or _UNSUBSTITUTED.fullmatch(stripped) else stripped
