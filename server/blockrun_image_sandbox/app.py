"""The sandbox as a web application.

It serves the API on both rails, pictures, settlements, and scripted faults.
"""

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError, UnknownModelError
from blockrun_image.images import ImageRequest
from blockrun_image.text import clean
from blockrun_image_sandbox import x402
from blockrun_image_sandbox.answers import Answers, ConnectionCut, amend, payment_refusal, refusal
from blockrun_image_sandbox.calls import PREFIXES, WALLET_PREFIX, Call, has_account_key, read_body
from blockrun_image_sandbox.edits import edit_forms, max_body_bytes
from blockrun_image_sandbox.faults import Fault, FaultScript
from blockrun_image_sandbox.listing import SandboxListing
from blockrun_image_sandbox.settlements import Charge
from blockrun_image_sandbox.state import Generation, SandboxJob, SandboxState
from blockrun_image_sandbox.uploads import Uploads
from blockrun_image_sandbox.verification import verified

_DATA_URI = "data:image/png;base64,"


def sandbox_app(catalog: Catalog, closing: anyio.Event, clock: Callable[[], float] = time.time) -> Starlette:
    """Return the application, with no settlements or faults yet.

    `closing` ends delayed calls. `clock` returns the seconds since 1970 that decide whether a payment has expired.
    """
    sandbox = _Sandbox(SandboxState(SandboxListing(catalog), clock), closing)
    path = catalog.spec.generations_path
    paths = [f"{prefix}{each}" for each in (path, *edit_forms(catalog.spec)) for prefix in PREFIXES]
    return Starlette(
        routes=[
            *(Route(each, sandbox.generate, methods=["POST"]) for each in paths),
            *(Route(f"{prefix}{path}/{{id}}", sandbox.poll) for prefix in PREFIXES),
            *(Route(f"{prefix}/models", sandbox.models) for prefix in PREFIXES),
            Route("/images/{id}.png", sandbox.picture),
            Route("/sandbox/settlements", sandbox.settlements),
            Route("/sandbox/faults", sandbox.script, methods=["POST"]),
            Route("/sandbox/models", sandbox.change, methods=["POST"]),
        ]
    )


