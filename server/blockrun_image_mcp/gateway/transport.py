"""HTTP transports with a guard against leaked keys, bounded answers and safe retries."""

import ssl
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from typing import Any, cast

import anyio
import httpx2
from pydantic import SecretStr

from blockrun_image.errors import ConfigurationError
from blockrun_image.text import clean
from blockrun_image_mcp.bounded_json import json_from
from blockrun_image_mcp.gateway.credentials import may_leave
from blockrun_image_mcp.gateway.refusals import is_lasting
from blockrun_image_mcp.gateway.retry import (
    Failure,
    Outcome,
    Rule,
    failure_of,
    may_resend,
    requested_wait_seconds,
    wait_seconds,
)
from blockrun_image_mcp.network import look_up_proxy
from blockrun_image_mcp.timings import Timings

RULES = "blockrun_rules"
ON_WAIT = "blockrun_on_wait"
ON_CUT = "blockrun_on_cut"
IS_FINAL = "blockrun_is_final"
MAX_BYTES = "blockrun_max_bytes"
CUT = "blockrun_cut"
"""The extension of a cut answer: why it was not read to its end, in a few words."""

MAX_ANSWER_BYTES = 512 * 2**20
"""The longest answer to a paid request, which may hold pictures as data."""

_MAX_FREE_ANSWER_BYTES = 64 * 2**20
_MAX_UNPACKED_BYTES = 64 * 2**20
_MAX_REFUSAL_BYTES = 2**16
_CHECKSUM_BYTES = 8  # CRC32 and length, at the end of a gzip member (RFC 1952)

_GZIP = b"\x1f\x8b"
_HEADED, _RAW = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS  # in zlib, 32 detects a header, and minus means none

Rules = Callable[[], Mapping[Outcome, Rule]]
"""Returns the rules that hold for a request now."""

IsFinal = Callable[[httpx2.Response], bool]
"""Returns whether an answer forbids a resend, even if the rules allow one."""

OnWait = Callable[[Outcome, float], Awaitable[None]]
"""Gets an attempt's outcome and the seconds to wait, before the request is sent again."""

OnCut = Callable[[bytes], None]
"""Gets the content of a cut success before the request is sent again."""


def timeout(timings: Timings) -> httpx2.Timeout:
    """Return the time limits for the phases of one request."""
    return httpx2.Timeout(
        connect=timings.connect_seconds,
        read=timings.answer_seconds,
        write=timings.write_seconds,
        pool=timings.connect_seconds,
    )


def is_cut_short(answer: httpx2.Response) -> bool:
    """Return whether an answer was cut and is not whole JSON; whole JSON lacks no more than the end of its transfer."""
    return CUT in answer.extensions and json_from(answer.content) is None


def trusted_certificates() -> ssl.SSLContext:
    """Return what certificates are checked with; raises `ConfigurationError` if it cannot be read."""
    try:
        return httpx2.create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            f"The trusted certificates cannot be read ({type(error).__name__}).",
            hint="Check SSL_CERT_FILE and SSL_CERT_DIR in the server's environment.",
        ) from error


async def open_transport(
    base_url: str,
    timings: Timings,
    wallet_key: SecretStr | None = None,
    certificates: ssl.SSLContext | None = None,
) -> httpx2.AsyncBaseTransport:
    """Return the transport to `base_url`; raises `ConfigurationError` for an unusable proxy or CA.

    Connections are not kept alive: if the server has just closed one, a request on it ends with an unknown outcome. A
    new connection costs little beside a picture.
    """
    certificates = certificates or trusted_certificates()
    try:
        proxy = await look_up_proxy(httpx2.URL(base_url))
        limits = httpx2.Limits(max_keepalive_connections=0)
        network = httpx2.AsyncHTTPTransport(verify=certificates, limits=limits, proxy=proxy)
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise ConfigurationError(
            f"The proxy cannot be used ({type(error).__name__}).",
            hint="HTTPS_PROXY, ALL_PROXY and the system's own settings take http://, https://, socks5:// and socks5h://"
            " URLs.",
        ) from error
    return RetryingTransport(
        GuardedTransport(ProxiedTransport(network) if proxy else network, wallet_key),
        timings,
    )


