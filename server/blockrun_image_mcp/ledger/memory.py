"""Remembers this process's work, and its observations by the monotonic clock."""

import time
from collections.abc import Sequence
from typing import TypeVar

from blockrun_image_mcp.ledger.store import StoredAttempt
from blockrun_image_mcp.timings import Timings

T = TypeVar("T")

_MAX_REMEMBERED = 1_000


class Memory:
    """The memory of one process; its oldest entries are dropped."""

    def __init__(self, timings: Timings) -> None:
        self.working: set[str] = set()
        """The ids of this process's attempts under way."""
        self._timings = timings
        self._sent_since: dict[str, float] = {}
        self._polls_since: dict[str, tuple[int, float]] = {}
        self._repeats: dict[str, int] = {}
        self._polled_at: dict[str, float] = {}

    def next_to_repeat(self, ids: Sequence[str]) -> str:
        """Return the id repeated least often.

        Several results of one call are variations, and are so repeated in turn.
        """
        times = {id: self._repeats.get(id, 0) for id in ids}
        chosen = min(times, key=times.__getitem__)
        _remember(self._repeats, chosen, times[chosen] + 1)
        return chosen

    def is_overdue(self, id: str) -> bool:
        """Return whether an attempt has been sent for longer than any answer takes.

        The time counts from the first call of this method for the attempt. Its process may be alive but stopped, or the
        machine may have been asleep.
        """
        since = self._sent_since.get(id)
        if since is None:
            _remember(self._sent_since, id, since := time.monotonic())
        return time.monotonic() - since > self._timings.write_seconds + self._timings.answer_seconds

    def may_ask_again(self, id: str) -> bool:
        """Return whether a lost job may be polled again: once an hour."""
        polled_at = self._polled_at.get(id)
        if polled_at is not None and time.monotonic() - polled_at < self._timings.lost_job_seconds:
            return False
        _remember(self._polled_at, id, time.monotonic())
        return True

    def has_missed_polls(self, row: StoredAttempt) -> bool:
        """Return whether several polls of a job are overdue."""
        # the polls are counted because the wall clock, by which they could be timed, may jump
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
