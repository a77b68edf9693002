"""The table of turns: when requests may leave to models that take so many a minute."""

import sqlite3
from dataclasses import dataclass

from blockrun_image_mcp.ledger.attempts import Account


@dataclass(frozen=True)
class Turn:
    """A wish for a turn of a model that takes so many requests in a window, at most so many seconds from now."""

    model: str
    per_window: int
    within_seconds: float
    window_seconds: float


def book(connection: sqlite3.Connection, account: Account, wish: Turn, now: float) -> float:
    """Book the next turn and return the seconds until then; one that is too far away is not booked.

    No window then holds more turns than the model takes, however it is cut out of time.
    """
    mine = (account.gateway, account.principal, wish.model)
    connection.execute("DELETE FROM turns WHERE at < ?", (now - wish.window_seconds,))
    row = connection.execute(
        "SELECT at FROM turns WHERE gateway = ? AND principal = ? AND model = ? ORDER BY at DESC LIMIT 1 OFFSET ?",
        (*mine, wish.per_window - 1),
    ).fetchone()
    at = now if row is None else max(now, row[0] + wish.window_seconds)
    if at - now <= wish.within_seconds:
        connection.execute("INSERT INTO turns VALUES (?, ?, ?, ?)", (*mine, at))
    return at - now
