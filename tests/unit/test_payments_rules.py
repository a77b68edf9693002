"""What a 402 can say that nothing is signed for: each rule, told apart at the signer."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from email.utils import formatdate
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.payments import (
    NOW,
    PAYEE,
    URL,
    USDC,
    CountingWallet,
    KeptAttempt,
    encoded,
    entry,
    payment_required,
    quote,
)

from blockrun_image import BudgetExceededError, ImageError, LedgerError, PaymentRequiredError
from blockrun_image.attempts import Payment, Quote
from blockrun_image_mcp.payments.auth import WalletPayer
from blockrun_image_mcp.payments.challenge import read_challenge
from blockrun_image_mcp.payments.rules import QuoteContext, choose, exact_price, is_address, parse_host

pytestmark = pytest.mark.anyio

Handler = Callable[[httpx2.Request], httpx2.Response]


class Till:
    """A gateway that answers 402 with one quote until it is paid, and what came in."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self.requests: list[tuple[str, bytes, str | None]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        payment = request.headers.get("payment-signature")
        self.requests.append((str(request.url), request.content, payment))
        return httpx2.Response(200, json={"data": []}) if payment else self.answer


async def pay(
    till: Handler,
    url: str = URL,
    *,
    wallet: CountingWallet | None = None,
    attempt: KeptAttempt | None = None,
    on_signed: Callable[[Payment], None] = lambda _: None,
    now: float = NOW,
) -> httpx2.Response:
    payer = WalletPayer(wallet or CountingWallet(), lambda: now)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(till)) as client:
        return await client.post(url, json={"prompt": "x"}, auth=payer.auth(attempt or KeptAttempt(), on_signed))


async def refusal(answer: httpx2.Response, url: str = URL, **others: Any) -> ImageError:
    """Return why a quote was not paid, after looking that nothing was signed or sent."""
    wallet, attempt, till = CountingWallet(), others.pop("attempt", KeptAttempt()), Till(answer)
    with pytest.raises(ImageError) as caught:
        await pay(till, url, wallet=wallet, attempt=attempt, **others)
    assert wallet.signed == []
    assert [payment for _, _, payment in till.requests if payment] == []
    assert "signed" not in [step for step, _ in attempt.notes]
    assert caught.value.charged == "no"
    if isinstance(caught.value, PaymentRequiredError):
        assert caught.value.message.endswith("Nothing was signed.")
        assert caught.value.answer.status == 402
        assert len(caught.value.message) < 400
    return caught.value


async def test_allowed_quote_is_paid_once_with_the_same_request() -> None:
    till, attempt, wallet = Till(payment_required()), KeptAttempt(), CountingWallet()
    handed: list[Payment] = []
    response = await pay(till, attempt=attempt, wallet=wallet, on_signed=handed.append)
    assert response.status_code == 200
    (first_url, first_body, unpaid), (second_url, second_body, paid) = till.requests
    assert (first_url, first_body, unpaid) == (second_url, second_body, None)
    assert paid is not None
    (signed,) = wallet.signed
    assert [step for step, _ in attempt.notes] == ["quoted", "signed"]
    assert attempt.notes[0][1] == Quote(Decimal("0.053"), "blockrun.ai", PAYEE)
    assert attempt.notes[1][1] is handed[0]
    payment = handed[0]
    assert paid not in repr(payment)
    assert (payment.network, payment.payee, payment.amount_usd, payment.header) == (
        "eip155:8453",
        PAYEE,
        Decimal("0.053"),
        paid,
    )
    body = json.loads(base64.b64decode(paid, validate=True))
    assert body == {
        "x402Version": 2,
        "resource": quote()["resource"],
        "accepted": entry(),
        "payload": {"signature": body["payload"]["signature"], "authorization": signed.to_dict()},
    }
    assert all(isinstance(value, str) for value in body["payload"]["authorization"].values())
    assert (signed.valid_after, signed.valid_before) == (int(NOW) - 600, int(NOW) + 300)
    assert (payment.nonce, payment.valid_before) == (f"0x{signed.nonce.hex()}", signed.valid_before)


async def test_every_payment_has_its_own_nonce() -> None:
    wallet = CountingWallet()
    for _ in range(3):
        await pay(Till(payment_required()), wallet=wallet)
    assert len({authorization.nonce for authorization in wallet.signed}) == 3


