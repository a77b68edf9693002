"""Adapters of the toolset's ports that keep what they are told."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from blockrun_image.attempts import (
    Approval,
    AttemptState,
    AttemptStatus,
    CallInfo,
    ExpectedCost,
    Job,
    Order,
    Quote,
    UncollectedPictures,
)
from blockrun_image.callers import Caller, DeliveryEvent, OnDelivery
from blockrun_image.errors import LedgerError, StorageError
from blockrun_image.file_names import SaveAs
from blockrun_image.images import Image, ImageRequest, ImagesResponse, PictureDetails, SavedPicture
from blockrun_image.null_ledger import NullAttempt
from blockrun_image.ports import Attempt, Begun, Collected, NothingFound, OnStatus, PriceNotApproved, Reserved

URL = "https://pictures.example/1.png"
OTHER_URL = "https://pictures.example/2.png"
HELD = Decimal("0.05")
"""What is set aside for a fake attempt."""

Note = tuple[Any, ...]
"""A step of an attempt, and what was told of it."""


def at_most(usd: Decimal) -> ExpectedCost:
    """Return what is expected of a call that costs at most so much."""
    return ExpectedCost(Decimal(0), usd)


class Clock:
    """A clock that a test turns."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeGateway:
    """Keeps what it is asked for, and answers with the images that it was given."""

    name = "pictures.example"

    def __init__(self, *images: Image, charged: str | None = None, warnings: Sequence[str] = ()) -> None:
        self.requests: list[ImageRequest] = []
        self.polled: list[Job] = []
        self.fetched: list[str] = []
        self._response = ImagesResponse(images, Decimal(charged) if charged else None, warnings)

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        self.requests.append(request)
        on_status("drawing")
        return self._response

    async def poll(self, job: Job, attempt: Attempt, on_status: OnStatus) -> ImagesResponse:
        self.polled.append(job)
        await attempt.polled(0.0)
        return self._response

    async def quote(self, request: ImageRequest) -> Decimal | None:
        return None

    async def fetch(self, url: str) -> bytes:
        await anyio.lowlevel.checkpoint()
        self.fetched.append(url)
        if "lost" in url:
            raise StorageError("Its URL has expired.")
        return url.encode()


class SendingGateway(FakeGateway):
    """Tells the attempt before its request leaves, as every gateway must that is used with a real ledger."""

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        await attempt.sent()
        return await super().generate(request, attempt, on_status, within_seconds)


class FailingGateway(FakeGateway):
    """Fails as it is told to, once its request was sent, or when it polls a job."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        await attempt.sent()
        raise self._error

    async def poll(self, job: Job, attempt: Attempt, on_status: OnStatus) -> ImagesResponse:
        raise self._error


class GatedGateway(FakeGateway):
    """Makes a picture once it may, and cannot be cancelled, as a request that has left."""

    def __init__(self, *, is_open: bool = False) -> None:
        super().__init__(Image(URL), charged="0.042")
        self.gate = anyio.Event()
        if is_open:
            self.gate.set()

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        self.requests.append(request)
        with anyio.CancelScope(shield=True):
            await self.gate.wait()
        return self._response


class FakeAttempt(NullAttempt):
    """Keeps what it is told, in order, and stands as it was given, time after time.

    The steps that are called `broken` cannot be written down.
    """

    def __init__(
        self,
        request: ImageRequest,
        *statuses: AttemptStatus,
        claimed: bool = True,
        broken: Sequence[str] = (),
        notes: list[Note] | None = None,
    ) -> None:
        super().__init__(request)
        self.reserved_usd = HELD
        self.notes: list[Note] = [] if notes is None else notes
        self._statuses = list(statuses) or [AttemptStatus(AttemptState.UNKNOWN)]
        self._is_claimed = claimed
        self._broken = broken

    async def note(self, step: str, *what: object) -> None:
        await anyio.lowlevel.checkpoint()
        if step in self._broken:
            raise LedgerError("The disk is full.")
        self.notes.append((step, *what))

    async def sent(self) -> None:
        await self.note("sent")

    async def accepted(self, job: str, charged_usd: Decimal | None = None) -> bool:
        await self.note("accepted", job)
        return True

    async def polled(self, next_seconds: float) -> None:
        await self.note("polled", next_seconds)

    async def settled(self, response: ImagesResponse) -> Sequence[str]:
        await self.note("settled", response.charged_usd, [image.url for image in response.images])
        return ()

    async def released(self) -> None:
        await self.note("released")

    async def mark_unknown(self, warnings: Sequence[str] = (), *, is_over: bool = False) -> None:
        await self.note("unknown", *warnings)

    async def approve(self, approval: Approval) -> bool:
        await self.note("approved", approval)
        return True

    async def stopped(self) -> None:
        await self.note("stopped")

    async def status(self) -> AttemptStatus:
        await anyio.lowlevel.checkpoint()
        if "status" in self._broken:
            raise LedgerError("The disk is full.")
        return self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]

    async def claim(self) -> bool:
        await self.note("claimed", self._is_claimed)
        return self._is_claimed

    async def mark_abandoned(self) -> None:
        await self.note("abandoned")

    async def mark_delivered(
        self,
        *,
        is_repeatable: bool = False,
        is_unknown: bool = False,
        mentioned_ids: Sequence[str] = (),
    ) -> None:
        told = {"repeatable": is_repeatable, "unknown": is_unknown}
        await self.note("delivered", *(word for word, is_so in told.items() if is_so), *mentioned_ids)


class FakeLedger:
    """Begins each call as it was given, time after time, and then reserves; it keeps what it and its attempts are told.

    The steps that are called `broken` cannot be written down.
    """

    def __init__(
        self, *begun: Begun | Exception, broken: Sequence[str] = (), uncollected: Sequence[UncollectedPictures] = ()
    ) -> None:
        self.calls: list[CallInfo] = []
        self.orders: list[Order | None] = []
        self.notes: list[Note] = []
        self._begun = [*begun]
        self._broken = broken
        self._uncollected = uncollected

    async def begin(self, call: CallInfo, order: Order | None) -> Begun:
        await anyio.lowlevel.checkpoint()
        self.calls.append(call)
        self.orders.append(None if order is None else replace(order, send_seconds=0.0))
        if self._begun:
            begun = self._begun.pop(0)
            if isinstance(begun, Exception):
                raise begun
            return begun
        if order is None:
            return NothingFound()
        attempt = FakeAttempt(order.request, broken=self._broken, notes=self.notes)
        approval = [order.approval] if order.approval else []
        await attempt.note("reserved", order.request.model, order.cost.max_usd, *approval)
        return Reserved(attempt, self._uncollected)

    async def charged_lately(self, requests: Sequence[ImageRequest]) -> Sequence[Decimal | None]:
        return [None] * len(requests)

    async def picture(self, id: str) -> Image | None:
        return None

    async def last_pictures(self, caller: Caller | None) -> Sequence[Image]:
        return ()


class EarlierCall(FakeLedger):
    """A ledger in which an earlier call's attempt is found, which stands as it was given."""

    def __init__(
        self, request: ImageRequest, *statuses: AttemptStatus, claimed: bool = True, broken: Sequence[str] = ()
    ) -> None:
        self.attempt = FakeAttempt(request, *statuses, claimed=claimed, broken=broken)
        super().__init__(Collected(self.attempt))
        self.attempt.notes = self.notes


