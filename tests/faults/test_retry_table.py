"""Every cell of the table of when a request may be sent again, counted by the sandbox."""

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from tests.support.fakes import Clock, FakeAttempt
from tests.support.ledgers import NEW_YEARS_EVE, die, reserve, running_processes, spent, states
from tests.support.payments import KEY
from tests.support.retries import COST, QUICK, RECEIPT, REQUEST, generate, generate_from_wallet
from tests.support.sandbox import Sandbox

from blockrun_image.errors import (
    AuthenticationError,
    Charged,
    ContentPolicyError,
    GatewayError,
    GatewayUnavailableError,
    OutcomeUnknownError,
    PaymentRequiredError,
    RateLimitError,
)
from blockrun_image.null_ledger import NullAttempt
from blockrun_image_mcp.gateway.client import HttpGateway
from blockrun_image_mcp.gateway.credentials import Endpoint
from blockrun_image_mcp.payments.auth import WalletPayer
from blockrun_image_mcp.payments.wallet import Wallet

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("status", "error", "charged"),
    [
        (301, GatewayError, "no"),
        (302, GatewayError, "no"),
        (303, OutcomeUnknownError, "unknown"),
        (307, GatewayError, "no"),
        (308, GatewayError, "no"),
        (400, GatewayError, "no"),
        (401, AuthenticationError, "no"),
        (402, PaymentRequiredError, "no"),
        (403, ContentPolicyError, "no"),
        (404, GatewayError, "no"),
        (408, OutcomeUnknownError, "unknown"),
        (418, OutcomeUnknownError, "unknown"),
        (500, OutcomeUnknownError, "unknown"),
        (502, OutcomeUnknownError, "unknown"),
        (503, OutcomeUnknownError, "unknown"),
        (504, OutcomeUnknownError, "unknown"),
        (599, OutcomeUnknownError, "unknown"),
    ],
)
async def test_paid_request_is_never_resent_after_this_status(
    sandbox: Sandbox, status: int, error: type[GatewayError], charged: Charged
) -> None:
    sandbox.script([{"status": status, "headers": {"Location": "/v1/elsewhere"}}])
    with pytest.raises(error) as caught:
        await generate(sandbox.base_url)
    assert (sandbox.posts, sandbox.charges) == (1, 0)
    assert caught.value.charged == charged
    assert caught.value.answer.status == status
    assert not caught.value.retryable


async def test_rate_limited_request_is_retried_after_the_wait_with_the_same_key(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "0"}}, {"status": 429, "headers": {"Retry-After": "0"}}])
    response = await generate(sandbox.base_url)
    assert len(response.images) == 1
    assert (sandbox.posts, sandbox.charges) == (3, 1)
    assert len(set(sandbox.idempotency_keys)) == 1
    await generate(sandbox.base_url)
    assert len(set(sandbox.idempotency_keys)) == 2
    assert all(len(key) == 36 for key in sandbox.idempotency_keys)


async def test_rate_limited_request_is_retried_at_most_twice(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "0"}}] * 3)
    with pytest.raises(RateLimitError) as caught:
        await generate(sandbox.base_url)
    assert (sandbox.posts, sandbox.charges) == (3, 0)
    assert caught.value.charged == "no"
    assert caught.value.retryable


async def test_rate_limited_request_is_recorded_as_sent_again_on_retry(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "0"}}])
    endpoint = Endpoint(sandbox.base_url, {"Authorization": "Bearer brk_test"}, "test")
    async with (
        running_processes(tmp_path / "ledger.sqlite3", Clock(NEW_YEARS_EVE)) as processes,
        HttpGateway(endpoint, timings=QUICK) as gateway,
    ):
        ledger = await processes.start()
        await gateway.generate(REQUEST, await reserve(ledger), lambda status: None, 60)
        assert (await states(ledger), await spent(ledger)) == (["sent"], 42_000)
    assert (sandbox.posts, sandbox.charges) == (2, 1)


async def test_process_death_during_a_rate_limit_wait_releases_the_attempt(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "1"}}])
    endpoint = Endpoint(sandbox.base_url, {"Authorization": "Bearer brk_test"}, "test")
    async with (
        running_processes(tmp_path / "ledger.sqlite3", Clock(NEW_YEARS_EVE)) as processes,
        HttpGateway(endpoint, timings=QUICK) as gateway,
    ):
        ledger, other = await processes.start(), await processes.start()
        attempt = await reserve(ledger)
        with anyio.CancelScope() as scope:
            await gateway.generate(REQUEST, attempt, lambda status: scope.cancel(), 60)
        assert await states(ledger) == ["reserved"]
        die(ledger)
        assert (await states(other), await spent(other)) == (["released"], 0)
    assert sandbox.posts == 1


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"Retry-After": "3600"}, 3600), ({}, 60), ({"Retry-After": "soon"}, 60)]
)
async def test_long_rate_limit_wait_is_reported_to_the_caller(
    sandbox: Sandbox, headers: Mapping[str, str], seconds: float
) -> None:
    sandbox.script([{"status": 429, "headers": headers}])
    with pytest.raises(RateLimitError, match="Too many requests") as caught:
        await generate(sandbox.base_url)
    assert sandbox.posts == 1
    assert caught.value.answer.retry_after_seconds == seconds
    assert f"Wait {seconds:.0f} seconds" in caught.value.hint


