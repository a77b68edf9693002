"""What the sandbox adds to the API: a till, scripted faults, jobs, and pictures under their own URL."""

import socket
import sys
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from tests.support.sandbox import Sandbox, contract

from blockrun_image import Catalog
from blockrun_image_sandbox.server import running_sandbox

HEADERS = {"Authorization": "Bearer brk_test"}
FOX = {"model": "nano-banana", "prompt": "A fox"}


def post(sandbox: Sandbox, body: Any = None, prefix: str = "/v1") -> httpx2.Response:
    return httpx2.post(f"{sandbox.origin}{prefix}/images/generations", json=body or FOX, headers=HEADERS)


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_a_call_is_settled_once_at_its_price(sandbox: Sandbox, prefix: str) -> None:
    answer = post(sandbox, prefix=prefix)
    assert answer.headers["x-blockrun-cost-usd"] == "0.053"
    assert answer.json()["price"] == {"amount": "0.053", "currency": "USD"}
    assert (sandbox.posts, sandbox.charges, sandbox.charged_micro_usd) == (1, 1, 53_000)
    assert sandbox.last_settlement["model"] == "nano-banana"


def test_scripted_faults_apply_once_in_order(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 503, "headers": {"X-Why": "test"}}, {"status": 200, "body": {"data": []}}])
    first, second, third = post(sandbox), post(sandbox), post(sandbox)
    assert (first.status_code, first.headers["x-why"]) == (503, "test")
    assert second.json() == {"data": []}
    assert len(third.json()["data"]) == 1
    assert sandbox.charges == 2


@pytest.mark.parametrize(("cut", "charges"), [("before", 0), ("during", 1), ("after", 1)])
def test_a_connection_can_be_cut_before_during_and_after_the_work(sandbox: Sandbox, cut: str, charges: int) -> None:
    sandbox.script([{"cut": cut}])
    with pytest.raises(httpx2.RemoteProtocolError):
        post(sandbox)
    assert sandbox.charges == charges


def test_slow_call_becomes_a_job_settled_when_collected(sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True}])
    accepted = post(sandbox)
    assert accepted.status_code == 202
    assert sandbox.charges == 0
    poll_url = sandbox.origin + accepted.json()["poll_url"]
    assert httpx2.get(poll_url).json()["status"] == "in_progress"
    assert httpx2.get(poll_url).json()["data"] == httpx2.get(poll_url).json()["data"]
    assert sandbox.charges == 1


@pytest.mark.parametrize(
    "faults", ["{}", "[1]", '[{"status": 99}]', '[{"unknown": 1}]', '[{"cut": "later"}]', "no json"]
)
def test_invalid_fault_script_is_refused(sandbox: Sandbox, faults: str) -> None:
    answer = httpx2.post(f"{sandbox.origin}/sandbox/faults", content=faults)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_faults"


def test_malformed_request_is_refused_and_not_charged(sandbox: Sandbox) -> None:
    url = f"{sandbox.origin}/v1/images/generations"
    for content in (b"", b"null", b"[]", b"\xff", b'{"model": 3}', b"x" * (2**20 + 1)):
        assert httpx2.post(url, content=content, headers=HEADERS).status_code == 400
    assert sandbox.charges == 0


def test_missing_picture_or_job_is_not_found(sandbox: Sandbox) -> None:
    assert sandbox.get(f"{sandbox.origin}/images/none.png").status_code == 404
    assert sandbox.get(f"{sandbox.origin}/v1/images/generations/none").status_code == 404


def test_same_request_returns_the_same_picture_and_url(sandbox: Sandbox) -> None:
    first, second = (post(sandbox).json()["data"][0]["url"] for _ in range(2))
    assert first == second
    assert sandbox.get(first).content == sandbox.get(second).content


def test_client_disconnecting_mid_request_does_not_affect_others(sandbox: Sandbox) -> None:
    host, port = sandbox.origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        head = "POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer brk_1\r\n"
        client.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    assert post(sandbox).status_code == 200
    assert sandbox.charges == 1


