"""Fetching pictures through a proxy, which looks up names and connects in place of this program."""

import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from tests.support.internet import Internet
from tests.support.picture_servers import PNG, Certificates, ok, picture_server, redirect, stall

from blockrun_image.errors import StorageError
from blockrun_image_mcp.gateway.fetch import PictureFetcher
from blockrun_image_mcp.network import user_agent
from blockrun_image_mcp.timings import Timings

pytestmark = pytest.mark.anyio

NEVER_ASKED = [
    *("127.0.0.1", "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "10.0.0.1", "192.168.1.1"),
    *(
        "169.254.169.254",
        "100.100.100.200",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[64:ff9b::a00:1]",
    ),
    *("localhost", "localhost.", "a.localhost", "metadata", "metadata.google.internal", "printer.local", "nas.lan"),
    *("wiki.corp", "router.home.arpa", "127\u30020\u30020\u30021", "%6c%6f%63alhost", "localhost%00.example"),
]
REFUSED = "not on the public internet|is not valid"


@dataclass
class Proxy:
    """A proxy on loopback that connects to one port there, whatever it is asked for."""

    port: int
    target: int
    refusal: bytes = b""
    requests: list[bytes] = field(default_factory=list[bytes])
    has_ended: anyio.Event = field(default_factory=anyio.Event)

    async def serve_connect(self, client: SocketStream) -> None:
        """Serve one client that asks with CONNECT."""
        async with client:
            request = await client.receive()
            self.requests.append(request)
            if self.refusal:
                await client.send(self.refusal)
            else:
                await self._relay(client, b"HTTP/1.1 200 -\r\n\r\n")
        self.has_ended.set()

    async def serve_socks(self, client: SocketStream) -> None:
        """Serve one client that asks with SOCKS5 (RFC 1928)."""
        async with client:
            await client.receive()
            await client.send(b"\x05\x00")
            self.requests.append(await client.receive())
            await self._relay(client, b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")

    async def _relay(self, client: ByteStream, reply: bytes) -> None:
        async with await anyio.connect_tcp("127.0.0.1", self.target) as server, anyio.create_task_group() as tasks:
            await client.send(reply)
            tasks.start_soon(_copy, client, server)
            await _copy(server, client)
            tasks.cancel_scope.cancel()


async def _copy(source: ByteStream, target: ByteStream) -> None:
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for part in source:
            await target.send(part)
    await target.aclose()


@asynccontextmanager
async def running_proxy(target: int, refusal: bytes = b"", *, is_socks: bool = False) -> AsyncGenerator[Proxy]:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        proxy = Proxy(listener.extra(SocketAttribute.local_port), target, refusal)
        tasks.start_soon(listener.serve, proxy.serve_socks if is_socks else proxy.serve_connect)
        yield proxy
        tasks.cancel_scope.cancel()


def headers(request: bytes) -> Sequence[str]:
    return sorted(request.decode().split("\r\n")[1:-2])


async def test_public_picture_is_fetched_through_the_proxy(
    internet: Internet, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy itself is in a private network, and no name is looked up here."""
    internet.peers = []
    async with picture_server(ok(), certificates.server) as server, running_proxy(server.port) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        assert await PictureFetcher(None).fetch("https://pictures.example/1.png?signature=secret") == PNG
        (request,) = await server.received()
    (connect,) = proxy.requests
    assert connect.startswith(b"CONNECT pictures.example:443 HTTP/1.1\r\n")
    assert b"secret" not in connect
    assert headers(request) == [
        "Accept-Encoding: identity",
        "Accept: */*",
        "Host: pictures.example",
        f"User-Agent: {user_agent()}",
    ]
    assert internet.asked == []


async def test_credentials_of_the_proxy_go_to_the_proxy_only(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with picture_server(ok(), certificates.server) as server, running_proxy(server.port) as proxy:
        monkeypatch.setenv("https_proxy", f"http://fox:secret@127.0.0.1:{proxy.port}")
        await PictureFetcher(None).fetch("https://pictures.example/1.png")
        (request,) = await server.received()
    assert base64.b64encode(b"fox:secret") in proxy.requests[0]
    assert b"uthorization" not in request


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_picture_is_fetched_through_a_socks_proxy(
    scheme: str, internet: Internet, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    internet.peers = []
    async with picture_server(ok(), certificates.server) as server, running_proxy(server.port, is_socks=True) as proxy:
        monkeypatch.setenv("all_proxy", f"{scheme}://127.0.0.1:{proxy.port}")
        assert await PictureFetcher(None).fetch("https://pictures.example/1.png") == PNG
    assert b"pictures.example" in proxy.requests[0]


@pytest.mark.parametrize("host", NEVER_ASKED)
async def test_proxy_is_not_asked_for_a_private_host(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with picture_server(ok()) as server, running_proxy(server.port) as proxy:
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(StorageError, match=REFUSED):
            await PictureFetcher(None).fetch(f"https://{host}:{server.port}/1.png")
        assert await server.received() == []
    assert proxy.requests == []


@pytest.mark.parametrize("host", NEVER_ASKED)
async def test_proxy_is_not_asked_for_a_private_host_after_a_redirect(
    host: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    leading = redirect(f"https://{host}/2.png")
    async with picture_server(leading, certificates.server) as server, running_proxy(server.port) as proxy:
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(StorageError, match=REFUSED):
            await PictureFetcher(None).fetch("https://pictures.example/1.png")
    assert len(proxy.requests) == 1


async def test_host_that_is_not_proxied_is_checked_by_its_peer(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    internet.peers = ["10.0.0.1"]
    async with picture_server(ok()) as server, running_proxy(server.port) as proxy:
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "pictures.example")
        with pytest.raises(StorageError, match="not on the public internet"):
            await PictureFetcher(None).fetch(server.of("pictures.example"))
        assert await server.received() == [b""]
    assert proxy.requests == []


async def test_own_origin_on_this_machine_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with picture_server(ok()) as server, running_proxy(server.port) as proxy:
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy.port}")
        assert await PictureFetcher(server.origin).fetch(f"{server.origin}/1.png") == PNG
    assert proxy.requests == []


async def test_own_origin_in_a_private_network_may_be_proxied(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with picture_server(ok(), certificates.server) as server, running_proxy(server.port) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        assert await PictureFetcher("https://gateway.corp").fetch("https://gateway.corp/1.png") == PNG
    assert proxy.requests[0].startswith(b"CONNECT gateway.corp:443 ")


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "ProxyError: 407 Proxy Authentication Required"),
        (b"HTTP/1.1 502 \x1b[31mBad\r\n\r\n", "could not be fetched"),
        (b"HTTP/1.1 302 -\r\nLocation: https://pictures.example/2.png\r\n\r\n", "ProxyError: 302"),
        (b"HTTP/1.1 200 -\r\n\r\n" + ok(), "ConnectError"),
        (b"garbage\r\n\r\n", "RemoteProtocolError"),
    ],
    ids=["407", "502", "302", "plain", "garbage"],
)
async def test_refusal_of_the_proxy_is_reported(refusal: bytes, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with picture_server(ok()) as server, running_proxy(server.port, refusal) as proxy:
        monkeypatch.setenv("all_proxy", f"http://fox:secret@127.0.0.1:{proxy.port}")
        with pytest.raises(StorageError) as caught:
            await PictureFetcher(None).fetch("https://pictures.example/1.png")
        assert await server.received() == []
    assert words in caught.value.message
    assert caught.value.message.isprintable()
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("proxy", ["ftp://127.0.0.1:1", "socks4://127.0.0.1:1", "http://[::1", "http://127.0.0.1:x"])
async def test_unusable_proxy_is_named(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(StorageError, match="the proxy cannot be used"):
        await PictureFetcher(None).fetch("https://pictures.example/1.png")


async def test_time_and_cancellation_hold_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with picture_server(stall) as server, running_proxy(server.port) as proxy:
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(StorageError, match="did not send it in time"):
            await PictureFetcher(None, Timings(download_seconds=0.1)).fetch("https://pictures.example/1.png")
        with anyio.fail_after(20):
            await proxy.has_ended.wait()
