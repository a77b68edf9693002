"""Pictures that a wallet pays for, through the whole server: once, within the limits, and to whom it trusts."""

import json
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.support.clients import COLLECTED, FOX, QUICK_POLLS, Connect, data, over_every_transport, served, text
from tests.support.commands import images, ledger_file, run, spend, states
from tests.support.ledgers import rows
from tests.support.payments import ADDRESS, KEY, PAYEE
from tests.support.retries import REQUEST, generate_from_wallet
from tests.support.sandbox import Sandbox
from tests.support.servers import answered, running, started
from tests.support.setting_names import BUDGET, MOST, SECONDS

from blockrun_image.attempts import Quote
from blockrun_image.errors import GatewayUnavailableError
from blockrun_image.null_ledger import NullAttempt
from blockrun_image_mcp.payments.networks import NETWORKS
from blockrun_image_sandbox.x402 import PAY_TO

pytestmark = pytest.mark.anyio

DIGITS = KEY.removeprefix("0x")


@pytest.fixture
def host(sandbox: Sandbox) -> str:
    """Return the sandbox's host as trust in a payee is written down."""
    return sandbox.origin.partition("://")[2]


def asking(micro_usd: int) -> Mapping[str, Any]:
    """Return the fault of a quote that asks for another amount."""
    price = {"amount": f"{micro_usd / 1_000_000:.6f}"}
    return {"challenge": {"accepts": [{"amount": str(micro_usd)}], "price": price}}


@over_every_transport
async def test_a_picture_is_paid_for_once_from_the_wallet(
    connect: Connect, sandbox: Sandbox, wallet: Mapping[str, str]
) -> None:
    async with connect(wallet) as client:
        result = await client.call_tool("generate_image", FOX)
    assert not result.is_error, text(result)
    assert data(result)["cost"]["charged_usd"] == "0.042"
    assert sandbox.get(data(result)["images"][0]["url"]).content.startswith(b"\x89PNG")
    assert (sandbox.quotes, sandbox.paid_posts, sandbox.charges) == (1, 1, 1)
    settled = sandbox.last_settlement
    assert (settled["rail"], settled["payer"].lower(), settled["micro_usd"]) == ("wallet", ADDRESS.lower(), 42_000)
    assert (states(), spend()["spent_usd"]) == ({"settled": 1}, "0.042")
    assert DIGITS not in result.model_dump_json()


async def test_job_is_polled_with_its_payment_by_the_next_process(sandbox: Sandbox, wallet: Mapping[str, str]) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 1.5}])
    async with served({**wallet, SECONDS: "1"}, timings=QUICK_POLLS) as client:
        pending = await client.call_tool("generate_image", FOX)
    assert (data(pending)["status"], data(pending)["cost"]["held_usd"]) == ("pending", "0.042")
    assert states() == {"accepted": 1}
    async with served(wallet, timings=QUICK_POLLS) as client:
        collected = await client.call_tool("generate_image", FOX)
    assert len(data(collected)["images"]) == 1
    assert data(collected)["cost"]["charged_usd"] == "0.042"
    assert (sandbox.quotes, sandbox.paid_posts, sandbox.charges) == (1, 1, 1)


async def test_slow_call_is_collected_without_a_second_payment(sandbox: Sandbox, wallet: Mapping[str, str]) -> None:
    sandbox.script([{"on": "paid", "delay_seconds": 1.5}])
    async with served({**wallet, SECONDS: "1"}) as client:
        answers = [await client.call_tool("generate_image", FOX)]
        while data(answers[-1])["status"] == "pending":
            answers.append(await client.call_tool("generate_image", FOX))
    assert len(answers) > 1
    assert COLLECTED in text(answers[-1])
    assert (sandbox.paid_posts, sandbox.charges) == (1, 1)


def test_quote_request_is_cancelled_at_once_and_nothing_is_signed(sandbox: Sandbox, wallet: Mapping[str, str]) -> None:
    sandbox.script([{"on": "quote", "delay_seconds": 60}])
    with running(wallet) as server:
        server.notify("notifications/cancelled", requestId=started(server, sandbox))
        server.request("tools/list")
        _, err = server.close()
    assert (sandbox.quotes, sandbox.paid_posts, states()) == (1, 0, {"released": 1})
    assert err == ""


async def test_quote_that_is_not_paid_in_time_is_told_from_a_silent_gateway(sandbox: Sandbox) -> None:
    class Slow(NullAttempt):
        async def quoted(self, quote: Quote) -> None:
            await anyio.sleep(60)

    with pytest.raises(GatewayUnavailableError, match="time ended before the price could be paid"):
        await generate_from_wallet(sandbox, Slow(REQUEST, Decimal("0.042")), within_seconds=1)
    assert (sandbox.quotes, sandbox.paid_posts) == (1, 0)