@pytest.mark.parametrize("fault", [{"status": 204}, {"status": 304}, {"status": 200, "body": "[" * 100}])
def test_scripted_answer_may_have_any_status_and_body(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.script([fault])
    assert post(sandbox).status_code == fault["status"]


@pytest.mark.parametrize("headers", [{"a b": "c"}, {"a": "b\r\nc: d"}, {"a": "\u2603"}])
def test_invalid_scripted_header_is_refused(sandbox: Sandbox, headers: dict[str, str]) -> None:
    answer = httpx2.post(f"{sandbox.origin}/sandbox/faults", json=[{"headers": headers}])
    assert answer.status_code == 400
    assert "pydantic" not in answer.text


def models(sandbox: Sandbox, prefix: str = "/v1", **headers: str) -> httpx2.Response:
    return httpx2.get(f"{sandbox.origin}{prefix}/models", headers={**HEADERS, **headers})


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_models_are_listed_in_the_live_gateway_format(sandbox: Sandbox, catalog: Catalog, prefix: str) -> None:
    answer = models(sandbox, prefix)
    entries = {entry["id"]: entry for entry in answer.json()["data"]}
    assert (answer.status_code, answer.json()["object"], list(entries)) == (200, "list", list(catalog.models))
    assert entries["nano-banana"] == {
        "id": "nano-banana",
        "object": "model",
        "owned_by": "Google",
        "categories": ["image"],
        "pricePerImage": 0.05,
        "supportedSizes": ["1024x1024"],
        "maxPromptLength": 32_768,
    }
    assert entries["dall-e-3"]["supportedQualities"] == ["standard", "hd"]


def test_unchanged_list_is_not_sent_again(sandbox: Sandbox) -> None:
    etag = models(sandbox).headers["etag"]
    same = models(sandbox, **{"If-None-Match": etag})
    sandbox.change_models({"remove": "dall-e-2"})
    changed = models(sandbox, **{"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert (changed.status_code, changed.headers["etag"] != etag) == (200, True)
    assert (sandbox.lists, sandbox.unchanged_lists, sandbox.posts) == (3, 1, 0)


def test_model_list_needs_a_key_or_the_wallet_path(sandbox: Sandbox) -> None:
    assert httpx2.get(f"{sandbox.origin}/v1/models").status_code == 401
    assert httpx2.get(f"{sandbox.origin}/api/v1/models").status_code == 200


def test_list_changes_decide_which_models_can_be_requested(sandbox: Sandbox) -> None:
    painter = {"id": "acme/painter", "categories": ["image"], "pricePerImage": 0.2}
    sandbox.change_models(
        {"add": painter},
        {"add": 7},
        {"add": {"id": "acme/talk", "categories": ["chat"]}},
        {"remove": "dall-e-2"},
        {"of": "dall-e-3", "set": {"id": "openai/dall-e-3"}},
        {"of": "nano-banana", "set": {"pricePerImage": 0.5, "supportedSizes": None}},
        {"of": "nano-banana-pro", "set": {"available": False}},
    )
    listed = models(sandbox).json()["data"]
    assert [entry["id"] for entry in listed if isinstance(entry, dict)][2:] == [
        "nano-banana-pro",
        "acme/painter",
        "acme/talk",
    ]
    assert (7 in listed, painter in listed, "supportedSizes" in listed[1]) == (True, True, False)
    for gone in ("dall-e-2", "dall-e-3", "nano-banana-pro", "acme/talk"):
        refused = post(sandbox, {"model": gone, "prompt": "A fox"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "model_not_found")
    for there in ("openai/dall-e-3", "nano-banana", "acme/painter"):
        assert post(sandbox, {"model": there, "prompt": "A fox"}).status_code == 200
    charged = [(settlement["model"], settlement["micro_usd"]) for settlement in sandbox.settlements]
    assert charged == [("openai/dall-e-3", 42_000), ("nano-banana", 525_000), ("acme/painter", 210_000)]
    sandbox.change_models({"reset": True})
    assert post(sandbox, {"model": "dall-e-2", "prompt": "A fox"}).status_code == 200


@pytest.mark.parametrize(
    "changes",
    ["{}", "[7]", "no json", "[{}]", '[{"add": 1, "remove": "a"}]', '[{"set": {}}]', '[{"of": "a"}]', '[{"put": 1}]'],
)
def test_invalid_list_change_changes_nothing(sandbox: Sandbox, changes: str) -> None:
    before = models(sandbox).json()
    answer = httpx2.post(f"{sandbox.origin}/sandbox/models", content=changes)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_changes")
    assert "pydantic" not in answer.text
    assert models(sandbox).json() == before


def test_list_faults_and_picture_faults_are_separate(sandbox: Sandbox) -> None:
    sandbox.script([{"on": "models", "status": 503}, {"status": 500}])
    assert (post(sandbox).status_code, models(sandbox).status_code) == (500, 503)
    sandbox.script([{"on": "models", "cut": "before"}, {"on": "models", "status": 200, "body": "<html>"}])
    with pytest.raises(httpx2.RemoteProtocolError):
        models(sandbox)
    assert models(sandbox).text == "<html>"
    assert models(sandbox).json()["object"] == "list"


@pytest.mark.anyio
async def test_delayed_call_is_dropped_when_the_sandbox_ends(
    catalog: Catalog, capfd: pytest.CaptureFixture[str]
) -> None:
    async def held(origin: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as http:
            with pytest.raises(httpx2.TransportError):
                await http.post(f"{origin}/v1/images/generations", json=FOX, headers=HEADERS, timeout=30)

    async with (
        anyio.create_task_group() as tasks,
        running_sandbox(catalog) as origin,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        await http.post(f"{origin}/sandbox/faults", json=[{"delay_seconds": 30}])
        tasks.start_soon(held, origin)
        while not (await http.get(f"{origin}/sandbox/settlements")).json()["posts"]:
            await anyio.lowlevel.checkpoint()
    assert capfd.readouterr().err == ""


@pytest.mark.anyio
@pytest.mark.parametrize(("system", "shared"), [("linux", True), ("darwin", True), ("win32", False)])
async def test_port_is_exclusive_on_windows(system: str, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, SO_REUSEADDR lets another program listen on the same port."""
    options: list[int] = []
    real = socket.socket.setsockopt

    def note(listener: socket.socket, level: int, option: int, value: int) -> None:
        options.append(option)
        real(listener, level, option, value)

    monkeypatch.setattr(socket.socket, "setsockopt", note)
    monkeypatch.setattr(sys, "platform", system)
    async with running_sandbox(contract()):
        pass
    assert (socket.SO_REUSEADDR in options) is shared
