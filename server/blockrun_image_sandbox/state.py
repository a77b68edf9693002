"""The sandbox's work: checks requests, settles them once, and remembers pictures."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, cast

from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import AUTO, ImageArguments, ImageRequest
from blockrun_image.pricing import estimate
from blockrun_image_sandbox.edits import check_fields, check_uploads, named_in, parameters_in
from blockrun_image_sandbox.faults import Fault, FaultScript
from blockrun_image_sandbox.gallery import Gallery, Picture
from blockrun_image_sandbox.listing import SandboxListing
from blockrun_image_sandbox.settlements import Charge, Rail, Settlement, Settlements
from blockrun_image_sandbox.uploads import Uploads, id_of
from blockrun_image_sandbox.x402 import Quotes

_MAX_DRAWN_CHARACTERS = 2_000
_MAX_PIXELS = 16_000_000  # Pillow would take gigabytes for the largest sizes that the API's pattern allows
_UNTOLD_USD = Decimal("0.05")  # for an image without a listed price


@dataclass(frozen=True)
class Generation:
    """Finished and charged work."""

    created: int
    data: Sequence[Mapping[str, object]]
    settlement: Settlement


@dataclass
class SandboxJob:
    """Work in progress: its request, its end, and the faults of its polls.

    `created` is in seconds since 1970, `finished_at` in seconds by `time.monotonic`. `asked` counts the polls.
    """

    id: str
    request: ImageRequest
    origin: str
    charge: Charge
    micro_usd: int
    poll_url: str
    fault: Fault
    created: int
    finished_at: float
    polls: FaultScript
    asked: int = 0
    generation: Generation | None = None


@dataclass
class SandboxState:
    """All state of a sandbox; `clock` returns its time in seconds since 1970."""

    listing: SandboxListing
    clock: Callable[[], float] = time.time
    faults: FaultScript = field(default_factory=FaultScript)
    settlements: Settlements = field(default_factory=Settlements)
    quotes: Quotes = field(default_factory=Quotes)
    jobs: dict[str, SandboxJob] = field(default_factory=dict[str, SandboxJob])
    job_ids_by_payment: dict[str, str] = field(default_factory=dict[str, str])
    gallery: Gallery = field(default_factory=Gallery)

    @property
    def catalog(self) -> Catalog:
        """The sandbox's current models."""
        return self.listing.catalog

    def check(self, body: object) -> ImageRequest:
        """Return the request in a body.

        Raises `InvalidRequestError` if the API would answer 400.
        """
        check_fields(body, self._request_schema())
        return self._request(cast("Mapping[str, Any]", body))

    def _request_schema(self) -> Mapping[str, Any]:
        """Return the schema of a generation's body, with the qualities of all models."""
        schema = self.catalog.spec.request_schema
        quality = {**schema["properties"]["quality"], "enum": list(self.catalog.qualities)}
        return {**schema, "properties": {**schema["properties"], "quality": quality}}

    async def check_edit(self, fields: Mapping[str, Any], uploads: Uploads, *, is_text: bool) -> ImageRequest:
        """Return the request for an edit, whose fields are as described.

        `is_text` means that they come as texts of a form. Raises `InvalidRequestError` if the API would answer 400.
        """
        request = self._request(fields, is_text=is_text)
        model = self.catalog.find(request.model)
        await self.gallery.decode(lambda: check_uploads(model, uploads))
        return named_in(request, uploads)

    def micro_usd(self, request: ImageRequest, rail: Rail = "wallet") -> int:
        """Return a request's charge in millionths of a US dollar.

        It is the high end of the price, if known.
        """
        price = estimate(replace(self.catalog, has_fee=rail == "wallet"), request)
        charged = max(price.low_usd, request.n * _UNTOLD_USD) if price.high_usd is None else price.high_usd
        return math.ceil(charged * 1_000_000)  # rounded up: USDC has no smaller unit

    def settle(self, request: ImageRequest, origin: str, charge: Charge, micro_usd: int | None = None) -> Generation:
        """Do the work and charge it once, by default at the current price.

        Raises `PaymentRefusedError` for a payment that was used before.
        """
        settlement = self.settlements.settle(
            charge, request, self.micro_usd(request, charge.rail) if micro_usd is None else micro_usd
        )
        data = [self._image(request, origin, variant) for variant in range(request.n)]
        return Generation(int(self.clock()), data, settlement)

    def accept(self, job: SandboxJob) -> SandboxJob:
        """Accept a job, or return the one already bought with its payment."""
        if job.charge.payment is not None:
            known = self.job_ids_by_payment.setdefault(job.charge.payment.id, job.id)
            return self.jobs.setdefault(known, job)
        return self.jobs.setdefault(job.id, job)

    def job_of(self, charge: Charge) -> SandboxJob | None:
        """Return the job bought with a payment, if there is one."""
        return self.jobs.get(self.job_ids_by_payment.get(charge.payment.id, "")) if charge.payment else None

    def collect(self, job: SandboxJob) -> Generation:
        """Return a finished job's pictures, charged the first time; raises `PaymentRefusedError`."""
        if job.generation is None:
            job.generation = self.settle(job.request, job.origin, job.charge, job.micro_usd)
        return job.generation

    def give_up(self, job: SandboxJob) -> None:
        """End a failed job; its payment may then buy another."""
        if job.charge.payment is not None:
            self.job_ids_by_payment.pop(job.charge.payment.id, None)

    def _request(self, fields: Mapping[str, Any], *, is_text: bool = False) -> ImageRequest:
        model = self.listing.find(fields["model"])
        if "quality" in fields and not model.qualities:
            raise InvalidRequestError(f"{model.id} does not take quality.")
        size, quality, n = fields.get("size"), fields.get("quality"), fields.get("n")
        parameters = parameters_in(fields, model, is_text=is_text)
        arguments = ImageArguments(fields["prompt"], model.id, size, quality, n, parameters=parameters)
        request = self.catalog.resolve(arguments)
        width, height = self._pixels(request)
        if width * height > _MAX_PIXELS:
            raise InvalidRequestError(f"The sandbox draws at most {_MAX_PIXELS:,} pixels.")
        return request

    def _image(self, request: ImageRequest, origin: str, variant: int) -> dict[str, object]:
        width, height = self._pixels(request)
        digests, mask = [picture.digest for picture in request.images], request.mask and request.mask.digest
        uploads_id = id_of(digests, mask) if digests else ""
        picture = Picture(request.prompt[:_MAX_DRAWN_CHARACTERS], width, height, variant, uploads_id)
        image: dict[str, object] = {"url": f"{origin}/images/{self.gallery.remember(picture)}.png"}
        if request.model in self.catalog.models and self.catalog.find(request.model).revises_prompt:
            image["revised_prompt"] = _revise(request.prompt, variant)
        return image

    def _pixels(self, request: ImageRequest) -> tuple[int, int]:
        width, _, height = (self.catalog.default_size if request.size == AUTO else request.size).partition("x")
        return int(width), int(height)


_STYLES = ("flat shapes", "soft curves", "bold outlines", "layered paper", "broad strokes")


def _revise(prompt: str, variant: int) -> str:
    """Return the prompt with an added style, as a rewriting model would."""
    style = _STYLES[variant % len(_STYLES)]
    return f"Variation {variant + 1}, drawn in {style}: {' '.join(prompt.split())}"
