"""The image API over HTTP, as an `ImageGateway` that never pays twice and reads what it has paid for to its end."""

from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Any, Self

import anyio
import httpx2

from blockrun_image.errors import GatewayUnavailableError, LedgerError, OutcomeUnknownError
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, OnStatus
from blockrun_image_mcp.gateway.credentials import Endpoint
from blockrun_image_mcp.gateway.responses import Reader
from blockrun_image_mcp.gateway.retry import (
    BEARER_POST,
    POLL,
    Failure,
    Outcome,
    failure_of,
    may_resend,
    retry_after_seconds,
)
from blockrun_image_mcp.gateway.transport import ON_WAIT, RULES, Pacing, open_transport
from blockrun_image_mcp.logs import Redactor

_GENERATIONS = "images/generations"
_MODELS = "models"


class HttpGateway:
    """An `ImageGateway` at an OpenAI-compatible base URL; one HTTP client, open from `async with` to its end.

    A call can be cancelled until its request leaves. From then on it is read to its end, and only then gives way to
    the cancellation; `hurry` grants it `pacing.drain` seconds more.
    """

    def __init__(self, endpoint: Endpoint, redact: Redactor | None = None, pacing: Pacing | None = None) -> None:
        self.name = endpoint.name
        self._endpoint = endpoint
        self._reader = Reader(redact or Redactor())
        self._pacing = pacing or Pacing()
        self._calls: set[_PaidCall] = set()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        transport = open_transport(self._endpoint.base_url, self._pacing)
        self._http = await self._stack.enter_async_context(
            httpx2.AsyncClient(
                base_url=f"{self._endpoint.base_url}/",
                headers={**self._endpoint.headers, "Accept": "application/json", "Accept-Encoding": "identity"},
                transport=transport,
                timeout=self._pacing.timeout(),
                follow_redirects=False,
            )
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def hurry(self) -> None:
        """Give the calls under way only `pacing.drain` seconds more."""
        for call in self._calls:
            call.hurry(self._pacing.drain)

    @property
    def unanswered(self) -> int:
        """The number of calls whose request has left."""
        return sum(call.scope.shield for call in self._calls)

    async def generate(self, request: ImageRequest, attempt: Attempt, on_status: OnStatus) -> ImagesResponse:
        """Make the pictures, sending one request that may be charged; raises `GatewayError` or `LedgerError`."""
        call = _PaidCall(self._pacing.answer, attempt, on_status)
        self._calls.add(call)
        try:
            with call.scope:
                return await self._generate(request, call)
        finally:
            self._calls.discard(call)
        raise call.gave_up()

    async def ask_for_models(self) -> int:
        """Ask for the gateway's list of models, which is free, and return the answer's HTTP status.

        Raises `GatewayUnavailableError` or `OutcomeUnknownError` where there is no answer within seconds.
        """
        try:
            response = await self._http.get(_MODELS, timeout=self._pacing.connect)
        except httpx2.TransportError as error:
            raise _failure(error) from error
        return response.status_code

    async def _generate(self, request: ImageRequest, call: "_PaidCall") -> ImagesResponse:
        try:
            response = await self._http.post(
                _GENERATIONS,
                json=request.body(),
                headers={"Idempotency-Key": call.attempt.id},
                extensions={RULES: BEARER_POST, ON_WAIT: call.on_wait, "trace": call.on_trace},
            )
        except httpx2.TransportError as error:
            raise _failure(error) from error
        if response.status_code != 202:
            return self._reader.images(response, most=request.n)
        return await self._follow(self._reader.job(response), request.n, call)

    async def _follow(self, job: str, most: int, call: "_PaidCall") -> ImagesResponse:
        """Ask after an accepted job, which is free, until it has ended or the call's time is over."""
        call.job = job
        with suppress(LedgerError):  # the job goes on, whoever knows of it
            await call.attempt.accepted(job)
        pause = self._pacing.poll
        resends: Counter[int] = Counter()
        while True:
            call.on_status("the gateway is still drawing")
            await anyio.sleep(pause)
            try:
                response = await self._http.get(f"{_GENERATIONS}/{job}")
            except httpx2.TransportError:
                continue  # whichever it was, POLL has it asked again
            if response.status_code in (200, 202):
                images = self._reader.finished_job(response, most)
                if images is not None:
                    return images
            elif not may_resend(POLL, response.status_code, resends[response.status_code]):
                raise self._reader.lost_job(response)
            resends[response.status_code] += 1
            pause = max(self._pacing.poll, retry_after_seconds(response.headers.get("retry-after")) or 0.0)


class _PaidCall:
    """One call: cancellable until its request leaves, shielded from then on, and ended by its time limit."""

    def __init__(self, limit_seconds: float, attempt: Attempt, on_status: OnStatus) -> None:
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + limit_seconds)
        self.attempt = attempt
        self.on_status = on_status
        self.job: str | None = None

    async def on_trace(self, event: str, info: Mapping[str, Any]) -> None:
        request = info.get("request")
        if event.endswith(".send_request_headers.started") and getattr(request, "method", b"") == b"POST":
            self.scope.shield = True
            await self.attempt.sent()

    def on_wait(self, outcome: Outcome, seconds: float) -> None:
        self.scope.shield = False
        why = "the gateway could not be reached" if outcome is Failure.NEVER_SENT else f"the gateway answered {outcome}"
        self.on_status(f"{why}; trying again in {seconds:.0f} s")

    def hurry(self, seconds: float) -> None:
        self.scope.deadline = min(self.scope.deadline, anyio.current_time() + seconds)

    def gave_up(self) -> GatewayUnavailableError | OutcomeUnknownError:
        if not self.scope.shield:
            return GatewayUnavailableError("The gateway could not be reached in time.", hint="Try again later.")
        job = f" Its job there is {self.job}." if self.job else ""
        return OutcomeUnknownError(f"The request was sent, and no answer came in time.{job}")


def _failure(error: httpx2.TransportError) -> GatewayUnavailableError | OutcomeUnknownError:
    if failure_of(error) is Failure.NEVER_SENT:
        return GatewayUnavailableError(
            f"The gateway could not be reached ({type(error).__name__}).",
            hint="Check the network and BLOCKRUN_IMAGE_GATEWAY, or try again later.",
        )
    return OutcomeUnknownError(
        f"The request was sent, and the connection failed before its answer had come ({type(error).__name__})."
    )
