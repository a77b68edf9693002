"""Finds what earlier calls have bought."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from blockrun_image.attempts import AttemptState, MadeCall, Order, UncollectedPictures
from blockrun_image.errors import ConfirmationError
from blockrun_image_mcp.ledger.memory import Memory
from blockrun_image_mcp.ledger.records import ending
from blockrun_image_mcp.ledger.store import Account, AttemptStore, Delivered, Moment, Repeatable, StoredAttempt
from blockrun_image_mcp.timings import Timings

IsAlive = Callable[[str], bool]
"""Returns whether a process is alive, by its id."""

_MAX_NAMED = 3


@dataclass(frozen=True)
class EarlierAttempts:
    """The attempts of an account, as one caller may collect them at the time `now`, with a call that has waited."""

    store: AttemptStore
    account: Account
    caller: str
    is_alive: IsAlive
    memory: Memory
    timings: Timings
    now: Moment
    waited_seconds: float = 0.0

    def approved(self, order: Order | None) -> StoredAttempt | None:
        """Return the attempt that was made with the order's approval, which is good for no other.

        Raises `ConfirmationError` if nothing came of it.
        """
        row = None if order is None or order.approval is None else self.store.find_approved(order.approval.id)
        if row is not None and row.state in (AttemptState.RELEASED, AttemptState.HELD):
            raise ConfirmationError(
                f"This call was approved and made before, as attempt {row.id} ({row.state.value}). Nothing was sent"
                " again.",
                hint="Run `blockrun-image-mcp images` to see the result. A new call asks the user again.",
            )
        return row

    def abandoned(self, keys: Sequence[str]) -> StoredAttempt | None:
        """Return an attempt at the same call that no caller waits for and that is worth collecting."""
        for row in self.store.undelivered(self.account, keys):
            if any(caller.is_pending for caller in self.store.callers(row.id)):
                continue
            if row.state is AttemptState.RESERVED:  # nothing has left, and now nothing will
                self.store.change(row.id, **ending(row, AttemptState.RELEASED, self.now))
            elif self._is_worth_collecting(row):
                return row
        return None

    def repeatable(self, keys: Sequence[str]) -> StoredAttempt | None:
        """Return an attempt at the same call whose delivered pictures a caller may have missed."""
        seconds = self.timings.repeatable_seconds + self.waited_seconds
        found = [
            each.id
            for each in self.store.repeatable(self.account, keys)
            if each.delivered.seconds_until(self.now) < seconds and self._may_have_missed(each)
        ]
        return self.store.find(self.memory.next_to_repeat(found)) if found else None

    def uncollected(self, collected: StoredAttempt | None) -> Sequence[UncollectedPictures]:
        """Return finished pictures that no caller waits for: this caller's, and those of callers that have gone.

        Those that are collected now are left out.
        """
        found: list[UncollectedPictures] = []
        for row in self.store.uncollected(self.account):
            callers = self.store.callers(row.id)
            is_free = not any(each.is_pending for each in callers)
            is_ours = not callers or any(
                each.caller == self.caller or not self.is_alive(each.process) for each in callers
            )
            if is_free and is_ours and (collected is None or row.id != collected.id):
                urls = [image.url for image in row.response.images if image.url]
                found.append(UncollectedPictures(row.id, row.request, urls))
        return found[:_MAX_NAMED]

    def _is_worth_collecting(self, row: StoredAttempt) -> bool:
        if row.state in (AttemptState.SENT, AttemptState.HELD, AttemptState.UNKNOWN) and row.is_unknown_told:
            return False
        has_pictures = row.state is AttemptState.SETTLED and row.response.images
        seconds = self.timings.pictures_seconds if has_pictures else self.timings.collectable_seconds
        return row.ended is None or row.ended.seconds_until(self.now) < seconds

    def _may_have_missed(self, delivered: Delivered) -> bool:
        if delivered.repeatable is Repeatable.BY_ANYONE:
            return True
        return any(each.caller == self.caller or not self.is_alive(each.process) for each in delivered.callers)


def keys_of(call: MadeCall, order: Order | None) -> Sequence[str]:
    """Return the key of a call, and the one that it had in ledgers of older versions."""
    if order is None:
        return [call.key]
    body = replace(order.request, sent_as="").body()
    return [call.key, f"request:{hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()}"]