class FakeDelivery:
    """Delivers an answer when the test says so."""

    def __init__(self) -> None:
        self._reports: list[OnDelivery] = []

    def on_report(self, report: OnDelivery) -> None:
        self._reports.append(report)

    async def tell(self, event: DeliveryEvent) -> None:
        (report,) = self._reports
        await report(event)


class FakeStore:
    """Keeps pictures in memory; of those that are called `lost` it says that it could not, and checks none `unchecked`.

    One that is `full` keeps nothing as it came, and one that `is_readonly` says so before.
    """

    def __init__(self, *, is_full: bool = False, is_readonly: bool = False) -> None:
        self.kept: dict[Path, bytes] = {}
        self.details: dict[Path, PictureDetails] = {}
        self.has_no_room = False
        self._is_full = is_full
        self._is_readonly = is_readonly

    async def keep(self, content: bytes) -> Path:
        await anyio.lowlevel.checkpoint()
        if self._is_full:
            raise StorageError("The disk is full.")
        path = Path(f"/pictures/{len(self.kept) + 1}.bin")
        self.kept[path] = content
        return path

    async def check(self, name: SaveAs | None = None) -> None:
        await anyio.lowlevel.checkpoint()
        if self._is_readonly:
            raise StorageError("The folder cannot be written.", charged="no")

    async def check_room(self) -> None:
        await anyio.lowlevel.checkpoint()
        if self.has_no_room:
            raise StorageError("The images folder holds 5 MB of pictures, and its limit is 5 MB.")

    async def save(self, picture: bytes, details: PictureDetails, name: SaveAs | None = None) -> SavedPicture:
        await anyio.lowlevel.checkpoint()
        if picture == b"lost":
            raise StorageError("The disk is full.")
        path = Path(f"/pictures/{len(self.kept) + 1}.png") if name is None else Path("/pictures") / name.path(1, ".png")
        self.kept[path] = picture
        self.details[path] = details
        notes = ["It was saved as PNG, and not checked to be whole."] if picture == b"unchecked" else []
        return SavedPicture(path, f"{len(self.kept):012x}", notes)

    async def copy(self, path: Path, details: PictureDetails, name: SaveAs) -> SavedPicture:
        return await self.save(self.kept[path], details, name)

    async def holds(self, path: Path, name: SaveAs | None) -> bool:
        await anyio.lowlevel.checkpoint()
        return path in self.kept and (name is None or path == Path("/pictures") / name.path(1, ".png"))

    async def url_in(self, path: Path) -> str | None:
        await anyio.lowlevel.checkpoint()
        return self.kept[path].decode() if path.name.endswith(".url.txt") else None

    async def save_url(self, url: str) -> Path:
        await anyio.lowlevel.checkpoint()
        if "lost" in url:
            raise StorageError("The disk is full.")
        path = Path(f"/pictures/{len(self.kept) + 1}.url.txt")
        self.kept[path] = url.encode()
        return path


class QuotingGateway(FakeGateway):
    """Quotes a price before it draws, each time the next one."""

    def __init__(self, *prices: str) -> None:
        super().__init__(Image(URL), charged=prices[-1])
        self._prices = [*prices]

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        price = Decimal(self._prices.pop(0))
        await attempt.quoted(Quote(price, "x.example", "0x1"))
        return await super().generate(request, attempt, on_status, within_seconds)


class AskingAttempt(FakeAttempt):
    """Takes prices up to five cents, or up to the one that was approved; an approval may have been used before."""

    is_used = False
    most = Decimal("0.05")

    async def quoted(self, quote: Quote) -> None:
        await self.note("quoted", quote.amount_usd)
        if quote.amount_usd > self.most:
            raise PriceNotApproved(quote.amount_usd)

    async def approve(self, approval: Approval) -> bool:
        self.most = approval.max_usd or self.most
        await super().approve(approval)
        return not self.is_used
