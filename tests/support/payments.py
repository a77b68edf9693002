"""What tests of the wallet rail share: a wallet that counts, an attempt that keeps, payees in memory, and a quote."""

import base64
import json
from collections.abc import Mapping
from decimal import Decimal
from email.utils import formatdate
from typing import Any

import httpx2

from blockrun_image.attempts import Payment, Quote
from blockrun_image.images import ImageRequest
from blockrun_image.null_ledger import NullAttempt
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


class KeptAttempt(NullAttempt):
    """An attempt that keeps what it is told, in order, and raises the error that it was given for a step."""

    def __init__(self, max_usd: Decimal = Decimal("0.05"), fails: Mapping[str, Exception] | None = None) -> None:
        super().__init__(ImageRequest("A red fox", "dall-e-3", "1024x1024", "standard", 1), max_usd)
        self.notes: list[tuple[str, object]] = []
        self._fails = fails or {}

    def _note(self, step: str, what: object) -> None:
        self.notes.append((step, what))
        if step in self._fails:
            raise self._fails[step]

    async def quoted(self, quote: Quote) -> None:
        self._note("quoted", quote)

    async def signed(self, payment: Payment) -> None:
        self._note("signed", payment)


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
