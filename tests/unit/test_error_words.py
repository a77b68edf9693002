"""What refusals of other gateways and of what stands before them say, and what that means."""

import json
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from blockrun_image.errors import (
    AuthenticationError,
    ContentPolicyError,
    GatewayError,
    ModelNotFoundError,
    OutcomeUnknownError,
    PaymentRequiredError,
    RateLimitError,
)
from blockrun_image_mcp.gateway.error_words import error_words_of
from blockrun_image_mcp.gateway.responses import Reader, SentRequest
from blockrun_image_mcp.gateway.retry import BEARER_POST
from blockrun_image_mcp.logs import Redactor

READER = Reader(Redactor())
URL = "https://cdn.example/1.png"


def answer(status: int, body: object, headers: dict[str, str] | None = None) -> httpx2.Response:
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request = httpx2.Request("POST", "https://pictures.example/v1/images/generations")
    return httpx2.Response(status, content=content, headers=headers or {}, request=request)


def refused(status: int, body: object, headers: dict[str, str] | None = None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        READER.images(answer(status, body, headers), 1, SentRequest(BEARER_POST))
    return caught.value


@pytest.mark.parametrize(
    ("body", "words", "code"),
    [
        ({"error": {"message": "No.", "code": "c", "type": "t"}}, "No.", "c"),
        ({"error": {"message": "No.", "code": None, "type": "t"}}, "No.", "t"),
        ({"error": "No.", "message": "Too dark"}, "No.: Too dark", None),
        ({"error": "insufficient_quota"}, "insufficient_quota", "insufficient_quota"),
        ({"detail": "Not found"}, "Not found", None),
        ({"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]}, "field required", "missing"),
        ({"errors": [{"message": "one", "code": 7}, {"message": "two"}]}, "one: two", "7"),
        ({"errors": ["one"]}, "one", None),
        ({"code": 1113, "msg": "No."}, "No.", "1113"),
        ({"error_code": 17, "error_msg": "No."}, "No.", "17"),
        ({"title": "Forbidden", "detail": "No."}, "No.: Forbidden", None),
        ([{"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}], "No.", "400"),
        ({"error": {"message": json.dumps({"error": {"message": "Inner", "code": "x"}})}}, "Inner", "x"),
        ({"error": {"code": "a", "innererror": {"code": "Deep"}, "message": "No."}}, "No.", "a"),
        ({"foo": "bar"}, '{"foo": "bar"}', None),
        ("upstream connect error", "upstream connect error", None),
        ("<html><title>403 Forbidden</title><h1>403 Forbidden</h1>nginx</html>", "403 Forbidden", None),
        ("<!DOCTYPE html><html><title>Error</title><pre>Cannot POST /x</pre>", "Error: Cannot POST /x", None),
        (b"\x00\xff\x00\xff", "", None),
        ("", "", None),
        ('event: error\ndata: {"type": "error", "error": {"message": "No.", "code": "c"}}\n\n', "No.", "c"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_message_and_code_are_found_in_any_error_format(body: object, words: str, code: str | None) -> None:
    error_words = error_words_of(answer(400, body))
    assert (error_words.words, error_words.code) == (words, code)


def error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


POLICY = [
    (400, error("Blocked.", code="content_policy_violation")),
    (400, error("Your request was rejected as a result of our safety system.", code="moderation_blocked")),
    (400, error("Blocked.", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"})),
    (400, {"message": {"error": {"message": "No.", "code": "content_policy_violation"}}}),
    (400, error("Provider returned error", code=400, metadata={"raw": '{"error": {"code": "moderation_blocked"}}'})),
    (400, {"error": {"code": "1301", "message": "\u7cfb\u7edf\u68c0\u6d4b\u5230\u654f\u611f\u5185\u5bb9"}}),
    (400, {"code": "DataInspectionFailed", "message": "Input data may contain inappropriate content."}),
    (403, error("Content violates usage guidelines. API key ID: y")),
    (403, error("Your input was flagged.", code=403)),
    (403, error("litellm.PermissionDeniedError: Content policy violation detected", code="permission_denied")),
    (422, {"detail": "NSFW content detected"}),
]
CREDIT = [
    (403, error("Insufficient balance", code="insufficient_balance")),
    (403, error("This API method requires billing to be enabled.", status="PERMISSION_DENIED")),
    (403, error("Your newly created team doesn't have any credits yet.", code="permission-denied")),
    (403, {"error": {"message": "\u7528\u6237\u989d\u5ea6\u4e0d\u8db3", "type": "new_api_error"}}),
    (
        429,
        error("You exceeded your current quota, check your plan and billing details.", code="insufficient_quota"),
    ),
    (429, error("Quota exceeded for metric: requests_per_minute, limit: 0. Please retry in 9s.")),
    (429, error("Monthly spending limit reached", code="billing_hard_limit_reached")),
    (400, error("Billing hard limit has been reached", code="billing_hard_limit_reached")),
    (400, error("Budget has been exceeded! Current cost: 10.1")),
    (400, error("Your credit balance is too low")),
    (503, error("No.", code="insufficient_user_quota")),
    (403, {"code": "AllocationQuota.FreeTierOnly", "message": "The free tier of the model has been exhausted."}),
    (403, {"Message": "Insufficient balance"}),
    (403, error("Key limit exceeded (total limit)", code=403)),
    (429, {"name": "insufficient_balance", "message": "Your organization does not have enough balance"}),
]
ACCESS = [
    (400, error("No.", code="invalid_api_key")),
    (403, error("Your organization must be verified to use the model `gpt-image-1`.")),
    (403, error("Missing scopes: model.request", code="missing_scope")),
    (403, {"detail": "You do not have access to this resource"}),
    (400, error("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT")),
    (401, "Unauthorized"),
    (403, error("\u8be5\u4ee4\u724c\u65e0\u6743\u8bbf\u95ee\u6a21\u578b")),
    (400, {"Error": {"Code": "InvalidApiKey", "Message": "No."}}),
]
MODEL = [
    (400, error("No.", code="model_not_found")),
    (410, error("No.", code="model_retired")),
    (503, error("No channel.", code="model_not_found", type="new_api_error")),
    (404, error("The model `x` does not exist")),
    (404, error("Not found.", code="DeploymentNotFound")),
    (404, error("models/x is not found for API version v1beta", status="NOT_FOUND")),
    (400, error("x is not a valid model ID", code=400)),
    (400, error("\u6a21\u578b\u4e0d\u5b58\u5728", code="1211")),
]
OTHER = [
    (403, error("Country, region, or territory not supported", code="unsupported_country_region_territory")),
    (400, error("User location is not supported for the API use.", status="FAILED_PRECONDITION")),
    (403, "error code: 1010"),
    (403, {"title": "Error 1010: Access denied", "status": 403, "error_code": 1010, "cloudflare_error": True}),
    (400, error("Unsupported model parameter: style")),
    (400, error("Case-sensitive content type", code="case_sensitive_field")),
    (400, error("No.", code="safety_tolerance_out_of_range")),
    (400, error("Image blocked by proxy")),
    (403, "<html><title>Attention Required! | Cloudflare</title></html>"),
    (403, "<html><body>Request blocked. We can't connect to the server for this app</body></html>"),
    (403, ""),
    (403, {"message": "Forbidden"}),
    (400, error("Unsupported content type", code="invalid_content_type")),
    (400, error("No.", code="content_length_required")),
    (400, error("Invalid prompt: 'a nsfw credit card'", code="invalid_request")),
    (406, error("Not acceptable")),
    (411, ""),
    (426, "Upgrade Required"),
    (431, ""),
]
RATE = [
    (429, error("Rate limit reached for images per minute: Limit 5, Used 5. Please try again in 12s.")),
    (429, error("Quota exceeded for requests per minute, limit: 10. Check your plan and billing. Please retry in 9s.")),
    (429, ""),
    (429, error("Quota exceeded for online_prediction_requests_per_base_model.", status="RESOURCE_EXHAUSTED")),
    (400, error("Slow down", code="rate_limit_exceeded")),
]
KINDS = [
    *((ContentPolicyError, case) for case in POLICY),
    *((PaymentRequiredError, case) for case in CREDIT),
    *((AuthenticationError, case) for case in ACCESS),
    *((ModelNotFoundError, case) for case in MODEL),
    *((GatewayError, case) for case in OTHER),
    *((RateLimitError, case) for case in RATE),
]


@pytest.mark.parametrize(("kind", "case"), KINDS, ids=lambda value: str(value)[:60])
def test_refusal_is_classified_and_holds_no_money(kind: type[GatewayError], case: tuple[int, object]) -> None:
    told = refused(*case)
    assert (type(told), told.charged) == (kind, "no")
    assert told.retryable is (kind is RateLimitError)


@pytest.mark.parametrize(("kind", "case"), KINDS, ids=lambda value: str(value)[:60])
def test_refusal_that_names_a_charge_counts_as_charged(kind: type[GatewayError], case: tuple[int, object]) -> None:
    assert refused(*case, {"x-blockrun-cost-usd": "0.042"}).charged == "yes"


@pytest.mark.parametrize("status", [503, 410, 428, 451, 500, 502])
def test_unspecific_failure_may_have_been_charged(status: int) -> None:
    assert refused(status, error("Overloaded", code="server_error")).charged == "unknown"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_failure_that_names_a_charge_counts_as_charged(status: int) -> None:
    told = refused(status, error("Overloaded", code="server_error"), {"x-blockrun-cost-usd": "0.042"})
    assert (told.charged, told.charged_usd) == ("yes", Decimal("0.042"))


@pytest.mark.parametrize("cost", ["0,90", "NaN", "0.90 EUR"])
def test_refusal_with_an_unreadable_cost_may_have_been_charged(cost: str) -> None:
    told = refused(400, error("No."), {"x-blockrun-cost-usd": cost})
    assert (told.charged, told.charged_usd) == ("unknown", None)


SAID = ("message", "msg", "status_msg")


@pytest.mark.parametrize(
    ("body", "kind", "charged"),
    [
        (error("Invalid token", code="invalid_api_key"), AuthenticationError, "no"),
        ({"code": 401, "message": "No such key"}, AuthenticationError, "no"),
        (error("Insufficient balance", code="insufficient_balance"), PaymentRequiredError, "no"),
        ({"success": False, "message": "Rate limit exceeded"}, RateLimitError, "unknown"),
        ({"success": False, "error": "Storage upload failed: Unauthorized"}, AuthenticationError, "unknown"),
        ({"status": "error", "message": "Invalid API key"}, AuthenticationError, "unknown"),
        ({"status": 401, "message": "Unauthorized"}, AuthenticationError, "no"),
        ({"base_resp": {"status_code": 1026, "status_msg": "sensitive prompt"}}, ContentPolicyError, "unknown"),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, ContentPolicyError, "unknown"),
        ({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, ContentPolicyError, "unknown"),
        (
            {"error": {"code": "insufficient_quota", "message": "No credit"}, "url": "https://docs.example/errors"},
            PaymentRequiredError,
            "no",
        ),
        ({"code": 402, "msg": "No credits", "data": "https://pay.example/topup"}, PaymentRequiredError, "no"),
        (error("No.", code="model_not_found"), ModelNotFoundError, "no"),
        (error("Blocked", code="content_policy_violation"), ContentPolicyError, "unknown"),
        (error("Out of paint"), OutcomeUnknownError, "unknown"),
        ({"data": [], "error": None}, OutcomeUnknownError, "unknown"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_error_in_a_200_is_quoted_and_classified(body: dict[str, Any], kind: type[GatewayError], charged: str) -> None:
    told = refused(200, body)
    assert (type(told), told.charged) == (kind, charged)
    said = [body.get("error"), body.get("base_resp"), body]
    words = [each if isinstance(each, str) else each.get(name) for each in said if each for name in SAID]
    assert all(each in told.message for each in words if each)
    assert told.raw == (b"" if charged == "no" else json.dumps(body).encode())


@pytest.mark.parametrize("page", ["<!doctype html><title>Sign in</title>", "\ufeff <html><h1>Sign in</h1></html>"])
def test_error_for_a_web_page_in_a_200_names_the_base_url(page: str) -> None:
    told = refused(200, page)
    assert told.charged == "unknown"
    assert "a web page (HTTP 200" in told.message
    assert "Sign in" in told.message
    assert "BLOCKRUN_IMAGE_GATEWAY" in told.hint
    assert "/v1" in told.hint


def test_redirect_after_a_post_reports_its_target() -> None:
    seen_other = refused(303, "", {"location": "https://pictures.example/jobs/1\x07"})
    assert (type(seen_other), seen_other.charged) == (OutcomeUnknownError, "unknown")
    assert "It leads to https://pictures.example/jobs/1." in seen_other.message
    moved = refused(308, "", {"location": "/v2/images/generations"})
    assert moved.charged == "no"
    assert "It leads to /v2/images/generations." in moved.message


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after-ms": "250"}, "", 0.25),
        ({"x-ms-retry-after-ms": "250", "retry-after": "9"}, "", 0.25),
        ({}, {"error": "RATE", "retry_after_seconds": 7}, 7),
        ({}, {"error": {"retry_after": "7"}}, 7),
        ({"retry-after": "soon"}, {"retry_after": 7}, 7),
        ({}, "", 60),
    ],
)
def test_retry_delay_is_the_requested_one(headers: dict[str, str], body: object, seconds: float) -> None:
    assert refused(429, body, headers).answer.retry_after_seconds == seconds


@pytest.mark.parametrize("state", ["charged", "CHARGED", "settled"])
@pytest.mark.parametrize("room", ["payment_status", "payment"])
def test_refusal_with_a_paid_status_is_not_reported_as_free(room: str, state: str) -> None:
    told: dict[str, Any] = {"payment_status": state} if room == "payment_status" else {"payment": {"status": state}}
    assert refused(400, {"error": {"message": "No."}, **told}).charged == "unknown"
    assert refused(400, {"error": {"message": "No."}, "price": {"amount": "0.04"}, **told}).charged == "yes"
