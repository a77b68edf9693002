"""The command that finishes jobs, and explains what is unresolved."""

import json

from tests.support.clients import COLLECTED, FOX
from tests.support.commands import images, run, spend, states
from tests.support.sandbox import Sandbox
from tests.support.servers import (
    left_job,
    running,
    started_job,
)


def test_recover_finishes_a_job_and_the_same_call_collects_it(sandbox: Sandbox) -> None:
    left_job(sandbox)
    assert states() == {"accepted": 1}
    done = run("recover", settings=sandbox.environment)
    assert (done.returncode, done.stdout) == (0, "Nothing is unresolved.\n")
    assert states() == {"settled": 1}
    made = json.loads(run("generate", *COMMAND, "--json", settings=sandbox.environment).stdout)
    assert COLLECTED in json.dumps(made)
    assert (sandbox.posts, sandbox.charges) == (1, 1)


COMMAND = (FOX["prompt"], "--model", FOX["model"])


def test_recover_continues_after_a_failed_job_and_explains_unknown_ones(sandbox: Sandbox) -> None:
    left_job(sandbox, {"polls": [{"status": 200, "body": {"status": "failed"}}] * 2}, {})
    done = run("recover", settings=sandbox.environment)
    assert "Not all jobs could be finished: The gateway's job failed" in done.stderr
    assert "It was sent, and no answer came." in done.stdout
    assert done.stdout.endswith("1 left.\n")
    assert states() == {"settled": 1, "unknown": 1}
    id = next(entry["id"] for entry in images() if entry["state"] == "unknown")
    assert id in done.stdout
    assert "Released" in run("recover", "--release", id).stdout
    assert run("recover", settings=sandbox.environment).stdout == "Nothing is unresolved.\n"
    assert sandbox.charges == 1


def test_recover_skips_and_reports_the_job_of_a_live_process(sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 30}])
    with running(sandbox.environment) as server:
        started_job(server)
        done = run("recover", settings=sandbox.environment)
        assert "still being made" in done.stdout
        assert states() == {"accepted": 1}


def test_recover_without_a_credential_explains_what_it_cannot_finish(sandbox: Sandbox) -> None:
    left_job(sandbox)
    done = run("recover")
    assert "Not all jobs could be finished: No credential is set" in done.stderr
    assert done.stdout.endswith("1 left.\n")
    assert (states(), spend()["held_usd"]) == ({"accepted": 1}, "0.042")
