"""The three tools as a library: `generate_image`, `list_models` and `estimate_cost`."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias, Unpack

import anyio

from blockrun_image.catalog import ANY, Catalog, Model, slug
from blockrun_image.enrichment import MODES, EnrichedPrompt, Wishes, enrich
from blockrun_image.errors import (
    ConfigurationError,
    ImageError,
    InvalidRequestError,
    LedgerError,
    OutcomeUnknownError,
    StorageError,
)
from blockrun_image.images import Defaults, Image, ImageArguments, ImageRequest, ImagesResponse
from blockrun_image.ports import (
    Attempt,
    ImageGateway,
    ImageStore,
    OnStatus,
    Runner,
    SpendLedger,
    Unrecorded,
    run_here,
)
from blockrun_image.pricing import Estimate, cheapest_offer, compare, estimate, spread, usd
from blockrun_image.results import CostComparison, GeneratedImages, ModelList
from blockrun_image.text import choices, quoted, within

_MOST_URL_BYTES = 16_000
_MOST_REVISION_BYTES = 4_000

Approve: TypeAlias = Callable[[ImageRequest, Estimate], Awaitable[str | None]]
"""Returns the id of the user's approval of a call, `None` where none is needed; raises `ConfirmationError`."""


class ImageToolset:
    """What can be asked for.

    `list_models` and `estimate_cost` are free and work offline, without a gateway. `run` does what costs money; the
    default does it in the caller's own task, which must not be cancelled by asyncio's own means (anyio's are shielded).
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one for each port
        self,
        catalog: Catalog,
        gateway: ImageGateway | None = None,
        store: ImageStore | None = None,
        defaults: Defaults | None = None,
        run: Runner = run_here,
        ledger: SpendLedger | None = None,
    ) -> None:
        self.catalog = catalog
        self._gateway = gateway
        self._store = store
        self._defaults = defaults or Defaults()
        self._run = run
        self._ledger = ledger or Unrecorded()

    async def generate_image(  # noqa: PLR0913 - the tool's own arguments
        self,
        prompt: str,
        model: str | None = None,
        size: str | None = None,
        quality: str | None = None,
        n: int | None = None,
        *,
        enrich: str | None = None,
        on_status: OnStatus = lambda status: None,
        approve: Approve | None = None,
        **wishes: Unpack[Wishes],
    ) -> GeneratedImages:
        """Make images; this costs money. `on_status` is told what the call is waiting for.

        `approve` is awaited before anything is set aside or sent, and what it raises ends the call. Raises
        `InvalidRequestError` before anything is sent for what the model does not take, and the other kinds of
        `ImageError` with what is known of the money.
        """
        request = self.catalog.resolve(ImageArguments(prompt, model or self._defaults.model, size, quality, n))
        enriched = self._enriched(request, enrich, wishes)
        expected = estimate(self.catalog, request)
        approval = await approve(request, expected) if approve else None
        return await self._run(lambda: self._make(request, enriched, expected, on_status, approval))

    def list_models(self, use_case: str | None = None, max_price_usd: float | Decimal = 0) -> ModelList:
        """List the models that are recommended for a use case and have an image at most that dear; 0 means any price.

        Raises `InvalidRequestError` for a use case that the API does not name.
        """
        highest = Decimal(str(max_price_usd))
        if not highest.is_finite() or highest < 0:
            raise InvalidRequestError(f"max_price_usd must be at least 0, not {quoted(max_price_usd)}.")
        models: Sequence[Model] = [model for model in self.catalog if self._is_for(model, use_case or ANY)]
        if highest:
            models = [model for model in models if cheapest_offer(self.catalog, model).high_usd <= highest]
        return ModelList(self.catalog, models)

    def estimate_cost(  # noqa: PLR0913 - the tool's own arguments
        self,
        model: str | None = None,
        size: str | None = None,
        quality: str | None = None,
        n: int | None = None,
        *,
        prompt: str = "",
        enrich: str | None = None,
        **wishes: Unpack[Wishes],
    ) -> CostComparison:
        """Price a request without making it; without a model, compare all that can do it, cheapest first.

        With a prompt, this is a dry run: it also tells the prompt that would be sent, and why. Raises
        `InvalidRequestError` for what the model, or every model, does not take.
        """
        asked = ImageArguments(prompt, model, size, quality, n)
        if model in (None, "", ANY):
            estimates = compare(self.catalog, asked)
        else:
            request = self.catalog.resolve(asked) if prompt else self.catalog.fill_in(self.catalog.find(model), asked)
            estimates = [estimate(self.catalog, request)]
        return CostComparison(estimates, self._dry_run(asked, estimates, enrich, wishes) if prompt else {})

    def _dry_run(
        self, asked: ImageArguments, estimates: Sequence[Estimate], mode: str | None, wishes: Wishes
    ) -> dict[str, EnrichedPrompt]:
        requests = [self.catalog.fill_in(self.catalog.find(each.model), asked) for each in estimates]
        return {request.model: self._enriched(request, mode, wishes) for request in requests}

    def _enriched(self, request: ImageRequest, mode: str | None, wishes: Wishes) -> EnrichedPrompt:
        mode = mode or self._defaults.enrich
        if mode not in MODES:
            raise InvalidRequestError(f"enrich cannot be {quoted(mode)}. Choices: {choices(MODES, mode)}.")
        if mode == "off":
            return EnrichedPrompt.untouched(request.prompt, wishes)
        enriched = enrich(request.prompt, model=self.catalog.find(request.model), size=request.size, **wishes)
        return enriched.as_advice() if mode == "suggest" else enriched

    def _is_for(self, model: Model, use_case: str) -> bool:
        names = [slug(name) for name in self.catalog.use_cases]
        if use_case not in (ANY, *names):
            raise InvalidRequestError(
                f"There is no use case {quoted(use_case)}. Use cases: {choices([ANY, *names], use_case)}.",
                valid_values=[ANY, *names],
            )
        return use_case == ANY or any(slug(each.use_case) == use_case for each in model.recommended_for)

    async def _make(
        self,
        request: ImageRequest,
        prompt: EnrichedPrompt,
        expected: Estimate,
        on_status: OnStatus,
        approval: str | None,
    ) -> GeneratedImages:
        if self._gateway is None:
            raise ConfigurationError("This toolset has no gateway to make images with.")
        on_status(f"waiting for {request.model}")
        request = replace(request, prompt=prompt.prompt)
        attempt = await self._ledger.reserve(request, expected.high_usd, approval)
        try:
            response = await _generated(self._gateway, request, attempt, on_status)
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            with anyio.CancelScope(shield=True), suppress(LedgerError):  # what it could not end counts as spent
                await _end(attempt, error)
            raise
        with anyio.CancelScope(shield=True):  # these pictures are paid for
            response = await self._kept(attempt, response)
        return GeneratedImages(
            request=request,
            prompt=prompt,
            images=_with_telling_revisions(prompt, response.images),
            estimate=expected,
            charged_usd=response.charged_usd,
            gateway=self._gateway.name,
            warnings=_warnings(expected, response),
        )

    async def _kept(self, attempt: Attempt, response: ImagesResponse) -> ImagesResponse:
        """Return the response with its data in files, and with its charge and its URLs written down."""
        kept: Sequence[Image] = ()
        try:
            response = await self._with_long_urls_in_files(await self._with_data_in_files(response))
            kept = response.images
        finally:
            try:
                await attempt.settled(response.charged_usd, kept)
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
        if self._store is None:
            raise StorageError("A picture came as data, and this toolset has no store to keep it in.")
        path = await self._store.save(picture)
        return replace(image, url=path.as_uri(), path=path, data=None)

    async def _with_long_urls_in_files(self, response: ImagesResponse) -> ImagesResponse:
        """Return the response with each URL that would flood the result in a text file; none is ever cut."""
        images: list[Image] = []
        warnings = list(response.warnings)
        for number, image in enumerate(response.images, start=1):
            images.append(image)
            length = len(image.url or "")
            if self._store is None or length <= _MOST_URL_BYTES // len(response.images):
                continue
            try:
                path = await self._store.save_url(image.url or "")
            except StorageError as error:
                warnings.append(error.message)
                continue
            images[-1] = replace(image, url=path.as_uri(), path=path)
            warnings.append(f"The URL of image {number} has {length:,} characters: it is in the file, in full.")
        return replace(response, images=images, warnings=[*dict.fromkeys(warnings)])


async def _generated(
    gateway: ImageGateway, request: ImageRequest, attempt: Attempt, on_status: OnStatus
) -> ImagesResponse:
    response = await gateway.generate(request, attempt, on_status)
    if not response.images:
        charged = "unknown" if response.charged_usd is None else "yes"
        raise OutcomeUnknownError("The gateway made no image.", charged=charged)
    return response


async def _end(attempt: Attempt, error: BaseException) -> None:
    """Write down what an error tells of the money; a gateway that could be cancelled has charged nothing."""
    match error:
        case ImageError(charged="no"):
            await attempt.released()
        case ImageError(charged="yes"):
            await attempt.settled(error.charged_usd, ())
        case Exception():
            await attempt.unknown()
        case _:
            await attempt.released()


def _with_telling_revisions(prompt: EnrichedPrompt, images: Sequence[Image]) -> Sequence[Image]:
    """Return the images with each revised prompt once, none that revises nothing, and no more than a result bears."""
    seen = {prompt.prompt, prompt.original, "", None}
    most_bytes = _MOST_REVISION_BYTES // len(images)
    kept: list[Image] = []
    for image in images:
        revision = None if image.revised_prompt in seen else image.revised_prompt
        seen.add(image.revised_prompt)
        kept.append(replace(image, revised_prompt=revision and within(revision, most_bytes)))
    return kept


def _warnings(expected: Estimate, response: ImagesResponse) -> Sequence[str]:
    warnings = list(response.warnings)
    if len(response.images) < expected.n:
        warnings.append(f"Asked for {expected.n} images, and {len(response.images)} came back.")
    charged = response.charged_usd
    if charged is not None and charged > expected.high_usd:
        estimated = spread(expected.low_usd, expected.high_usd)
        warnings.append(f"${usd(charged)} was charged, more than the estimate of {estimated}.")
    return warnings
