"""Incoming requests for pictures, with their rail and payment."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request

from blockrun_image.text import clean
from blockrun_image_sandbox.settlements import Kind

ACCOUNT_PREFIX, WALLET_PREFIX = "/v1", "/api/v1"
PREFIXES = (ACCOUNT_PREFIX, WALLET_PREFIX)

_MAX_BODY_BYTES = 2**20  # enough for the longest prompt at four bytes a character
_MAX_DROPPED = 4


@dataclass(frozen=True)
class Call:
    """One request for pictures: its address, its body, and how it is paid.

    The wallet's paths also serve the account rail for a request with an account key; any other Bearer token is ignored
    there.
    """

    url: str
    prefix: str
    operation: str
    content_type: str
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
        prefix = WALLET_PREFIX if path.startswith(WALLET_PREFIX) else ACCOUNT_PREFIX
        wallet = prefix == WALLET_PREFIX and not has_key
        signature = request.headers.get("payment-signature") if wallet else None
        origin = str(request.base_url).rstrip("/")
        return cls(
            url=str(request.url),
            prefix=prefix,
            operation=path.removeprefix(prefix),
            content_type=request.headers.get("content-type", ""),
            origin=origin,
            key=key,
            rail="wallet" if wallet else "account",
            is_authorized=wallet or has_key,
            signature=signature,
        )

    @property
    def kind(self) -> Kind:
        """Whether it asks for the price or is paid.

        On the account rail, it is always paid.
        """
        return "quote" if self.rail == "wallet" and self.signature is None else "paid"

    @property
    def digest(self) -> bytes:
        """The hash of its body, the key of its quotes."""
        return hashlib.sha256(self.body).digest()


def has_account_key(request: Request) -> bool:
    """Return whether a request has an account key acceptable to the sandbox."""
    return request.headers.get("authorization", "").startswith("Bearer brk_")


async def read_body(request: Request, limit: int = _MAX_BODY_BYTES) -> bytes:
    """Return a request's whole body; raises `ValueError` if it is longer than the limit.

    Some more is read and dropped: a client that still sends would get a reset instead of the answer.
    """
    body, length = bytearray(), 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= limit:
            body += chunk
        elif length > _MAX_DROPPED * limit:
            break
    if length > limit:
        raise ValueError("The body is too large.")
    return bytes(body)
