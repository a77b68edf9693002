"""What this process works on, and what it has seen, by the monotonic clock."""

import time
from collections.abc import Sequence
from typing import TypeVar

from blockrun_image_mcp.ledger.store import StoredAttempt
from blockrun_image_mcp.timings import Timings

T = TypeVar("T")

_MAX_REMEMBERED = 1_000


class Memory:
    """The memory of one process; it forgets the oldest of what becomes too much."""

    def __init__(self, timings: Timings) -> None:
        self.working: set[str] = set()
        """The ids of the attempts that this process works on."""
        self._timings = timings
        self._sent_since: dict[str, float] = {}
        self._polls_since: dict[str, tuple[int, float]] = {}
        self._repeats: dict[str, int] = {}
        self._asked_at: dict[str, float] = {}

    def next_to_repeat(self, ids: Sequence[str]) -> str:
        """Return the one that was repeated least often, so that variations are repeated in turn."""
        times = {id: self._repeats.get(id, 0) for id in ids}
        chosen = min(times, key=times.__getitem__)
        _remember(self._repeats, chosen, times[chosen] + 1)
        return chosen

    def is_overdue(self, id: str) -> bool:
        """Return whether an attempt is known as sent for longer than any answer takes.

        The process that works on it may live and yet do nothing, if it is stopped or the machine was asleep.
        """
        since = self._sent_since.get(id)
        if since is None:
            _remember(self._sent_since, id, since := time.monotonic())
        return time.monotonic() - since > self._timings.write_seconds + self._timings.answer_seconds

    def may_ask_again(self, id: str) -> bool:
        """Return whether this process has not asked after a lost job for an hour."""
        asked_at = self._asked_at.get(id)
        if asked_at is not None and time.monotonic() - asked_at < self._timings.lost_job_seconds:
            return False
        _remember(self._asked_at, id, time.monotonic())
        return True

    def has_missed_polls(self, row: StoredAttempt) -> bool:
        """Return whether no poll of a job was seen for several intervals."""
        polls, since = self._polls_since.get(row.id, (-1, 0.0))
        if polls != row.polls:
            _remember(self._polls_since, row.id, (row.polls, time.monotonic()))
            return False
        interval_seconds = max(row.poll_seconds, self._timings.poll_seconds)
        return time.monotonic() - since > self._timings.missed_polls * interval_seconds


def _remember(memory: dict[str, T], id: str, value: T) -> None:
    memory[id] = value
    if len(memory) > _MAX_REMEMBERED:
        del memory[next(iter(memory))]