@pytest.mark.parametrize(
    "answer",
    [
        payment_required(payment_required=None, X_PAYMENT_REQUIRED=encoded(quote())),
        payment_required(payment_required=None, body=quote()),
        payment_required(quote(entry(scheme="upto"), entry(network="solana:5eykt4U"), entry())),
        payment_required(quote(entry(amount="9000000"), entry())),
        payment_required(quote(extensions={"bazaar": {"x": 1}})),
        payment_required(quote(entry(asset=USDC.lower(), extra=...))),
        payment_required(quote(entry(extra={"assetTransferMethod": "eip3009"}))),
        payment_required(body={"price": {"amount": "0.053000", "currency": "USD"}}),
        payment_required(body={"price": 0.053}),
        payment_required(now=NOW - 299),
        payment_required(quote(resource={"url": URL.replace("blockrun.ai", "BlockRun.AI:443")})),
    ],
)
async def test_quote_is_accepted_in_several_formats(answer: httpx2.Response) -> None:
    wallet = CountingWallet()
    assert (await pay(Till(answer), wallet=wallet)).status_code == 200
    assert [signed.value for signed in wallet.signed] == [53_000]


async def test_extensions_are_returned_unchanged() -> None:
    till = Till(payment_required(quote(extensions={"bazaar": {"x": ["é", 1]}})))
    await pay(till)
    assert json.loads(base64.b64decode(till.requests[1][2] or ""))["extensions"] == {"bazaar": {"x": ["é", 1]}}


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (payment_required(payment_required=None), "there is none in the answer"),
        (payment_required(payment_required="no base64!"), "it is malformed"),
        (payment_required(payment_required=encoded([1])), "it is malformed"),
        (payment_required(payment_required="e30=" * 5_000), "it is too large"),
        (payment_required(payment_required=base64.b64encode(b'{"accepts": NaN}').decode()), "it is malformed"),
        (payment_required(payment_required=None, body=b"[" * 50_000), "there is none in the answer"),
        (payment_required(body=b"x" * 140_000), "the answer is too large"),
        (payment_required({"x402Version": 1, "accepts": [{"maxAmountRequired": "1", "network": "base"}]}), "version 1"),
        (payment_required(quote(entry(maxAmountRequired="1"))), "version 1"),
        (payment_required(quote(x402Version=1)), "version 1"),
        (payment_required(quote(x402Version=3)), "unknown x402 version '3'"),
        (payment_required(quote(x402Version=...)), "unknown x402 version 'None'"),
        (payment_required(quote(accepts=...)), "no payment option"),
        (payment_required(quote(accepts={})), "no payment option"),
        (payment_required(quote(accepts=[])), "no payment option"),
        (payment_required(quote(*[entry(scheme="upto")] * 21)), "too many"),
        (payment_required(quote("exact")), "scheme 'None' is not supported: only 'exact' is"),
        (payment_required(quote(entry(scheme="upto"))), "scheme 'upto' is not supported: only 'exact' is"),
        (payment_required(quote(entry(network="eip155:1"))), "network 'eip155:1' is not one of"),
        (payment_required(quote(entry(network=["eip155:8453"]))), "is not one of"),
        (payment_required(quote(entry(network="base"))), "network 'base' is not one of"),
        (payment_required(quote(entry(asset=PAYEE))), "is not the USDC of eip155:8453"),
        (payment_required(quote(entry(network="eip155:84532"))), "is not the USDC of eip155:84532"),
        (payment_required(quote(entry(extra={"assetTransferMethod": "permit2"}))), "'permit2' is not eip3009"),
        *(
            (payment_required(quote(entry(amount=amount))), "is not a positive number of millionths of a USDC")
            for amount in ("0", "-1", "+53000", "053000", "53000.0", "5e4", "0x1", " 53000", "", "٥", 53_000, None)
        ),
        (payment_required(quote(entry(amount="9" * 16))), "is not a positive number of millionths of a USDC"),
        (payment_required(quote(entry(amount="75001"))), "asks for $0.075001; $0.05 was expected"),
        (payment_required(body={"price": {"amount": "0.05"}}), "asks for $0.053 in one place and for $0.05 in another"),
        (payment_required(body={"price": {"amount": "0.0530001"}}), "and for $0.0530001 in another"),
        (payment_required(body={"price": {"amount": "much"}}), "the price beside it cannot be read"),
        (payment_required(body={"price": {"amount": True}}), "the price beside it cannot be read"),
        (payment_required(body={"price": {"amount": [1]}}), "the price beside it cannot be read"),
        *(
            (payment_required(quote(entry(payTo=payee))), "is not an address that can be paid")
            for payee in (..., "", "0x12", f"{PAYEE}0", PAYEE[2:], "0x" + "g" * 40, "0x" + "0" * 40, USDC, 7)
        ),
        (payment_required(quote(resource=...)), "it is for 'None'"),
        (payment_required(quote(resource=URL)), "it is for 'None'"),
        (payment_required(quote(resource={"url": f"{URL}?x"})), "not for the requested URL"),
        (payment_required(quote(resource={"url": URL.replace("https", "http")})), "not for the requested URL"),
        (payment_required(quote(resource={"url": "https://evil.example/v1"})), "not for the requested URL"),
        (payment_required(quote(resource={"url": "https://[::1"})), "not for the requested URL"),
        *(
            (payment_required(quote(entry(maxTimeoutSeconds=seconds))), "is not a number of seconds")
            for seconds in (..., None, "300", 300.5, True)
        ),
        (payment_required(now=NOW - 300), "300 s apart"),
        (payment_required(now=NOW + 3_600), "3600 s apart"),
        (payment_required(date=None), "no usable Date"),
        (payment_required(date="yesterday"), "no usable Date"),
        (payment_required(quote(entry(extra={"x": "y" * 9_000}))), "too large to be repeated"),
        (payment_required(quote(entry(extra={"x": json.loads("[" * 400 + "]" * 400)}), extensions={"x": "y" * 9_000})),
         "too large to be repeated"),
    ],
)  # fmt: skip
async def test_nothing_is_signed_for_an_invalid_402(lie: httpx2.Response, why: str) -> None:
    error = await refusal(lie)
    assert isinstance(error, PaymentRequiredError)
    assert why in error.message


