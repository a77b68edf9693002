"""The sandbox's responses in the API's shapes, and cut connections."""

import secrets
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, cast

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from blockrun_image.spec import Spec
from blockrun_image.text import usd
from blockrun_image_sandbox.faults import Fault
from blockrun_image_sandbox.state import Generation, SandboxJob
from blockrun_image_sandbox.x402 import PaymentRefusedError, encoded, overridden, receipt

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: the kernel drops unsent data and sends a reset


class ConnectionCut(Response):
    """Cuts the connection before or during a response, by a close or a reset."""

    def __init__(self, answer: Response | None = None, *, reset: bool = False) -> None:
        super().__init__()
        self._answer = answer
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of the response, if any, and cut the connection."""
        if self._answer is not None:
            body = bytes(self._answer.body)
            await send(
                {"type": "http.response.start", "status": self._answer.status_code, "headers": self._answer.raw_headers}
            )
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        connection = scope["state"]["connection"]
        if self._reset:
            connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            connection.abort()
        else:
            connection.close()
        # uvicorn answers with a 500 if the application returns before it knows of the disconnect.
        while (await receive())["type"] != "http.disconnect":
            pass


@dataclass(frozen=True)
class Answers:
    """Builds the API's responses."""

    spec: Spec

    def quote(self, challenge: Mapping[str, Any], fault: Fault, micro_usd: int) -> tuple[Mapping[str, Any], Response]:
        """Return a challenge with the fault's changes, and its 402.

        The 402 has the challenge in a header and in the body.
        """
        price = {"price": {"amount": _wallet_amount(micro_usd), "currency": self.spec.currency}}
        body = cast("dict[str, Any]", overridden({**challenge, **price}, fault.challenge))
        sent_body = {name: value for name, value in body.items() if name != "price"}
        shown = body if fault.body is None else fault.body
        return sent_body, _json_or_text(shown, 402, {"PAYMENT-REQUIRED": encoded(sent_body)})

    def generated(self, generation: Generation, more: Mapping[str, object] | None = None) -> Response:
        """Return the pictures, with their cost in the form of the rail."""
        settlement = generation.settlement
        body = {**(more or {}), "created": generation.created, "data": generation.data}
        body["price"] = self._price(settlement.charge.rail, settlement.micro_usd)
        headers = {"x-blockrun-request-id": f"req_{secrets.token_hex(8)}"}
        payment = settlement.charge.payment
        if payment is None or settlement.tx is None:
            return JSONResponse(body, headers=headers | {"x-blockrun-cost-usd": body["price"]["amount"]})
        body["payment"] = {"status": "settled", "tx_hash": settlement.tx, "network": payment.network}
        return JSONResponse(body, headers={**headers, **receipt(payment, settlement.tx)})

    def accepted(self, job: SandboxJob, status: Literal["queued", "in_progress"]) -> Response:
        """Return the 202 for a job."""
        return JSONResponse(
            {
                "id": job.id,
                "object": "image.generation.job",
                "status": status,
                **{name: value for name, value in job.request.body().items() if name != "prompt"},
                "price": self._price(job.charge.rail, job.micro_usd),
                "payment_status": "verified",
                "created": job.created,
                "poll_url": job.poll_url,
            },
            202,
        )

    def failed(self, job: SandboxJob) -> Response:
        """Return the response for a job failed by its fault."""
        status = "not_charged" if job.generation is None else "settled"
        return JSONResponse({"status": "failed", "payment_status": status, **self._error_body(job.fault)})

    def scripted(self, fault: Fault) -> Response:
        """Return a fault's own response."""
        if fault.status in (204, 304):  # HTTP allows them no body
            return Response(None, fault.status)
        if fault.payment_code is not None and fault.body is None:
            return payment_refusal(PaymentRefusedError(fault.payment_code, "as scripted"), status=fault.status or 402)
        body = self._error_body(fault) if fault.body is None else fault.body
        return _json_or_text(body, fault.status or 200, {})

    def _error_body(self, fault: Fault) -> Mapping[str, Any]:
        if fault.status is not None and fault.status in self.spec.errors:
            return self.spec.errors[fault.status].example
        return _error(f"Scripted status {fault.status}.", f"status_{fault.status}")

    def _price(self, rail: Literal["account", "wallet"], micro_usd: int) -> dict[str, str]:
        amount = _wallet_amount(micro_usd) if rail == "wallet" else usd(Decimal(micro_usd).scaleb(-6))
        return {"amount": amount, "currency": self.spec.currency}


def payment_refusal(refused: PaymentRefusedError, status: int = 402) -> Response:
    """Return the response to a refused payment."""
    words = "Settlement failed" if refused.code == "SETTLEMENT_FAILED" else str(refused)
    return JSONResponse({"error": words, "code": refused.code, "details": refused.why}, status)


def refusal(status: int, message: str, code: str) -> Response:
    """Return an error in the API's shape."""
    return JSONResponse(_error(message, code), status)


def amend(response: Response, headers: Mapping[str, str | None]) -> None:
    """Set a response's headers; `None` removes one."""
    for name, value in headers.items():
        if value is None:
            del response.headers[name]
        else:
            response.headers[name] = value


def _json_or_text(body: object, status: int, headers: Mapping[str, str]) -> Response:
    if isinstance(body, str):
        return Response(body, status, headers, "application/json")
    return JSONResponse(body, status, headers)


def _error(message: str, code: str) -> dict[str, object]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code}}


def _wallet_amount(micro_usd: int) -> str:
    return f"{Decimal(micro_usd).scaleb(-6):.6f}"
