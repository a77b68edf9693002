"""Unanswered calls; a repeated call joins an earlier one instead of buying again."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from blockrun_image.attempts import CallInfo
from blockrun_image.purchase import Purchase


@dataclass(eq=False)
class OpenCall:
    """An unanswered call; `joined` is the earlier call with the same purchase.

    `arrived_at` is in seconds by anyio's clock, and minus infinity if the call may have waited before it was read.
    `is_pending` is true if the call was answered as pending before the ledger had its purchase.
    """

    info: CallInfo
    arrived_at: float
    purchase: Purchase
    joined: "OpenCall | None" = None
    is_pending: bool = False

    @property
    def seconds(self) -> float:
        """The seconds since the call arrived."""
        return anyio.current_time() - self.arrived_at


class OpenCalls:
    """All open calls of a toolset.

    Clients give up on slow calls, often without a cancellation, and call again. So an identical call of the same
    caller joins an earlier one, unless it comes within `join_seconds`: agents ask for variations with several identical
    calls at once.
    """

    def __init__(self, join_seconds: float) -> None:
        self._join_seconds = join_seconds
        self._calls: list[OpenCall] = []

    def open(self, info: CallInfo, new_purchase: Callable[[], Purchase], arrived_at: float) -> OpenCall:
        """Add a call, which joins an earlier identical one.

        It joins the oldest call that no other open call has joined. A call that may have waited before it was read
        joins at any time, because the seconds between the two are unknown.
        """
        self._calls = [each for each in self._calls if not each.is_pending or each.purchase.is_not_in_ledger_yet]
        earlier = next(filter(self._is_joinable(info, arrived_at), self._calls), None)
        purchase = new_purchase() if earlier is None else earlier.purchase
        purchase.is_abandoned = False  # it has a caller again
        call = OpenCall(info, arrived_at, purchase, earlier)
        self._calls.append(call)
        return call

    def leave(self, call: OpenCall) -> None:
        """Mark a call as answered without pictures while its purchase continues.

        Once the ledger has the purchase, an identical call finds it there; until then it must be found here.
        """
        call.is_pending = True
        if not call.purchase.is_not_in_ledger_yet:
            self.close(call)

    def close(self, call: OpenCall) -> bool:
        """Remove a finished call, and return whether it was the last of its purchase."""
        if call in self._calls:
            self._calls.remove(call)
        is_last = not any(each.purchase is call.purchase and not each.is_pending for each in self._calls)
        if is_last and not call.is_pending:
            self._calls = [each for each in self._calls if each.purchase is not call.purchase]
        return is_last

    def _is_joinable(self, info: CallInfo, arrived_at: float) -> Callable[[OpenCall], bool]:
        # Each call is joined only once, so that the repetitions of several variations join one each.
        joined = [each.joined for each in self._calls]

        def is_joinable(call: OpenCall) -> bool:
            is_late = arrived_at == -math.inf or arrived_at - call.arrived_at >= self._join_seconds
            is_abandoned = call.purchase.is_abandoned and not call.is_pending
            return is_late and call.info == info and call not in joined and not is_abandoned

        return is_joinable
