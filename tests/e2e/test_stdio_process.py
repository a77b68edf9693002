"""The server as hosts run it: a process that speaks the protocol on stdout, and nothing else anywhere."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.support.commands import states
from tests.support.platforms import only_on_posix
from tests.support.processes import process_environment
from tests.support.sandbox import Sandbox
from tests.support.servers import META, running, wait_until
from tests.support.workers import OFF, wait_for_workers

from blockrun_image_mcp.timings import DEFAULT


def test_startup_loads_only_what_listing_the_tools_needs(sandbox: Sandbox) -> None:
    with running(sandbox.environment | {"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        server.request("tools/list")
        _, imports = server.close()
    loaded = {line.rpartition("|")[2].strip() for line in imports.splitlines()}
    of_calls = {"toolset", "purchase", "pricing", "results", "ports", "enrichment.enricher"}
    of_calls = {f"blockrun_image.{module}" for module in of_calls} | {"jsonschema", "PIL"}
    adapters = ("gateway.client", "ledger.ledger", "ledger.outbox", "ledger.sqlite.connection")
    of_calls |= {f"blockrun_image_mcp.{module}" for module in adapters}
    assert all(find_spec(module) for module in of_calls)
    assert {"blockrun_image.schemas", "blockrun_image_mcp.mcp_server.tool_call"} <= loaded
    assert {module for module in loaded if module.startswith("blockrun_image_mcp.cli.")} == {
        "blockrun_image_mcp.cli.main"
    }
    assert not of_calls & loaded


def test_stdout_carries_only_the_protocol_and_stderr_stays_empty(sandbox: Sandbox) -> None:
    with running(sandbox.environment) as server:
        assert len(server.request("tools/list")["result"]["tools"]) == 3
        assert server.request("tools/call", name="list_models", arguments={})["result"]["isError"] is False
        answer = server.request("tools/call", name="generate_image", arguments={"prompt": "A fox", "model": "dall-e-3"})
        assert answer["result"]["structuredContent"]["images"]
        refused = server.request("tools/call", name="generate_image", arguments={"prompt": "A fox", "model": "dall"})
        assert refused["result"]["isError"]
        out, err = server.close()
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in out.splitlines())
    assert err == ""
    assert server.process.returncode == 0


def test_embedded_sandbox_writes_nothing_to_stderr(tmp_path: Path) -> None:
    with running({"BLOCKRUN_IMAGE_GATEWAY": "sandbox", "HOME": str(tmp_path)}) as server:
        answer = server.request("tools/call", name="generate_image", arguments={"prompt": "A fox", "model": "dall-e-3"})
        assert answer["result"]["structuredContent"]["gateway"] == "sandbox"
        _, err = server.close()
    assert err == ""
    assert server.process.returncode == 0


@only_on_posix("signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("busy", [False, True])
def test_signal_ends_the_process_at_once_and_logs_unanswered_calls(
    sandbox: Sandbox, number: signal.Signals, busy: bool
) -> None:
    sandbox.script([{"delay_seconds": 30}])
    with running(sandbox.environment | OFF) as server:
        server.request("tools/list")
        if busy:
            server.generate()
            wait_until(sandbox, posts=1)
        server.process.send_signal(number)
        assert server.process.wait(timeout=5) == 128 + number
        assert server.process.stderr is not None
        said = server.process.stderr.read().decode()
    assert ("paid calls unanswered" in said) == busy


def test_call_cancelled_while_waiting_to_retry_sends_nothing_more(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "2"}}])
    with running(sandbox.environment) as server:
        id = server.generate()
        wait_until(sandbox, posts=1)
        while "trying again" not in json.dumps(server.receive()):
            pass
        server.notify("notifications/cancelled", requestId=id)
        server.request("tools/list")
        _, err = server.close()
    assert (sandbox.posts, sandbox.charges) == (1, 0)
    assert err == ""


def test_answer_to_a_call_cancelled_after_sending_is_still_read(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 1}])
    with running(sandbox.environment) as server:
        id = server.generate()
        wait_until(sandbox, posts=1)
        server.notify("notifications/cancelled", requestId=id)
        _, err = server.close()
    assert (sandbox.posts, sandbox.charges) == (1, 1)
    assert f"{sandbox.origin}/images/" in err
    assert '"charged_usd": "0.021"' in err


def test_cancelled_call_refused_without_charge_is_not_logged(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 1, "status": 400}])
    with running(sandbox.environment) as server:
        id = server.generate()
        wait_until(sandbox, posts=1)
        server.notify("notifications/cancelled", requestId=id)
        _, err = server.close()
    assert (sandbox.posts, sandbox.charges) == (1, 0)
    assert "an abandoned call" not in err


def test_closed_stdin_gives_a_paid_request_ten_seconds(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 30}])
    with running(sandbox.environment | OFF) as server:
        server.generate()
        wait_until(sandbox, posts=1)
        _, err = server.close()
    assert "no answer came in time" in err
    assert '"charged": "unknown"' in err

    assert states() == {"unknown": 1}


def test_host_death_does_not_lose_a_paid_picture(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 1}])
    with running(sandbox.environment) as server:
        server.generate()
        wait_until(sandbox, posts=1)
        process = server.process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()
        said = process.stderr.read().decode()
        process.wait(timeout=20)
        said += wait_for_workers()
    assert f"{sandbox.origin}/images/" in said
    assert '"charged_usd": "0.021"' in said
    assert "fox" not in said
    assert "Traceback" not in said


@only_on_posix("signals")
def test_shutdown_time_after_a_signal_is_just_under_a_second(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 0.4}])
    with running(sandbox.environment | OFF) as server:
        server.generate()
        wait_until(sandbox, posts=1)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=5)
    assert states() == {"settled": 1}
    assert DEFAULT.shutdown_seconds < 1


def test_invalid_input_does_not_end_the_server() -> None:
    with running({}) as server:
        assert server.process.stdin is not None
        server.process.stdin.write(b"\xff\xfe not json\n{}\n[]\n")
        assert server.request("tools/list")["result"]["tools"]


def test_server_runs_with_only_blank_and_unsubstituted_settings() -> None:
    settings = {"BLOCKRUN_API_KEY": "${KEY}", "BLOCKRUN_IMAGE_ENRICH": "${X}", "BLOCKRUN_WALLET_KEY": " "}
    with running(settings) as server:
        assert server.request("tools/call", name="estimate_cost", arguments={})["result"]["isError"] is False
        answer = server.request("tools/call", name="generate_image", arguments={"prompt": "A fox", "model": "dall-e-3"})
        assert "BLOCKRUN_API_KEY" in answer["result"]["content"][0]["text"]
        assert answer["result"]["structuredContent"]["error"]["charged"] == "no"


def test_credential_never_reaches_a_log_or_an_answer(sandbox: Sandbox) -> None:
    secret = "brk_very_secret_0123456789"
    settings = {**sandbox.environment, "BLOCKRUN_API_KEY": secret, "BLOCKRUN_IMAGE_LOG_LEVEL": "debug"}
    sandbox.script([{"status": 401, "body": {"error": {"message": f"Incorrect key {secret}", "code": secret}}}])
    with running(settings) as server:
        answer = server.request("tools/call", name="generate_image", arguments={"prompt": "A fox", "model": "dall-e-3"})
        out, err = server.close()
    assert "[redacted]" in json.dumps(answer)
    assert secret not in json.dumps(answer) + out + err
    assert "HTTP Request" in err
    assert os.fsencode(secret) not in err.encode()


@only_on_posix("a shell that closes streams")
@pytest.mark.parametrize(("closed", "named"), [("<&-", "stdin"), (">&-", "stdout")])
def test_closed_stream_is_named_and_ends_the_server(closed: str, named: str) -> None:
    done = subprocess.run(
        f'"{sys.executable}" -m blockrun_image_mcp {closed}',
        shell=True,
        env=process_environment({}),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"Error: The server speaks MCP on stdin and stdout, and {named} is closed.\n",
    )


@only_on_posix("a shell that closes streams")
def test_server_without_stderr_answers() -> None:
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}})
    done = subprocess.run(
        f'(printf "%s\\n" "$ASKED"; sleep 3) | "{sys.executable}" -m blockrun_image_mcp 2>&-',
        shell=True,
        env=process_environment({"ASKED": asked}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert len(json.loads(done.stdout)["result"]["tools"]) == 3
