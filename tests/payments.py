"""What tests of the wallet rail share: a wallet that counts, an attempt that keeps, payees in memory, and a quote."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import formatdate
from typing import Any

import httpx2

from blockrun_image.images import Image
from blockrun_image.ports import Payment
from blockrun_image_mcp.payments.authorization import Authorization
from blockrun_image_mcp.payments.networks import Network
from blockrun_image_mcp.payments.wallet import Wallet

KEY = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
ADDRESS = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
PAYEE = "0x1111222233334444555566667777888899990000"
URL = "https://blockrun.ai/api/v1/images/generations"
NOW = 1_795_000_000.0
USDC = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"


class CountingWallet(Wallet):
    """A wallet that really signs, and keeps what it has signed."""

    def __init__(self, private_key: str = KEY) -> None:
        super().__init__(private_key)
        self.signed: list[Authorization] = []

    async def sign(self, network: Network, authorization: Authorization) -> str:
        self.signed.append(authorization)
        return await super().sign(network, authorization)


@dataclass
class KeptAttempt:
    """An attempt that keeps what it is told, in order, and raises the error that it was given for a step."""

    most_usd: Decimal = Decimal("0.05")
    fails: dict[str, Exception] = field(default_factory=dict[str, Exception])
    id: str = "6f1c3a52-0b5e-4c1f-9d7e-2f8a4b6c0d1e"
    told: list[tuple[str, object]] = field(default_factory=list[tuple[str, object]])

    def _tell(self, step: str, what: object = None) -> None:
        self.told.append((step, what))
        if step in self.fails:
            raise self.fails[step]

    async def quoted(self, exact_usd: Decimal) -> None:
        self._tell("quoted", exact_usd)

    async def signed(self, payment: Payment) -> None:
        self._tell("signed", payment)

    async def sent(self) -> None:
        self._tell("sent")

    async def accepted(self, job: str) -> None:
        self._tell("accepted", job)

    async def settled(self, charged_usd: Decimal | None, images: Sequence[Image]) -> None:
        self._tell("settled", charged_usd)

    async def released(self) -> None:
        self._tell("released")

    async def unknown(self) -> None:
        self._tell("unknown")


class KeptPayees(dict[str, str]):
    """Payees in memory."""

    async def payee(self, host: str, seen: str) -> str:
        return self.setdefault(host, seen)


def entry(**changes: object) -> dict[str, Any]:
    """Return a way to pay 0.053 USDC on Base, with changes; a field that becomes `...` is left out."""
    whole: dict[str, object] = {
        "scheme": "exact",
        "network": "eip155:8453",
        "amount": "53000",
        "asset": USDC,
        "payTo": PAYEE,
        "maxTimeoutSeconds": 300,
        "extra": {"name": "USD Coin", "version": "2"},
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def quote(*entries: object, **changes: object) -> dict[str, Any]:
    """Return the price quote of a 402, with changes."""
    whole: dict[str, object] = {
        "x402Version": 2,
        "resource": {"url": URL, "description": "Image generation", "mimeType": "application/json"},
        "accepts": list(entries) or [entry()],
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def payment_required(
    challenge: object = None, body: object = None, now: float = NOW, **headers: str | None
) -> httpx2.Response:
    """Return a 402 with a quote in its header; a header that is `None` is left out."""
    whole = {"payment-required": encoded(challenge or quote()), "date": formatdate(now, usegmt=True)}
    named = whole | {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in named.items() if value is not None}
    return httpx2.Response(402, headers=kept, content=body if isinstance(body, bytes) else json.dumps(body or {}))