class _Sandbox:
    def __init__(self, state: SandboxState, closing: anyio.Event) -> None:
        self._studio = state
        self._answers = Answers(state.catalog.spec)
        self._edits = edit_forms(state.catalog.spec)
        self._closing = closing

    async def generate(self, request: Request) -> Response:
        call = Call.of(request)
        self._studio.settlements.count(call.kind, call.key)  # before any fault: the statement counts cut calls too
        fault = self._studio.faults.next(call.kind)
        try:
            # Closing a socket with unread data sends a reset, so the whole body is read before any cut.
            limits = [max_body_bytes(self._studio.catalog)] if call.operation in self._edits else []
            body = await read_body(request, *limits)
        except ClientDisconnect:
            return ConnectionCut()
        except ValueError as error:
            return refusal(400, clean(error, 400), "invalid_request")
        if fault.cut == "before":
            return ConnectionCut(reset=fault.reset)
        response = await self._response(replace(call, body=body), fault)
        return await self._deliver(response, fault, 0 if fault.slow else fault.delay_seconds)

    async def poll(self, request: Request) -> Response:
        job = self._studio.jobs.get(request.path_params["id"])
        if job is None:
            return refusal(404, "There is no such job.", "not_found")
        fault = job.polls.next("paid")
        if fault.cut == "before":
            return ConnectionCut(reset=fault.reset)
        try:
            response = self._refuse_other_wallet(job, request) or await self._answer_poll(job, fault)
        except x402.PaymentRefusedError as refused:
            response = payment_refusal(refused)
        return await self._deliver(response, fault, fault.delay_seconds)

    async def models(self, request: Request) -> Response:
        self._studio.settlements.lists += 1
        fault = self._studio.faults.next("models")
        if fault.cut == "before":
            return ConnectionCut(reset=fault.reset)
        response = self._answers.scripted(fault) if fault.is_scripted or fault.body is not None else None
        return await self._deliver(response or self._list_models(request), fault, fault.delay_seconds)

    async def picture(self, request: Request) -> Response:
        png = await self._studio.gallery.png(request.path_params["id"])
        if png is None:
            return refusal(404, "There is no such picture.", "not_found")
        return Response(png, media_type="image/png", headers={"Cache-Control": "max-age=86400, immutable"})

    async def settlements(self, request: Request) -> Response:
        return JSONResponse(self._studio.settlements.statement())

    async def script(self, request: Request) -> Response:
        try:
            self._studio.faults = FaultScript.parse(await read_body(request))
        except (ValidationError, ValueError) as error:
            return refusal(400, _first_words(error), "invalid_faults")
        return JSONResponse({"scripted": len(self._studio.faults)})

    async def change(self, request: Request) -> Response:
        try:
            changed = self._studio.listing.change(await read_body(request))
        except (ValidationError, ValueError) as error:
            return refusal(400, _first_words(error), "invalid_changes")
        return JSONResponse({"changed": changed})

    def _list_models(self, request: Request) -> Response:
        if not (request.url.path.startswith(WALLET_PREFIX) or has_account_key(request)):
            return _unauthorized()
        listing = self._studio.listing
        headers = {"ETag": listing.etag}
        if request.headers.get("if-none-match") == listing.etag:
            self._studio.settlements.unchanged_lists += 1
            return Response(None, 304, headers)
        return Response(listing.body, 200, headers, "application/json")

    async def _response(self, call: Call, fault: Fault) -> Response:
        if not call.is_authorized:
            return _unauthorized()
        # A wallet's payment is verified before its fault; a refused payment is not what the fault is about.
        if call.signature is None and fault.is_refusal and not fault.slow:
            return self._answers.scripted(fault)
        try:
            asked, uploads = await self._read(call)
            return (
                self._quote(call, asked, fault)
                if call.kind == "quote"
                else await self._sale(call, asked, fault, uploads)
            )
        except (InvalidRequestError, ValueError, RecursionError) as error:
            return _invalid(error)
        except x402.PaymentRefusedError as refused:
            return payment_refusal(refused)
        except ImportError:
            words = "The sandbox needs eth-account to verify payments: install blockrun-image-mcp[wallet]."
            return refusal(501, words, "not_implemented")

    async def _read(self, call: Call) -> tuple[ImageRequest, Uploads | None]:
        form = self._edits.get(call.operation)
        if form is None:
            return self._studio.check(json.loads(call.body)), None
        fields, uploads = await form.read(call.body, call.content_type)
        return await self._studio.check_edit(fields, uploads, is_text=form.is_multipart), uploads

    def _quote(self, call: Call, asked: ImageRequest, fault: Fault) -> Response:
        if fault.is_scripted:
            return self._answers.scripted(fault)
        price = self._studio.micro_usd(asked)
        honest = x402.challenge(call.url, f"Image generation: {asked.n} x {asked.model} {asked.size}", price)
        sent_body, response = self._answers.quote(honest, fault, price)
        self._studio.quotes.remember(call.digest, sent_body)
        return response

    async def _sale(self, call: Call, asked: ImageRequest, fault: Fault, uploads: Uploads | None) -> Response:
        charge = Charge(call.key, await self._payment(call, asked))
        if charge.payment is not None and fault.is_refusal and not fault.slow:
            return self._answers.scripted(fault)
        if uploads is not None:
            self._studio.gallery.keep(uploads)
        known = self._studio.job_of(charge)
        if known or fault.slow:
            # A payment that has bought a job gets the same job again, as a resent request must not buy twice.
            job = known or self._studio.accept(self._job(call, asked, charge, fault))
            return self._answers.accepted(job, "queued")
        # Charged before a scripted response: a client may get an unusable response to a paid call.
        generation = self._studio.settle(asked, call.origin, charge)
        if fault.body is not None or fault.is_scripted:
            return self._answers.scripted(fault)
        return self._answers.generated(await self._given(generation, fault))

    async def _given(self, generation: Generation, fault: Fault) -> Generation:
        """Return a generation with its pictures in the form that the fault asks for."""
        return replace(generation, data=[await self._image(image, fault.given_as) for image in generation.data])

    async def _image(self, image: Mapping[str, object], given_as: str) -> Mapping[str, object]:
        id = str(image["url"]).rpartition("/")[2].removesuffix(".png")
        png = None if given_as == "url" else await self._studio.gallery.png(id)
        if png is None:
            return image
        encoded, others = base64.b64encode(png).decode(), {name: image[name] for name in image if name != "url"}
        return {"b64_json": encoded, **others} if given_as == "b64_json" else {**image, "url": _DATA_URI + encoded}

    async def _payment(self, call: Call, asked: ImageRequest) -> x402.VerifiedPayment | None:
        if call.signature is None:
            return None
        offers = self._studio.quotes.open_to(call.digest, self._studio.micro_usd(asked))
        # A quote may be older than a change of the price, so its terms stay open beside today's.
        payment = await verified(call.signature, offers, self._studio.clock())
        self._studio.settlements.check(payment)
        payment.hold_at(self._studio.clock())
        return payment

    def _job(self, call: Call, asked: ImageRequest, charge: Charge, fault: Fault) -> SandboxJob:
        id = f"job_{secrets.token_hex(8)}"
        polled_at = f"{call.prefix}{self._studio.catalog.spec.generations_path}/{id}"
        poll_url = polled_at if fault.poll_url is None else fault.poll_url.replace("{id}", id)
        finished_at = time.monotonic() + fault.delay_seconds  # monotonic, as a test may set the clock
        created = int(self._studio.clock())
        return SandboxJob(
            id,
            asked,
            call.origin,
            charge,
            self._studio.micro_usd(asked, charge.rail),
            poll_url,
            fault,
            created,
            finished_at,
            FaultScript(fault.polls),
        )

    def _refuse_other_wallet(self, job: SandboxJob, request: Request) -> Response | None:
        """Return the refusal of a poll without its job's payment, or `None`."""
        signature = request.headers.get("payment-signature")
        if job.charge.payment is None or signature == job.charge.payment.header:
            return None
        if signature is None:
            raise x402.PaymentRefusedError("PAYMENT_INVALID", "a job is asked after with its own payment")
        return refusal(403, "The job belongs to another payment.", "forbidden")

    async def _answer_poll(self, job: SandboxJob, fault: Fault) -> Response:
        if fault.is_scripted:
            if fault.settles:
                self._studio.collect(job)
            return self._answers.scripted(fault)
        job.asked += 1
        # A job is charged when it is collected, and an expired payment can no longer be charged.
        if job.generation is None and job.charge.payment is not None:
            job.charge.payment.hold_at(self._studio.clock())
        # Even a short job takes a second poll, so that clients are seen to poll again.
        if job.asked == 1 or time.monotonic() < job.finished_at:
            return self._answers.accepted(job, "in_progress")
        if job.fault.status:
            return self._answer_failed_job(job)
        return self._answers.generated(await self._given(self._studio.collect(job), job.fault), {"status": "completed"})

    def _answer_failed_job(self, job: SandboxJob) -> Response:
        if job.fault.settles:
            self._studio.collect(job)
        else:
            self._studio.give_up(job)
        return self._answers.failed(job)

    async def _deliver(self, response: Response, fault: Fault, delay_seconds: float) -> Response:
        with anyio.move_on_after(delay_seconds):  # a delay must not hold up the end of the sandbox
            await self._closing.wait()
        if fault.cut == "after" or self._closing.is_set():
            return ConnectionCut(reset=fault.reset)
        amend(response, fault.headers)
        return ConnectionCut(response, reset=fault.reset) if fault.cut == "during" else response


def _invalid(error: Exception) -> Response:
    is_unknown = isinstance(error, UnknownModelError)
    words = "Unknown image model." if is_unknown else clean(error, 400)
    return refusal(400, words, "model_not_found" if is_unknown else "invalid_request")


def _unauthorized() -> Response:
    return refusal(401, "The sandbox takes any key that starts with brk_.", "invalid_api_key")


def _first_words(error: ValueError) -> str:
    first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
    if first is None:
        return clean(error, 200)
    where = ".".join(map(str, first["loc"])) or "the body"
    what = "is not a known key" if first["type"] == "extra_forbidden" else f"cannot be used: {first['msg']}"
    return clean(f"{where} {what}", 200)
