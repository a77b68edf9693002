"""What can go wrong, as one tree; each error says whether money was spent and what to do next.

```
ImageError
├── InvalidRequestError         the request is not one that the API takes; nothing was sent
│   └── UnknownModelError
├── SpecError                   the API's description could not be used
├── ConfigurationError          a setting is missing or cannot be used; nothing was sent
├── BudgetExceededError         the operator's limits do not allow the call; nothing was sent
├── ConfirmationError           the user has to approve the call, and did not; nothing was sent
├── LedgerError                 what is spent cannot be written down, so nothing is spent
├── StorageError                a picture could not be written
├── UnexpectedError             something broke that nobody foresaw
└── GatewayError                the gateway refused or could not be understood
    ├── AuthenticationError     401, or the key or the account has no access
    ├── PaymentRequiredError    402, or no credit or quota is left
    ├── ContentPolicyError      a content policy code or words
    ├── ModelNotFoundError      the gateway does not make images with this model, or no longer
    ├── RateLimitError          429
    ├── GatewayUnavailableError the request never reached the gateway
    └── OutcomeUnknownError     the request was sent, and what became of it is not known
```
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Literal

Charged = Literal["no", "yes", "unknown"]

_MOST_VALID_VALUES = 20
_CHECK_BEFORE_RESENDING = "Do not send it again before the account's usage shows that it was not charged."

_MONEY = {
    "no": "Nothing was charged.",
    "yes": "It was charged.",
    "unknown": "It may have been charged.",
}


class ImageError(Exception):
    """Anything that keeps a picture from its asker.

    `hint` is the next step, in words for the agent; `valid_values` are the values that would have been taken, if few;
    `charged` says whether money was spent, and `charged_usd` how much, where that is known; `retryable` whether the
    same request may be sent again.
    """

    retryable: ClassVar[bool] = False
    charged: Charged = "no"
    charged_usd: Decimal | None = None

    def __init__(self, message: str, *, hint: str = "", valid_values: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.valid_values = tuple(valid_values) if len(valid_values) <= _MOST_VALID_VALUES else ()

    @property
    def type(self) -> str:
        """The error's kind as a stable word, such as `unknown_model`."""
        name = type(self).__name__.removesuffix("Error")
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()

    def to_dict(self) -> dict[str, object]:
        """Return the error as structured content, complete without the text."""
        details: dict[str, object] = {
            "type": self.type,
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

        Whether to send the same call again is said to an agent alone: a person decides that.
        """
        resending = self._resending if is_agent else ""
        return " ".join(part for part in (self.message, _MONEY[self.charged], resending, self.hint) if part)

    def append_hints(self, hints: Sequence[str]) -> None:
        """Append what the agent should know besides, each only once."""
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
    """The request is not one that the API or the model takes; it was refused before anything was sent."""


class UnknownModelError(InvalidRequestError):
    """There is no such model in the catalogue."""


class SpecError(ImageError):
    """The file that describes the API cannot be read or is not such a description."""


class ConfigurationError(ImageError):
    """A setting is missing or cannot be used; nothing was sent."""


class BudgetExceededError(ImageError):
    """The call would cost more than the operator's limits allow; nothing was sent."""


class ConfirmationError(ImageError):
    """The user has to approve the call and did not, could not be asked, or has answered before; nothing was sent."""


class LedgerError(ImageError):
    """What is spent cannot be written down; a call that has not left yet is not made."""

    def __init__(self, message: str, *, hint: str = "", charged: Charged = "no") -> None:
        super().__init__(message, hint=hint)
        self.charged = charged
        self.is_busy = False  # whether it may pass: another process holds the database


class StorageError(ImageError):
    """A picture could not be written to disk; `charged` is `no` if that was found before anything was paid."""

    def __init__(self, message: str, *, hint: str = "", charged: Charged = "yes") -> None:
        super().__init__(message, hint=hint)
        self.charged = charged


class UnexpectedError(ImageError):
    """Something broke that nobody foresaw; what it was stays in the log."""

    def __init__(self, message: str, *, charged: Charged = "unknown") -> None:
        super().__init__(message, hint="Look into the server's log before the next call.")
        self.charged = charged


@dataclass(frozen=True)
class Answer:
    """What an error knows of the gateway's answer: HTTP status, error code, request id, and the seconds to wait."""

    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    retry_after_seconds: float | None = None


class GatewayError(ImageError):
    """The gateway refused the request, or its answer could not be used.

    After a refusal with `is_payment_open`, whoever has the signed payment can still use it. With `is_job_lost`, the
    gateway may tell of its job later. `raw` is the answer, if it may be paid for and could not be used.
    """

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
    """The gateway does not take the credential, or gives it no access."""


class PaymentRequiredError(GatewayError):
    """The account has no credit or quota left, or the gateway wants a payment that the credential cannot make."""


class ContentPolicyError(GatewayError):
    """The gateway's provider will not draw this prompt."""


class ModelNotFoundError(GatewayError):
    """The gateway does not make images with this model, or no longer does."""

    def instead(self, alternatives: str) -> None:
        """Name the models that can be asked instead, if there are any."""
        if alternatives:
            self.hint = f"Ask for another: {alternatives}."


class RateLimitError(GatewayError):
    """Too many requests; `answer.retry_after_seconds` says how long to wait."""

    retryable = True


class GatewayUnavailableError(GatewayError):
    """The request never reached the gateway."""

    retryable = True


class OutcomeUnknownError(GatewayError):
    """The request was sent, and what became of it is not known; sending it again could pay twice."""

    def __init__(
        self, message: str, *, hint: str = "", charged: Charged = "unknown", answer: Answer | None = None
    ) -> None:
        super().__init__(message, hint=hint or _CHECK_BEFORE_RESENDING, charged=charged, answer=answer)
