"""Decides by a credential's shape where it may be sent.

It does so before any HTTP client exists. A private key signs payments and is never sent to anyone; an account key goes
only to an account host. The shapes, hosts and variables are those of BlockRun's own documentation and SDKs.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import SecretStr

from blockrun_image.errors import ConfigurationError
from blockrun_image.spec import EditOperation
from blockrun_image.text import did_you_mean
from blockrun_image_mcp.bounded_json import json_object
from blockrun_image_mcp.headers import AUTHORIZATION, PAYMENT_SIGNATURE
from blockrun_image_mcp.network import is_loopback
from blockrun_image_mcp.placeholders import has_placeholder
from blockrun_image_mcp.setting_values import SANDBOX
from blockrun_image_mcp.settings import VARIABLES, Settings

if TYPE_CHECKING:
    import httpx2

_ACCOUNT_HOST = "https://api.blockrun.ai"
_OTHERS_KEYS = ("sk-", "xai-", "gsk_", "AIza", "r8_", "hf_")  # OpenAI and others, xAI, Groq, Google, Replicate, HF
_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com")
_API_VERSION = re.compile(r"api-version=([A-Za-z0-9.-]+)")
_HOST_SETTINGS = ("gateway", "api_key_url", "api_url")
_QUOTES = "\"'`\u00ab\u00bb\u00b4\u2018-\u201f\u2039\u203a\uff02\uff07"
_AROUND_A_KEY = (
    (re.compile(rf"[{_QUOTES}]|.*[{_QUOTES}]$", re.DOTALL), "the quotation marks"),
    (re.compile(r"(?i:authorization)\s*[=:]\s*\S"), "Authorization and the word after it"),
    (re.compile(r"(?i:export\s+)?(?i:[\w-]*(?:key|token|credential))\s*[=:]\s*\S"), "the name before it"),
    (re.compile(r"(?i:bearer$|(?:bearer|basic|token)[\s:])"), "the word before it, such as Bearer"),
)
"""Text often copied along with a key, at its beginning or end."""


class Shape(Enum):
    """The kind of a credential, as its text shows."""

    ACCOUNT_KEY = "a BlockRun account key"
    PRIVATE_KEY = "a wallet's private key"
    SOLANA_SECRET = "a Solana secret"  # noqa: S105 - its name
    TOKEN = "a token"  # noqa: S105 - as above


_PRIVATE_KEY = re.compile(r"[0-9a-fA-F]{64}|0[xX][0-9a-fA-F]{56}|^[0-9a-fA-F]{60,63}$")
"""A key without a few of its 64 digits must stay secret, too."""
_WALLET_KEY = re.compile(r"(?:0[xX])?([0-9a-fA-F]{64})")
_SIGNATURE = re.compile(r"0x[0-9a-f]{130}")
_NONCE = re.compile(r"0x[0-9a-f]{64}")
# a Solana key pair has 64 bytes: in base58, or as the array of numbers in a key file
_SOLANA_SECRET = re.compile(r"\b[1-9A-HJ-NP-Za-km-z]{87,88}\b|\[(?:\s*\d+\s*,){2,}\s*\d+\s*\]")


Rail: TypeAlias = Literal["account", "wallet"]
"""How a gateway is paid: from the credential's account, or by a wallet's signature."""


@dataclass(frozen=True)
class Address:
    """An unchecked base URL, with its source and its rail.

    `query` is the end of each request's URL.
    """

    base_url: str
    set_by: str
    rail: Rail
    query: Mapping[str, str]

    @property
    def is_blockrun(self) -> bool:
        """Whether it is another host of BlockRun's API, as its own software names one."""
        return self.set_by in (VARIABLES["api_url"], VARIABLES["api_key_url"])


