"""The errors, as one tree; each says whether money was spent and names the next step.

```
ImageError
├── InvalidRequestError         the API does not take the request; nothing was sent
│   └── UnknownModelError
├── SpecError                   the API's description could not be used
├── ConfigurationError          a setting is missing or cannot be used; nothing was sent
├── BudgetExceededError         the operator's limits do not allow the call; nothing was sent
├── ConfirmationError           the call needs the user's approval, and has none; nothing was sent
├── LedgerError                 spending cannot be recorded, so nothing is spent
├── StorageError                a picture could not be written
├── UnexpectedError             an unforeseen error
└── GatewayError                the gateway refused the request, or its response is unusable
    ├── AuthenticationError     401, or the key or the account has no access
    ├── PaymentRequiredError    402, or no credit or quota is left
    ├── ContentPolicyError      a content policy code or message
    ├── ModelNotFoundError      the gateway does not, or no longer, make images with this model
    ├── RateLimitError          429
    ├── GatewayUnavailableError the request never reached the gateway
    └── OutcomeUnknownError     the request was sent, and its outcome is not known
```
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Literal

Charged = Literal["no", "yes", "unknown"]

_MAX_VALID_VALUES = 20  # a longer list would fill the agent's context
_CHECK_BEFORE_RESENDING = "Do not send it again before the account's usage shows that it was not charged."

_MONEY = {
    "no": "Nothing was charged.",
    "yes": "It was charged.",
    "unknown": "It may have been charged.",
}


class ImageError(Exception):
    """The base class of every reason why a caller gets no picture.

    `code` is a stable word for the kind of error, the `type` of results; every subclass in this module has its own.
    `hint` is the next step, in words for the agent. `valid_values` are the accepted values, if they are few. `charged`
    says whether money was spent, and `charged_usd` how much, if known. `retryable` says whether the same request may be
    sent again.
    """

    code: ClassVar[str] = "image"
    retryable: ClassVar[bool] = False
    charged: Charged = "no"
    charged_usd: Decimal | None = None

    def __init__(self, message: str, *, hint: str = "", valid_values: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.valid_values = tuple(valid_values) if len(valid_values) <= _MAX_VALID_VALUES else ()

    def to_dict(self) -> dict[str, object]:
        """Return the error as structured content, complete without the text."""
        details: dict[str, object] = {
            "type": self.code,
            "message": self.message,
            "charged": self.charged,
            "retryable": self.retryable,
        }
        if self.hint:
            details["hint"] = self.hint
        if self.valid_values:
            details["valid_values"] = list(self.valid_values)
        return {"error": details | self._particulars()}

    def to_text(self, *, is_agent: bool = True) -> str:
        """Return the error as one paragraph, complete without the structured content.

        Only an agent is told whether to send the same call again: a person decides that.
        """
        resending = self._resending if is_agent else ""
        return " ".join(part for part in (self.message, _MONEY[self.charged], resending, self.hint) if part)

    def append_hints(self, hints: Sequence[str]) -> None:
        """Append more hints for the agent, each only once."""
        for hint in hints:
            if hint not in self.hint:
                self.hint = f"{self.hint} {hint}".strip()

    @property
    def _resending(self) -> str:
        if self.retryable:
            return "The same call may be sent again."
        return "Do not resend it unchanged." if self.charged == "no" else ""

    def _particulars(self) -> dict[str, object]:
        return {}


class InvalidRequestError(ImageError):
    """Raised before sending if the API or the model does not take the request."""

    code = "invalid_request"


class UnknownModelError(InvalidRequestError):
    """Raised if the catalogue has no such model."""

    code = "unknown_model"


class SpecError(ImageError):
    """Raised if the API's description cannot be read or is not valid."""

    code = "spec"


class ConfigurationError(ImageError):
    """Raised if a setting is missing or cannot be used; nothing was sent."""

    code = "configuration"


