import gzip
import urllib.request
import zlib
from threading import Event
from typing import Any

import anyio
import brotli as _brotli  # pyright: ignore[reportMissingTypeStubs]
import httpx2
import pytest
from tests.support.pages import text_of
from tests.support.sandbox import Sandbox

from blockrun_image import ConfigurationError
from blockrun_image.errors import StorageError
from blockrun_image_mcp.gateway.fetch import PictureFetcher
from blockrun_image_mcp.gateway.transport import MAX_BYTES, GuardedTransport, RetryingTransport, open_transport, timeout
from blockrun_image_mcp.network import proxy_for
from blockrun_image_mcp.settings import CALL_SECONDS
from blockrun_image_mcp.timings import DEFAULT, Timings

pytestmark = pytest.mark.anyio

brotli: Any = _brotli
BOMB = gzip.compress(b"0" * 10_000, mtime=0)
PRIVATE_KEY = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"


class Network(httpx2.AsyncBaseTransport):
    """Answers everything, and remembers what left."""

    def __init__(self) -> None:
        self.left: list[httpx2.Request] = []
        self.closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.left.append(request)
        return httpx2.Response(200, content=b"ok")

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {PRIVATE_KEY}"},
        {"Authorization": f"Bearer {PRIVATE_KEY[2:].upper()}"},
        {"X-Anything": f"a{PRIVATE_KEY}b"},
        {PRIVATE_KEY: "x"},
        {"Authorization": f"Bearer {'zY9' * 29}"},
        {"X-Anything": "[12, 34, 56]"},
    ],
)
async def test_request_with_a_private_key_in_a_header_is_not_sent(headers: dict[str, str]) -> None:
    network = Network()
    async with httpx2.AsyncClient(transport=GuardedTransport(network)) as client:
        with pytest.raises(ConfigurationError, match="private key") as caught:
            await client.get("https://x.example", headers=headers)
    assert network.left == []
    assert PRIVATE_KEY[2:] not in str(caught.value)


async def test_other_requests_are_sent_and_the_network_is_closed_at_the_end() -> None:
    network = Network()
    transport = RetryingTransport(GuardedTransport(network), Timings())
    async with httpx2.AsyncClient(transport=transport) as client:
        answer = await client.get("https://x.example", headers={"Authorization": "Bearer brk_1"})
    assert answer.text == "ok"
    assert len(network.left) == 1
    assert network.closed


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("https_proxy", "socks4://127.0.0.1:1", "The proxy cannot be used"),
        ("https_proxy", "ftp://127.0.0.1:1", "The proxy cannot be used"),
        ("all_proxy", "socks4a://127.0.0.1:1", "The proxy cannot be used"),
        ("SSL_CERT_FILE", "/none/such", "The trusted certificates cannot be read"),
    ],
)
async def test_unusable_environment_is_named_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, what: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=what) as caught:
        await open_transport("https://x.example", Timings())
    assert variable.upper() in caught.value.hint


@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:1", "127.0.0.1:1", "socks5://127.0.0.1:1", "socks5h://127.0.0.1:1"]
)
async def test_common_kinds_of_proxy_are_supported(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    await (await open_transport("https://x.example", Timings())).aclose()


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("pictures.example", "https://pictures.example"),
        (".pictures.example", "https://eu.pictures.example"),
        ("pictures.example:8443", "https://pictures.example:8443"),
        ("*.pictures.example", "https://eu.pictures.example"),
        ("10.0.0.0/8", "https://10.1.2.3"),
        ("192.0.2.7", "https://192.0.2.7:8443"),
        ("2001:db8::/32", "https://[2001:db8::1]"),
        ("a.example, 10.0.0.0/8", "https://10.1.2.3"),
        ("*", "https://pictures.example"),
        ("", "http://127.0.0.1:8080"),
    ],
)
def test_no_proxy_setting_excludes_its_hosts(monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str) -> None:
    for name, value in (("all_proxy", "http://proxy.example:3128"), ("no_proxy", no_proxy)):
        monkeypatch.setenv(name, value)
    assert proxy_for(httpx2.URL(url)) is None
    assert proxy_for(httpx2.URL("https://other.example")) == (None if no_proxy == "*" else "http://proxy.example:3128")


async def test_stalled_proxy_lookup_does_not_block_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows it asks a name server for each host that the system's settings may leave out."""
    has_ticked = Event()

    def stalling(_host: str) -> bool:
        assert has_ticked.wait(20)
        return False

    monkeypatch.setattr(urllib.request, "proxy_bypass", stalling)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_transport, "https://x.example", Timings())
        await anyio.sleep(0.05)
        has_ticked.set()


