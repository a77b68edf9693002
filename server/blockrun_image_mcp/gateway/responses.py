"""Turns an answer of the gateway into images, or into the error that says what happened and whether it was charged."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2

from blockrun_image.attempts import Payment
from blockrun_image.errors import (
    Answer,
    AuthenticationError,
    ContentPolicyError,
    GatewayError,
    OutcomeUnknownError,
)
from blockrun_image.images import Image, ImagesResponse
from blockrun_image.text import clean
from blockrun_image_mcp.gateway import meanings
from blockrun_image_mcp.gateway.credentials import is_never_sent
from blockrun_image_mcp.gateway.receipts import transaction_of
from blockrun_image_mcp.gateway.retry import (
    UNPAID_QUOTE,
    Failure,
    Outcome,
    Rule,
    charged_after,
    charged_by_rejection,
    retry_after_seconds,
)
from blockrun_image_mcp.logs import Redactor
from blockrun_image_mcp.network import json_from
from blockrun_image_mcp.timings import DEFAULT, Timings

_LONGEST_URL = 65_536
_LONGEST_REVISION = 2_000
_LONGEST_MESSAGE = 200
_ETAG = re.compile(r"[\x21-\x7e]{1,500}")  # what can be sent back in a header
_LARGEST_LIST_BYTES = 4 * 2**20
_AMOUNT = re.compile(r"\d{1,6}(\.\d{1,12})?")
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PROGRESS = {"queued": "waiting in the gateway's queue", "in_progress": "the gateway is drawing"}
_POLL_URL = re.compile(r"/(?:api/)?v1/images/generations/([A-Za-z0-9_-]{1,128})")


@dataclass(frozen=True)
class Sent:
    """What an answer is an answer to: under which rules it was sent, with which payment, and after which outcomes."""

    rules: Mapping[Outcome, Rule]
    payment: Payment | None = None
    earlier: Sequence[Outcome] = ()


@dataclass(frozen=True)
class ModelsAnswer:
    """What a gateway answers that is asked for its models; numbers in `body`, which may be anything, are texts.

    `is_refused` tells that it does not take the credential.
    """

    gateway: str
    status: int
    body: object
    etag: str = ""
    is_refused: bool = False


@dataclass(frozen=True)
class Reader:
    """Reads answers; what they quote of the credential is taken out."""

    redact: Redactor
    timings: Timings = DEFAULT

    def images(self, response: httpx2.Response, most: int, sent: Sent) -> ImagesResponse:
        """Return at most `most` images of a 200, or raise the error that any other answer means."""
        if response.status_code != 200:
            raise self.refusal(response, sent)
        body = _json(response)
        entries = _list(_object(body).get("data"))
        images = [image for image in map(self._image, entries[:most]) if image is not None]
        if not images:
            what = "an answer without a usable image" if body else "a malformed answer"
            raise self._useless(response, what, _charged(response, {}, sent.payment))
        warnings = [f"{len(entries)} images came; only those asked for are here."] if len(entries) > most else []
        return ImagesResponse(images, _charged(response, _object(body), sent.payment), warnings)

    def models(self, response: httpx2.Response, gateway: str) -> ModelsAnswer:
        """Return what a request for the list of models was answered with."""
        is_short = len(response.content) <= _LARGEST_LIST_BYTES
        body = json_from(response.content, parse_int=str, parse_float=str, parse_constant=str) if is_short else None
        etag = response.headers.get("etag", "")
        return ModelsAnswer(
            gateway=gateway,
            status=response.status_code,
            body=body,
            etag=etag if _ETAG.fullmatch(etag) and not is_never_sent(etag) else "",
            is_refused=self._refuses_credential(response),
        )

    def job(self, response: httpx2.Response) -> str:
        """Return the id of the job that a 202 tells of; raises `OutcomeUnknownError` when it cannot be followed."""
        body = _object(_json(response))
        poll_url = _POLL_URL.fullmatch(str(body.get("poll_url", "")))
        id = poll_url[1] if poll_url else "" if body.get("poll_url") else str(body.get("id", ""))
        if not _JOB_ID.fullmatch(id):
            raise self._useless(response, "a job that cannot be followed", _charged(response, {}, None))
        return id

    def finished_job(self, response: httpx2.Response, most: int, sent: Sent) -> ImagesResponse | None:
        """Return the images of a poll's answer, `None` while the job goes on, or raise how it failed."""
        body = _object(_json(response))
        if body.get("status") == "failed":
            raise self._failed(response, body)
        done = response.status_code == 200 and body.get("status", "completed") == "completed" and "data" in body
        return self.images(response, most, sent) if done else None

    def progress_of(self, response: httpx2.Response) -> str:
        """Return in a few words what a poll's answer tells of a job that goes on."""
        status = _object(_json(response)).get("status")
        return _PROGRESS.get(str(status), "the gateway is still drawing")

    def lost_job(self, response: httpx2.Response, sent: Sent) -> GatewayError:
        """Return the error that a refused poll means; an earlier one, whose answer was lost, may have been charged."""
        if response.status_code == 402 and sent.payment is not None:
            return self.refusal(response, replace(sent, earlier=(*sent.earlier, Failure.OUTCOME_UNKNOWN)))
        body = _object(_json(response))
        return OutcomeUnknownError(
            f"The gateway accepted the job and then answered {response.status_code}{self._says(body)}.",
            answer=self._answer(response, body),
        )

    def refusal(self, response: httpx2.Response, sent: Sent) -> GatewayError:
        """Return the error that an answer other than 200 means, and whether what was sent may have been charged."""
        body = _object(_json(response))
        answer = self._answer(response, body)
        charged = charged_after(sent.rules, [*sent.earlier, response.status_code])
        said = self._says(body)
        is_rejection = response.status_code == 402 and sent.payment is not None
        if is_rejection:
            charged = charged_by_rejection(answer.code, said.removeprefix(": "), sent.earlier)
        status = response.status_code
        meaning = meanings.REJECTIONS[charged] if is_rejection else meanings.of(status, charged, _codes(body), said)
        wait = answer.retry_after_seconds
        error = meaning.error(
            f"{meaning.what} (HTTP {response.status_code}){said}.",
            hint=meaning.hint if wait is None else f"Wait {wait:.0f} seconds before the next call.",
            charged=charged,
            answer=answer,
        )
        error.charged_usd = sent.payment.amount_usd if sent.payment is not None and charged == "yes" else None
        return error

    def _refuses_credential(self, response: httpx2.Response) -> bool:
        if response.status_code < 400:
            return False
        refusal = self.refusal(response, Sent(UNPAID_QUOTE))
        return response.status_code == 403 or isinstance(refusal, AuthenticationError)

    def _failed(self, response: httpx2.Response, body: Mapping[str, Any]) -> GatewayError:
        answer = self._answer(response, body)
        if body.get("payment_status") != "not_charged":
            return OutcomeUnknownError(f"The gateway's job failed{self._says(body)}.", answer=answer)
        error = ContentPolicyError if meanings.is_policy(answer.code) else GatewayError
        return error(f"The gateway's job failed{self._says(body)}.", charged="no", answer=answer)

    def _useless(self, response: httpx2.Response, what: str, charged: Decimal | None) -> OutcomeUnknownError:
        error = OutcomeUnknownError(
            f"The gateway sent {what} (HTTP {response.status_code}, {len(response.content):,} bytes).",
            charged="unknown" if charged is None else "yes" if charged else "no",
            answer=self._answer(response, {}),
        )
        error.charged_usd = charged
        return error

    def _image(self, entry: object) -> Image | None:
        fields = _object(entry)
        revised = fields.get("revised_prompt")
        revision = self._quoted(revised, _LONGEST_REVISION) if isinstance(revised, str) else None
        url, encoded = fields.get("url"), fields.get("b64_json")
        if isinstance(url, str) and url[:5].lower() == "data:":
            url, encoded = None, url.partition(";base64,")[2]
        if isinstance(url, str) and _is_web_url(url):
            return Image(url=url, revised_prompt=revision or None)
        data = _decoded(encoded)
        return Image(data=data, revised_prompt=revision or None) if data else None

    def _quoted(self, text: str, limit: int) -> str:
        return clean(self.redact(text[: 4 * limit]), limit)

    def _answer(self, response: httpx2.Response, body: Mapping[str, Any]) -> Answer:
        error = _object(body.get("error"))
        code = error.get("code") or body.get("code") or error.get("type")
        limited = response.status_code == 429
        return Answer(
            status=response.status_code,
            code=self._quoted(str(code), 64) if code else None,
            request_id=self._request_id(response),
            retry_after_seconds=_wait(response, self.timings) if limited else None,
        )

    def _request_id(self, response: httpx2.Response) -> str | None:
        id = response.headers.get("x-blockrun-request-id") or response.headers.get("x-request-id")
        return self._quoted(id, 128) if id else None

    def _says(self, body: Mapping[str, Any]) -> str:
        """Return the gateway's own words, as a clause."""
        error = body.get("error")
        titles = [error if isinstance(error, str) else _object(error).get("message"), body.get("message")]
        words = ": ".join(dict.fromkeys(title for title in titles if isinstance(title, str) and title.strip()))
        return f": {self._quoted(words, _LONGEST_MESSAGE).rstrip('.')}" if words else ""


