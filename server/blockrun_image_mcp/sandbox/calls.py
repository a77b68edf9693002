"""Generation requests as they come in: on which rail, with what to pay for them."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request

from blockrun_image.text import clean
from blockrun_image_mcp.sandbox.till import Kind

WALLET_PREFIX = "/api/v1"

_LARGEST_BODY_BYTES = 2**20  # the longest prompt, four bytes a character, and room


@dataclass(frozen=True)
class Call:
    """One generation request: where it went, what it asks for, and how it is to be paid.

    A path that belongs to the wallet's host is the account rail's too for whoever brings an account key; any other
    Bearer is ignored there.
    """

    url: str
    path: str
    origin: str
    key: str
    rail: Literal["account", "wallet"]
    is_authorized: bool
    signature: str | None
    body: bytes = b""

    @classmethod
    def of(cls, request: Request) -> "Call":
        """Read a request's head; its body is added later."""
        key, path = clean(request.headers.get("idempotency-key", ""), 64), request.url.path
        has_key = has_account_key(request)
        wallet = path.startswith(WALLET_PREFIX) and not has_key
        signature = request.headers.get("payment-signature") if wallet else None
        origin = str(request.base_url).rstrip("/")
        return cls(str(request.url), path, origin, key, "wallet" if wallet else "account", wallet or has_key, signature)

    @property
    def kind(self) -> Kind:
        """Whether it asks for the price or is paid; on the account rail it always is the latter."""
        return "quote" if self.rail == "wallet" and self.signature is None else "paid"

    @property
    def digest(self) -> bytes:
        """What its quotes are remembered by."""
        return hashlib.sha256(self.body).digest()


def has_account_key(request: Request) -> bool:
    """Tell whether a request brings what the sandbox takes for an account's key."""
    return request.headers.get("authorization", "").startswith("Bearer brk_")


async def read_body(request: Request) -> bytes:
    """Return a request's body, whole; raises `ValueError` where it is longer than any request can be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY_BYTES:
            raise ValueError("The body is too large.")
    return bytes(body)