@dataclass
class ProxiedTransport(httpx2.AsyncBaseTransport):
    """Raises `httpx2.ProxyError` if the proxy cannot be reached, instead of an error about the gateway."""

    inner: httpx2.AsyncBaseTransport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request; raises `httpx2.TransportError`."""
        try:
            return await self.inner.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            if is_lasting(error):  # it was reached, and the gateway's certificate is not trusted
                raise
            raise httpx2.ProxyError(str(error) or "it did not answer in time", request=request) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self.inner.aclose()


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Blocks any request with a private key in its headers."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, wallet_key: SecretStr | None = None) -> None:
        self._inner = inner
        self._wallet_key = wallet_key

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request, or raise `ConfigurationError` before a byte of it leaves."""
        if not all(may_leave(name, value, self._wallet_key) for name, value in request.headers.multi_items()):
            raise ConfigurationError("A request with a private key in a header was stopped.")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


@dataclass
class RetryingTransport(httpx2.AsyncBaseTransport):
    """Reads answers whole, and resends the same bytes if the rules allow it.

    A request carries its rules and callbacks in its extensions; without rules, it is sent once. If its answer is paid
    for, it also carries `MAX_BYTES`: a success that is cut or too long is then returned as far as it was read.
    """

    inner: httpx2.AsyncBaseTransport
    timings: Timings

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request; raises the last attempt's `httpx2.TransportError`."""
        rules: Rules = request.extensions.get(RULES, dict)
        is_final: IsFinal = request.extensions.get(IS_FINAL, _is_never_final)
        on_wait: OnWait = request.extensions.get(ON_WAIT, _ignore_wait)
        on_cut: OnCut = request.extensions.get(ON_CUT, _ignore_cut)
        resends: Counter[Outcome] = Counter()
        waited = 0.0
        while True:
            attempt = await self._attempt(request)
            outcome = _outcome(attempt)
            if not may_resend(rules(), outcome, resends[outcome]) or _is_final(attempt, is_final):
                return _answer(attempt)
            seconds = wait_seconds(outcome, resends.total(), _asked_seconds(attempt, self.timings), self.timings)
            waited += seconds
            if waited > self.timings.max_retry_wait_seconds:
                return _answer(attempt)
            if isinstance(attempt, httpx2.Response) and attempt.is_success:  # it was cut, or it would be final
                on_cut(attempt.content)
            await on_wait(outcome, seconds)
            await anyio.sleep(seconds)
            resends[outcome] += 1

    async def aclose(self) -> None:
        """Close the connections."""
        await self.inner.aclose()

    async def _attempt(self, request: httpx2.Request) -> httpx2.Response | httpx2.TransportError:
        try:
            response = await self.inner.handle_async_request(request)
            return await _read_whole(request, response)
        except httpx2.TransportError as error:
            return error