def _codes(body: Mapping[str, Any]) -> str:
    """Return the code and the type of an error, of which proxies may fill either with a word of their own."""
    error = _object(body.get("error"))
    return f"{error.get('code')} {error.get('type')} {body.get('code')}"


def _wait(response: httpx2.Response, timings: Timings) -> float:
    asked = retry_after_seconds(response.headers.get("retry-after"), timings)
    return timings.default_retry_after_seconds if asked is None else asked


def _charged(response: httpx2.Response, body: Mapping[str, Any], payment: Payment | None) -> Decimal | None:
    """Return what the answer says was charged, in US dollars; `None` where it does not say.

    A payment is what it was signed for, and only the hash of its transaction proves that it moved.
    """
    if payment is not None:
        return payment.amount_usd if transaction_of(response.headers) else None
    named = response.headers.get("x-blockrun-cost-usd") or _object(body.get("price")).get("amount")
    return Decimal(named) if isinstance(named, str) and _AMOUNT.fullmatch(named) else None


def _json(response: httpx2.Response) -> object:
    return json_from(response.content)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list) else []


def _is_web_url(url: str) -> bool:
    if len(url) > _LONGEST_URL or not re.fullmatch(r"[\x21-\x7e]+", url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _decoded(encoded: object) -> bytes | None:
    try:
        return base64.b64decode("".join(encoded.split()), validate=True) if isinstance(encoded, str) else None
    except (binascii.Error, ValueError):
        return None
