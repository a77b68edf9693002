"""One line from a client: what is read of it, and in which words it is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockrun_image_mcp.mcp_server.frames import ErrorReply, read_frame

REQUEST = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}


def line(**changes: Any) -> bytes:
    return json.dumps({**REQUEST, **changes}).encode()


@pytest.mark.parametrize("id", [7, -5, 0, "7", "", "é", 10**30])
def test_request_is_read_with_its_id(id: object) -> None:
    assert read_frame(line(id=id)) == {**REQUEST, "id": id}


@pytest.mark.parametrize("text", [b"", b"  ", b"\r", b"\t\r"])
def test_blank_line_needs_no_answer(text: bytes) -> None:
    assert read_frame(text) is None


def test_id_stays_as_sent_while_the_rest_is_repaired() -> None:
    frame = read_frame(rb'{"jsonrpc":"2.0","id":"fox \ud83e","method":"x","params":{"prompt":"\ud83e"}}')
    assert frame == {"jsonrpc": "2.0", "id": "fox \ud83e", "method": "x", "params": {"prompt": "\ufffd"}}


def test_line_in_another_encoding_is_refused() -> None:
    assert isinstance(read_frame(line().decode().encode("utf-16-le")), ErrorReply)


def test_null_params_are_dropped() -> None:
    assert read_frame(line(params=None)) == REQUEST


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (rb'{"jsonrpc":"2.0","id":7,"method":"x","params":{"prompt":"fox \ud83e"}}', "fox \ufffd"),
        (rb'{"jsonrpc":"2.0","id":7,"method":"x","params":{"prompt":"\udd8a\ud83e\udd8a"}}', "\ufffd\N{FOX FACE}"),
        (b'{"jsonrpc":"2.0","id":7,"method":"x","params":{"prompt":"caf\xe9"}}', "caf\ufffd"),
        (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":7,"method":"x","params":{"prompt":"fox"}}', "fox"),
    ],
)
def test_invalid_utf_8_text_is_repaired(text: bytes, mended: str) -> None:
    frame = read_frame(text)
    assert isinstance(frame, dict)
    assert frame["params"] == {"prompt": mended}


@pytest.mark.parametrize(
    ("text", "code", "id"),
    [
        (b"hello", -32700, None),
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/list"', -32700, None),
        (b"[" * 100_000, -32700, None),
        (b'{"a":' * 100_000, -32700, None),
        (b'{"jsonrpc":"2.0","id":7,"method":"x","params":' + b'{"a":' * 600 + b"1" + b"}" * 601, -32700, None),
        (b"9" * 5_000, -32700, None),
        (b"7", -32600, None),
        (b"null", -32600, None),
        (b"{}", -32600, None),
        (b"[]", -32600, None),
        (b'[{"jsonrpc":"2.0","id":7,"method":"ping"}]', -32600, None),
        (line(jsonrpc="1.0"), -32600, 7),
        (line(method=7), -32600, 7),
        (line(method=None), -32600, 7),
        (line(id=None), -32600, None),
        (line(id=True), -32600, None),
        (line(id={}), -32600, None),
        (line(id=1.5), -32600, 1.5),
        (line(params=[]), -32602, 7),
        (line(params="text"), -32602, 7),
    ],
)
def test_unreadable_line_is_refused_with_a_message_and_any_readable_id(text: bytes, code: int, id: object) -> None:
    refusal = read_frame(text)
    assert isinstance(refusal, ErrorReply)
    assert (refusal.code, refusal.id) == (code, id)
    answer = json.loads(refusal.to_line())
    assert (answer["id"], answer["error"]["code"]) == (id, code)
    assert answer["error"]["message"]


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 7, "result": {}},
        {"jsonrpc": "2.0", "id": "7", "error": {"code": 1, "message": "no"}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
    ],
)
def test_response_and_notification_are_read(message: dict[str, Any]) -> None:
    assert read_frame(json.dumps(message).encode()) == message


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 7, "result": {}, "error": {"code": 1, "message": "no"}},
        {"jsonrpc": "2.0", "id": 7, "result": []},
        {"jsonrpc": "2.0", "id": 7, "error": "no"},
        {"jsonrpc": "2.0", "id": 7, "error": {"message": "no code"}},
        {"jsonrpc": "2.0", "id": 7, "error": {"code": 1}},
        {"jsonrpc": "2.0", "id": None, "result": {}},
        {"jsonrpc": "2.0", "id": True, "result": {}},
        {"id": 7, "result": {}},
        {"jsonrpc": "2.0", "method": "notifications/initialized", "params": []},
    ],
)
def test_malformed_response_or_notification_is_dropped(message: dict[str, Any]) -> None:
    assert read_frame(json.dumps(message).encode()) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error"])


@given(st.one_of(st.binary(), st.dictionaries(KEYS, JSON | st.just("2.0")).map(lambda m: json.dumps(m).encode())))
@settings(max_examples=300)
def test_any_line_is_a_message_a_refusal_or_ignored(text: bytes) -> None:
    frame = read_frame(text)
    if isinstance(frame, ErrorReply):
        assert json.loads(frame.to_line())["error"]["message"]
    elif frame is not None:
        assert frame["jsonrpc"] == "2.0"
        json.dumps(frame, ensure_ascii=False).encode()
