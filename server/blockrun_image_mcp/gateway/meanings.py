"""What a gateway's refusals mean: the error, what happened in words, and the next step."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from blockrun_image.errors import (
    AuthenticationError,
    Charged,
    ContentPolicyError,
    GatewayError,
    ModelNotFoundError,
    OutcomeUnknownError,
    PaymentRequiredError,
    RateLimitError,
)
from blockrun_image_mcp.gateway.retry import Rejection

_POLICY_CODE = re.compile(r"content|policy|moderation|safety", re.IGNORECASE)
_POLICY_WORDS = re.compile(r"content.?policy|safety system", re.IGNORECASE)
_KEY_CODE = re.compile(r"api.?key|authenticat|no_db_connection", re.IGNORECASE)
_MODEL_STATUSES = (400, 404)
_BAD = r"(unknown|unsupported|invalid|retired|deprecated|no such)"
_MODEL_CODE = re.compile(rf"{_BAD}_(image_)?model|model_(not|no|un|retired|dep)", re.IGNORECASE)
_MODEL_WORDS = re.compile(  # not behind a quotation, which may be one of the prompt, but for LiteLLM's of itself
    rf"([^'\"]{{0,10}}\{{'error': ')?[^'\"]{{0,80}}?\b({_BAD} (image )?model\b"
    r"|model\b['\"`:\s]*[\w./:-]*['\"`]?,?\s*\b(is |was |has been |does )?"
    r"(not (found|exist|available)|no longer|unknown|unavailable|retired|deprecated))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Meaning:
    """What a status means: the error, what happened, and the next step."""

    error: type[GatewayError]
    what: str
    hint: str


_CONTENT = Meaning(
    ContentPolicyError,
    "The prompt was refused for its content",
    "Rephrase the prompt; sending it again will not help.",
)
_REDIRECT = Meaning(
    GatewayError,
    "The gateway redirects, which is never followed",
    "Set BLOCKRUN_IMAGE_GATEWAY to the base URL that it redirects to, if you trust it.",
)
_FAILURE = Meaning(OutcomeUnknownError, "The gateway did not say what became of the request", "")
_REFUSAL = Meaning(GatewayError, "The gateway refused the request", "")

REJECTIONS: Mapping[Rejection, Meaning] = {
    Rejection.REFUSED: Meaning(
        PaymentRequiredError,
        "The gateway did not take the payment",
        "Check that the wallet holds enough USDC on that network.",
    ),
    Rejection.TAKEN: Meaning(
        OutcomeUnknownError,
        "The payment was taken with a first request whose answer was lost, and it buys nothing again",
        "Tell the gateway's operator the payment's transaction; the same call again is a new payment.",
    ),
    Rejection.UNCLEAR: Meaning(
        OutcomeUnknownError,
        "The gateway did not say whether the payment moved",
        "Look at the wallet before the next call: the same call again is a new payment.",
    ),
}

_MEANINGS: Mapping[int, Meaning] = {
    400: Meaning(
        GatewayError,
        "The gateway refused the request as invalid",
        "Correct the prompt or the parameters.",
    ),
    401: Meaning(
        AuthenticationError,
        "The gateway does not accept the credential",
        "Check BLOCKRUN_IMAGE_CREDENTIAL or BLOCKRUN_API_KEY, and that BLOCKRUN_IMAGE_GATEWAY is where it belongs.",
    ),
    402: Meaning(
        PaymentRequiredError,
        "The gateway wants a payment",
        "Add credit to the account. If the credential is no brk_ key, blockrun.ai ignores it: set BLOCKRUN_API_KEY.",
    ),
    403: _CONTENT,
    404: Meaning(
        GatewayError,
        "The gateway does not know the model or the address",
        "Choose another model, or check that BLOCKRUN_IMAGE_GATEWAY is a base URL such as https://api.blockrun.ai/v1.",
    ),
    429: Meaning(RateLimitError, "Too many requests", ""),
}


_MODEL = Meaning(
    ModelNotFoundError,
    "The gateway does not make images with this model, or no longer does",
    "Ask for another model.",
)


def of(status: int, charged: Charged, codes: str, said: str) -> Meaning:
    """Return what a refusal means; a 400 may be another refusal that lost its status on the way through a proxy.

    LiteLLM without a database looks there for each key but its master key, and says that it has none.
    """
    if status == 400 and _KEY_CODE.search(codes):
        return _MEANINGS[401]
    if status == 400 and (_POLICY_CODE.search(codes) or _POLICY_WORDS.search(said)):
        return _CONTENT
    if status in _MODEL_STATUSES and (_MODEL_CODE.search(codes) or _MODEL_WORDS.match(said)):
        return _MODEL
    if status in _MEANINGS:
        return _MEANINGS[status]
    if charged == "unknown":
        return _FAILURE
    return _REDIRECT if 300 <= status < 400 else _REFUSAL


def is_policy(code: str | None) -> bool:
    """Tell whether an error's code is about the content of the prompt."""
    return _POLICY_CODE.search(code or "") is not None
