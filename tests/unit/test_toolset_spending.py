"""What the toolset tells the ledger of each call, and when."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.fakes import URL, FakeGateway, FakeStore, at_most

from blockrun_image.catalog import Catalog
from blockrun_image.errors import (
    ConfirmationError,
    ContentPolicyError,
    LedgerError,
    OutcomeUnknownError,
    StorageError,
)
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, ExpectedCost, OnStatus, Unrecorded
from blockrun_image.pricing import Estimate
from blockrun_image.toolset import ImageToolset


class FakeLedger(Unrecorded):
    """Keeps what it is told, in order; the steps that are called `broken` cannot be written down."""

    def __init__(self, *broken: str) -> None:
        super().__init__()
        self.notes: list[tuple[Any, ...]] = []
        self._broken = broken

    async def _note(self, step: str, *what: object) -> None:
        await anyio.lowlevel.checkpoint()
        if step in self._broken:
            raise LedgerError("The disk is full.")
        self.notes.append((step, *what))

    async def reserve(self, request: ImageRequest, cost: ExpectedCost, approval: str | None = None) -> "FakeLedger":
        await self._note("reserved", request.model, cost.most_usd, *([approval] if approval else []))
        return self

    async def sent(self) -> None:
        await self._note("sent")

    async def accepted(self, job: str) -> None:
        await self._note("accepted", job)

    async def settled(self, response: ImagesResponse) -> None:
        await self._note("settled", response.charged_usd, [image.url for image in response.images])

    async def released(self) -> None:
        await self._note("released")

    async def unknown(self) -> None:
        await self._note("unknown")

    async def stopped(self) -> None:
        await self._note("stopped")

    async def told(self) -> None:
        await self._note("told")


RESERVED = ("reserved", "dall-e-3", Decimal("0.126"))


async def make(catalog: Catalog, gateway: FakeGateway, ledger: FakeLedger, store: FakeStore | None = None) -> Any:
    toolset = ImageToolset(catalog, gateway, store, ledger=ledger)
    return await toolset.generate_image("a cat", "dall-e-3", "1024x1792")


@pytest.mark.anyio
@pytest.mark.parametrize("charged", [None, "0.05"])
async def test_the_most_that_a_call_can_cost_is_reserved_before_it_and_its_charge_and_urls_are_settled_after(
    catalog: Catalog, charged: str | None
) -> None:
    ledger = FakeLedger()
    await make(catalog, FakeGateway(Image(URL), Image(data=b"png"), charged=charged), ledger, FakeStore())
    kept = [URL, "file:///pictures/1.png"]
    assert ledger.notes == [RESERVED, ("settled", Decimal(charged) if charged else None, kept), ("told",)]


ENDINGS: Sequence[tuple[Exception, tuple[Any, ...]]] = [
    (ContentPolicyError("No."), ("released",)),
    (OutcomeUnknownError("Silence."), ("unknown",)),
    (OutcomeUnknownError("Useless.", charged="yes"), ("settled", None, [])),
    (ZeroDivisionError(), ("unknown",)),
]


class FailingGateway(FakeGateway):
    """Fails as it is told to."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        await attempt.sent()
        raise self._error


@pytest.mark.anyio
@pytest.mark.parametrize(("error", "ending"), ENDINGS)
async def test_each_way_in_which_a_call_fails_is_written_down_as_what_it_means_for_the_money(
    catalog: Catalog, error: BaseException, ending: tuple[Any, ...]
) -> None:
    ledger = FakeLedger()
    with pytest.raises(type(error)):
        await make(catalog, FailingGateway(error), ledger)
    assert ledger.notes == [RESERVED, ("sent",), ending, ("told",)]


@pytest.mark.anyio
async def test_a_call_that_a_gateway_lets_be_cancelled_is_stopped(catalog: Catalog) -> None:
    class WaitingGateway(FakeGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            call.cancel()
            await anyio.sleep_forever()
            raise AssertionError

    ledger = FakeLedger()
    with anyio.CancelScope() as call:
        await make(catalog, WaitingGateway(), ledger)
    assert ledger.notes == [RESERVED, ("stopped",)]


@pytest.mark.anyio
async def test_pictures_that_could_not_be_kept_are_settled_all_the_same(catalog: Catalog) -> None:
    ledger = FakeLedger()
    with pytest.raises(StorageError):
        await make(catalog, FakeGateway(Image(data=b"lost"), charged="0.05"), ledger, FakeStore())
    assert ledger.notes[1:] == [("settled", Decimal("0.05"), []), ("told",)]


@pytest.mark.anyio
@pytest.mark.parametrize("broken", ["reserved", "sent"])
async def test_what_cannot_be_written_down_before_is_not_sent(catalog: Catalog, broken: str) -> None:
    ledger = FakeLedger(broken)
    with pytest.raises(LedgerError) as caught:
        await make(catalog, FailingGateway(ZeroDivisionError()), ledger)
    assert caught.value.charged == "no"
    assert ledger.notes == ([] if broken == "reserved" else [RESERVED, ("released",)])


@pytest.mark.anyio
async def test_a_picture_is_not_lost_with_the_line_that_should_have_settled_it(catalog: Catalog) -> None:
    result = await make(catalog, FakeGateway(Image(URL)), FakeLedger("settled"))
    assert [image.url for image in result.images] == [URL]
    assert "The disk is full." in result.warnings


@pytest.mark.anyio
async def test_an_error_is_told_also_where_it_cannot_be_written_down(catalog: Catalog) -> None:
    with pytest.raises(ContentPolicyError):
        await make(catalog, FailingGateway(ContentPolicyError("No.")), FakeLedger("released"))


@pytest.mark.anyio
async def test_without_a_ledger_an_attempt_is_only_told_apart_from_others() -> None:
    request = ImageRequest("a cat", "dall-e-3", "1024x1024", None, 1)
    one, other = [await Unrecorded().reserve(request, at_most(Decimal(1))) for _ in range(2)]
    assert one.id != other.id
    await one.sent()
    await one.accepted("job")
    await one.settled(ImagesResponse(()))
    await one.released()
    await one.unknown()


@pytest.mark.anyio
@pytest.mark.parametrize("approval", ["approval-1", None])
async def test_what_approves_a_call_knows_its_price_and_the_ledger_knows_the_approval(
    catalog: Catalog, approval: str | None
) -> None:
    ledger = FakeLedger()
    asked: list[tuple[str, Decimal | None]] = []

    async def approve(request: ImageRequest, expected: Estimate) -> str | None:
        await anyio.lowlevel.checkpoint()
        assert ledger.notes == []
        asked.append((request.prompt, expected.high_usd))
        return approval

    toolset = ImageToolset(catalog, FakeGateway(Image(URL)), ledger=ledger)
    await toolset.generate_image("a cat", "dall-e-3", "1024x1792", approve=approve)
    assert asked == [("a cat", Decimal("0.126"))]
    assert ledger.notes[0] == (*RESERVED, *([approval] if approval else []))


@pytest.mark.anyio
async def test_a_call_that_is_not_approved_reserves_and_sends_nothing(catalog: Catalog) -> None:
    gateway, ledger = FakeGateway(Image(URL)), FakeLedger()

    async def refuse(request: ImageRequest, expected: Estimate) -> str | None:
        await anyio.lowlevel.checkpoint()
        raise ConfirmationError("No.")

    with pytest.raises(ConfirmationError):
        await ImageToolset(catalog, gateway, ledger=ledger).generate_image("a cat", "dall-e-3", approve=refuse)
    assert (gateway.requests, ledger.notes) == ([], [])
