"""Holds the ledger, the files and what clients were told against the gateway's books.

Each check returns what it finds. What a server was kept from by a fault is no finding: where it was ended, frozen, or
had no disk while its order was answered, or within seconds after.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image as Picture
from tests.soak.books import Books, Order
from tests.soak.hosts import Answer, Call
from tests.soak.plans import Rail
from tests.soak.wishes import Wish

REPEATABLE_SECONDS = 120.0
"""How long after a slow answer a repetition is free, as README has it."""

_BEFORE = 0.2
_AFTER = 2.0


@dataclass(frozen=True)
class Row:
    """What the ledger has of an attempt; money is in millionths of a US dollar."""

    state: str
    counted: int
    held: int
    images: str


@dataclass(frozen=True)
class Evidence:
    """All that a run has left behind: `files` are the contents of all files, `listing` is what `images` prints."""

    rail: Rail
    scale: float
    budget: int
    books: Books
    wishes: Mapping[str, Wish]
    rows: Mapping[str, Row]
    files: Mapping[bytes, Path]
    listing: str
    explanations: Counter[str] = field(default_factory=Counter[str])
    late: Counter[str] = field(default_factory=Counter[str])

    @property
    def charged(self) -> Sequence[Order]:
        """The orders that were charged."""
        return [order for order in self.books.orders.values() if order.charges]

    def was_troubled(self, order: Order) -> bool:
        """Tell whether a server was kept from reading an answer to an order, or from noting it."""
        over = max((at for _, at in order.ends), default=math.inf)
        return self.wishes[order.prompt].was_troubled(order.at - _BEFORE, over + _AFTER)


@dataclass(frozen=True)
class Finding:
    """A promise that was broken, and for which prompt, if it is one's."""

    check: str
    text: str
    prompt: str = ""


def findings(evidence: Evidence) -> list[Finding]:
    """Return all that is wrong, in the order of the checks."""
    checks = (_uncounted, _over_the_cap, _paid_twice, _told_no, _not_kept, _foreign, _unexplained, _wrongly_signed)
    return [finding for check in checks for finding in check(evidence)]


def _uncounted(evidence: Evidence) -> Iterator[Finding]:
    """What was charged is in the ledger, with no less than was told."""
    by_key: defaultdict[str, list[Order]] = defaultdict(list)
    for order in evidence.charged:
        by_key[order.key].append(order)
    for key, orders in by_key.items():
        row = evidence.rows.get(key)
        least = sum(_least(order, evidence) for order in orders)
        if row is None:
            yield Finding("1 uncounted", f"{key} was charged {least} and is in no row", orders[0].prompt)
        elif row.counted < least:
            kinds = ", ".join(f"{order.plan.kind} {order.plan.form}".strip() for order in orders)
            text = f"{key} ({kinds}) was charged {least}, and its row is {row.state} and counts {row.counted}"
            yield Finding("1 uncounted", text, orders[0].prompt)


def _least(order: Order, evidence: Evidence) -> int:
    """Return what must be counted of an order: what an answer said, or else the published price."""
    if evidence.rail == "wallet":
        return order.charged
    least = min(order.charged, order.asked)
    return least if evidence.was_troubled(order) else max(least, order.told)


def _over_the_cap(evidence: Evidence) -> Iterator[Finding]:
    """A day's charges are within the budget, but for what was charged above what was set aside."""
    spent: Counter[str] = Counter()
    above: Counter[str] = Counter()
    for order in evidence.charged:
        row = evidence.rows.get(order.key)
        spent[order.day] += order.charged
        above[order.day] += max(0, order.charged - max(order.asked, row.held if row else 0))
    for day, total in spent.items():
        if total > evidence.budget + above[day]:
            text = f"{day}: {total} was charged, {above[day]} of it beyond reserves, of {evidence.budget}"
            yield Finding("2 over the cap", text)


def _paid_twice(evidence: Evidence) -> Iterator[Finding]:
    """A wish is charged no oftener than it was begun, or was told that money may be gone."""
    for wish in evidence.wishes.values():
        orders = [order for order in evidence.books.of(wish.prompt) if order.charges]
        yield from (
            Finding("3 paid twice", f"order {order.number} was charged {order.charges}", wish.prompt)
            for order in orders
            if len(order.charges) > 1
        )
        times = [order.at for order in orders]
        for number, order in enumerate(orders, 1):
            allowed = sum(at <= order.at for at in wish.begun) + _announced(wish, times, order.at)
            if number <= allowed:
                continue
            if _is_late(wish, order, orders, evidence):
                evidence.late["bought again after the two minutes"] += 1
            else:
                text = f"order {order.number} is purchase {number} where {allowed} were allowed"
                yield Finding("3 paid twice", text, wish.prompt)
                break


def _announced(wish: Wish, orders: Sequence[float], until: float) -> int:
    """Return how many more purchases a client was prepared for: one for each order, and each chain of calls."""
    announced = 0
    last: dict[int, int] = {}
    for at, chain in sorted(wish.told):
        before = sum(order <= at for order in orders)
        if at <= until and last.get(chain) != before:
            last[chain] = before
            announced = min(announced + 1, before)
    return announced


