"""A call of `generate_image` and its outcome, whichever process performs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from blockrun_image.errors import ImageError
from blockrun_image_mcp.ledger.confirmation import Ask

if TYPE_CHECKING:
    from blockrun_image.callers import Caller, Delivery
    from blockrun_image.ports import OnStatus


class CallEnded(Exception):  # noqa: N818 - not an error: the client answers the question with a new call
    """Raised by `ask` to end a call whose question the client's next call will answer."""


@dataclass(frozen=True)
class PaidCall:
    """A call of `generate_image`, with the arguments as the client wrote them.

    The other fields are parameters of `ImageToolset.generate_image`; `ask` asks the user.
    """

    arguments: Mapping[str, Any]
    ask: Ask
    on_status: "OnStatus"
    caller: "Caller"
    delivery: "Delivery | None" = None
    arrived_at: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The answer to a call: a result or an error, as text and as structured content.

    `paths` are the files of its pictures.
    """

    text: str
    content: Mapping[str, object]
    is_error: bool = False
    paths: Sequence[Path] = ()

    @classmethod
    def of_error(cls, error: ImageError) -> "Outcome":
        """Return the outcome of a failed call."""
        return cls(error.to_text(), error.to_dict(), is_error=True)


class PaidCalls(Protocol):
    """Performs paid calls elsewhere."""

    async def perform(self, call: PaidCall) -> Outcome:
        """Perform a call; raises what `ask` raises to end it, and nothing else."""
        ...
