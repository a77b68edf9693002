"""The three tools as a library: `generate_image`, `list_models` and `estimate_cost`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeAlias, Unpack

from blockrun_image.callers import Caller, Delivery
from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import MODES, EnrichedPrompt, Wishes, enrich
from blockrun_image.errors import (
    ConfigurationError,
    ImageError,
    InvalidRequestError,
    LedgerError,
    ModelNotFoundError,
)
from blockrun_image.images import Defaults, Image, ImageArguments, ImageRequest, ImagesResponse
from blockrun_image.model import ANY, Model, slug
from blockrun_image.ports import (
    FixedPorts,
    ImageGateway,
    ImageStore,
    OnStatus,
    Ports,
    Runner,
    SpendLedger,
    StillDrawingError,
    run_here,
)
from blockrun_image.pricing import Estimate, cheapest_offer, compare, estimate, spread
from blockrun_image.purchase import Purchase
from blockrun_image.results import CostComparison, GeneratedImages, ModelList, PendingImages
from blockrun_image.schemas import MOST_CHOICES
from blockrun_image.text import choices, quoted, usd, within
from blockrun_image.timings import CallTimings

_MOST_REVISION_BYTES = 4_000
_QUOTED = "The gateway's own price, asked for just now without paying."

Approve: TypeAlias = Callable[[ImageRequest, Estimate], Awaitable[str | None]]
"""Returns the id of the user's approval of a call, `None` where none is needed; raises `ConfirmationError`."""