@pytest.mark.parametrize("extra", ["9" * 5_000, "1e999"])
async def test_nothing_is_signed_for_a_402_with_unrepresentable_numbers(extra: str) -> None:
    text = json.dumps(quote(entry(extra={"x": "?"}))).replace('"?"', extra)
    await refusal(payment_required(payment_required=base64.b64encode(text.encode()).decode()))


@pytest.mark.parametrize(("seconds", "life"), [(-5, 30), (0, 30), (30, 30), (300, 300), (3_600, 3_600), (10**9, 3_600)])
async def test_signature_is_valid_for_half_a_minute_to_an_hour(seconds: int, life: int) -> None:
    wallet = CountingWallet()
    await pay(Till(payment_required(quote(entry(maxTimeoutSeconds=seconds)))), wallet=wallet)
    assert wallet.signed[0].valid_before == int(NOW) + life


@pytest.mark.parametrize(
    ("expected", "most"), [("0.05", 75_000), ("0.01", 30_000), ("0.04", 60_000), ("0", 20_000), ("1", 1_500_000)]
)
async def test_price_is_paid_up_to_a_tolerance_above_the_expected_one(expected: str, most: int) -> None:
    def attempt() -> KeptAttempt:
        return KeptAttempt(Decimal(expected))

    assert (await pay(Till(payment_required(quote(entry(amount=str(most))))), attempt=attempt())).status_code == 200
    error = await refusal(payment_required(quote(entry(amount=str(most + 1)))), attempt=attempt())
    assert f"${expected} was expected" in error.message or expected in ("0", "1")


@pytest.mark.parametrize(
    "url", ["http://blockrun.ai/api/v1/images/generations", "http://10.0.0.1/v1", "ftp://x.example"]
)
async def test_nothing_is_sent_over_an_unencrypted_connection(url: str) -> None:
    till = Till(payment_required(quote(resource={"url": url})))
    with pytest.raises(PaymentRequiredError, match="only by https"):
        await pay(till, url)
    assert till.requests == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:8/v1/x", "http://localhost/v1/x", "http://[::1]:8/v1/x"])
async def test_localhost_may_be_paid_without_https(url: str) -> None:
    attempt = KeptAttempt()
    assert (await pay(Till(payment_required(quote(resource={"url": url}))), url, attempt=attempt)).status_code == 200
    assert attempt.notes[0] == ("quoted", Quote(Decimal("0.053"), url.split("/")[2], PAYEE))


async def test_limits_are_checked_before_signing() -> None:
    for error in (BudgetExceededError("Too dear."), LedgerError("The disk is full.")):
        assert await refusal(payment_required(), attempt=KeptAttempt(fails={"quoted": error})) is error


async def test_payment_that_cannot_be_recorded_is_not_sent() -> None:
    error = LedgerError("The disk is full.")
    attempt, till, told = KeptAttempt(fails={"signed": error}), Till(payment_required()), list[Payment]()
    with pytest.raises(LedgerError):
        await pay(till, attempt=attempt, on_signed=told.append)
    assert len(till.requests) == 1
    assert told == []


@pytest.mark.parametrize("status", [200, 202, 400, 301, 429, 500])
async def test_first_answer_other_than_a_402_goes_to_the_caller(status: int) -> None:
    wallet, attempt = CountingWallet(), KeptAttempt()
    response = await pay(lambda _: httpx2.Response(status), wallet=wallet, attempt=attempt)
    assert response.status_code == status
    assert (wallet.signed, attempt.notes) == ([], [])


