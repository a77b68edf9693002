"""A gateway on a plain socket, which keeps a record of its own of what it has charged."""

import json
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any

PRICE_USD = "0.105"
MICRO_USD = 105_000
JOB = "a job"
"""The words of a prompt that the gateway makes a job; every other one is drawn at once."""


@dataclass(frozen=True)
class Charge:
    """What was charged: for which request, by its idempotency key, and for which prompt."""

    key: str
    prompt: str
    url: str


@dataclass
class RawGateway:
    """Draws and charges what it is asked for, by an account's key, at one price; `seen` are the requests' targets.

    While it is held, it answers no request that it charges for. The first poll of a job is answered once it is let go,
    every other one at once.
    """

    base_url: str
    charges: list[Charge] = field(default_factory=list[Charge])
    posts: int = 0
    polls: int = 0
    seen: list[tuple[str, Mapping[str, str]]] = field(default_factory=list[tuple[str, Mapping[str, str]]])
    _jobs: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    _free: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def hold(self) -> None:
        """Answer no request from now on."""
        self._free.clear()

    def let_go(self) -> None:
        """Answer all requests."""
        self._free.set()

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings of a server that asks this gateway."""
        return {
            "BLOCKRUN_IMAGE_GATEWAY": self.base_url,
            "BLOCKRUN_API_KEY": "brk_raw_0123456789",
            "BLOCKRUN_IMAGE_CATALOG": "contract",
            "BLOCKRUN_IMAGE_DAILY_BUDGET_USD": "1000",
        }

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        """Return the status and the body of the answer to a request."""
        self.seen.append((f"{method} {path}", headers))
        if method == "POST":
            return self._generate(headers["idempotency-key"], json.loads(body)["prompt"])
        job = path.partition("?")[0].rpartition("/")[2]
        return self._poll(job) if job in self._jobs else (404, {})

    def _generate(self, key: str, prompt: str) -> tuple[int, Any]:
        with self._lock:
            self.posts += 1
            number = self.posts
        if JOB in prompt:
            self._jobs[f"job-{number}"] = (key, prompt)
            return 202, {"id": f"job-{number}"}
        self._free.wait()
        if REFUSED in prompt:
            return 403, {"error": {"message": "It is not drawn."}, "payment": {"tx_hash": f"0x{number:064x}"}}
        return 200, self._charged(key, prompt)

    def _poll(self, job: str) -> tuple[int, Any]:
        with self._lock:
            self.polls += 1
            is_first = self.polls == 1
        if is_first:
            self._free.wait()
        return 200, self._charged(*self._jobs[job])

    def _charged(self, key: str, prompt: str) -> Any:
        """Charge for a request, once however often its job is polled, and return its picture."""
        with self._lock:
            charge = next((each for each in self.charges if each.key == key), None)
            if charge is None:
                charge = Charge(key, prompt, f"https://pictures.example/{len(self.charges)}.png")
                self.charges.append(charge)
        return {"data": [{"url": charge.url}]}


@contextmanager
def raw_gateway() -> Generator[RawGateway]:
    """Serve a gateway, which is not held, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gateway = RawGateway(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        gateway.let_go()
        Thread(target=_accept, args=(listener, gateway), daemon=True).start()
        try:
            yield gateway
        finally:
            gateway.let_go()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, gateway: RawGateway) -> None:
    with suppress(OSError):
        while True:
            Thread(target=_serve, args=(listener.accept()[0], gateway), daemon=True).start()


def _serve(connection: socket.socket, gateway: RawGateway) -> None:
    """Answer one request, to a client that may have gone."""
    with connection, connection.makefile("rwb") as stream, suppress(OSError):
        method, path, _ = stream.readline().decode().split(" ")
        headers: dict[str, str] = {}
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", "0")))
        status, answer = gateway.answer(method, path, headers, body)
        data = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(data)}\r\nx-blockrun-cost-usd: {PRICE_USD}\r\n"
        stream.write(f"{head}Connection: close\r\n\r\n".encode() + data)


REFUSED = "refused after it was paid"
"""In a prompt: the answer is a refusal that proves a charge."""
