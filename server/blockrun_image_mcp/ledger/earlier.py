"""Finds the results of earlier calls."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from blockrun_image.attempts import AttemptState, CallInfo, Order, UncollectedPictures
from blockrun_image.errors import ConfirmationError
from blockrun_image_mcp.ledger.memory import Memory
from blockrun_image_mcp.ledger.records import ending
from blockrun_image_mcp.ledger.store import Account, AttemptStore, Delivered, Moment, StoredAttempt
from blockrun_image_mcp.timings import Timings

IsAlive = Callable[[str], bool]
"""Returns whether the process with an id is alive."""

_MAX_NAMED = 3


@dataclass(frozen=True)
class EarlierAttempts:
    """The attempts of an account for one caller to collect.

    `now` is the time of the call, and `waited_seconds` is how long the call had waited by then. `save_as` is the name
    for its pictures, empty without one.
    """

    store: AttemptStore
    account: Account
    caller: str
    is_alive: IsAlive
    memory: Memory
    timings: Timings
    now: Moment
    waited_seconds: float = 0.0
    save_as: str = ""

    def approved(self, order: Order | None) -> StoredAttempt | None:
        """Return the attempt made with the order's approval.

        An approval is valid for one attempt. Raises `ConfirmationError` if that attempt was released or is held.
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
        """Return an abandoned attempt at the same call worth collecting.

        Reserved attempts found on the way are released.
        """
        for row in self.store.undelivered(self.account, keys):
            if any(caller.is_pending for caller in self.store.callers(row.id)):
                continue
            if row.state is AttemptState.RESERVED:  # it was not sent, and once released it cannot be
                self.store.change(row.id, **ending(row, AttemptState.RELEASED, self.now))
            elif self._is_worth_collecting(row):
                return row
        return None

    def repeatable(self, keys: Sequence[str]) -> StoredAttempt | None:
        """Return an attempt at the same call with pictures its caller may have missed."""
        seconds = self.timings.repeatable_seconds + self.waited_seconds  # the call's own wait does not count
        found = [
            each.id
            for each in self.store.repeatable(self.account, keys)
            if each.delivered.seconds_until(self.now) < seconds and self._may_have_missed(each)
        ]
        return self.store.find(self.memory.next_to_repeat(found)) if found else None

    def uncollected(self, collected: StoredAttempt | None) -> Sequence[UncollectedPictures]:
        """Return up to three finished attempts with pictures no caller waits for, newest first.

        They are this caller's own, and those without a caller or with one whose process has ended. `collected` is left
        out.
        """
        found: list[UncollectedPictures] = []
        for row in self.store.uncollected(self.account):
            callers = self.store.callers(row.id)
            is_free = not any(each.is_pending for each in callers)
            # the attempts of older versions have no callers
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
        # Whichever client calls: a host may start another server while the one that was answered lives on. A call that
        # names another file wants a new picture.
        return not delivered.callers or any(each.save_as == self.save_as for each in delivered.callers)


def keys_of(call: CallInfo, order: Order | None) -> Sequence[str]:
    """Return a call's key, and its key in ledgers of older versions."""
    if order is None:
        return [call.key]
    body = replace(order.request, sent_as="").body()
    return [call.key, f"request:{hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()}"]
