"""One purchase: collected if an earlier call has bought it, otherwise bought once."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from blockrun_image.attempts import (
    Approval,
    CallInfo,
    ExpectedCost,
    Job,
    Order,
    UncollectedPictures,
)
from blockrun_image.callers import DeliveryEvent
from blockrun_image.delivery import with_files
from blockrun_image.earlier_attempts import response_of
from blockrun_image.errors import (
    Answer,
    ConfigurationError,
    ConfirmationError,
    GatewayError,
    ImageError,
    InvalidRequestError,
    LedgerError,
    OutcomeUnknownError,
    RateLimitError,
    StorageError,
)
from blockrun_image.file_names import SaveAs
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.keeping import RunningSaving, Saving, Savings, name_of
from blockrun_image.ports import (
    Attempt,
    Begun,
    Collected,
    JobPending,
    NeedsApproval,
    NothingFound,
    OnStatus,
    Ports,
    PriceNotApproved,
    Reserved,
    Runner,
    SharedTask,
    SlotBooked,
)
from blockrun_image.timings import CallTimings

Approve: TypeAlias = Callable[[NeedsApproval], Awaitable[Approval]]
"""Asks the user; raises `ConfirmationError` unless the answer is yes."""

_NOT_FOUND_IN_TIME = "The pictures to start from could not be fetched in time. Nothing was sent."
_STILL_THERE = "The request may have been sent. Repeat the call to collect its pictures."


@dataclass(eq=False)
class Purchase:
    """A purchase, shared by all calls that joined it.

    Without an `order`, it only collects; `refusal` is then the reason why it cannot order. `price` returns a request's
    current cost; it is a function, because the cost may change while the user is asked. `complete` adds the pictures
    that a request starts from.
    """

    ports: Ports
    call: CallInfo
    order: Order | None
    timings: CallTimings
    run: Runner
    refusal: ImageError | None = None
    price: Callable[[ImageRequest], ExpectedCost] | None = None
    complete: Callable[[ImageRequest], Awaitable[ImageRequest]] | None = None
    listeners: list[OnStatus] = field(default_factory=list[OnStatus])
    attempt: Attempt | None = None
    uncollected: Sequence[UncollectedPictures] = ()
    is_abandoned: bool = False
    _is_over: bool = False
    _task: SharedTask[ImagesResponse | NeedsApproval] | None = None
    _confirming: anyio.Lock = field(default_factory=anyio.Lock)
    _declined: ConfirmationError | None = None
    _approval: Approval | None = None
    _unapproved: Attempt | None = None
    savings: Savings = field(default_factory=Savings)
    _savings: dict[str, RunningSaving] = field(default_factory=dict[str, RunningSaving])

    @property
    def request(self) -> ImageRequest | None:
        """The request of the purchase, or of the earlier call that bought it."""
        if self.attempt is not None:
            return self.attempt.request
        return None if self.order is None else self.order.request

    @property
    def is_not_in_ledger_yet(self) -> bool:
        """Whether the purchase is running, but not in the ledger yet.

        Then only this process knows of it.
        """
        return self._task is not None and self.attempt is None and not self._is_over

    async def result(self, timeout_seconds: float, approve: Approve) -> ImagesResponse | None:
        """Return the pictures, all with URLs, or `None` at the timeout or while a job goes on for minutes.

        `approve` asks the user, for as long as that takes; the timeout then starts again. The oldest waiting call asks;
        if it leaves before the user answers, the next one asks. Raises `ImageError`.
        """
        deadline = anyio.current_time() + timeout_seconds
        while True:
            if self._task is None:
                self._is_over, self._task = False, self.run(self._work)
            task = self._task
            try:
                outcome = await task.wait(deadline - anyio.current_time(), self.abandon)
            except JobPending:
                await self.abandon()
                return None
            if not isinstance(outcome, NeedsApproval):
                return outcome
            # anyio's lock is first come, first served: the oldest waiting call asks the user.
            with anyio.move_on_after(deadline - anyio.current_time()) as scope:
                await self._confirming.acquire()
            if scope.cancelled_caught:
                return None
            try:
                if self._task is task:  # no other call has asked meanwhile
                    await self._ask(approve, outcome)
                    deadline = anyio.current_time() + timeout_seconds
            finally:
                self._confirming.release()

    async def finish(self, attempt: Attempt, job: Job) -> ImagesResponse:
        """Poll a claimed job to its end, and return its pictures.

        Raises `ImageError` and `JobPending`.
        """
        self.attempt = attempt
        response = await self._poll(attempt, job)
        return await self.with_saved(response, None, math.inf)

    async def with_saved(
        self, response: ImagesResponse, save_as: SaveAs | None, timeout_seconds: float
    ) -> ImagesResponse:
        """Return the response with the files of its pictures, as far as they are saved before the timeout.

        Each name is saved once, however many calls wait. The saving goes on after the timeout. It raises nothing.
        """
        running = self._savings.get(name_of(save_as)) or self._start_saving(response, save_as)
        if running is None:
            return response
        try:
            await running.task.wait(timeout_seconds, checkpoint)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self.abandon()
            raise
        images, warnings = running.saving.so_far()
        return replace(response, images=images, warnings=[*response.warnings, *warnings])

    async def withdraw(self) -> None:
        """Release the money that stays set aside while the user is asked.

        Called when no call waits for the answer any more.
        """
        if self._unapproved is not None:
            unapproved, self._unapproved = self._unapproved, None
            await unapproved.released()

    async def abandon(self) -> None:
        """Record that the callers have gone; an identical call then collects the purchase."""
        self.is_abandoned = True
        if self.attempt is not None:
            await self.attempt.mark_abandoned()

    async def note_answer(self, error: Exception | None, event: DeliveryEvent, *, was_slow: bool) -> None:
        """Record the delivery of an answer, that is, of pictures or an error.

        After a slow or cancelled call, the caller may have given up before reading the answer.
        """
        attempt = self.attempt
        if attempt is None:
            return
        may_be_missed = was_slow or event is DeliveryEvent.CANCELLED
        is_unknown = error is not None and not (_was_charged(error) or _was_not_charged(error))
        if event is DeliveryEvent.LOST or isinstance(error, ConfigurationError | LedgerError):
            # the answer was lost, or says nothing about the purchase: an identical call may still collect it
            await attempt.mark_abandoned()
        elif _was_not_charged(error):
            return
        elif is_unknown and may_be_missed:
            # the caller may have missed the warning: the next identical call gets it again, instead of buying
            await attempt.mark_abandoned()
        else:
            await attempt.mark_delivered(
                is_repeatable=error is None and may_be_missed,
                is_unknown=is_unknown,
                mentioned_ids=[each.attempt_id for each in self.uncollected],
            )

    @property
    def reserved_usd(self) -> Decimal:
        """The amount set aside for the purchase, in US dollars."""
        return Decimal(0) if self.attempt is None else self.attempt.reserved_usd

    async def _ask(self, approve: Approve, needed: NeedsApproval) -> None:
        if self._declined is not None:
            raise self._declined
        try:
            self._approval = await approve(needed)
        except Exception as error:  # declined, or the client answers with a new call
            self._declined = error if isinstance(error, ConfirmationError) else None
            await self.withdraw()
            raise
        self._task = None

    async def _work(self) -> ImagesResponse | NeedsApproval:
        try:
            return await self._collect_or_buy()
        finally:
            self._is_over = True

    async def _collect_or_buy(self) -> ImagesResponse | NeedsApproval:
        deadline = anyio.current_time() + self.timings.send_seconds
        while True:
            begun = await self._resume() or await self._complete(deadline) or await self._begin(deadline)
            match begun:
                case NeedsApproval():
                    return begun
                case SlotBooked():
                    await self._wait_for_slot(begun, deadline)
                case Reserved(attempt):
                    try:
                        return await self._buy(attempt, deadline)
                    except PriceNotApproved as error:
                        self._unapproved = attempt
                        return NeedsApproval(error.price_usd, is_exact=True)
                case Collected(attempt):
                    response = await self._collect(attempt, is_repeat=begun.is_repeat)
                    if response is not None:
                        return response
                    self.attempt = None  # the earlier attempt was not charged: begin again
                case _:  # nothing was found
                    raise self.refusal or ConfigurationError("There is nothing to buy.")

    async def _resume(self) -> Reserved | None:
        """Resume the attempt with the approved price, unless the approval was used before."""
        unapproved, approval = self._unapproved, self._approval
        if unapproved is None or approval is None:
            return None
        if await unapproved.approve(approval):
            self._unapproved = None
            return Reserved(unapproved, self.uncollected)
        await self.withdraw()
        return None

    async def _complete(self, deadline: float) -> Collected | None:
        """Find the pictures to start from, unless an earlier call has bought the same.

        What they cannot be found for is kept in `refusal`.
        """
        complete, order = self.complete, self.order
        if complete is None or order is None:
            return None
        begun = await self._look_up(None)
        if isinstance(begun, Collected):
            return begun
        self.complete = None
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                self.order = replace(order, request=await complete(order.request))
        except TimeoutError:
            self.order, self.refusal = None, InvalidRequestError(_NOT_FOUND_IN_TIME)
        except (ConfigurationError, InvalidRequestError, LedgerError) as error:
            self.order, self.refusal = None, error
        return None

    async def _begin(self, deadline: float) -> Begun:
        """Collect or reserve.

        An error about the order is kept in `refusal`. It is raised only if there is nothing to collect, or if the
        ledger fails.
        """
        order = self.order
        if order is not None:
            try:
                cost = order.cost if self.price is None else self.price(order.request)
                send_seconds = deadline - anyio.current_time()
                order = replace(order, cost=cost, send_seconds=send_seconds, approval=self._approval)
                await self.ports.gateway()  # if no gateway is configured, fail before money is reserved
            except (ConfigurationError, InvalidRequestError) as error:
                order, self.refusal = None, error
        return await self._look_up(order)

    async def _look_up(self, order: Order | None) -> Begun:
        try:
            begun = await (await self.ports.ledger()).begin(self.call, order)
        except (ConfigurationError, LedgerError) as error:
            raise self.refusal or error from error
        self._take(begun)
        if self.is_abandoned and self.attempt is not None:  # the callers left during the transaction
            await self.attempt.mark_abandoned()
        return begun

    def _take(self, begun: Begun) -> None:
        if isinstance(begun, Reserved | Collected | NothingFound):
            self.uncollected = begun.uncollected
        if isinstance(begun, Reserved | Collected):
            self.attempt = begun.attempt

    async def _wait_for_slot(self, slot: SlotBooked, deadline: float) -> None:
        limit = f"{slot.order.request.model} accepts {slot.order.per_minute} requests a minute"
        if slot.id is None or slot.seconds > deadline - anyio.current_time():
            raise RateLimitError(
                f"{limit}; the next one can be sent in {slot.seconds:.0f} s.",
                hint=f"Wait {slot.seconds:.0f} seconds before the next call, or use another model.",
                answer=Answer(retry_after_seconds=round(slot.seconds, 1)),
            )
        self._report(f"waiting {slot.seconds:.0f} s, because {limit}")
        await anyio.sleep(slot.seconds)
        self.order = replace(slot.order, slot=slot.id)

    async def _buy(self, attempt: Attempt, deadline: float) -> ImagesResponse:
        """Send the order if the store can take its pictures."""

        async def generate() -> ImagesResponse:
            if self.ports.store is not None:
                await self.ports.store.check(self.call.save_as and self.call.save_as.numbered(1))
            gateway = await self.ports.gateway()
            send_seconds = deadline - anyio.current_time()
            request = attempt.request if self.order is None else self.order.request  # the ledger keeps no pictures
            return await gateway.generate(request, attempt, self._report, send_seconds)

        return await self._run_and_record(attempt, generate)

    async def _collect(self, attempt: Attempt, *, is_repeat: bool) -> ImagesResponse | None:
        """Wait for an earlier attempt, and return its pictures.

        Returns `None` if it was not charged. Its job is polled here if no process polls it.
        """
        try:
            while True:
                status = await attempt.status()
                if status.job is not None and status.is_claimable and await attempt.claim():
                    return await self._poll(attempt, status.job)
                if not status.state.is_open or status.is_overdue:
                    return response_of(status, is_repeat=is_repeat)
                self._report("an earlier call with the same arguments is still under way")
                await anyio.sleep(self.timings.attempt_poll_seconds)
        except LedgerError as error:
            raise LedgerError(error.message, hint=_STILL_THERE, charged="unknown") from error

    async def _poll(self, attempt: Attempt, job: Job) -> ImagesResponse:
        async def poll() -> ImagesResponse:
            gateway = await self.ports.gateway()
            return await gateway.poll(job, attempt, self._report)

        return await self._run_and_record(attempt, poll)

    async def _run_and_record(self, attempt: Attempt, work: Callable[[], Awaitable[ImagesResponse]]) -> ImagesResponse:
        """Run chargeable work, and record its end before any caller is answered."""
        try:
            response = await work()
            _require_images(response)
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            with anyio.CancelScope(shield=True):
                if isinstance(error, GatewayError) and error.raw:
                    error.message += _request_id_of(error) + await self._save_raw(error.raw)
                await _end(attempt, error)
            raise
        return await self._store_and_settle(attempt, response)

    async def _store_and_settle(self, attempt: Attempt, response: ImagesResponse) -> ImagesResponse:
        """Record the charge and the URLs, and return the response, with pictures that came as data in files."""
        stored: ImagesResponse = replace(response, images=())
        warnings: Sequence[str] = ()
        # Point of no return: the pictures are paid for, so a cancellation must not lose them.
        with anyio.CancelScope(shield=True):
            try:
                if response.raw:
                    response = replace(response, warnings=[*response.warnings, await self._save_unused(response.raw)])
                stored = await with_files(response, self.ports.store, attempt.request, self.call.save_as)
            except StorageError as error:
                stored = replace(stored, warnings=[*response.warnings, error.message])
                raise
            finally:
                warnings = await attempt.settled(stored)
        self._start_saving(stored, self.call.save_as, is_own=True)
        return replace(stored, warnings=[*stored.warnings, *warnings])

    def _start_saving(
        self, response: ImagesResponse, save_as: SaveAs | None, *, is_own: bool = False
    ) -> RunningSaving | None:
        """Start to save the pictures, unless they are only returned by their URLs."""
        attempt, store = self.attempt, self.ports.store
        if attempt is None or store is None or not (save_as or self.ports.keeps_pictures):
            return None
        self._report("saving the pictures")
        saving = Saving(
            self.ports, store, attempt.request, response.charged_usd, list(response.images), save_as, is_own
        )
        running = self.savings.start(attempt, saving, self.run, [*self._savings.values()])
        self._savings[name_of(save_as)] = running
        return running

    async def _save_unused(self, raw: bytes) -> str:
        return f"Part of the gateway's answer could not be used.{await self._save_raw(raw)}"

    async def _save_raw(self, raw: bytes) -> str:
        """Save a response unchanged, and return a sentence with its path."""
        if self.ports.store is None:
            return ""
        try:
            return f" The answer is saved unchanged: {await self.ports.store.keep(raw)}"
        except StorageError as error:
            return f" {error.message}"

    def _report(self, status: str) -> None:
        for listener in self.listeners:
            listener(status)


def _was_not_charged(error: Exception | None) -> bool:
    return isinstance(error, ImageError) and error.charged == "no"


def _was_charged(error: Exception | None) -> bool:
    return isinstance(error, ImageError) and error.charged == "yes"


def _require_images(response: ImagesResponse) -> None:
    if response.images:
        return
    charged = "yes" if response.charged_usd else "unknown"
    error = OutcomeUnknownError("The gateway made no image.", charged=charged)
    error.charged_usd = response.charged_usd
    raise error


def _request_id_of(error: GatewayError) -> str:
    id = error.answer.request_id
    return "" if id is None else f" The gateway's request id is {id}."


def _warnings_of(error: Exception) -> Sequence[str]:
    return [error.message] if isinstance(error, GatewayError) and error.raw else ()


async def _end(attempt: Attempt, error: BaseException) -> None:
    """Record the charge that an error implies.

    A `ConfigurationError` says nothing about a job that was accepted before.
    """
    match error:
        case PriceNotApproved():
            pass  # the reservation stays while the user is asked
        case JobPending() | ConfigurationError():
            await attempt.stopped()
        case ImageError(charged="no") | GatewayError(is_payment_open=True):
            await attempt.released()
        case ImageError(charged="yes"):
            await attempt.settled(ImagesResponse((), error.charged_usd, _warnings_of(error)))
        case Exception():
            is_over = isinstance(error, GatewayError) and not error.is_job_lost
            await attempt.mark_unknown(_warnings_of(error), is_over=is_over)
        case _:  # cancelled, so either nothing chargeable was sent, or it is a job, which another process can poll
            await attempt.stopped()
