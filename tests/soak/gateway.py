"""The gateway on sockets: it reads orders, charges for them, and answers as the plans say."""

import asyncio
import base64
import json
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.soak.answers import PATHS, PAYEE, Reply, edit_path, order_reply, poll_reply, quote_reply
from tests.soak.books import Books, Order
from tests.soak.plans import PRICES, Rail, draw_plan, draw_quote, seeded

_GONE = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError)
_TRUSTED_AFTER = 2.0


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Gateway:
    """Answers on one port; whoever asks at the other one follows an address that should not be followed."""

    def __init__(self, seed: int, rail: Rail, scale: float, books: Books) -> None:
        self.is_calm = False
        self.quotes: Counter[str] = Counter()
        self.edits = 0
        """How many orders were for edits."""
        self.on_answer: Callable[[str], None] = lambda prompt: None
        """Is told the prompt of an order that was just answered in full."""
        self._seed = seed
        self._rail: Rail = rail
        self._scale = scale
        self._books = books
        self._asked: dict[str, int] = {}
        self._asked_for: Counter[str] = Counter()
        self._accepted_at: float | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.origin = await self._listen(self._serve)
        self._stranger = await self._listen(self._serve_stranger)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def host(self) -> str:
        """The host that servers are given in place of BlockRun's."""
        return self.origin + PATHS[self._rail].removesuffix("/v1/images/generations")

    async def _listen(self, serve: Callable[[StreamReader, StreamWriter], Any]) -> str:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
        self._stack.callback(server.close)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve_stranger(self, reader: StreamReader, writer: StreamWriter) -> None:
        line = await reader.readline()
        self._books.strangers.append(line.decode("latin-1").strip())
        writer.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(*_GONE):
            is_open = True
            while is_open:
                request = await _read(reader)
                order, reply = self._answer(request)
                how = await self._send(reply, reader, writer)
                is_open = how == "whole" and not reply.is_unended
                if order is not None:
                    self._note(request, order, reply, how)
        writer.close()

    def _answer(self, request: _Request) -> tuple[Order | None, Reply]:
        path = PATHS[self._rail]
        if request.method == "POST" and request.path in (path, edit_path(self._rail)):
            if self._rail == "wallet" and "payment-signature" not in request.headers:
                return None, self._quote(request)
            order = self._order(request)
            return order, order_reply(order, self._rail, self._stranger)
        jobs = {order.job: order for order in self._books.orders.values() if order.job_plan is not None}
        job = jobs.get(request.path.removeprefix(f"{path}/"))
        if request.method != "GET" or job is None:
            return None, Reply(404, b"{}")
        job.polls += 1
        return job, poll_reply(job, self._rail, is_done=self._books.clock.now() >= job.done_at)

    def _quote(self, request: _Request) -> Reply:
        body, key = json.loads(request.body), request.headers["idempotency-key"]
        prompt = body["prompt"]
        self._asked_for[prompt] += 1
        quote = draw_quote(seeded(self._seed, prompt, "quote", self._asked_for[prompt]), is_calm=self.is_calm)
        if quote.lie == "payee" and not self._has_payee():
            return self._quote(request)
        micro_usd = round(PRICES[body["model"]] * quote.price)
        self.quotes[quote.lie or quote.kind] += 1
        if quote.lie:
            self._books.lies[key] = quote.lie
        self._asked[key] = micro_usd
        self._books.say(prompt, f"GATEWAY quotes {micro_usd} to {key[:8]}: {quote.lie or quote.kind}")
        return quote_reply(quote, micro_usd, self.origin + request.path, self._stranger)

    def _has_payee(self) -> bool:
        """Tell whether a payment was accepted long enough ago for the payee to be known."""
        return self._accepted_at is not None and self._books.clock.now() > self._accepted_at + _TRUSTED_AFTER

    def _order(self, request: _Request) -> Order:
        body, key = json.loads(request.body), request.headers.get("idempotency-key", "")
        prompt = body["prompt"]
        self.edits += "image" in body
        if self._rail == "account":
            order = self._books.open(key, prompt, PRICES[body["model"]])
        else:
            order = self._paid_order(request.headers["payment-signature"], key, prompt)
        copy = len(order.plans)
        place = self._books.of(prompt).index(order)
        plan = draw_plan(seeded(self._seed, prompt, place, copy), self._rail, self._scale, is_calm=self.is_calm)
        order.plans.append(plan)
        order.done_at = self._books.clock.now() + plan.wait
        self._books.say(prompt, f"GATEWAY takes order {order.number} ({key[:8]}, copy {copy}): {plan}")
        if plan.price and not plan.settles_later:
            self._books.charge(order, round(order.asked * (1.0 if order.nonce else plan.price)))
        return order

    def _paid_order(self, signature: str, key: str, prompt: str) -> Order:
        authorization = json.loads(base64.b64decode(signature))["payload"]["authorization"]
        value, nonce = int(authorization["value"]), authorization["nonce"]
        if key in self._books.lies:
            self._books.accuse(prompt, f"got a signature for a quote with a lying {self._books.lies[key]}")
        elif value != self._asked.get(key) or authorization["to"].lower() != PAYEE:
            self._books.accuse(prompt, f"got a signature that was not asked for: {authorization}")
        return self._books.open(key, prompt, value, nonce, float(authorization["validBefore"]))

    def _note(self, request: _Request, order: Order, reply: Reply, how: str) -> None:
        """Note how an answer to an order or to a poll of it ended."""
        if request.method == "POST":
            order.ends.append((how, self._books.clock.now()))
        self._books.say(order.prompt, f"GATEWAY answer {reply.status} to {request.method}: {how}")
        if how != "whole":
            return
        order.told = max(order.told, reply.told)
        order.kept = reply.kept or order.kept
        order.has_url_sent |= reply.has_url
        if reply.status == 200 and reply.has_url:
            self._accepted_at = self._accepted_at or self._books.clock.now()
            self.on_answer(order.prompt)

    async def _send(self, reply: Reply, reader: StreamReader, writer: StreamWriter) -> str:
        """Send an answer, and return how that ended: whole, cut, never begun, or the other end was gone."""
        if not await _stays(reader, reply.wait):
            return "gone"
        data = reply.to_bytes(self._books.clock.wall())
        sent = len(data) if reply.cut is None else int(reply.cut * len(data))
        writer.write(data[:sent])
        try:
            await writer.drain()
        except OSError:
            return "gone"
        if reply.cut is None:
            return "whole"
        await asyncio.sleep(0.01)
        if reply.resets:
            made: socket.socket = writer.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return "cut" if sent else "never"


async def _read(reader: StreamReader) -> _Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    pairs = [line.partition(":") for line in head[1:] if line]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return _Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


async def _stays(reader: StreamReader, seconds: float) -> bool:
    """Wait, and tell whether the other end is still there; it sends nothing while it waits."""
    try:
        return bool(await asyncio.wait_for(reader.read(1), seconds))
    except TimeoutError:
        return True
    except OSError:
        return False
