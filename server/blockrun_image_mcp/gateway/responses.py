"""Turns a gateway's answer into images, or into an error.

The error says what happened and whether it was charged.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2

from blockrun_image.attempts import Payment
from blockrun_image.errors import (
    Answer,
    AuthenticationError,
    Charged,
    ContentPolicyError,
    GatewayError,
    OutcomeUnknownError,
    RateLimitError,
)
from blockrun_image.images import Image, ImagesResponse
from blockrun_image.text import clean, usd
from blockrun_image_mcp.bounded_json import json_from, json_object
from blockrun_image_mcp.gateway import jobs, refusals
from blockrun_image_mcp.gateway.credentials import is_never_sent
from blockrun_image_mcp.gateway.error_words import ErrorWords, error_words_of
from blockrun_image_mcp.gateway.evidence import NO_EVIDENCE, Evidence, evidence_of
from blockrun_image_mcp.gateway.jobs import State
from blockrun_image_mcp.gateway.pictures import PictureEntry, entries_of, is_web_page, is_web_url, own_entries_of
from blockrun_image_mcp.gateway.refusals import Refusal
from blockrun_image_mcp.gateway.retry import (
    NEVER_CHARGED,
    Outcome,
    Rejection,
    Rule,
    charged_after,
    rejection_of,
    requested_wait_seconds,
)
from blockrun_image_mcp.gateway.transport import CUT
from blockrun_image_mcp.logs import Redactor
from blockrun_image_mcp.timings import DEFAULT, Timings

_MAX_REVISION_CHARACTERS = 2_000
_MAX_MESSAGE_CHARACTERS = 200
_ETAG = re.compile(r"[\x21-\x7e]{1,500}")  # the characters that a request header can carry
_URL = re.compile(r"https?://[\x21-\x7e]{1,500}?(?=[\s\"'<>\\)\]}]|$)")
_MAX_URLS = 4
_MAX_SEARCHED_BYTES = 2**20
_MAX_LIST_BYTES = 4 * 2**20
_PROGRESS = {State.QUEUED: "waiting in the gateway's queue", State.DRAWING: "the gateway is drawing"}
_LOOK_AT_THE_BASE = (
    "BLOCKRUN_IMAGE_GATEWAY must be the base URL of the API, which often ends in /v1, such as https://api.blockrun.ai/v1."
    " Do not send it again before the account's usage shows that it was not charged."
)


@dataclass(frozen=True)
class SentRequest:
    """A sent request, with its rules, its payment, and the outcomes of earlier attempts.

    `reserved_usd` is set aside for it. `is_chargeable` is false for a request that cannot be charged, because it has
    no credential or payment, or is free. `evidence_so_far` is the evidence of a charge in earlier answers.
    """

    rules: Mapping[Outcome, Rule]
    payment: Payment | None = None
    earlier: Sequence[Outcome] = ()
    reserved_usd: Decimal = Decimal(0)
    is_chargeable: bool = True
    evidence_so_far: Evidence = NO_EVIDENCE

    def charge(self, response: httpx2.Response, otherwise: Charged) -> tuple[Charged, Decimal | None]:
        """Return whether it was charged, and the US dollars if known.

        If the answers prove nothing and leave no doubt, it is `otherwise`.
        """
        if not self.is_chargeable:
            return "no", Decimal(0)
        evidence = self.evidence_so_far | evidence_of(response)
        if evidence.is_proof:
            return "yes", evidence.charged_usd(self.reserved_usd, self.payment)
        return "unknown" if evidence.is_doubtful else otherwise, None

    def price(self, response: httpx2.Response) -> Decimal | None:
        """Return the price of delivered pictures, in US dollars; `None` if no answer names it."""
        evidence = self.evidence_so_far | evidence_of(response)
        return evidence.charged_usd(self.reserved_usd, self.payment) if self.is_chargeable else Decimal(0)


@dataclass(frozen=True)
class ModelsAnswer:
    """A gateway's answer to a request for its models.

    `body` may be any JSON, with its numbers as strings, or `None`. If `is_refused`, the gateway does not accept the
    credential. If `is_web_page`, no API answered.
    """

    gateway: str
    status: int
    body: object
    etag: str = ""
    is_refused: bool = False
    is_web_page: bool = False


@dataclass(frozen=True)
class Reader:
    """Reads answers, and redacts the credential if they quote it."""

    redact: Redactor
    timings: Timings = DEFAULT

    def images(self, response: httpx2.Response, max_images: int, sent: SentRequest) -> ImagesResponse:
        """Return up to `max_images` images; raises `GatewayError` if the answer has none."""
        if not response.is_success:
            raise self.refusal(response, sent)
        entries = own_entries_of(response) if error_words_of(response).is_refusal else entries_of(response)
        usable = [entry for entry in entries if entry.is_usable]
        if not usable:
            raise self._unusable(response, sent)
        images = [self._image(entry) for entry in usable[:max_images]]
        warnings = [f"{len(usable)} images came; only those requested are here."] if len(usable) > max_images else []
        raw = b"" if len(images) == len(entries) else response.content
        return ImagesResponse(images, sent.price(response), warnings, raw)

    def models(self, response: httpx2.Response, gateway: str) -> ModelsAnswer:
        """Return the answer to a request for the list of models."""
        is_short = len(response.content) <= _MAX_LIST_BYTES
        body = json_from(response.content, parse_int=str, parse_float=str, parse_constant=str) if is_short else None
        etag = response.headers.get("etag", "")
        return ModelsAnswer(
            gateway=gateway,
            status=response.status_code,
            body=body,
            etag=etag if _ETAG.fullmatch(etag) and not is_never_sent(etag) else "",
            is_refused=self._refuses_credential(response),
            is_web_page=is_web_page(response),
        )

    def job(self, response: httpx2.Response) -> str | None:
        """Return the id of the accepted job; `None` if there are pictures or nothing to poll."""
        body = json_object(_json(response))
        may_be_job = response.is_success and (response.status_code == 202 or jobs.state_of(body) in _PROGRESS)
        if not may_be_job or any(entry.is_usable for entry in own_entries_of(response)):
            return None
        return jobs.id_of(body, str(response.request.url))

    def polled(
        self, response: httpx2.Response, job: str, max_images: int, sent: SentRequest
    ) -> ImagesResponse | str | None:
        """Return a finished job's images, or its progress in a few words.

        Return `None` if the answer is not about the job. Raises `GatewayError` if the job has failed, or its pictures
        cannot be used.
        """
        body = json_object(_json(response))
        state = jobs.state_of(body)
        if not response.is_success or not jobs.is_about(body, job):
            return None
        if any(entry.is_usable for entry in own_entries_of(response)):
            return self.images(response, max_images, sent)
        if state in _PROGRESS:
            return _PROGRESS[state]
        entries: Sequence[PictureEntry] = [] if state is State.FAILED else entries_of(response)
        if any(entry.is_usable for entry in entries):
            return self.images(response, max_images, sent)
        if state is State.FAILED:
            raise self._job_failure(response, body, sent)
        if entries and state in (None, State.FINISHED):
            raise self._unusable(response, sent)
        return "the gateway is still drawing" if response.status_code == 202 else None

    def lost_job(self, response: httpx2.Response, sent: SentRequest) -> GatewayError:
        """Return the error for a job no longer reported by the gateway."""
        error_words = error_words_of(response)
        charged, charged_usd = sent.charge(response, "unknown")
        error = OutcomeUnknownError(
            f"The gateway accepted the job, and no longer reports its state (HTTP {response.status_code})"
            f"{self._says(error_words)}.",
            charged=charged,
            answer=self._answer(response, error_words),
        )
        error.charged_usd = charged_usd
        error.is_job_lost = True
        error.raw = response.content if response.is_success else b""
        return error

    def refusal(self, response: httpx2.Response, sent: SentRequest) -> GatewayError:
        """Return the error for a refusal, with whether it was charged."""
        error_words, status = error_words_of(response), response.status_code
        is_free = sent.payment is None and refusals.is_free(status, error_words)
        outcomes = [*sent.earlier, *(() if is_free else (status,))]
        charged, charged_usd = sent.charge(response, charged_after(sent.rules, outcomes))
        if status == 402 and sent.payment is not None:
            rejection = rejection_of(error_words.code, error_words.words, sent.earlier)
            refusal = refusals.REJECTIONS[rejection]
            charged = "no" if rejection is Rejection.REFUSED and charged != "yes" else charged
        else:
            refusal = refusals.classify(status, charged, error_words, is_web_page=is_web_page(response))
        return self._error(response, error_words, refusal, (charged, charged_usd), sent)

    def _error(
        self,
        response: httpx2.Response,
        error_words: ErrorWords,
        refusal: Refusal,
        charge: tuple[Charged, Decimal | None],
        sent: SentRequest,
    ) -> GatewayError:
        answer = self._answer(response, error_words, is_limited=refusal.error is RateLimitError)
        wait, where = answer.retry_after_seconds, self._where_to(response)
        error = refusal.error(
            f"{refusal.what} (HTTP {response.status_code}){self._says(error_words)}.{where}",
            hint=refusal.hint if wait is None else f"Wait {wait:.0f} seconds before the next call.",
            charged=charge[0],
            answer=answer,
        )
        error.charged_usd = charge[1] if charge[0] == "yes" else None
        return _with_open_payment(error, sent.payment)

    def _refuses_credential(self, response: httpx2.Response) -> bool:
        if response.status_code < 400:
            return False
        refusal = self.refusal(response, SentRequest(NEVER_CHARGED, is_chargeable=False))
        is_forbidden = response.status_code == 403 and not is_web_page(response)
        return is_forbidden or isinstance(refusal, AuthenticationError)

    def _job_failure(self, response: httpx2.Response, body: Mapping[str, Any], sent: SentRequest) -> GatewayError:
        error_words = error_words_of(response)
        is_free = body.get("payment_status") == "not_charged"
        charged, charged_usd = sent.charge(response, "no" if is_free else "unknown")
        kind = OutcomeUnknownError if charged == "unknown" else GatewayError
        error = (ContentPolicyError if refusals.is_policy(error_words) else kind)(
            f"The gateway's job failed{self._says(error_words)}.",
            charged=charged,
            answer=self._answer(response, error_words),
        )
        error.charged_usd = charged_usd if charged == "yes" else None
        return _with_open_payment(error, sent.payment)

    def _unusable(self, response: httpx2.Response, sent: SentRequest) -> GatewayError:
        """Return the error for a success without a picture; some gateways refuse in this way."""
        error_words = error_words_of(response)
        refusal = refusals.classify(response.status_code, "unknown", error_words)
        if (error_words.is_fault or refusal.error is ContentPolicyError) and refusal.error is not OutcomeUnknownError:
            otherwise: Charged = "no" if refusals.is_before_drawing(error_words) else "unknown"
            error = self._error(response, error_words, refusal, sent.charge(response, otherwise), sent)
        else:
            error = self._empty(response, error_words, sent)
        error.raw = response.content if sent.is_chargeable and error.charged != "no" else b""
        return error

    def _empty(self, response: httpx2.Response, error_words: ErrorWords, sent: SentRequest) -> OutcomeUnknownError:
        cut = response.extensions.get(CUT)
        is_json = json_from(response.content) is not None
        what = "an answer without a usable image" if is_json else "a cut answer" if cut else "a malformed answer"
        what = "a job that cannot be polled" if response.status_code == 202 else what
        is_page = is_web_page(response)
        urls = "".join(f" It names {url}." for url in urls_in(response.content)) if not is_page else ""
        charged, charged_usd = sent.charge(response, "unknown")
        error = OutcomeUnknownError(
            f"The gateway sent {'a web page' if is_page else what} (HTTP {response.status_code},"
            f" {len(response.content):,} bytes){f', {cut}' if cut else ''}{self._says(error_words)}.{urls}",
            hint=_LOOK_AT_THE_BASE if is_page else "",
            charged=charged,
            answer=self._answer(response, error_words),
        )
        error.charged_usd = charged_usd if charged == "yes" else None
        return error

    def _image(self, entry: PictureEntry) -> Image:
        revision = self._redact_and_clean(entry.revised_prompt or "", _MAX_REVISION_CHARACTERS) or None
        return Image(url=entry.url, data=None if entry.url else entry.data, revised_prompt=revision)

    def _redact_and_clean(self, text: str, limit: int) -> str:
        return clean(self.redact(text[: 4 * limit]), limit)

    def _answer(self, response: httpx2.Response, error_words: ErrorWords, *, is_limited: bool = False) -> Answer:
        return Answer(
            status=response.status_code,
            code=self._redact_and_clean(error_words.code, 64) if error_words.code else None,
            request_id=self._request_id(response),
            retry_after_seconds=_wait(response, self.timings) if is_limited else None,
        )

    def _where_to(self, response: httpx2.Response) -> str:
        """Return the target of a redirect, as a sentence."""
        location = response.headers.get("location", "") if 300 <= response.status_code < 400 else ""
        return f" It leads to {self._redact_and_clean(location, _MAX_MESSAGE_CHARACTERS)}." if location else ""

    def _request_id(self, response: httpx2.Response) -> str | None:
        id = response.headers.get("x-blockrun-request-id") or response.headers.get("x-request-id")
        return self._redact_and_clean(id, 128) if id else None

    def _says(self, error_words: ErrorWords) -> str:
        """Return the gateway's own words, as a clause."""
        words = self._redact_and_clean(error_words.words, _MAX_MESSAGE_CHARACTERS).rstrip(".")
        return f": {words}" if words else ""


def _with_open_payment(error: GatewayError, payment: Payment | None) -> GatewayError:
    """Add a note to a refusal: its payment can still be used.

    The gateway's word does not count: it can use a signed payment until that expires.
    """
    if payment is None or error.charged != "no":
        return error
    until = datetime.fromtimestamp(payment.valid_before, UTC).strftime("%H:%M")
    error.message += f" Its payment of ${usd(payment.amount_usd)} can be used until {until} UTC, and counts today."
    error.charged, error.is_payment_open = "unknown", True
    return error


def urls_in(content: bytes) -> Sequence[str]:
    """Return the first URLs in an unreadable answer."""
    found = _URL.findall(content[:_MAX_SEARCHED_BYTES].decode("utf-8", "replace").replace("\\/", "/"))  # JSON escapes /
    return [url for url in dict.fromkeys(found) if is_web_url(url)][:_MAX_URLS]


def _wait(response: httpx2.Response, timings: Timings) -> float:
    asked = requested_wait_seconds(response, timings)
    return timings.default_retry_after_seconds if asked is None else asked


def _json(response: httpx2.Response) -> object:
    return json_from(response.content)