def _is_late(wish: Wish, order: Order, orders: Sequence[Order], evidence: Evidence) -> bool:
    """Tell whether the repetition came later than is promised, with no answer to an earlier order still to come."""
    calls = sorted((call for call in wish.calls if call.sent <= order.at), key=lambda call: call.sent)
    ends = [each.ends[-1][1] if each.ends else math.inf for each in orders if each.at < order.at]
    seconds = REPEATABLE_SECONDS / evidence.scale
    until = max((end for end in ends), default=math.inf) + seconds
    for call in calls:
        if call.sent > until:
            return True
        if call.answered is not None:  # one that was cancelled, or is lost, renews nothing
            until = max(until, call.end + seconds)
    return False


def _told_no(evidence: Evidence) -> Iterator[Finding]:
    """Who is told that nothing was charged was charged nothing.

    Which of several calls at once an order belongs to, the gateway cannot know; such wishes are left out.
    """
    for wish, call, answer in _answers(evidence):
        if answer.charged != "no" or wish.chains > 1 or call.answered is None:
            continue
        for order in evidence.books.of(wish.prompt):
            if order.charges and call.sent <= order.at <= call.answered:
                what = f"{order.plan.kind} {order.plan.form}, named {order.plan.is_named}"
                text = f"call {call.id} was told {answer.type}, charged: no; order {order.number} ({what}) was charged"
                yield Finding("4 told no", text, wish.prompt)


def _not_kept(evidence: Evidence) -> Iterator[Finding]:
    """What was paid and read is in the ledger, or in a file that somebody was told of."""
    for order in evidence.charged:
        row = evidence.rows.get(order.key)
        if row is not None and order.url in row.images:
            continue
        is_job = order.job_plan is not None
        if order.has_url_sent and (is_job or not evidence.was_troubled(order)):
            yield Finding("5 not kept", f"order {order.number}: its URL is in no row", order.prompt)
        if not order.kept or evidence.was_troubled(order):
            continue
        what = f"order {order.number} ({order.plan.kind} {order.plan.form})"
        paths = [
            path for content, path in evidence.files.items() if content in {what_is_shown(each) for each in order.kept}
        ]
        said = evidence.listing + "".join(answer.text for _, answer in evidence.wishes[order.prompt].answers)
        if not paths:
            yield Finding("5 not kept", f"{what}: no file has what was paid for", order.prompt)
        elif not any(path.name in said for path in paths):
            yield Finding("5 not kept", f"{what}: nobody was told of {paths[0]}", order.prompt)


def _foreign(evidence: Evidence) -> Iterator[Finding]:
    """A client is handed no picture but one of those that were drawn for it."""
    for wish, call, answer in _answers(evidence):
        own = {order.url for order in evidence.books.of(wish.prompt)} | {""}
        for url in set(answer.urls) - own:
            if url.startswith("file:"):  # one that came as data
                continue
            yield Finding("5 not kept", f"call {call.id} got {url}, which is not its picture", wish.prompt)


def _unexplained(evidence: Evidence) -> Iterator[Finding]:
    """Only where the gateway or a fault left it open is a client told that an outcome is unknown."""
    for wish, call, answer in _answers(evidence):
        if answer.type in ("unexpected", "protocol"):
            yield Finding("defect", f"call {call.id} was answered {answer.text[:300]}", wish.prompt)
        elif answer.charged == "unknown":
            why = _explanation(wish, evidence)
            evidence.explanations[why or "unexplained"] += 1
            if not why:
                text = f"call {call.id} was told {answer.type}, charged: unknown: {answer.text[:300]}"
                yield Finding("6 unexplained", text, wish.prompt)


def _explanation(wish: Wish, evidence: Evidence) -> str:
    for order in evidence.books.of(wish.prompt):
        ends = [how for how, _ in order.ends if how in ("cut", "never")]
        if ends:
            return ends[0]
        for plan in order.plans:
            if plan.kind in ("unusable", "unended") or plan.status >= 500:
                return plan.kind
            if evidence.rail == "wallet" and (plan.status >= 300 or plan.form == "failed"):
                return "a signature was refused"
        if evidence.was_troubled(order):
            return "a fault"
    if any(wish.was_troubled(call.sent - _BEFORE, call.end + _AFTER) for call in wish.calls):
        return "a fault"
    return ""


def _wrongly_signed(evidence: Evidence) -> Iterator[Finding]:
    """Nothing is signed for a quote that lies, and no address is followed."""
    for prompt, text in evidence.books.accusations:
        yield Finding("7 wrongly signed", text, prompt)
    for line in evidence.books.strangers:
        yield Finding("7 wrongly signed", f"another host was asked: {line}")


def _answers(evidence: Evidence) -> Iterator[tuple[Wish, Call, Answer]]:
    for wish in evidence.wishes.values():
        for call, answer in wish.answers:
            yield wish, call, answer


def what_is_shown(content: bytes) -> bytes:
    """Return a picture's pixels, which saving leaves as they are, or what is no picture as it is."""
    try:
        with Picture.open(BytesIO(content)) as picture:
            return picture.convert("RGBA").tobytes()
    except Exception:  # noqa: BLE001 - decoders raise all kinds
        return content