@dataclass(frozen=True)
class Endpoint:
    """The base URL, headers and payer of requests.

    `principal` is the same for the same credential and reveals nothing of it. If there is a `wallet_key`, it signs
    payments, and the headers hold no credential. `query` is the end of each request's URL. `set_by` is the setting
    that holds the base URL, if any. `edit` is the operation for requests that start from pictures.
    """

    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    name: str
    principal: str = ""
    wallet_key: SecretStr | None = field(default=None, repr=False)
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    set_by: str = ""
    edit: EditOperation | None = None


def shape_of(credential: str) -> Shape:
    """Return a credential's shape; any text with a private key in it counts as one."""
    if _PRIVATE_KEY.search(credential):
        return Shape.PRIVATE_KEY
    if _SOLANA_SECRET.search(credential):
        return Shape.SOLANA_SECRET
    return Shape.ACCOUNT_KEY if credential.startswith("brk_") else Shape.TOKEN


def is_never_sent(text: str) -> bool:
    """Return whether a text holds a signing key, which must never be sent."""
    return shape_of(text) in (Shape.PRIVATE_KEY, Shape.SOLANA_SECRET)


def may_leave(name: str, value: str, wallet_key: SecretStr | None = None) -> bool:
    """Return whether a header may be sent.

    A payment repeats the gateway's words, and their base64 may look like a secret by chance or on purpose. It is
    therefore only searched for the wallet's own key.
    """
    if name.lower() != PAYMENT_SIGNATURE.lower() or (payment := _payment(value)) is None:
        return not is_never_sent(f"{name}: {value}")
    return wallet_key is None or wallet_key.get_secret_value().lower() not in payment.lower()


def endpoint_for(settings: Settings, contract_base_url: str) -> Endpoint:
    """Return the endpoint for the first credential set.

    Raises `ConfigurationError` if none is set, or if it cannot be read or sent; the error never holds the credential.
    """
    _check_host_settings(settings)
    sources, unfilled = settings.sources, settings.unfilled
    if not sources:
        if settings.gateway:  # a wrong base URL, such as a misspelt `sandbox`, is the mistake to report first
            _check_base(_split(settings.gateway)[0], VARIABLES["gateway"])
        what = f"{unfilled[0]} still holds a placeholder" if unfilled else "No credential is set"
        raise ConfigurationError(f"{what}, so no picture can be made.", hint=_another(settings))
    variable, credential = sources[0].variable, sources[0].read()
    address = _address(variable, credential, settings, contract_base_url)
    if unfilled and (address.set_by in VARIABLES.values() or settings.spec is not None):
        raise ConfigurationError(  # the host was named for one key, and must not get another
            f"{unfilled[0]} still holds a placeholder, and {variable} is not sent to another host instead.",
            hint=f"Set {unfilled[0]} to the key itself, or leave it out if {variable} is the one to use.",
        )
    host = _check_base(address.base_url, address.set_by)
    digits = wallet_digits(credential)
    return Endpoint(
        base_url=address.base_url,
        headers={} if digits else _authorization(host, address.query, _check_header(variable, credential)),
        name=host,
        principal=_principal(digits or credential),
        wallet_key=SecretStr(digits) if digits else None,
        query=address.query,
        set_by=address.set_by if address.set_by in VARIABLES.values() else "",
    )


def address_of(settings: Settings, contract_base_url: str) -> Address | None:
    """Return the address for the first credential set.

    Return `None` if there is none, if it may not be sent, or if the base URL may hold a key.
    """
    if not settings.sources:
        return None
    first = settings.sources[0]
    try:
        _check_host_settings(settings)
        address = _address(first.variable, first.read(), settings, contract_base_url)
    except ConfigurationError:
        return None
    may_hold_a_key = set("@?#") & set(address.base_url) or is_never_sent(address.base_url)
    return None if may_hold_a_key else address


def wallet_digits(credential: str) -> str | None:
    """Return the 64 hex digits of a wallet's private key; `None` for any other text."""
    key = _WALLET_KEY.fullmatch(credential)
    return key[1].lower() if key else None


