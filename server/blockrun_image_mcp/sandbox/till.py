"""The till: what was asked of the sandbox, and what was charged on which rail, each payment at most once."""

import secrets
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from blockrun_image.images import ImageRequest
from blockrun_image_mcp.sandbox.x402 import Payment, PaymentRefusedError

_MOST_SHOWN = 1_000
_MOST_PROMPT_CHARACTERS = 2_000

Kind = Literal["quote", "paid", "models"]
"""Whether a request asks for a generation's price, brings a key or a payment for it, or asks for the models."""


Rail: TypeAlias = Literal["account", "wallet"]
"""Where the money comes from."""


@dataclass(frozen=True)
class Bill:
    """How one call is paid for: by the payment, or without one from the account."""

    idempotency_key: str
    payment: Payment | None = None

    @property
    def rail(self) -> Rail:
        """Where the money comes from."""
        return "account" if self.payment is None else "wallet"


@dataclass(frozen=True)
class Settlement:
    """What was charged for one call, in millionths of a US dollar; `tx` is the hash of a wallet's transaction."""

    request: ImageRequest
    bill: Bill
    micro_usd: int
    tx: str | None

    def to_dict(self) -> dict[str, object]:
        """Return the settlement as the till shows it, with its model in the spelling that it was asked for by."""
        payment = self.bill.payment
        return {
            "model": self.request.sent_as or self.request.model,
            "prompt": self.request.prompt[:_MOST_PROMPT_CHARACTERS],
            "size": self.request.size,
            "quality": self.request.quality,
            "n": self.request.n,
            "micro_usd": self.micro_usd,
            "idempotency_key": self.bill.idempotency_key,
            "rail": self.bill.rail,
            "payer": payment and payment.payer,
            "nonce": payment and payment.nonce,
            "tx": self.tx,
        }


@dataclass
class Till:
    """Counts requests and settlements. It is used from the event loop alone, and never waits: each step is whole."""

    keys: list[str] = field(default_factory=list[str])
    quotes: int = 0
    settlements: list[Settlement] = field(default_factory=list[Settlement])
    spent: set[str] = field(default_factory=set[str])
    lists: int = 0
    unchanged_lists: int = 0

    def count(self, kind: Kind, idempotency_key: str) -> None:
        """Note that a generation request has come in."""
        self.keys.append(idempotency_key)
        self.quotes += kind == "quote"

    def check(self, payment: Payment) -> None:
        """Raise `PaymentRefusedError` for a payment that was settled before."""
        if payment.id in self.spent:
            raise PaymentRefusedError("PAYMENT_REPLAY", "the nonce has been used")

    def settle(self, bill: Bill, request: ImageRequest, micro_usd: int) -> Settlement:
        """Charge a call: what its payment is good for, else `micro_usd`; raises `PaymentRefusedError` the second time.

        A payment is spent only here, so that one whose work failed still buys the next.
        """
        tx = None
        if bill.payment is not None:
            self.check(bill.payment)
            self.spent.add(bill.payment.id)
            micro_usd, tx = bill.payment.micro_usd, f"0x{secrets.token_hex(32)}"
        settlement = Settlement(request, bill, micro_usd, tx)
        self.settlements.append(settlement)
        return settlement

    def statement(self) -> dict[str, object]:
        """Return what was charged, and how many generation requests came in, of which kind.

        `lists` are the requests for the list of models, and `unchanged_lists` those that were told that it is the same.
        """
        return {
            "count": len(self.settlements),
            "total_micro_usd": sum(each.micro_usd for each in self.settlements),
            "posts": len(self.keys),
            "quotes": self.quotes,
            "paid_posts": len(self.keys) - self.quotes,
            "lists": self.lists,
            "unchanged_lists": self.unchanged_lists,
            "idempotency_keys": self.keys[-_MOST_SHOWN:],
            "items": [each.to_dict() for each in self.settlements[-_MOST_SHOWN:]],
        }
