"""A wallet's requests to the sandbox, signed without the server's code."""

import base64
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, cast

import httpx2
from eth_account import Account
from tests.support.sandbox import Sandbox

from blockrun_image_sandbox.verification import signable
from blockrun_image_sandbox.x402 import TOKENS

ACCOUNT: Any = cast("Any", Account).create()
FOX = {"model": "nano-banana", "prompt": "A fox"}
PATH = "/api/v1/images/generations"


def post(sandbox: Sandbox, headers: Mapping[str, str] | None = None, body: object = None) -> httpx2.Response:
    """Return the answer to a request for a picture."""
    return httpx2.post(f"{sandbox.origin}{PATH}", json=body or FOX, headers=headers)


def decoded(header: str) -> dict[str, Any]:
    """Return what a header of x402 says."""
    return json.loads(base64.b64decode(header))


def quoted(sandbox: Sandbox, body: object = None) -> dict[str, Any]:
    """Return the quote for a request."""
    return decoded(post(sandbox, body=body).headers["PAYMENT-REQUIRED"])


def signed(
    accepted: Mapping[str, Any],
    changes: Mapping[str, str] | None = None,
    signer: Any = ACCOUNT,
    now: float | None = None,
) -> dict[str, Any]:
    """Return a payment, changed before it is signed."""
    now = time.time() if now is None else now
    authorization = {
        "from": ACCOUNT.address,
        "to": accepted["payTo"],
        "value": accepted["amount"],
        "validAfter": str(int(now) - 600),
        "validBefore": str(int(now) + 300),
        "nonce": f"0x{secrets.token_hex(32)}",
        **(changes or {}),
    }
    message = {name: int(value) if value.isdecimal() else value for name, value in authorization.items()}
    message["nonce"] = bytes.fromhex(authorization["nonce"][2:])
    signature = signer.sign_message(signable(TOKENS[accepted["network"]], message)).signature
    payload = {"signature": f"0x{bytes(signature).hex()}", "authorization": authorization}
    return {"x402Version": 2, "accepted": dict(accepted), "payload": payload}


def header(payment: object) -> dict[str, str]:
    """Return the header of a payment."""
    return {"PAYMENT-SIGNATURE": base64.b64encode(json.dumps(payment).encode()).decode()}


def paid(sandbox: Sandbox) -> dict[str, str]:
    """Return the header of a payment for a fox."""
    return header(signed(quoted(sandbox)["accepts"][0]))
