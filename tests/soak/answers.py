"""The gateway's answers, as bytes: pictures, jobs, refusals, quotes, and what is wrong with each."""

import base64
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from tests.soak.books import Order
from tests.soak.plans import Plan, Quote, Rail

PAYEE = "0x1111222233334444555566667777888899990000"
STRANGER = "0x9999888877776666555544443333222211110000"
PATHS: Mapping[Rail, str] = {"account": "/v1/images/generations", "wallet": "/api/v1/images/generations"}

_USDC = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
_CODES = ("PAYMENT_INVALID", "PAYMENT_UNDERPAID", "PAYMENT_REPLAY", "SETTLEMENT_FAILED", "CONTENT_POLICY", "")

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """An answer, and how it is sent; the rest says what it means for the order that it is about."""

    status: int
    body: bytes
    headers: Headers = ()
    wait: float = 0.0
    cut: float | None = None
    resets: bool = False
    is_unended: bool = False
    ahead: float = 0.0
    """By how much its date is wrong."""
    told: int = 0
    kept: tuple[bytes, ...] = ()
    has_url: bool = False

    def to_bytes(self, now: float) -> bytes:
        """Return it as HTTP has it; where it is not ended, its last chunk is missing."""
        length = "transfer-encoding: chunked" if self.is_unended else f"content-length: {len(self.body)}"
        named = [f"{name}: {value}" for name, value in self.headers]
        head = [f"HTTP/1.1 {self.status} -", length, f"date: {formatdate(now + self.ahead, usegmt=True)}", *named]
        body = b"%x\r\n%s\r\n" % (len(self.body), self.body) if self.is_unended else self.body
        return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def order_reply(order: Order, rail: Rail, stranger: str) -> Reply:
    """Return the answer to an order, after it was charged; `stranger` is an address that must not be asked."""
    plan = order.plan
    headers, told = _named(order, plan, rail)
    if plan.kind == "job":
        job = {"id": order.job, "status": "queued", "poll_url": f"{PATHS[rail]}/{order.job}"}
        return Reply(202, _json(job), wait=plan.wait / 4)
    if plan.status >= 300:
        return Reply(
            plan.status,
            _json({"error": {"message": "It is not drawn.", "code": _CODES[order.number % len(_CODES)]}}),
            [*headers, ("retry-after", "1"), ("location", f"{stranger}{PATHS[rail]}")][
                : -1 if plan.status != 307 else None
            ],
            wait=plan.wait,
            told=told,
        )
    if plan.kind == "unusable":
        status, body, within = _unusable(order, plan.form, stranger)
        return Reply(status, body, headers, wait=plan.wait, told=told, kept=(body, *within))
    body, within = _picture(order, plan)
    return Reply(
        200,
        body,
        headers,
        wait=plan.wait,
        cut=plan.cut,
        resets=plan.resets,
        is_unended=plan.kind == "unended",
        told=told,
        kept=(body, *within) if plan.kind in ("data", "unended") else (),
        has_url=plan.kind not in ("data", "unended"),
    )


def poll_reply(order: Order, rail: Rail, *, is_done: bool) -> Reply:
    """Return the answer to a poll of a job: first those that are wrong, then that it goes on, or how it ended."""
    plan = order.job_plan or order.plan
    if order.polls <= len(plan.polls):
        return _wrong_poll(order, plan.polls[order.polls - 1])
    if not is_done:
        return Reply(202, _json({"id": order.job, "status": "in_progress"}))
    headers, told = _named(order, plan, rail)
    if plan.form == "failed":
        paid = "settled" if order.charges else "not_charged"
        failed = {"id": order.job, "status": "failed", "payment_status": paid, "error": {"message": "It broke."}}
        return Reply(200, _json(failed), headers, told=told)
    done = {"id": order.job, "status": "completed", "data": [{"url": order.url}]}
    return Reply(200, _json(done), headers, told=told, has_url=True)


def edit_path(rail: Rail) -> str:
    """Return the path of edits; their jobs are polled where those of generations are."""
    return PATHS[rail].replace("generations", "image2image")


