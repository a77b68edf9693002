"""Scripted faults: what the next generation calls shall suffer, in order."""

from collections import deque
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_MOST_FAULTS = 1_000


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,4096}$")]


class Fault(BaseModel):
    """What one call suffers.

    `status`, `headers` and `body` replace those of the answer; a bare error status comes with the API's own error body.
    `delay_seconds` is waited before the answer. `cut` ends the connection: `before` the work is done (so nothing is
    charged), `during` the answer, or `after` the work and before the answer. `slow` answers 202 with a job; its polls
    suffer `polls` one by one, a fault's `delay_seconds` is then how long the job takes, and an error status fails it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int | None = Field(default=None, ge=200, le=599)
    headers: dict[HeaderName, HeaderValue] = {}
    body: Any = None
    delay_seconds: float = Field(default=0, ge=0, le=600)
    cut: Literal["before", "during", "after"] | None = None
    slow: bool = False
    polls: "tuple[Fault, ...]" = ()

    @property
    def is_refusal(self) -> bool:
        """Whether the call is not worked on, and so not charged."""
        return self.cut == "before" or (self.status is not None and self.status >= 300)


NO_FAULT = Fault()
_SCRIPT: TypeAdapter[list[Fault]] = TypeAdapter(Annotated[list[Fault], Field(max_length=_MOST_FAULTS)])


class FaultScript:
    """The faults that are still to come."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._faults = deque(faults)

    @classmethod
    def parse(cls, text: bytes) -> "FaultScript":
        """Read a JSON list of faults; raises `pydantic.ValidationError` for anything else."""
        return cls(_SCRIPT.validate_json(text))

    def __len__(self) -> int:
        return len(self._faults)

    def next(self) -> Fault:
        """Return the next fault, or none."""
        return self._faults.popleft() if self._faults else NO_FAULT
