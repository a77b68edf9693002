"""The rules for price quotes, checked before anything is signed, as pure functions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from blockrun_image.errors import PaymentRequiredError, refused_quote
from blockrun_image.text import quoted, usd
from blockrun_image_mcp.bounded_json import json_object
from blockrun_image_mcp.headers import DATE
from blockrun_image_mcp.network import is_loopback
from blockrun_image_mcp.payments.challenge import Challenge, read_challenge
from blockrun_image_mcp.payments.networks import NETWORKS, TOKEN_UNITS, Network
from blockrun_image_mcp.timings import DEFAULT, Timings

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HOST = re.compile(r"[a-z0-9.:_-]+")
_AMOUNT = re.compile(r"[1-9][0-9]{0,14}")
# an amount may be up to this many times its estimate, or the estimate plus the dollars below, whichever is more
_MAX_FACTOR = Decimal("1.5")
_MAX_EXTRA_USD = Decimal("0.02")


@dataclass(frozen=True)
class QuoteContext:
    """The context of a quote: the requested URL, the answer's Date header, and this machine's time.

    `now` is in seconds since 1970. `expected_usd` is the estimate to compare the amount with; `None` allows any amount.
    """

    url: httpx2.URL
    date: str | None
    now: float
    expected_usd: Decimal | None = None
    timings: Timings = DEFAULT


@dataclass(frozen=True)
class Requirement:
    """A way to pay that passes all rules; x402 calls it a payment requirement.

    `entry` is the gateway's own JSON of it. `amount` is in millionths of a USDC.
    """

    entry: Mapping[str, Any]
    network: Network
    payee: str
    amount: int
    lifetime_seconds: int

    @property
    def amount_usd(self) -> Decimal:
        """The amount in US dollars."""
        return Decimal(self.amount) / TOKEN_UNITS


def choose(challenge: Challenge, context: QuoteContext) -> Requirement:
    """Return the first way to pay that passes all rules.

    Raises `PaymentRequiredError` with the reason if none does.
    """
    check_url(context.url)
    _check_resource(challenge, context.url)
    _check_clock(context)
    refusals: list[PaymentRequiredError] = []
    for entry in challenge.accepts:
        try:
            return _check_entry(entry, challenge, context)
        except PaymentRequiredError as refusal:
            refusals.append(refusal)
    raise _most_specific(refusals)


def exact_price(response: httpx2.Response, request_url: httpx2.URL, now: float, timings: Timings = DEFAULT) -> Decimal:
    """Return the price that a 402 to an unpaid request asks for, in US dollars; nothing is signed.

    The amount has no limit, and the payee need not be trusted; all other rules apply. Raises `PaymentRequiredError`.
    """
    challenge = read_challenge(response.headers, response.content)
    return choose(challenge, QuoteContext(request_url, response.headers.get(DATE), now, timings=timings)).amount_usd


def is_address(text: str) -> bool:
    """Return whether a text is an address to pay; the zero address is not."""
    return bool(_ADDRESS.fullmatch(text)) and int(text, 16) != 0


def host_of(url: httpx2.URL) -> str:
    """Return the host, with its port unless that is the default.

    Trusted payees are recorded under this form.
    """
    return url.netloc.decode("ascii")


def parse_host(text: str) -> str | None:
    """Return a host or URL that a person typed, in the form of `host_of`; `None` if it is not valid."""
    try:
        url = httpx2.URL(text if "://" in text else f"https://{text}")
    except httpx2.InvalidURL:
        return None
    return host_of(url) if _HOST.fullmatch(url.host) and not url.userinfo else None


def check_url(url: httpx2.URL) -> None:
    """Raise `PaymentRequiredError` if no payment may be sent to the URL."""
    if not (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host))):
        raise refused_quote("payments are sent only by https, or to this machine")


def _check_resource(challenge: Challenge, url: httpx2.URL) -> None:
    quoted_url = challenge.resource.get("url")
    try:
        # httpx2 resolves dot segments, so a URL with any could equal `url` and be read differently elsewhere
        same = isinstance(quoted_url, str) and httpx2.URL(quoted_url) == url and "/." not in quoted_url
    except httpx2.InvalidURL:
        same = False
    if not same:
        raise refused_quote(f"it is for {quoted(quoted_url, 100)}, not for the requested URL")


def _check_clock(context: QuoteContext) -> None:
    """Raise `PaymentRequiredError` if this machine's clock and the gateway's differ too much.

    A signature's times are this machine's: if its clock is wrong, the signature is valid for longer or shorter than
    meant.
    """
    try:
        date = parsedate_to_datetime(context.date or "")
        skew = abs(date.replace(tzinfo=date.tzinfo or UTC).timestamp() - context.now)
    except (ValueError, OverflowError):
        raise refused_quote("the answer has no usable Date to check this machine's clock against") from None
    if skew >= context.timings.max_clock_skew_seconds:
        raise refused_quote(
            f"this machine's clock and the gateway's are {skew:.0f} s apart", "Set this machine's clock."
        )


def _check_entry(entry: object, challenge: Challenge, context: QuoteContext) -> Requirement:
    fields = json_object(entry)
    network = _network(fields)
    return Requirement(
        entry=fields,
        network=network,
        amount=_amount(fields, challenge, context.expected_usd),
        payee=_payee(fields, network),
        lifetime_seconds=_lifetime(fields, context.timings),
    )


class _UnsupportedError(PaymentRequiredError):
    """Raised for a way to pay that this server does not support.

    A fault in a supported one is reported instead, if there is any.
    """


def _network(fields: Mapping[str, Any]) -> Network:
    scheme, id, asset = (fields.get(name) for name in ("scheme", "network", "asset"))
    network = NETWORKS.get(id) if isinstance(id, str) else None
    if scheme != "exact":
        raise _unsupported(f"its scheme {quoted(scheme)} is not supported: only 'exact' is")
    if network is None:
        raise _unsupported(f"its network {quoted(id)} is not one of {', '.join(NETWORKS)}")
    if not isinstance(asset, str) or asset.lower() != network.token.lower():
        raise _unsupported(f"its asset {quoted(asset, 50)} is not the USDC of {network.id}")
    method = json_object(fields.get("extra")).get("assetTransferMethod")
    if method not in (None, "eip3009"):
        raise _unsupported(f"its transfer method {quoted(method)} is not eip3009")
    return network


def _amount(fields: Mapping[str, Any], challenge: Challenge, expected_usd: Decimal | None) -> int:
    text = fields.get("amount")
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise refused_quote(f"its amount {quoted(text)} is not a positive number of millionths of a USDC")
    amount_usd = Decimal(text) / TOKEN_UNITS
    if challenge.price_usd is not None and challenge.price_usd != amount_usd:
        raise refused_quote(
            f"it asks for ${usd(amount_usd)} in one place and for ${usd(challenge.price_usd)} in another"
        )
    if expected_usd is not None:
        max_usd = max(_MAX_FACTOR * expected_usd, expected_usd + _MAX_EXTRA_USD)
        if amount_usd > max_usd:
            raise refused_quote(
                f"it asks for ${usd(amount_usd)}; ${usd(expected_usd)} was expected, and at most ${usd(max_usd)}"
                " is accepted",
                "Choose another model, or check the gateway's prices.",
            )
    return int(text)


def _payee(fields: Mapping[str, Any], network: Network) -> str:
    payee = fields.get("payTo")
    if not isinstance(payee, str) or not is_address(payee) or payee.lower() == network.token.lower():
        raise refused_quote(f"its payee {quoted(payee, 50)} is not an address that can be paid")
    return payee


def _lifetime(fields: Mapping[str, Any], timings: Timings) -> int:
    seconds = fields.get("maxTimeoutSeconds")
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise refused_quote(f"its time limit {quoted(seconds)} is not a number of seconds")
    return int(min(timings.max_payment_seconds, max(timings.min_payment_seconds, seconds)))


def _unsupported(why: str) -> _UnsupportedError:
    refusal = refused_quote(why)
    return _UnsupportedError(refusal.message, hint=refusal.hint, answer=refusal.answer)


def _most_specific(refusals: list[PaymentRequiredError]) -> PaymentRequiredError:
    supported = [refusal for refusal in refusals if not isinstance(refusal, _UnsupportedError)]
    chosen = (supported or refusals)[0]
    return PaymentRequiredError(chosen.message, hint=chosen.hint, answer=chosen.answer)
