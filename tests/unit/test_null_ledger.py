"""A ledger that keeps nothing."""

import pytest
from tests.support.purchases import (
    ORDER,
    PRICE,
    REQUEST,
)

from blockrun_image.attempts import Approval, AttemptState, CallInfo
from blockrun_image.images import ImagesResponse
from blockrun_image.null_ledger import NullAttempt, NullLedger
from blockrun_image.ports import (
    NothingFound,
    Reserved,
)

pytestmark = pytest.mark.anyio


async def test_null_ledger_allows_every_order_and_finds_nothing() -> None:
    assert await NullLedger().begin(CallInfo("key"), None) == NothingFound()
    one, other = [await NullLedger().begin(CallInfo("key"), ORDER) for _ in range(2)]
    assert isinstance(one, Reserved)
    assert isinstance(other, Reserved)
    assert one.attempt.id != other.attempt.id
    assert (one.attempt.request, one.attempt.max_usd) == (REQUEST, PRICE)


async def test_null_attempt_is_unknown_and_cannot_be_claimed() -> None:
    attempt = NullAttempt(REQUEST)
    assert (await attempt.status()).state is AttemptState.UNKNOWN
    assert not await attempt.claim()
    assert not await attempt.accepted("job_1")
    assert await attempt.settled(ImagesResponse(())) == ()
    assert await attempt.approve(Approval("approval-1"))
    assert await NullLedger().charged_lately([REQUEST, REQUEST]) == [None, None]
    assert await NullLedger().picture("0123456789ab") is None
    assert await NullLedger().last_pictures(None) == ()