class ImageToolset:
    """What can be asked for.

    `list_models` and `estimate_cost` are free and work offline, without a gateway. `run` does what costs money; the
    default does it in the caller's own task, which must not be cancelled by asyncio's own means (anyio's are shielded).
    `ports` replaces `gateway`, `store` and `ledger` by adapters that are opened when they are first needed. Another
    `catalog` may be set at any time, and is in force with the next call.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one for each port
        self,
        catalog: Catalog,
        gateway: ImageGateway | None = None,
        store: ImageStore | None = None,
        defaults: Defaults | None = None,
        run: Runner = run_here,
        ledger: SpendLedger | None = None,
        timings: CallTimings | None = None,
        ports: Ports | None = None,
    ) -> None:
        self.catalog = catalog
        self.defaults = defaults or Defaults()
        self._ports: Ports = ports or FixedPorts(gateway, ledger, store)
        self._run = run
        self._timings = timings or CallTimings()

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
        caller: Caller | None = None,
        delivery: Delivery | None = None,
        **wishes: Unpack[Wishes],
    ) -> GeneratedImages:
        """Make images; this costs money. `on_status` is told what the call is waiting for.

        What takes longer than the call's timeout goes on, and the same call again collects it without paying. `approve`
        is awaited before anything is set aside or sent, and what it raises ends the call. `caller` is whose call it is.
        With a `delivery`, the answer counts as delivered once that reports it; without one, once this returns.

        Raises `InvalidRequestError` before anything is sent for what the model does not take, and the other kinds of
        `ImageError` with what is known of the money.
        """
        catalog = self.catalog
        request = catalog.resolve(ImageArguments(prompt, model or self.defaults.model, size, quality, n))
        enriched = self._enriched(request, enrich, wishes)
        expected = estimate(catalog, request)
        on_status(f"waiting for {request.model}")
        purchase = Purchase(
            self._ports,
            replace(request, prompt=enriched.prompt),
            expected.expected_cost,
            on_status,
            self._timings,
            caller,
            catalog.find(request.model).requests_per_minute,
        )
        if approve is not None and not await purchase.is_collected():
            purchase.approval = await approve(request, expected)
        try:
            return await self._buy(purchase, enriched, expected, delivery)
        except ModelNotFoundError as error:
            raise error.instead(catalog.alternatives(request.model)) from error

    def list_models(
        self, use_case: str | None = None, max_price_usd: float | Decimal = 0, search: str = ""
    ) -> ModelList:
        """List the models that are recommended for a use case and have an image at most that dear; 0 means any price.

        `search` is a part of the ids or providers. Raises `InvalidRequestError` for a use case that the API does not
        name.
        """
        highest = Decimal(str(max_price_usd))
        if not highest.is_finite() or highest < 0:
            raise InvalidRequestError(f"max_price_usd must be at least 0, not {quoted(max_price_usd)}.")
        models: Sequence[Model] = [
            model
            for model in (*self.catalog, *self.catalog.gone.values())
            if self._is_for(model, use_case or ANY) and search.lower() in f"{model.id} {model.provider}".lower()
        ]
        if highest:
            models = [model for model in models if self._is_within(model, highest)]
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
            found = compare(self.catalog, asked)
        else:
            request = self.catalog.resolve(asked) if prompt else self.catalog.fill_in(self.catalog.find(model), asked)
            found = [estimate(self.catalog, request)]
        told = found[:MOST_CHOICES]
        dry_run = self._dry_run(asked, told, enrich, wishes) if prompt else {}
        return CostComparison(told, dry_run, more=len(found) - len(told))

    async def estimate_cost_live(self, *, live: bool = False, **asked: Any) -> CostComparison:  # noqa: ANN401 - those of estimate_cost
        """Price a request as `estimate_cost` does; if `live`, by what the gateway asks for it, which it tells unpaid.

        Raises `GatewayError` where it tells none of the prices, and `ConfigurationError` without a gateway.
        """
        comparison = self.estimate_cost(**asked)
        if not live:
            return comparison
        prompt = asked.get("prompt") or "A picture"
        failures: list[ImageError] = []
        estimates: list[Estimate] = []
        for each in comparison.estimates:
            sent = comparison.prompts[each.model].prompt if each.model in comparison.prompts else prompt
            try:
                estimates.append(await self._quoted(each, sent))
            except ImageError as error:
                failures.append(error)
                estimates.append(each)
        if failures and len(failures) == len(estimates):
            raise failures[0]
        return replace(comparison, estimates=sorted(estimates), warnings=[error.message for error in failures])

    async def _quoted(self, expected: Estimate, prompt: str) -> Estimate:
        sent_as = self.catalog.sent_as(expected.model)
        request = ImageRequest(prompt, expected.model, expected.size, expected.quality, expected.n, sent_as)
        price = await (await self._ports.gateway()).quote(request)
        if price is None:
            raise ConfigurationError("This gateway tells no price before it charges it; only a wallet's does.")
        return replace(expected, low_usd=price, high_usd=price, exact=True, basis=_QUOTED)

    def _dry_run(
        self, asked: ImageArguments, estimates: Sequence[Estimate], mode: str | None, wishes: Wishes
    ) -> dict[str, EnrichedPrompt]:
        requests = [self.catalog.fill_in(self.catalog.find(each.model), asked) for each in estimates]
        return {request.model: self._enriched(request, mode, wishes) for request in requests}

    def _enriched(self, request: ImageRequest, mode: str | None, wishes: Wishes) -> EnrichedPrompt:
        mode = mode or self.defaults.enrich
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

    def _is_within(self, model: Model, highest_usd: Decimal) -> bool:
        lowest = cheapest_offer(self.catalog, model).high_usd
        return lowest is not None and lowest <= highest_usd

    async def _buy(
        self, purchase: Purchase, prompt: EnrichedPrompt, expected: Estimate, delivery: Delivery | None
    ) -> GeneratedImages:
        response = await self._bought(purchase, delivery)
        request, gateway = purchase.request, self._ports.gateway_name
        if response is None:
            standing = await purchase.look()
            held = (expected.high_usd or Decimal(0)) if standing is None else standing.held_usd
            return PendingImages(request, prompt, (), expected, None, gateway, held_usd=held)
        await _hand_over(purchase, delivery)
        return GeneratedImages(
            request=request,
            prompt=prompt,
            images=_with_telling_revisions(prompt, response.images),
            estimate=expected,
            charged_usd=response.charged_usd,
            gateway=gateway,
            warnings=_warnings(expected, response),
        )

    async def _bought(self, purchase: Purchase, delivery: Delivery | None) -> ImagesResponse | None:
        """Return what was bought, or `None` where it goes on without its caller."""
        try:
            return await self._run(purchase.make, self._timings.call_timeout_seconds, purchase.left)
        except StillDrawingError:
            await purchase.left()
            return None
        except (ConfigurationError, LedgerError):  # what an earlier call had begun is still to be had
            await purchase.left()
            raise
        except Exception:
            await _hand_over(purchase, delivery)
            raise


async def _hand_over(purchase: Purchase, delivery: Delivery | None) -> None:
    if delivery is None:
        await purchase.told()
    else:
        delivery.on_report(purchase.delivered)


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
    if charged is not None and expected.high_usd is not None and charged > expected.high_usd:
        estimated = spread(expected.low_usd, expected.high_usd)
        warnings.append(f"${usd(charged)} was charged, more than the estimate of {estimated}.")
    return warnings
