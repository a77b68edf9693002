"""What the injection of faults at random is made of: the faults, and callers that come, leave and come again."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeVar

import anyio
import httpx2

from blockrun_image.callers import DeliveryEvent, OnDelivery
from blockrun_image.errors import ImageError, LedgerError
from blockrun_image.ports import Attempt
from blockrun_image.results import GeneratedImages, PendingImages
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection, Work
from blockrun_image_mcp.payments.auth import OnSigned, WalletPayer, X402Auth
from blockrun_image_mcp.payments.authorization import Authorization
from blockrun_image_mcp.payments.networks import Network
from blockrun_image_mcp.payments.wallet import Wallet
from blockrun_image_sandbox.x402 import TOKENS

Rail = Literal["account", "wallet"]
Kind = Literal["patient", "hasty", "fickle", "deaf", "late", "gone"]
Faults = Sequence[Mapping[str, Any]]
T = TypeVar("T")

MODEL = "nano-banana-pro"
MICRO_USD = 105_000
DEARER_MICRO_USD = 130_000
LIE = "This quote is not to be paid."
ANSWER_SECONDS = 0.4

_KINDS: Sequence[Kind] = ["patient", "patient", "hasty", "fickle", "deaf", "late", "gone"]
_URL = "https://pictures.example/1.png"
_STALL = {"delay_seconds": 1.5 * ANSWER_SECONDS}
_ENDS: Faults = [{"cut": cut, "reset": reset} for cut in ("before", "during", "after") for reset in (False, True)]
_LIMITS: Faults = [{"status": 429, "headers": {"Retry-After": wait}} for wait in ("0", "0", "3600")]
_REFUSALS: Faults = [
    *({"status": status} for status in (400, 401, 402, 403, 404)),
    *({"status": status, "headers": {"Location": _URL}} for status in (301, 302, 307, 308)),
]
_FAILURES: Faults = [{"status": status} for status in (500, 502, 503, 504)]
_FAILURES_AFTER_THE_CHARGE: Faults = [{"settles": True, **failure} for failure in _FAILURES]
_REJECTIONS: Faults = [
    *({"payment_code": code} for code in ("PAYMENT_UNDERPAID", "PAYMENT_INVALID", "PAYMENT_REPLAY")),
    *({"payment_code": "SETTLEMENT_FAILED", "settles": settles} for settles in (False, True)),
]
_BODIES: Sequence[object] = ["", "{", "<html>", {}, {"data": []}, {"data": [{"url": "nonsense"}]}, "[[[]]]"]
_USELESS: Faults = [
    *({"body": body} for body in _BODIES),
    {"body": {"data": []}, "headers": {"x-blockrun-cost-usd": "0.105"}},
    {"status": 202, "body": {}},
    {"status": 303, "settles": True},
    {"status": 418, "settles": True},
]
_POLLS: Sequence[Faults] = [
    [{}],
    [{"status": 200, "body": body} for body in ({"status": "in_progress"}, {}, "{")],
    _ENDS,
    [_STALL],
    [{"status": 429, "headers": {"Retry-After": "0"}}],
    _FAILURES,
    _FAILURES_AFTER_THE_CHARGE,
]
_LAST_POLLS: Sequence[Faults] = [[{"status": status} for status in (400, 401, 404)], _REJECTIONS]
_PAID: Mapping[Rail, Sequence[Faults]] = {
    "account": [_ENDS, _ENDS, [_STALL], _LIMITS, _REFUSALS, _FAILURES, _FAILURES_AFTER_THE_CHARGE, _USELESS],
    "wallet": [
        _ENDS,
        _ENDS,
        [_STALL],
        _LIMITS,
        _REFUSALS,
        _FAILURES,
        _FAILURES_AFTER_THE_CHARGE,
        _USELESS,
        _REJECTIONS,
    ],
}
_QUOTES: Sequence[Faults] = [_ENDS, [_STALL], _LIMITS, _REFUSALS, _FAILURES]
_SEPOLIA = {"network": "eip155:84532", "asset": TOKENS["eip155:84532"].contract}
_LIES: Faults = [
    *(
        {"accepts": [entry]}
        for entry in (
            {"payTo": "0x0000000000000000000000000000000000000001"},
            {"amount": str(2 * MICRO_USD)},
            {"amount": "0"},
            {"scheme": "upto"},
            {"asset": _SEPOLIA["asset"]},
            {"extra": {"assetTransferMethod": "permit2"}},
            {"maxTimeoutSeconds": "long"},
        )
    ),
    {"x402Version": 1},
    {"accepts": []},
    {"price": {"amount": "0.000001"}},
    {"resource": {"url": "https://elsewhere.example/api/v1/images/generations"}},
]


def faults(dice: random.Random, rail: Rail, count: int) -> Faults:
    """Return so many faults for paid requests, and as many for quotes; every other request suffers none."""
    script: list[Mapping[str, Any]] = []
    for _ in range(count):
        script.append({"on": "paid", **_paid(dice, rail)})
        if rail == "wallet":
            script.append({"on": "quote", **_quote(dice)})
    return script


def _paid(dice: random.Random, rail: Rail) -> Mapping[str, Any]:
    chance = dice.random()
    if chance < 0.3:
        return {}
    if chance < 0.55:
        return _job(dice)
    return dice.choice(dice.choice(_PAID[rail]))


def _quote(dice: random.Random) -> Mapping[str, Any]:
    chance = dice.random()
    if chance < 0.75:
        return {}
    if chance < 0.8:
        amount = {"amount": str(DEARER_MICRO_USD)}
        return {"challenge": {"accepts": [amount], "price": {"amount": f"0.{DEARER_MICRO_USD}"}}}
    if chance < 0.9:
        return _lie(dice)
    return dice.choice(dice.choice(_QUOTES))


def _lie(dice: random.Random) -> Mapping[str, Any]:
    """Return a quote that is not to be paid and says so, in a field that only a payment for it repeats."""
    if dice.random() < 0.1:
        return {"challenge": {"resource": {"description": LIE}}, "headers": {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}}
    lie = dice.choice(_LIES)
    return {"challenge": {**lie, "resource": {**lie.get("resource", {}), "description": LIE}}}


def _job(dice: random.Random) -> Mapping[str, Any]:
    polls = [dice.choice(dice.choice(_POLLS)) for _ in range(dice.randint(0, 5))]
    if dice.random() < 0.15:
        polls.append(dice.choice(dice.choice(_LAST_POLLS)))
    job = {"slow": True, "polls": polls, "delay_seconds": dice.choice((0, 0, 0.1, 2 * ANSWER_SECONDS))}
    chance = dice.random()
    if chance < 0.15:
        return {**job, "status": dice.choice((400, 403, 500)), "settles": dice.choice((False, True))}
    if chance < 0.25:
        return {**job, "poll_url": dice.choice(("https://elsewhere.example/v1/images/generations/{id}", "/v1/{id}"))}
    return job


@dataclass
class Caller:
    """Asks for one picture until it is told what came of that; leaves and comes again as its dice want it.

    `kind` is `patient`, `hasty` (has little patience, and repeats the call), `fickle` (is cancelled, and repeats the
    call), `deaf` (the answer is lost, and it repeats the call), `late` (cancels when its pictures are written, and
    repeats the call) or `gone` (is cancelled, and does not come again).
    """

    prompt: str
    kind: Kind
    dice: random.Random
    result: GeneratedImages | None = None
    error: ImageError | None = None
    calls: int = 0

    @property
    def is_told(self) -> bool:
        """Whether it knows what came of its call, and so does not repeat it."""
        return self.result is not None or self.error is not None

    async def ask(self, toolset: ImageToolset, hasty: ImageToolset) -> None:
        """Call, and call again, at most so often that a batch ends."""
        for _ in range(1 if self.kind == "gone" else 8):
            if self.kind in ("fickle", "gone"):
                with anyio.move_on_after(self.dice.choice((0.0, 0.01, 0.1, 0.5)) * self.dice.random()):
                    await self._call(toolset)
            else:
                await self._call(hasty if self.kind == "hasty" else toolset)
            if self.is_told:
                return

    async def collect(self, toolset: ImageToolset) -> None:
        """Call again until it is told, and wait as long as that takes."""
        while not self.is_told:
            await self._call(toolset)

    async def _call(self, toolset: ImageToolset) -> None:
        self.calls += 1
        line, result, error = _Line(), None, None
        try:
            result = await toolset.generate_image(self.prompt, MODEL, delivery=line)
        except ImageError as refusal:
            error = refusal
        event = self._event(error)
        with anyio.CancelScope(shield=True):  # as in the server
            await line.report(event)
        if event is DeliveryEvent.WRITTEN:
            self.error, self.result = error, None if isinstance(result, PendingImages) else result

    def _event(self, error: ImageError | None) -> DeliveryEvent:
        if self.kind == "deaf" and self.dice.random() < 0.5:
            return DeliveryEvent.LOST
        if self.kind == "late" and error is None and self.dice.random() < 0.5:
            return DeliveryEvent.CANCELLED
        return DeliveryEvent.WRITTEN


class _Line:
    """Delivers one answer, as its caller wants it."""

    def __init__(self) -> None:
        self._on_report: list[OnDelivery] = []

    def on_report(self, report: OnDelivery) -> None:
        self._on_report.append(report)

    async def report(self, event: DeliveryEvent) -> None:
        """Tell what became of the answer."""
        for report in self._on_report:
            await report(event)


def callers(dice: random.Random, count: int, batch: str) -> Sequence[Caller]:
    """Return so many callers, each with a prompt that no other has."""
    return [
        Caller(f"A fox, {batch}, {number}", dice.choice(_KINDS), random.Random(dice.random()))
        for number in range(count)
    ]


@dataclass
class WatchedPayer:
    """Pays for real, from one wallet, and keeps what was signed for which attempt."""

    private_key: str
    signed: list[tuple[str, Authorization]]

    def auth(self, attempt: Attempt, on_signed: OnSigned) -> X402Auth:
        """Return what pays for one attempt."""
        return WalletPayer(_WatchedWallet(self, attempt.id)).auth(attempt, on_signed)

    def price(self, response: httpx2.Response) -> Decimal:
        """Return the price that a 402 names."""
        return WalletPayer(Wallet(self.private_key)).price(response)


class _WatchedWallet(Wallet):
    def __init__(self, watcher: WatchedPayer, attempt_id: str) -> None:
        super().__init__(watcher.private_key)
        self._watcher = watcher
        self._attempt_id = attempt_id

    async def sign(self, network: Network, authorization: Authorization) -> str:
        self._watcher.signed.append((self._attempt_id, authorization))
        return await super().sign(network, authorization)


class MortalConnection(SqliteConnection):
    """A connection of a process that may be killed; from then on, nothing reaches the file, as nothing would."""

    is_dead = False

    async def write(self, work: Work[T]) -> T:
        """Run work, while the process lives."""
        self._check_alive()
        return await super().write(work)

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, while the process lives."""
        self._check_alive()
        return await super().read(work)

    def _check_alive(self) -> None:
        if self.is_dead:
            raise LedgerError("The process is dead.")


@dataclass(frozen=True)
class Row:
    """An attempt as the ledger's file has it."""

    id: str
    state: str
    day: str
    prompt: str
    counted_micro_usd: int
    payment: dict[str, Any] | None
    has_images: bool


@dataclass(frozen=True)
class Evidence:
    """What the till, the ledger, the wallet and the callers say."""

    settlements: Sequence[dict[str, Any]]
    paid_posts: int
    rows: Sequence[Row]
    signed: Sequence[tuple[str, Authorization]]
    callers: Sequence[Caller]
    day_micro_usd: int

    def settled_prompts(self) -> Counter[str]:
        """Return how often each prompt was charged."""
        return Counter(settlement["prompt"] for settlement in self.settlements)
