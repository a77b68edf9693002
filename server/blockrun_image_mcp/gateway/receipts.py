"""Reads whether money has moved: only the hash of a transaction says so, never a word such as `success`."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, cast

from blockrun_image_mcp.network import json_from

_HASH = re.compile(r"(?:0x)?[0-9a-fA-F]{64}")
_LONGEST_HEADER = 16_384


def transaction_of(headers: Mapping[str, str]) -> str | None:
    """Return the hash of the transaction that an answer's receipts name, or `None` where they name none."""
    lower = {name.lower(): value for name, value in headers.items()}
    for named in (lower.get("x-payment-receipt"), _settlement(lower.get("payment-response", "")).get("transaction")):
        if isinstance(named, str) and _HASH.fullmatch(named.strip()):
            return named.strip()
    return None


def _settlement(encoded: str) -> Mapping[str, Any]:
    if not encoded or len(encoded) > _LONGEST_HEADER:
        return {}
    try:
        settlement = json_from(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        return {}
    return cast("Mapping[str, Any]", settlement) if isinstance(settlement, dict) else {}
