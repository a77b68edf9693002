"""Which receipts prove that money has moved."""

import pytest
from tests.payments import encoded

from blockrun_image_mcp.gateway.receipts import transaction_of

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
def test_only_a_transactions_hash_proves_that_money_moved(headers: dict[str, str], transaction: str | None) -> None:
    assert transaction_of(headers) == transaction
