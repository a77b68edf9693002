"""Reports of the spending and of the pictures made."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from blockrun_image.attempts import Payment
from blockrun_image.images import Image
from blockrun_image.text import clean, clip
from blockrun_image_mcp.ledger.limits import Limits, in_usd

_SET_ASIDE = ("reserved", "sent", "accepted", "held")
SCHEME = "images://"
"""The scheme of the URIs of saved pictures, as MCP resources."""

_SHOWN_CHARACTERS = 80
_SHOWN_WARNING = 1_000


@dataclass(frozen=True)
class Total:
    """The number and cost of the attempts with one model and state.

    Amounts are in millionths of a US dollar. The excess is the part of the charges above the reservations.
    """

    model: str
    state: str
    attempts: int
    micro_usd: int
    excess_micro_usd: int


@dataclass(frozen=True)
class Days:
    """A range of UTC days such as `2026-11-22`, both ends included."""

    first: str
    last: str


ALL_DAYS = Days("0000-01-01", "9999-12-31")
GroupedBy: TypeAlias = Literal["day", "model"]


@dataclass(frozen=True)
class Group:
    """The number of attempts of one day or model, and their cost in millionths of a US dollar."""

    name: str
    attempts: int
    micro_usd: int


@dataclass(frozen=True)
class Spending:
    """The spending in a range of days, by day or by model."""

    days: Days
    by: GroupedBy
    groups: Sequence[Group]

    @property
    def micro_usd(self) -> int:
        """The sum of all groups, in millionths of a US dollar."""
        return sum(group.micro_usd for group in self.groups)

    def to_dict(self) -> dict[str, object]:
        """Return the spending as data; amounts are decimal strings of US dollars."""
        return {
            **({} if self.days.first == ALL_DAYS.first else {"since": self.days.first}),
            **({} if self.days.last == ALL_DAYS.last else {"until": self.days.last}),
            "spent_usd": _plain(self.micro_usd),
            f"{self.by}s": [
                {self.by: group.name, "calls": group.attempts, "usd": _plain(group.micro_usd)} for group in self.groups
            ],
        }

    def to_text(self) -> str:
        """Return the spending as text: the sum, and a line for each day or model."""
        lines = [f"{group.name:30} {_calls(group.attempts):>10} {in_usd(group.micro_usd):>12}" for group in self.groups]
        return "\n".join([f"{self._range()} (UTC): {in_usd(self.micro_usd)} spent.", *lines])

    def _range(self) -> str:
        since = "" if self.days.first == ALL_DAYS.first else f"since {self.days.first}"
        until = "" if self.days.last == ALL_DAYS.last else f"until {self.days.last}"
        return " ".join(filter(None, (since, until))).capitalize() or "All days"


@dataclass(frozen=True)
class DailySpending:
    """The spending of one UTC day, and its limits."""

    day: str
    limits: Limits
    totals: Sequence[Total]

    @property
    def spent_micro_usd(self) -> int:
        """The sum that counts against the day's budget: settled, held and unknown."""
        return sum(total.micro_usd for total in self.totals)

    def to_dict(self) -> dict[str, object]:
        """Return the statement as data; amounts are decimal strings of US dollars."""
        return {
            "day": self.day,
            "spent_usd": _plain(self.spent_micro_usd),
            "held_usd": _plain(self._sum(*_SET_ASIDE)),
            "unknown_usd": _plain(self._sum("unknown")),
            "excess_usd": _plain(self._excess()),
            "left_usd": None if self.limits.day_micro_usd is None else _plain(self._remaining()),
            "daily_budget_usd": _optional(self.limits.day_micro_usd),
            "max_cost_usd": _optional(self.limits.call_micro_usd),
            "models": [
                {"model": total.model, "state": total.state, "calls": total.attempts, "usd": _plain(total.micro_usd)}
                for total in self.totals
            ],
        }

    def summary(self) -> str:
        """Return the day's spending and remaining budget, in a few words."""
        budget = self.limits.day_micro_usd
        remaining = "no daily limit" if budget is None else f"{in_usd(self._remaining())} of {in_usd(budget)} left"
        return f"{self.day} (UTC): {in_usd(self.spent_micro_usd)} spent, {remaining}"

    def to_text(self) -> str:
        """Return the statement as text."""
        lines = [f"{self.summary()}."]
        lines += [
            f"{total.model:20} {total.state:9} {_calls(total.attempts):>10} {in_usd(total.micro_usd):>12}"
            for total in self.totals
            if total.micro_usd
        ]
        if self._sum("unknown"):
            lines.append("Unknown: sent, and never answered. It counts as spent; check the account.")
        if self._sum("held"):
            lines.append("Held: refused, but the signed payment can be used. It counts as spent; see recover.")
        if self._excess():
            lines.append(f"Gateways have charged {in_usd(self._excess())} more than was set aside for these calls.")
        return "\n".join(lines)

    def _sum(self, *states: str) -> int:
        return sum(total.micro_usd for total in self.totals if total.state in states)

    def _excess(self) -> int:
        return sum(total.excess_micro_usd for total in self.totals)

    def _remaining(self) -> int:
        return max(0, (self.limits.day_micro_usd or 0) - self.spent_micro_usd)


