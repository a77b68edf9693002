"""Reads the proof of a charge from an answer of any status.

An amount above 0, as the gateway names it, or the hash of a transaction proves a charge. A word such as `success` does
not.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx2

from blockrun_image.attempts import Payment
from blockrun_image_mcp.bounded_json import json_from, json_object
from blockrun_image_mcp.gateway.jobs import State, state_of
from blockrun_image_mcp.headers import MAX_ENCODED_CHARACTERS

_COST_HEADER = "x-blockrun-cost-usd"
_PAID = ("settled", "charged", "paid")
_DOLLARS = ("", "USD", "USDC")
_MAX_AMOUNT_USD = Decimal(100_000)
_PLAIN = re.compile(r"\d{1,9}(?:\.\d{1,18})?")
_LOOSE = re.compile(r"\$?\s*(\d{1,9}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,2})?)\s*(?:\$|USDC?)?", re.IGNORECASE)
_HASH = re.compile(r"(?:0x)?[0-9a-fA-F]{64}")  # of a transaction on an EVM chain


@dataclass(frozen=True)
class Evidence:
    """The evidence of a charge in an answer.

    `amount_usd` is the largest amount that can be read, in US dollars. `transaction` is the hash of a payment's
    transaction. `is_doubtful` means that an amount is not written in plain dollars, or that the answer says that it was
    paid without an amount.
    """

    amount_usd: Decimal | None = None
    is_doubtful: bool = False
    transaction: str | None = None

    @property
    def is_proof(self) -> bool:
        """Whether it proves a charge; an amount of 0 is not proof."""
        return bool(self.transaction or self.amount_usd)

    def __or__(self, other: "Evidence") -> "Evidence":
        amounts = [each.amount_usd for each in (self, other) if each.amount_usd is not None]
        return Evidence(
            max(amounts, default=None),
            self.is_doubtful or other.is_doubtful,
            self.transaction or other.transaction,
        )

    def charged_usd(self, reserved_usd: Decimal, payment: Payment | None) -> Decimal | None:
        """Return the charged amount in US dollars; `None` if unknown.

        A payment moves whole or not at all. Without a payment, a doubtful amount counts as at least `reserved_usd`.
        """
        if payment is not None:
            return payment.amount_usd if self.is_proof else None
        if self.is_doubtful and self.amount_usd is not None:
            return max(self.amount_usd, reserved_usd)
        return self.amount_usd


NO_EVIDENCE = Evidence()


def evidence_of(response: httpx2.Response) -> Evidence:
    """Return an answer's evidence of a charge.

    The price in its body counts only beside a result, or if the answer says that it was paid. In other answers, it is
    the price of a future request.
    """
    body = json_object(json_from(response.content))
    evidence = _amounts(_named_in_headers(response.headers))
    # a 202 accepts a job, and a 204 or 205 has no body
    is_result = response.status_code in (200, 201, 203) and state_of(body) in (None, State.FINISHED)
    is_reported_paid = any(str(state).lower() in _PAID for state in _payment_states(body))
    if is_result or is_reported_paid:
        evidence |= _price(body.get("price"))
    if is_reported_paid and not is_result and evidence.amount_usd is None:
        evidence |= Evidence(is_doubtful=True)
    return evidence | Evidence(transaction=_transaction(response.headers, body.get("payment")))


def _payment_states(body: Mapping[str, Any]) -> Iterable[object]:
    for fields in (body, json_object(body.get("error"))):
        yield fields.get("payment_status")
        yield json_object(fields.get("payment")).get("status")


def _named_in_headers(headers: httpx2.Headers) -> Iterable[str]:
    """Yield the amounts of all cost headers; a proxy may have joined them into one."""
    for line in headers.get_list(_COST_HEADER):
        yield from line.split(", ")


def _price(price: object) -> Evidence:
    fields = json_object(price)
    currency = str(fields.get("currency") or "").upper()
    amount = fields.get("amount") if fields else price
    if amount is None:
        return NO_EVIDENCE
    return _amounts([amount]) if currency in _DOLLARS else Evidence(is_doubtful=True)


def _amounts(values: Iterable[object]) -> Evidence:
    evidence = NO_EVIDENCE
    for value in values:
        evidence |= _amount(value)
    return evidence


def _amount(value: object) -> Evidence:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = format(Decimal(str(value)), "f")  # without the exponent of a small float
    if not isinstance(value, str) or not value.strip():
        return Evidence(is_doubtful=value != "")
    text = value.strip()
    found = _LOOSE.fullmatch(text)
    try:
        amount = None if found is None else Decimal(found[1])
    except InvalidOperation:
        amount = None
    if amount is None or amount > _MAX_AMOUNT_USD:
        return Evidence(is_doubtful=True)
    return Evidence(amount, is_doubtful=not _PLAIN.fullmatch(text))


def _transaction(headers: httpx2.Headers, payment: object) -> str | None:
    named: Sequence[object] = [
        *headers.get_list("x-payment-receipt"),
        *(_settlement(line).get("transaction") for line in headers.get_list("payment-response")),
        json_object(payment).get("tx_hash"),
    ]
    hashes = [each.strip() for each in named if isinstance(each, str)]
    return next(filter(_HASH.fullmatch, hashes), None)


def _settlement(encoded: str) -> dict[str, object]:
    if len(encoded) > MAX_ENCODED_CHARACTERS:
        return {}
    try:
        return {**json_object(json_from(base64.b64decode(encoded, validate=True)))}
    except (binascii.Error, ValueError):
        return {}
