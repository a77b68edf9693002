"""What Windows and macOS do otherwise, as far as Linux can show it: the branches for them, most in real processes.

The modules are loaded before the system's name is changed, so that the libraries are Linux's own.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.processes import process_environment
from tests.support.sandbox import Sandbox
from tests.support.servers import Server, wait_until
from tests.support.workers import OFF

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there it is real")

WINDOWS = """
import sys
import time
from blockrun_image_mcp import serving
from blockrun_image_mcp.cli import doctor, generate, group, main, sandbox
from blockrun_image_mcp.gateway import client
from blockrun_image_mcp.images import store
from blockrun_image_mcp.ledger import jobs, ledger
from blockrun_image_mcp.ledger.sqlite import connection
from blockrun_image_mcp.mcp_server import server, stdio
from blockrun_image_sandbox import server
import anyio._backends._asyncio, uvicorn.loops.asyncio, uvicorn.protocols.http.h11_impl
sys.platform = "win32"
main.main()
"""


@contextmanager
def running(
    *arguments: str, settings: Mapping[str, str], program: Sequence[str] = ("-c", WINDOWS)
) -> Generator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, *program, *arguments],
        env=process_environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def settings(tmp_path: Path) -> Mapping[str, str]:
    return {"HOME": str(tmp_path), "BLOCKRUN_IMAGE_STATE_DIR": str(tmp_path / "state")}


def run(*arguments: str, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "blockrun_image_mcp", *arguments],
        env=process_environment(settings or {}),
        capture_output=True,
        timeout=50,
        check=False,
        stdin=subprocess.DEVNULL,
    )


# Ctrl-C


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_busy", [False, True])
def test_ctrl_c_ends_the_server_while_stdin_stays_open(
    sandbox: Sandbox, settings: Mapping[str, str], number: signal.Signals, is_busy: bool
) -> None:
    sandbox.script([{"delay_seconds": 30}])
    server = Server({**sandbox.environment, **settings, **OFF}, program=("-c", WINDOWS))
    try:
        server.request("tools/list")
        if is_busy:
            server.generate()
            wait_until(sandbox, posts=1)
        server.process.send_signal(number)
        assert server.process.wait(timeout=15) == 128 + number
    finally:
        server.process.kill()
        _, said = server.close()
    assert ("paid calls unanswered" in said) == is_busy
    assert "Traceback" not in said


def test_ctrl_c_does_not_lose_a_picture_being_paid_for(sandbox: Sandbox, settings: Mapping[str, str]) -> None:
    sandbox.script([{"delay_seconds": 1.5}])
    with running("generate", "A fox", "--model", "dall-e-2", settings={**sandbox.environment, **settings}) as process:
        wait_until(sandbox, posts=1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Stopping. A request already sent gets ten seconds" in err
    assert f"{sandbox.origin}/images/" in err


@pytest.mark.parametrize("program", [("-c", WINDOWS), ("-m", "blockrun_image_mcp")])
def test_second_ctrl_c_exits_at_once(sandbox: Sandbox, settings: Mapping[str, str], program: Sequence[str]) -> None:
    sandbox.script([{"delay_seconds": 30}])
    everything = {**sandbox.environment, **settings}
    with running("generate", "A fox", "--model", "dall-e-2", settings=everything, program=program) as process:
        wait_until(sandbox, posts=1)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.readline() == "\n"
        assert "Ctrl-C again exits at once" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=8)  # less than the ten seconds that the request is given
    assert process.returncode == 128 + signal.SIGINT


LIBRARY = """
import os, anyio
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.settings import Settings

async def main():
    async with Backend(Settings.read(os.environ)) as backend:
        await backend.toolset.generate_image("A fox", model="dall-e-2")

anyio.run(main)
"""


def test_charge_still_counts_after_a_program_is_interrupted_twice(
    sandbox: Sandbox, settings: Mapping[str, str]
) -> None:
    """The second Ctrl-C cancels tasks in asyncio's own way, which no shield of anyio stops."""
    sandbox.script([{"delay_seconds": 30}])
    everything = {**sandbox.environment, **settings}
    with running(settings=everything, program=("-c", LIBRARY)) as process:
        wait_until(sandbox, posts=1)
        for _ in range(20):  # on a busy machine, two signals may reach it as one
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=1)
                break
    assert process.returncode is not None
    assert b"unknown" in run("spend", settings=everything).stdout


def test_ctrl_c_ends_the_sandbox(settings: Mapping[str, str]) -> None:
    with running("sandbox", "--port", "0", settings=settings) as process:
        assert process.stdout is not None
        assert re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == 0


# what a pipe can hold

ODD = "A fox \N{FOX FACE} 狐狸 żółw \u200f naïve"
COMMANDS = (
    ("generate", ODD, "--model", "dall-e-2", "--sandbox"),
    ("generate", f"{ODD}!", "--model", "dall-e-2", "--sandbox", "--json"),
    ("images", "--sandbox"),
    ("images", "--sandbox", "--json"),
    ("spend", "--sandbox", "--by", "model", "--json"),
    ("spend", "--sandbox"),
    ("prompt", ODD),
    ("prompt", ODD, "--json"),
    ("estimate", "--prompt", ODD, "--model", "dall-e-3"),
    ("estimate", "--prompt", ODD, "--json"),
    ("models", "--search", ODD),
    ("models", "--json"),
    ("recover", "--sandbox"),
    ("doctor", "--sandbox"),
    ("--help",),
)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_no_command_fails_on_characters_the_pipe_cannot_encode(
    encoding: str, settings: Mapping[str, str], tmp_path: Path
) -> None:
    settings = {**settings, "PYTHONIOENCODING": encoding, "BLOCKRUN_IMAGE_DIR": str(tmp_path / "pictures")}
    for command in COMMANDS:
        done = commands.run(*command, settings=settings)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (command, done.stderr)
        if "--json" in command:
            told = json.dumps(json.loads(done.stdout.encode("utf-8")), ensure_ascii=False)
            assert ("狐狸" in told) == (command[0] in ("generate", "images", "prompt", "estimate")), command
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2


