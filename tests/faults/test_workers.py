"""Paid calls whose server ends at any moment: a process of their own finishes them."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.support.clients import COLLECTED
from tests.support.commands import images, states
from tests.support.platforms import only_on_posix
from tests.support.sandbox import Sandbox
from tests.support.servers import Server, answered, running, started, started_job, wait_until
from tests.support.workers import OFF, log, log_file, pids, wait_for_workers

END: Mapping[str, Callable[[Server], object]] = {
    "closed stdin": lambda server: server.process.communicate(timeout=10),
    "killed": lambda server: server.process.kill(),
    "terminated": lambda server: server.process.terminate(),
}
ENDS = pytest.mark.parametrize("end", END)


@ENDS
def test_picture_paid_for_when_the_server_ends_is_saved_and_collected(sandbox: Sandbox, end: str) -> None:
    sandbox.script([{"delay_seconds": 1}])
    with running(sandbox.environment) as server:
        started(server, sandbox)
        END[end](server)
        server.process.wait(timeout=10)
        assert states() == {"sent": 1}  # the server's end did not wait for it
    wait_for_workers()
    assert states() == {"settled": 1}
    (path,) = images()[0]["files"]
    assert Path(path).read_bytes().startswith(b"\x89PNG")
    with running(sandbox.environment) as server:
        collected = answered(server)
    assert COLLECTED in json.dumps(collected)
    assert collected["structuredContent"]["images"][0]["path"] == path
    assert (sandbox.posts, sandbox.charges) == (1, 1)


@ENDS
def test_job_left_by_the_server_is_polled_to_its_end(sandbox: Sandbox, end: str) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 1}])
    with running(sandbox.environment) as server:
        started_job(server)
        END[end](server)
    wait_for_workers()
    assert states() == {"settled": 1}
    assert len(images()[0]["files"]) == 1
    assert (sandbox.posts, sandbox.charges) == (1, 1)


def test_same_call_at_the_next_server_waits_for_the_worker(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 2}])
    with running(sandbox.environment) as server:
        started(server, sandbox)
        server.process.kill()
    with running(sandbox.environment) as server:
        collected = answered(server)
    assert COLLECTED in json.dumps(collected)
    assert (sandbox.posts, sandbox.charges) == (1, 1)


def test_request_waiting_to_be_sent_again_is_not_sent_after_the_servers_end(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "2"}}])
    with running(sandbox.environment) as server:
        server.generate()
        wait_until(sandbox, posts=1)
        while "trying again" not in json.dumps(server.receive()):
            pass
        server.process.kill()
    wait_for_workers()
    assert (sandbox.posts, sandbox.charges, states()) == (1, 0, {"released": 1})


def test_list_and_free_tools_start_no_worker(sandbox: Sandbox) -> None:
    with running(sandbox.environment) as server:
        server.request("tools/list")
        server.request("tools/call", name="list_models", arguments={})
        server.request("tools/call", name="estimate_cost", arguments={"prompt": "A fox"})
        assert not log_file().exists()
        answered(server)
        assert log_file().exists()


@pytest.mark.parametrize("settings", [OFF, {"BLOCKRUN_IMAGE_GATEWAY": "sandbox"}])
def test_no_worker_is_started_for_the_built_in_sandbox_or_when_switched_off(
    sandbox: Sandbox, settings: Mapping[str, str]
) -> None:
    with running({**sandbox.environment, **settings}) as server:
        assert answered(server)["structuredContent"]["images"]
    assert not log_file().exists()


def test_one_worker_serves_all_calls_of_a_server(sandbox: Sandbox) -> None:
    with running(sandbox.environment) as server:
        answered(server)
        workers = pids(server.process.pid)
        assert answered(server, prompt="Another fox")["structuredContent"]["images"]
        assert pids(server.process.pid) == workers
        assert len(workers) == 1


def test_call_whose_worker_is_killed_is_told_so_and_never_paid_twice_unannounced(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 1}])
    with running(sandbox.environment) as server:
        id = started(server, sandbox)
        (worker,) = pids(server.process.pid)
        os.kill(worker, getattr(signal, "SIGKILL", signal.SIGTERM))
        while (message := server.receive()).get("id") != id:
            pass
        told = answered(server)
        bought = answered(server)
    lost = message["result"]
    assert "ended unexpectedly" in json.dumps(lost)
    assert lost["structuredContent"]["error"]["charged"] == "unknown"
    assert "repeating the call buys a new picture" in json.dumps(told)
    assert bought["structuredContent"]["images"]
    assert sandbox.posts == 2


@only_on_posix("signals")
def test_worker_ended_by_a_signal_still_reads_a_paid_answer(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 1}])
    with running(sandbox.environment) as server:
        started(server, sandbox)
        (worker,) = pids(server.process.pid)
        os.kill(worker, signal.SIGTERM)
        server.process.kill()
    wait_for_workers()
    assert states() == {"settled": 1}


@only_on_posix("process groups")
def test_kill_of_the_servers_process_group_spares_its_worker(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 1}])
    with running(sandbox.environment, start_new_session=True) as server:
        started(server, sandbox)
        os.killpg(server.process.pid, signal.SIGKILL)
    wait_for_workers()
    assert states() == {"settled": 1}


def test_cancelled_call_that_waits_for_a_slot_sends_nothing(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "2"}}])
    with running(sandbox.environment) as server:
        id = server.generate()
        wait_until(sandbox, posts=1)
        server.notify("notifications/cancelled", requestId=id)
        server.close()
    assert (sandbox.posts, sandbox.charges) == (1, 0)


def test_worker_finishes_although_the_packages_are_removed_meanwhile(sandbox: Sandbox, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    for package in ("tools/blockrun_image", "server/blockrun_image_mcp"):
        shutil.copytree(root / package, tmp_path / "new" / Path(package).name)
    sandbox.script([{"delay_seconds": 1}])
    settings = {**sandbox.environment, "PYTHONPATH": str(tmp_path / "new")}
    with running(settings) as server:
        started(server, sandbox, save_as="hero.webp")
        (tmp_path / "new").rename(tmp_path / "old")
        server.process.kill()
    wait_for_workers()
    assert states() == {"settled": 1}
    assert len(images()[0]["files"]) == 1
    assert "Error" not in log()


def test_project_folder_counts_for_the_worker(sandbox: Sandbox, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "httpx2.py").write_text("raise SystemExit('a module of the project was loaded')")
    (project / "key").write_text("brk_from_a_file")
    settings = sandbox.environment | {"BLOCKRUN_IMAGE_DIR": ".", "BLOCKRUN_API_KEY": "", "BLOCKRUN_API_KEY_FILE": "key"}
    with running(settings, program=("-P", "-m", "blockrun_image_mcp"), cwd=project) as server:
        answer = answered(server, save_as="assets/hero.png")
    assert answer["structuredContent"]["images"][0]["path"] == str(project / "assets" / "hero.png")