@pytest.mark.parametrize(
    ("fault", "charges", "charged"),
    [
        ({"cut": "before"}, 0, "unknown"),
        ({"cut": "during"}, 1, "yes"),  # its headers name the charge
        ({"cut": "after"}, 1, "unknown"),
        ({"delay_seconds": 30}, 1, "unknown"),
    ],
)
async def test_unanswered_paid_request_is_not_resent(
    sandbox: Sandbox, fault: Mapping[str, Any], charges: int, charged: Charged
) -> None:
    sandbox.script([fault])
    with pytest.raises(OutcomeUnknownError) as caught:
        await generate(sandbox.base_url, replace(QUICK, answer_seconds=0.5))
    assert (sandbox.posts, sandbox.charges) == (1, charges)
    assert caught.value.charged == charged
    assert not caught.value.retryable
    assert "Do not send it again" in caught.value.hint


async def test_unsent_request_is_tried_three_times_and_not_charged(unused_port: int) -> None:
    told: list[str] = []
    endpoint = Endpoint(f"http://127.0.0.1:{unused_port}/v1", {}, "test")
    async with HttpGateway(endpoint, timings=QUICK) as gateway:
        with pytest.raises(GatewayUnavailableError) as caught:
            await gateway.generate(REQUEST, NullAttempt(REQUEST), told.append, 60)
    assert caught.value.charged == "no"
    assert caught.value.retryable
    assert len(told) == 2
    assert all("could not be reached" in words for words in told)


async def test_unresolvable_host_is_reported_and_nothing_is_charged() -> None:
    with pytest.raises(GatewayUnavailableError, match=r"^http://no-such-host\.invalid/v1 cannot be found") as caught:
        await generate("http://no-such-host.invalid/v1")
    assert caught.value.charged == "no"


@pytest.mark.parametrize(("setting", "hint"), [("BLOCKRUN_API_URL", "or check BLOCKRUN_API_URL."), ("", "the network")])
async def test_refused_connection_names_the_url_and_its_setting(unused_port: int, setting: str, hint: str) -> None:
    base_url = f"http://127.0.0.1:{unused_port}/v1"
    async with HttpGateway(Endpoint(base_url, {}, "test", set_by=setting), timings=QUICK) as gateway:
        with pytest.raises(GatewayUnavailableError) as caught:
            await gateway.generate(REQUEST, NullAttempt(REQUEST), lambda status: None, 60)
    assert caught.value.message == f"{base_url} refused the connection."
    assert hint in caught.value.hint


async def test_rate_limited_request_with_a_charge_is_not_resent(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "0", **COST}}])
    with pytest.raises(GatewayError) as caught:
        await generate(sandbox.base_url)
    assert (caught.value.charged, caught.value.charged_usd) == ("yes", Decimal("0.9"))
    assert sandbox.posts == 1


class SlowlyWritten(FakeAttempt):
    """Takes longer to write that the request is sent than the request may wait."""

    async def sent(self) -> None:
        await super().sent()
        with anyio.CancelScope(shield=True):  # as a thread is
            await anyio.sleep(1.5)

    async def refused_for_now(self) -> None:
        self.notes.append(("refused for now",))


async def test_request_recorded_too_late_is_not_sent_and_not_charged(sandbox: Sandbox) -> None:
    attempt = SlowlyWritten(REQUEST)
    endpoint = Endpoint(sandbox.base_url, {"Authorization": "Bearer brk_test"}, "test")
    async with HttpGateway(endpoint, timings=QUICK) as gateway:
        with pytest.raises(GatewayUnavailableError) as caught:
            await gateway.generate(REQUEST, attempt, lambda status: None, 1)
    assert caught.value.charged == "no"
    assert attempt.notes == [("sent",), ("refused for now",)]
    assert sandbox.posts == 0


