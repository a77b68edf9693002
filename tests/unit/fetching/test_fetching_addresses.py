"""Fetching pictures: private networks are not reached, however a URL, a redirect or a name server leads there."""

import socket
from collections.abc import Sequence

import pytest
from tests.support.internet import PUBLIC, Internet
from tests.support.picture_servers import PNG, Certificates, ok, picture_server, redirect

from blockrun_image.errors import StorageError
from blockrun_image_mcp.gateway import fetch
from blockrun_image_mcp.gateway.addresses import is_public_address, is_public_host
from blockrun_image_mcp.gateway.fetch import PictureFetcher

pytestmark = pytest.mark.anyio

PRIVATE_ADDRESSES = [
    *(
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
    ),
    *("192.168.0.1", "192.168.255.255", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.255"),
    *(
        "100.100.100.200",
        "192.0.0.1",
        "192.0.0.9",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
    ),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fe80::1%2", "febf::1", "fec0::1", "fc00::1", "fdff::1", "fd00:ec2::254"),
    *(
        "ff02::1",
        "ff0e::1",
        "100::1",
        "2001:db8::1",
        "2001:2::1",
        "2001:10::1",
        "3fff::1",
        "5f00::1",
        "4000::1",
        "e000::1",
    ),
    # embedded IPv4
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::c0a8:1", "64:ff9b:1::1", "64:ff9b:1::808:808"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1", "2001:0:7f00:1::", "2001:0:808:808::f7f7:f7f7"),
]
PUBLIC_ADDRESSES = [
    *("1.1.1.1", "8.8.8.8", PUBLIC, "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "192.0.1.1"),
    *(
        "169.253.255.255",
        "198.17.255.255",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "2a00:1450::1",
    ),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]
PRIVATE_HOSTS = [
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "printer", "printer.local", "a.b.local.", "metadata"),
    *("metadata.google.internal", "router.lan", "nas.home", "nas.home.arpa", "wiki.corp", "wiki.intranet", "x.private"),
    *("localhost.localdomain", "", ".", "..", "a..example", ".example", "a example.com", "localhost%00.example"),
    *("%31%32%37.0.0.1", "[::1]", "::1", "::ffff:127.0.0.1", "fe80::1%25eth0", "127.0.0.1", "127.0.0.1.", "10.1.2.3"),
    # one number, and other spellings that the C library takes
    *("2130706433", "017700000001", "0x7f000001", "0X7F000001", "0x", "127.1", "127.0.1", "0", "0.0.0.0", "1.2.3.4.5"),
    *("0177.0.0.1", "0x7f.0.0.1", "127.0.0.0x1", "0x7f.1", "127.0x1", "0300.0250.1", "00000127.0.0.1", "3232235521"),
    *("8.8.2056", "0x08080808", "010.8.8.8", "8.8.8.8.8", "foo.1", "foo.0x1f", "256.256.256.256"),
]
PUBLIC_HOSTS = [
    *(
        "pictures.example",
        "PICTURES.EXAMPLE",
        "pictures.example.",
        "a.b-c.example",
        "x_y.example",
        "xn--bcher-kva.example",
    ),
    *(
        "8.8.8.8",
        "2606:4700::1111",
        "local.example",
        "localhost.example",
        "internal.example",
        "1.example",
        "a.xn--p1ai",
    ),
    *("127.0.0.1.example", "0x7f.example", "home-arpa.example", "a.notlocal"),
]
LOOPBACK = [
    *(
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
    ),
    *("127.0.0.0x1", "0", "0.0.0.0", "localhost", "LocalHost", "localhost.", "[::1]", "[::]", "[::ffff:127.0.0.1]"),
    *(
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "127\u30020\u30020\u30021",
        "\uff11\uff12\uff17.0.0.1",
        "%31%32%37.0.0.1",
    ),
    *("\u2460\u2461\u2466.0.0.1", "127.0.0.1%00.example", "loc\u00adalhost"),
]
SPELLINGS = [
    *(*LOOPBACK, "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]", "169.254.169.254", "10.1"),
    *("fox@127.0.0.1", "pictures.example@127.0.0.1", "pictures.example\\@127.0.0.1", "pictures.example:443@127.0.0.1"),
]


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_address_is_not_public(address: str) -> None:
    assert not is_public_address(address)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_address_is_public(address: str) -> None:
    assert is_public_address(address)


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_host_is_not_public(host: str) -> None:
    assert not is_public_host(host)


