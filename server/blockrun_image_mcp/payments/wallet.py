"""A wallet with a private key, which signs payments in this process.

The key is never shown, sent or copied.
"""

import platform
import re
import sys
from threading import Lock, Thread
from typing import TYPE_CHECKING, NoReturn

import anyio.to_thread

from blockrun_image.errors import ConfigurationError, UnexpectedError
from blockrun_image.import_guard import same_recursion_limit
from blockrun_image_mcp.payments.authorization import Authorization, digest, typed_data
from blockrun_image_mcp.payments.networks import Network

if TYPE_CHECKING:
    from eth_account.account import Account

_PRIVATE_KEY = re.compile(r"(?:0[xX])?([0-9a-fA-F]{64})")
_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""The order of the curve secp256k1; private keys and parts of a signature are below it."""

_EXTRA = 'pip install "blockrun-image-mcp[wallet]"'
_NOT_THERE = " (its package ckzg has no build for Windows on ARM; there, use Python for x64)"


class Wallet:
    """Signs with one private key, given as 64 hex digits, with `0x` or without.

    Raises `ConfigurationError` for any other text, without quoting it. The signing library takes a second to import, so
    that happens in a thread, at the first use or at `preload`.
    """

    def __init__(self, private_key: str) -> None:
        digits = _PRIVATE_KEY.fullmatch(private_key.strip())
        if digits is None or not 0 < int(digits[1], 16) < _ORDER:
            raise ConfigurationError(
                "The wallet's key is not the private key of an Ethereum account.",
                hint="It must be 64 hex digits, with 0x before them or without, and not zero.",
            )
        self._key = bytes.fromhex(digits[1])
        self._loading = Lock()
        self._is_preloading = False

    def __repr__(self) -> str:
        return "Wallet(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a wallet cannot be pickled or copied")

    def preload(self) -> None:
        """Start to import the signing library in a thread of its own, and return at once."""
        if not self._is_preloading:
            self._is_preloading = True
            # a daemon thread: the end of the process would wait for a worker thread of anyio
            Thread(target=self._preload, name="wallet-preload", daemon=True).start()

    async def address(self) -> str:
        """Return the wallet's checksummed address.

        Raises `ConfigurationError` without the extra `wallet`.
        """
        return await anyio.to_thread.run_sync(self._address)

    async def sign(self, network: Network, authorization: Authorization) -> str:
        """Return the signature, `0x` and 130 hex digits (r, s, v).

        The signing library computes its own digest; the signature is then checked against ours. Raises
        `ConfigurationError` without the extra `wallet`, and `UnexpectedError` if the check fails.
        """
        return await anyio.to_thread.run_sync(self._sign, network, authorization)

    def _address(self) -> str:
        return self._account().from_key(self._key).address

    def _sign(self, network: Network, authorization: Authorization) -> str:
        signed = self._account().sign_typed_data(self._key, full_message=typed_data(network, authorization))
        signature = _with_low_s(signed.r, signed.s, signed.v - 27)  # Ethereum's v is the parity and 27
        if _signer_of(network, authorization, signature).lower() != authorization.payer.lower():
            raise UnexpectedError("The signature is not the wallet's, and was not sent.", charged="no")
        r, s, parity = signature
        return f"0x{r:064x}{s:064x}{27 + parity:02x}"

    def _account(self) -> "Account":
        with self._loading, same_recursion_limit():
            try:
                from eth_account import Account  # noqa: PLC0415 - it takes a second, and is an optional extra
            except ImportError as error:
                raise ConfigurationError(
                    "Paying from a wallet needs the extra `wallet`, which is not installed. Nothing was signed.",
                    hint=f"Install it: {_EXTRA}{_NOT_THERE if _is_windows_on_arm() else ''}",
                ) from error
            return Account()

    def _preload(self) -> None:
        try:
            self._account()
        except ConfigurationError:
            self._is_preloading = False  # the next use raises it


def _is_windows_on_arm() -> bool:
    return sys.platform == "win32" and platform.machine().upper() == "ARM64"


def _with_low_s(r: int, s: int, parity: int) -> tuple[int, int, int]:
    """Return the form of a signature with the lower s; the token's contract accepts no other."""
    return (r, s, parity) if s <= _ORDER // 2 else (r, _ORDER - s, 1 - parity)


def _signer_of(network: Network, authorization: Authorization, signature: tuple[int, int, int]) -> str:
    from eth_keys.datatypes import Signature  # noqa: PLC0415 - it comes with eth_account
    from eth_utils.crypto import keccak  # noqa: PLC0415 - as above

    r, s, parity = signature
    message = digest(network, authorization, keccak)
    return Signature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(message).to_checksum_address()
