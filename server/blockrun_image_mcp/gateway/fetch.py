"""Fetches pictures from URLs that others have chosen, and trusts no server on the way."""

import ssl
import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from io import BytesIO
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import httpx2

from blockrun_image.errors import StorageError
from blockrun_image.text import clean
from blockrun_image_mcp.formats import MAX_PICTURE_BYTES, suffix_of
from blockrun_image_mcp.gateway.addresses import is_public_address, is_public_host
from blockrun_image_mcp.headers import USER_AGENT
from blockrun_image_mcp.network import look_up_proxy, user_agent
from blockrun_image_mcp.timings import DEFAULT, Timings

_MAX_REDIRECTS = 5
_UNPACKED_BYTES = 2**16  # at a time

_REDIRECTS = (301, 302, 303, 307, 308)
_EXPIRED = (403, 404, 410)  # object stores answer 403 or 404 once a signed URL has expired
_BUSY = (429, 500, 502, 503, 504)
_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535

_OPEN_IT = "Its URL can still be opened in a browser, until it expires."
_TRY_ANYWAY = "Open its URL in a browser to make sure."
_CHECK_CERTIFICATES = f"{_OPEN_IT} Check SSL_CERT_FILE and SSL_CERT_DIR in the server's environment."

Origin = tuple[str, str, int | None]
"""The scheme, host and port of a URL."""


class PictureFetcher:
    """Fetches pictures over https from the public internet.

    `own_origin` is the gateway's, such as `http://127.0.0.1:8080`: its pictures may be http, and in a private network.
    No credential, cookie or other trace of an earlier request is sent. Pictures of more than `max_bytes` are refused.
    Without `certificates`, those of the environment are read when they are first needed.
    """

    def __init__(
        self,
        own_origin: str | None,
        timings: Timings = DEFAULT,
        max_bytes: int = MAX_PICTURE_BYTES,
        certificates: ssl.SSLContext | None = None,
    ) -> None:
        self._own_origin = None if own_origin is None else _origin(httpx2.URL(own_origin))
        self._timings = timings
        self._max_bytes = max_bytes
        self._tls = certificates

    async def fetch(self, url: str) -> bytes:
        """Return the picture at `url`: whole, and in a known format.

        Raises `StorageError`, whose words say why, and that the URL can still be opened.
        """
        try:
            with anyio.fail_after(self._timings.download_seconds):
                return await self._follow_patiently(httpx2.URL(url))
        except _RefusedError as error:
            raise _failure(url, str(error), error.hint) from error
        except (httpx2.TimeoutException, TimeoutError) as error:
            raise _failure(url, "its server did not send it in time") from error
        except httpx2.InvalidURL as error:
            raise _failure(url, "its URL, or one it is redirected to, is not valid") from error
        except (httpx2.HTTPError, OSError, ValueError) as error:
            raise _failure(url, f"{type(error).__name__}: {clean(error, 120)}") from error

    async def _follow_patiently(self, url: httpx2.URL) -> bytes:
        """Follow a URL, and try twice more if its server is busy; a picture costs nothing to fetch."""
        for pause_seconds in (self._timings.backoff_seconds, 4 * self._timings.backoff_seconds):
            try:
                return await self._follow(url)
            except _BusyError:
                await anyio.sleep(pause_seconds)
        return await self._follow(url)

    async def _follow(self, url: httpx2.URL) -> bytes:
        for _ in range(1 + _MAX_REDIRECTS):
            async with self._response(url) as response:
                if response.status_code not in _REDIRECTS:
                    return await self._picture(response)
                if "location" not in response.headers:
                    raise _RefusedError("it is redirected to nowhere")
                url = url.join(response.headers["location"])
        raise _RefusedError(f"it is redirected more than {_MAX_REDIRECTS} times")

    @asynccontextmanager
    async def _response(self, url: httpx2.URL) -> AsyncGenerator[httpx2.Response]:
        """Request one URL, and close the connection at the end.

        A transport is used without a client, because a client would keep cookies and read credentials from the URL.
        """
        is_own = _origin(url) == self._own_origin
        _check(url, is_own=is_own)
        proxy = await look_up_proxy(url)
        connection = _Connection(url.host, may_be_private=is_own or proxy is not None)
        request = httpx2.Request(
            "GET",
            url,
            headers={USER_AGENT: user_agent(), "Accept": "*/*", "Accept-Encoding": "identity"},
            extensions={"timeout": self._timeouts(), "trace": connection.on_trace},
        )
        async with (
            self._transport(proxy) as transport,
            aclosing(connection),
            aclosing(await transport.handle_async_request(request)) as response,
        ):
            yield response

    def _transport(self, proxy: str | None) -> httpx2.AsyncHTTPTransport:
        try:
            self._tls = self._tls or httpx2.create_ssl_context()
            return httpx2.AsyncHTTPTransport(verify=self._tls, proxy=proxy)
        except OSError as error:
            raise _RefusedError("the trusted certificates cannot be read", _CHECK_CERTIFICATES) from error
        except (ImportError, ValueError, httpx2.InvalidURL) as error:
            raise _RefusedError("the proxy cannot be used") from error

    def _timeouts(self) -> Mapping[str, float | None]:
        return httpx2.Timeout(
            connect=self._timings.connect_seconds,
            read=self._timings.download_read_seconds,
            write=self._timings.write_seconds,
            pool=self._timings.connect_seconds,
        ).as_dict()

    async def _picture(self, response: httpx2.Response) -> bytes:
        if response.status_code in _EXPIRED:
            raise _RefusedError(f"its URL has probably expired (HTTP {response.status_code})", _TRY_ANYWAY)
        if response.status_code in _BUSY:
            raise _BusyError(f"its server answered HTTP {response.status_code}")
        if response.status_code != HTTPStatus.OK:
            raise _RefusedError(f"its server answered HTTP {response.status_code}")
        body = _Body(response.headers.get("content-encoding", ""), self._max_bytes)
        body.expect(int(response.headers.get("content-length", 0)))  # HTTP's parser has checked it
        stream = cast("AsyncGenerator[bytes]", aiter(cast("httpx2.AsyncByteStream", response.stream)))
        async with aclosing(stream):
            async for chunk in stream:
                body.add(chunk)
                await anyio.lowlevel.checkpoint()  # thousands of tiny chunks can arrive at once
        content = body.whole()
        if suffix_of(content) is None:
            raise _RefusedError(_not_a_picture(content, response.headers.get("content-type", "")))
        return content


