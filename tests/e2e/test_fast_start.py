"""A server that answers the first requests from its record, as a client sees it: like any other, but sooner."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from tests.support.clients import FOX
from tests.support.processes import process_environment
from tests.support.sandbox import CONTRACT_FILE, Sandbox
from tests.support.wire import INITIALIZE, MODERN

from blockrun_image_mcp.front import Session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it is off there")

OFF = {"BLOCKRUN_IMAGE_FAST_START": "off"}
SLOW_SDK = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "mcp_types":
            sys.meta_path.remove(self)
            time.sleep(1.5)
sys.meta_path.insert(0, Slow())
"""


def message(id: object, method: str, **params: Any) -> bytes:
    about = {} if id is None else {"id": id}
    return json.dumps({"jsonrpc": "2.0", **about, "method": method, "params": params}).encode() + b"\n"


def handshake(version: str) -> Sequence[bytes]:
    return [message(0, "initialize", **{**INITIALIZE, "protocolVersion": version}), message(None, INITIALIZED)]


INITIALIZED = "notifications/initialized"
CALL = message(9, "tools/call", name="list_models", arguments={})
LIST = message(1, "tools/list")
OPENINGS: Mapping[str, Sequence[bytes]] = {
    "2024-11-05": [*handshake("2024-11-05"), message(1, "tools/list")],
    "2025-06-18": [*handshake("2025-06-18"), message(1, "tools/list"), message("two", "ping")],
    "2025-11-25": [*handshake("2025-11-25"), message(1, "tools/list"), message(2, "prompts/list"), message(3, "ping")],
    "2026-07-28": [message(0, "server/discover", _meta=MODERN), message(1, "tools/list", _meta=MODERN)],
    "the same id twice": [*handshake("2025-06-18"), message(1, "tools/list"), message(1, "ping")],
    "a client without a name": [
        message(0, "initialize", **{**INITIALIZE, "clientInfo": {"version": "1"}}),
        message(1, "ping"),
    ],
    "a name that is there twice": [
        handshake("2025-06-18")[0].replace(b'"name"', b'"name": "x", "name"'),
        message(1, "ping"),
    ],
    "a progress token that is null": [
        *handshake("2025-06-18"),
        message(1, "tools/list", _meta={"progressToken": None}),
    ],
    "no handshake": [message(1, "tools/list"), message(2, "ping")],
    "odd lines": [b"\n", b"{}\n", *handshake("2025-06-18"), b"[]\n", b"\xff\n", message(1, "tools/list")],
    "params that are a list": [*handshake("2025-06-18"), LIST.replace(b"{}", b"[]"), message(2, "tools/list")],
    "params that are an empty text": [*handshake("2025-06-18"), LIST.replace(b"{}", b'""'), message(2, "ping")],
    "an id that is true": [*handshake("2025-06-18"), LIST.replace(b"1", b"true"), message(2, "ping")],
    "many lists": [*handshake("2025-06-18"), *(message(number, "tools/list") for number in range(1, 30))],
    "a cursor": [*handshake("2025-06-18"), message(1, "tools/list", cursor="x"), message(2, "tools/list")],
}


