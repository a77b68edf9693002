"""Fetching pictures: what is sent, which redirects are followed, how long it may last, and what is said of failures."""

from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream
from tests.support.picture_servers import (
    PNG,
    Answer,
    Certificates,
    PictureServer,
    answer,
    ok,
    picture_server,
    redirect,
    stall,
)

from blockrun_image.errors import StorageError
from blockrun_image_mcp.gateway.fetch import PictureFetcher
from blockrun_image_mcp.network import user_agent
from blockrun_image_mcp.timings import Timings

pytestmark = pytest.mark.anyio

HEADED = b"HTTP/1.1 200 -\r\nContent-Length: 1000\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 -\r\n\r\n"


def headers_of(request: bytes) -> dict[str, str]:
    """Return a request's headers; each may occur once."""
    lines = [line.partition(": ") for line in request.decode().split("\r\n")[1:] if line]
    assert len(lines) == len({name.lower() for name, _, _ in lines})
    return {name.lower(): value for name, _, value in lines}


def patient(**limits: float) -> Timings:
    """Return limits that a test does not reach, but for the given ones."""
    return replace(Timings(connect_seconds=1e6, download_seconds=1e6, download_read_seconds=1e6), **limits)


async def refusal(server: PictureServer, target: str = "/1.png", timings: Timings | None = None) -> StorageError:
    """Return why a picture of the gateway's own origin is not taken."""
    with pytest.raises(StorageError) as caught:
        await PictureFetcher(server.origin, timings or patient()).fetch(f"{server.origin}{target}")
    return caught.value


# what is sent


async def test_public_picture_is_fetched_over_https(certificates: Certificates) -> None:
    async with picture_server(ok(), certificates.server) as server:
        assert await PictureFetcher(None).fetch(server.of("pictures.example")) == PNG


async def test_own_origin_may_be_http_and_private() -> None:
    async with picture_server(ok()) as server:
        assert await PictureFetcher(server.origin).fetch(f"{server.origin}/1.png?a=1") == PNG
        assert await server.targets() == ["/1.png?a=1"]


async def test_request_carries_nothing_but_the_program_and_the_host() -> None:
    async with picture_server(ok()) as server:
        await PictureFetcher(server.origin).fetch(f"{server.origin}/1.png#fragment")
        (request,) = await server.received()
    assert headers_of(request) == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": user_agent(),
        "accept": "*/*",
        "accept-encoding": "identity",
    }


async def test_cookies_are_not_sent_back_and_no_page_is_named_as_referring() -> None:
    cookies = ("Set-Cookie: a=1; Path=/", "Set-Cookie: b=2", "WWW-Authenticate: Basic")
    answers = {"/1.png": redirect("/2.png", *cookies), "/2.png": ok(PNG, "image/png", *cookies)}
    async with picture_server(answers) as server:
        fetcher = PictureFetcher(server.origin)
        for _ in range(2):
            await fetcher.fetch(f"{server.origin}/1.png")
        assert await server.targets() == ["/1.png", "/2.png"] * 2
        for request in await server.received():
            assert not headers_of(request).keys() & {"cookie", "referer", "authorization"}


async def test_credentials_of_netrc_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login fox password secret\ndefault login fox password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with picture_server(ok()) as server:
        await PictureFetcher(server.origin).fetch(f"{server.origin}/1.png")
        (request,) = await server.received()
    assert "authorization" not in headers_of(request)


# redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/2.png", "2.png", "./a/../2.png", "{origin}/2.png", "//127.0.0.1:{port}/2.png"])
async def test_redirect_is_followed(status: int, location: str) -> None:
    async with picture_server({"/2.png": ok()}) as server:
        to = location.format(origin=server.origin, port=server.port)
        server.answers = {**server.answers, "/1.png": redirect(to, status=status)}
        assert await PictureFetcher(server.origin).fetch(f"{server.origin}/1.png") == PNG