async def test_limits_apply_to_the_quoted_price(sandbox: Sandbox, wallet: Mapping[str, str]) -> None:
    sandbox.script([asking(60_000), asking(60_000), asking(64_000)])
    refused: list[Any] = []
    for limits in ({MOST: "0.05"}, {BUDGET: "0.05"}, {}):
        async with served({**wallet, **limits}) as client:
            refused.append(await client.call_tool("generate_image", FOX))
    assert [data(each)["error"]["type"] for each in refused] == ["budget_exceeded"] * 2 + ["payment_required"]
    assert {data(each)["error"]["charged"] for each in refused} == {"no"}
    assert "can cost $0.06, and one call may cost at most $0.05" in text(refused[0])
    assert "it asks for $0.064; $0.042 was expected" in text(refused[2])
    assert (sandbox.quotes, sandbox.paid_posts, states()) == (3, 0, {"released": 3})


async def test_quoted_price_within_the_limits_is_paid(sandbox: Sandbox, wallet: Mapping[str, str]) -> None:
    sandbox.script([asking(60_000)])
    async with served({**wallet, MOST: "0.06"}) as client:
        result = await client.call_tool("generate_image", FOX)
    assert data(result)["cost"]["charged_usd"] == "0.06"
    assert "more than the estimate" in text(result)
    assert spend()["spent_usd"] == "0.06"


@over_every_transport
async def test_changed_payee_blocks_payments_until_the_user_trusts_it(
    connect: Connect, sandbox: Sandbox, wallet: Mapping[str, str], host: str
) -> None:
    other = {"challenge": {"accepts": [{"payTo": PAYEE}]}}
    sandbox.script([{"challenge": {"accepts": [{}]}}, other, other])
    async with connect(wallet) as client:
        assert not (await client.call_tool("generate_image", FOX)).is_error
        stopped = await client.call_tool("generate_image", FOX)
        assert data(stopped)["error"]["charged"] == "no"
        assert PAY_TO in text(stopped)
        assert f"wallet trust {host} {PAYEE}" in text(stopped)
        assert (sandbox.paid_posts, states()) == (1, {"released": 1, "settled": 1})
        assert run("wallet", "trust", host, PAYEE).returncode == 0
        assert not (await client.call_tool("generate_image", FOX)).is_error
    assert (sandbox.paid_posts, sandbox.charges) == (2, 2)


async def test_refused_payment_is_held_while_it_can_be_used(sandbox: Sandbox, wallet: Mapping[str, str]) -> None:
    sandbox.script([{"on": "paid", "status": 403}])
    async with served(wallet) as client:
        refused = await client.call_tool("generate_image", FOX)
        another = await client.call_tool("generate_image", FOX)
    assert (data(refused)["error"]["type"], data(refused)["error"]["charged"]) == ("content_policy", "unknown")
    assert re.search(r"Its payment of \$0\.042 can be used until \d\d:\d\d UTC, and counts today\.", text(refused))
    explained = run("recover", settings=wallet).stdout
    assert re.search(r"Payment of \$0\.042 from 0x\w{40} to 0x\w{40}, usable until 20", explained)
    assert "authorizationState(payer, nonce)" in explained
    held = next(entry["id"] for entry in images() if entry["state"] == "held")
    assert "can be used until" in run("recover", "--release", held).stderr
    assert COLLECTED not in text(another)
    assert (states(), spend()["held_usd"]) == ({"held": 1, "settled": 1}, "0.042")
    assert {entry["state"] for entry in images()} == {"held", "settled"}


async def test_recover_names_payer_and_nonce_of_a_usable_payment(sandbox: Sandbox, wallet: Mapping[str, str]) -> None:
    sandbox.script([{"on": "paid", "status": 403}])
    async with served(wallet) as client:
        await client.call_tool("generate_image", FOX)
    ((written,),) = rows(ledger_file(), "SELECT payment FROM spending")
    payment = json.loads(written)
    explained = run("recover", settings=wallet).stdout
    assert f"Payment of $0.042 from {ADDRESS} to {payment['payee']}, usable until" in explained
    assert f"Nonce {payment['nonce']}. " in explained
    assert f"The token {NETWORKS[payment['network']].token} on {payment['network']} shows" in explained


async def test_live_estimate_uses_the_quote_without_signing_or_spending(
    connect: Connect, sandbox: Sandbox, wallet: Mapping[str, str]
) -> None:
    sandbox.script([asking(61_000)])
    async with connect(wallet) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        estimate = await client.call_tool("estimate_cost", {"model": "dall-e-3", "live": True})
        offline = await client.call_tool("estimate_cost", {"model": "dall-e-3"})
        compared = await client.call_tool("estimate_cost", {"live": "true", "prompt": "A dog"})
    assert tools["estimate_cost"].input_schema["properties"]["live"]["type"] == "boolean"
    annotations = tools["estimate_cost"].annotations
    assert annotations is not None
    assert (annotations.read_only_hint, annotations.open_world_hint) == (True, True)
    (priced,) = data(estimate)["estimates"]
    assert (priced["estimated_usd"], priced["exact"]) == ("0.061", True)
    assert "requested just now without paying" in text(estimate)
    assert data(offline)["estimates"][0]["estimated_usd"] == "0.042"
    assert [each["exact"] for each in data(compared)["estimates"]] == [True] * 4
    assert (sandbox.quotes, sandbox.paid_posts, sandbox.charges) == (5, 0, 0)
    assert spend()["spent_usd"] == "0.00"
    assert images() == []


