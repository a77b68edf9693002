"""Records the sandbox's requests, and its charges on each rail.

A payment is charged at most once.
"""

import secrets
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from blockrun_image.images import ImageRequest
from blockrun_image_sandbox.x402 import PaymentRefusedError, VerifiedPayment

_MAX_SHOWN = 1_000
_MAX_PROMPT_CHARACTERS = 2_000

Kind = Literal["quote", "paid", "models"]
"""The kind of a request: for a generation's price, for a generation with a key or a payment, or for the models."""


Rail: TypeAlias = Literal["account", "wallet"]
"""The source of the money."""


@dataclass(frozen=True)
class Charge:
    """The payment for one call; without a payment, the account pays."""

    idempotency_key: str
    payment: VerifiedPayment | None = None

    @property
    def rail(self) -> Rail:
        """The source of the money."""
        return "account" if self.payment is None else "wallet"


@dataclass(frozen=True)
class Settlement:
    """The charge for one call, in millionths of a US dollar.

    `tx` is the hash of a wallet's transaction.
    """

    request: ImageRequest
    charge: Charge
    micro_usd: int
    tx: str | None

    def to_dict(self) -> dict[str, object]:
        """Return the settlement for the report, with the model as requested, and the SHA-256 of each upload."""
        payment, mask = self.charge.payment, self.request.mask
        return {
            "model": self.request.sent_as or self.request.model,
            "prompt": self.request.prompt[:_MAX_PROMPT_CHARACTERS],
            "size": self.request.size,
            "quality": self.request.quality,
            "n": self.request.n,
            "parameters": dict(self.request.parameters),
            "pictures": [picture.digest for picture in self.request.images],
            "mask": mask and mask.digest,
            "micro_usd": self.micro_usd,
            "idempotency_key": self.charge.idempotency_key,
            "rail": self.charge.rail,
            "payer": payment and payment.payer,
            "nonce": payment and payment.nonce,
            "tx": self.tx,
        }


@dataclass
class Settlements:
    """Counts requests and settlements.

    It is used from the event loop alone and never awaits, so that each step is atomic.
    """

    keys: list[str] = field(default_factory=list[str])
    quotes: int = 0
    settlements: list[Settlement] = field(default_factory=list[Settlement])
    spent: set[str] = field(default_factory=set[str])
    lists: int = 0
    unchanged_lists: int = 0

    def count(self, kind: Kind, idempotency_key: str) -> None:
        """Count an incoming generation request."""
        self.keys.append(idempotency_key)
        self.quotes += kind == "quote"

    def check(self, payment: VerifiedPayment) -> None:
        """Raise `PaymentRefusedError` if the payment was settled before."""
        if payment.id in self.spent:
            raise PaymentRefusedError("PAYMENT_REPLAY", "the nonce has been used")

    def settle(self, charge: Charge, request: ImageRequest, micro_usd: int) -> Settlement:
        """Charge a call the amount of its payment, or else `micro_usd`.

        Raises `PaymentRefusedError` if the payment was settled before. A payment is used up only here, so that one
        whose work failed can still buy another.
        """
        tx = None
        if charge.payment is not None:
            self.check(charge.payment)
            self.spent.add(charge.payment.id)
            # A wallet pays what it signed, even if the price has changed since.
            micro_usd, tx = charge.payment.micro_usd, f"0x{secrets.token_hex(32)}"
        settlement = Settlement(request, charge, micro_usd, tx)
        self.settlements.append(settlement)
        return settlement

    def statement(self) -> dict[str, object]:
        """Return the charges, and the number of generation requests of each kind.

        `lists` counts requests for the list of models, and `unchanged_lists` those answered with 304.
        """
        return {
            "count": len(self.settlements),
            "total_micro_usd": sum(each.micro_usd for each in self.settlements),
            "posts": len(self.keys),
            "quotes": self.quotes,
            "paid_posts": len(self.keys) - self.quotes,
            "lists": self.lists,
            "unchanged_lists": self.unchanged_lists,
            "idempotency_keys": self.keys[-_MAX_SHOWN:],
            "items": [each.to_dict() for each in self.settlements[-_MAX_SHOWN:]],
        }
