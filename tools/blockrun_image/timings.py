"""The timings of the three tools."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class CallTimings:
    """The limits and intervals of a call, in seconds."""

    call_timeout_seconds: float = math.inf
    """The longest time until a call is answered as pending."""
    send_share: float = 0.8
    """The share of the timeout in which the request may be sent; the rest is for the response."""
    join_seconds: float = 2.0
    """The time after which an identical call is a repetition; an earlier one asks for a variation."""
    slow_call_seconds: float = 5.0
    """The time after which a caller may have given up before the answer came."""
    saving_seconds: float = math.inf
    """The longest wait for pictures to be saved; after that they are saved without the caller."""
    attempt_poll_seconds: float = 0.25
    """The time between two checks of an attempt that another call works on."""
    abandon_seconds: float = 1.0
    """The longest time for recording that a caller has gone, as the caller must not be held up."""

    @property
    def send_seconds(self) -> float:
        """The seconds from a call's start until its request must be sent."""
        return self.call_timeout_seconds * self.send_share
