"""What the sandbox is to a wallet: exact quotes, payments that are verified for real, and jobs bound to them."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import Any, cast

import httpx2
import pytest
from eth_account import Account
from tests.support.payer import ACCOUNT, FOX, PATH, decoded, header, paid, post, quoted, signed
from tests.support.processes import process_environment
from tests.support.sandbox import Sandbox

from blockrun_image import Catalog
from blockrun_image_sandbox.server import running_sandbox
from blockrun_image_sandbox.verification import signable
from blockrun_image_sandbox.x402 import NETWORK, TOKENS

CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def test_quote_states_the_exact_price_in_header_and_body(sandbox: Sandbox) -> None:
    answer = post(sandbox, {"Authorization": "Bearer 0x123"})
    assert answer.status_code == 402
    challenge = decoded(answer.headers["PAYMENT-REQUIRED"])
    (terms,) = challenge["accepts"]
    assert challenge["x402Version"] == 2
    assert challenge["resource"]["url"] == f"{sandbox.origin}{PATH}"
    assert (terms["scheme"], terms["network"], terms["amount"]) == ("exact", "eip155:8453", "53000")
    assert (terms["maxTimeoutSeconds"], terms["extra"]) == (300, {"name": "USD Coin", "version": "2"})
    assert answer.json() == {**challenge, "price": {"amount": "0.053000", "currency": "USD"}}
    assert (sandbox.posts, sandbox.quotes, sandbox.paid_posts, sandbox.charges) == (1, 1, 0, 0)


def test_payment_buys_one_picture_and_returns_receipts(sandbox: Sandbox) -> None:
    payment = paid(sandbox)
    answer = post(sandbox, {**payment, "Idempotency-Key": "one"})
    (settlement,) = sandbox.settlements
    proof = decoded(answer.headers["PAYMENT-RESPONSE"])
    assert answer.status_code == 200
    assert proof == {
        "success": True,
        "transaction": settlement["tx"],
        "network": NETWORK,
        "payer": ACCOUNT.address.lower(),
    }
    assert len(bytes.fromhex(settlement["tx"].removeprefix("0x"))) == 32
    assert answer.headers["X-Payment-Receipt"] == settlement["tx"]
    assert answer.json()["payment"] == {"status": "settled", "tx_hash": settlement["tx"], "network": NETWORK}
    assert answer.json()["price"]["amount"] == "0.053000"
    assert (settlement["rail"], settlement["idempotency_key"], settlement["micro_usd"]) == ("wallet", "one", 53_000)
    again = post(sandbox, payment)
    assert (again.status_code, again.json()["code"]) == (402, "PAYMENT_REPLAY")
    assert (sandbox.quotes, sandbox.paid_posts, sandbox.charges) == (1, 2, 1)


def test_signed_domain_matches_the_token_contract() -> None:
    message = dict.fromkeys(("from", "to"), ACCOUNT.address) | {"nonce": bytes(32)}
    message |= dict.fromkeys(("value", "validAfter", "validBefore"), 1)
    separator = signable(TOKENS[NETWORK], message).header
    assert separator.hex() == "02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f"


def test_verifying_a_payment_leaves_the_recursion_limit_unchanged() -> None:
    program = """
        import sys
        from blockrun_image_sandbox.verification import signable
        from blockrun_image_sandbox.x402 import NETWORK, TOKENS
        before = sys.getrecursionlimit()
        numbers = dict.fromkeys(("value", "validAfter", "validBefore"), 1)
        signable(TOKENS[NETWORK], {"from": "0x" + "1" * 40, "to": "0x" + "1" * 40, "nonce": bytes(32), **numbers})
        assert "py_ecc" in sys.modules
        assert sys.getrecursionlimit() == before
    """
    subprocess.run([sys.executable, "-c", dedent(program)], env=process_environment({}), check=True)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"value": "52999"}, "PAYMENT_UNDERPAID"),
        ({"value": "53001"}, "PAYMENT_INVALID"),
        ({"to": "0x0000000000000000000000000000000000000001"}, "PAYMENT_INVALID"),
        ({"from": "0x0000000000000000000000000000000000000001"}, "PAYMENT_INVALID"),
        ({"validBefore": "1"}, "PAYMENT_INVALID"),
        ({"validAfter": "9999999999"}, "PAYMENT_INVALID"),
    ],
)
def test_authorization_that_differs_from_the_quote_is_refused(
    sandbox: Sandbox, changes: dict[str, str], code: str
) -> None:
    answer = post(sandbox, header(signed(quoted(sandbox)["accepts"][0], changes)))
    assert (answer.status_code, answer.json()["code"]) == (402, code)
    assert answer.json()["error"].startswith("Payment verification failed: ")
    assert sandbox.charges == 0


@pytest.mark.parametrize("name", ["from", "to", "value", "validAfter", "validBefore", "nonce"])
def test_authorization_changed_after_signing_is_refused(sandbox: Sandbox, name: str) -> None:
    payment = signed(quoted(sandbox)["accepts"][0])
    value = payment["payload"]["authorization"][name]
    payment["payload"]["authorization"][name] = f"{value[:-1]}{(int(value[-1], 16) + 1) % 10}"
    assert post(sandbox, header(payment)).status_code == 402
    assert sandbox.charges == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"scheme": "upto"},
        {"network": "eip155:84532"},
        {"network": "eip155:1"},
        {"asset": TOKENS["eip155:84532"].contract},
        {"payTo": "0x0000000000000000000000000000000000000001"},
        {"amount": "1"},
    ],
)
def test_unquoted_terms_are_refused(sandbox: Sandbox, changes: dict[str, str]) -> None:
    payment = signed(quoted(sandbox)["accepts"][0])
    payment["accepted"] |= changes
    assert post(sandbox, header(payment)).json()["code"] == "PAYMENT_INVALID"
    assert sandbox.charges == 0


@pytest.mark.parametrize("change", ["another wallet", "another network", "a mirrored s", "a bare v", "nonsense"])
def test_signature_the_chain_would_reject_is_refused(sandbox: Sandbox, change: str) -> None:
    accepted = quoted(sandbox)["accepts"][0]
    payment = signed(accepted, signer=cast("Any", Account).create() if change == "another wallet" else ACCOUNT)
    signature = bytes.fromhex(payment["payload"]["signature"][2:])
    if change == "another network":
        signature = bytes.fromhex(signed({**accepted, "network": "eip155:84532"})["payload"]["signature"][2:])
    if change == "a mirrored s":
        mirrored = (CURVE - int.from_bytes(signature[32:64])).to_bytes(32)
        signature = signature[:32] + mirrored + bytes([55 - signature[64]])
    if change == "a bare v":
        signature = signature[:64] + bytes([signature[64] - 27])
    if change == "nonsense":
        signature = bytes(64) + b"\x1b"
    payment["payload"]["signature"] = f"0x{signature.hex()}"
    answer = post(sandbox, header(payment))
    assert answer.json()["code"] == "PAYMENT_INVALID"
    assert "signature" in answer.json()["details"]
    assert sandbox.charges == 0


@pytest.mark.parametrize("value", ["", "%%%", "bnVsbA==", "W1tbW1s=", "eyJ4NDAyVmVyc2lvbiI6MX0="])
def test_malformed_payment_header_is_refused(sandbox: Sandbox, value: str) -> None:
    answer = post(sandbox, {"PAYMENT-SIGNATURE": value})
    assert (answer.status_code, answer.json()["code"]) == (402, "PAYMENT_INVALID")


def test_payment_for_another_body_is_refused_as_underpaid(sandbox: Sandbox) -> None:
    answer = post(sandbox, paid(sandbox), body={"model": "dall-e-3", "prompt": "A fox", "n": 2})
    assert answer.json()["code"] == "PAYMENT_UNDERPAID"
    assert sandbox.charges == 0


def test_bad_request_is_refused_before_any_quote_or_payment_check(sandbox: Sandbox) -> None:
    assert post(sandbox, body={"model": "dall-e-9", "prompt": "A fox"}).status_code == 400
    assert post(sandbox, paid(sandbox), body={"model": "dall-e-9", "prompt": "A fox"}).status_code == 400


def test_payment_still_buys_the_picture_after_a_failure(sandbox: Sandbox) -> None:
    payment = paid(sandbox)
    sandbox.script([{"on": "paid", "status": 500}, {"on": "paid", "cut": "before"}])
    assert post(sandbox, payment).status_code == 500
    with pytest.raises(httpx2.TransportError):
        post(sandbox, payment)
    assert sandbox.charges == 0
    assert post(sandbox, payment).status_code == 200
    assert sandbox.charges == 1


def test_payment_sent_many_times_concurrently_is_settled_once(sandbox: Sandbox) -> None:
    payment = paid(sandbox)
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(post, sandbox, payment) for _ in range(8)]
        statuses = sorted(answer.result().status_code for answer in answers)
    assert statuses == [200] + [402] * 7
    assert sandbox.charges == 1


def test_sandbox_without_the_wallet_library_names_the_extra(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    payment = paid(sandbox)
    monkeypatch.setitem(sys.modules, "eth_account", None)
    answer = post(sandbox, payment)
    assert answer.status_code == 501
    assert "[wallet]" in answer.json()["error"]["message"]


def test_model_list_is_public_for_wallets_and_needs_a_key_elsewhere(sandbox: Sandbox) -> None:
    assert (
        sandbox.get("/api/v1/models").json()
        == httpx2.get(f"{sandbox.base_url}/models", headers={"Authorization": "Bearer brk_test"}).json()
    )
    assert sandbox.get("/v1/models").status_code == 401


def test_payment_makes_one_job_charged_when_first_polled_as_completed(sandbox: Sandbox) -> None:
    payment = paid(sandbox)
    sandbox.script([{"slow": True}])
    accepted, again = post(sandbox, payment), post(sandbox, payment)
    job = accepted.json()
    assert (accepted.status_code, again.status_code, again.json()) == (202, 202, job)
    assert job.pop("created") <= time.time()
    assert job.pop("poll_url") == f"{PATH}/{job['id']}"
    assert job.pop("id").startswith("job_")
    assert job == {
        "object": "image.generation.job",
        "status": "queued",
        "model": "nano-banana",
        "size": "1024x1024",
        "n": 1,
        "price": {"amount": "0.053000", "currency": "USD"},
        "payment_status": "verified",
    }
    url = sandbox.origin + again.json()["poll_url"]
    assert httpx2.get(url, headers=payment).json()["status"] == "in_progress"
    assert sandbox.charges == 0
    done = [httpx2.get(url, headers=payment) for _ in range(2)]
    assert [answer.json()["status"] for answer in done] == ["completed"] * 2
    assert done[0].headers["X-Payment-Receipt"] == done[1].headers["X-Payment-Receipt"] == sandbox.last_settlement["tx"]
    assert post(sandbox, payment).json()["code"] == "PAYMENT_REPLAY"
    assert sandbox.charges == 1


def test_job_is_shown_only_to_its_own_payment(sandbox: Sandbox) -> None:
    payment, other = paid(sandbox), paid(sandbox)
    sandbox.script([{"slow": True}])
    url = sandbox.origin + post(sandbox, payment).json()["poll_url"]
    for address in (url, url.replace("/api/", "/")):
        assert httpx2.get(address).status_code == 402
        assert httpx2.get(address, headers={"Authorization": "Bearer brk_test"}).status_code == 402
        assert httpx2.get(address, headers=other).status_code == 403
    assert sandbox.charges == 0


def test_failed_job_is_free_and_its_payment_remains_usable(sandbox: Sandbox) -> None:
    payment = paid(sandbox)
    sandbox.script([{"slow": True, "status": 500}])
    url = sandbox.origin + post(sandbox, payment).json()["poll_url"]
    httpx2.get(url, headers=payment)
    ended = httpx2.get(url, headers=payment).json()
    assert (ended["status"], ended["payment_status"]) == ("failed", "not_charged")
    assert sandbox.charges == 0
    assert post(sandbox, payment).status_code == 200
    assert sandbox.charges == 1


@pytest.mark.anyio
async def test_job_with_an_expired_payment_is_refused_and_not_charged(catalog: Catalog) -> None:
    now = [1_000_000.0]
    async with running_sandbox(catalog, clock=lambda: now[0]) as origin, httpx2.AsyncClient(base_url=origin) as http:
        await http.post("/sandbox/faults", json=[{"slow": True}])
        asked = await http.post(PATH, json=FOX)
        assert asked.headers["date"] == "Mon, 12 Jan 1970 13:46:40 GMT"
        payment = header(signed(decoded(asked.headers["payment-required"])["accepts"][0], now=now[0]))
        job = (await http.post(PATH, json=FOX, headers=payment)).json()
        assert (await http.get(job["poll_url"], headers=payment)).status_code == 202
        now[0] += 300
        answer = await http.get(job["poll_url"], headers=payment)
        assert (answer.status_code, answer.json()["code"]) == (402, "PAYMENT_INVALID")
        assert (await http.get("/sandbox/settlements")).json()["count"] == 0


def test_request_with_a_key_counts_as_paid_on_both_paths(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "paid", "status": 503}] * 2)
    for prefix in ("/v1", "/api/v1"):
        answer = httpx2.post(
            f"{sandbox.origin}{prefix}/images/generations", json=FOX, headers={"Authorization": "Bearer brk_test"}
        )
        assert answer.status_code == 503
    assert (sandbox.quotes, sandbox.paid_posts) == (0, 2)