class _RefusedError(Exception):
    """Raised with the reason why a picture is not taken, in words for the user, and the next step."""

    def __init__(self, why: str, hint: str = _OPEN_IT) -> None:
        super().__init__(why)
        self.hint = hint


class _BusyError(_RefusedError):
    """Raised if a server may send the picture a little later."""


class _Connection:
    """A TCP connection, checked before anything is sent on it.

    The address is checked that was reached, not one that a name server gives: it could give another one next time.
    """

    def __init__(self, host: str, *, may_be_private: bool) -> None:
        self._host = host
        self._may_be_private = may_be_private
        self._stream: Any = None  # a network stream of httpcore2

    async def on_trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Raise `_RefusedError` to stop the request if its peer is private."""
        if event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
            if not self._may_be_private and not is_public_address(peer_of(self._stream)):
                raise _private(self._host)
        elif self._stream is None and ".connect_tcp." not in event:
            raise _RefusedError("the connection to its server could not be checked")

    async def aclose(self) -> None:
        """Close the connection at once, even if the caller was cancelled during its TLS handshake."""
        if self._stream is not None:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()


def peer_of(stream: Any) -> str:  # noqa: ANN401 - as httpcore2 hands it out, which has no type for it that httpx2 exports
    """Return the address that a connection has reached; a test pretends that it has reached another one."""
    return stream.get_extra_info("server_addr")[0]


class _Body:
    """A picture as it arrives: unpacked bit by bit, and never more than `max_bytes`."""

    def __init__(self, encoding: str, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._received_bytes = 0
        self._content = BytesIO()  # its value is not copied when it is taken
        self._unpacking = None
        if encoding.strip().lower() not in ("", "identity"):  # although nothing else was asked for
            if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
                raise _RefusedError(f"it came packed in an unknown way ({clean(encoding, 40)})")
            self._unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32 detects the header of gzip or zlib

    def expect(self, content_length: int) -> None:
        """Raise `_RefusedError` if the body is announced as too long."""
        self._check_size(content_length)

    def add(self, chunk: bytes) -> None:
        """Add what has arrived; raises `_RefusedError`."""
        self._received_bytes += len(chunk)
        self._check_size(self._received_bytes)
        for part in self._unpacked(chunk):
            self._content.write(part)
            self._check_size(self._content.tell())

    def whole(self) -> bytes:
        """Return the content; raises `_RefusedError` if it is empty or its end is missing."""
        if self._unpacking is not None and not self._unpacking.eof:
            raise _RefusedError("it was cut short")
        if not self._content.tell():
            raise _RefusedError("its server sent nothing")
        return self._content.getvalue()

    def _unpacked(self, chunk: bytes) -> Iterator[bytes]:
        if self._unpacking is None:
            yield chunk
            return
        part = None
        try:
            while part is None or len(part) == _UNPACKED_BYTES:  # a shorter part is the last one of this chunk
                part = self._unpacking.decompress(chunk, _UNPACKED_BYTES)
                yield part
                chunk = self._unpacking.unconsumed_tail
        except zlib.error as error:
            raise _RefusedError("it could not be unpacked") from error
        if self._unpacking.unused_data:  # a second member would be more of the picture
            raise _RefusedError("it could not be unpacked")

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise _RefusedError(f"it is larger than {self._max_bytes:,} bytes")


def _origin(url: httpx2.URL) -> Origin:
    return url.scheme, url.host, _PORTS.get(url.scheme) if url.port is None else url.port


def _check(url: httpx2.URL, *, is_own: bool) -> None:
    """Raise `_RefusedError` or `httpx2.InvalidURL` if a URL must not be requested; called for each redirect, too."""
    if url.port is not None and url.port > _MAX_PORT:  # asyncio would raise an error of its own
        raise httpx2.InvalidURL("its port is out of range")
    if url.userinfo:
        raise _RefusedError("its URL has a user name or password in it")
    if is_own:
        return
    if url.scheme != "https":
        raise _RefusedError("only https URLs are fetched")
    # behind a proxy, nothing but the host is known of the peer
    if not is_public_host(url.raw_host.decode("ascii")):
        raise _private(url.host)


def _private(host: str) -> _RefusedError:
    return _RefusedError(f"{clean(host, 100) or 'its host'} is not on the public internet")


def _not_a_picture(content: bytes, content_type: str) -> str:
    """Return what came instead of a picture, in words."""
    claimed = clean(content_type.partition(";")[0], 60) or "no type"
    is_text = content[:64].lstrip()[:1] in (b"<", b"{", b"[")
    return f"its server sent {'a page or a message' if is_text else 'an unknown format'} instead of it ({claimed})"


def _failure(url: str, why: str, hint: str = _OPEN_IT) -> StorageError:
    return StorageError(f"A picture could not be fetched from {_place(url)}: {why}.", hint=hint)


def _place(url: str) -> str:
    """Return a URL without its secrets: user, password and signature."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "its URL"
    host = parts.netloc.rpartition("@")[2]
    return clean(f"{parts.scheme}://{host}{parts.path}", 200)
