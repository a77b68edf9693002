"""The caller of a tool, and the delivery of its answer."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeAlias


class DeliveryEvent(Enum):
    """An event in the delivery of an answer."""

    WRITTEN = auto()
    """The answer was written to the caller, who may have given up waiting."""
    LOST = auto()
    """The answer was not written, and no longer can be."""
    CANCELLED = auto()
    """The answer was written, and then the caller cancelled the call."""


OnDelivery: TypeAlias = Callable[[DeliveryEvent], Awaitable[None]]
"""A callback for delivery events: written or lost, and perhaps cancelled after written."""


@dataclass(frozen=True)
class Caller:
    """The owner of a call, by a unique id.

    It is a process, a session or a principal. `process` is the ledger's id of the process that the caller is connected
    to; empty, it is the ledger's own.
    """

    id: str
    process: str = ""

    @classmethod
    def new(cls) -> "Caller":
        """Return a caller with a random id."""
        return cls(str(uuid.uuid4()))


class Delivery(Protocol):
    """Delivers the answer of one call."""

    def on_report(self, report: OnDelivery) -> None:
        """Register a callback to be awaited for each event of the delivery."""
        ...
