"""Jobs as other gateways tell of them."""

import json
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from tests.support.ledgers import PAYMENT

from blockrun_image.errors import ContentPolicyError, GatewayError, OutcomeUnknownError
from blockrun_image.images import ImagesResponse
from blockrun_image_mcp.gateway.responses import Reader, SentRequest
from blockrun_image_mcp.gateway.retry import BEARER_POST, POLL
from blockrun_image_mcp.logs import Redactor

READER = Reader(Redactor())
URL = "https://cdn.example/1.png"
PICTURES = {"data": [{"url": URL}]}


def answer(status: int, body: object) -> httpx2.Response:
    request = httpx2.Request("POST", "https://pictures.example/v1/images/generations")
    return httpx2.Response(status, content=json.dumps(body).encode(), request=request)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (202, {"id": "job"}),
        (202, {"task_id": "job", "id": "request-7"}),
        (200, {"id": "job", "status": "queued"}),
        (201, {"task_id": "job", "status": "PENDING"}),
        (200, {"output": {"task_id": "job", "task_status": "RUNNING"}, "request_id": "r"}),
        (200, {"code": 200, "data": {"taskId": "job", "state": "in queue"}}),
        (202, {"id": "other", "poll_url": "/v1/images/generations/job"}),
        (200, {"status": "success", "data": {"task_id": "job", "status": "processing"}}),
        (200, {"code": 200, "data": [{"task_id": "job", "status": "submitted"}]}),
        (200, {"id": "job", "status": "queued", "url": "https://api.example/jobs/job"}),
        (200, {"id": "job", "status": "TASK_STATUS_QUEUED", "image": "https://cdn.example/in.png"}),
        (202, {"poll_url": "https://pictures.example/v1/images/generations/job"}),
    ],
)
def test_job_id_is_found_in_any_format(status: int, body: object) -> None:
    assert READER.job(answer(status, body)) == "job"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"id": "chat-1", "choices": []}),
        (200, {"id": "job", "status": "failed"}),
        (202, {"id": "job", **PICTURES}),
        (202, {"id": "a/b"}),
        (202, {"id": True}),
        (202, {"id": "job", "poll_url": "https://elsewhere.example/v1/images/generations/job"}),
        (400, {"id": "job", "status": "queued"}),
    ],
)
def test_answer_without_a_pending_job_has_no_job_id(status: int, body: object) -> None:
    assert READER.job(answer(status, body)) is None


def polled(body: object, status: int = 200) -> ImagesResponse | str | None:
    return READER.polled(answer(status, body), "job", 1, SentRequest(POLL))


@pytest.mark.parametrize("state", ["completed", "SUCCEEDED", "Success", "done", "Ready", "finished", "painted", None])
@pytest.mark.parametrize("key", ["status", "state", "task_status"])
def test_job_with_pictures_has_ended_in_any_final_state(key: str, state: str | None) -> None:
    found = polled({"id": "job", key: state, **PICTURES})
    assert isinstance(found, ImagesResponse)
    assert [image.url for image in found.images] == [URL]


@pytest.mark.parametrize("state", ["failed", "processing"])
def test_pictures_are_taken_even_if_the_state_disagrees(state: str) -> None:
    assert isinstance(polled({"status": state, **PICTURES}), ImagesResponse)


def test_job_link_is_not_taken_for_a_picture() -> None:
    with pytest.raises(OutcomeUnknownError):
        polled({"status": "failed", "url": "https://api.example/jobs/job"})
    found = polled({"id": "job", "status": "completed", "url": "https://api.example/jobs/job", "output": [URL]})
    assert isinstance(found, ImagesResponse)
    assert [image.url for image in found.images] == [URL]


@pytest.mark.parametrize("state", ["QUEUED", "In Progress", "processing", "in-queue", "NOT_STARTED"])
def test_job_continues_while_its_state_is_unfinished(state: str) -> None:
    assert isinstance(polled({"status": state, "progress": 0.5}), str)


@pytest.mark.parametrize("state", ["failed", "FAILURE", "Cancelled", "error", "expired", "Content Moderated"])
def test_failed_job_may_have_been_charged_unless_it_denies_it(state: str) -> None:
    failed = {"output": {"task_status": state, "message": "Out of paint"}}
    with pytest.raises(OutcomeUnknownError, match="Out of paint"):
        polled(failed)
    with pytest.raises(GatewayError) as caught:
        polled({**failed, "payment_status": "not_charged"})
    assert caught.value.charged == "no"


@pytest.mark.parametrize("status", [{}, {"payment_status": "not_charged"}])
@pytest.mark.parametrize(
    ("header", "value", "charged"),
    [
        ("x-blockrun-cost-usd", "0.042", "yes"),
        ("x-payment-receipt", "0x" + "ab" * 32, "yes"),
        ("x-blockrun-cost-usd", "0,042", "unknown"),
    ],
)
def test_failed_job_that_names_a_charge_is_not_free(
    status: dict[str, str], header: str, value: str, charged: str
) -> None:
    failed = answer(200, {"id": "job", "status": "failed", **status})
    failed.headers[header] = value
    with pytest.raises(GatewayError) as caught:
        READER.polled(failed, "job", 1, SentRequest(POLL))
    cost = Decimal("0.042") if value == "0.042" else None
    assert (caught.value.charged, caught.value.charged_usd) == (charged, cost)


def test_payment_of_a_failed_job_remains_usable() -> None:
    failed = answer(200, {"id": "job", "status": "failed", "payment_status": "not_charged"})
    with pytest.raises(GatewayError) as caught:
        READER.polled(failed, "job", 1, SentRequest(POLL, PAYMENT))
    assert "Its payment of $0.042 can be used until 00:04 UTC, and counts today." in caught.value.message
    assert (caught.value.charged, caught.value.is_payment_open) == ("unknown", True)


def test_job_that_failed_for_its_prompt_is_a_content_policy_error() -> None:
    with pytest.raises(ContentPolicyError):
        polled({"status": "failed", "error": {"code": "moderation_blocked", "message": "No."}})


@pytest.mark.parametrize(
    ("body", "is_about"),
    [
        ({"id": "job", **PICTURES}, True),
        ({"id": "request-7", "task_id": "job", **PICTURES}, True),
        ({"request_id": "request-7", **PICTURES}, True),
        ({"id": "another", **PICTURES}, False),
        ({"task_id": "another", **PICTURES}, False),
    ],
)
def test_pictures_of_another_job_are_not_taken(body: dict[str, Any], is_about: bool) -> None:
    assert isinstance(polled(body), ImagesResponse) is is_about


def test_id_is_ignored_if_the_pictures_came_at_once() -> None:
    found = READER.images(answer(201, {"id": "x", "status": "succeeded", "output": [URL]}), 1, SentRequest(BEARER_POST))
    assert [image.url for image in found.images] == [URL]