async def test_missing_live_price_is_an_error_or_a_warning_among_several(
    sandbox: Sandbox, wallet: Mapping[str, str]
) -> None:
    sandbox.script([{"status": 404}, {"status": 404}])
    async with served(wallet) as client:
        refused = await client.call_tool("estimate_cost", {"model": "dall-e-3", "live": True})
        compared = await client.call_tool("estimate_cost", {"live": True})
    assert (refused.is_error, data(refused)["error"]["charged"]) == (True, "no")
    assert not compared.is_error
    assert len(data(compared)["estimates"]) == 4
    assert "HTTP 404" in data(compared)["warnings"][0]


async def test_an_account_has_no_live_prices(connect: Connect, sandbox: Sandbox) -> None:
    for settings in (sandbox.environment, {}, {"BLOCKRUN_IMAGE_GATEWAY": "sandbox", "BLOCKRUN_WALLET_KEY": KEY}):
        async with connect(settings) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            refused = await client.call_tool("estimate_cost", {"live": True})
        assert "live" not in tools["estimate_cost"].input_schema["properties"]
        assert "no argument 'live'" in text(refused)
    assert sandbox.posts == 0


def test_live_estimate_works_for_a_wallet_and_not_for_an_account(sandbox: Sandbox, wallet: Mapping[str, str]) -> None:
    sandbox.script([asking(61_000)])
    priced = run("estimate", "--model", "dall-e-3", "--live", settings=wallet)
    assert (priced.returncode, priced.stderr) == (0, "")
    assert "$0.061" in priced.stdout
    account = run("estimate", "--model", "dall-e-3", "--live", settings=sandbox.environment)
    assert (account.returncode, "only one that a wallet pays does" in account.stderr) == (1, True)
    assert (sandbox.posts, sandbox.charges) == (1, 0)


def without_eth_account(folder: Path) -> Mapping[str, str]:
    """Return the setting of a Python that cannot import what signs."""
    (folder / "eth_account").mkdir()
    (folder / "eth_account" / "__init__.py").write_text("raise ImportError\n", encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


def test_missing_wallet_library_error_names_the_extra_and_costs_nothing(
    sandbox: Sandbox, wallet: Mapping[str, str], tmp_path: Path
) -> None:
    with running({**wallet, **without_eth_account(tmp_path)}) as server:
        for _ in range(2):
            refused = answered(server)
            assert refused["isError"]
            assert 'pip install "blockrun-image-mcp[wallet]"' in refused["content"][0]["text"]
            assert refused["structuredContent"]["error"]["charged"] == "no"
        free = server.request("tools/call", name="estimate_cost", arguments={"model": "dall-e-3", "live": True})
        assert free["result"]["structuredContent"]["estimates"][0]["exact"]
        server.close()
    assert (sandbox.paid_posts, states()) == (0, {"released": 2})


def test_wallet_key_appears_in_no_log_answer_or_file(sandbox: Sandbox, wallet: Mapping[str, str]) -> None:
    leak = {"error": f"Payment verification failed: {KEY}", "code": DIGITS}
    honest: dict[str, Any] = {"challenge": {"accepts": [{}]}}
    sandbox.script(
        [
            honest,
            honest,
            {"on": "paid", "status": 402, "body": leak},
            {"on": "paid", "status": 500, "body": {"error": {"message": KEY.upper()}}},
            {"challenge": {"accepts": [{"payTo": PAYEE}]}},
        ]
    )
    with running({**wallet, "BLOCKRUN_IMAGE_LOG_LEVEL": "debug", SECONDS: "20"}) as server:
        answers = [answered(server, n=number) for number in range(1, 5)]
        out, err = server.close()
    shown = [run("wallet", "show", settings=wallet), run("doctor", settings=wallet)]
    said = f"{answers}{out}{err}{shown}".lower()
    assert DIGITS.lower() not in said
    assert ADDRESS in shown[0].stdout
    assert "http request" in said
    assert ["images" in answer["structuredContent"] for answer in answers] == [False, True, False, True]
    for file in ledger_file().parent.rglob("*"):
        if file.is_file():
            assert os.fsencode(DIGITS) not in file.read_bytes()
            assert bytes.fromhex(DIGITS) not in file.read_bytes()


@pytest.mark.parametrize("key", [KEY[:-1], f"{KEY}0", f"key {KEY}", "0x" + "0" * 64])
def test_invalid_wallet_key_is_an_error_that_does_not_quote_it(
    sandbox: Sandbox, wallet: Mapping[str, str], key: str
) -> None:
    settings = {**wallet, "BLOCKRUN_WALLET_KEY": key, "BLOCKRUN_IMAGE_LOG_LEVEL": "debug"}
    done = run("generate", "A fox", "--model", "dall-e-3", settings=settings)
    assert done.returncode == 1
    assert key not in done.stdout + done.stderr
    assert key.removeprefix("0x")[:32] not in done.stdout + done.stderr
    assert (sandbox.paid_posts, sandbox.charges) == (0, 0)
