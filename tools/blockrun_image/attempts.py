"""An attempt to spend money: its states, and the data that describe it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from blockrun_image.callers import Caller
from blockrun_image.file_names import SaveAs
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.text import clean


class AttemptState(StrEnum):
    """The state of an attempt; its value is shown to users."""

    RESERVED = "reserved"
    """Money is set aside, and nothing was sent."""
    SENT = "sent"
    """The request was sent, or is about to be, and may be charged."""
    ACCEPTED = "accepted"
    """The gateway accepted it as a job, which can be polled."""
    SETTLED = "settled"
    """Its result and its charge are known."""
    HELD = "held"
    """It was refused, but its signed payment can still be used, so it counts as spent."""
    UNKNOWN = "unknown"
    """It may have been charged, so it counts as spent."""
    RELEASED = "released"
    """Nothing was charged."""

    @property
    def is_open(self) -> bool:
        """Whether the attempt is still in progress."""
        return self in (AttemptState.RESERVED, AttemptState.SENT, AttemptState.ACCEPTED)

    def can_become(self, state: "AttemptState") -> bool:
        """Return whether an attempt may move from this state to another one."""
        return state in _NEXT[self]


_LATE = (AttemptState.ACCEPTED, AttemptState.SETTLED)
"""The states that a late response leads to, even from an attempt that was given up."""

_NEXT: Mapping[AttemptState, Sequence[AttemptState]] = MappingProxyType(
    {
        AttemptState.RESERVED: (
            AttemptState.SENT,
            AttemptState.RELEASED,
            # this and `_LATE` only if the ledger was restored from a copy made before the request was sent
            AttemptState.UNKNOWN,
            *_LATE,
        ),
        AttemptState.SENT: (
            AttemptState.RESERVED,  # rate-limited, and about to be sent again
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
        AttemptState.RELEASED: (AttemptState.SETTLED,),  # the gateway charged for it after all
        AttemptState.SETTLED: (AttemptState.SETTLED,),  # only to record a larger charge
    }
)


@dataclass(frozen=True)
class Payment:
    """A payment signed by a wallet, with its `header` for the gateway.

    Whoever holds the `header` can move the amount to the payee, once: the `nonce` prevents a second transfer.
    `valid_before` is its expiry in seconds since 1970. `payer` is the wallet's address, empty in old ledgers.
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
    """A gateway's exact price in US dollars, its host, and the address to pay."""

    amount_usd: Decimal
    host: str
    payee: str


@dataclass(frozen=True)
class Approval:
    """The user's approval of one attempt, at a price of up to `max_usd`.

    Without `max_usd`, any price is approved.
    """

    id: str
    max_usd: Decimal | None = None

    def covers(self, price_usd: Decimal | None) -> bool:
        """Return whether the approval covers a price.

        `price_usd` is the most that the attempt can cost, `None` if nothing limits that.
        """
        return self.max_usd is None or (price_usd is not None and price_usd <= self.max_usd)


@dataclass(frozen=True)
class Job:
    """A job accepted by a gateway.

    For a wallet, `payment` is what every poll must carry as proof.
    """

    id: str
    payment: Payment | None = None


@dataclass(frozen=True)
class ExpectedCost:
    """The least and the most a request can cost, in US dollars.

    `max_usd` is `None` if unknown.
    """

    min_usd: Decimal = Decimal(0)
    max_usd: Decimal | None = None


@dataclass(frozen=True)
class AttemptStatus:
    """An attempt's state, job and result, as far as they are known.

    A job is claimable if no process polls it. A request is overdue if its response has taken longer than a live
    process would wait for it.
    """

    state: AttemptState
    job: Job | None = None
    response: ImagesResponse | None = None
    is_claimable: bool = False
    is_overdue: bool = False


@dataclass(frozen=True)
class CallInfo:
    """Which call it is, who made it, and when.

    Calls whose arguments are the same, as the client wrote them, have the same `key`. Without a `caller`, the process
    itself counts as the caller. `arrived_at` is in seconds by anyio's clock, `None` if unknown. Where its pictures are
    saved does not make it another call.
    """

    key: str
    caller: Caller | None = None
    arrived_at: float | None = field(default=None, compare=False)
    save_as: SaveAs | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Order:
    """An order to place if an earlier call has not bought it.

    `per_minute` is the model's rate limit in requests a minute, `None` if unknown. `slot` is the id of a slot booked
    before; a slot further away than `send_seconds` is not booked. `approval` is valid for one attempt.
    """

    request: ImageRequest
    cost: ExpectedCost
    per_minute: int | None = None
    send_seconds: float = 0.0
    slot: str | None = None
    approval: Approval | None = None


@dataclass(frozen=True)
class UncollectedPictures:
    """Paid pictures that were never delivered."""

    attempt_id: str
    request: ImageRequest
    urls: Sequence[str]

    def to_text(self) -> str:
        """Describe the pictures in one line, with up to four short URLs."""
        urls = [url for url in self.urls if len(url) <= _MAX_SHOWN_URL_CHARACTERS][:_MAX_SHOWN_URLS]
        where = " ".join(urls) or "see the resource images://recent"
        prompt, model = clean(self.request.prompt, _SHOWN_PROMPT_CHARACTERS), clean(self.request.model, 80)
        count = "1 image" if len(self.urls) == 1 else f"{len(self.urls)} images"
        return f'An earlier call paid for {count} that nobody received: "{prompt}" by {model}: {where}'


_SHOWN_PROMPT_CHARACTERS = 80
_MAX_SHOWN_URLS = 4
_MAX_SHOWN_URL_CHARACTERS = 500