@pytest.mark.parametrize(("redirects", "is_fetched"), [(5, True), (6, False)])
async def test_five_redirects_are_followed_and_no_more(redirects: int, is_fetched: bool) -> None:
    answers: dict[str, Answer] = {f"/{number}": redirect(f"/{number - 1}") for number in range(1, redirects + 1)}
    async with picture_server({**answers, "/0": ok()}) as server:
        if is_fetched:
            assert await PictureFetcher(server.origin).fetch(f"{server.origin}/{redirects}") == PNG
        else:
            assert "redirected more than 5 times" in (await refusal(server, f"/{redirects}")).message
        assert len(await server.received()) == 6


@pytest.mark.parametrize("location", ["/1.png", "/1.png?again", "#", "?", ""])
async def test_redirect_loop_ends(location: str) -> None:
    async with picture_server(redirect(location)) as server:
        assert "redirected more than 5 times" in (await refusal(server)).message


async def test_redirect_to_nowhere_is_refused() -> None:
    async with picture_server(answer(302)) as server:
        assert "redirected to nowhere" in (await refusal(server)).message
        assert len(await server.received()) == 1


async def test_redirect_leads_down_to_http_only_at_the_own_origin(certificates: Certificates) -> None:
    async with picture_server(ok()) as own:
        answers = {"/own": redirect(f"{own.origin}/1.png"), "/other": redirect(f"http://cdn.example:{own.port}/1.png")}
        async with picture_server(answers, certificates.server) as server:
            fetcher = PictureFetcher(own.origin)
            assert await fetcher.fetch(server.of("pictures.example", "/own")) == PNG
            with pytest.raises(StorageError, match="only https URLs"):
                await fetcher.fetch(server.of("pictures.example", "/other"))
        assert len(await own.received()) == 1


async def test_endless_body_of_a_redirect_is_not_read() -> None:
    async def endless(stream: ByteStream) -> None:
        await stream.send(b"HTTP/1.1 302 -\r\nLocation: /2.png\r\n\r\n")
        while True:
            await stream.send(bytes(2**16))

    async with picture_server({"/1.png": endless, "/2.png": ok()}) as server:
        assert await PictureFetcher(server.origin).fetch(f"{server.origin}/1.png") == PNG


# time


async def drip(stream: ByteStream) -> None:
    """Send a picture, a byte at a time, without an end."""
    await stream.send(HEADED.replace(b"1000", b"50000000"))
    while True:
        await stream.send(b"\x89")
        await anyio.sleep(0.01)


async def drip_header(stream: ByteStream) -> None:
    """Send a header, a byte at a time, without an end."""
    await stream.send(b"HTTP/1.1 200 -\r\nX: ")
    while True:
        await stream.send(b"x")
        await anyio.sleep(0.01)


async def hint(stream: ByteStream) -> None:
    """Say without an end that the answer will come."""
    while True:
        await stream.send(EARLY_HINTS * 100)
        await anyio.sleep(0.001)


async def stall_in_header(stream: ByteStream) -> None:
    await stream.send(HEADED[:-2])
    await stall(stream)


async def stall_in_body(stream: ByteStream) -> None:
    await stream.send(HEADED + PNG[:100])
    await stall(stream)


@pytest.mark.parametrize("slow", [drip, drip_header, hint, stall, stall_in_header, stall_in_body])
async def test_slow_answer_ends_at_the_total_time(slow: Answer) -> None:
    async with picture_server(slow) as server:
        error = await refusal(server, timings=patient(download_seconds=0.2))
        await server.has_ended.wait()
    assert "did not send it in time" in error.message


@pytest.mark.parametrize("slow", [stall, stall_in_header, stall_in_body])
async def test_silence_ends_before_the_total_time(slow: Answer) -> None:
    async with picture_server(slow) as server:
        error = await refusal(server, timings=patient(download_read_seconds=0.1))
        await server.has_ended.wait()
    assert "did not send it in time" in error.message


