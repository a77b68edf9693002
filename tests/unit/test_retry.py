from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from blockrun_image_mcp.gateway.retry import (
    BEARER_POST,
    NEVER_CHARGED,
    POLL,
    SIGNED_POST,
    Failure,
    Outcome,
    Rejection,
    charged_after,
    failure_of,
    may_resend,
    rejection_of,
    retry_after_seconds,
    rule_for,
    wait_seconds,
)
from blockrun_image_mcp.timings import DEFAULT


@pytest.mark.parametrize(
    ("outcome", "resends", "charged"),
    [
        (Failure.NEVER_SENT, 2, "no"),
        (Failure.OUTCOME_UNKNOWN, 0, "unknown"),
        (429, 2, "no"),
        (500, 0, "unknown"),
        (502, 0, "unknown"),
        (503, 0, "unknown"),
        (504, 0, "unknown"),
        (400, 0, "no"),
        (401, 0, "no"),
        (402, 0, "no"),
        (403, 0, "no"),
        (404, 0, "no"),
        (202, 0, "unknown"),
        (303, 0, "unknown"),
        (451, 0, "unknown"),
    ],
)
def test_paid_request_is_resent_only_if_nothing_can_have_been_charged(
    outcome: Outcome, resends: int, charged: str
) -> None:
    assert [may_resend(BEARER_POST, outcome, done) for done in range(4)] == [done < resends for done in range(4)]
    assert rule_for(BEARER_POST, outcome).charged == charged


@pytest.mark.parametrize(
    ("outcome", "resends"),
    [
        (Failure.NEVER_SENT, 2),
        (Failure.OUTCOME_UNKNOWN, 2),
        (429, 2),
        (500, 1),
        (502, 2),
        (503, 2),
        (504, 2),
        (402, 0),
        (400, 0),
        (401, 0),
        (403, 0),
        (404, 0),
        (303, 0),
    ],
)
def test_unpaid_request_is_resent_and_never_charged(outcome: Outcome, resends: int) -> None:
    assert [may_resend(NEVER_CHARGED, outcome, done) for done in range(4)] == [done < resends for done in range(4)]
    assert rule_for(NEVER_CHARGED, outcome).charged == ("unknown" if outcome == 303 else "no")


@pytest.mark.parametrize(
    ("outcome", "resends", "charged"),
    [
        (Failure.NEVER_SENT, 2, "no"),
        (Failure.OUTCOME_UNKNOWN, 1, "unknown"),
        (429, 2, "no"),
        (500, 1, "unknown"),
        (502, 2, "unknown"),
        (503, 2, "unknown"),
        (504, 2, "unknown"),
        (402, 0, "unknown"),
        (400, 0, "no"),
        (401, 0, "no"),
        (403, 0, "no"),
        (404, 0, "no"),
        (303, 0, "unknown"),
    ],
)
def test_signed_request_is_resent_if_its_signature_may_still_be_needed(
    outcome: Outcome, resends: int, charged: str
) -> None:
    assert [may_resend(SIGNED_POST, outcome, done) for done in range(4)] == [done < resends for done in range(4)]
    assert rule_for(SIGNED_POST, outcome).charged == charged


@pytest.mark.parametrize(
    ("outcomes", "charged"),
    [
        ([400], "no"),
        ([Failure.NEVER_SENT] * 3, "no"),
        ([429, 429, 400], "no"),
        ([Failure.OUTCOME_UNKNOWN, 400], "unknown"),
        ([Failure.OUTCOME_UNKNOWN, *[Failure.NEVER_SENT] * 3], "unknown"),
        ([500, 429], "unknown"),
    ],
)
def test_refusal_does_not_clear_earlier_copies_of_a_request(outcomes: list[Outcome], charged: str) -> None:
    assert charged_after(SIGNED_POST, outcomes) == charged


