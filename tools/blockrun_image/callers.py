"""The caller of a tool, and the delivery of its answer."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeAlias


class DeliveryEvent(Enum):
    """What became of an answer."""

    WRITTEN = auto()
    """It was written to the caller, who may have given up waiting."""
    LOST = auto()
    """It was not written, and no longer can be."""
    CANCELLED = auto()
    """It was written, and then the caller cancelled the call."""


OnDelivery: TypeAlias = Callable[[DeliveryEvent], Awaitable[None]]
"""Called with what became of an answer: written or lost, and after it was written perhaps cancelled."""


@dataclass(frozen=True)
class Caller:
    """The owner of a call: a process, a session or a principal, by a unique id."""

    id: str

    @classmethod
    def new(cls) -> "Caller":
        """Return a caller with a random id."""
        return cls(str(uuid.uuid4()))


class Delivery(Protocol):
    """Delivers the answer of one call."""

    def on_report(self, report: OnDelivery) -> None:
        """Await `report` for each event of the delivery."""
        ...
