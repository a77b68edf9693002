"""What a call leaves in the ledger, and what the limits let through: over real processes that share one."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.clients import FOX, Connect, data, over_every_transport, text
from tests.support.commands import images, ledger_file, run, spend, states
from tests.support.platforms import only_on_posix
from tests.support.sandbox import Sandbox
from tests.support.servers import running, wait_until
from tests.support.setting_names import BUDGET, MOST
from tests.support.workers import OFF

from blockrun_image_mcp.ledger.owners import Owners

pytestmark = pytest.mark.anyio


@over_every_transport
async def test_call_over_the_daily_budget_is_refused_before_sending(connect: Connect, sandbox: Sandbox) -> None:
    async with connect({**sandbox.environment, BUDGET: "0.05"}) as client:
        made = await client.call_tool("generate_image", FOX)
        refused = await client.call_tool("generate_image", FOX)
        free = await client.call_tool("estimate_cost", {"model": "dall-e-3"})
    assert (made.is_error, refused.is_error, free.is_error) == (False, True, False)
    error = data(refused)["error"]
    assert (error["type"], error["charged"], error["retryable"]) == ("budget_exceeded", "no", False)
    assert "can cost $0.042, and $0.008 of the $0.05 for this UTC day is left" in text(refused)
    assert BUDGET in text(refused)
    assert (sandbox.posts, sandbox.charges) == (1, 1)


async def test_call_whose_maximum_cost_exceeds_the_call_limit_is_refused(connect: Connect, sandbox: Sandbox) -> None:
    async with connect({**sandbox.environment, MOST: "0.1"}) as client:
        refused = await client.call_tool("generate_image", {**FOX, "size": "1024x1792"})
    assert "can cost $0.126, and one call may cost at most $0.10" in text(refused)
    assert sandbox.posts == 0


async def test_most_expensive_call_is_allowed_by_default(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(sandbox.environment) as client:
        dearest = await client.call_tool(
            "generate_image", {**FOX, "size": "1792x1024", "quality": "hd", "n": 10, "enrich": "off"}
        )
    assert data(dearest)["cost"]["charged_usd"] == "1.26"


@pytest.mark.parametrize("limits", [{MOST: "abc"}, {BUDGET: "-1"}])
async def test_unreadable_limit_blocks_only_paid_calls(
    connect: Connect, sandbox: Sandbox, limits: Mapping[str, str]
) -> None:
    async with connect({**sandbox.environment, **limits}) as client:
        refused = await client.call_tool("generate_image", FOX)
        free = await client.call_tool("list_models", {})
    assert "cannot be read" in text(refused)
    assert data(refused)["error"]["charged"] == "no"
    assert not free.is_error
    assert sandbox.posts == 0


async def test_unusable_ledger_blocks_only_paid_calls(connect: Connect, sandbox: Sandbox) -> None:
    ledger_file().parent.mkdir(parents=True)
    ledger_file().write_bytes(b"no database" * 1_000)
    async with connect(sandbox.environment) as client:
        refused = await client.call_tool("generate_image", FOX)
        free = await client.call_tool("estimate_cost", {})
    assert data(refused)["error"]["type"] == "ledger"
    assert str(ledger_file()) in text(refused)
    assert not free.is_error
    assert sandbox.posts == 0


@only_on_posix("XDG_STATE_HOME")
@over_every_transport
async def test_unreadable_state_folder_blocks_only_paid_calls(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", f"/{'x' * 300}")
    async with connect(sandbox.environment) as client:
        refused = await client.call_tool("generate_image", FOX)
        free = await client.call_tool("estimate_cost", {})
    assert data(refused)["error"]["type"] == "ledger"
    assert not free.is_error
    assert sandbox.posts == 0


def test_doctor_names_the_processes_that_use_the_ledger(sandbox: Sandbox) -> None:
    owners = Owners(ledger_file().with_name(f"{ledger_file().name}.locks"))
    owners.acquire()
    assert f"; used by the processes {os.getpid()}" in run("doctor", settings=sandbox.environment).stdout
    owners.release(remove=True)


def test_all_processes_of_a_user_share_one_budget(sandbox: Sandbox) -> None:
    settings = {**sandbox.environment, BUDGET: "0.1"}
    with running(settings) as server:
        for model in ("dall-e-2", "dall-e-3"):
            server.request("tools/call", name="generate_image", arguments={"prompt": "A fox", "model": model})
        server.close()
    at_a_terminal = run("generate", "A cat", "--model", "dall-e-3", settings=settings)
    assert "$0.037 of the $0.10 for this UTC day is left" in at_a_terminal.stderr
    assert (spend()["spent_usd"], states()) == ("0.063", {"settled": 2})


def test_embedded_sandbox_spends_from_its_own_ledger(tmp_path: Path) -> None:
    run("generate", "A fox", "--model", "dall-e-3", "--sandbox", "--save", str(tmp_path))
    assert spend()["spent_usd"] == "0.00"
    assert json.loads(run("spend", "--json", "--sandbox").stdout)["spent_usd"] == "0.042"
    settings = {"BLOCKRUN_IMAGE_GATEWAY": "sandbox"}
    for done in (run("spend", "--sandbox"), run("spend", settings=settings)):
        assert done.stdout.endswith("\nSandbox: none of this was charged.\n")
    (entry,) = json.loads(run("images", "--json", settings=settings).stdout)
    assert (entry["charged_usd"], entry["simulated_usd"]) == ("0.00", "0.042")
    assert "--sandbox shows those of the sandbox." in run("images").stdout


def test_spending_is_summed_by_day_or_model_and_prune_keeps_recent_calls(sandbox: Sandbox) -> None:
    for model in ("dall-e-2", "dall-e-3", "dall-e-3"):
        run("generate", "A fox", "--model", model, settings=sandbox.environment)
    by_model = json.loads(run("spend", "--since", "7d", "--by", "model", "--json").stdout)
    assert by_model["spent_usd"] == "0.105"
    assert [(each["model"], each["calls"], each["usd"]) for each in by_model["models"]] == [
        ("dall-e-2", 1, "0.021"),
        ("dall-e-3", 2, "0.084"),
    ]
    assert "3 calls" in run("spend", "--by", "day").stdout
    assert json.loads(run("spend", "--until", "1d", "--json").stdout)["days"] == []
    assert len(images("--since", "today")) == 3
    assert images("--until", "1d") == []
    assert run("spend", "--since", "yesterday").returncode == 2
    assert run("prune", "--before", "1d", "--yes").returncode == 2
    assert run("prune", "--before", "90d", input="n\n").returncode == 1
    assert run("prune", "--before", "90d", "--yes").stdout.startswith("Removed 0 calls ")
    assert len(images()) == 3


def test_spend_prints_one_line_if_nothing_was_spent(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 400}])
    run("generate", "A fox", "--model", "dall-e-3", settings=sandbox.environment)
    assert len(run("spend").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("fault", "state", "spent"),
    [
        ({}, "settled", "0.042"),
        ({"slow": True}, "settled", "0.042"),
        ({"status": 403}, "released", "0.00"),
        ({"status": 500}, "unknown", "0.042"),
        ({"cut": "after"}, "unknown", "0.042"),
        ({"status": 200, "body": {"data": []}, "headers": {"x-blockrun-cost-usd": "0.01"}}, "settled", "0.01"),
    ],
)
def test_each_call_outcome_is_recorded_with_its_state_and_cost(
    sandbox: Sandbox, fault: Mapping[str, Any], state: str, spent: str
) -> None:
    sandbox.script([fault])
    run("generate", "A fox", "--model", "dall-e-3", settings=sandbox.environment)
    assert (states(), spend()["spent_usd"]) == ({state: 1}, spent)


def test_picture_of_an_abandoned_call_is_listed_by_images(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 1}])
    with running(sandbox.environment) as server:
        id = server.generate()
        wait_until(sandbox, posts=1)
        server.notify("notifications/cancelled", requestId=id)
        server.close()
    (entry,) = images()
    assert (entry["state"], entry["charged_usd"], entry["model"]) == ("settled", "0.021", "dall-e-2")
    assert sandbox.get(entry["images"][0]).content.startswith(b"\x89PNG")
    assert entry["images"][0] in run("images").stdout


def test_call_cancelled_while_waiting_to_retry_is_released(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "2"}}])
    with running(sandbox.environment) as server:
        id = server.generate()
        while "trying again" not in json.dumps(server.receive()):
            pass
        server.notify("notifications/cancelled", requestId=id)
        server.request("tools/list")
        server.close()
    assert states() == {"released": 1}
    assert run("images").stdout == "There are none yet.\n"


def test_request_of_a_killed_process_counts_in_the_budget_as_unknown(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 20}])
    with running({**sandbox.environment, **OFF}) as server:
        server.generate()
        wait_until(sandbox, posts=1)
        server.process.kill()
    assert (states(), spend()["unknown_usd"]) == ({"unknown": 1}, "0.021")


def test_operator_can_release_an_unknown_attempt_from_the_budget(sandbox: Sandbox) -> None:
    sandbox.script([{"cut": "after"}])
    run("generate", "A fox", "--model", "dall-e-3", settings=sandbox.environment)
    assert "It counts as spent" in run("spend").stdout
    (entry,) = images()
    assert run("recover", "--release", entry["id"]).stdout == "Released: it no longer counts as spent.\n"
    assert spend()["spent_usd"] == "0.00"
    again = run("recover", "--release", entry["id"])
    assert (again.returncode, "That attempt is released" in again.stderr) == (2, True)


def test_startup_warns_if_nothing_limits_spending() -> None:
    with running({BUDGET: "none"}) as server:
        server.request("tools/list")
        _, err = server.close()
    assert f"{BUDGET} is none: spending is not limited" in err
