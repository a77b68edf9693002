"""When a request may be sent again, and after how long: tables and a few pure functions.

A Bearer POST has nothing that would stop the gateway from charging twice, so it is sent again only where the first one
provably was not billed: it never left, or was refused for its rate. A signed POST carries a payment that can be made
once, however often it arrives; an unpaid one cannot be charged.
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
from blockrun_image_mcp.network import json_from, json_object
from blockrun_image_mcp.timings import Timings


class Failure(Enum):
    """Why a request has no answer: it never left, or it left and what became of it is not known."""

    NEVER_SENT = auto()
    OUTCOME_UNKNOWN = auto()


Outcome = Failure | int
"""How an attempt ended: without an answer, or with an HTTP status."""


@dataclass(frozen=True)
class Rule:
    """How many times a request may be sent again after an outcome, and whether it counts as charged if none follows.

    Each outcome has a count of its own.
    """

    resends: float
    charged: Charged


class Rejection(Enum):
    """What a gateway says of a payment that it did not take; who holds the payment can use it all the same."""

    REFUSED = auto()
    TAKEN = auto()
    """An earlier copy of it was taken."""
    UNCLEAR = auto()


_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?", re.ASCII)
_WAITS = ("retry_after_seconds", "retry_after")
_MILLISECONDS_HEADERS = ("retry-after-ms", "x-ms-retry-after-ms")

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
"""A generation that carries an account key or a token. Whatever is not listed is final and of unknown outcome."""

UNPAID_QUOTE: Mapping[Outcome, Rule] = MappingProxyType(
    {
        **dict.fromkeys((*Failure, 429, 502, 503, 504), _TWICE),
        500: Rule(1, "no"),
        **dict.fromkeys((402, *_REFUSALS), _REFUSED),
    }
)
"""A generation that carries neither a credential nor a payment, to which a 402 is the answer that is wanted."""

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
"""A generation that carries a signed payment, which is sent again as it is and never signed anew.

What it says of a 402 is for one whose code says nothing: see `rejection_of`. After a refusal, whoever has the payment
can still use it until it expires.
"""

POLL: Mapping[Outcome, Rule] = MappingProxyType(
    {
        Failure.NEVER_SENT: _ALWAYS,
        Failure.OUTCOME_UNKNOWN: _ALWAYS,
        429: _ALWAYS,
        **dict.fromkeys((502, 503, 504), _ALWAYS),
    }
)
"""A question after an accepted job, which is free; it ends with the call's own time limit."""


def rule_for(rules: Mapping[Outcome, Rule], outcome: Outcome) -> Rule:
    """Return the rule for an outcome; what the table does not list is final and of unknown outcome."""
    return rules.get(outcome, _UNKNOWN)


def may_resend(rules: Mapping[Outcome, Rule], outcome: Outcome, resends: int) -> bool:
    """Tell whether a request may be sent once more after `outcome`, after which it was `resends` times already."""
    return resends < rule_for(rules, outcome).resends


def charged_after(rules: Mapping[Outcome, Rule], outcomes: Sequence[Outcome]) -> Charged:
    """Tell whether a request counts as charged that was sent again until the last of its outcomes.

    A refusal says nothing of the copies that were sent before it.
    """
    return "no" if all(rule_for(rules, outcome).charged == "no" for outcome in outcomes) else "unknown"


def rejection_of(code: str | None, words: str, earlier: Sequence[Outcome]) -> Rejection:
    """Return what a 402 to a signed POST says; `earlier` are the outcomes that came before it.

    The code is the gateway's; `PAYMENT_REPLAY` after an outcome that is not known means that the first copy was taken.
    """
    is_first = charged_after(SIGNED_POST, earlier) == "no"
    if code == "PAYMENT_REPLAY":
        return Rejection.REFUSED if is_first else Rejection.TAKEN
    is_refused = code in ("PAYMENT_UNDERPAID", "PAYMENT_INVALID") or words.startswith("Payment verification failed")
    return Rejection.REFUSED if is_refused and is_first and code != "SETTLEMENT_FAILED" else Rejection.UNCLEAR


def wait_seconds(outcome: Outcome, resends: int, asked_seconds: float | None, timings: Timings) -> float:
    """Return how long to wait before sending again: what the answer asks for, else exponential with full jitter."""
    if asked_seconds is not None:
        return asked_seconds
    if outcome == 429:
        return timings.default_retry_after_seconds
    ceiling = min(timings.max_backoff_seconds, timings.backoff_seconds * 2.0 ** min(resends, 30))
    return random.uniform(0, ceiling)  # noqa: S311 - jitter, not a secret


def asked_seconds(response: httpx2.Response, timings: Timings) -> float | None:
    """Return the wait that an answer asks for in its headers or its body, in seconds; `None` without a usable one."""
    for name in _MILLISECONDS_HEADERS:
        if _SECONDS.fullmatch(told := response.headers.get(name, "").strip()):
            return min(timings.max_retry_after_seconds, float(told) / 1_000)
    body = json_object(json_from(response.content))
    told = [str(fields.get(name, "")) for fields in (body, json_object(body.get("error"))) for name in _WAITS]
    asked = [retry_after_seconds(each, timings) for each in (response.headers.get("retry-after"), *told)]
    return next((seconds for seconds in asked if seconds is not None), None)


def retry_after_seconds(header: str | None, timings: Timings) -> float | None:
    """Return the seconds that a Retry-After header asks for, as seconds or as a date; `None` without a usable one."""
    if not header:
        return None
    if _SECONDS.fullmatch(header.strip()):
        return min(timings.max_retry_after_seconds, float(header))
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(timings.max_retry_after_seconds, max(0.0, seconds))


def failure_of(error: httpx2.TransportError) -> Failure:
    """Tell whether a request that failed had left: DNS, TCP, TLS, proxy and pool failures come before that."""
    never_sent = (
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ProxyError,
        httpx2.UnsupportedProtocol,
        httpx2.LocalProtocolError,
    )
    return Failure.NEVER_SENT if isinstance(error, never_sent) else Failure.OUTCOME_UNKNOWN
