"""What the toolset tells the ledger of each call, and when."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.support.fakes import URL, FailingGateway, FakeGateway, FakeLedger, FakeStore, Note, SendingGateway
from tests.support.ledgers import Processes, open_ledger
from tests.support.listings import image, joined

from blockrun_image.attempts import Approval, CallInfo, Job, Order
from blockrun_image.callers import Caller
from blockrun_image.catalog import Catalog
from blockrun_image.errors import (
    Charged,
    ConfirmationError,
    ContentPolicyError,
    GatewayError,
    LedgerError,
    OutcomeUnknownError,
    StorageError,
)
from blockrun_image.fixed_ports import FixedPorts
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, Begun, NeedsApproval, OnStatus
from blockrun_image.pricing import Estimate
from blockrun_image.timings import CallTimings
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.ledger.limits import Limits

pytestmark = pytest.mark.anyio

RESERVED = ("reserved", "dall-e-3", Decimal("0.126"))


async def make(catalog: Catalog, gateway: FakeGateway, ledger: FakeLedger, store: FakeStore | None = None) -> Any:
    toolset = ImageToolset(catalog, gateway, store, ledger=ledger)
    return await toolset.generate_image("a cat", "dall-e-3", "1024x1792")


@pytest.mark.parametrize("charged", [None, "0.05"])
async def test_maximum_cost_is_reserved_and_the_charge_settled(catalog: Catalog, charged: str | None) -> None:
    ledger = FakeLedger()
    await make(catalog, FakeGateway(Image(URL), Image(data=b"png"), charged=charged), ledger, FakeStore())
    kept = [URL, "file:///pictures/1.png"]
    assert ledger.notes == [RESERVED, ("settled", Decimal(charged) if charged else None, kept), ("delivered",)]


ENDINGS: Sequence[tuple[Exception, Sequence[Note]]] = [
    (ContentPolicyError("No."), [("released",)]),
    (OutcomeUnknownError("Silence."), [("unknown",), ("delivered", "unknown")]),
    (OutcomeUnknownError("Useless.", charged="yes"), [("settled", None, []), ("delivered",)]),
    (ZeroDivisionError(), [("unknown",), ("delivered", "unknown")]),
]


@pytest.mark.parametrize(("error", "endings"), ENDINGS)
async def test_each_failure_is_recorded_by_its_charge(
    catalog: Catalog, error: BaseException, endings: Sequence[Note]
) -> None:
    ledger = FakeLedger()
    with pytest.raises(type(error)):
        await make(catalog, FailingGateway(error), ledger)
    assert ledger.notes == [RESERVED, ("sent",), *endings]


async def test_charge_known_to_an_error_is_settled(catalog: Catalog) -> None:
    ledger, error = FakeLedger(), OutcomeUnknownError("Useless.", charged="yes")
    error.charged_usd = Decimal("0.07")
    with pytest.raises(OutcomeUnknownError):
        await make(catalog, FailingGateway(error), ledger)
    assert ("settled", Decimal("0.07"), []) in ledger.notes


WITHOUT_PICTURES: Sequence[tuple[str | None, Sequence[Note]]] = [
    (None, [("unknown",), ("delivered", "unknown")]),
    ("0.05", [("settled", Decimal("0.05"), []), ("delivered",)]),
]


@pytest.mark.parametrize(("charged", "endings"), WITHOUT_PICTURES)
async def test_answer_without_a_picture_is_recorded_with_its_charge(
    catalog: Catalog, charged: str | None, endings: Sequence[Note]
) -> None:
    ledger = FakeLedger()
    with pytest.raises(OutcomeUnknownError):
        await make(catalog, FakeGateway(charged=charged), ledger)
    assert ledger.notes == [RESERVED, *endings]


async def test_cancelled_call_is_stopped_if_the_gateway_allows_it(catalog: Catalog) -> None:
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
    assert call.cancelled_caught
    assert ledger.notes[:2] == [RESERVED, ("stopped",)]


async def test_job_of_a_cancelled_call_is_collected_by_the_same_call(catalog: Catalog, tmp_path: Path) -> None:
    class Slow(FakeGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            self.requests.append(request)
            await attempt.sent()
            assert await attempt.accepted("job_1")
            call.cancel()
            await anyio.sleep_forever()
            raise AssertionError

    path, gateway = tmp_path / "ledger", Slow(Image(URL))
    async with open_ledger(path) as ledger:
        toolset = ImageToolset(catalog, gateway, ledger=ledger)
        for _ in range(2):
            with anyio.CancelScope() as call:
                await toolset.generate_image("a cat", "dall-e-3")
    assert (len(gateway.requests), gateway.polled) == (1, [Job("job_1")])


async def test_call_that_shares_a_cancelled_one_in_place_still_buys(catalog: Catalog, tmp_path: Path) -> None:
    class Stuck(SendingGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            if not self.requests:
                self.requests.append(request)
                is_stuck.set()
                await anyio.sleep_forever()
            return await super().generate(request, attempt, on_status, within_seconds)

    async def make() -> None:
        with first:
            await toolset.generate_image("a cat", "dall-e-3")

    path, first, is_stuck, is_waiting = tmp_path / "ledger", anyio.CancelScope(), anyio.Event(), anyio.Event()
    async with open_ledger(path) as ledger:
        timings = CallTimings(join_seconds=0)
        toolset = ImageToolset(catalog, Stuck(Image(URL)), ledger=ledger, timings=timings)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(make)
            await is_stuck.wait()

            async def leave() -> None:
                await is_waiting.wait()
                await anyio.lowlevel.checkpoint()
                first.cancel()

            tasks.start_soon(leave)
            result = await toolset.generate_image("a cat", "dall-e-3", on_status=lambda status: is_waiting.set())
            assert [image.url for image in result.images] == [URL]


async def test_pictures_that_could_not_be_saved_are_still_settled(catalog: Catalog) -> None:
    ledger = FakeLedger()
    with pytest.raises(StorageError):
        await make(catalog, FakeGateway(Image(data=b"lost"), charged="0.05"), ledger, FakeStore())
    assert ledger.notes[1:] == [("settled", Decimal("0.05"), []), ("delivered",)]


@pytest.mark.parametrize("broken", ["reserved", "sent"])
async def test_request_that_cannot_be_recorded_first_is_not_sent(catalog: Catalog, broken: str) -> None:
    ledger = FakeLedger(broken=[broken])
    with pytest.raises(LedgerError) as caught:
        await make(catalog, FailingGateway(ZeroDivisionError()), ledger)
    assert caught.value.charged == "no"
    assert ledger.notes == ([] if broken == "reserved" else [RESERVED, ("released",), ("abandoned",)])


async def test_ledger_warning_reaches_the_result(catalog: Catalog) -> None:
    class Unwritten(FakeLedger):
        async def begin(self, call: CallInfo, order: Order | None) -> Begun:
            reserved: Any = await super().begin(call, order)

            async def settled(response: ImagesResponse) -> Sequence[str]:
                await anyio.lowlevel.checkpoint()
                return ["It is not on disk yet."]

            reserved.attempt.settled = settled
            return reserved

    result = await make(catalog, FakeGateway(Image(URL), warnings=["It is blurred."]), Unwritten())
    assert [image.url for image in result.images] == [URL]
    assert result.warnings == ["It is blurred.", "It is not on disk yet."]


async def test_caller_of_a_call_reaches_the_ledger(catalog: Catalog) -> None:
    ledger, caller = FakeLedger(), Caller.new()
    toolset = ImageToolset(catalog, FakeGateway(Image(URL)), ledger=ledger)
    await toolset.generate_image("a cat", "dall-e-3", caller=caller)
    await toolset.generate_image("a cat", "dall-e-3")
    assert [call.caller for call in ledger.calls] == [caller, None]
    assert ledger.calls[0].key == ledger.calls[1].key


# approvals


async def test_user_approves_a_call_by_its_original_prompt_and_price(catalog: Catalog) -> None:
    ledger = FakeLedger(NeedsApproval(Decimal("0.126")))
    asked: list[tuple[str, Decimal | None]] = []

    async def approve(request: ImageRequest, expected: Estimate, needed: NeedsApproval) -> Approval:
        await anyio.lowlevel.checkpoint()
        assert ledger.notes == []
        asked.append((request.prompt, expected.high_usd))
        return Approval("approval-1")

    toolset = ImageToolset(catalog, FakeGateway(Image(URL)), ledger=ledger)
    await toolset.generate_image("a cat", "dall-e-3", "1024x1792", approve=approve)
    assert asked == [("a cat", Decimal("0.126"))]
    assert [order and order.approval for order in ledger.orders] == [None, Approval("approval-1")]
    assert ledger.notes[0] == (*RESERVED, Approval("approval-1"))


async def test_user_is_not_asked_unless_the_ledger_requires_it(catalog: Catalog) -> None:
    async def approve(request: ImageRequest, expected: Estimate, needed: NeedsApproval) -> Approval:
        raise AssertionError

    toolset = ImageToolset(catalog, FakeGateway(Image(URL)), ledger=FakeLedger())
    await toolset.generate_image("a cat", "dall-e-3", approve=approve)


async def test_unapproved_call_reserves_and_sends_nothing(catalog: Catalog) -> None:
    gateway, ledger = FakeGateway(Image(URL)), FakeLedger(NeedsApproval(Decimal("0.126")))

    async def refuse(request: ImageRequest, expected: Estimate, needed: NeedsApproval) -> Approval:
        await anyio.lowlevel.checkpoint()
        raise ConfirmationError("No.")

    with pytest.raises(ConfirmationError):
        await ImageToolset(catalog, gateway, ledger=ledger).generate_image("a cat", "dall-e-3", approve=refuse)
    assert (gateway.requests, ledger.notes) == ([], [])


async def test_required_approval_without_a_user_is_an_error(catalog: Catalog) -> None:
    gateway, ledger = FakeGateway(Image(URL)), FakeLedger(NeedsApproval(None))
    with pytest.raises(ConfirmationError, match="no user can be asked"):
        await ImageToolset(catalog, gateway, ledger=ledger).generate_image("a cat", "dall-e-3")
    assert (gateway.requests, ledger.notes) == ([], [])


async def test_user_is_asked_again_about_the_price_of_a_newer_list(catalog: Catalog, processes: Processes) -> None:
    shown: list[Decimal | None] = []

    async def approve(_: ImageRequest, __: Estimate, needed: NeedsApproval) -> Approval:
        await anyio.lowlevel.checkpoint()
        shown.append(needed.max_usd)
        toolset.catalog = joined(catalog, image("dall-e-3", "0.08"))
        return Approval(f"approval-{len(shown)}", needed.max_usd)

    ledger = await processes.start(limits=Limits(None, None, confirm_above_micro_usd=40_000))
    toolset = ImageToolset(catalog, SendingGateway(Image(URL)), ledger=ledger)
    await toolset.generate_image("a cat", "dall-e-3", approve=approve)
    assert shown == [Decimal("0.042"), Decimal("0.085")]  # with the margin and the fee


@pytest.mark.parametrize(("is_sandbox", "charged"), [(True, "yes"), (True, "unknown"), (True, "no"), (False, "yes")])
async def test_sandbox_error_says_that_no_real_money_is_spent(
    catalog: Catalog, is_sandbox: bool, charged: Charged
) -> None:
    gateway = FailingGateway(GatewayError("It went wrong.", charged=charged))
    toolset = ImageToolset(catalog, ports=FixedPorts(gateway, is_sandbox=is_sandbox))
    with pytest.raises(GatewayError) as caught:
        await toolset.generate_image("a cat", "dall-e-3")
    assert ("no real money" in caught.value.hint) == (is_sandbox and charged != "no")
