"""The tables that `make prompts` and `make panel` print."""

from collections.abc import Iterable, Sequence

_TEXTS = 2
"""How many columns, from the left, hold text; figures stand at the right of theirs."""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as lines of text; the first row has the heads, the last column has remarks."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Iterable[str], widths: Iterable[int]) -> str:
    cells = [
        cell.ljust(width) if place < _TEXTS else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join([*cells[:-1], cells[-1].strip()]).rstrip()
