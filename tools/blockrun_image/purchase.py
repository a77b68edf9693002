"""One purchase: collected where an earlier call has paid for it already, and otherwise bought, once."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import anyio

from blockrun_image.callers import Caller
from blockrun_image.errors import (
    Answer,
    ConfigurationError,
    ImageError,
    LedgerError,
    OutcomeUnknownError,
    RateLimitError,
    StorageError,
)
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import (
    Attempt,
    ExpectedCost,
    Job,
    OnStatus,
    Ports,
    SpendLedger,
    Standing,
    StillDrawingError,
)
from blockrun_image.timings import CallTimings

_MOST_URL_BYTES = 16_000
_COLLECTED = "An earlier call with the same arguments had bought this; nothing more was charged."
_BUYS_ANEW = "Look into the account first: the same call again buys a new picture."


@dataclass
class Purchase:
    """What is to be bought, and by whom.

    `per_minute` is how many requests a minute the model takes, `None` where that is not known.
    """

    ports: Ports
    request: ImageRequest
    cost: ExpectedCost
    on_status: OnStatus
    timings: CallTimings = field(default_factory=CallTimings)
    caller: Caller | None = None
    per_minute: int | None = None
    approval: str | None = None
    attempt: Attempt | None = None
    _finding: anyio.Lock = field(default_factory=anyio.Lock)
    _waiting: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def is_collected(self) -> bool:
        """Return whether an abandoned earlier call has bought this or is buying it."""
        return await self._found() is not None

    async def make(self) -> ImagesResponse:
        """Collect or buy it, and return pictures that all have URLs; raises `ImageError` and `StillDrawingError`."""
        deadline = anyio.current_time() + self.timings.send_seconds
        response = await self._collect()
        if response is not None:
            return response
        gateway, ledger = await self.ports.gateway(), await self.ports.ledger()
        await self._take_turn(ledger, deadline)
        self.attempt = attempt = await ledger.reserve(self.request, self.cost, self.approval)
        within = deadline - anyio.current_time()
        return await self._work(attempt, lambda: gateway.generate(self.request, attempt, self.on_status, within))

    async def finish(self, attempt: Attempt) -> ImagesResponse:
        """Ask after the job of an attempt that is this process's own by now, to its end."""
        self.attempt = attempt
        response = await self._collect()
        if response is None:
            raise StillDrawingError
        return response

    async def left(self) -> None:
        """Note that its caller has gone, so that the same call again collects it."""
        self._waiting.cancel()
        async with self._finding:  # what is found in this very moment has its caller noted as waiting
            attempt = self.attempt
        if attempt is not None:
            with suppress(LedgerError):  # the lease of an attempt whose process has gone says the same
                await attempt.left()

    async def told(self) -> None:
        """Note that the caller got the outcome; if this is cancelled, note that the caller left."""
        if self.attempt is None:
            return
        try:
            with suppress(LedgerError):  # it is then told once more
                await self.attempt.told()
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(self.timings.abandon_seconds, shield=True):
                await self.left()
            raise

    async def delivered(self, is_written: bool) -> None:
        """Note whether the answer has reached its caller; one that has not can be collected."""
        await (self.told() if is_written else self.left())

    async def look(self) -> Standing | None:
        """Return where it stands, `None` where that is not written down."""
        with suppress(LedgerError):
            return await self.attempt.look() if self.attempt is not None else None

    async def _found(self) -> Attempt | None:
        if self.attempt is None:
            async with self._finding:
                self.attempt = await (await self.ports.ledger()).find(self.request, self.caller)
        return self.attempt

    async def _collect(self) -> ImagesResponse | None:
        """Return what an earlier call has bought, once it is there; `None` where nothing was charged in the end."""
        end = await self._earlier()
        attempt = self.attempt
        if attempt is None or end is None:
            return None
        if isinstance(end, Standing):
            return _collected(end)
        return await self._work(attempt, lambda: self._follow(end))

    async def _follow(self, job: Job) -> ImagesResponse:
        return await (await self.ports.gateway()).follow(job, self.request.n, self.on_status)

    async def _earlier(self) -> Standing | Job | None:
        """Return how an earlier call's attempt ended that others work on, or its job once nobody does.

        Raises `StillDrawingError` where the caller leaves before that.
        """
        with self._waiting:
            attempt = await self._found()
            while attempt is not None:
                standing = await attempt.look()
                if standing.state not in ("reserved", "sent", "accepted"):
                    return standing
                if standing.job is not None and await attempt.adopt():
                    return standing.job
                self.on_status("an earlier call with the same arguments is still under way")
                await anyio.sleep(self.timings.attempt_poll_seconds)
            return None
        raise StillDrawingError

    async def _take_turn(self, ledger: SpendLedger, deadline: float) -> None:
        if self.per_minute is None:
            return
        within = deadline - anyio.current_time()
        seconds = await ledger.book(self.request.model, self.per_minute, within)
        limit = f"{self.request.model} takes {self.per_minute} requests a minute"
        if seconds > within:
            raise RateLimitError(
                f"{limit}, and its next turn is in {seconds:.0f} s.",
                hint=f"Wait {seconds:.0f} seconds before the next call, or use another model.",
                answer=Answer(retry_after_seconds=round(seconds, 1)),
            )
        if seconds > 0:
            self.on_status(f"waiting {seconds:.0f} s for its turn: {limit}")
            await anyio.sleep(seconds)

    async def _work(self, attempt: Attempt, work: Callable[[], Awaitable[ImagesResponse]]) -> ImagesResponse:
        """Do what may be charged, and write down how it ended before anybody is told."""
        try:
            response = _useful(await work())
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            with anyio.CancelScope(shield=True), suppress(LedgerError):  # what it could not end counts as spent
                await _end(attempt, error)
            raise
        return await self._kept(attempt, response)

    async def _kept(self, attempt: Attempt, response: ImagesResponse) -> ImagesResponse:
        """Return the response with its data in files, and with its charge and its URLs written down."""
        kept = replace(response, images=())
        with anyio.CancelScope(shield=True):  # these pictures are paid for
            try:
                response = kept = await self._with_long_urls_in_files(await self._with_data_in_files(response))
            finally:
                try:
                    await attempt.settled(kept)
                except LedgerError as error:
                    response = replace(response, warnings=[*response.warnings, error.message])
        return response

    async def _with_data_in_files(self, response: ImagesResponse) -> ImagesResponse:
        """Return the response with a URL for each picture: those that came as data are written to the store.

        Raises `StorageError` when none is left to return.
        """
        images: list[Image] = []
        failures: list[StorageError] = []
        for image in response.images:
            try:
                images.append(image if image.data is None else await self._stored(image.data, image))
            except StorageError as error:
                failures.append(error)
        if failures and not images:
            raise failures[0]
        warnings = dict.fromkeys([*response.warnings, *(error.message for error in failures)])
        return replace(response, images=images, warnings=[*warnings])

    async def _stored(self, picture: bytes, image: Image) -> Image:
        if self.ports.store is None:
            raise StorageError("A picture came as data, and this toolset has no store to keep it in.")
        path = await self.ports.store.save(picture)
        return replace(image, url=path.as_uri(), path=path, data=None)

    async def _with_long_urls_in_files(self, response: ImagesResponse) -> ImagesResponse:
        """Return the response with each URL that would flood the result in a text file; none is ever cut."""
        images: list[Image] = []
        warnings = list(response.warnings)
        for number, image in enumerate(response.images, start=1):
            images.append(image)
            length = len(image.url or "")
            if self.ports.store is None or length <= _MOST_URL_BYTES // len(response.images):
                continue
            try:
                path = await self.ports.store.save_url(image.url or "")
            except StorageError as error:
                warnings.append(error.message)
                continue
            images[-1] = replace(image, url=path.as_uri(), path=path)
            warnings.append(f"The URL of image {number} has {length:,} characters: it is in the file, in full.")
        return replace(response, images=images, warnings=[*dict.fromkeys(warnings)])


def _useful(response: ImagesResponse) -> ImagesResponse:
    if response.images:
        return response
    charged = "unknown" if response.charged_usd is None else "yes"
    error = OutcomeUnknownError("The gateway made no image.", charged=charged)
    error.charged_usd = response.charged_usd
    raise error


def _collected(standing: Standing) -> ImagesResponse | None:
    response = standing.response
    if standing.state == "settled" and response is not None:
        return replace(_useful(response), warnings=[*response.warnings, _COLLECTED])
    if standing.state == "unknown":
        raise OutcomeUnknownError(
            "An earlier call with the same arguments was sent, and its answer never came; nothing was sent now.",
            hint=_BUYS_ANEW,
        )
    return None


async def _end(attempt: Attempt, error: BaseException) -> None:
    """Write down what an error tells of the money; what could be cancelled has charged nothing.

    A setting that cannot be used says nothing of a job that was accepted before.
    """
    match error:
        case StillDrawingError() | ConfigurationError():
            await attempt.stopped()
        case ImageError(charged="no"):
            await attempt.released()
        case ImageError(charged="yes"):
            await attempt.settled(ImagesResponse((), error.charged_usd))
        case Exception():
            await attempt.unknown()
        case _:
            await attempt.stopped()