class Process:
    """A server that is written to and read in bytes."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "blockrun_image_mcp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=process_environment(settings),
        )

    def write(self, content: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(content)
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def end(self) -> tuple[bytes, bytes]:
        out, err = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        return out, err


def said(pieces: Sequence[bytes], settings: Mapping[str, str], pause_seconds: float = 0) -> bytes:
    """Return all that a server writes when these bytes are written to it, and then stdin is closed."""
    server = Process(settings)
    for piece in pieces:
        server.write(piece)
        sleep(pause_seconds)
    out, err = server.end()
    assert err == b""
    return out


@pytest.fixture
def slow_sdk(tmp_path: Path) -> Mapping[str, str]:
    """Return the settings of a server whose libraries take long to load."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_SDK)
    return {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize("opening", OPENINGS)
def test_recorded_answers_are_those_of_an_ordinary_start(opening: str) -> None:
    lines = [*OPENINGS[opening], CALL]
    ordinary = said(lines, OFF)
    assert [said(lines, {}) for _ in range(3)] == [ordinary] * 3


@pytest.mark.parametrize("opening", ["a client without a name", "a name that is there twice"])
def test_invalid_client_is_refused_after_a_valid_one_was_recorded(opening: str) -> None:
    for _ in range(2):
        said(OPENINGS["2025-06-18"], {})
    assert said(OPENINGS[opening], {}) == said(OPENINGS[opening], OFF)


def test_probe_and_then_a_handshake_are_answered_as_by_an_ordinary_start() -> None:
    def answers(settings: Mapping[str, str]) -> Sequence[object]:
        server = Process(settings)
        server.write(message(0, "server/discover", _meta=MODERN))
        discovered = server.read()
        server.write(b"".join([*handshake("2025-11-25"), message(1, "tools/list"), CALL]))
        heard = [discovered, *(server.read() for _ in range(3))]
        server.end()
        return heard

    ordinary = answers(OFF)
    assert [answers({}) for _ in range(3)] == [ordinary] * 3


@pytest.mark.parametrize("pieces", ["a burst", "bytes", "halves"])
def test_messages_in_any_pieces_are_answered_once_and_in_order_while_the_rest_is_loaded(
    pieces: str, slow_sdk: Mapping[str, str]
) -> None:
    whole = b"".join([*OPENINGS["2025-06-18"], CALL, message(10, "tools/list"), message(11, "ping")])
    said([whole], slow_sdk)
    ordinary = said([whole], {**slow_sdk, **OFF})
    cut = {
        "a burst": [whole],
        "bytes": [bytes([byte]) for byte in whole],
        "halves": [whole[: len(whole) // 2], whole[len(whole) // 2 :]],
    }
    assert said(cut[pieces], slow_sdk, 0.1 if pieces == "halves" else 0) == ordinary


def test_recorded_answers_come_before_anything_heavy_is_loaded() -> None:
    lines = OPENINGS["2025-11-25"][:3]
    said(lines, {})
    server = Process({"PYTHONPROFILEIMPORTTIME": "1"})
    for line in lines:
        server.write(line)
    assert server.read()["id"] == 0
    assert len(server.read()["result"]["tools"]) == 3
    _, imports = server.end()
    assert b"blockrun_image_mcp.front" in imports
    for heavy in (b"pydantic", b"anyio", b"mcp_types", b"asyncio", b"httpx2"):
        assert heavy not in imports, heavy


def test_paid_call_right_behind_the_recorded_requests_is_made_once(sandbox: Sandbox) -> None:
    call = message(7, "tools/call", name="generate_image", arguments=FOX)
    lines = OPENINGS["2025-06-18"]
    said(lines, sandbox.environment)
    server = Process(sandbox.environment)
    server.write(b"".join([*lines, call]))
    assert [server.read()["id"] for _ in range(4)] == [0, 1, "two", 7]
    server.end()
    assert sandbox.posts == 1


@pytest.mark.parametrize(
    "change", ["setting", "description", "description of the same size and time", "record", "writable record"]
)
def test_changed_settings_or_files_are_answered_anew(change: str, tmp_path: Path) -> None:
    description = tmp_path / "openapi.json"
    description.write_bytes(CONTRACT_FILE.read_bytes())
    lines, settings = OPENINGS["2025-06-18"], {"BLOCKRUN_IMAGE_SPEC": str(description)}
    before = said(lines, settings)
    (record,) = records()
    match change:
        case "setting":
            settings["BLOCKRUN_IMAGE_DEFAULT_MODEL"] = "dall-e-2"
        case "description" | "description of the same size and time":
            times = description.stat()
            description.write_text(description.read_text().replace("dall-e-2", "dall-e-1"))
            if change != "description":
                os.utime(description, ns=(times.st_atime_ns, times.st_mtime_ns))
        case "record":
            record.write_text(record.read_text()[:-9])
        case _:
            record.write_text(record.read_text().replace("dall-e-3", "dall-e-9"))
            record.chmod(0o666)
    after = said(lines, settings)
    assert after == said(lines, settings | OFF)
    assert (after == before) == ("record" in change)


def test_another_look_at_the_gateways_list_leaves_the_record_in_use(sandbox: Sandbox) -> None:
    lines, settings = OPENINGS["2025-06-18"], sandbox.environment
    server = Process(settings)
    server.write(b"".join([*lines, message(8, "tools/call", name="generate_image", arguments=FOX)]))
    while not lists():  # the list is fetched in the background
        sleep(0.01)
    server.end()
    said(lines, settings)
    (record,), (cached,) = records(), lists()
    record.write_text(record.read_text().replace("nano-banana-pro", "nano-banana-new"))
    content = json.loads(cached.read_bytes())
    content["listing"]["seen_at"] += 60
    content["asked_at"] += 60
    cached.write_text(json.dumps(content, separators=(",", ":")))
    server = Process(settings)
    server.write(b"".join(lines[:3]))
    server.read()
    assert "nano-banana-new" in json.dumps(server.read())
    server.end()


def test_pipe_that_a_setting_names_is_left_to_the_whole_server(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    settings = {"BLOCKRUN_WALLET_KEY_FILE": str(tmp_path / "key")}
    lines = OPENINGS["2025-06-18"]
    assert said(lines, settings) == said(lines, {**settings, **OFF})
    assert not records()


def test_answer_that_differs_from_its_record_is_logged_and_told_to_listeners() -> None:
    lines = OPENINGS["2026-07-28"]
    said(lines, {})
    (record,) = records()
    record.write_text(record.read_text().replace("dall-e-3", "dall-e-9"))
    server = Process({})
    server.write(b"".join(lines))
    server.read()
    assert "dall-e-9" in json.dumps(server.read())
    listen = {"notifications": {"toolsListChanged": True}}
    server.write(message(5, "subscriptions/listen", **listen, _meta=MODERN))
    while (told := server.read())["method"] != "notifications/tools/list_changed":
        assert "error" not in told
    server.write(message(6, "tools/list", _meta=MODERN))
    assert "dall-e-9" not in json.dumps(server.read())
    _, err = server.end()
    assert b"tools/list was answered from a record that differs" in err


def test_no_credential_is_in_the_record(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("brk_in_a_file_0123456789")
    secret = "brk_secret_0123456789"
    said(OPENINGS["2025-06-18"], {"BLOCKRUN_API_KEY": secret, "BLOCKRUN_WALLET_KEY_FILE": str(tmp_path / "key")})
    (record,) = records()
    assert secret not in record.read_text() + record.name
    assert "brk_in_a_file" not in record.read_text()
    assert record.stat().st_mode & 0o777 == 0o600


def test_client_that_closes_after_the_list_ends_the_server_at_once() -> None:
    lines = OPENINGS["2026-07-28"]
    assert said(lines, {}) == said(lines, {}) == said(lines, OFF)


def lists() -> Sequence[Path]:
    folder = Path(os.environ["XDG_CACHE_HOME"]) / "blockrun-image-mcp"
    return [each for each in folder.rglob("*.json") if b'"listing":{' in each.read_bytes()]


def records() -> Sequence[Path]:
    folder = Path(os.environ["XDG_CACHE_HOME"]) / "blockrun-image-mcp" / "starts"
    return [*folder.glob("*.json")]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"clientInfo": {"name": "a"}}, {"clientInfo": {"name": "b"}}, True),
        ({"_meta": {"progressToken": 1}}, {}, True),
        ({"_meta": {"traceparent": "00-1"}}, {"_meta": {"traceparent": "00-2"}}, True),
        ({"_meta": {"progressToken": None}}, {}, False),
        ({"_meta": {"progressToken": True}}, {"_meta": {"progressToken": 1}}, False),
        ({"_meta": {"traceparent": 1}}, {}, False),
        ({"clientInfo": {"name": "a", "version": "1"}}, {"clientInfo": {"name": "a"}}, False),
        ({"clientInfo": {"name": "a", "version": "1"}}, {"clientInfo": {"name": "a", "version": 1}}, False),
        ({"clientInfo": {"name": "a"}}, {"clientInfo": None}, False),
        ({"clientInfo": None}, {}, False),
        ({"_meta": {"another": 1}}, {}, False),
        ({"capabilities": {"elicitation": {}}}, {"capabilities": {}}, False),
        ({"protocolVersion": "2025-06-18"}, {"protocolVersion": "2025-11-25"}, False),
    ],
)
def test_answer_depends_on_the_protocol_and_not_on_the_client(
    one: Mapping[str, Any], other: Mapping[str, Any], is_same: bool
) -> None:
    about = [Session().take({"id": 1, "method": "initialize", "params": params}) for params in (one, other)]
    assert (about[0] == about[1]) == is_same