def _address(variable: str, credential: str, settings: Settings, contract_base_url: str) -> Address:
    base_url, query, set_by = _base_for(variable, credential, settings, contract_base_url)
    return Address(base_url, set_by, "wallet" if wallet_digits(credential) else "account", query)


def _base_for(
    variable: str, credential: str, settings: Settings, contract_base_url: str
) -> tuple[str, Mapping[str, str], str]:
    """Return a credential's base URL, the query of its requests, and the URL's source."""
    match shape_of(credential):
        case Shape.PRIVATE_KEY if not wallet_digits(credential):
            raise ConfigurationError(
                f"{variable} holds a wallet's private key with digits missing, or within other text. It was not sent to"
                " anyone.",
                hint="To pay from a wallet, set it to the 64 hex digits alone, with 0x before them or without.",
            )
        case Shape.SOLANA_SECRET:
            raise ConfigurationError(
                f"{variable} holds a Solana secret, which BlockRun's image API does not take. It was not sent to"
                " anyone.",
                hint=_another(settings),
            )
        case Shape.ACCOUNT_KEY:
            return _operators_base(settings, "api_key_url") or (f"{_ACCOUNT_HOST}/v1", {}, "the account host")
        case Shape.TOKEN if credential.startswith(_OTHERS_KEYS) and not (settings.gateway or settings.api_url):
            raise ConfigurationError(
                f"{variable} holds another provider's key: it does not begin with brk_. It was not sent to anyone.",
                hint=f"For another provider, set {VARIABLES['gateway']} to its"
                f" base URL, and {VARIABLES['credential']} to its key.",
            )
        case Shape.TOKEN | Shape.PRIVATE_KEY:
            return _operators_base(settings, "api_url") or (*_split(contract_base_url), "the API's description")


def _operators_base(settings: Settings, host_field: str) -> tuple[str, Mapping[str, str], str] | None:
    if settings.gateway:
        return *_split(settings.gateway), VARIABLES["gateway"]
    host: str | None = getattr(settings, host_field)
    if host is None:
        return None
    base_url, query = _split(host)
    return base_url.removesuffix("/v1") + "/v1", query, VARIABLES[host_field]


def _split(url: str) -> tuple[str, Mapping[str, str]]:
    """Return a trimmed base URL, and Azure's `api-version` from its query.

    Slashes and `/images/generations` are cut from its end. A URL with any other query stays as it is.
    """
    base_url, _, query = url.partition("?")
    version = _API_VERSION.fullmatch(query)
    if query and not version:
        return url, {}
    trimmed = base_url.rstrip("/").removesuffix("/images/generations").rstrip("/")
    return trimmed, {"api-version": version[1]} if version else {}


def _check_host_settings(settings: Settings) -> None:
    """Raise `ConfigurationError` if a base URL holds a placeholder.

    Otherwise, the key could go to the wrong host.
    """
    for host_field in _HOST_SETTINGS:
        if has_placeholder(getattr(settings, host_field) or ""):
            raise ConfigurationError(
                f"{VARIABLES[host_field]} still holds a placeholder, so no credential is sent anywhere.",
                hint="Write the base URL itself, such as https://api.example.com/v1, or leave the setting out for"
                " BlockRun.",
            )


def _check_base(base_url: str, set_by: str) -> str:
    """Return the host of a base URL.

    Raises `ConfigurationError` if a credential may not be sent to that URL.
    """
    import httpx2  # noqa: PLC0415 - 35 modules, and every command loads this one

    try:
        url = httpx2.URL(base_url)
        fault = next(_faults(base_url, url), None)
    except (httpx2.InvalidURL, UnicodeError):  # the environment may hold any bytes
        url, fault = None, ("it cannot be read as a URL", "Write it as in https://api.blockrun.ai/v1.")
    if fault is not None or url is None:
        what, remedy = fault or ("", "")
        raise ConfigurationError(f"{set_by} is not a base URL that a credential may be sent to: {what}.", hint=remedy)
    return url.host