async def test_stalled_proxy_lookup_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    has_ended = Event()
    monkeypatch.setattr(urllib.request, "proxy_bypass", lambda _host: has_ended.wait(20))  # pyright: ignore[reportUnknownArgumentType, reportUnknownLambdaType]
    with anyio.move_on_after(0.05) as scope:
        await open_transport("https://x.example", Timings())
    has_ended.set()
    assert scope.cancelled_caught


async def test_localhost_needs_no_proxy_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> dict[str, str]:
        raise AssertionError

    monkeypatch.setattr(urllib.request, "getproxies", refuse)
    await (await open_transport("http://127.0.0.1:9/v1", Timings())).aclose()


async def test_environment_certificates_apply_to_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/none/such")
    with pytest.raises(StorageError, match="the trusted certificates cannot be read"):
        await PictureFetcher(None).fetch("https://x.example/1.png")


def test_proxy_for_a_scheme_takes_precedence_over_all_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "http://all.example:1")
    monkeypatch.setenv("https_proxy", "http://https.example:1")
    assert proxy_for(httpx2.URL("https://pictures.example")) == "http://https.example:1"
    assert proxy_for(httpx2.URL("http://pictures.example")) == "http://all.example:1"


def test_call_timings_match_the_readme_and_stay_below_host_timeouts() -> None:
    assert "a request that was sent gets ten seconds" in text_of("command-line.md")
    assert (DEFAULT.answer_seconds, DEFAULT.drain_seconds) == (300, 10)
    assert DEFAULT.max_retry_wait_seconds < float(CALL_SECONDS)


async def test_guard_is_part_of_the_transport(sandbox: Sandbox) -> None:
    async with httpx2.AsyncClient(transport=await open_transport(sandbox.origin, Timings())) as client:
        with pytest.raises(ConfigurationError, match="private key"):
            await client.post(f"{sandbox.base_url}/images/generations", headers={"Authorization": PRIVATE_KEY})
    assert sandbox.posts == 0


def test_each_phase_of_a_request_has_its_own_limit() -> None:
    limits = timeout(Timings(connect_seconds=1, write_seconds=2, answer_seconds=3))
    assert (limits.connect, limits.write, limits.read, limits.pool) == (1, 2, 3, 1)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:{port}", "127.0.0.1:{port}"])
async def test_environment_proxy_is_used_but_not_for_localhost(
    monkeypatch: pytest.MonkeyPatch, unused_port: int, sandbox_origin: str, proxy: str
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy.format(port=unused_port))
    monkeypatch.delenv("no_proxy", raising=False)
    async with httpx2.AsyncClient(transport=await open_transport("https://x.example", Timings())) as client:
        with pytest.raises(httpx2.ProxyError):
            await client.get("https://x.example")
    async with httpx2.AsyncClient(transport=await open_transport(sandbox_origin, Timings())) as client:
        assert (await client.get(f"{sandbox_origin}/sandbox/settlements")).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "packed", "read"),
    [
        ("gzip", gzip.compress(b"picture", mtime=0), b"picture"),
        ("deflate", zlib.compress(b"picture"), b"picture"),
        ("GZIP", gzip.compress(b"picture", mtime=0) + b"more", b"picture"),
        ("gzip", b"plain", b"plain"),
        ("br", b"plain", b"plain"),
        ("br", brotli.compress(b"picture"), b"picture"),
        ("br", brotli.compress(b"0" * 10_000), brotli.compress(b"0" * 10_000)),
        ("br", brotli.compress(b'{"a": 1}')[:-1], b'{"a": 1}'),
        ("deflate", zlib.compress(b"picture")[2:-4], b"picture"),
        ("gzip, br", brotli.compress(gzip.compress(b"picture", mtime=0)), b"picture"),
        ("gzip", gzip.compress(b"pic", mtime=0) + gzip.compress(b"ture", mtime=0), b"picture"),
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)[:-8], b'{"a": 1}'),
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)[:-8] + bytes(8), b'{"a": 1}'),
        ("", gzip.compress(b"picture", mtime=0), b"picture"),
        ("zstd", b"packed", b"packed"),
        ("identity", b"plain", b"plain"),
        ("gzip", BOMB, BOMB),
    ],
)
async def test_compressed_answer_is_decompressed_within_bounds(encoding: str, packed: bytes, read: bytes) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-encoding": encoding}, stream=httpx2.ByteStream(packed))

    transport = RetryingTransport(httpx2.MockTransport(answer), DEFAULT)
    async with httpx2.AsyncClient(transport=transport) as client:
        assert (await client.get("https://x.example", extensions={MAX_BYTES: 1_000})).content == read
