"""The timings that the three tools use."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class CallTimings:
    """How long a call and its parts may take, in seconds."""

    call_timeout_seconds: float = math.inf
    """After which a call is answered as pending."""
    send_share: float = 0.8
    """The share of the timeout in which the request may leave; the rest is for the answer."""
    join_seconds: float = 2.0
    """From a call to the same call again, for that to be a repetition and not another variation."""
    slow_call_seconds: float = 5.0
    """After which a caller may have given up before the answer came."""
    attempt_poll_seconds: float = 0.25
    """Between two checks of an attempt that another call works on."""
    abandon_seconds: float = 1.0
    """To note that a caller has gone, which must not hold that caller up."""

    @property
    def send_seconds(self) -> float:
        """How long after its start a call may send its request."""
        return self.call_timeout_seconds * self.send_share
