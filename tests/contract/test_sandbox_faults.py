"""Faults that the sandbox shows a wallet when it is told to."""

import json
import socket
from typing import Any

import httpx2
import pytest
from tests.support.payer import FOX, PATH, decoded, paid, post
from tests.support.sandbox import Sandbox

from blockrun_image_sandbox.x402 import TOKENS


def test_fault_waits_for_the_kind_of_request_it_targets(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "paid", "status": 503}, {"on": "quote", "status": 502}])
    assert post(sandbox).status_code == 502
    payment = paid(sandbox)
    assert post(sandbox, payment).status_code == 503
    assert post(sandbox, payment).status_code == 200


@pytest.mark.parametrize(
    ("challenge", "path", "value"),
    [
        ({"x402Version": 1}, ("x402Version",), 1),
        ({"resource": {"url": "https://elsewhere.example"}}, ("resource", "url"), "https://elsewhere.example"),
        ({"resource": None}, ("resource",), None),
        ({"accepts": [{"amount": None, "maxAmountRequired": "1"}]}, ("accepts", 0, "amount"), None),
        ({"accepts": [{"extra": {"assetTransferMethod": "permit2"}}]}, ("accepts", 0, "extra", "version"), "2"),
        ({"accepts": [{"maxTimeoutSeconds": 9}]}, ("accepts", 0, "amount"), "53000"),
        ({"accepts": [{}, {"scheme": "upto"}]}, ("accepts", 1), {"scheme": "upto"}),
        ({"accepts": []}, ("accepts",), []),
    ],
)
def test_scripted_quote_can_falsify_any_field(
    sandbox: Sandbox, challenge: dict[str, Any], path: tuple[str | int, ...], value: object
) -> None:
    sandbox.script([{"challenge": challenge}])
    answer = post(sandbox)
    said: Any = decoded(answer.headers["PAYMENT-REQUIRED"])
    assert {**answer.json(), "price": None} == {**said, "price": None}
    for name in path:
        said = said.get(name) if isinstance(name, str) else said[name]
    assert said == value


def test_scripted_quote_can_falsify_its_body_price_and_headers(sandbox: Sandbox) -> None:
    sandbox.script(
        [
            {"challenge": {"price": {"amount": "9.000000"}}},
            {"on": "quote", "body": {}, "headers": {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}},
            {"on": "quote", "headers": {"PAYMENT-REQUIRED": None}},
        ]
    )
    dear, bare, mute = post(sandbox), post(sandbox), post(sandbox)
    assert dear.json()["price"] == {"amount": "9.000000", "currency": "USD"}
    assert decoded(dear.headers["PAYMENT-REQUIRED"])["accepts"][0]["amount"] == "53000"
    assert (bare.json(), decoded(bare.headers["PAYMENT-REQUIRED"])["x402Version"]) == ({}, 2)
    assert bare.headers.get_list("Date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]
    assert "PAYMENT-REQUIRED" not in mute.headers
    assert mute.json()["x402Version"] == 2


@pytest.mark.parametrize(
    ("lie", "micro_usd"),
    [
        ({"payTo": "0x0000000000000000000000000000000000000001"}, 53_000),
        ({"amount": "106000"}, 106_000),
        ({"network": "eip155:84532", "asset": TOKENS["eip155:84532"].contract}, 53_000),
    ],
)
def test_payment_of_a_falsified_quote_is_charged_as_signed(
    sandbox: Sandbox, lie: dict[str, str], micro_usd: int
) -> None:
    sandbox.script([{"challenge": {"accepts": [lie]}}])
    assert post(sandbox, paid(sandbox)).status_code == 200
    assert sandbox.charged_micro_usd == micro_usd


@pytest.mark.parametrize("code", ["PAYMENT_UNDERPAID", "PAYMENT_REPLAY", "PAYMENT_INVALID", "SETTLEMENT_FAILED"])
def test_scripted_payment_refusal_is_not_charged(sandbox: Sandbox, code: str) -> None:
    sandbox.script([{"payment_code": code}])
    answer = post(sandbox, paid(sandbox))
    assert (answer.status_code, answer.json()["code"]) == (402, code)
    assert sandbox.charges == 0


@pytest.mark.parametrize(("settles", "charges"), [(None, 0), (False, 0), (True, 1)])
def test_an_error_can_come_after_the_settlement(sandbox: Sandbox, settles: bool | None, charges: int) -> None:
    sandbox.script([{"on": "paid", "status": 500, "settles": settles}])
    assert post(sandbox, paid(sandbox)).status_code == 500
    assert sandbox.charges == charges


@pytest.mark.parametrize(
    ("fault", "charges"),
    [
        ({"status": 503}, 0),
        ({"cut": "before"}, 0),
        ({"payment_code": "SETTLEMENT_FAILED"}, 0),
        ({"status": 500, "settles": True}, 1),
        ({"cut": "during"}, 1),
        ({"cut": "after", "reset": True}, 1),
    ],
)
def test_a_poll_can_fail_before_or_after_the_settlement(sandbox: Sandbox, fault: dict[str, Any], charges: int) -> None:
    payment = paid(sandbox)
    sandbox.script([{"slow": True, "polls": [{}, fault]}])
    url = sandbox.origin + post(sandbox, payment).json()["poll_url"]
    httpx2.get(url, headers=payment)
    if "cut" in fault:
        with pytest.raises(httpx2.TransportError):
            httpx2.get(url, headers=payment)
    else:
        assert httpx2.get(url, headers=payment).status_code == fault.get("status", 402)
    assert sandbox.charges == charges
    assert httpx2.get(url, headers=payment).json()["status"] == "completed"
    assert sandbox.charges == 1


@pytest.mark.parametrize("poll_url", ["https://elsewhere.example/{id}", ""])
def test_scripted_job_can_give_another_poll_url(sandbox: Sandbox, poll_url: str) -> None:
    sandbox.script([{"slow": True, "poll_url": poll_url}])
    job = post(sandbox, paid(sandbox)).json()
    assert job["poll_url"] == poll_url.replace("{id}", job["id"])


@pytest.mark.parametrize(("cut", "charges"), [("before", 0), ("during", 1), ("after", 1)])
@pytest.mark.parametrize("reset", [False, True])
def test_scripted_cut_ends_with_a_close_or_a_reset(sandbox: Sandbox, cut: str, charges: int, reset: bool) -> None:
    host, port = sandbox.origin.removeprefix("http://").split(":")
    payment, body = paid(sandbox), json.dumps(FOX)
    sandbox.script([{"on": "paid", "cut": cut, "reset": reset}])
    head = f"POST {PATH} HTTP/1.1\r\nHost: {host}:{port}\r\nPAYMENT-SIGNATURE: {payment['PAYMENT-SIGNATURE']}\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        received, was_reset = bytearray(), False
        try:
            while chunk := client.recv(65_536):
                received += chunk
        except ConnectionResetError:
            was_reset = True
    assert was_reset == reset
    assert (b"200 OK" in received) == (cut == "during")
    assert sandbox.charges == charges


def test_a_redirect_is_answered_as_scripted(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "quote", "status": 307, "headers": {"Location": "https://elsewhere.example/"}}])
    answer = post(sandbox)
    assert (answer.status_code, answer.headers["Location"]) == (307, "https://elsewhere.example/")