class BudgetExceededError(ImageError):
    """Raised if the call would exceed the operator's spending limits; nothing was sent."""

    code = "budget_exceeded"


class ConfirmationError(ImageError):
    """Raised if the user's approval is declined, unavailable or already used.

    Nothing was sent.
    """

    code = "confirmation"


class LedgerError(ImageError):
    """Raised if spending cannot be recorded.

    A call that was not sent yet is not made.
    """

    code = "ledger"

    def __init__(self, message: str, *, hint: str = "", charged: Charged = "no") -> None:
        super().__init__(message, hint=hint)
        self.charged = charged
        self.is_busy = False  # true if another process holds the database, so that a retry may help


class StorageError(ImageError):
    """Raised if a picture cannot be written to disk.

    `charged` is `no` if that was found before paying.
    """

    code = "storage"

    def __init__(self, message: str, *, hint: str = "", charged: Charged = "yes") -> None:
        super().__init__(message, hint=hint)
        self.charged = charged


class UnexpectedError(ImageError):
    """Raised for an unforeseen error; the details are in the log."""

    code = "unexpected"

    def __init__(self, message: str, *, charged: Charged = "unknown") -> None:
        super().__init__(message, hint="Check the server's log before the next call.")
        self.charged = charged


@dataclass(frozen=True)
class Answer:
    """The gateway's HTTP status, error code, request id, and seconds to wait."""

    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    retry_after_seconds: float | None = None


class GatewayError(ImageError):
    """Raised if the gateway refuses the request, or its response cannot be used.

    If `is_payment_open`, the signed payment can still be used after the refusal. If `is_job_lost`, the gateway may know
    the job again later. `raw` is the response, if it may have been paid for and could not be used.
    """

    code = "gateway"

    def __init__(self, message: str, *, hint: str = "", charged: Charged = "no", answer: Answer | None = None) -> None:
        super().__init__(message, hint=hint)
        self.charged = charged
        self.is_payment_open = False
        self.is_job_lost = False
        self.raw = b""
        self.answer = answer or Answer()

    def _particulars(self) -> dict[str, object]:
        return {name: value for name, value in vars(self.answer).items() if value is not None}


class AuthenticationError(GatewayError):
    """Raised if the gateway rejects the credential or gives it no access."""

    code = "authentication"


class PaymentRequiredError(GatewayError):
    """Raised if credit or quota is used up, or the credential cannot pay as requested."""

    code = "payment_required"


def refused_quote(why: str, hint: str = "") -> PaymentRequiredError:
    """Return the error for a price quote that is not paid; nothing was signed."""
    message = f"The gateway's price quote is not paid: {why}. Nothing was signed."
    return PaymentRequiredError(message, hint=hint, answer=Answer(status=402))


class ContentPolicyError(GatewayError):
    """Raised if the gateway's provider refuses to draw the prompt."""

    code = "content_policy"


class ModelNotFoundError(GatewayError):
    """Raised if the gateway does not (or no longer) make images with the model."""

    code = "model_not_found"

    def instead(self, alternatives: str) -> None:
        """Name the models to use instead, if there are any."""
        if alternatives:
            self.hint = f"Use another: {alternatives}."


class RateLimitError(GatewayError):
    """Raised after too many requests; `answer.retry_after_seconds` says how long to wait."""

    code = "rate_limit"
    retryable = True


class GatewayUnavailableError(GatewayError):
    """Raised if the request never reached the gateway."""

    code = "gateway_unavailable"
    retryable = True


class OutcomeUnknownError(GatewayError):
    """Raised if the outcome of a sent request is unknown; a retry could pay twice."""

    code = "outcome_unknown"

    def __init__(
        self, message: str, *, hint: str = "", charged: Charged = "unknown", answer: Answer | None = None
    ) -> None:
        super().__init__(message, hint=hint or _CHECK_BEFORE_RESENDING, charged=charged, answer=answer)