@pytest.mark.parametrize("host", PUBLIC_HOSTS)
def test_host_is_public(host: str) -> None:
    assert is_public_host(host)


@pytest.mark.parametrize("text", ["", "pictures.example", "/run/socket", "127.1", "8.8.8.8:80"])
def test_text_that_is_no_address_is_not_public(text: str) -> None:
    assert not is_public_address(text)


# a peer is checked before anything is sent to it


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
async def test_nothing_is_sent_to_a_private_peer(address: str, internet: Internet) -> None:
    internet.peers = [address]
    async with picture_server(ok()) as server:
        with pytest.raises(StorageError, match=r"pictures\.example is not on the public internet"):
            await PictureFetcher(None).fetch(server.of("pictures.example"))
        assert await server.received() == [b""]


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
async def test_picture_of_a_public_peer_is_fetched(
    address: str, internet: Internet, certificates: Certificates
) -> None:
    internet.peers = [address]
    async with picture_server(ok(), certificates.server) as server:
        assert await PictureFetcher(None).fetch(server.of("pictures.example")) == PNG


@pytest.mark.parametrize("host", LOOPBACK)
async def test_peer_is_checked_however_its_address_is_spelled(
    host: str, internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of these do reach loopback, once the check of the host is taken away."""
    internet.peers = []
    monkeypatch.setattr(fetch, "is_public_host", lambda host: True)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    async with picture_server(ok()) as server:
        with pytest.raises(StorageError):
            await PictureFetcher(server.origin).fetch(server.of(host))
        assert not any(await server.received())


@pytest.mark.parametrize("host", SPELLINGS)
async def test_redirect_to_a_private_host_is_not_followed(host: str, internet: Internet) -> None:
    internet.peers = []
    async with picture_server(ok()) as private, picture_server(redirect(private.of(host))) as server:
        with pytest.raises(StorageError):
            await PictureFetcher(server.origin).fetch(f"{server.origin}/1.png")
        assert await private.received() == []
        assert len(await server.received()) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_other_port_of_the_own_host_is_not_reached(host: str, scheme: str) -> None:
    async with picture_server(ok()) as private, picture_server(ok()) as own:
        with pytest.raises(StorageError):
            await PictureFetcher(own.origin).fetch(f"{scheme}://{host}:{private.port}/1.png")
        assert await private.received() == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "127.0.0.1.", "2130706433", "[::ffff:127.0.0.1]"])
async def test_own_origin_counts_in_its_own_spelling_only(host: str) -> None:
    async with picture_server(ok()) as own:
        with pytest.raises(StorageError, match="only https URLs"):
            await PictureFetcher(own.origin).fetch(f"http://{host}:{own.port}/1.png")
        assert await own.received() == []


@pytest.mark.parametrize(
    "own_origin", ["https://127.0.0.1:{port}", "http://127.0.0.1", "http://pictures.example:{port}", None]
)
async def test_origin_differs_by_scheme_host_and_port(own_origin: str | None) -> None:
    async with picture_server(ok()) as server:
        fetcher = PictureFetcher(own_origin and own_origin.format(port=server.port))
        with pytest.raises(StorageError, match="only https URLs"):
            await fetcher.fetch(f"{server.origin}/1.png")
        assert await server.received() == []


async def test_own_origin_may_be_a_private_name(internet: Internet, certificates: Certificates) -> None:
    internet.peers = ["10.0.0.1"]
    async with picture_server(ok(), certificates.server) as server:
        own = server.of("pictures.example", "")
        assert await PictureFetcher(own).fetch(f"{own}/1.png") == PNG
        with pytest.raises(StorageError, match="not on the public internet"):
            await PictureFetcher(own).fetch(server.of("cdn.example"))


# name servers


async def test_name_may_lead_to_a_private_address_after_a_public_one(internet: Internet) -> None:
    """Whoever looks a name up, checks the answer, and looks it up again to connect, is led astray."""
    internet.answers, internet.peers = [[PUBLIC], ["127.0.0.1"]], []
    async with picture_server(ok()) as server:
        assert socket.getaddrinfo("pictures.example", server.port)[0][4][0] == PUBLIC
        with pytest.raises(StorageError, match="not on the public internet"):
            await PictureFetcher(None).fetch(server.of("pictures.example"))
        assert await server.received() == [b""]


async def test_name_is_looked_up_once_for_a_connection(internet: Internet, certificates: Certificates) -> None:
    async with picture_server(ok(), certificates.server) as server:
        await PictureFetcher(None).fetch(server.of("pictures.example"))
    assert internet.asked == ["pictures.example"]


async def test_peer_of_each_redirect_is_checked(internet: Internet, certificates: Certificates) -> None:
    """The same name, now elsewhere."""
    internet.peers = [PUBLIC, PUBLIC, "10.0.0.1"]
    answers = {"/1.png": redirect("/2.png"), "/2.png": redirect("/3.png"), "/3.png": ok()}
    async with picture_server(answers, certificates.server) as server:
        with pytest.raises(StorageError, match="not on the public internet"):
            await PictureFetcher(None).fetch(server.of("pictures.example"))
        assert await server.targets() == ["/1.png", "/2.png"]
        assert len(await server.received()) == 3


@pytest.mark.parametrize("answer", [["127.0.0.3", "127.0.0.1"], ["127.0.0.1", "127.0.0.1"]])
async def test_any_address_of_a_name_may_be_the_private_one(answer: Sequence[str], internet: Internet) -> None:
    internet.answers, internet.peers = [answer], []
    async with picture_server(ok()) as server:
        with pytest.raises(StorageError, match="not on the public internet"):
            await PictureFetcher(None).fetch(server.of("pictures.example"))
        assert not any(await server.received())


async def test_peer_that_has_gone_before_it_is_checked_gets_nothing(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_stream: object) -> str:
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(fetch, "peer_of", fail)
    async with picture_server(ok()) as server:
        with pytest.raises(StorageError, match="OSError"):
            await PictureFetcher(None).fetch(server.of("pictures.example"))
        assert await server.received() == [b""]


async def test_connection_that_is_not_reported_is_not_used() -> None:
    """A later version of the HTTP library may name its events differently."""
    connection = fetch._Connection("pictures.example", may_be_private=False)  # pyright: ignore[reportPrivateUsage]
    await connection.on_trace("connection.connect_tcp.started", {})
    for event in ("connection.start_tls.started", "http11.send_request_headers.started"):
        with pytest.raises(Exception, match="could not be checked"):
            await connection.on_trace(event, {})


# URLs


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "/1.png", "//pictures.example/1.png", "pictures.example/1.png", "https:", "https:/", "https://"),
        *(
            "https:///1.png",
            "https:1.png",
            "https:/pictures.example",
            "http://pictures.example",
            "HTTP://pictures.example",
        ),
        *(
            "file:///etc/passwd",
            "file://pictures.example/1.png",
            "FILE:/etc/passwd",
            "data:image/png;base64,iVBORw0KGgo=",
        ),
        *(
            "ftp://pictures.example/1.png",
            "gopher://127.0.0.1:6379/_x",
            "javascript:alert(1)",
            "blob:https://x.example/1",
        ),
        *(
            "ws://pictures.example",
            "wss://pictures.example",
            "unix:/run/docker.sock",
            "http+unix://%2Frun%2Fx/",
            "view-source:",
        ),
        *("https://pictures.example:99999/", "https://pictures.example:-1/", "https://pictures.example:abc/"),
        *(
            "https://[::1",
            "https://[::1]x/",
            "https://[::g]/",
            "https://[]/",
            "https://a b.example/",
            "https://\x00.example/",
        ),
        *("https://pictures.example/\r\nHost: x", "https://pictures.example/\x00", "\nhttps://pictures.example/1.png"),
        *(
            "https://fox@pictures.example/",
            "https://:secret@pictures.example/",
            "https://fox:secret@8.8.8.8/",
            "https://@@a.example",
        ),
        *(
            "https://\ud800.example/",
            "https://xn--\u2603.example/",
            "https://" + "a" * 64 + ".example/",
            "https://-.example/",
        ),
        *("https://" + "a." * 200 + "example/", "https://pictures.example/" + "x" * 70_000, "https://..example/"),
    ],
    ids=lambda url: ascii(url)[:40],
)
async def test_url_that_is_not_fetched_is_refused(url: str, internet: Internet) -> None:
    internet.peers = []
    with pytest.raises(StorageError) as caught:
        await PictureFetcher(None).fetch(url)
    assert caught.value.message.isprintable()
    assert "secret" not in caught.value.to_text()