async def _read_whole(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """Read an answer to its end, but only the beginning of a long refusal."""
    max_bytes: int = request.extensions.get(MAX_BYTES, _MAX_FREE_ANSWER_BYTES)
    cut: str | None = None
    body = BytesIO()
    try:
        await _read_into(body, response, max_bytes)
    except httpx2.TransportError as error:
        if response.is_success and MAX_BYTES not in request.extensions:
            raise  # a free request can be sent again; what was paid for is kept as far as it came
        cut = f"{type(error).__name__}: {clean(error, 80)}"
    finally:
        await response.aclose()
    content = body.getvalue()
    encoding = response.headers.get("content-encoding", "")
    # the body is unpacked here, so httpx2 must not do it again
    headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
    answer = httpx2.Response(
        response.status_code,
        headers=headers,
        stream=httpx2.ByteStream(_unpack(content, encoding, min(max_bytes, _MAX_UNPACKED_BYTES))),
        request=request,
        extensions={} if cut is None else {CUT: cut},
    )
    await answer.aread()
    return answer


def _is_never_final(_answer: httpx2.Response) -> bool:
    return False


async def _ignore_wait(_outcome: Outcome, _seconds: float) -> None:
    """Do nothing."""


def _ignore_cut(_content: bytes) -> None:
    """Do nothing."""


async def _read_into(body: BytesIO, response: httpx2.Response, max_bytes: int) -> None:
    async for chunk in cast("httpx2.AsyncByteStream", response.stream):
        body.write(chunk)
        if response.status_code >= 300 and body.tell() > _MAX_REFUSAL_BYTES:
            return
        if body.tell() > max_bytes:
            raise httpx2.RemoteProtocolError("the answer is too large")


def _unpack(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return the body, unpacked as far as possible.

    It stays packed if it is too long or incomplete, or if its encoding is unknown.
    """
    for packing in reversed([each.strip().lower() for each in encoding.split(",")]):  # the last one was applied last
        unpacked = _without(packing, body, max_bytes)
        if unpacked is None or len(unpacked) > max_bytes:
            return body
        body = unpacked
    return body


def _without(packing: str, body: bytes, max_bytes: int) -> bytes | None:
    """Return the unpacked body, or `None` if it cannot be unpacked.

    A body that is too long is cut, but not to less than one byte over the limit.
    """
    match packing:
        case "" | "identity":  # some servers send gzip without saying so
            return (_inflate(body, _HEADED, max_bytes) or body) if body.startswith(_GZIP) else body
        case "gzip" | "x-gzip":
            return _inflate(body, _HEADED, max_bytes)
        case "deflate":  # some servers leave out the header that HTTP asks for
            return _inflate(body, _HEADED, max_bytes) or _inflate(body, _RAW, max_bytes)
        case "br":
            return _unbrotli(body, max_bytes)
        case _:
            return None


def _inflate(body: bytes, wbits: int, max_bytes: int) -> bytes | None:
    """Return an inflated body of one or more members, or `None`.

    If its end is missing or a checksum is wrong, it must be whole JSON.
    """
    unpacked, is_whole = b"", False
    while body and len(unpacked) <= max_bytes and (not unpacked or body.startswith(_GZIP)):
        unpacking = zlib.decompressobj(wbits)
        try:
            unpacked += unpacking.decompress(body, max_bytes + 1)
        except zlib.error:  # the checksum may be all that is wrong: try without it
            with suppress(zlib.error):
                unpacked += zlib.decompressobj(wbits).decompress(body[:-_CHECKSUM_BYTES], max_bytes + 1)
        is_whole, body = unpacking.eof, unpacking.unused_data
    return unpacked if is_whole or len(unpacked) > max_bytes or json_from(unpacked) is not None else None


def _unbrotli(body: bytes, max_bytes: int) -> bytes | None:
    brotli: Any = import_module("brotli")  # rarely needed: requests ask for no encoding
    unpacking = brotli.Decompressor()
    try:
        unpacked: bytes = unpacking.process(body, output_buffer_limit=max_bytes + 1)
    except brotli.error:
        return None
    return unpacked if unpacking.is_finished() or len(unpacked) > max_bytes or json_from(unpacked) is not None else None


def _outcome(attempt: httpx2.Response | httpx2.TransportError) -> Outcome:
    """Return an attempt's outcome; a cut success counts as an answer only if it is JSON."""
    if not isinstance(attempt, httpx2.Response):
        return failure_of(attempt)
    if attempt.is_success and is_cut_short(attempt):
        return Failure.OUTCOME_UNKNOWN
    return attempt.status_code


def _is_final(attempt: httpx2.Response | httpx2.TransportError, is_final: IsFinal) -> bool:
    return isinstance(attempt, httpx2.Response) and is_final(attempt)


def _asked_seconds(attempt: httpx2.Response | httpx2.TransportError, timings: Timings) -> float | None:
    return requested_wait_seconds(attempt, timings) if isinstance(attempt, httpx2.Response) else None


def _answer(attempt: httpx2.Response | httpx2.TransportError) -> httpx2.Response:
    if isinstance(attempt, httpx2.Response):
        return attempt
    raise attempt
