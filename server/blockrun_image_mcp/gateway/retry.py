"""The rules for sending a request again, as tables and a few pure functions.

Nothing stops a gateway from charging a repeated Bearer POST twice. So it is sent again only if the first one was
provably not billed: it never left, or was refused for its rate. A signed POST carries a payment that can be made once,
however often it arrives. An unpaid POST cannot be charged.
"""

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from types import MappingProxyType

import httpx2

from blockrun_image.errors import Charged
from blockrun_image_mcp.bounded_json import json_from, json_object
from blockrun_image_mcp.timings import Timings


class Failure(Enum):
    """Why a request has no answer: it never left, or it left and its outcome is unknown."""

    NEVER_SENT = auto()
    OUTCOME_UNKNOWN = auto()


Outcome = Failure | int
"""The end of an attempt: a failure, or an HTTP status."""


@dataclass(frozen=True)
class Rule:
    """The limit of resends after an outcome, and its charge if it is the last one.

    Resends are counted for each outcome on its own.
    """

    resends: float
    charged: Charged


class Rejection(Enum):
    """The meaning of a 402 to a signed payment.

    Unless it was taken, whoever has the payment can still use it.
    """

    REFUSED = auto()
    TAKEN = auto()
    """An earlier copy of it was taken."""
    UNCLEAR = auto()


_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?", re.ASCII)
_WAITS = ("retry_after_seconds", "retry_after")
_MILLISECONDS_HEADERS = ("retry-after-ms", "x-ms-retry-after-ms")  # OpenAI's and Azure's

_REFUSED = Rule(0, "no")
_UNKNOWN = Rule(0, "unknown")
_TWICE = Rule(2, "no")
_ALWAYS = Rule(math.inf, "unknown")
_REFUSALS = (301, 302, 307, 308, 400, 401, 403, 404, 405, 406, 411, 413, 414, 415, 422, 426, 431)

BEARER_POST: Mapping[Outcome, Rule] = MappingProxyType(
    {
        Failure.NEVER_SENT: _TWICE,
        Failure.OUTCOME_UNKNOWN: _UNKNOWN,
        429: _TWICE,
        **dict.fromkeys((500, 502, 503, 504), _UNKNOWN),
        **dict.fromkeys((402, *_REFUSALS), _REFUSED),
    }
)
"""A generation with an account key or a token; other outcomes are final and unknown."""

NEVER_CHARGED: Mapping[Outcome, Rule] = MappingProxyType(
    {
        **dict.fromkeys((*Failure, 429, 502, 503, 504), _TWICE),
        500: Rule(1, "no"),
        **dict.fromkeys((402, *_REFUSALS), _REFUSED),
    }
)
"""A request that is never charged.

It is free, or a generation without a credential or a payment, whose 402 is the price quote.
"""

SIGNED_POST: Mapping[Outcome, Rule] = MappingProxyType(
    {
        Failure.NEVER_SENT: _TWICE,
        Failure.OUTCOME_UNKNOWN: Rule(1, "unknown"),
        429: _TWICE,
        500: Rule(1, "unknown"),
        **dict.fromkeys((502, 503, 504), Rule(2, "unknown")),
        402: _UNKNOWN,
        **dict.fromkeys(_REFUSALS, _REFUSED),
    }
)
"""A generation with a signed payment, which is resent as it is and never signed anew.

The rule for a 402 holds if its code says nothing: see `rejection_of`. After a refusal, whoever has the payment can use
it until it expires.
"""

POLL: Mapping[Outcome, Rule] = MappingProxyType(
    {
        Failure.NEVER_SENT: _ALWAYS,
        Failure.OUTCOME_UNKNOWN: _ALWAYS,
        429: _ALWAYS,
        **dict.fromkeys((502, 503, 504), _ALWAYS),
    }
)
"""A poll of an accepted job, which is free; the client ends it after `answer_seconds`."""


def rule_for(rules: Mapping[Outcome, Rule], outcome: Outcome) -> Rule:
    """Return the rule for an outcome; an unlisted one is final and unknown."""
    return rules.get(outcome, _UNKNOWN)


def may_resend(rules: Mapping[Outcome, Rule], outcome: Outcome, resends: int) -> bool:
    """Return whether a request may be sent again after `outcome`.

    `resends` is how often it was already sent again after the same outcome.
    """
    return resends < rule_for(rules, outcome).resends


def charged_after(rules: Mapping[Outcome, Rule], outcomes: Sequence[Outcome]) -> Charged:
    """Return whether a request with these outcomes may have been charged.

    There is an outcome for each copy that was sent: a refusal says nothing about the copies before it.
    """
    return "no" if all(rule_for(rules, outcome).charged == "no" for outcome in outcomes) else "unknown"


def rejection_of(code: str | None, words: str, earlier: Sequence[Outcome]) -> Rejection:
    """Classify a 402 to a signed POST by the gateway's code and words.

    `earlier` are the outcomes before it. After an unknown one, `PAYMENT_REPLAY` means that the first copy was taken.
    """
    is_first = charged_after(SIGNED_POST, earlier) == "no"
    if code == "PAYMENT_REPLAY":
        return Rejection.REFUSED if is_first else Rejection.TAKEN
    is_refused = code in ("PAYMENT_UNDERPAID", "PAYMENT_INVALID") or words.startswith("Payment verification failed")
    return Rejection.REFUSED if is_refused and is_first and code != "SETTLEMENT_FAILED" else Rejection.UNCLEAR


def wait_seconds(outcome: Outcome, resends: int, requested_seconds: float | None, timings: Timings) -> float:
    """Return the seconds to wait before a resend.

    It is the wait that the answer asks for, or a fixed one after a 429. Otherwise it is exponential with full jitter.
    """
    if requested_seconds is not None:
        return requested_seconds
    if outcome == 429:
        return timings.default_retry_after_seconds
    # the exponent is bounded, because a float overflows
    ceiling = min(timings.max_backoff_seconds, timings.backoff_seconds * 2.0 ** min(resends, 30))
    return random.uniform(0, ceiling)  # noqa: S311 - jitter, not a secret


def requested_wait_seconds(response: httpx2.Response, timings: Timings) -> float | None:
    """Return the seconds to wait by an answer's headers or body; `None` without a usable wait."""
    for name in _MILLISECONDS_HEADERS:
        if _SECONDS.fullmatch(told := response.headers.get(name, "").strip()):
            return min(timings.max_retry_after_seconds, float(told) / 1_000)
    body = json_object(json_from(response.content))
    told = [str(fields.get(name, "")) for fields in (body, json_object(body.get("error"))) for name in _WAITS]
    waits = [retry_after_seconds(each, timings) for each in (response.headers.get("retry-after"), *told)]
    return next((seconds for seconds in waits if seconds is not None), None)


def retry_after_seconds(header: str | None, timings: Timings) -> float | None:
    """Return the seconds to wait by a Retry-After header; `None` if it is unusable.

    The header holds seconds or a date.
    """
    if not header:
        return None
    if _SECONDS.fullmatch(header.strip()):
        return min(timings.max_retry_after_seconds, float(header))
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    # a date with the zone "-0000" comes without a time zone
    seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(timings.max_retry_after_seconds, max(0.0, seconds))


def failure_of(error: httpx2.TransportError) -> Failure:
    """Classify a transport error by whether the request had left.

    DNS, TCP, TLS, proxy and pool failures come before that.
    """
    never_sent = (
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ProxyError,
        httpx2.UnsupportedProtocol,
        httpx2.LocalProtocolError,
    )
    return Failure.NEVER_SENT if isinstance(error, never_sent) else Failure.OUTCOME_UNKNOWN