@pytest.mark.parametrize(("code"), ["PAYMENT_REPLAY", "PAYMENT_INVALID", "SETTLEMENT_FAILED"])
async def test_job_is_unknown_if_a_poll_rejects_its_payment(sandbox: Sandbox, code: str) -> None:
    sandbox.script([{"slow": True, "polls": [{}, {"cut": "after"}, *[{"payment_code": code}] * 1_000]}])
    endpoint = Endpoint(f"{sandbox.api_url}/v1", {}, "test", wallet_key=SecretStr(KEY))
    impatient, wallet = replace(QUICK, answer_seconds=1), Wallet(KEY)
    await wallet.address()  # whose first use loads a library
    async with HttpGateway(endpoint, timings=impatient, payer=WalletPayer(wallet)) as gateway:
        with pytest.raises(OutcomeUnknownError) as caught:
            await gateway.generate(REQUEST, NullAttempt(REQUEST, Decimal("0.042")), lambda status: None, 60)
    assert caught.value.charged == "unknown"
    assert sandbox.charges == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_refused_payment_with_a_receipt_is_charged_and_not_resent(sandbox: Sandbox, status: int) -> None:
    sandbox.script([{"on": "paid", "status": status, "headers": {"Retry-After": "0", **RECEIPT}}])
    with pytest.raises(GatewayError) as caught:
        await generate_from_wallet(sandbox)
    assert (caught.value.charged, caught.value.charged_usd) == ("yes", Decimal("0.042"))
    assert sandbox.paid_posts == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_refused_quote_is_requested_again_even_if_it_names_a_charge(sandbox: Sandbox, status: int) -> None:
    sandbox.script([{"on": "quote", "status": status, "headers": {"Retry-After": "0", **COST}}])
    assert (await generate_from_wallet(sandbox)).charged_usd == Decimal("0.042")
    assert (sandbox.posts, sandbox.paid_posts) == (3, 1)


async def test_pictures_received_without_payment_cost_nothing(sandbox: Sandbox) -> None:
    body = {"data": [{"url": "https://x.example/1"}]}
    sandbox.script([{"on": "quote", "status": 200, "body": body, "headers": COST}])
    assert (await generate_from_wallet(sandbox)).charged_usd == Decimal(0)
    assert sandbox.paid_posts == 0


@pytest.mark.parametrize("status", [400, 500])
async def test_refusal_without_payment_is_free_even_if_it_names_a_charge(sandbox: Sandbox, status: int) -> None:
    sandbox.script([{"on": "quote", "status": status, "headers": COST}] * 3)
    with pytest.raises(GatewayError) as caught:
        await generate_from_wallet(sandbox)
    assert (caught.value.charged, sandbox.paid_posts) == ("no", 0)


async def test_job_accepted_without_payment_costs_nothing(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "quote", "status": 202, "body": {"id": "job_1"}, "headers": COST}])
    with pytest.raises(OutcomeUnknownError, match="no longer reports") as caught:
        await generate_from_wallet(sandbox, timings=replace(QUICK, answer_seconds=0.5))
    assert (caught.value.charged, sandbox.paid_posts) == ("no", 0)


@pytest.mark.parametrize(
    "fault",
    [
        *({"status": status} for status in (307, 400, 401, 403, 404)),
        *({"payment_code": f"PAYMENT_{code}"} for code in ("INVALID", "UNDERPAID", "REPLAY")),
    ],
)
async def test_refused_payment_can_still_be_used(sandbox: Sandbox, fault: Mapping[str, Any]) -> None:
    sandbox.script([{"on": "paid", **fault}])
    with pytest.raises(GatewayError) as caught:
        await generate_from_wallet(sandbox)
    assert re.search(
        r"Its payment of \$0\.042 can be used until \d\d:\d\d UTC, and counts today\.", caught.value.message
    )
    assert (caught.value.charged, caught.value.is_payment_open) == ("unknown", True)


async def test_payment_counts_as_the_signed_amount_whatever_cost_is_reported(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "paid", "headers": COST}])
    assert (await generate_from_wallet(sandbox)).charged_usd == Decimal("0.042")


class WrittenOnce(FakeAttempt):
    """Can be written to once, and not any more when the request is sent again."""

    async def sent(self) -> None:
        await super().sent()
        self._broken = ("sent",)


async def test_signed_request_is_resent_even_if_the_ledger_is_unwritable(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "paid", "slow": True, "cut": "after"}])
    attempt = WrittenOnce(REQUEST)
    assert len((await generate_from_wallet(sandbox, attempt)).images) == 1
    assert (sandbox.paid_posts, sandbox.charges) == (2, 1)
    assert [note[0] for note in attempt.notes].count("sent") == 1


async def test_charged_signed_request_is_unknown_if_the_ledger_is_unwritable(
    sandbox: Sandbox,
) -> None:
    sandbox.script([{"on": "paid", "cut": "after"}])
    with pytest.raises(OutcomeUnknownError) as caught:
        await generate_from_wallet(sandbox, WrittenOnce(REQUEST))
    assert (caught.value.charged, sandbox.paid_posts, sandbox.charges) == ("unknown", 2, 1)
