"""How long a call and its parts may take."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class CallTimings:
    """How long a call and its parts may take, in seconds."""

    call_timeout_seconds: float = math.inf
    """Until a call is answered without its pictures."""
    send_share: float = 0.8
    """The share of that in which its request leaves or never does, so that a refusal still comes in time."""
    attempt_poll_seconds: float = 0.25
    """Between two looks at an attempt that others work on."""
    abandon_seconds: float = 1.0
    """For a note that a caller has gone, which must not hold that caller up."""

    @property
    def send_seconds(self) -> float:
        """How long after a call its request may leave."""
        return self.call_timeout_seconds * self.send_share
