import re
from collections.abc import Iterator
from typing import Any

import pytest

from blockrun_image import errors
from blockrun_image.errors import (
    Answer,
    AuthenticationError,
    BudgetExceededError,
    Charged,
    ConfigurationError,
    ConfirmationError,
    ContentPolicyError,
    GatewayError,
    GatewayUnavailableError,
    ImageError,
    InvalidRequestError,
    LedgerError,
    ModelNotFoundError,
    OutcomeUnknownError,
    PaymentRequiredError,
    RateLimitError,
    SpecError,
    StorageError,
    UnexpectedError,
    UnknownModelError,
)

# Each class, its code, whether it was charged, and whether it may be sent again.
CLASSES: list[tuple[type[ImageError], str, Charged, bool]] = [
    (ImageError, "image", "no", False),
    (InvalidRequestError, "invalid_request", "no", False),
    (UnknownModelError, "unknown_model", "no", False),
    (SpecError, "spec", "no", False),
    (ConfigurationError, "configuration", "no", False),
    (StorageError, "storage", "yes", False),
    (UnexpectedError, "unexpected", "unknown", False),
    (GatewayError, "gateway", "no", False),
    (AuthenticationError, "authentication", "no", False),
    (BudgetExceededError, "budget_exceeded", "no", False),
    (ConfirmationError, "confirmation", "no", False),
    (LedgerError, "ledger", "no", False),
    (PaymentRequiredError, "payment_required", "no", False),
    (ContentPolicyError, "content_policy", "no", False),
    (ModelNotFoundError, "model_not_found", "no", False),
    (RateLimitError, "rate_limit", "no", True),
    (GatewayUnavailableError, "gateway_unavailable", "no", True),
    (OutcomeUnknownError, "outcome_unknown", "unknown", False),
]


def of_the_module(parent: type[ImageError]) -> Iterator[tuple[str, str]]:
    """Yield (class, parent) for what the module defines below `parent`."""
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child.__name__, parent.__name__
            yield from of_the_module(child)


def drawn() -> Iterator[tuple[str, str]]:
    """Yield (class, parent) as the module's docstring draws them."""
    above: list[str] = []
    for branch, name in re.findall(r"^([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", flags=re.MULTILINE):
        depth = len(branch) // 4
        above[depth:] = [name]
        if depth:
            yield name, above[depth - 1]


def test_documented_error_tree_matches_the_classes() -> None:
    assert sorted(drawn()) == sorted(of_the_module(ImageError))


def test_every_error_class_is_in_the_test_table() -> None:
    assert {kind.__name__ for kind, *_ in CLASSES} == {"ImageError", *(name for name, _ in of_the_module(ImageError))}


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, code, *_ in CLASSES])
def test_every_class_has_a_code_of_its_own(kind: type[ImageError], code: str) -> None:
    assert vars(kind)["code"] == code  # set in the class, not inherited
    assert [other for other, its_code, *_ in CLASSES if its_code == code] == [kind]


@pytest.mark.parametrize(("kind", "code", "charged", "retryable"), CLASSES)
def test_error_content_has_type_message_charge_and_retryability(
    kind: type[ImageError], code: str, charged: Charged, retryable: bool
) -> None:
    error: Any = kind("It went wrong.").to_dict()["error"]
    assert error.pop("hint", "Do not").startswith(("Do not", "Check the"))
    assert error == {"type": code, "message": "It went wrong.", "charged": charged, "retryable": retryable}


@pytest.mark.parametrize(("kind", "_code", "charged", "retryable"), CLASSES)
def test_error_text_states_the_charge_and_whether_to_resend(
    kind: type[ImageError], _code: str, charged: Charged, retryable: bool
) -> None:
    money = {"no": "Nothing was charged.", "yes": "It was charged.", "unknown": "It may have been charged."}[charged]
    error = kind("It went wrong.")
    again = "The same call may be sent again." if retryable else "Do not resend it unchanged."
    known = [again] if charged == "no" else []
    assert error.to_text() == " ".join(["It went wrong.", money, *known, error.hint]).strip()


@pytest.mark.parametrize("kind", [kind for kind, *_ in CLASSES if issubclass(kind, GatewayError)])
@pytest.mark.parametrize("charged", ["no", "yes", "unknown"])
def test_gateway_error_accepts_what_was_charged(kind: type[GatewayError], charged: Charged) -> None:
    assert kind("It went wrong.", charged=charged).charged == charged


def test_an_error_is_an_exception_with_its_message() -> None:
    assert str(ImageError("It went wrong.")) == "It went wrong."


def test_hint_ends_the_text_and_is_a_field_of_the_content() -> None:
    error = ImageError("It went wrong.", hint="Ask the operator.")

    assert error.to_text().endswith(" Ask the operator.")
    assert error.to_dict()["error"] == {
        "type": "image",
        "message": "It went wrong.",
        "charged": "no",
        "retryable": False,
        "hint": "Ask the operator.",
    }


def test_valid_values_are_a_list_in_the_content() -> None:
    error = InvalidRequestError("It went wrong.", valid_values=("a", "b"))
    content = error.to_dict()["error"]
    assert isinstance(content, dict)
    assert content["valid_values"] == ["a", "b"]


def test_gateway_error_carries_only_what_is_known_of_the_answer() -> None:
    error = RateLimitError("Slow down.", answer=Answer(status=429, request_id="req_1", retry_after_seconds=2.5))
    assert error.to_dict()["error"] == {
        "type": "rate_limit",
        "message": "Slow down.",
        "charged": "no",
        "retryable": True,
        "status": 429,
        "request_id": "req_1",
        "retry_after_seconds": 2.5,
    }
