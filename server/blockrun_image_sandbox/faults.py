"""Scripted faults for the next generation calls, in order."""

from collections import deque
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from blockrun_image_sandbox.settlements import Kind
from blockrun_image_sandbox.x402 import PaymentCode

_MAX_FAULTS = 1_000


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,4096}$")]


class Fault(BaseModel):
    """The fault of one call.

    `on` selects the call: one that asks for a quote, one that is paid (by key or by signature), or one that asks for
    the list of models. Without it, it is the next generation call that the fault can affect.

    `status`, `headers` and `body` replace those of the response; a bare error status comes with the API's own error
    body, a `payment_code` with a 402 of that code, and a header that is `null` is left out. An error is not charged and
    any other response is, unless `settles` says otherwise. The response comes after `delay_seconds`.

    `cut` ends the connection: `before` the work is done (so nothing is charged), `during` the response, or `after` the
    work and before the response; with `reset` abruptly, as a crash would. `slow` answers 202 with a job: its `polls`
    are the faults of its polls, one by one, `delay_seconds` is then the duration of the job, and a `status` fails it.
    `poll_url` replaces the address of its polls, with the job's id for `{id}`.

    `as` says how the pictures come: as a `url` to fetch, as a URL that holds the `data`, or as `b64_json`.

    `challenge` is laid over an honest quote by `x402.overridden`; it may replace the quote's `price` too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: Kind | None = None
    status: int | None = Field(default=None, ge=200, le=599)
    headers: dict[HeaderName, HeaderValue | None] = {}
    body: Any = None
    payment_code: PaymentCode | None = None
    settles: bool | None = None
    delay_seconds: float = Field(default=0, ge=0, le=600)
    cut: Literal["before", "during", "after"] | None = None
    reset: bool = False
    slow: bool = False
    polls: "tuple[Fault, ...]" = ()
    poll_url: str | None = None
    given_as: Literal["url", "data", "b64_json"] = Field(default="url", alias="as")
    challenge: dict[str, Any] = {}

    @property
    def is_refusal(self) -> bool:
        """Whether the call is refused without work and without a charge."""
        if self.cut == "before" or self.settles is not None:
            return not self.settles or self.cut == "before"
        return self.payment_code is not None or (self.status is not None and self.status >= 300)

    @property
    def is_scripted(self) -> bool:
        """Whether the fault has a response of its own."""
        return self.status is not None or self.payment_code is not None

    def hits(self, kind: Kind) -> bool:
        """Return whether the fault affects a request of this kind."""
        if self.on is not None or kind == "models":
            return self.on == kind
        # A challenge belongs to a quote; jobs, payment codes, settlements and pictures belong to a paid call.
        of_paid_calls = self.slow or self.payment_code or self.settles is not None or self.given_as != "url"
        return not (self.challenge if kind == "paid" else of_paid_calls)


NO_FAULT = Fault()
_SCRIPT: TypeAdapter[list[Fault]] = TypeAdapter(Annotated[list[Fault], Field(max_length=_MAX_FAULTS)])


class FaultScript:
    """The faults still to come."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._faults = deque(faults)

    @classmethod
    def parse(cls, text: bytes) -> "FaultScript":
        """Read a JSON list of faults; raises `pydantic.ValidationError` for anything else."""
        return cls(_SCRIPT.validate_json(text))

    def __len__(self) -> int:
        return len(self._faults)

    def next(self, kind: Kind) -> Fault:
        """Take the first remaining fault for a request of this kind.

        Earlier faults for other kinds stay.
        """
        fault = next((fault for fault in self._faults if fault.hits(kind)), NO_FAULT)
        if fault is not NO_FAULT:
            self._faults.remove(fault)
        return fault
