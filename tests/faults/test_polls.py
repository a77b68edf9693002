"""Jobs whose polls fail, are wrong or take long: asked after again, and charged once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.support.fakes import Clock, FakeAttempt
from tests.support.ledgers import NEW_YEARS_EVE, reserve, running_processes, spent, states
from tests.support.retries import COST, QUICK, REQUEST, generate
from tests.support.sandbox import Sandbox

from blockrun_image.errors import (
    ContentPolicyError,
    OutcomeUnknownError,
)
from blockrun_image.ports import JobPending
from blockrun_image_mcp.gateway.client import HttpGateway
from blockrun_image_mcp.gateway.credentials import Endpoint
from blockrun_image_mcp.timings import Timings

pytestmark = pytest.mark.anyio


POLL_FAULTS: Sequence[Mapping[str, Any]] = [
    {"cut": "before"},
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"status": 502},
    {"status": 503},
    {"status": 504},
]


async def test_job_is_polled_until_done_and_charged_once(sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 0.1}])
    response = await generate(sandbox.base_url)
    assert len(response.images) == 1
    assert (sandbox.posts, sandbox.charges) == (1, 1)


@pytest.mark.parametrize("fault", POLL_FAULTS)
async def test_failed_poll_is_free_and_is_retried(sandbox: Sandbox, fault: Mapping[str, Any]) -> None:
    sandbox.script([{"slow": True, "polls": [fault] * 3}])
    assert len((await generate(sandbox.base_url)).images) == 1
    assert (sandbox.posts, sandbox.charges) == (1, 1)


async def test_long_gateway_outage_does_not_lose_the_job(sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True, "polls": [{"status": 503}] * 3 + [{"cut": "before"}] * 2}])
    impatient = replace(QUICK, max_retry_wait_seconds=0)
    assert len((await generate(sandbox.base_url, impatient)).images) == 1
    assert (sandbox.posts, sandbox.charges) == (1, 1)


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 404}, {"delay_seconds": 0.0}])
async def test_ledger_records_the_wait_requested_by_a_poll_answer(sandbox: Sandbox, fault: Mapping[str, Any]) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 5, "polls": [{**fault, "headers": {"Retry-After": "60"}}]}])
    endpoint = Endpoint(sandbox.base_url, {"Authorization": "Bearer brk_test"}, "test")
    told: list[float] = []

    class PolledTwice(FakeAttempt):
        async def polled(self, next_seconds: float) -> None:
            told.append(next_seconds)
            if len(told) == 2:
                scope.cancel()

    async with HttpGateway(endpoint, timings=QUICK) as gateway:
        with anyio.CancelScope() as scope:
            await gateway.generate(REQUEST, PolledTwice(REQUEST), lambda status: None, 60)
    assert told == [QUICK.poll_seconds, 60]


WRONG_POLLS: Sequence[Mapping[str, Any]] = [
    *({"status": status} for status in (400, 401, 402, 403, 404, 410, 303, 500)),
    {"status": 200, "body": {"status": "completed"}},
    {"status": 200, "body": {"status": "completed", "data": []}},
    {"status": 200, "body": {"id": "job_of_another", "status": "completed", "data": [{"url": "https://x.example/1"}]}},
    {"status": 200, "body": {"id": "job_of_another", "status": "failed", "payment_status": "not_charged"}},
    {"status": 200, "body": "<html>Sign in</html>"},
]


@pytest.mark.parametrize("poll", WRONG_POLLS)
async def test_unusable_poll_answer_is_polled_again(sandbox: Sandbox, poll: Mapping[str, Any]) -> None:
    sandbox.script([{"slow": True, "polls": [poll] * 3}])
    response = await generate(sandbox.base_url)
    assert "x.example" not in str(response.images[0].url)
    assert (sandbox.posts, sandbox.charges) == (1, 1)


@pytest.mark.parametrize("poll", WRONG_POLLS)
async def test_job_the_gateway_no_longer_reports_becomes_unknown(sandbox: Sandbox, poll: Mapping[str, Any]) -> None:
    sandbox.script([{"slow": True, "polls": [poll] * 1_000}])
    with pytest.raises(OutcomeUnknownError, match="no longer reports its state") as caught:
        await generate(sandbox.base_url, replace(QUICK, answer_seconds=0.3))
    assert (caught.value.charged, caught.value.is_job_lost) == ("unknown", True)
    assert sandbox.posts == 1


async def test_charge_in_an_unusable_poll_answer_counts(sandbox: Sandbox) -> None:
    poll = {"status": 404, "headers": {"x-blockrun-cost-usd": "0.9"}}
    sandbox.script([{"slow": True, "polls": [poll]}])
    assert (await generate(sandbox.base_url)).charged_usd == Decimal("0.9")


@pytest.mark.parametrize("poll", [{"status": 504}, {"cut": "during"}, {"status": 200, "body": {"status": "queued"}}])
async def test_charge_in_any_earlier_poll_answer_counts(sandbox: Sandbox, poll: Mapping[str, Any]) -> None:
    sandbox.script([{"slow": True, "polls": [{**poll, "headers": COST}]}])
    assert (await generate(sandbox.base_url)).charged_usd == Decimal("0.9")


async def test_charge_in_a_job_acceptance_counts(sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True, "headers": COST}])
    assert (await generate(sandbox.base_url)).charged_usd == Decimal("0.9")


async def test_charge_in_a_job_acceptance_is_in_the_ledger_before_the_first_poll(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.script([{"slow": True, "headers": COST}])
    endpoint = Endpoint(sandbox.base_url, {"Authorization": "Bearer brk_test"}, "test")
    async with (
        running_processes(tmp_path / "ledger.sqlite3", Clock(NEW_YEARS_EVE)) as processes,
        HttpGateway(endpoint, timings=QUICK) as gateway,
    ):
        ledger = await processes.start()
        with anyio.CancelScope() as scope:
            await gateway.generate(REQUEST, await reserve(ledger), lambda status: scope.cancel(), 60)
        assert (await states(ledger), await spent(ledger)) == (["accepted"], 900_000)


async def test_failed_job_is_charged_if_its_acceptance_names_a_charge(sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True, "status": 403, "headers": COST}])
    with pytest.raises(ContentPolicyError) as caught:
        await generate(sandbox.base_url)
    assert (caught.value.charged, caught.value.charged_usd) == ("yes", Decimal("0.9"))


@pytest.mark.parametrize("body", [{"status": "completed", "data": []}, "<html>Sign in</html>"])
async def test_last_success_answer_is_kept_when_a_job_becomes_unknown(sandbox: Sandbox, body: object) -> None:
    sandbox.script([{"slow": True, "polls": [{"status": 200, "body": body}] * 1_000}])
    with pytest.raises(OutcomeUnknownError) as caught:
        await generate(sandbox.base_url, replace(QUICK, answer_seconds=0.3))
    raw = caught.value.raw.decode()
    assert body == (raw if isinstance(body, str) else json.loads(raw))


async def test_job_reported_again_after_a_404_stays_pending(sandbox: Sandbox) -> None:
    drawing = {"status": 200, "body": {"status": "in_progress"}}
    sandbox.script([{"slow": True, "polls": [{"status": 404}] + [drawing] * 1_000}])
    with pytest.raises(JobPending):
        await generate(sandbox.base_url, replace(QUICK, answer_seconds=0.5))


@pytest.mark.parametrize(("cost", "charged"), [("9e-1", "0.9"), ("$0.01", "0.05")])
@pytest.mark.parametrize("is_job", [False, True])
async def test_oddly_written_cost_counts_as_at_least_the_reserved_amount(
    sandbox: Sandbox, cost: str, charged: str, is_job: bool
) -> None:
    named = {"headers": {"x-blockrun-cost-usd": cost}}
    sandbox.script([{"slow": True, "polls": [named]} if is_job else named])
    async with HttpGateway(Endpoint(sandbox.base_url, {"Authorization": "Bearer brk_test"}, "test")) as gateway:
        response = await gateway.generate(REQUEST, FakeAttempt(REQUEST), lambda status: None, 60)
    assert response.charged_usd == Decimal(charged)


async def test_job_past_the_answer_timeout_is_reported_as_pending(sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 60}])
    with pytest.raises(JobPending):
        await generate(sandbox.base_url, Timings(answer_seconds=0.5, poll_seconds=0.05))


async def test_failed_job_is_not_charged(sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True, "status": 403}])
    with pytest.raises(ContentPolicyError, match="Content policy violation") as caught:
        await generate(sandbox.base_url)
    assert caught.value.charged == "no"
    assert sandbox.charges == 0
