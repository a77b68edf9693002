"""Pays a 402 from a wallet, as an `Auth` of httpx2.

An `Auth` works above the transport, so the transport's resends carry the same signature.
"""

import base64
import json
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from decimal import Decimal

import httpx2

from blockrun_image.attempts import Payment, Quote
from blockrun_image.errors import refused_quote
from blockrun_image.ports import Attempt
from blockrun_image_mcp.headers import DATE, PAYMENT_SIGNATURE
from blockrun_image_mcp.payments.authorization import Authorization
from blockrun_image_mcp.payments.challenge import read_challenge
from blockrun_image_mcp.payments.rules import QuoteContext, Requirement, check_url, choose, exact_price, host_of
from blockrun_image_mcp.payments.wallet import Wallet
from blockrun_image_mcp.timings import DEFAULT, Timings

OnSigned = Callable[[Payment], None]
"""Gets a payment before it is sent."""


@dataclass(frozen=True)
class WalletPayer:
    """A wallet that pays; `clock` returns the seconds since 1970."""

    wallet: Wallet
    clock: Callable[[], float] = time.time
    timings: Timings = DEFAULT

    def auth(self, attempt: Attempt, on_signed: OnSigned) -> "X402Auth":
        """Return the auth for this one attempt."""
        return X402Auth(self, attempt, on_signed)

    def price(self, response: httpx2.Response) -> Decimal:
        """Return a 402's price in US dollars and sign nothing; raises `PaymentRequiredError`."""
        return exact_price(response, response.request.url, self.clock(), self.timings)


class X402Auth(httpx2.Auth):
    """Sends a request unpaid, then with a payment if all rules allow the quote.

    It signs at most once in its life. The caller gets the answer to the second request, or a first answer that is not a
    402. Raises `PaymentRequiredError`, `PriceNotApproved`, `BudgetExceededError`, `LedgerError` or `ConfigurationError`
    if it does not pay; in that case, no signature has left.
    """

    requires_response_body = True

    def __init__(self, payer: WalletPayer, attempt: Attempt, on_signed: OnSigned) -> None:
        self._payer = payer
        self._attempt = attempt
        self._on_signed = on_signed
        self._is_used = False

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Yield the request, and the same request with its payment."""
        check_url(request.url)
        self._payer.wallet.preload()  # while the gateway works on its quote
        await request.aread()  # so that the same bytes are sent again
        response = yield request
        if response.status_code != 402 or self._is_used or PAYMENT_SIGNATURE in request.headers:
            return
        self._is_used = True
        await response.aread()
        payment = await self._pay(request, response)
        request.headers[PAYMENT_SIGNATURE] = payment.header
        yield request

    async def _pay(self, request: httpx2.Request, response: httpx2.Response) -> Payment:
        if response.request.url != request.url:
            raise refused_quote("it came from another URL than the requested one")
        challenge = read_challenge(response.headers, response.content)
        now = self._payer.clock()
        timings = self._payer.timings
        context = QuoteContext(request.url, response.headers.get(DATE), now, self._attempt.max_usd, timings)
        requirement = choose(challenge, context)
        echo = challenge.echo(requirement.entry)
        payer = await self._payer.wallet.address()
        # the ledger reserves the exact price, or raises, before anything is signed
        await self._attempt.quoted(Quote(requirement.amount_usd, host_of(request.url), requirement.payee))
        authorization = _authorization(payer, requirement, int(now), timings)
        signature = await self._payer.wallet.sign(requirement.network, authorization)
        payment = _payment(requirement, authorization, signature, echo)
        await self._attempt.signed(payment)  # on disk before the signature can leave
        self._on_signed(payment)
        return payment


def _authorization(payer: str, requirement: Requirement, now: int, timings: Timings) -> Authorization:
    return Authorization(
        payer=payer,
        payee=requirement.payee,
        value=requirement.amount,
        valid_after=now - int(timings.already_valid_seconds),
        valid_before=now + requirement.lifetime_seconds,
        nonce=secrets.token_bytes(32),
    )


def _payment(requirement: Requirement, authorization: Authorization, signature: str, echo: str) -> Payment:
    payload = json.dumps({"signature": signature, "authorization": authorization.to_dict()})
    # appended to the echo, whose size was checked before anything was signed
    whole = f'{echo[:-1]}, "payload": {payload}}}'
    return Payment(
        network=requirement.network.id,
        payee=requirement.payee,
        amount_usd=requirement.amount_usd,
        nonce=authorization.to_dict()["nonce"],
        valid_before=authorization.valid_before,
        header=base64.b64encode(whole.encode("ascii")).decode("ascii"),
        payer=authorization.payer,
    )
