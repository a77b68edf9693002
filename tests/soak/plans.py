"""What the gateway does with each order and each question for a price, drawn from the seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

Rail = Literal["account", "wallet"]

PRICES: Mapping[str, int] = {"nano-banana-pro": 105_000, "dall-e-3": 42_000}
"""The published prices of the models that are asked for, in millionths of a US dollar."""

LIES = (
    "amount",
    "asset",
    "clock",
    "method",
    "network",
    "payee",
    "price",
    "redirect",
    "resource",
    "scheme",
    "version",
)
"""What can be wrong with a quote, so that nothing may be signed for it."""

UNUSABLE = ("empty", "another key", "html", "truncated", "strange picture", "strange data url", "foreign poll url")
"""The forms of a paid 2xx answer that no picture can be taken from."""

_ORDERS: Mapping[str, float] = {
    "whole": 42,
    "data": 5,
    "job": 20,
    "cut": 5,
    "unended": 1,
    "never": 2,
    "limited": 5,
    "failed": 4,
    "refused": 3,
    "refused but charged": 3,
    "unusable": 4,
    "dear": 2,
    "unreadable": 3,
    "redirect": 1,
}
_CALM: Mapping[str, float] = {"whole": 80, "job": 20}
_QUOTES: Mapping[str, float] = {"honest": 84, "lie": 12, "limited": 2, "failed": 2}
_WRONG_POLLS = ("401", "404", "500", "504", "cut", "another job", "empty")
_UNREADABLE = ("9e-1", "$0.90", "0.0525 USD", "-0.105", "NaN", "1000000000", "twice", "euro")
_SETTLED_LATER = ("cut", "never", "failed", "refused but charged")


@dataclass(frozen=True)
class Plan:
    """What happens to one order.

    `price` is what is charged, as a multiple of what was asked; `is_named` tells whether the answer says so. `cut` is
    the share of the answer that is sent before the connection ends, if it does. `polls` are the first answers to polls.
    """

    kind: str
    wait: float = 0.0
    status: int = 200
    form: str = ""
    price: float = 1.0
    is_named: bool = True
    cut: float | None = None
    resets: bool = False
    polls: tuple[str, ...] = ()
    settles_later: bool = False


@dataclass(frozen=True)
class Quote:
    """What a question for the price is answered: `lie` is what is wrong, `price` the multiple of the published one."""

    kind: str
    lie: str = ""
    price: float = 1.0


def seeded(*parts: object) -> Random:
    """Return dice that fall the same way for the same parts."""
    return Random("|".join(map(str, parts)))


def pick(dice: Random, weights: Mapping[str, float]) -> str:
    """Return one of the names, as often as its weight says."""
    return dice.choices(list(weights), list(weights.values()))[0]


def draw_plan(dice: Random, rail: Rail, scale: float, *, is_calm: bool) -> Plan:
    """Return what happens to an order; in a calm, it is drawn and told as it should be."""
    kind = pick(dice, _CALM if is_calm else _ORDERS)
    plan = Plan(kind, _wait(dice, is_calm=is_calm))
    if kind in _DETAILS and not is_calm:
        plan = replace(plan, **_DETAILS[kind](dice, rail))
    later = rail == "wallet" and kind in _SETTLED_LATER and plan.price > 0 and dice.random() < 0.4
    return replace(
        plan,
        wait=plan.wait / scale,
        settles_later=later,
        is_named=plan.is_named and not later,
        resets=dice.random() < 0.5,
    )


def draw_quote(dice: Random, *, is_calm: bool) -> Quote:
    """Return what a question for the price is answered."""
    kind = "honest" if is_calm else pick(dice, _QUOTES)
    return Quote(kind, dice.choice(LIES) if kind == "lie" else "", dice.choice((1.0, 1.0, 1.0, 1.2)))


def _wait(dice: Random, *, is_calm: bool) -> float:
    if dice.random() < 0.03 and not is_calm:
        return dice.uniform(50, 90)  # longer than a call may take
    return dice.choice((dice.uniform(0, 0.5), dice.uniform(0, 6), dice.uniform(4, 40)))


def _job(dice: Random, rail: Rail) -> dict[str, Any]:
    if dice.random() < 0.15:
        is_charged = rail == "account" and dice.random() < 0.5
        return {"form": "failed", "price": 1.0 if is_charged else 0.0}
    wrong = dice.choices(_WRONG_POLLS, k=dice.choice((1, 2))) if dice.random() < 0.4 else []
    return {"polls": tuple(wrong)}


def _refusal(dice: Random, rail: Rail) -> dict[str, Any]:
    return {
        "status": dice.choice((400, 402, 403)),
        "form": dice.choice(("cost", "receipt")),
        "is_named": rail == "account" or dice.random() < 0.5,
    }


_DETAILS: Mapping[str, Callable[[Random, Rail], dict[str, Any]]] = {
    "job": _job,
    "cut": lambda dice, rail: {"cut": dice.random()},
    "never": lambda dice, rail: {"cut": 0.0, "wait": dice.uniform(20, 120)},
    "limited": lambda dice, rail: {"status": 429, "price": 0.0, "wait": 0.0},
    "failed": lambda dice, rail: {
        "status": dice.choice((500, 502, 503)),
        "form": dice.choice(("cost", "receipt")),
        "price": dice.choice((0.0, 1.0)),
        "is_named": dice.random() < 0.5,
    },
    "refused": lambda dice, rail: {"status": dice.choice((400, 402, 403)), "price": 0.0},
    "refused but charged": _refusal,
    "unusable": lambda dice, rail: {"form": dice.choice(UNUSABLE), "is_named": dice.random() < 0.7},
    "dear": lambda dice, rail: {"price": dice.choice((1.2, 5.0))},
    "unreadable": lambda dice, rail: {
        "form": (form := dice.choice(_UNREADABLE)),
        "price": 2.0 if form == "twice" else 1.0,
    },
    "redirect": lambda dice, rail: {"status": 307, "price": 0.0},
}
