"""Turns an answer of the gateway into images, or into the error that says what happened and whether it was charged."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2

from blockrun_image.attempts import Payment
from blockrun_image.errors import (
    Answer,
    AuthenticationError,
    Charged,
    ContentPolicyError,
    GatewayError,
    OutcomeUnknownError,
)
from blockrun_image.images import Image, ImagesResponse
from blockrun_image.text import clean, usd
from blockrun_image_mcp.gateway import meanings
from blockrun_image_mcp.gateway.credentials import is_never_sent
from blockrun_image_mcp.gateway.evidence import NO_EVIDENCE, Evidence, evidence_of
from blockrun_image_mcp.gateway.retry import (
    UNPAID_QUOTE,
    Outcome,
    Rejection,
    Rule,
    charged_after,
    rejection_of,
    retry_after_seconds,
)
from blockrun_image_mcp.gateway.transport import CUT
from blockrun_image_mcp.logs import Redactor
from blockrun_image_mcp.network import json_from, json_object
from blockrun_image_mcp.timings import DEFAULT, Timings

_LONGEST_URL = 65_536
_LONGEST_REVISION = 2_000
_LONGEST_MESSAGE = 200
_ETAG = re.compile(r"[\x21-\x7e]{1,500}")  # what can be sent back in a header
_URL = re.compile(r"https?://[\x21-\x7e]{1,500}?(?=[\s\"'<>\\)\]}]|$)")
_MAX_URLS = 4
_MAX_SEARCHED_BYTES = 2**20
_LARGEST_LIST_BYTES = 4 * 2**20
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PROGRESS = {"queued": "waiting in the gateway's queue", "in_progress": "the gateway is drawing"}
_POLL_URL = re.compile(r"/(?:api/)?v1/images/generations/([A-Za-z0-9_-]{1,128})")


@dataclass(frozen=True)
class Sent:
    """What an answer is an answer to: under which rules it was sent, with which payment, and after which outcomes.

    `held_usd` is what is set aside for it. Nothing `is_paid` for without a credential or a payment. `named` is what
    earlier answers have named as charged.
    """

    rules: Mapping[Outcome, Rule]
    payment: Payment | None = None
    earlier: Sequence[Outcome] = ()
    held_usd: Decimal = Decimal(0)
    is_paid: bool = True
    named: Evidence = NO_EVIDENCE

    def charge(self, response: httpx2.Response, otherwise: Charged) -> tuple[Charged, Decimal | None]:
        """Return whether it was charged, and how much if that is known: what an answer proves, or else `otherwise`."""
        if not self.is_paid:
            return "no", Decimal(0)
        evidence = self.named | evidence_of(response)
        if evidence.is_proof:
            return "yes", evidence.charged_usd(self.held_usd, self.payment)
        return "unknown" if evidence.is_doubtful else otherwise, None

    def price(self, response: httpx2.Response) -> Decimal | None:
        """Return what counts for pictures, in US dollars; `None` if no answer tells."""
        evidence = self.named | evidence_of(response)
        return evidence.charged_usd(self.held_usd, self.payment) if self.is_paid else Decimal(0)


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
        """Return at most `most` images of a success, or raise the error that any other answer means."""
        if not response.is_success:
            raise self.refusal(response, sent)
        entries = _list(json_object(_json(response)).get("data"))
        images = [image for image in map(self._image, entries[:most]) if image is not None]
        if not images:
            raise self._unusable(response, sent)
        warnings = [f"{len(entries)} images came; only those asked for are here."] if len(entries) > most else []
        raw = b"" if len(images) == len(entries) else response.content
        return ImagesResponse(images, sent.price(response), warnings, raw)

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

    def job(self, response: httpx2.Response) -> str | None:
        """Return the id of the job that a 202 tells of; `None` if there is none that can be followed."""
        body = json_object(_json(response))
        poll_url = _POLL_URL.fullmatch(str(body.get("poll_url", "")))
        id = poll_url[1] if poll_url else "" if body.get("poll_url") else str(body.get("id", ""))
        return id if response.status_code == 202 and _JOB_ID.fullmatch(id) else None

    def polled(self, response: httpx2.Response, job: str, most: int, sent: Sent) -> ImagesResponse | str | None:
        """Return the images of a finished job, or in a few words how far it is, or `None` for no answer about it.

        Raises `GatewayError` if the job has failed, or its pictures cannot be used.
        """
        body = json_object(_json(response))
        status = body.get("status")
        if response.status_code not in (200, 202) or str(body.get("id", job)) != job:
            return None
        if status == "failed":
            raise self._failed(response, body, sent)
        if response.status_code == 202 or status in _PROGRESS:
            return _PROGRESS.get(str(status), "the gateway is still drawing")
        is_finished = status in (None, "completed") and _list(body.get("data"))
        return self.images(response, most, sent) if is_finished else None

    def lost_job(self, response: httpx2.Response, sent: Sent) -> GatewayError:
        """Return the error of a job that the gateway no longer tells of."""
        body = json_object(_json(response))
        charged, charged_usd = sent.charge(response, "unknown")
        error = OutcomeUnknownError(
            f"The gateway accepted the job, and no longer tells what became of it (HTTP {response.status_code})"
            f"{self._says(body)}.",
            charged=charged,
            answer=self._answer(response, body),
        )
        error.charged_usd = charged_usd
        error.is_job_lost = True
        error.raw = response.content if response.is_success else b""
        return error

    def refusal(self, response: httpx2.Response, sent: Sent) -> GatewayError:
        """Return the error that an answer other than a success means, and whether it may have been charged."""
        body = json_object(_json(response))
        answer, said, status = self._answer(response, body), self._says(body), response.status_code
        charged, charged_usd = sent.charge(response, charged_after(sent.rules, [*sent.earlier, status]))
        if status == 402 and sent.payment is not None:
            rejection = rejection_of(answer.code, said.removeprefix(": "), sent.earlier)
            meaning = meanings.REJECTIONS[rejection]
            charged = "no" if rejection is Rejection.REFUSED and charged != "yes" else charged
        else:
            meaning = meanings.of(status, charged, _codes(body), said)
        wait = answer.retry_after_seconds
        error = meaning.error(
            f"{meaning.what} (HTTP {status}){said}.",
            hint=meaning.hint if wait is None else f"Wait {wait:.0f} seconds before the next call.",
            charged=charged,
            answer=answer,
        )
        error.charged_usd = charged_usd if charged == "yes" else None
        return _with_open_payment(error, sent.payment)

    def _refuses_credential(self, response: httpx2.Response) -> bool:
        if response.status_code < 400:
            return False
        refusal = self.refusal(response, Sent(UNPAID_QUOTE, is_paid=False))
        return response.status_code == 403 or isinstance(refusal, AuthenticationError)

    def _failed(self, response: httpx2.Response, body: Mapping[str, Any], sent: Sent) -> GatewayError:
        answer = self._answer(response, body)
        is_free = body.get("payment_status") == "not_charged"
        charged, charged_usd = sent.charge(response, "no" if is_free else "unknown")
        kind = OutcomeUnknownError if charged == "unknown" else GatewayError
        error = (ContentPolicyError if meanings.is_policy(answer.code) else kind)(
            f"The gateway's job failed{self._says(body)}.", charged=charged, answer=answer
        )
        error.charged_usd = charged_usd if charged == "yes" else None
        return _with_open_payment(error, sent.payment)

    def _unusable(self, response: httpx2.Response, sent: Sent) -> OutcomeUnknownError:
        body = json_object(_json(response))
        cut = response.extensions.get(CUT)
        what = "an answer without a usable image" if body else "a malformed answer" if cut is None else "a cut answer"
        what = "a job that cannot be followed" if response.status_code == 202 else what
        urls = "".join(f" It names {url}." for url in _urls(response.content))
        charged, charged_usd = sent.charge(response, "unknown")
        error = OutcomeUnknownError(
            f"The gateway sent {what} (HTTP {response.status_code}, {len(response.content):,} bytes)"
            f"{f', {cut}' if cut else ''}{self._says(body)}.{urls}",
            charged=charged,
            answer=self._answer(response, body),
        )
        error.charged_usd = charged_usd if charged == "yes" else None
        error.raw = response.content if sent.is_paid else b""
        return error

    def _image(self, entry: object) -> Image | None:
        fields = json_object(entry)
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
        error = json_object(body.get("error"))
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
        titles = [error if isinstance(error, str) else json_object(error).get("message"), body.get("message")]
        words = ": ".join(dict.fromkeys(title for title in titles if isinstance(title, str) and title.strip()))
        return f": {self._quoted(words, _LONGEST_MESSAGE).rstrip('.')}" if words else ""


def _codes(body: Mapping[str, Any]) -> str:
    """Return the code and the type of an error, of which proxies may fill either with a word of their own."""
    error = json_object(body.get("error"))
    return f"{error.get('code')} {error.get('type')} {body.get('code')}"


def _with_open_payment(error: GatewayError, payment: Payment | None) -> GatewayError:
    """Say of a refusal that its payment can still be used, whatever the gateway says of it."""
    if payment is None or error.charged != "no":
        return error
    until = datetime.fromtimestamp(payment.valid_before, UTC).strftime("%H:%M")
    error.message += f" Its payment of ${usd(payment.amount_usd)} can be used until {until} UTC, and counts today."
    error.charged, error.is_payment_open = "unknown", True
    return error


def _urls(content: bytes) -> Sequence[str]:
    """Return the first addresses in an answer that could not be read."""
    found = _URL.findall(content[:_MAX_SEARCHED_BYTES].decode("utf-8", "replace").replace("\\/", "/"))
    return [url for url in dict.fromkeys(found) if _is_web_url(url)][:_MAX_URLS]


def _wait(response: httpx2.Response, timings: Timings) -> float:
    asked = retry_after_seconds(response.headers.get("retry-after"), timings)
    return timings.default_retry_after_seconds if asked is None else asked


def _json(response: httpx2.Response) -> object:
    return json_from(response.content)


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