def test_json_is_unescaped_if_the_pipe_can_encode_it(tmp_path: Path) -> None:
    done = run("prompt", ODD, "--json", settings={"HOME": str(tmp_path), "PYTHONIOENCODING": "utf-8"})
    assert "狐狸" in done.stdout.decode()


def test_lone_surrogate_in_an_argument_causes_no_traceback(tmp_path: Path) -> None:
    done = run(os.fsdecode(b"models"), "--search", os.fsdecode(b"\xff"), settings={"HOME": str(tmp_path)})
    assert b"Traceback" not in done.stderr


# one ledger, two paths

PAYS = """
import sys, uuid, anyio
from pathlib import Path
from blockrun_image.attempts import CallInfo
from blockrun_image.errors import LedgerError
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection
from tests.support.ledgers import RESPONSE, sent

async def main(path):
    database = SqliteConnection(path)
    async with Ledger(database, path, Limits(None, None)) as ledger:
        for line in sys.stdin:
            try:
                await (await sent(ledger, call=CallInfo(str(uuid.uuid4())))).settled(RESPONSE)
                print("paid", flush=True)
            except LedgerError as error:
                print(error.message, flush=True)

anyio.run(main, Path(sys.argv[1]))
"""


class Payer:
    """A process that pays for a picture each time that it is told to."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PAYS, str(path)],
            env=process_environment({"PYTHONPATH": str(Path(__file__).parents[2])}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def pay(self) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.communicate(timeout=20)


SECOND_NAME = "it has a second name, a hard link; put a copy in its place, or remove the other name"


@pytest.mark.parametrize("linked", ["the ledger", "all files", "the ledger, with copied locks"])
@pytest.mark.parametrize("is_first_open", [True, False])
def test_hard_linked_ledger_refuses_payments_until_the_link_is_removed(
    is_first_open: bool, linked: str, tmp_path: Path
) -> None:
    first_path, second_path = tmp_path / "a" / "ledger.sqlite3", tmp_path / "b" / "ledger.sqlite3"
    first = Payer(first_path)
    assert first.pay() == "paid"
    if not is_first_open:
        first.end()
    if linked == "all files":
        shutil.copytree(first_path.parent, second_path.parent, copy_function=os.link)
    else:
        second_path.parent.mkdir()
        second_path.hardlink_to(first_path)
    if linked == "the ledger, with copied locks":
        shutil.copytree(f"{first_path}.locks", f"{second_path}.locks")
    second = Payer(second_path)
    refusals = [second.pay() for _ in range(2)]
    if not is_first_open:
        first = Payer(first_path)
    assert all(SECOND_NAME in answer for answer in (*refusals, first.pay())), refusals
    second.end()
    first.end()
    second_path.unlink()
    first = Payer(first_path)
    assert first.pay() == "paid"
    first.end()


def test_new_locks_are_refused_while_the_ledger_is_open_elsewhere(tmp_path: Path) -> None:
    first_path, second_path = tmp_path / "a" / "ledger.sqlite3", tmp_path / "b" / "ledger.sqlite3"
    first = Payer(first_path)
    assert first.pay() == "paid"
    second_path.parent.mkdir()
    first_path.rename(second_path)  # the process still has it open
    settings = {"BLOCKRUN_IMAGE_STATE_DIR": str(second_path.parent), "HOME": str(tmp_path)}
    refused = run("recover", "--new-locks", settings=settings)
    assert (refused.returncode, b"database is locked" in refused.stderr) == (1, True)
    first.end()
    assert run("recover", "--new-locks", settings=settings).returncode == 0


def test_symbolic_link_opens_the_same_ledger(tmp_path: Path) -> None:
    first = Payer(tmp_path / "a" / "ledger.sqlite3")
    assert first.pay() == "paid"
    (tmp_path / "b").symlink_to(tmp_path / "a")
    second = Payer(tmp_path / "b" / "ledger.sqlite3")
    assert [second.pay(), first.pay()] == ["paid", "paid"]
    for payer in (first, second):
        payer.end()


def test_moved_ledger_is_used_after_recover_with_new_locks(tmp_path: Path) -> None:
    first = Payer(tmp_path / "a" / "ledger.sqlite3")
    assert first.pay() == "paid"
    first.end()
    moved = tmp_path / "b" / "ledger.sqlite3"
    moved.parent.mkdir()
    (tmp_path / "a" / "ledger.sqlite3").rename(moved)
    settings = {"BLOCKRUN_IMAGE_STATE_DIR": str(moved.parent), "HOME": str(tmp_path)}
    refused = run("spend", settings=settings)
    assert b"close all servers and run `blockrun-image-mcp recover --new-locks`" in refused.stderr
    adopted = run("recover", "--new-locks", settings=settings)
    assert (adopted.returncode, adopted.stderr) == (0, b"")
    second = Payer(moved)
    assert second.pay() == "paid"
    second.end()
    assert b"$0.084" in run("spend", settings=settings).stdout
