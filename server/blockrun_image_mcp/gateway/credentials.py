"""Decides by a credential's shape where it may be sent, before any HTTP client exists.

A private key signs payments and is never sent to anyone; an account key goes only to an account host. The shapes, hosts
and variables are those of BlockRun's own documentation and SDKs.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from pydantic import SecretStr

from blockrun_image.errors import ConfigurationError
from blockrun_image_mcp.network import is_loopback
from blockrun_image_mcp.settings import VARIABLES, Settings

if TYPE_CHECKING:
    import httpx2

_ACCOUNT_HOST = "https://api.blockrun.ai"
_ANOTHER = (
    "Set BLOCKRUN_API_KEY to a BlockRun account key (brk_...), or try it free with BLOCKRUN_IMAGE_GATEWAY=sandbox."
)


class Shape(Enum):
    """What a credential is, as its text shows."""

    ACCOUNT_KEY = "a BlockRun account key"
    PRIVATE_KEY = "a wallet's private key"
    SOLANA_SECRET = "a Solana secret"  # noqa: S105 - its name
    TOKEN = "a token"  # noqa: S105 - as above


_PRIVATE_KEY = re.compile(r"[0-9a-fA-F]{64}")
_WALLET_KEY = re.compile(r"(?:0[xX])?([0-9a-fA-F]{64})")
_PAYMENT_HEADER = "payment-signature"
_SIGNATURE = re.compile(r"0x[0-9a-f]{130}")
_NONCE = re.compile(r"0x[0-9a-f]{64}")
_SOLANA_SECRET = re.compile(r"\b[1-9A-HJ-NP-Za-km-z]{87,88}\b|\[(?:\s*\d+\s*,){2,}\s*\d+\s*\]")


Rail: TypeAlias = Literal["account", "wallet"]
"""How a gateway is paid: from an account that a credential names, or by a wallet that signs."""


@dataclass(frozen=True)
class Address:
    """A base URL, as it was named and not yet checked, what named it, and on which rail it is paid."""

    base_url: str
    named_by: str
    rail: Rail


@dataclass(frozen=True)
class Endpoint:
    """Where requests go, with which headers, and who pays.

    `principal` is the same for the same credential and reveals nothing of it. Where there is a `wallet_key`, it signs
    payments, and the headers hold no credential.
    """

    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    name: str
    principal: str = ""
    wallet_key: SecretStr | None = field(default=None, repr=False)


def shape_of(credential: str) -> Shape:
    """Return the shape of a credential; what holds a private key is one, whatever stands around it."""
    if _PRIVATE_KEY.search(credential):
        return Shape.PRIVATE_KEY
    if _SOLANA_SECRET.search(credential):
        return Shape.SOLANA_SECRET
    return Shape.ACCOUNT_KEY if credential.startswith("brk_") else Shape.TOKEN


def is_never_sent(text: str) -> bool:
    """Tell whether a text holds what signs payments, which no one is ever sent."""
    return shape_of(text) in (Shape.PRIVATE_KEY, Shape.SOLANA_SECRET)


def may_leave(name: str, value: str, wallet_key: SecretStr | None = None) -> bool:
    """Tell whether a header may be sent.

    A payment holds words of the gateway's choice, whose base64 may look like a secret by chance or on purpose; it is
    only held against the wallet's key itself.
    """
    if name.lower() != _PAYMENT_HEADER or (payment := _payment(value)) is None:
        return not is_never_sent(f"{name}: {value}")
    return wallet_key is None or wallet_key.get_secret_value().lower() not in payment.lower()


def endpoint_for(settings: Settings, contract_base_url: str) -> Endpoint:
    """Return where the first credential that is set may go.

    Raises `ConfigurationError` when none is set, or the one that is cannot be sent; it never holds the credential.
    """
    sources = settings.sources
    if not sources:
        raise ConfigurationError("No credential is set, so no picture can be made.", hint=_ANOTHER)
    variable, credential = sources[0].variable, sources[0].read()
    address = _address(variable, credential, settings, contract_base_url)
    host = _checked(address.base_url, address.named_by)
    digits = wallet_digits(credential)
    bearer = {} if digits else {"Authorization": f"Bearer {_checked_header(variable, credential)}"}
    return Endpoint(
        base_url=address.base_url,
        headers=bearer,
        name=host,
        principal=_principal(digits or credential),
        wallet_key=SecretStr(digits) if digits else None,
    )


def address_of(settings: Settings, contract_base_url: str) -> Address | None:
    """Return where the first credential that is set would go, `None` where there is none that may go anywhere."""
    if not settings.sources:
        return None
    first = settings.sources[0]
    try:
        address = _address(first.variable, first.read(), settings, contract_base_url)
    except ConfigurationError:
        return None
    return None if "@" in address.base_url or is_never_sent(address.base_url) else address


def wallet_digits(credential: str) -> str | None:
    """Return the 64 hex digits of a credential that is a wallet's private key and nothing else, or `None`."""
    key = _WALLET_KEY.fullmatch(credential)
    return key[1].lower() if key else None


