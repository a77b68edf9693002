"""EIP-3009's TransferWithAuthorization, and its EIP-712 digest.

A wallet signs nothing else here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from blockrun_image_mcp.payments.networks import Network

Keccak = Callable[[bytes], bytes]
"""Keccak-256; the standard library's `sha3_256` pads differently."""

_DOMAIN_FIELDS = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
)
_FIELDS = (
    ("from", "address"),
    ("to", "address"),
    ("value", "uint256"),
    ("validAfter", "uint256"),
    ("validBefore", "uint256"),
    ("nonce", "bytes32"),
)
_TYPE = "TransferWithAuthorization"


@dataclass(frozen=True)
class Authorization:
    """Permission to move `value` millionths of a USDC from `payer` to `payee` once.

    It holds from `valid_after` to `valid_before`, in seconds since 1970. Addresses are `0x` and 40 hex digits. `nonce`
    is 32 bytes, and the token's contract accepts each only once.
    """

    payer: str
    payee: str
    value: int
    valid_after: int
    valid_before: int
    nonce: bytes

    def to_dict(self) -> dict[str, str]:
        """Return it in the JSON of x402, where every value is a string."""
        return {
            "from": self.payer,
            "to": self.payee,
            "value": str(self.value),
            "validAfter": str(self.valid_after),
            "validBefore": str(self.valid_before),
            "nonce": f"0x{self.nonce.hex()}",
        }


def type_hash(keccak: Keccak) -> bytes:
    """Return the EIP-712 hash of the signed type."""
    return keccak(_signature_of(_TYPE, _FIELDS))


def domain_separator(network: Network, keccak: Keccak) -> bytes:
    """Return the EIP-712 hash that binds a signature to a contract and its chain."""
    return keccak(
        keccak(_signature_of("EIP712Domain", _DOMAIN_FIELDS))
        + keccak(network.token_name.encode())
        + keccak(network.token_version.encode())
        + _word(network.chain_id)
        + _address_word(network.token)
    )


def digest(network: Network, authorization: Authorization, keccak: Keccak) -> bytes:
    """Return the 32 bytes to sign (EIP-712)."""
    message = keccak(
        type_hash(keccak)
        + _address_word(authorization.payer)
        + _address_word(authorization.payee)
        + _word(authorization.value)
        + _word(authorization.valid_after)
        + _word(authorization.valid_before)
        + authorization.nonce
    )
    return keccak(b"\x19\x01" + domain_separator(network, keccak) + message)  # the prefix of EIP-191, version 1


def typed_data(network: Network, authorization: Authorization) -> dict[str, Any]:
    """Return the authorization as EIP-712 JSON, for a library that computes the digest."""
    return {
        "types": {"EIP712Domain": _typed_fields(_DOMAIN_FIELDS), _TYPE: _typed_fields(_FIELDS)},
        "primaryType": _TYPE,
        "domain": {
            "name": network.token_name,
            "version": network.token_version,
            "chainId": network.chain_id,
            "verifyingContract": network.token,
        },
        "message": {
            "from": authorization.payer,
            "to": authorization.payee,
            "value": authorization.value,
            "validAfter": authorization.valid_after,
            "validBefore": authorization.valid_before,
            "nonce": authorization.nonce,
        },
    }


def _signature_of(name: str, fields: Sequence[tuple[str, str]]) -> bytes:
    return f"{name}({','.join(f'{kind} {field}' for field, kind in fields)})".encode()


def _typed_fields(fields: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": field, "type": kind} for field, kind in fields]


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _address_word(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")
