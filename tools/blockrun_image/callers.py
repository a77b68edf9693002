"""Whose a call is, and how its answer gets there."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

OnDelivery: TypeAlias = Callable[[bool], Awaitable[None]]
"""Is told whether an answer has been written to its caller."""


@dataclass(frozen=True)
class Caller:
    """Whose a call is: a process, a session or a principal, by an id that no other has."""

    id: str

    @classmethod
    def new(cls) -> "Caller":
        """Return a caller with a random id."""
        return cls(str(uuid.uuid4()))


class Delivery(Protocol):
    """The way of one call's answer to its caller."""

    def on_report(self, report: OnDelivery) -> None:
        """Await `report` once the answer has been written, or can no longer be."""
        ...
