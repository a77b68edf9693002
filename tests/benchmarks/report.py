"""What was measured, as a table for people and as data for programs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One figure in every round: ours, the floor's where it has one, and what ours should at most be.

    With a floor, `most` is a ratio to it; without one, it is an amount. Either is of the medians.
    """

    name: str
    ours: Sequence[float]
    floor: Sequence[float] = ()
    most: float | None = None

    @property
    def ratios(self) -> Sequence[float]:
        """What ours is as a multiple of the floor, of the medians and of the minima."""
        return [each(self.ours) / each(self.floor) for each in (median, min)] if self.floor else []

    @property
    def within(self) -> bool:
        """Whether ours is at most what it should be."""
        measured = self.ratios[0] if self.floor else median(self.ours)
        return self.most is None or measured <= self.most

    def to_dict(self) -> dict[str, object]:
        """Return the figure as data."""
        data: dict[str, object] = {"ours": _summary(self.ours), "rounds": len(self.ours)}
        if self.floor:
            data |= {"floor": _summary(self.floor), "ratio": _named(self.ratios)}
        if self.most is not None:
            data |= {"most": self.most, "within": self.within}
        return data

    def to_row(self) -> list[str]:
        """Return the figure as a line of the table; what was measured once has no minimum."""
        ratios = [f"{ratio:.2f}x" for ratio in self.ratios] or ["", ""]
        pairs = [_pair(self.ours), _pair(self.floor), ratios]
        if len(self.ours) == 1:
            pairs = [[first, ""] for first, _ in pairs]
        return [self.name.replace("_", " "), *chain(*pairs), self._verdict()]

    def _verdict(self) -> str:
        if self.most is None:
            return ""
        bound = f"{self.most:.2f}x" if self.floor else _number(self.most)
        return f"at most {bound}: {'met' if self.within else 'MISSED'}"


_HEADS = ["", "ours", "minimum", "floor", "minimum", "ratio", "minima", "bound"]


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a table."""
    rows = [_HEADS, *(figure.to_row() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if 0 < place < len(row) - 1 else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _pair(values: Sequence[float]) -> list[str]:
    return [_number(median(values)), _number(min(values))] if values else ["", ""]


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 200 or value == int(value) else f"{value:.1f}"


def _summary(values: Sequence[float]) -> dict[str, float]:
    return _named([median(values), min(values)])


def _named(values: Sequence[float]) -> dict[str, float]:
    return dict(zip(("median", "minimum"), (round(value, 3) for value in values), strict=True))