def quote_reply(quote: Quote, micro_usd: int, url: str, stranger: str) -> Reply:
    """Return the answer to a request without a payment at a URL."""
    if quote.kind not in {"honest", "lie"}:
        return Reply(429 if quote.kind == "limited" else 500, b"{}", [("retry-after", "1")])
    path = PATHS["wallet"]
    if quote.lie == "redirect":
        return Reply(307, b"", [("location", f"{stranger}{path}")])
    entry: dict[str, Any] = {
        "scheme": "exact",
        "network": "eip155:8453",
        "amount": str(micro_usd),
        "asset": _USDC,
        "payTo": PAYEE,
        "maxTimeoutSeconds": 60 + micro_usd % 7 * 90,
        "extra": {"name": "USD Coin", "version": "2"},
    }
    wrong: Mapping[str, Mapping[str, Any]] = {
        "amount": {"amount": str(micro_usd * 3)},
        "asset": {"asset": STRANGER},
        "method": {"extra": {"name": "USD Coin", "version": "2", "assetTransferMethod": "permit2"}},
        "network": {"network": "eip155:1"},
        "payee": {"payTo": STRANGER},
        "scheme": {"scheme": "upto"},
        "version": {"maxAmountRequired": str(micro_usd), "network": "base"},
    }
    named = {
        "x402Version": 1 if quote.lie == "version" else 2,
        "resource": {"url": f"{stranger}{path}" if quote.lie == "resource" else url},
        "accepts": [entry | wrong.get(quote.lie, {})],
    }
    beside = micro_usd * 3 if quote.lie in ("amount", "price") else micro_usd
    if quote.lie == "price":
        beside //= 2
    body = _json({"price": {"amount": f"{beside / 1e6:.6f}", "currency": "USD"}})
    return Reply(402, body, [("payment-required", _encoded(named))], ahead=3_600.0 if quote.lie == "clock" else 0.0)


def _named(order: Order, plan: Plan, rail: Rail) -> tuple[Headers, int]:
    """Return the headers that name the charge, and what can be read of them."""
    if not order.charges or not plan.is_named:
        return (), 0
    receipt = f"0x{order.number:064x}"
    if rail == "wallet":
        settlement = ("payment-response", _encoded({"success": True, "transaction": receipt}))
        beside = [("x-blockrun-cost-usd", _usd(order.asked * plan.price))] if plan.kind == "dear" else []
        return [settlement, *beside], order.asked
    if plan.form == "receipt":
        return [("x-payment-receipt", receipt)], 0
    if plan.kind == "unreadable" and plan.form != "twice":
        return [("x-blockrun-cost-usd", plan.form)] if plan.form != "euro" else (), 0
    costs = (order.charged // 2, order.charged) if plan.form == "twice" else (order.charged,)
    return [("x-blockrun-cost-usd", _usd(each)) for each in costs], order.charged


def _picture(order: Order, plan: Plan) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the body with the picture, and the picture's bytes where they are in it."""
    priced = {"price": {"amount": "0.01", "currency": "EUR"}} if plan.form == "euro" else {}
    if plan.kind != "data":
        return _json({"data": [{"url": order.url}], **priced}), ()
    picture = _png(order.number)
    return _json({"data": [{"b64_json": base64.b64encode(picture).decode()}]}), (picture,)


def _unusable(order: Order, form: str, stranger: str) -> tuple[int, bytes, tuple[bytes, ...]]:
    strange = b"PICT\x00\x01" + struct.pack(">Q", order.number) * 9
    encoded = base64.b64encode(strange).decode()
    bodies: Mapping[str, tuple[int, bytes]] = {
        "empty": (200, _json({"data": [], "order": order.number})),
        "another key": (200, _json({"pictures": [{"link": order.url}]})),
        "html": (200, f"<html><body><img src='{order.url}'></body></html>".encode()),
        "truncated": (200, _json({"data": [{"url": order.url}]})[:-3]),
        "strange picture": (200, _json({"data": [{"b64_json": encoded}]})),
        "strange data url": (200, _json({"data": [{"url": f"data:image/pict;base64,{encoded}"}]})),
        "foreign poll url": (202, _json({"status": "queued", "poll_url": f"{stranger}/v1/{order.job}"})),
    }
    status, body = bodies[form]
    return status, body, (strange,) if form.startswith("strange") else ()


def _wrong_poll(order: Order, word: str) -> Reply:
    if word == "another job":
        other = {"id": "job_another", "status": "completed", "data": [{"url": "https://pictures.example/another.png"}]}
        return Reply(200, _json(other))
    if word == "empty":
        return Reply(200, _json({"id": order.job, "status": "completed", "data": []}))
    if word == "cut":
        return Reply(200, _json({"id": order.job, "status": "in_progress"}), cut=0.7, resets=True)
    return Reply(int(word), _json({"error": {"message": "It cannot be said."}}))


def _png(number: int) -> bytes:
    """Return a picture of one pixel, of a colour of its own."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" + number.to_bytes(3, "big"))),
        (b"IEND", b""),
    )
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _usd(micro_usd: float) -> str:
    return f"{micro_usd / 1e6:.6f}"


def _encoded(value: object) -> str:
    return base64.b64encode(_json(value)).decode()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