def _address(variable: str, credential: str, settings: Settings, contract_base_url: str) -> Address:
    base_url, named_by = _base_for(variable, credential, settings, contract_base_url)
    return Address(base_url, named_by, "wallet" if wallet_digits(credential) else "account")


def _base_for(variable: str, credential: str, settings: Settings, contract_base_url: str) -> tuple[str, str]:
    """Return the base URL that the credential may be sent to, and what named it."""
    match shape_of(credential):
        case Shape.PRIVATE_KEY if not wallet_digits(credential):
            raise ConfigurationError(
                f"{variable} holds a wallet's private key within other text. It was not sent to anyone.",
                hint="To pay from a wallet, set it to the 64 hex digits alone, with 0x before them or without.",
            )
        case Shape.SOLANA_SECRET:
            raise ConfigurationError(
                f"{variable} holds a Solana secret, which BlockRun's image API does not take. It was not sent to"
                " anyone.",
                hint=_ANOTHER,
            )
        case Shape.ACCOUNT_KEY:
            return _operators_base(settings, "api_key_url") or (f"{_ACCOUNT_HOST}/v1", "the account host")
        case Shape.TOKEN | Shape.PRIVATE_KEY:
            return _operators_base(settings, "api_url") or (contract_base_url, "the API's description")


def _operators_base(settings: Settings, host_field: str) -> tuple[str, str] | None:
    if settings.gateway:
        return settings.gateway.rstrip("/"), VARIABLES["gateway"]
    host: str | None = getattr(settings, host_field)
    if host is None:
        return None
    return host.rstrip("/").removesuffix("/v1") + "/v1", VARIABLES[host_field]


def _checked(base_url: str, named_by: str) -> str:
    import httpx2  # noqa: PLC0415 - 35 modules, and every command loads this one

    try:
        host = _safe_host(httpx2.URL(base_url))
    except (httpx2.InvalidURL, UnicodeError):  # the environment may hold bytes of no text
        host = ""
    if not host:
        raise ConfigurationError(
            f"{named_by} is not a base URL that a credential may be sent to.",
            hint="It must be https (plain http only on this machine), such as https://api.blockrun.ai/v1.",
        )
    return host


def _safe_host(url: "httpx2.URL") -> str:
    """Return the host of a base URL that a credential may be sent to, and nothing for any other."""
    if is_never_sent(str(url)) or url.userinfo or url.query or url.fragment or (url.port or 443) > 65_535:
        return ""
    return url.host if url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host)) else ""


def _checked_header(variable: str, credential: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", credential):
        raise ConfigurationError(f"{variable} holds characters that no credential has.", hint=_ANOTHER)
    return credential


def _principal(credential: str) -> str:
    return hashlib.sha256(f"blockrun-image-mcp principal {credential}".encode()).hexdigest()[:16]


def _payment(value: str) -> str | None:
    """Return the JSON of a payment of x402, or `None` for what is none."""
    try:
        text = base64.b64decode(value, validate=True).decode("ascii")
        body: object = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        return None
    payload = _object(_object(body).get("payload"))
    signature, nonce = payload.get("signature"), _object(payload.get("authorization")).get("nonce")
    is_signature = isinstance(signature, str) and _SIGNATURE.fullmatch(signature)
    return text if is_signature and isinstance(nonce, str) and _NONCE.fullmatch(nonce) else None


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
