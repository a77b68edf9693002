"""What a wallet signs, held against the library that it signs with, and what it never shows."""

import copy
import pickle
import platform
import subprocess
import sys
import threading
import traceback
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_keys.constants import SECPK1_N
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.payments import ADDRESS, KEY, PAYEE

from blockrun_image import ConfigurationError, UnexpectedError
from blockrun_image_mcp.payments.authorization import Authorization, digest, domain_separator, type_hash, typed_data
from blockrun_image_mcp.payments.networks import NETWORKS, Network
from blockrun_image_mcp.payments.wallet import Wallet

pytestmark = pytest.mark.anyio

BASE = NETWORKS["eip155:8453"]
UINT256 = st.integers(0, 2**256 - 1)
ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: f"0x{raw.hex()}")
AUTHORIZATIONS = st.builds(
    Authorization, ADDRESSES, ADDRESSES, UINT256, UINT256, UINT256, st.binary(min_size=32, max_size=32)
)


@given(st.sampled_from(sorted(NETWORKS)), AUTHORIZATIONS)
def test_digest_equals_that_of_the_signing_library(id: str, authorization: Authorization) -> None:
    network = NETWORKS[id]
    message = encode_typed_data(full_message=typed_data(network, authorization))
    assert digest(network, authorization, keccak) == keccak(b"\x19\x01" + message.header + message.body)


def test_domain_and_type_match_the_contract_on_base() -> None:
    separator = "02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f"
    assert domain_separator(BASE, keccak).hex() == separator
    assert type_hash(keccak).hex() == "7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267"
    assert [network.chain_id for network in NETWORKS.values()] == [8453, 84532, 5042]


@settings(max_examples=30)
@given(st.integers(1, SECPK1_N - 1), ADDRESSES, st.integers(1, 10**15), UINT256, st.binary(min_size=32, max_size=32))
def test_signature_is_the_wallets_own_in_canonical_form(
    key: int, payee: str, value: int, valid_before: int, nonce: bytes
) -> None:
    wallet = Wallet(f"{key:064x}")
    authorization = Authorization(anyio.run(wallet.address), payee, value, 0, valid_before, nonce)
    signature = bytes.fromhex(anyio.run(wallet.sign, BASE, authorization)[2:])
    message = encode_typed_data(full_message=typed_data(BASE, authorization))
    assert Account.recover_message(message, signature=signature) == authorization.payer
    assert len(signature) == 65
    assert int.from_bytes(signature[32:64], "big") <= SECPK1_N // 2
    assert signature[64] in (27, 28)


async def test_high_s_signature_is_normalized(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authorization = Authorization(ADDRESS, PAYEE, 1, 0, 2, bytes(32))
    usual = await Wallet(KEY).sign(BASE, authorization)

    class HighS:
        """A library that hands out the other form."""

        def sign_typed_data(self, key: bytes, *, full_message: dict[str, Any]) -> SimpleNamespace:
            signed = Account().sign_typed_data(key, full_message=full_message)
            return SimpleNamespace(r=signed.r, s=SECPK1_N - signed.s, v=55 - signed.v)

    wallet = Wallet(KEY)
    monkeypatch.setattr(wallet, "_account", HighS)
    assert await wallet.sign(BASE, authorization) == usual


@pytest.mark.parametrize("key", [KEY, KEY[2:], KEY.upper(), f" {KEY}\n"])
async def test_key_is_accepted_with_or_without_0x(key: str) -> None:
    assert await Wallet(key).address() == ADDRESS


@pytest.mark.parametrize(
    "key", ["", "0x", KEY[:-1], f"{KEY}0", f"brk_{KEY}", "0x" + "0" * 64, f"{SECPK1_N:064x}", "f" * 64, "g" * 64]
)
def test_invalid_key_is_refused_without_being_quoted(key: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the private key") as caught:
        Wallet(key)
    said = caught.value.to_text() + "".join(traceback.format_exception(caught.value))
    assert len(key) < 10 or key not in said


async def test_wallet_hides_its_key_and_cannot_be_copied() -> None:
    wallet = Wallet(KEY)
    await wallet.address()
    assert repr(wallet) == str(wallet) == "Wallet(...)"
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            copied(wallet)


async def test_signature_for_another_payer_is_not_returned() -> None:
    with pytest.raises(UnexpectedError, match="was not sent") as caught:
        await Wallet(KEY).sign(BASE, Authorization(PAYEE, PAYEE, 1, 0, 2, bytes(32)))
    assert caught.value.charged == "no"


async def test_signature_of_another_digest_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    def more(network: Network, authorization: Authorization) -> dict[str, Any]:
        return typed_data(network, replace(authorization, value=2))

    monkeypatch.setattr("blockrun_image_mcp.payments.wallet.typed_data", more)
    with pytest.raises(UnexpectedError, match="was not sent"):
        await Wallet(KEY).sign(BASE, Authorization(ADDRESS, PAYEE, 1, 0, 2, bytes(32)))


async def test_another_domain_makes_another_signature() -> None:
    other = Network(BASE.id, BASE.token, "Other Coin")
    authorization = Authorization(ADDRESS, PAYEE, 1, 0, 2, bytes(32))
    assert await Wallet(KEY).sign(BASE, authorization) != await Wallet(KEY).sign(other, authorization)


async def test_error_names_windows_on_arm_as_lacking_a_wallet_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eth_account", None)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(platform, "machine", lambda: "ARM64")
    with pytest.raises(ConfigurationError) as caught:
        await Wallet("1" * 64).address()
    assert "ckzg has no build for Windows on ARM" in caught.value.hint


async def test_missing_wallet_extra_is_named_and_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eth_account", None)
    wallet = Wallet(KEY)
    wallet.preload()
    for thread in threading.enumerate():
        if thread.name == "wallet-preload":
            thread.join()
    with pytest.raises(ConfigurationError, match="Nothing was signed") as caught:
        await wallet.address()
    assert 'pip install "blockrun-image-mcp[wallet]"' in caught.value.hint


def test_signing_library_is_imported_lazily_with_recursion_limit_intact() -> None:
    program = f"""
import sys, time, anyio
from blockrun_image_mcp.payments.auth import WalletPayer
from blockrun_image_mcp.payments.authorization import Authorization
from blockrun_image_mcp.payments.networks import NETWORKS
from blockrun_image_mcp.payments.wallet import Wallet
limit = sys.getrecursionlimit()
wallet = Wallet("{KEY}")
assert "eth_account" not in sys.modules
wallet.preload()
address = anyio.run(wallet.address)
anyio.run(wallet.sign, NETWORKS["eip155:8453"], Authorization(address, address, 1, 0, 2, bytes(32)))
print(address, sys.getrecursionlimit() == limit)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [ADDRESS, "True"]