async def test_redirects_share_the_total_time() -> None:
    async def later(stream: ByteStream) -> None:
        await anyio.sleep(0.1)
        await stream.send(redirect("/again"))

    async with picture_server(later) as server:
        error = await refusal(server, timings=patient(download_seconds=0.25))
    assert "did not send it in time" in error.message


async def test_stalled_handshake_ends_with_the_time_to_connect() -> None:
    async with picture_server(stall) as server:
        with pytest.raises(StorageError, match="did not send it in time"):
            await PictureFetcher(None, patient(connect_seconds=0.1)).fetch(server.of("pictures.example"))
        await server.has_ended.wait()


@pytest.mark.parametrize("slow", [drip, stall, stall_in_header, stall_in_body])
async def test_cancellation_closes_the_connection(slow: Answer) -> None:
    async with picture_server(slow) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(PictureFetcher(server.origin, patient()).fetch, f"{server.origin}/1.png")
        await server.has_started.wait()
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.fail_after(20):
            await server.has_ended.wait()


async def test_cancellation_during_the_handshake_closes_the_connection() -> None:
    async with picture_server(stall) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(PictureFetcher(None, patient()).fetch, server.of("pictures.example"))
        await server.has_received.wait()
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.fail_after(20):
            await server.has_ended.wait()


# what is said


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_missing_picture_has_probably_expired(status: int) -> None:
    async with picture_server(answer(status, PNG)) as server:
        error = await refusal(server, "/1.png?signature=secret")
    assert error.to_text() == (
        f"A picture could not be fetched from {server.origin}/1.png: its URL has probably expired (HTTP {status})."
        " It was charged. Open its URL in a browser to make sure."
    )


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 407, 418, 429, 500, 503, 599, 999])
async def test_other_status_is_named_and_its_picture_not_taken(status: int) -> None:
    async with picture_server(answer(status, b"" if status in (204, 304) else PNG)) as server:
        error = await refusal(server)
    assert error.message.endswith(f"its server answered HTTP {status}.")
    assert error.hint == "Its URL can still be opened in a browser, until it expires."
    assert error.charged == "yes"


async def test_secrets_of_a_url_are_not_shown() -> None:
    async with picture_server(ok()) as server:
        with pytest.raises(StorageError) as caught:
            await PictureFetcher(server.origin).fetch(f"http://fox:secret@127.0.0.1:{server.port}/1.png?key=secret")
        assert await server.received() == []
    assert "user name or password" in caught.value.message
    assert "secret" not in caught.value.to_text()


async def test_message_is_short_and_has_no_control_characters() -> None:
    with pytest.raises(StorageError) as caught:
        await PictureFetcher(None).fetch(f"http://pictures.example/\x1b[31m\u202e{'x' * 5_000}")
    assert caught.value.message.isprintable()
    assert len(caught.value.to_text()) < 500


async def test_certificate_of_an_unknown_authority_is_not_trusted(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/none/such")
    with pytest.raises(StorageError, match="trusted certificates cannot be read"):
        await PictureFetcher(None).fetch("https://pictures.example/1.png")
    monkeypatch.delenv("SSL_CERT_FILE")
    async with picture_server(ok(), certificates.server) as server:
        with pytest.raises(StorageError, match=r"ConnectError: .*certificate"):
            await PictureFetcher(None).fetch(server.of("pictures.example"))
        assert await server.received() == [b""]


async def test_certificate_of_another_name_is_not_trusted(certificates: Certificates) -> None:
    async with picture_server(ok(), certificates.server) as server:
        with pytest.raises(StorageError, match=r"other\.example.*certificate"):
            await PictureFetcher(None).fetch(server.of("other.example"))
        assert await server.received() == [b""]


async def test_unreachable_server_is_reported(unused_port: int) -> None:
    with pytest.raises(StorageError, match="ConnectError"):
        await PictureFetcher(None).fetch(f"https://pictures.example:{unused_port}/1.png")
