"""An `ImageGateway` over HTTP.

It never pays twice, and it reads the response to every request that may be charged to its end.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self

import anyio
import anyio.lowlevel
import httpx2

from blockrun_image.attempts import Job, Payment
from blockrun_image.errors import (
    GatewayError,
    GatewayUnavailableError,
    OutcomeUnknownError,
    RateLimitError,
    StorageError,
)
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, JobPending, OnStatus
from blockrun_image.text import clean
from blockrun_image_mcp.gateway import refusals
from blockrun_image_mcp.gateway.bodies import GENERATIONS, message_of
from blockrun_image_mcp.gateway.credentials import Endpoint
from blockrun_image_mcp.gateway.error_words import error_words_of
from blockrun_image_mcp.gateway.evidence import NO_EVIDENCE, Evidence, evidence_of
from blockrun_image_mcp.gateway.fetch import PictureFetcher
from blockrun_image_mcp.gateway.responses import ModelsAnswer, Reader, SentRequest, urls_in
from blockrun_image_mcp.gateway.retry import (
    BEARER_POST,
    NEVER_CHARGED,
    POLL,
    SIGNED_POST,
    Failure,
    Outcome,
    Rule,
    charged_after,
    failure_of,
    requested_wait_seconds,
)
from blockrun_image_mcp.gateway.transport import (
    IS_FINAL,
    MAX_ANSWER_BYTES,
    MAX_BYTES,
    ON_CUT,
    ON_WAIT,
    RULES,
    is_cut_short,
    open_transport,
    timeout,
    trusted_certificates,
)
from blockrun_image_mcp.headers import PAYMENT_SIGNATURE, USER_AGENT
from blockrun_image_mcp.logs import Redactor
from blockrun_image_mcp.network import user_agent
from blockrun_image_mcp.timings import DEFAULT, Timings

_MODELS = "models"
_FINAL: Mapping[Outcome, Rule] = MappingProxyType({})  # without a rule, every outcome is final


class Payer(Protocol):
    """Pays a gateway's price quotes from a wallet."""

    def auth(self, attempt: Attempt, on_signed: Callable[[Payment], None]) -> httpx2.Auth:
        """Return the auth for one attempt, which pays at most once.

        `on_signed` gets the payment before it is sent.
        """
        ...

    def price(self, response: httpx2.Response) -> Decimal:
        """Return the price in a gateway's 402, in US dollars; raises `GatewayError`."""
        ...