@dataclass(frozen=True)
class AttemptReport:
    """One attempt, with its pictures."""

    id: str
    state: str
    created_at: float
    model: str
    size: str
    n: int
    prompt: str
    reserved_micro_usd: int
    charged_micro_usd: int | None
    job: str | None
    payment: Payment | None
    images: Sequence[Image]
    warnings: Sequence[str] = ()

    @property
    def files(self) -> Sequence[str]:
        """The paths of its saved pictures."""
        return [str(path) for image in self.images for path, _ in image.files]

    @property
    def resources(self) -> Sequence[str]:
        """The URIs of its saved pictures, as MCP resources."""
        ids = dict.fromkeys(id for image in self.images for _, id in image.files if id)
        return [f"{SCHEME}{id}" for id in ids]

    def to_dict(self, *, is_sandbox: bool = False) -> dict[str, object]:
        """Return the attempt as data; amounts are decimal strings of US dollars.

        `charged_usd` is `None` if the charge is unknown. On the sandbox it is 0.00, and `simulated_usd` is the charge.
        """
        charged = _optional(self.charged_micro_usd)
        return {
            "id": self.id,
            "state": self.state,
            "created": self._created_text(),
            "model": self.model,
            "size": self.size,
            "n": self.n,
            "prompt": clip(self.prompt, 1_000),
            "estimated_usd": _plain(self.reserved_micro_usd),
            **({"charged_usd": "0.00", "simulated_usd": charged} if is_sandbox else {"charged_usd": charged}),
            **({} if self.job is None else {"job": self.job}),
            "images": [image.url for image in self.images],
            **({"files": self.files} if self.files else {}),
            **({"resources": self.resources} if self.resources else {}),
            **({"warnings": [clip(each, _SHOWN_WARNING) for each in self.warnings]} if self.warnings else {}),
        }

    def to_text(self, missing: Collection[str] = ()) -> str:
        """Return the attempt as text: time, cost and model, then its pictures.

        `missing` are those of its files that no longer exist.
        """
        cost = self.reserved_micro_usd if self.charged_micro_usd is None else self.charged_micro_usd
        head = f"{self._created_text()}  {self.state:9}{in_usd(cost):>9}  {self.model} {self.size}"
        warnings = [clean(each, _SHOWN_WARNING) for each in self.warnings]
        urls = [image.url or "" for image in self.images]
        files = [f"Saved: {file}{' (file missing)' if file in missing else ''}" for file in self.files]
        about = [clean(self.prompt, _SHOWN_CHARACTERS), *urls, *files, *warnings]
        return "\n  ".join([head, *about])

    def _created_text(self) -> str:
        return datetime.fromtimestamp(self.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def _plain(micro_usd: int) -> str:
    return in_usd(micro_usd).removeprefix("$")


def _optional(micro_usd: int | None) -> str | None:
    return None if micro_usd is None else _plain(micro_usd)
