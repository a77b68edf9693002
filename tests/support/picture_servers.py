"""Servers on raw sockets that answer requests for pictures as badly as a test wants."""

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PNG = (Path(__file__).parents[2] / "docs" / "red-fox.png").read_bytes()
NAMES = ("pictures.example", "cdn.example", "gateway.corp")
"""The hosts that a server's certificate is for."""

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)

Answer = bytes | Callable[[ByteStream], Awaitable[None]]
"""What a server writes, or what writes it."""


def ok(content: bytes = PNG, content_type: str = "image/png", *more: str) -> bytes:
    """Return an answer with a picture and more headers."""
    return answer(200, content, f"Content-Type: {content_type}", *more)


def answer(status: int, content: bytes = b"", *headers: str) -> bytes:
    """Return an answer with its length in a header."""
    lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def redirect(location: str, *headers: str, status: int = 302) -> bytes:
    """Return an answer that leads to another URL."""
    return answer(status, b"", f"Location: {location}", *headers)


async def stall(stream: ByteStream) -> None:
    """Send nothing until the client has gone."""
    while True:
        await stream.receive()


class PictureServer:
    """Answers on loopback by path, and remembers what each connection has sent before its first answer."""

    def __init__(self, answers: Mapping[str, Answer], port: int, tls: ssl.SSLContext | None) -> None:
        self.answers = answers
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"
        self.has_received = anyio.Event()
        self.has_started = anyio.Event()
        self.has_ended = anyio.Event()
        self._tls = tls
        self._received: dict[int, bytearray] = {}  # by the client's port
        self._open: set[int] = set()
        self._change = anyio.Event()

    def of(self, name: str, target: str = "/1.png") -> str:
        """Return an https URL of this server."""
        return f"https://{name}:{self.port}{target}"

    async def received(self) -> list[bytes]:
        """Return what each connection has sent, in order, once all of them have ended."""
        async with await anyio.connect_tcp("127.0.0.1", self.port) as control:  # it comes after all others
            number = control.extra(SocketAttribute.local_port)
        with anyio.fail_after(20):
            while self._open or number not in self._received:
                await self._change.wait()
        del self._received[number]
        return [bytes(each) for each in self._received.values()]

    async def targets(self) -> list[str]:
        """Return the targets of the requests, in order."""
        return [each.split(b" ")[1].decode() for each in await self.received() if each]

    async def serve(self, stream: SocketStream) -> None:
        """Serve one connection."""
        number = stream.extra(SocketAttribute.remote_port)
        received = self._received[number] = bytearray()
        self._open.add(number)
        try:
            async with stream:
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
                    await self._answer(await self._encrypted(stream), received)
        finally:
            self._open.discard(number)
            self.has_ended.set()
            self._change.set()
            self._change = anyio.Event()

    async def _encrypted(self, stream: ByteStream) -> ByteStream:
        if self._tls is None:
            return stream
        return await TLSStream.wrap(stream, server_side=True, ssl_context=self._tls, standard_compatible=False)

    async def _answer(self, stream: ByteStream, received: bytearray) -> None:
        while b"\r\n\r\n" not in received:
            received += await stream.receive()
            self.has_received.set()
        self.has_started.set()
        target = received.split(b" ")[1].decode()
        chosen = self.answers.get(target, self.answers.get("*", answer(404)))
        if isinstance(chosen, bytes):
            await stream.send(chosen)
        else:
            await chosen(stream)


@asynccontextmanager
async def picture_server(
    answers: Mapping[str, Answer] | Answer, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[PictureServer]:
    """Serve on a free port of loopback until the end of the block."""
    chosen = {"*": answers} if isinstance(answers, bytes) or callable(answers) else answers
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        server = PictureServer(chosen, listener.extra(SocketAttribute.local_port), tls)
        tasks.start_soon(listener.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


@dataclass(frozen=True)
class Certificates:
    """A server's certificate for `NAMES`, and the file of the authority that has signed it."""

    server: ssl.SSLContext
    authority: Path


def make_certificates(folder: Path) -> Certificates:
    """Make certificates for a day."""
    key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of the tests")])
    root = (
        _unsigned(authority, authority, key.public_key(), key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .sign(key, hashes.SHA256())
    )
    leaf = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    signed = (
        _unsigned(leaf, authority, server_key.public_key(), key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    (folder / "authority.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return Certificates(server, folder / "authority.pem")


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, issuer_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )
