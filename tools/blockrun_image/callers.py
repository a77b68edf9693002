"""The caller of a tool, and the delivery of its answer."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

OnDelivery: TypeAlias = Callable[[bool], Awaitable[None]]
"""Called with whether the answer was written to the caller."""


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
        """Await `report` when the answer was written, or when it no longer can be."""
        ...
