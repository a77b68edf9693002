"""The sandbox as a web application: the API's one operation, polls, pictures, the till, and scripted faults."""

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.to_thread
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError
from blockrun_image.text import clean
from blockrun_image_mcp.sandbox.faults import Fault, FaultScript
from blockrun_image_mcp.sandbox.studio import Generation, Job, Studio

_LARGEST_BODY_BYTES = 2**20  # the longest prompt, four bytes a character, and room


def sandbox_app(catalog: Catalog, closing: anyio.Event) -> Starlette:
    """Return the application; it starts with an empty till and no faults, and lets go of held calls at `closing`."""
    sandbox = _Sandbox(Studio(catalog), closing)
    path = catalog.spec.generations_path
    return Starlette(
        routes=[
            *(Route(f"{prefix}{path}", sandbox.generate, methods=["POST"]) for prefix in ("/v1", "/api/v1")),
            *(Route(f"{prefix}{path}/{{id}}", sandbox.poll) for prefix in ("/v1", "/api/v1")),
            *(Route(f"{prefix}/models", sandbox.models) for prefix in ("/v1", "/api/v1")),
            Route("/images/{id}.png", sandbox.picture),
            Route("/sandbox/settlements", sandbox.settlements),
            Route("/sandbox/faults", sandbox.script, methods=["POST"]),
        ]
    )


class _Sandbox:
    def __init__(self, studio: Studio, closing: anyio.Event) -> None:
        self._studio = studio
        self._closing = closing

    async def generate(self, request: Request) -> Response:
        self._studio.keys.append(_key(request))
        fault = self._studio.faults.next()
        try:
            body = await _body(request)  # whole, or an end of the connection would now be a reset and now a close
        except ClientDisconnect:
            return _Cut()
        except ValueError as error:
            return _refusal(400, clean(error, 400), "invalid_request")
        if fault.cut == "before":
            return _Cut()
        response = self._response(request, body, fault)
        if not fault.slow:
            with anyio.move_on_after(fault.delay_seconds):
                await self._closing.wait()
        if fault.cut == "after" or self._closing.is_set():
            return _Cut()
        return _Cut(response) if fault.cut == "during" else response

    async def poll(self, request: Request) -> Response:
        job = self._studio.jobs.get(request.path_params["id"])
        if job is None:
            return _refusal(404, "There is no such job.", "not_found")
        fault = job.polls.next()
        if fault.cut:
            return _Cut()
        if fault.status:
            return self._scripted(fault)
        job.asked += 1
        if job.asked == 1 or time.monotonic() < job.finished_at:
            return JSONResponse(_job_body(request.path_params["id"], job, "in_progress"), 202)
        if job.fault.status:
            return JSONResponse({"status": "failed", "payment_status": "not_charged", **self._error_body(job.fault)})
        job.generation = job.generation or self._studio.settle(job.request, job.origin, "")
        return _generated(job.generation, {"status": "completed"})

    async def models(self, request: Request) -> Response:
        refused = _unauthorized(request)
        models = [{"id": model.id, "object": "model", "owned_by": model.provider} for model in self._studio.catalog]
        return refused or JSONResponse({"object": "list", "data": models})

    async def picture(self, request: Request) -> Response:
        from blockrun_image_mcp.sandbox.drawing import draw  # noqa: PLC0415 - Pillow, when a picture is looked at

        picture = self._studio.pictures.get(request.path_params["id"])
        if picture is None:
            return _refusal(404, "There is no such picture.", "not_found")
        png = await anyio.to_thread.run_sync(
            lambda: draw(picture.prompt, width=picture.width, height=picture.height, variant=picture.variant)
        )
        return Response(png, media_type="image/png", headers={"Cache-Control": "max-age=86400, immutable"})

    async def settlements(self, request: Request) -> Response:
        return JSONResponse(self._studio.statement())

    async def script(self, request: Request) -> Response:
        try:
            self._studio.faults = FaultScript.parse(await _body(request))
        except (ValidationError, ValueError) as error:
            return _refusal(400, _first_words(error), "invalid_faults")
        return JSONResponse({"scripted": len(self._studio.faults)})

    def _response(self, request: Request, body: bytes, fault: Fault) -> Response:
        refused = _unauthorized(request)
        if refused:
            return refused
        if fault.is_refusal and not fault.slow:
            return self._scripted(fault)
        try:
            asked = self._studio.check(json.loads(body))
        except (InvalidRequestError, ValueError, RecursionError) as error:
            return _refusal(400, clean(error, 400), "invalid_request")
        origin = str(request.base_url).rstrip("/")
        if fault.slow:
            return self._accepted(
                Job(asked, origin, fault, time.monotonic() + fault.delay_seconds, FaultScript(fault.polls)), request
            )
        generation = self._studio.settle(asked, origin, _key(request))
        if fault.body is not None or fault.status is not None:
            return self._scripted(fault)
        return _generated(generation, {}, fault.headers)

    def _accepted(self, job: Job, request: Request) -> Response:
        id = f"job_{secrets.token_hex(8)}"
        self._studio.jobs[id] = job
        return JSONResponse(_job_body(id, job, "queued") | {"poll_url": f"{request.url.path}/{id}"}, 202)

    def _scripted(self, fault: Fault) -> Response:
        if fault.status in (204, 304):
            return Response(None, fault.status, fault.headers)
        if isinstance(fault.body, str):
            return Response(fault.body, fault.status or 200, fault.headers, "application/json")
        body = self._error_body(fault) if fault.body is None else fault.body
        return JSONResponse(body, fault.status or 200, fault.headers)

    def _error_body(self, fault: Fault) -> Mapping[str, Any]:
        errors = self._studio.catalog.spec.errors
        if fault.status is not None and fault.status in errors:
            return errors[fault.status].example
        return _error(f"Scripted status {fault.status}.", f"status_{fault.status}")


class _Cut(Response):
    """Ends the connection: without an answer, or in the middle of one."""

    def __init__(self, answer: Response | None = None) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._answer is not None:
            body = bytes(self._answer.body)
            await send(
                {"type": "http.response.start", "status": self._answer.status_code, "headers": self._answer.raw_headers}
            )
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        scope["state"]["connection"].close()
        while (await receive())["type"] != "http.disconnect":
            pass


def _generated(
    generation: Generation, more: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response:
    named = {
        "x-blockrun-cost-usd": f"{generation.charged_usd:f}",
        "x-blockrun-request-id": f"req_{secrets.token_hex(8)}",
    }
    return JSONResponse({**more, **generation.body}, headers={**named, **(headers or {})})


def _job_body(id: str, job: Job, status: str) -> dict[str, object]:
    return {
        "id": id,
        "object": "image.generation.job",
        "status": status,
        **{name: value for name, value in job.request.body().items() if name != "prompt"},
        "payment_status": "verified",
    }


def _unauthorized(request: Request) -> Response | None:
    if request.headers.get("authorization", "").startswith("Bearer brk_"):
        return None
    return _refusal(401, "The sandbox takes any key that starts with brk_.", "invalid_api_key")


def _refusal(status: int, message: str, code: str) -> Response:
    return JSONResponse(_error(message, code), status)


def _error(message: str, code: str) -> dict[str, object]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code}}


def _key(request: Request) -> str:
    return clean(request.headers.get("idempotency-key", ""), 64)


def _first_words(error: ValueError) -> str:
    first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
    return clean(error if first is None else f"{first['loc']}: {first['msg']}", 200)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY_BYTES:
            raise ValueError("The body is too large.")
    return bytes(body)
