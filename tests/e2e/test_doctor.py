"""The command that looks for trouble, and never shows a secret."""

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from threading import Thread

import pytest
from tests.support.commands import run
from tests.support.credentials import SECRET
from tests.support.payments import KEY
from tests.support.platforms import only_on_posix
from tests.support.sandbox import Sandbox

from blockrun_image_mcp.settings import VARIABLES

unmakeable = only_on_posix("a folder that cannot be made")

KEYS = ["0x" + "ab12" * 16, "zY9" * 29, "[" + "12, " * 63 + "7]", "brk_ab12ab12ab12"]


def test_doctor_reports_no_errors_for_a_valid_setup(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there yet"
    settings = {**sandbox.environment, "BLOCKRUN_API_KEY": SECRET, "BLOCKRUN_IMAGE_DIR": str(folder)}
    done = run("doctor", settings=settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "BLOCKRUN_API_KEY looks like a BlockRun account key" in done.stdout
    assert "127.0.0.1 answers (HTTP 200) and does not refuse the credential" in done.stdout
    assert str(folder) in done.stdout
    assert "$0.00 spent, $10.00 of $10.00 left" in done.stdout
    assert SECRET not in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert sandbox.posts == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"BLOCKRUN_API_KEY": ""}, "No credential is set"),
        ({"BLOCKRUN_API_KEY": "opaque-0123"}, "refuses the credential (HTTP 401)"),
        ({"BLOCKRUN_API_KEY": "0x" + "ab" * 32}, "BLOCKRUN_API_KEY looks like a wallet's private key"),
        ({"BLOCKRUN_API_KEY": "[" + "12," * 63 + "7]"}, "looks like a Solana secret"),
        ({"BLOCKRUN_IMAGE_GATEWAY": "http://127.0.0.1:1/v1"}, "refused the connection"),
        ({"BLOCKRUN_IMAGE_GATEWAY": "http://x.example/v1"}, "is not a base URL that a credential may be sent to"),
        pytest.param({"BLOCKRUN_IMAGE_DIR": "/proc/pictures"}, "/proc/pictures cannot be written", marks=unmakeable),
        pytest.param(
            {"BLOCKRUN_IMAGE_DIR": "/tmp/" + "x" * 300}, "cannot be written (File name too long)", marks=unmakeable
        ),
        ({"BLOCKRUN_IMAGE_MAX_COST_USD": "much"}, "BLOCKRUN_IMAGE_MAX_COST_USD cannot be read"),
        pytest.param({"XDG_STATE_HOME": "/proc"}, "The spending ledger cannot be used", marks=unmakeable),
    ],
)
def test_doctor_names_the_error_and_the_remedy_but_no_secret(
    sandbox: Sandbox, settings: Mapping[str, str], words: str
) -> None:
    done = run("doctor", settings={**sandbox.environment, **settings})
    assert done.returncode == 1
    assert words in done.stdout
    assert re.search(r"^error .*\n +\S", done.stdout, re.MULTILINE)
    key = settings.get("BLOCKRUN_API_KEY", "")
    assert len(key) < 10 or key not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("500 Broken", "127.0.0.1 answers HTTP 500"),
        ("200 OK\r\nX-Page: <!doctype html>", "127.0.0.1 answers with a web page (HTTP 200)"),
        ("404 Not Found\r\nX-Page: <html>", "127.0.0.1 answers with a web page (HTTP 404)"),
        ("301 Moved\r\nLocation: /v2", "127.0.0.1 redirects (HTTP 301)"),
        ("403 Forbidden", "127.0.0.1 refuses the credential (HTTP 403)"),
    ],
)
def test_doctor_reports_how_a_gateway_fails(answer: str, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        head, _, page = answer.partition("\r\nX-Page: ")
        whole = f"HTTP/1.1 {head}\r\nContent-Length: {len(page)}\r\n\r\n{page}".encode()
        thread = Thread(target=answer_once, args=(listener, whole))
        thread.start()
        failing = run("doctor", settings={"BLOCKRUN_API_KEY": SECRET, "BLOCKRUN_IMAGE_GATEWAY": f"{origin}/v1"})
        thread.join()
    assert words in failing.stdout
    assert failing.returncode == 1


def test_doctor_only_notes_that_a_gateway_has_no_model_list(sandbox: Sandbox) -> None:
    lacking = run("doctor", settings={**sandbox.environment, "BLOCKRUN_IMAGE_GATEWAY": f"{sandbox.origin}/v2"})
    assert "note    gateway: 127.0.0.1 has no list of models (HTTP 404)" in lacking.stdout
    assert "many end in /v1" in lacking.stdout
    assert lacking.returncode == 0


def test_doctor_names_an_unknown_default_model_at_any_log_level() -> None:
    settings = {"BLOCKRUN_IMAGE_DEFAULT_MODEL": "gone", "BLOCKRUN_IMAGE_LOG_LEVEL": "CRITICAL"}
    done = run("doctor", "--sandbox", settings=settings)
    assert "BLOCKRUN_IMAGE_DEFAULT_MODEL names an unknown model" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("alone", ["BLOCKRUN_IMAGE_SPEC", "BLOCKRUN_IMAGE_GATEWAY", ""])
def test_doctor_never_shows_a_key_from_any_variable(alone: str, key: str) -> None:
    others = set(VARIABLES.values()) - {"BLOCKRUN_IMAGE_SPEC", "BLOCKRUN_IMAGE_ENRICH", "BLOCKRUN_IMAGE_LOG_LEVEL"}
    settings = {alone: key} if alone else dict.fromkeys(others, key) | {"BLOCKRUN_IMAGE_GATEWAY": "sandbox"}
    done = run("doctor", settings=settings)
    said = done.stdout + done.stderr
    assert "BLOCKRUN_IMAGE" in said or "Cannot read" in said
    assert "Traceback" not in said
    assert key[4:16] not in said


def answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


def test_doctor_reports_a_misspelt_setting_and_an_unused_credential(sandbox: Sandbox) -> None:
    settings = {**sandbox.environment, "BLOCKRUN_IMAGE_DIRR": SECRET, "BLOCKRUN_WALLET_KEY": "opaque-0123"}
    done = run("doctor", settings=settings)
    assert "'BLOCKRUN_IMAGE_DIRR' is not a setting" in done.stdout
    assert "The closest is BLOCKRUN_IMAGE_DIR." in done.stdout
    assert "BLOCKRUN_WALLET_KEY looks like a token and is not used" in done.stdout
    assert SECRET not in done.stdout
    assert done.returncode == 0


def test_doctor_mentions_an_unused_wallet_session_without_its_key(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / ".blockrun").mkdir()
    (tmp_path / ".blockrun/.session").write_text(KEY)
    settings = {**sandbox.environment, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    done = run("doctor", settings=settings)
    assert "note    credential: ~/.blockrun/.session exists, and is not used" in done.stdout
    assert "BLOCKRUN_IMAGE_WALLET=session would pay from it." in done.stdout
    assert done.returncode == 0
    used = run("doctor", settings={**settings, "BLOCKRUN_API_KEY": "", "BLOCKRUN_IMAGE_WALLET": "session"})
    assert "BLOCKRUN_IMAGE_WALLET looks like a wallet's private key" in used.stdout
    assert "is not used" not in used.stdout
    assert KEY[2:] not in done.stdout + used.stdout + used.stderr


def test_doctor_identifies_a_key_in_a_file_and_names_an_unreadable_one(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    settings = {**sandbox.environment, "BLOCKRUN_API_KEY": "", "BLOCKRUN_API_KEY_FILE": str(tmp_path / "key")}
    done = run("doctor", settings=settings)
    assert "BLOCKRUN_API_KEY_FILE looks like a BlockRun account key" in done.stdout
    assert (done.returncode, SECRET in done.stdout) == (0, False)
    lost = run("doctor", settings={**settings, "BLOCKRUN_API_KEY_FILE": "/none/such"})
    assert "BLOCKRUN_API_KEY_FILE names a file that cannot be read (FileNotFoundError)" in lost.stdout
    assert lost.returncode == 1
    assert run("models", settings={"BLOCKRUN_API_KEY_FILE": "/none/such"}).returncode == 0


def test_key_from_a_file_is_redacted_in_logs(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("opaque-0123456789\n")
    settings = {"BLOCKRUN_API_KEY_FILE": str(tmp_path / "key"), "BLOCKRUN_IMAGE_DEFAULT_MODEL": "opaque-0123456789"}
    settings["BLOCKRUN_IMAGE_CATALOG"] = "contract"
    done = run("models", settings=settings)
    assert "there is no model '[redacted]'" in done.stderr
