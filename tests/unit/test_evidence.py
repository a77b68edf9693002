"""What an answer proves of a charge."""

import json
from decimal import Decimal

import httpx2
import pytest
from tests.support.ledgers import PAYMENT
from tests.support.payments import encoded

from blockrun_image_mcp.gateway.evidence import Evidence, evidence_of

HASH = "0x" + "ab" * 32


@pytest.mark.parametrize(
    ("headers", "transaction"),
    [
        ({"X-Payment-Receipt": HASH}, HASH),
        ({"x-payment-receipt": f" {HASH[2:]} "}, HASH[2:]),
        ({"PAYMENT-RESPONSE": encoded({"success": True, "transaction": HASH})}, HASH),
        ({"payment-response": encoded({"transaction": HASH}), "x-payment-receipt": ""}, HASH),
        ({}, None),
        ({"PAYMENT-RESPONSE": encoded({"success": True})}, None),
        ({"PAYMENT-RESPONSE": encoded({"success": True, "transaction": ""})}, None),
        ({"PAYMENT-RESPONSE": encoded({"success": True, "transaction": True})}, None),
        ({"PAYMENT-RESPONSE": encoded([HASH])}, None),
        ({"PAYMENT-RESPONSE": HASH}, None),
        ({"PAYMENT-RESPONSE": encoded("x" * 20_000)}, None),
        ({"X-Payment-Receipt": "true"}, None),
        ({"X-Payment-Receipt": HASH[:-1]}, None),
    ],
)
def test_only_a_transaction_hash_proves_a_payment(headers: dict[str, str], transaction: str | None) -> None:
    assert evidence_of(httpx2.Response(400, headers=headers)).transaction == transaction


def evidence(*headers: str, body: object = None, status: int = 200) -> Evidence:
    lines = [("x-blockrun-cost-usd", each) for each in headers]
    return evidence_of(httpx2.Response(status, headers=lines, content=json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("headers", "price", "amount", "is_doubtful"),
    [
        (["0.0525"], None, "0.0525", False),
        (["0.05", "0.90"], None, "0.90", False),
        (["0.05, 0.90"], None, "0.90", False),
        (["0.05"], {"amount": "0.9", "currency": "usd"}, "0.9", False),
        ([], {"amount": 0.053}, "0.053", False),
        ([], "0.07", "0.07", False),
        ([""], None, None, False),
        (["9e-1"], None, "0.9", True),
        (["$0.90"], None, "0.90", True),
        (["0.0525 USD"], None, "0.0525", True),
        (["0,90"], None, None, True),
        (["-0.05"], None, None, True),
        (["NaN"], None, None, True),
        (["1000000"], None, None, True),
        (["100000.01"], None, None, True),
        (["100000"], None, "100000", False),
        ([], {"amount": True}, None, True),
        ([], {"amount": float("inf")}, None, True),
        ([], {"amount": "0.5", "currency": "EUR"}, None, True),
        (["0.05"], {"amount": "0.5", "currency": "EUR"}, "0.05", True),
        (["9" * 5_000], None, None, True),
    ],
)
def test_largest_readable_amount_counts(
    headers: list[str], price: object, amount: str | None, is_doubtful: bool
) -> None:
    found = evidence(*headers, body={"price": price})
    assert (found.amount_usd, found.is_doubtful) == (None if amount is None else Decimal(amount), is_doubtful)


@pytest.mark.parametrize("currency", ["USDC", "usdc"])
def test_price_in_usdc_counts_as_dollars(currency: str) -> None:
    assert evidence(body={"price": {"amount": "0.5", "currency": currency}}) == Evidence(Decimal("0.5"))


@pytest.mark.parametrize(
    ("status", "body"), [(400, {}), (402, {}), (202, {"status": "queued"}), (200, {"status": "failed"})]
)
def test_price_without_a_result_is_not_a_charge(status: int, body: dict[str, str]) -> None:
    assert evidence(body=body | {"price": {"amount": "0.05"}}, status=status) == Evidence()


@pytest.mark.parametrize("status", [200, 202, 400, 403])
@pytest.mark.parametrize(
    "paid",
    [
        {"payment_status": "settled"},
        {"payment": {"status": "Charged"}},
        {"error": {"payment_status": "paid"}},
        {"error": {"payment": {"status": "settled"}}},
    ],
)
def test_price_counts_in_any_answer_that_says_it_was_paid(status: int, paid: dict[str, object]) -> None:
    body = {"status": "failed", **paid}
    assert evidence(body={**body, "price": {"amount": "0.05"}}, status=status) == Evidence(Decimal("0.05"))
    assert evidence(body=body, status=status) == Evidence(is_doubtful=True)


def test_transaction_is_found_in_the_body() -> None:
    assert evidence(body={"payment": {"tx_hash": HASH}}, status=500).transaction == HASH


@pytest.mark.parametrize(
    ("found", "charged", "from_wallet"),
    [
        (Evidence(), None, None),
        (Evidence(Decimal(0)), Decimal(0), None),
        (Evidence(Decimal("0.9")), Decimal("0.9"), PAYMENT.amount_usd),
        (Evidence(Decimal("0.01"), is_doubtful=True), Decimal("0.05"), PAYMENT.amount_usd),
        (Evidence(is_doubtful=True), None, None),
        (Evidence(transaction=HASH), None, PAYMENT.amount_usd),
    ],
)
def test_payment_counts_in_full_and_doubtful_charge_is_at_least_the_hold(
    found: Evidence, charged: Decimal | None, from_wallet: Decimal | None
) -> None:
    assert found.charged_usd(Decimal("0.05"), None) == charged
    assert found.charged_usd(Decimal("0.05"), PAYMENT) == from_wallet
