"""Settings that cannot be used: the server starts and lists, each call says what to do, and `doctor` says the same."""

import json
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import run
from tests.support.platforms import only_on_posix
from tests.support.processes import process_environment
from tests.support.sandbox import Sandbox
from tests.support.wire import INITIALIZE
from tests.support.workers import OFF

MAIN = "from blockrun_image_mcp.cli.main import main; main()"
NO_SUCH_USER = "import pwd\ndef none(*_): raise KeyError\npwd.getpwuid = pwd.getpwnam = none\n"
GONE = "import os, tempfile\nfolder = tempfile.mkdtemp()\nos.chdir(folder)\nos.rmdir(folder)\n"
FOX = {"prompt": "A fox", "model": "dall-e-2"}


@dataclass
class Wrong:
    """Wrong settings, what they make of the machine, and the words by which calls and `doctor` name them."""

    settings: Mapping[str, str]
    call_says: str
    doctor_says: str
    before: str = ""
    lists: bool = True
    unset: Sequence[str] = field(default_factory=list[str])

    @property
    def is_of_posix(self) -> bool:
        """Whether Windows has no such folder: one that is gone while it is used, or that only its user can make."""
        return bool(self.before) or "~nosuchuser/pictures" in self.settings.values()


def spec(value: str, says: str) -> Wrong:
    words = f"BLOCKRUN_IMAGE_SPEC {says}"
    return Wrong({"BLOCKRUN_IMAGE_SPEC": value}, words, words, lists=False)


def folder(value: str, says: str, before: str = "") -> Wrong:
    return Wrong({"BLOCKRUN_IMAGE_DIR": value}, says, says, before)


WRONG = {
    "no such log level": Wrong({"BLOCKRUN_IMAGE_LOG_LEVEL": "chatty"}, "", "BLOCKRUN_IMAGE_LOG_LEVEL must be one of"),
    "another name of a log level": Wrong({"BLOCKRUN_IMAGE_LOG_LEVEL": "warn"}, "", ""),
    "log level of no text": Wrong(
        {"BLOCKRUN_IMAGE_LOG_LEVEL": "\udcff"}, "", "BLOCKRUN_IMAGE_LOG_LEVEL must be one of"
    ),
    "time of no number": Wrong({"BLOCKRUN_IMAGE_CALL_SECONDS": "1m"}, "", "BLOCKRUN_IMAGE_CALL_SECONDS cannot be read"),
    "description that is missing": spec("/no/such.json", "names a file that cannot be read"),
    "description that is a folder": spec("/", "names a file that cannot be read"),
    "description of nobody": spec("~nosuchuser/own.json", "names a file that cannot be read"),
    "description that is no JSON": spec(__file__, "cannot be used: "),
    "description that is a placeholder": spec("${SPEC}", "still holds a placeholder"),
    "folder of nobody": folder("~nosuchuser/pictures", "cannot be written"),
    "folder in a file": folder(f"{__file__}/pictures", "cannot be written"),
    "folder of a long name": folder("/tmp/" + "x" * 300, "cannot be written"),
    "folder that is gone": folder("pictures", "cannot be written", GONE),
    "working directory that is gone": Wrong({}, "", "", GONE),
    "limit that is a placeholder": Wrong(
        {"BLOCKRUN_IMAGE_CONFIRM_ABOVE_USD": "${user_config.confirm}"},
        "BLOCKRUN_IMAGE_CONFIRM_ABOVE_USD cannot be read",
        "BLOCKRUN_IMAGE_CONFIRM_ABOVE_USD cannot be read",
    ),
    "gateway that is a placeholder": Wrong(
        {"BLOCKRUN_IMAGE_GATEWAY": "${GATEWAY}"},
        "BLOCKRUN_IMAGE_GATEWAY still holds a placeholder",
        "BLOCKRUN_IMAGE_GATEWAY still holds a placeholder",
    ),
    "no home folder": Wrong(
        {}, "no home folder is known", "no home folder is known", NO_SUCH_USER, unset=["XDG_STATE_HOME"]
    ),
    "no home folder for pictures": Wrong(
        {}, "cannot be written", "cannot be written", NO_SUCH_USER, unset=["XDG_PICTURES_DIR", "XDG_DATA_HOME"]
    ),
}

in_each_case = pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(wrong, id=name, marks=[only_on_posix("folders like these")] if wrong.is_of_posix else [])
        for name, wrong in WRONG.items()
    ],
)


def command(wrong: Wrong, *arguments: str) -> Sequence[str]:
    return [sys.executable, "-c", f"{wrong.before}{MAIN}", *arguments]


def environment(wrong: Wrong, sandbox: Sandbox) -> Mapping[str, str]:
    patched = OFF if wrong.before else {}  # a worker would not be patched
    whole = process_environment({**sandbox.environment, **wrong.settings, **patched})
    return {name: value for name, value in whole.items() if name not in wrong.unset}


class Host:
    """A host that shakes hands, lists the tools, and calls them."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._id = 0

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        self._id += 1
        self._send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        assert self._process.stdout is not None
        while (answer := json.loads(self._process.stdout.readline())).get("id") != self._id:
            pass
        return answer["result"]

    def shake_hands(self) -> dict[str, Any]:
        answer = self.request("initialize", **INITIALIZE)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def call(self, tool: str, arguments: Mapping[str, Any]) -> tuple[bool, str]:
        """Return whether a call failed, and its text."""
        result = self.request("tools/call", name=tool, arguments=arguments)
        return result.get("isError", False), result["content"][0]["text"]

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()


@contextmanager
def hosted(wrong: Wrong, sandbox: Sandbox, folder: Path) -> Generator[Host]:
    with subprocess.Popen(
        command(wrong),
        env=environment(wrong, sandbox),
        cwd=folder,
        encoding="utf-8",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        yield Host(process)
        process.kill()


@in_each_case
def test_server_starts_lists_tools_and_each_call_reports_the_setting(
    wrong: Wrong, sandbox: Sandbox, tmp_path: Path
) -> None:
    with hosted(wrong, sandbox, tmp_path) as host:
        assert host.shake_hands()["serverInfo"]["name"] == "blockrun-image-mcp"
        assert len(host.request("tools/list")["tools"]) == 3
        assert host.call("list_models", {})[0] is not wrong.lists
        assert host.call("estimate_cost", {})[0] is not wrong.lists
        for _ in range(2):
            has_failed, text = host.call("generate_image", FOX)
            assert has_failed == bool(wrong.call_says)
            assert wrong.call_says in text
    assert sandbox.posts == (0 if wrong.call_says else 2)
    assert list(tmp_path.iterdir()) == []


def doctor(wrong: Wrong, sandbox: Sandbox) -> "subprocess.CompletedProcess[str]":
    """Run the command doctor: as a process if it needs a machine of its own."""
    if not wrong.before:
        return run("doctor", settings={**sandbox.environment, **wrong.settings})
    return subprocess.run(
        command(wrong, "doctor"),
        env=environment(wrong, sandbox),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@in_each_case
def test_doctor_reports_an_unusable_setting_as_an_error(
    wrong: Wrong, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = doctor(wrong, sandbox)
    assert done.returncode == (1 if wrong.doctor_says else 0), done.stdout + done.stderr
    assert wrong.doctor_says in done.stdout
    assert "Traceback" not in done.stderr
    assert ("\nerror " in f"\n{done.stdout}") == bool(wrong.doctor_says)
    assert list(tmp_path.iterdir()) == []
