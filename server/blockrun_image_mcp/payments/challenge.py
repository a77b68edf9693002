"""Reads the price quote of a 402 (x402 v2), before anything is signed."""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, cast

from blockrun_image.errors import refused_quote
from blockrun_image.text import quoted
from blockrun_image_mcp.bounded_json import json_from, json_object
from blockrun_image_mcp.headers import MAX_ENCODED_CHARACTERS

_HEADERS = ("payment-required", "x-payment-required")
_MAX_BODY_BYTES = 2**17
_MAX_ENTRIES = 20
_MAX_ECHO_CHARACTERS = 8_192  # servers accept about 8 to 16 KiB of headers, and a payment is a header in base64
_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,18})?")
_VERSION = 2


@dataclass(frozen=True)
class Challenge:
    """A gateway's price quote: the resource, the ways to pay, and the price in the body, if any.

    `resource`, `accepts` and `extensions` are the gateway's own JSON: the same values are checked and sent back.
    """

    resource: Mapping[str, Any]
    accepts: Sequence[object]
    extensions: Mapping[str, Any] | None = None
    price_usd: Decimal | None = None

    def echo(self, accepted: Mapping[str, Any]) -> str:
        """Return the JSON object that a payment repeats of the quote.

        Raises `PaymentRequiredError` if it is too large or malformed.
        """
        repeated: dict[str, object] = {"x402Version": _VERSION, "resource": self.resource, "accepted": accepted}
        if self.extensions is not None:
            repeated["extensions"] = self.extensions
        try:
            text = json.dumps(repeated, allow_nan=False)
        except (ValueError, RecursionError):
            raise refused_quote("it is malformed") from None
        if len(text) > _MAX_ECHO_CHARACTERS:
            raise refused_quote("it is too large to be repeated in a payment")
        return text


def read_challenge(headers: Mapping[str, str], body: bytes) -> Challenge:
    """Return the price quote of a 402, from its header or else from its body.

    Raises `PaymentRequiredError` if there is none, or if it cannot be read.
    """
    if len(body) > _MAX_BODY_BYTES:
        raise refused_quote("the answer is too large")
    lower = {name.lower(): value for name, value in headers.items()}
    encoded = next((lower[name] for name in _HEADERS if name in lower), None)
    mirror = json_object(_parse(body))
    quote = mirror if encoded is None else _decode(encoded)
    if "accepts" not in quote and "x402Version" not in quote:
        raise refused_quote(
            "there is none in the answer", "Check that the base URL is a gateway that takes x402 payments."
        )
    _check_version(quote)
    accepts = quote.get("accepts")
    if not isinstance(accepts, list) or not 0 < len(cast("list[object]", accepts)) <= _MAX_ENTRIES:
        raise refused_quote("it offers no payment option, or too many")
    extensions = quote.get("extensions")
    return Challenge(
        resource=json_object(quote.get("resource")),
        accepts=cast("list[object]", accepts),
        extensions=json_object(cast("object", extensions)) if isinstance(extensions, dict) else None,
        price_usd=_price(body),
    )


def _check_version(quote: Mapping[str, Any]) -> None:
    version = quote.get("x402Version")
    entries = quote.get("accepts")
    first = cast("list[object]", entries)[0] if isinstance(entries, list) and entries else None
    if version == 1 or "maxAmountRequired" in json_object(first):
        raise refused_quote("it is of x402 version 1, which is not supported")
    if version != _VERSION:
        raise refused_quote(f"it is of the unknown x402 version {quoted(version, 20)}")


def _decode(encoded: str) -> Mapping[str, Any]:
    if len(encoded) > MAX_ENCODED_CHARACTERS:
        raise refused_quote("it is too large")
    try:
        quote = _parse(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        quote = None
    if not isinstance(quote, dict):
        raise refused_quote("it is malformed")
    return cast("Mapping[str, Any]", quote)


def _price(body: bytes) -> Decimal | None:
    """Return the price beside the quote, in US dollars; raises `PaymentRequiredError` if unreadable.

    An unreadable price may differ from the quote's amount.
    """
    price = json_object(_parse(body, parse_float=Decimal)).get("price")  # a float could round it
    amount = json_object(price).get("amount", price)
    if amount is None:
        return None
    try:
        price_text = str(amount)
        if isinstance(amount, bool) or not _AMOUNT.fullmatch(price_text):
            raise refused_quote("the price beside it cannot be read")
        return Decimal(price_text)
    except (InvalidOperation, ValueError):
        raise refused_quote("the price beside it cannot be read") from None


def _parse(text: bytes, parse_float: type[float] | type[Decimal] = float) -> object:
    try:
        return json_from(text, parse_float=parse_float, parse_constant=_no_number)
    except InvalidOperation:
        return None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)