async def test_second_402_goes_to_the_caller_without_another_signature() -> None:
    wallet, asked = CountingWallet(), 0

    def till(request: httpx2.Request) -> httpx2.Response:
        nonlocal asked
        asked += 1
        return payment_required()

    assert (await pay(till, wallet=wallet)).status_code == 402
    assert (len(wallet.signed), asked) == (1, 2)


async def test_one_auth_never_signs_twice() -> None:
    wallet, till = CountingWallet(), Till(payment_required())
    auth = WalletPayer(wallet, lambda: NOW).auth(KeptAttempt(), lambda _: None)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(till), auth=auth) as client:
        assert [(await client.post(URL)).status_code for _ in range(3)] == [200, 402, 402]
    assert len(wallet.signed) == 1


async def test_request_with_a_payment_gets_no_second_one() -> None:
    wallet = CountingWallet()
    auth = WalletPayer(wallet, lambda: NOW).auth(KeptAttempt(), lambda _: None)
    transport = httpx2.MockTransport(lambda _: payment_required())
    async with httpx2.AsyncClient(transport=transport) as client:
        response = await client.post(URL, headers={"PAYMENT-SIGNATURE": "x"}, auth=auth)
    assert (response.status_code, wallet.signed) == (402, [])


async def test_quote_from_a_redirect_target_is_not_paid() -> None:
    wallet = CountingWallet()

    def till(request: httpx2.Request) -> httpx2.Response:
        if str(request.url) == URL:
            return httpx2.Response(307, headers={"location": "https://evil.example/v1"})
        return payment_required()

    auth = WalletPayer(wallet, lambda: NOW).auth(KeptAttempt(), lambda _: None)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(till), follow_redirects=True) as client:
        with pytest.raises(PaymentRequiredError, match="another URL"):
            await client.post(URL, auth=auth)
    assert wallet.signed == []


async def test_gateway_text_is_shown_short_on_one_line() -> None:
    error = await refusal(payment_required(quote(entry(scheme="ignore\n\u202eall\x1b[31m" + "x" * 5_000))))
    assert "\n" not in error.message
    assert "\x1b" not in error.message
    assert "\u202e" not in error.message


def test_exact_price_is_read_without_a_wallet_or_an_expectation() -> None:
    url = httpx2.URL(URL)
    assert exact_price(payment_required(), url, NOW) == Decimal("0.053")
    assert exact_price(payment_required(quote(entry(amount="9000000"))), url, NOW) == 9
    with pytest.raises(PaymentRequiredError, match="Nothing was signed"):
        exact_price(payment_required(quote(entry(network="eip155:1"))), url, NOW)
    plain = "http://blockrun.ai/v1"
    with pytest.raises(PaymentRequiredError, match="only by https"):
        exact_price(payment_required(quote(resource={"url": plain})), httpx2.URL(plain), NOW)


def test_error_explains_the_supported_payment_option() -> None:
    challenge = read_challenge({}, json.dumps(quote(entry(scheme="upto"), entry(amount="x"))).encode())
    with pytest.raises(PaymentRequiredError, match="amount 'x'") as caught:
        choose(challenge, QuoteContext(httpx2.URL(URL), formatdate(NOW, usegmt=True), NOW))
    assert caught.value.code == "payment_required"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_no_quote_crashes_the_reader(value: object) -> None:
    for whole in (value, quote(value), quote(accepts=value), quote(resource=value), quote(entry(extra=value))):
        for name in ("amount", "payTo", "network", "asset", "maxTimeoutSeconds"):
            response = payment_required(quote(entry(**{name: value})) if whole is value else whole, body=whole)
            with suppress(PaymentRequiredError):
                assert exact_price(response, httpx2.URL(URL), NOW) > 0


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("blockrun.ai", "blockrun.ai"),
        ("BlockRun.ai:443", "blockrun.ai"),
        ("https://blockrun.ai/api/v1", "blockrun.ai"),
        ("127.0.0.1:8402", "127.0.0.1:8402"),
        ("[::1]:8", "[::1]:8"),
        ("a b", None),
        ("", None),
        ("user@blockrun.ai", None),
        ("[::1", None),
    ],
)
def test_host_is_read_from_a_name_or_a_url(text: str, host: str | None) -> None:
    assert parse_host(text) == host


def test_an_address_is_0x_and_40_hex_digits_and_not_zero() -> None:
    assert is_address(PAYEE)
    assert not any(map(is_address, ["", PAYEE[2:], PAYEE + "0", "0x" + "0" * 40, f"{PAYEE}\n"]))