def _faults(text: str, url: "httpx2.URL") -> Iterator[tuple[str, str]]:
    """Yield each fault of a base URL with its remedy.

    They never quote the URL, because it may be a key.
    """
    if is_never_sent(text):
        yield "it holds what looks like a private key", "Write the gateway's https URL, and the key in its own setting."
    if any(character.isspace() for character in text):
        yield "it contains whitespace", "Remove the whitespace."
    if "://" not in text and text.lower() not in ("https:", "http:"):  # without slashes at their end
        whole = "Write it whole, such as https://api.blockrun.ai/v1, or http://127.0.0.1:4000/v1 for this machine."
        yield "it does not begin with https://", did_you_mean(text, [SANDBOX]).strip() or whole
    if url.userinfo:
        yield (
            "it holds a user's name or password before an @",
            f"Leave that out, and set {VARIABLES['credential']} to the key.",
        )
    if "#" in text:
        yield "it holds a #", "Leave out the # and all that follows."
    if "?" in text:
        yield "it holds a query", "Leave out the ? and all that follows; only Azure's ?api-version=... may stay."
    yield from _faults_of_host(url)


def _faults_of_host(url: "httpx2.URL") -> Iterator[tuple[str, str]]:
    if url.scheme not in ("http", "https"):
        yield "it does not begin with https://", "Write it as in https://api.blockrun.ai/v1."
    if not url.host:
        yield "it names no host", "Write it as in https://api.blockrun.ai/v1."
    if (url.port or 443) > 65_535:
        yield "its port does not exist", "Ports go up to 65535."
    if url.scheme == "http" and not is_loopback(url.host):
        yield (
            "it is plain http to another machine, which exposes the key to the network",
            "Use https, or a tunnel that ends on this machine, such as http://127.0.0.1:4000/v1.",
        )


def _another(settings: Settings) -> str:
    """Return the advice to set a credential, as sentences."""
    misspelt = "".join(f"{name} is not a setting; did you mean {meant}? " for name, meant in settings.misspelt.items())
    if settings.gateway:
        return (
            f"{misspelt}Set {VARIABLES['credential']} to the key of the gateway that {VARIABLES['gateway']} names, or"
            " to unused if it takes none."
        )
    return (
        f"{misspelt}Set BLOCKRUN_API_KEY to a BlockRun account key (brk_...), or try it free with"
        " BLOCKRUN_IMAGE_GATEWAY=sandbox."
    )


def _authorization(host: str, query: Mapping[str, str], credential: str) -> Mapping[str, str]:
    """Return the header with the credential; Azure has a header of its own."""
    is_azure = bool(query) or host.endswith(_AZURE_HOSTS)
    return {"api-key": credential} if is_azure else {AUTHORIZATION: f"Bearer {credential}"}


def _check_header(variable: str, credential: str) -> str:
    for pattern, what in _AROUND_A_KEY:
        if pattern.match(credential):
            raise ConfigurationError(
                f"{variable} holds more than the key: leave out {what}.", hint="It was not sent to anyone."
            )
    if not re.fullmatch(r"[\x21-\x7e]+", credential):
        raise ConfigurationError(
            f"{variable} has characters that credentials never have.",
            hint="Copy the key again, without anything around it.",
        )
    return credential


def _principal(credential: str) -> str:
    return hashlib.sha256(f"blockrun-image-mcp principal {credential}".encode()).hexdigest()[:16]


def _payment(value: str) -> str | None:
    """Return the JSON of an x402 payment; `None` for any other value."""
    try:
        text = base64.b64decode(value, validate=True).decode("ascii")
        body: object = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        return None
    payload = json_object(json_object(body).get("payload"))
    signature, nonce = payload.get("signature"), json_object(payload.get("authorization")).get("nonce")
    is_signature = isinstance(signature, str) and _SIGNATURE.fullmatch(signature)
    return text if is_signature and isinstance(nonce, str) and _NONCE.fullmatch(nonce) else None
