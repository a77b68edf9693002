"""The wallet rail's messages in x402 version 2: challenges, payments and receipts."""

import base64
import json
from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import zip_longest
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, Field, ValidationError

PAY_TO = "0x4020000000000000000000000000000000008402"  # made up
NETWORK = "eip155:8453"  # Base, by its CAIP-2 id

_MAX_TIMEOUT_SECONDS = 300
_MAX_QUOTED_BODIES = 1_000

PaymentCode = Literal["PAYMENT_UNDERPAID", "PAYMENT_REPLAY", "PAYMENT_INVALID", "SETTLEMENT_FAILED"]


@dataclass(frozen=True)
class Token:
    """USDC on one chain, with the domain of its signatures."""

    name: str
    version: str
    chain_id: int
    contract: str


TOKENS: Mapping[str, Token] = MappingProxyType(
    {
        NETWORK: Token("USD Coin", "2", 8453, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
        "eip155:84532": Token("USDC", "2", 84532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e"),
        "eip155:5042": Token("USDC", "2", 5042, "0x3600000000000000000000000000000000000000"),
    }
)
"""The accepted tokens, by network: USDC on Base, Base Sepolia and Arc."""


class PaymentRefusedError(Exception):
    """Raised for a refused payment, with the code of its 402 and the reason."""

    def __init__(self, code: PaymentCode, why: str) -> None:
        super().__init__(f"Payment verification failed: {why}")
        self.code = code
        self.why = why


_Lower = Annotated[str, AfterValidator(str.lower)]
# A uint256 has up to 78 digits; each number of 77 digits fits.
Number = Annotated[str, Field(pattern=r"^[0-9]{1,77}$")]
"""A whole number that a chain can hold, as x402 writes it."""


class Terms(BaseModel, frozen=True, strict=True):
    """The terms of a payment, from one entry of a challenge's `accepts`.

    Addresses compare without case.
    """

    scheme: str
    network: str
    asset: _Lower
    pay_to: _Lower = Field(alias="payTo")
    amount: Number


@dataclass(frozen=True)
class VerifiedPayment:
    """A verified payment, good for one purchase.

    `header` is the original header. `valid_before` is in seconds since 1970.
    """

    header: str
    network: str
    payer: str
    nonce: str
    micro_usd: int
    valid_before: int

    @property
    def id(self) -> str:
        """The chain's key for it: its payer and nonce."""
        return f"{self.payer}/{self.nonce}"

    def hold_at(self, now: float) -> None:
        """Raise `PaymentRefusedError` if it has expired at `now`."""
        if now >= self.valid_before:
            raise PaymentRefusedError("PAYMENT_INVALID", "the authorization has expired")


class Quotes:
    """The terms quoted for each request body.

    A payment may accept any of them, even a fault's false ones.
    """

    def __init__(self) -> None:
        self._quoted: OrderedDict[bytes, frozenset[Terms]] = OrderedDict()

    def remember(self, body: bytes, challenge: Mapping[str, Any]) -> None:
        """Accept payments for a challenge, as far as its terms are valid."""
        accepts = challenge.get("accepts")
        entries = cast("list[object]", accepts) if isinstance(accepts, list) else []
        self._quoted[body] = self._quoted.get(body, frozenset()) | {
            terms for entry in entries for terms in _terms(entry)
        }
        self._quoted.move_to_end(body)
        if len(self._quoted) > _MAX_QUOTED_BODIES:
            self._quoted.popitem(last=False)

    def open_to(self, body: bytes, micro_usd: int) -> AbstractSet[Terms]:
        """Return the terms open for a body: its honest price and all quoted ones."""
        return {*self._quoted.get(body, ()), *_terms(_requirement(micro_usd))}


def challenge(url: str, description: str, micro_usd: int) -> dict[str, Any]:
    """Return the honest challenge for one thing at `url`."""
    return {
        "x402Version": 2,
        "resource": {"url": url, "description": description, "mimeType": "application/json"},
        "accepts": [_requirement(micro_usd)],
    }


def overridden(honest: object, override: object) -> object:
    """Return a document with parts replaced.

    Objects are replaced by key, lists by position; `null` removes a part. A list becomes as long as its override, in
    which `{}` leaves an object unchanged.
    """
    if isinstance(honest, dict) and isinstance(override, dict):
        old, new = cast("dict[str, object]", honest), cast("dict[str, object]", override)
        merged = {**old, **{name: overridden(old.get(name), value) for name, value in new.items()}}
        return {name: value for name, value in merged.items() if value is not None}
    if isinstance(honest, list) and isinstance(override, list):
        values = cast("list[object]", override)
        pairs = zip_longest(cast("list[object]", honest)[: len(values)], values)
        return [value for value in (overridden(*pair) for pair in pairs) if value is not None]
    return override


def encoded(document: object) -> str:
    """Return a document in a header's encoding."""
    return base64.b64encode(json.dumps(document).encode()).decode()


def receipt(payment: VerifiedPayment, tx: str) -> Mapping[str, str]:
    """Return the headers for a settled payment."""
    proof = {"success": True, "transaction": tx, "network": payment.network, "payer": payment.payer}
    return {"PAYMENT-RESPONSE": encoded(proof), "X-Payment-Receipt": tx}


def _requirement(micro_usd: int) -> dict[str, Any]:
    token = TOKENS[NETWORK]
    return {
        "scheme": "exact",
        "network": NETWORK,
        "amount": str(micro_usd),
        "asset": token.contract,
        "payTo": PAY_TO,
        "maxTimeoutSeconds": _MAX_TIMEOUT_SECONDS,
        "extra": {"name": token.name, "version": token.version},
    }


def _terms(entry: object) -> list[Terms]:
    try:
        return [Terms.model_validate(entry)]
    except ValidationError:  # a fault may quote terms that no wallet can pay
        return []
