"""One purchase: collected if an earlier call has bought it, and otherwise bought once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeAlias

import anyio

from blockrun_image.attempts import (
    Approval,
    AttemptState,
    AttemptStatus,
    ExpectedCost,
    Job,
    MadeCall,
    Order,
    UncollectedPictures,
)
from blockrun_image.callers import DeliveryEvent
from blockrun_image.delivery import with_files
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
from blockrun_image.images import ImageRequest, ImagesResponse
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
"""Asks the user; raises `ConfirmationError` for any answer but yes."""

_COLLECTED = "An earlier call with the same arguments paid for this; nothing more was charged."
_REPEATED = (
    "The same call was answered moments ago, and these are its pictures; nothing more was charged. To get others,"
    " change the prompt, or ask for several with n if the model takes it."
)
_BUYS_ANEW = "Look into the account first: the same call again buys a new picture."
_STILL_THERE = "Its request may have left: the same call again collects it."


@dataclass(eq=False)
class Purchase:
    """A purchase, which all calls that joined it wait for.

    Without an `order`, it only collects; `refusal` is then why nothing can be ordered. `price` is what a request costs
    at the moment: the list may change while the user is asked.
    """

    ports: Ports
    made: MadeCall
    order: Order | None
    timings: CallTimings
    run: Runner
    refusal: ImageError | None = None
    price: Callable[[ImageRequest], ExpectedCost] | None = None
    listeners: list[OnStatus] = field(default_factory=list[OnStatus])
    attempt: Attempt | None = None
    uncollected: Sequence[UncollectedPictures] = ()
    is_abandoned: bool = False
    _is_over: bool = False
    _task: SharedTask[ImagesResponse | NeedsApproval] | None = None
    _asking: anyio.Lock = field(default_factory=anyio.Lock)
    _declined: ConfirmationError | None = None
    _approval: Approval | None = None
    _waiting: Attempt | None = None

    @property
    def request(self) -> ImageRequest | None:
        """The request that it is for: the one that was sent, if an earlier call has sent it."""
        if self.attempt is not None:
            return self.attempt.request
        return None if self.order is None else self.order.request

    @property
    def is_unwritten(self) -> bool:
        """Whether its work goes on, and the ledger does not have it yet, so that only this process can know of it."""
        return self._task is not None and self.attempt is None and not self._is_over

    async def result(self, timeout_seconds: float, approve: Approve) -> ImagesResponse | None:
        """Return the pictures, all with URLs, or `None` if they take longer than the timeout.

        `approve` asks the user, for as long as that takes. The oldest call that waits asks; if it leaves before the
        answer, the next one does. Raises `ImageError`.
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
            with anyio.move_on_after(deadline - anyio.current_time()) as waiting:
                await self._asking.acquire()
            if waiting.cancelled_caught:
                return None
            try:
                if self._task is task:
                    await self._ask(approve, outcome)
                    deadline = anyio.current_time() + timeout_seconds
            finally:
                self._asking.release()

    async def finish(self, attempt: Attempt, job: Job) -> ImagesResponse:
        """Poll a job that this process has claimed, to its end; raises `ImageError` and `JobPending`."""
        self.attempt = attempt
        return await self._poll(attempt, job)

    async def withdraw(self) -> None:
        """Release what is set aside while the user is asked: nobody waits for the answer any more."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            await waiting.released()

    async def abandon(self) -> None:
        """Note that its callers have gone, so that the same call collects it."""
        self.is_abandoned = True
        if self.attempt is not None:
            await self.attempt.mark_abandoned()

    async def note_answer(self, error: Exception | None, event: DeliveryEvent, *, was_slow: bool) -> None:
        """Note what became of an answer with its pictures or an error.

        After a slow call, or one that was cancelled, the caller may have given up before it read the answer.
        """
        attempt = self.attempt
        if attempt is None:
            return
        is_missed = was_slow or event is DeliveryEvent.CANCELLED
        is_unknown = error is not None and not _is_certain(error)
        if event is DeliveryEvent.LOST or isinstance(error, ConfigurationError | LedgerError):
            await attempt.mark_abandoned()  # what an earlier call has begun can still be collected
        elif _is_free(error):
            return
        elif is_unknown and is_missed:
            await attempt.mark_abandoned()  # it is told once more, before the same call buys again
        else:
            await attempt.mark_delivered(
                is_repeatable=error is None and was_slow,
                is_cancelled=error is None and event is DeliveryEvent.CANCELLED,
                is_unknown=is_unknown,
                named=[each.attempt_id for each in self.uncollected],
            )

    @property
    def held_usd(self) -> Decimal:
        """What is set aside for it."""
        return Decimal(0) if self.attempt is None else self.attempt.held_usd

    async def _ask(self, approve: Approve, needed: NeedsApproval) -> None:
        if self._declined is not None:
            raise self._declined
        try:
            self._approval = await approve(needed)
        except Exception as error:  # a no, or a question that the client answers with another call
            self._declined = error if isinstance(error, ConfirmationError) else None
            await self.withdraw()
            raise
        self._task = None

    async def _work(self) -> ImagesResponse | NeedsApproval:
        try:
            return await self._bought()
        finally:
            self._is_over = True

    async def _bought(self) -> ImagesResponse | NeedsApproval:
        deadline = anyio.current_time() + self.timings.send_seconds
        while True:
            begun = await self._resumed() or await self._begin(deadline)
            match begun:
                case NeedsApproval():
                    return begun
                case SlotBooked():
                    await self._wait_for_slot(begun, deadline)
                case Reserved(attempt):
                    try:
                        return await self._buy(attempt, deadline)
                    except PriceNotApproved as error:
                        self._waiting = attempt
                        return NeedsApproval(error.price_usd, is_exact=True)
                case Collected(attempt):
                    response = await self._collect(attempt, is_repeat=begun.is_repeat)
                    if response is not None:
                        return response
                    self.attempt = None  # nothing was charged in the end
                case _:  # nothing was found
                    raise self.refusal or ConfigurationError("There is nothing to buy.")

    async def _resumed(self) -> Reserved | None:
        """Go on with the attempt whose price the user has approved, unless the approval was used before."""
        waiting, approval = self._waiting, self._approval
        if waiting is None or approval is None:
            return None
        if await waiting.approve(approval):
            self._waiting = None
            return Reserved(waiting, self.uncollected)
        await self.withdraw()
        return None

    async def _begin(self, deadline: float) -> Begun:
        """Collect or reserve; what refuses the order is raised only if there is nothing to collect."""
        order = self.order
        if order is not None:
            try:
                cost = order.cost if self.price is None else self.price(order.request)
                send_seconds = deadline - anyio.current_time()
                order = replace(order, cost=cost, send_seconds=send_seconds, approval=self._approval)
                await self.ports.gateway()
            except (ConfigurationError, InvalidRequestError) as error:
                order, self.refusal = None, error
        try:
            begun = await (await self.ports.ledger()).begin(self.made, order)
        except (ConfigurationError, LedgerError) as error:
            raise self.refusal or error from error
        self._take(begun)
        if self.is_abandoned and self.attempt is not None:  # its callers left while it was found
            await self.attempt.mark_abandoned()
        return begun

    def _take(self, begun: Begun) -> None:
        if isinstance(begun, Reserved | Collected | NothingFound):
            self.uncollected = begun.uncollected
        if isinstance(begun, Reserved | Collected):
            self.attempt = begun.attempt

    async def _wait_for_slot(self, slot: SlotBooked, deadline: float) -> None:
        limit = f"{slot.order.request.model} takes {slot.order.per_minute} requests a minute"
        if slot.id is None or slot.seconds > deadline - anyio.current_time():
            raise RateLimitError(
                f"{limit}, and its next slot is in {slot.seconds:.0f} s.",
                hint=f"Wait {slot.seconds:.0f} seconds before the next call, or use another model.",
                answer=Answer(retry_after_seconds=round(slot.seconds, 1)),
            )
        self._say(f"waiting {slot.seconds:.0f} s for its slot: {limit}")
        await anyio.sleep(slot.seconds)
        self.order = replace(slot.order, slot=slot.id)

    async def _buy(self, attempt: Attempt, deadline: float) -> ImagesResponse:
        """Send the order; a folder in which nothing can be kept is found before."""

        async def generate() -> ImagesResponse:
            if self.ports.store is not None:
                await self.ports.store.check()
            gateway = await self.ports.gateway()
            send_seconds = deadline - anyio.current_time()
            return await gateway.generate(attempt.request, attempt, self._say, send_seconds)

        return await self._paid(attempt, generate)

    async def _collect(self, attempt: Attempt, *, is_repeat: bool) -> ImagesResponse | None:
        """Wait for an earlier call's attempt to end, and return its pictures; `None` if nothing was charged.

        Its job is polled here if nobody else does.
        """
        try:
            while True:
                status = await attempt.status()
                if status.job is not None and status.is_claimable and await attempt.claim():
                    return await self._poll(attempt, status.job)
                if not status.state.is_open or status.is_overdue:
                    return _collected(status, _REPEATED if is_repeat else _COLLECTED)
                self._say("an earlier call with the same arguments is still under way")
                await anyio.sleep(self.timings.attempt_poll_seconds)
        except LedgerError as error:
            raise LedgerError(error.message, hint=_STILL_THERE, charged="unknown") from error

    async def _poll(self, attempt: Attempt, job: Job) -> ImagesResponse:
        async def poll() -> ImagesResponse:
            gateway = await self.ports.gateway()
            return await gateway.poll(job, attempt, self._say)

        return await self._paid(attempt, poll)

    async def _paid(self, attempt: Attempt, work: Callable[[], Awaitable[ImagesResponse]]) -> ImagesResponse:
        """Do what may be charged, and note how it ended before any caller is answered."""
        try:
            response = _useful(await work())
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            with anyio.CancelScope(shield=True):
                if isinstance(error, GatewayError) and error.raw:
                    error.message += await self._kept(error.raw)
                await _end(attempt, error)
            raise
        return await self._settled(attempt, response)

    async def _settled(self, attempt: Attempt, response: ImagesResponse) -> ImagesResponse:
        """Return the response with its data in files, once its charge and its URLs are noted."""
        kept: ImagesResponse = replace(response, images=())
        warnings: Sequence[str] = ()
        with anyio.CancelScope(shield=True):  # these pictures are paid for
            try:
                if response.raw:
                    response = replace(response, warnings=[*response.warnings, await self._left_over(response.raw)])
                kept = await with_files(response, self.ports.store)
            except StorageError as error:
                kept = replace(kept, warnings=[*response.warnings, error.message])
                raise
            finally:
                warnings = await attempt.settled(kept)
        return replace(kept, warnings=[*kept.warnings, *warnings])

    async def _left_over(self, raw: bytes) -> str:
        return f"Part of the gateway's answer could not be used.{await self._kept(raw)}"

    async def _kept(self, raw: bytes) -> str:
        """Keep an answer as it came, and return where, as a sentence."""
        if self.ports.store is None:
            return ""
        try:
            return f" The answer is saved as it came: {await self.ports.store.keep(raw)}"
        except StorageError as error:
            return f" {error.message}"

    def _say(self, status: str) -> None:
        for listener in self.listeners:
            listener(status)


def _is_free(error: Exception | None) -> bool:
    return isinstance(error, ImageError) and error.charged == "no"


def _is_certain(error: Exception) -> bool:
    return isinstance(error, ImageError) and error.charged == "yes"


def _useful(response: ImagesResponse) -> ImagesResponse:
    if response.images:
        return response
    charged = "yes" if response.charged_usd else "unknown"
    error = OutcomeUnknownError("The gateway made no image.", charged=charged)
    error.charged_usd = response.charged_usd
    raise error


def _collected(status: AttemptStatus, warning: str) -> ImagesResponse | None:
    if status.state is AttemptState.SETTLED and status.response is not None:
        if not status.response.images:
            raise _charged_for_nothing(status.response)
        return replace(status.response, warnings=[*status.response.warnings, warning], is_collected=True)
    if status.state in (AttemptState.SENT, AttemptState.UNKNOWN):
        raise OutcomeUnknownError(
            "An earlier call with the same arguments was sent, and its answer never came; nothing was sent now.",
            hint=_BUYS_ANEW,
        )
    if status.state is AttemptState.HELD:
        raise OutcomeUnknownError(
            "An earlier call with the same arguments was refused, but its signed payment can still be used, and counts"
            " today; nothing was sent now.",
            hint=_BUYS_ANEW,
        )
    return None


def _charged_for_nothing(response: ImagesResponse) -> OutcomeUnknownError:
    """Return the error of an earlier call that was charged, and brought no picture."""
    words = " ".join(["An earlier call with the same arguments returned no picture.", *response.warnings])
    error = OutcomeUnknownError(words, hint=_BUYS_ANEW, charged="yes")
    error.charged_usd = response.charged_usd
    return error


def _kept_words(error: Exception) -> Sequence[str]:
    return [error.message] if isinstance(error, GatewayError) and error.raw else ()


async def _end(attempt: Attempt, error: BaseException) -> None:
    """Note what an error tells of the money; what could be cancelled has charged nothing.

    A setting that cannot be used says nothing of a job that was accepted before.
    """
    match error:
        case PriceNotApproved():
            pass  # the user is asked
        case JobPending() | ConfigurationError():
            await attempt.stopped()
        case ImageError(charged="no") | GatewayError(is_payment_open=True):
            await attempt.released()
        case ImageError(charged="yes"):
            await attempt.settled(ImagesResponse((), error.charged_usd, _kept_words(error)))
        case Exception():
            is_over = isinstance(error, GatewayError) and not error.is_job_lost
            await attempt.unknown(_kept_words(error), is_over=is_over)
        case _:
            await attempt.stopped()