class HttpGateway:
    """An `ImageGateway` at an OpenAI-compatible base URL.

    It has one HTTP client, which is open inside `async with`.

    A call can be cancelled before it sends a request that may be charged, and while it polls a job. In between, the
    response is read to its end before the cancellation takes effect. After `begin_shutdown`, that takes at most
    `drain_seconds`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        redact: Redactor | None = None,
        timings: Timings = DEFAULT,
        payer: Payer | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self.name = endpoint.name
        self._endpoint = endpoint
        self._reader = Reader(redact or Redactor(), timings)
        self._timings = timings
        self._payer = payer
        self._max_answer_bytes = max_answer_bytes
        self._calls: set[_ChargeableCall] = set()
        self._fetches: set[anyio.CancelScope] = set()
        self._is_ending = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        # read once and now: an upgrade may replace their file while a paid picture is waited for
        certificates = trusted_certificates()
        self._fetcher = PictureFetcher(self._endpoint.base_url, self._timings, certificates=certificates)
        transport = await open_transport(
            self._endpoint.base_url, self._timings, self._endpoint.wallet_key, certificates
        )
        self._http = await self._stack.enter_async_context(
            httpx2.AsyncClient(
                base_url=f"{self._endpoint.base_url}/",
                params=self._endpoint.query,
                headers={
                    **self._endpoint.headers,
                    USER_AGENT: user_agent(),
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
                transport=transport,
                timeout=timeout(self._timings),
                follow_redirects=False,  # a redirect could lead a credential or a payment to another host
            )
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def begin_shutdown(self) -> None:
        """Give the calls under way at most `drain_seconds`, and stop to fetch pictures."""
        for call in self._calls:
            call.end_within(self._timings.drain_seconds)
        self.stop_fetching()

    def stop_fetching(self) -> None:
        """Stop fetching pictures, and fetch no more; they still have their URLs."""
        self._is_ending = True
        for fetch in self._fetches:
            fetch.cancel()

    @property
    def is_fetching(self) -> bool:
        """Whether a picture that was paid for is being fetched."""
        return bool(self._fetches)

    @property
    def unanswered(self) -> int:
        """The number of requests that may be charged and have no answer yet."""
        return sum(call.scope.shield for call in self._calls)

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        """Make the pictures with one request that may be charged.

        Raises `GatewayError` and `LedgerError`; `BudgetExceededError` or `PriceNotApproved` if the wallet may not pay
        the price; and `JobPending` if the gateway's job goes on for minutes.
        """
        call = _ChargeableCall(self._timings, attempt, on_status, within_seconds, is_chargeable=self._payer is None)
        try:
            response = await self._post(request, call)
            id = self._reader.job(response)
            if id is None:
                return self._reader.images(response, request.n, call.what_was_sent())
        except GatewayError as error:
            call.add_cut_to(error)
            raise
        evidence_so_far = evidence_of(response) if call.is_chargeable else NO_EVIDENCE
        job = Job(id, call.payment)
        is_on_disk = False
        with anyio.CancelScope(shield=True):  # without this record, a charged job is lost
            is_on_disk = await attempt.accepted(job.id, evidence_so_far.charged_usd(attempt.reserved_usd, job.payment))
        with anyio.CancelScope(shield=not is_on_disk):  # no other process could find a job that is not on disk
            return await self._watch(job, attempt, on_status, evidence_so_far)
        raise JobPending  # for the type checker: nothing cancels the scope

    async def poll(self, job: Job, attempt: Attempt, on_status: OnStatus) -> ImagesResponse:
        """Poll an accepted job to its end, for free; raises `JobPending` after minutes.

        An answer that does not report this job's state, such as an error or a page about something else, does not end
        the polling. If the last answer was of that kind, `OutcomeUnknownError` is raised instead of `JobPending`.
        """
        return await self._watch(job, attempt, on_status, NO_EVIDENCE)

    async def quote(self, request: ImageRequest) -> Decimal | None:
        """Send the request unpaid and return the price in the 402, in US dollars.

        Without a wallet, return `None` and send nothing. Raises `GatewayError`.
        """
        if self._payer is None:  # the account's key would pay for the request
            return None
        try:
            path, body = message_of(request, self._endpoint.edit)
            response = await self._http.post(path, **body, extensions={RULES: lambda: NEVER_CHARGED})
        except httpx2.TransportError as error:
            raise _failure(error, SentRequest(NEVER_CHARGED, is_chargeable=False), self._endpoint) from error
        if response.status_code != 402:
            raise self._reader.refusal(response, SentRequest(NEVER_CHARGED, is_chargeable=False))
        return self._payer.price(response)

    async def models(self, etag: str = "") -> ModelsAnswer:
        """Return the gateway's answer to a request for its models, which is free.

        It is a 304 if the list has not changed since `etag`. Raises `GatewayUnavailableError` if there is no answer
        within `connect_seconds`, and `GatewayError` for a certificate that is not trusted.
        """
        try:
            with anyio.fail_after(self._timings.connect_seconds):
                response = await self._http.get(_MODELS, headers={"If-None-Match": etag} if etag else {})
        except httpx2.TransportError as error:
            raise _failure(error, SentRequest(NEVER_CHARGED, is_chargeable=False), self._endpoint) from error
        except TimeoutError as error:
            raise GatewayUnavailableError(
                f"{clean(self._endpoint.base_url, 200)} did not answer in time.", hint="Try again later."
            ) from error
        return self._reader.models(response, self.name)

    async def fetch(self, url: str) -> bytes:
        """Return the picture at a URL from one of its answers; raises `StorageError`."""
        scope = anyio.CancelScope()
        if self._is_ending:
            scope.cancel()
        self._fetches.add(scope)
        try:
            with scope:
                return await self._fetcher.fetch(url)
        finally:
            self._fetches.discard(scope)
        raise StorageError("The program ended before the picture was fetched.")

    async def _post(self, request: ImageRequest, call: "_ChargeableCall") -> httpx2.Response:
        """Send the request that may be charged; raises `GatewayError` without an answer in time."""
        path, body = message_of(request, self._endpoint.edit)
        self._calls.add(call)
        try:
            with call.scope:
                return await self._http.post(
                    path,
                    **body,
                    headers={"Idempotency-Key": call.attempt.id},  # the retry rules do not rely on it
                    extensions={
                        RULES: call.rules,
                        IS_FINAL: call.is_final,
                        MAX_BYTES: self._max_answer_bytes,
                        ON_WAIT: call.on_wait,
                        ON_CUT: call.on_cut,
                        "trace": call.on_trace,
                    },
                    auth=self._payer.auth(call.attempt, call.on_signed) if self._payer else httpx2.USE_CLIENT_DEFAULT,
                )
        except httpx2.TransportError as error:
            raise _failure(error, call.what_was_sent(), self._endpoint) from error
        except anyio.get_cancelled_exc_class():
            if (
                call.is_in_flight and call.is_chargeable
            ):  # cancelled by asyncio itself: an anyio shield does not stop that
                raise call.gave_up() from None
            raise
        finally:
            self._calls.discard(call)
        raise call.gave_up()

    async def _watch(
        self, job: Job, attempt: Attempt, on_status: OnStatus, evidence_so_far: Evidence
    ) -> ImagesResponse:
        is_chargeable = self._payer is None or job.payment is not None
        sent = SentRequest(POLL, job.payment, (), attempt.reserved_usd, is_chargeable, evidence_so_far)
        watch = _Watch(job, attempt, on_status, sent)
        with anyio.move_on_after(self._timings.answer_seconds):
            return await self._poll(watch)
        raise JobPending if watch.last_stray is None else self._reader.lost_job(watch.last_stray, watch.sent)

    async def _poll(self, watch: "_Watch") -> ImagesResponse:
        job, n = watch.job, watch.attempt.request.n
        headers = {PAYMENT_SIGNATURE: job.payment.header} if job.payment else {}
        pause, status = self._timings.poll_seconds, "the gateway is still drawing"
        while True:
            watch.on_status(status)
            await watch.attempt.polled(pause)
            await anyio.sleep(pause)
            try:
                response = await self._http.get(
                    f"{GENERATIONS}/{job.id}", headers=headers, extensions={MAX_BYTES: self._max_answer_bytes}
                )
            except httpx2.TransportError:
                continue  # POLL allows another try after every failure
            if response.status_code not in POLL and not is_cut_short(response):
                polled = self._reader.polled(response, job.id, n, watch.sent)
                if isinstance(polled, ImagesResponse):
                    return polled
                status = polled or status
                watch.last_stray = response if polled is None else None
            watch.sent = replace(watch.sent, evidence_so_far=watch.sent.evidence_so_far | evidence_of(response))
            pause = max(self._timings.poll_seconds, requested_wait_seconds(response, self._timings) or 0.0)


@dataclass
class _Watch:
    """A polled job; `last_stray` is the last answer if it does not report the job's state."""

    job: Job
    attempt: Attempt
    on_status: OnStatus
    sent: SentRequest
    last_stray: httpx2.Response | None = None


