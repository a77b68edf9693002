"""What the gateway has charged, by its own clock: what the ledger and the clients are held against."""

import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.soak.plans import Plan


class Clock:
    """The time of a run. What the machine is said to have slept is passed time, too."""

    def __init__(self) -> None:
        self.slept = 0.0
        self._start = time.monotonic()

    def now(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self._start + self.slept

    def wall(self) -> float:
        """Return the seconds since 1970."""
        return time.time() + self.slept


@dataclass
class Order:
    """One purchase: the requests with one key of an account, or with one payment of a wallet.

    Money is in millionths of a US dollar. `asked` is the published price, or what was signed. `told` is the charge that
    an answer named so that it can be read, and that was sent whole. `kept` are the bytes of which some must be in a
    file, of an answer that was sent whole. `ends` says how each answer to a request ended, and when.
    """

    number: int
    key: str
    prompt: str
    at: float
    day: str
    asked: int
    plans: list[Plan] = field(default_factory=list[Plan])
    nonce: str = ""
    valid_before: float = math.inf
    charges: list[int] = field(default_factory=list[int])
    told: int = 0
    kept: tuple[bytes, ...] = ()
    has_url_sent: bool = False
    ends: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    polls: int = 0
    done_at: float = 0.0

    @property
    def plan(self) -> Plan:
        """What happens to the request that came last."""
        return self.plans[-1]

    @property
    def job_plan(self) -> Plan | None:
        """What happens to its job, if it has become one."""
        return next((plan for plan in self.plans if plan.kind == "job"), None)

    @property
    def charged(self) -> int:
        """All that was charged for it."""
        return sum(self.charges)

    @property
    def url(self) -> str:
        """Where its picture is."""
        return f"https://pictures.example/{self.number}.png"

    @property
    def job(self) -> str:
        """The id of its job, if it is one."""
        return f"job_{self.number}"


class Books:
    """All orders, all that was signed against the rules, and what happened to each prompt, in order."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.orders: dict[str, Order] = {}
        self.accusations: list[tuple[str, str]] = []
        self.strangers: list[str] = []
        self.lies: dict[str, str] = {}
        self.events: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)

    def say(self, prompt: str, text: str) -> None:
        """Note what happened to a prompt."""
        self.events[prompt].append((self.clock.now(), text))

    def accuse(self, prompt: str, text: str) -> None:
        """Note that a payment was signed that should not have been."""
        self.accusations.append((prompt, text))
        self.say(prompt, f"GATEWAY {text}")

    def of(self, prompt: str) -> list[Order]:
        """Return the orders of a prompt, in order."""
        return [order for order in self.orders.values() if order.prompt == prompt]

    def open(self, key: str, prompt: str, asked: int, nonce: str = "", valid_before: float = math.inf) -> Order:
        """Return the order of a key or a nonce, a new one where there was none."""
        name = nonce or key
        if name not in self.orders:
            day = datetime.fromtimestamp(self.clock.wall(), UTC).date().isoformat()
            self.orders[name] = Order(
                len(self.orders) + 1, key, prompt, self.clock.now(), day, asked, nonce=nonce, valid_before=valid_before
            )
        return self.orders[name]

    def charge(self, order: Order, amount: int) -> None:
        """Charge for an order: an account as often as it is asked, a payment once and while it is valid."""
        if order.nonce and (order.charges or self.clock.wall() >= order.valid_before):
            return
        order.charges.append(amount)
        self.say(order.prompt, f"GATEWAY charges {amount} for order {order.number}")

    def settle_rest(self) -> None:
        """Take all payments that are still to be taken."""
        for order in self.orders.values():
            if any(plan.settles_later for plan in order.plans):
                self.charge(order, order.asked)