@pytest.mark.parametrize(
    ("code", "words", "earlier", "rejection"),
    [
        ("PAYMENT_UNDERPAID", "", [], Rejection.REFUSED),
        ("PAYMENT_INVALID", "", [429], Rejection.REFUSED),
        (None, "Payment verification failed: balance", [], Rejection.REFUSED),
        ("PAYMENT_INVALID", "", [Failure.OUTCOME_UNKNOWN], Rejection.UNCLEAR),
        ("PAYMENT_REPLAY", "", [], Rejection.REFUSED),
        ("PAYMENT_REPLAY", "", [Failure.OUTCOME_UNKNOWN], Rejection.TAKEN),
        ("PAYMENT_REPLAY", "", [502], Rejection.TAKEN),
        ("SETTLEMENT_FAILED", "", [], Rejection.UNCLEAR),
        ("SETTLEMENT_FAILED", "Payment verification failed", [500], Rejection.UNCLEAR),
        (None, "", [], Rejection.UNCLEAR),
    ],
)
def test_rejected_payment_is_classified_by_its_code_and_earlier_outcomes(
    code: str | None, words: str, earlier: list[Outcome], rejection: Rejection
) -> None:
    assert rejection_of(code, words, earlier) is rejection


@pytest.mark.parametrize("outcome", [Failure.NEVER_SENT, Failure.OUTCOME_UNKNOWN, 429, 502, 503, 504])
def test_poll_is_resent_for_the_whole_call(outcome: Outcome) -> None:
    assert may_resend(POLL, outcome, 1_000)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (httpx2.ConnectError, Failure.NEVER_SENT),
        (httpx2.ConnectTimeout, Failure.NEVER_SENT),
        (httpx2.PoolTimeout, Failure.NEVER_SENT),
        (httpx2.ProxyError, Failure.NEVER_SENT),
        (httpx2.UnsupportedProtocol, Failure.NEVER_SENT),
        (httpx2.LocalProtocolError, Failure.NEVER_SENT),
        (httpx2.RemoteProtocolError, Failure.OUTCOME_UNKNOWN),
        (httpx2.ReadError, Failure.OUTCOME_UNKNOWN),
        (httpx2.ReadTimeout, Failure.OUTCOME_UNKNOWN),
        (httpx2.WriteError, Failure.OUTCOME_UNKNOWN),
        (httpx2.WriteTimeout, Failure.OUTCOME_UNKNOWN),
        (httpx2.CloseError, Failure.OUTCOME_UNKNOWN),
    ],
)
def test_failure_counts_as_sent_unless_it_provably_came_before(
    error: type[httpx2.TransportError], fault: Failure
) -> None:
    assert failure_of(error("x")) is fault


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("9" * 400, 86_400),
        ("7", 7),
        (" 7 ", 7),
        ("soon", None),
        ("-3", None),
        ("1.5", 1.5),
        ("0.25", 0.25),
        ("1.", 1),
        (".5", None),
        ("1.5s", None),
        ("\u0663", None),
    ],
)
def test_retry_after_is_read_in_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, DEFAULT) == seconds


def test_retry_after_is_read_as_a_date() -> None:
    now = datetime.now(UTC)
    assert 3500 < (retry_after_seconds(format_datetime(now + timedelta(hours=1), usegmt=True), DEFAULT) or 0) <= 3600
    assert retry_after_seconds(format_datetime(now - timedelta(hours=1)), DEFAULT) == 0
    assert retry_after_seconds("Sun, 06 Nov 1994 08:49:37", DEFAULT) == 0
    assert retry_after_seconds("Sun, 06 Nov 9994 08:49:37 GMT", DEFAULT) == 86_400
    assert retry_after_seconds("Sun, 06 Nov 99994 08:49:37 GMT", DEFAULT) is None


def test_requested_wait_is_used() -> None:
    assert wait_seconds(503, 0, 9, DEFAULT) == 9


def test_rate_limit_without_a_time_means_a_minute() -> None:
    assert wait_seconds(429, 0, None, DEFAULT) == 60


def test_other_waits_are_random_below_a_doubling_bounded_ceiling() -> None:
    for resends, ceiling in ((0, 0.5), (1, 1.0), (2, 2.0), (40, 8.0)):
        waits = [wait_seconds(Failure.NEVER_SENT, resends, None, DEFAULT) for _ in range(200)]
        assert 0 <= min(waits) < ceiling / 2 < max(waits) <= ceiling