class _ChargeableCall:
    """One call, shielded from cancellation while a request that may be charged has no answer."""

    def __init__(
        self, timings: Timings, attempt: Attempt, on_status: OnStatus, within_seconds: float, *, is_chargeable: bool
    ) -> None:
        self._answer_seconds = timings.answer_seconds
        self._send_deadline = anyio.current_time() + min(within_seconds, timings.answer_seconds)
        self.scope = anyio.CancelScope(deadline=self._send_deadline)
        self.attempt = attempt
        self.on_status = on_status
        self.payment: Payment | None = None
        self.is_in_flight = False
        self._was_ever_sent = False
        self._is_quoted = False
        self.is_chargeable = is_chargeable
        self._shutdown_deadline = math.inf
        self._earlier: list[Outcome] = []
        self._cut = b""

    def on_signed(self, payment: Payment) -> None:
        self.payment = payment
        self.is_chargeable = True
        self._earlier.clear()  # those outcomes are of the request without a payment

    def rules(self) -> Mapping[Outcome, Rule]:
        if not self.is_chargeable:
            return NEVER_CHARGED
        if self.payment is None:
            return BEARER_POST
        # a gateway could only refuse an expired payment
        return SIGNED_POST if time.time() < self.payment.valid_before else _FINAL

    def is_final(self, response: httpx2.Response) -> bool:
        """Return whether the request must not be sent again.

        If so, the answer proves a charge, or the quota is used up.
        """
        is_charged = self.is_chargeable and evidence_of(response).is_proof
        return is_charged or (response.status_code == 429 and refusals.is_out_of_quota(error_words_of(response)))

    def what_was_sent(self) -> SentRequest:
        rules = SIGNED_POST if self.payment else self.rules()
        return SentRequest(rules, self.payment, self._earlier, self.attempt.reserved_usd, self.is_chargeable)

    async def on_trace(self, event: str, info: Mapping[str, Any]) -> None:
        if not self.is_chargeable and event.endswith(".receive_response_headers.complete"):
            self._is_quoted = True
        if self.is_chargeable and event.endswith(".send_request_headers.started") and info["request"].method == b"POST":
            self.scope.shield = True  # a cancellation must not fall between the record on disk and the request
            # a payment cannot move twice, however often it is sent: so only the first time needs a record
            if self.payment is None or not self._was_ever_sent:
                await self.attempt.sent()
                await self._stop_if_late()
            self.is_in_flight = self._was_ever_sent = (
                True  # the point of no return: from here on, the gateway may charge
            )
            self.scope.deadline = min(self._shutdown_deadline, anyio.current_time() + self._answer_seconds)

    async def _stop_if_late(self) -> None:
        """Undo the record `sent` if the deadline passed while it was being written.

        The request is then cancelled before any of it leaves.
        """
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self.attempt.refused_for_now()
            raise

    async def on_wait(self, outcome: Outcome, seconds: float) -> None:
        self._earlier.append(outcome)
        if outcome in (Failure.NEVER_SENT, 429) and self.payment is None:  # nothing can have been charged
            if self.is_in_flight:
                await self.attempt.refused_for_now()
            self.scope.shield = self.is_in_flight = False
            self.scope.deadline = self._send_deadline
        why = f"the gateway answered {outcome}" if isinstance(outcome, int) else "the gateway could not be reached"
        self.on_status(f"{why}; trying again in {seconds:.0f} s")

    def on_cut(self, content: bytes) -> None:
        if self.is_chargeable:
            self._cut = content

    def add_cut_to(self, error: GatewayError) -> None:
        """Add the content of an earlier, cut success, which may be all that was paid for."""
        if self._cut:
            error.raw = max(error.raw, self._cut, key=len)
            names = "".join(f" It names {url}." for url in urls_in(self._cut) if url not in error.message)
            error.message += f" The first answer was a success, and was cut.{names}"

    def end_within(self, seconds: float) -> None:
        self._shutdown_deadline = anyio.current_time() + seconds
        self.scope.deadline = min(self.scope.deadline, self._shutdown_deadline)

    def gave_up(self) -> GatewayError:
        if self.is_in_flight:
            return OutcomeUnknownError("The request was sent, and no answer came in time.")
        if 429 in self._earlier[-1:]:
            return RateLimitError("The gateway accepts no more requests for now.", hint="Wait before the next call.")
        if self._is_quoted:
            return GatewayUnavailableError("The call's time ended before the price could be paid.", hint="Try again.")
        return GatewayUnavailableError("The gateway could not be reached in time.", hint="Try again later.")


def _failure(error: httpx2.TransportError, sent: SentRequest, endpoint: Endpoint) -> GatewayError:
    if charged_after(sent.rules, [*sent.earlier, failure_of(error)]) == "no":
        why, hint = refusals.describe_failure(error, endpoint.set_by)
        kind = GatewayError if refusals.is_lasting(error) else GatewayUnavailableError
        return kind(f"{clean(endpoint.base_url, 200)} {why}.", hint=hint)
    return OutcomeUnknownError(
        f"The request was sent, and the connection failed before the answer arrived ({type(error).__name__})."
    )
