"""Attempts to spend money: their states, and what is known of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from blockrun_image.callers import Caller
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.text import clean


class AttemptState(StrEnum):
    """The state of an attempt; its value is the word that users see."""

    RESERVED = "reserved"
    """Money is set aside, and nothing has left."""
    SENT = "sent"
    """The request has left, or is about to, and may be charged."""
    ACCEPTED = "accepted"
    """The gateway has made it a job, which can be polled."""
    SETTLED = "settled"
    """Its result and its charge are known."""
    HELD = "held"
    """It was refused, but whoever has its signed payment can use it, so that it counts as spent."""
    UNKNOWN = "unknown"
    """Whether it was charged is unknown, so that it counts as spent."""
    RELEASED = "released"
    """Nothing was charged."""

    @property
    def is_open(self) -> bool:
        """Whether work on it goes on."""
        return self in (AttemptState.RESERVED, AttemptState.SENT, AttemptState.ACCEPTED)

    def can_become(self, state: "AttemptState") -> bool:
        """Return whether an attempt in this state may move to another one."""
        return state in _NEXT[self]


_LATE = (AttemptState.ACCEPTED, AttemptState.SETTLED)
"""An answer is believed whenever it comes, also after the attempt was given up."""

_NEXT: Mapping[AttemptState, Sequence[AttemptState]] = MappingProxyType(
    {
        AttemptState.RESERVED: (
            AttemptState.SENT,
            AttemptState.RELEASED,
            AttemptState.UNKNOWN,  # this and the late ones if the ledger was restored from an older copy
            *_LATE,
        ),
        AttemptState.SENT: (
            AttemptState.RESERVED,  # refused for its rate, and about to be sent again
            AttemptState.HELD,
            AttemptState.UNKNOWN,
            AttemptState.RELEASED,
            *_LATE,
        ),
        AttemptState.ACCEPTED: (
            AttemptState.SETTLED,
            AttemptState.HELD,
            AttemptState.UNKNOWN,
            AttemptState.RELEASED,
        ),
        AttemptState.HELD: (AttemptState.RELEASED, *_LATE),
        AttemptState.UNKNOWN: (AttemptState.RELEASED, *_LATE),
        AttemptState.RELEASED: (AttemptState.SETTLED,),
        AttemptState.SETTLED: (AttemptState.SETTLED,),  # only for a larger charge
    }
)


@dataclass(frozen=True)
class Payment:
    """A payment that a wallet has signed; whoever holds `header` can move this amount to this payee, once.

    `header` is what the gateway is sent, `nonce` what makes a second move impossible, `valid_before` the end of its
    life in seconds since 1970. `payer` is the wallet's address, empty in old ledgers.
    """

    network: str
    payee: str
    amount_usd: Decimal
    nonce: str
    valid_before: int
    header: str = field(repr=False)
    payer: str = ""


@dataclass(frozen=True)
class Quote:
    """A gateway's exact price, in US dollars: which host asks it, and the address to pay."""

    amount_usd: Decimal
    host: str
    payee: str


@dataclass(frozen=True)
class Approval:
    """The user's approval of one attempt; it covers prices up to `most_usd`, which is `None` for any price."""

    id: str
    most_usd: Decimal | None = None

    def covers(self, price_usd: Decimal | None) -> bool:
        """Return whether it covers a price, which is `None` if nothing limits it."""
        return self.most_usd is None or (price_usd is not None and price_usd <= self.most_usd)


@dataclass(frozen=True)
class Job:
    """Work that a gateway has accepted, and the payment that its polls carry, where a wallet pays for it."""

    id: str
    payment: Payment | None = None


@dataclass(frozen=True)
class ExpectedCost:
    """What a request can cost, in US dollars: at least, and at most, which is `None` where that is unknown."""

    least_usd: Decimal = Decimal(0)
    most_usd: Decimal | None = None


@dataclass(frozen=True)
class AttemptStatus:
    """What is known of an attempt: its state, its job and its result.

    A job that nobody polls is claimable. A request is overdue if its answer has not come for longer than any answer
    takes.
    """

    state: AttemptState
    job: Job | None = None
    response: ImagesResponse | None = None
    is_claimable: bool = False
    is_overdue: bool = False


@dataclass(frozen=True)
class MadeCall:
    """A call as it was made. The same arguments have the same `key`.

    Without a `caller`, it is the process's own. `arrived_at` is in seconds by anyio's clock, `None` if unknown.
    """

    key: str
    caller: Caller | None = None
    arrived_at: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Order:
    """What to buy if an earlier call has not bought it.

    `per_minute` is how many requests a minute the model takes, `None` if that is unknown; `slot` is the id of a slot
    that was booked before; a slot that is further away than `send_seconds` is not booked. `approval` is good for one
    attempt.
    """

    request: ImageRequest
    cost: ExpectedCost
    per_minute: int | None = None
    send_seconds: float = 0.0
    slot: str | None = None
    approval: Approval | None = None


@dataclass(frozen=True)
class UncollectedPictures:
    """Pictures that are paid for and were not delivered to any caller."""

    attempt_id: str
    request: ImageRequest
    urls: Sequence[str]

    def to_text(self) -> str:
        """Return what they are, with URLs that are short enough, in one line."""
        urls = [url for url in self.urls if len(url) <= _MAX_SHOWN_URL_CHARACTERS][:_MAX_SHOWN_URLS]
        where = " ".join(urls) or "see the resource images://recent"
        prompt, model = clean(self.request.prompt, _SHOWN_PROMPT_CHARACTERS), clean(self.request.model, 80)
        count = "1 image" if len(self.urls) == 1 else f"{len(self.urls)} images"
        return f'An earlier call paid for {count} that nobody received: "{prompt}" by {model}: {where}'


_SHOWN_PROMPT_CHARACTERS = 80
_MAX_SHOWN_URLS = 4
_MAX_SHOWN_URL_CHARACTERS = 500
