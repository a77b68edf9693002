"""Verifies signed payments: the terms, the amount, the time, and the signer."""

import base64
import binascii
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import anyio.to_thread
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from blockrun_image.import_guard import same_recursion_limit
from blockrun_image_sandbox.x402 import TOKENS, Number, PaymentRefusedError, Terms, Token, VerifiedPayment

if TYPE_CHECKING:
    from eth_account.messages import SignableMessage

# Like USDC's contract, accept only the lower of the two valid values of s: a signature then has one form.
_HALF_OF_THE_CURVE = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$"), AfterValidator(str.lower)]


class _Authorization(BaseModel, frozen=True, strict=True):
    payer: _Address = Field(alias="from")
    to: _Address
    value: Number
    valid_after: Number = Field(alias="validAfter")
    valid_before: Number = Field(alias="validBefore")
    nonce: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]


class _Signed(BaseModel, frozen=True, strict=True):
    signature: str = Field(pattern=r"^0x[0-9a-fA-F]{130}$")
    authorization: _Authorization


class _Header(BaseModel, frozen=True, strict=True):
    version: Literal[2] = Field(alias="x402Version")
    accepted: Terms
    payload: _Signed


async def verified(header: str, offers: AbstractSet[Terms], now: float) -> VerifiedPayment:
    """Return the verified payment in a `PAYMENT-SIGNATURE` header.

    It must match one of the offers, and be signed by its payer. `now` is in seconds since 1970. Raises
    `PaymentRefusedError`, or `ImportError` without eth-account.
    """
    try:
        read = _Header.model_validate_json(base64.b64decode(header, validate=True))
    except (binascii.Error, ValidationError, ValueError) as error:
        raise PaymentRefusedError("PAYMENT_INVALID", "the header is not a payment of version 2") from error
    authorization = read.payload.authorization
    _check_terms(read.accepted, authorization, offers)
    signature = bytes.fromhex(read.payload.signature[2:])
    # In a thread, because eth-account is slow to import.
    signer = await anyio.to_thread.run_sync(_signer, TOKENS[read.accepted.network], authorization, signature)
    if signer != authorization.payer:
        raise PaymentRefusedError("PAYMENT_INVALID", "the signature is not the payer's")
    if now < int(authorization.valid_after):
        raise PaymentRefusedError("PAYMENT_INVALID", "the authorization is not valid yet")
    return VerifiedPayment(
        header,
        read.accepted.network,
        authorization.payer,
        authorization.nonce,
        int(authorization.value),
        int(authorization.valid_before),
    )


def signable(token: Token, message: Mapping[str, object]) -> "SignableMessage":
    """Return the message for a wallet to sign to transfer a token.

    It is eth-account's `SignableMessage`.
    """
    with same_recursion_limit():
        from eth_account.messages import encode_typed_data  # noqa: PLC0415 - an extra, and slow to import

    numbers = ("value", "validAfter", "validBefore")
    kinds = {"from": "address", "to": "address", **dict.fromkeys(numbers, "uint256"), "nonce": "bytes32"}
    domain = {
        "name": token.name,
        "version": token.version,
        "chainId": token.chain_id,
        "verifyingContract": token.contract,
    }
    types = {"TransferWithAuthorization": [{"name": name, "type": kind} for name, kind in kinds.items()]}
    return encode_typed_data(domain, types, dict(message))


def _check_terms(accepted: Terms, authorization: _Authorization, offers: AbstractSet[Terms]) -> None:
    amounts = [int(offer.amount) for offer in offers if offer == accepted.model_copy(update={"amount": offer.amount})]
    token = TOKENS.get(accepted.network)
    if not amounts or accepted.scheme != "exact" or token is None or accepted.asset != token.contract.lower():
        raise PaymentRefusedError("PAYMENT_INVALID", "what was accepted is not what was asked for")
    if authorization.to != accepted.pay_to:
        raise PaymentRefusedError("PAYMENT_INVALID", "the recipient is not the one that was asked for")
    if int(authorization.value) < min(amounts):
        raise PaymentRefusedError("PAYMENT_UNDERPAID", f"{authorization.value} of {min(amounts)} were authorized")
    if int(authorization.value) not in amounts or authorization.value != accepted.amount:
        raise PaymentRefusedError("PAYMENT_INVALID", "the amount is not the one that was asked for")


def _signer(token: Token, authorization: _Authorization, signature: bytes) -> str:
    """Return the signer's address in lower case.

    Returns an empty text if the chain would refuse the signature.
    """
    with same_recursion_limit():
        from eth_account import Account  # noqa: PLC0415 - an extra, and slow to import
        from eth_keys.exceptions import BadSignature  # noqa: PLC0415 - comes with it

    # The last byte is v; contracts accept 27 and 28 alone, though libraries also write 0 and 1.
    if signature[64] not in (27, 28) or int.from_bytes(signature[32:64]) > _HALF_OF_THE_CURVE:
        return ""
    message: dict[str, object] = {
        "from": authorization.payer,
        "to": authorization.to,
        "value": int(authorization.value),
        "validAfter": int(authorization.valid_after),
        "validBefore": int(authorization.valid_before),
        "nonce": bytes.fromhex(authorization.nonce[2:]),
    }
    try:
        return str(cast("Any", Account).recover_message(signable(token, message), signature=signature)).lower()
    except BadSignature:
        return ""
