"""The three tools as a library: `generate_image`, `list_models` and `estimate_cost`."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeAlias, Unpack

import anyio

from blockrun_image.attempts import Approval, CallInfo, ExpectedCost, Order
from blockrun_image.callers import Caller, Delivery, DeliveryEvent
from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import MODES, EnrichedPrompt, PromptOptions, enrich
from blockrun_image.errors import (
    ConfigurationError,
    ConfirmationError,
    ImageError,
    InvalidRequestError,
    LedgerError,
    ModelNotFoundError,
)
from blockrun_image.file_names import SaveAs
from blockrun_image.fixed_ports import FixedPorts, run_in_place
from blockrun_image.images import Defaults, ImageArguments, ImageRequest, ImagesResponse
from blockrun_image.inputs import NamedInputs, find
from blockrun_image.keeping import Savings
from blockrun_image.model import ANY, Model, slug
from blockrun_image.model_list import ModelList
from blockrun_image.open_calls import OpenCall, OpenCalls
from blockrun_image.parameters import Value
from blockrun_image.ports import Attempt, ImageGateway, ImageStore, NeedsApproval, OnStatus, Ports, Runner, SpendLedger
from blockrun_image.pricing import Estimate, cheapest_offer, compare, estimate
from blockrun_image.purchase import Purchase
from blockrun_image.results import (
    CostComparison,
    GeneratedImages,
    PendingImages,
    warnings_about,
    with_telling_revisions,
)
from blockrun_image.schemas import MAX_CHOICES
from blockrun_image.text import choices, quoted
from blockrun_image.timings import CallTimings

_LEAST_SAVING_SECONDS = 1.0  # a call that was answered late still tells where its pictures are
_SHOWN_CHARACTERS = 80
_SHOWN_BEFORE_CHARACTERS = 40
_SENT_EARLIER = "it was sent by an earlier call"
_INSTRUCTION = "it says what to change in a picture"
_NO_MONEY = "On the sandbox, no real money is spent."
_NO_PRICE = "No price is known for it any more."
_QUOTED = "The gateway's own price, requested just now without paying."

Approve: TypeAlias = Callable[[ImageRequest, Estimate, NeedsApproval], Awaitable[Approval]]
"""Asks the user to approve a call with a known estimate; raises `ConfirmationError`."""


@dataclass(frozen=True)
class _Offer:
    """The request, prompt and estimate of a call, if it is ordered now."""

    request: ImageRequest
    prompt: EnrichedPrompt
    estimate: Estimate


class ImageToolset:
    """The three image tools over one catalogue and one set of ports.

    `list_models` and `estimate_cost` are free and work offline, without a gateway. `run` starts the work that costs
    money; the default does it in the caller's own task, which must not be cancelled by asyncio's own means (anyio's are
    shielded). `ports` replaces `gateway`, `store` and `ledger` by adapters that are opened on first use. Another
    `catalog` may be set at any time, and applies from the next call.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one for each port
        self,
        catalog: Catalog,
        gateway: ImageGateway | None = None,
        store: ImageStore | None = None,
        defaults: Defaults | None = None,
        run: Runner = run_in_place,
        ledger: SpendLedger | None = None,
        timings: CallTimings | None = None,
        ports: Ports | None = None,
    ) -> None:
        self.catalog = catalog
        self.defaults = defaults or Defaults()
        self._ports: Ports = ports or FixedPorts(gateway, ledger, store)
        self._run = run
        self._timings = timings or CallTimings()
        self._calls = OpenCalls(self._timings.join_seconds)
        self._savings = Savings()

    async def generate_image(  # noqa: PLR0913 - the tool's own arguments
        self,
        prompt: str = "",
        model: str | None = None,
        size: str | None = None,
        quality: str | None = None,
        n: int | None = None,
        *,
        images: Sequence[str] = (),
        mask: str | None = None,
        parameters: Mapping[str, Value] | None = None,
        enrich: str | None = None,
        save_as: str | None = None,
        on_status: OnStatus = lambda status: None,
        approve: Approve | None = None,
        caller: Caller | None = None,
        delivery: Delivery | None = None,
        arrived_at: float | None = None,
        refusal: InvalidRequestError | None = None,
        **options: Unpack[PromptOptions],
    ) -> GeneratedImages:
        """Make images; this costs money.

        With `images`, it makes them from these pictures: files, `images://ID`, `last` or URLs. `mask` marks the area to
        change. `parameters` are what else the model takes. With a store, the files of the pictures are in the result.
        `save_as` names them, relative to its folder.

        `on_status` is called with what the call is waiting for. A purchase that takes longer than the call's timeout
        continues, and an identical call collects it without paying again. `approve` is awaited if the user must approve
        the call; until then, no more than the estimate is set aside. `caller` is the call's owner. With a `delivery`,
        the answer counts as delivered once that reports it; without one, once this returns. `arrived_at` is the time of
        the call by anyio's clock, in seconds, by default now; minus infinity means that it may have waited for an
        unknown time.

        Raises `InvalidRequestError` if the model does not take the arguments, or the `refusal` of the arguments, and
        the other kinds of `ImageError` with what is known of the money. An earlier call's paid pictures are returned in
        any case.
        """
        inputs, refusal = await self._inputs(images, mask, refusal)
        arguments = ImageArguments(prompt, model, size, quality, n, inputs.keys, inputs.mask_key, parameters or {})
        destination, refusal = self._destination(save_as, n, refusal)
        offer, refused = self._offer_or_refusal(arguments, enrich, options, refusal)
        # Without an offer, an earlier call may still have bought this, so the refusal waits.
        on_status("starting" if offer is None else f"waiting for {offer.request.model}")
        arrived_at = anyio.current_time() if arrived_at is None else arrived_at
        key = arguments.key(enrich=enrich, **options)
        info = CallInfo(key, caller, arrived_at if math.isfinite(arrived_at) else None, destination)
        call = self._calls.open(info, lambda: self._purchase(info, offer, refused, inputs), arrived_at)
        call.purchase.listeners.append(on_status)
        try:
            return await self._answer(call, offer, approve, delivery, destination)
        finally:
            call.purchase.listeners.remove(on_status)

    def list_models(
        self, use_case: str | None = None, max_price_usd: float | Decimal = 0, search: str = ""
    ) -> ModelList:
        """List the models for a use case, at or below a price per image.

        A price of 0 means any. `search` is a part of the model's id or provider. Raises `InvalidRequestError` if the
        API does not name the use case, or the price is negative.
        """
        highest = Decimal(str(max_price_usd))  # from its digits: 0.04 is not an exact float
        if not highest.is_finite() or highest < 0:
            raise InvalidRequestError(f"max_price_usd must be at least 0, not {quoted(max_price_usd)}.")
        models: Sequence[Model] = [
            model
            for model in (*self.catalog, *self.catalog.unavailable.values())
            if self._is_for(model, use_case or ANY) and search.strip().lower() in f"{model.id} {model.provider}".lower()
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
        images: Sequence[str] = (),
        parameters: Mapping[str, Value] | None = None,
        enrich: str | None = None,
        **options: Unpack[PromptOptions],
    ) -> CostComparison:
        """Estimate a request's price without making it.

        Without a model, it compares all, cheapest first. With a prompt, this is a dry run: it also returns the prompt
        that would be sent, and why. Raises `InvalidRequestError` if the model, or every model, does not take the
        request.
        """
        arguments = ImageArguments(prompt, model, size, quality, n, tuple(images), None, parameters or {})
        notes: Sequence[str] = ()
        if model in (None, "", ANY):
            found = compare(self.catalog, arguments)
        else:
            chosen = self.catalog.find(model)
            request = self.catalog.resolve(arguments) if prompt else self.catalog.fill_in(chosen, arguments)
            found = [estimate(self.catalog, request)]
            notes = [note for note in [self.catalog.about_shape(chosen, size, request.size)] if note]
        estimates = found[:MAX_CHOICES]
        dry_run = self._dry_run(arguments, estimates, enrich, options) if prompt else {}
        return CostComparison(estimates, dry_run, notes, more=len(found) - len(estimates))

    async def estimate_cost_live(
        self,
        *,
        live: bool = False,
        caller: Caller | None = None,
        **arguments: Any,  # noqa: ANN401 - those of estimate_cost
    ) -> CostComparison:
        """Estimate a price, raised to recent charges for such images.

        The other arguments are those of `estimate_cost`. With `live`, use the gateway's own quotes (free), and
        `caller` says whose picture `last` is. Raises `GatewayError` if it quotes none of the prices, and
        `ConfigurationError` without a gateway or if the gateway has no quotes.
        """
        comparison = await self._with_late_charges(self.estimate_cost(**arguments))
        if not live:
            return comparison
        prompt = arguments.get("prompt") or "A picture"  # the API takes no request without a prompt
        inputs = await NamedInputs.read(self._ports, arguments.get("images", ()), None)
        asked = ImageArguments(images=inputs.keys, parameters=arguments.get("parameters") or {})
        failures: list[ImageError] = []
        estimates: list[Estimate] = []
        for each in comparison.estimates:
            sent = comparison.prompts[each.model].prompt if each.model in comparison.prompts else prompt
            try:
                estimates.append(await self._quote(each, replace(asked, prompt=sent), inputs, caller))
            except ImageError as error:
                failures.append(error)
                estimates.append(each)
        if failures and len(failures) == len(estimates):
            raise failures[0]
        warnings = [*comparison.warnings, *(error.message for error in failures)]
        return replace(comparison, estimates=sorted(estimates), warnings=warnings)

    async def _with_late_charges(self, comparison: CostComparison) -> CostComparison:
        """Return the estimates, raised to the gateways' charges of the last day."""
        requests = [ImageRequest("", each.model, each.size, each.quality, each.n) for each in comparison.estimates]
        try:
            charged = await (await self._ports.ledger()).charged_lately(requests)
        except (ConfigurationError, LedgerError):  # it is free to ask, without a credential too
            return comparison
        pairs = zip(comparison.estimates, charged, strict=True)
        return replace(comparison, estimates=sorted(each.at_least(image_usd) for each, image_usd in pairs))

    async def _quote(
        self, expected: Estimate, asked: ImageArguments, inputs: NamedInputs, caller: Caller | None
    ) -> Estimate:
        model = self.catalog.find(expected.model)
        request = self.catalog.fill_in(model, replace(asked, size=expected.size, n=expected.n))
        request = replace(request, quality=expected.quality)
        if model.edits is not None and inputs.images:
            images, mask = await find(self._ports, inputs, model.edits, caller)
            request = replace(request, images=images, mask=mask)
        price = await (await self._ports.gateway()).quote(request)
        if price is None:
            raise ConfigurationError("This gateway does not quote prices; only one that a wallet pays does.")
        return replace(expected, low_usd=price, high_usd=price, exact=True, basis=_QUOTED)

    def _dry_run(
        self, arguments: ImageArguments, estimates: Sequence[Estimate], mode: str | None, options: PromptOptions
    ) -> dict[str, EnrichedPrompt]:
        requests = [self.catalog.fill_in(self.catalog.find(each.model), arguments) for each in estimates]
        return {request.model: self._enrich(request, mode, options) for request in requests}

    def _enrich(self, request: ImageRequest, mode: str | None, options: PromptOptions) -> EnrichedPrompt:
        if request.images:
            return EnrichedPrompt.untouched(request.prompt, options, _INSTRUCTION)
        mode = mode or self.defaults.enrich
        if mode not in MODES:
            raise InvalidRequestError(f"enrich cannot be {quoted(mode)}. Choices: {choices(MODES, mode)}.")
        model = self.catalog.find(request.model)
        if mode == "off":
            enriched = EnrichedPrompt.untouched(request.prompt, options)
        else:
            enriched = enrich(request.prompt, model=model, size=request.size, **options)
        enriched = enriched.as_advice() if mode == "suggest" else enriched
        return replace(enriched, warnings=[*enriched.warnings, *model.cannot_promise(request.prompt)])

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

    def _offer_or_refusal(
        self, arguments: ImageArguments, mode: str | None, options: PromptOptions, refusal: ImageError | None
    ) -> tuple[_Offer | None, ImageError | None]:
        if refusal is not None:
            return None, refusal
        try:
            return self._offer(arguments, mode, options), None
        except ImageError as error:
            return None, error

    def _destination(
        self, save_as: str | None, count: int | None, refusal: InvalidRequestError | None
    ) -> tuple[SaveAs | None, InvalidRequestError | None]:
        """Return the files named by a call, or why they cannot be."""
        if not save_as or refusal is not None:
            return None, refusal
        if self._ports.store is None:
            return None, InvalidRequestError("save_as cannot be used: there is no folder for pictures.")
        try:
            return SaveAs.parse(save_as, count or 1), None
        except InvalidRequestError as error:
            return None, error

    async def _inputs(
        self, images: Sequence[str], mask: str | None, refusal: InvalidRequestError | None
    ) -> tuple[NamedInputs, InvalidRequestError | None]:
        """Return the pictures that a call starts from, and why it cannot."""
        if refusal is not None or not (images or mask):
            return NamedInputs.unread(images, mask), refusal
        try:
            return await NamedInputs.read(self._ports, images, mask), None
        except InvalidRequestError as error:
            return NamedInputs.unread(images, mask), error

    def _offer(self, arguments: ImageArguments, mode: str | None, options: PromptOptions) -> _Offer:
        catalog = self.catalog
        request = catalog.resolve(replace(arguments, model=arguments.model or self.defaults.model))
        enriched = self._enrich(request, mode, options)
        about_shape = catalog.about_shape(catalog.find(request.model), arguments.size, request.size)
        if about_shape is not None:
            enriched = replace(enriched, warnings=[about_shape, *enriched.warnings])
        return _Offer(replace(request, prompt=enriched.prompt), enriched, estimate(catalog, request))

    def _completion(
        self, info: CallInfo, offer: _Offer | None, inputs: NamedInputs
    ) -> Callable[[ImageRequest], Awaitable[ImageRequest]] | None:
        """Return what adds the pictures to a request that starts from some."""
        limits = None if offer is None else self.catalog.find(offer.request.model).edits
        if limits is None or not inputs.images:
            return None

        async def complete(request: ImageRequest) -> ImageRequest:
            images, mask = await find(self._ports, inputs, limits, info.caller)
            return replace(request, images=images, mask=mask)

        return complete

    def _purchase(
        self, info: CallInfo, offer: _Offer | None, refusal: ImageError | None, inputs: NamedInputs
    ) -> Purchase:
        order = None
        if offer is not None:
            per_minute = self.catalog.find(offer.request.model).requests_per_minute
            order = Order(offer.request, offer.estimate.expected_cost, per_minute)
        return Purchase(
            self._ports,
            info,
            order,
            self._timings,
            self._run,
            refusal,
            self._cost_of,
            self._completion(info, offer, inputs),
            savings=self._savings,
        )

    def _cost_of(self, request: ImageRequest) -> ExpectedCost:
        return estimate(self.catalog, request).expected_cost

    async def _answer(
        self,
        call: OpenCall,
        offer: _Offer | None,
        approve: Approve | None,
        delivery: Delivery | None,
        save_as: SaveAs | None,
    ) -> GeneratedImages:
        """Return the result, and record the delivery of it or of an error."""
        purchase, seconds = call.purchase, self._timings.call_timeout_seconds
        try:
            response = await purchase.result(seconds, lambda needed: _approval(purchase, offer, approve, needed))
            if response is None:
                self._calls.leave(call)  # a pending answer is not delivered, so the call stays collectable
            else:
                rest = max(_LEAST_SAVING_SECONDS, seconds - call.seconds)
                response = await purchase.with_saved(response, save_as, min(rest, self._timings.saving_seconds))
            result = self._result(purchase, offer, response)
        except Exception as error:
            await self._hand_over(call, delivery, error)
            self._complete(error, purchase)
            raise
        except BaseException:  # the caller has gone
            if self._calls.close(call):
                with anyio.CancelScope(shield=True):
                    await purchase.withdraw()
            raise
        if response is not None:
            await self._hand_over(call, delivery)
        return result

    def _complete(self, error: Exception, purchase: Purchase) -> None:
        """Add more hints for the agent to an error."""
        if isinstance(error, ModelNotFoundError) and purchase.request is not None:
            error.instead(self.catalog.alternatives(purchase.request.model))
        if isinstance(error, ImageError):
            error.append_hints(_uncollected_notes(purchase))
            if self._ports.is_sandbox and error.charged != "no":
                error.append_hints([_NO_MONEY])

    def _result(self, purchase: Purchase, offer: _Offer | None, response: ImagesResponse | None) -> GeneratedImages:
        gateway = self._ports.gateway_name
        offer, warnings = self._offer_behind(purchase.request, offer, purchase.refusal)
        sent = purchase.request or offer.request
        request = replace(offer.request, images=sent.images, mask=sent.mask)
        offer = replace(offer, request=request, estimate=self._estimate_of(request, purchase.attempt))
        if response is None:
            return PendingImages(
                offer.request,
                offer.prompt,
                (),
                offer.estimate,
                None,
                gateway,
                warnings,
                is_sandbox=self._ports.is_sandbox,
                held_usd=purchase.reserved_usd,
            )
        return GeneratedImages(
            request=offer.request,
            prompt=offer.prompt,
            images=with_telling_revisions(offer.prompt, response.images),
            estimate=offer.estimate,
            charged_usd=response.charged_usd,
            gateway=gateway,
            warnings=[*warnings_about(offer.estimate, response), *warnings, *_uncollected_notes(purchase)],
            is_sandbox=self._ports.is_sandbox,
            is_collected=response.is_collected,
        )

    async def _hand_over(self, call: OpenCall, delivery: Delivery | None, error: Exception | None = None) -> None:
        """Record the delivery of the pictures or the error once it is known."""
        was_slow = delivery is not None and call.seconds >= self._timings.slow_call_seconds

        async def report(event: DeliveryEvent) -> None:
            is_last = self._calls.close(call)
            # If one answer is lost, another call of the same purchase may still be delivered.
            if event is not DeliveryEvent.LOST or is_last:
                await call.purchase.note_answer(error, event, was_slow=was_slow)

        if delivery is not None:
            delivery.on_report(report)
        else:
            with anyio.CancelScope(shield=True):
                await report(DeliveryEvent.WRITTEN)

    def _offer_behind(
        self, sent: ImageRequest | None, offer: _Offer | None, refusal: ImageError | None
    ) -> tuple[_Offer, Sequence[str]]:
        """Return the offer behind the pictures, and its differences from today's."""
        if offer is not None and sent in (None, offer.request):
            return offer, ()
        if sent is None:
            raise refusal or ConfigurationError("There is nothing to buy.")
        earlier = _Offer(sent, EnrichedPrompt(sent.prompt, sent.prompt, reason=_SENT_EARLIER), self._price_of(sent))
        if offer is None:
            return earlier, [f"Today this call would be refused: {refusal.message}"] if refusal else []
        differences = [
            f"{name} {' instead of '.join(_apart(str(getattr(sent, name)), str(getattr(offer.request, name))))}"
            for name in ("model", "size", "quality", "n", "prompt", "parameters")
            if getattr(sent, name) != getattr(offer.request, name)
        ]
        return earlier, [f"The earlier call had sent {', '.join(differences)}."]

    def _estimate_of(self, request: ImageRequest, attempt: Attempt | None) -> Estimate:
        """Return the attempt's estimate, raised to the cost expected at its reservation."""
        expected = self._price_of(request)
        max_usd = None if attempt is None else attempt.max_usd
        return expected if max_usd is None else expected.at_least(max_usd / request.n)

    def _price_of(self, request: ImageRequest) -> Estimate:
        try:
            return estimate(self.catalog, request)
        except ImageError:  # the model has gone
            kind = (request.model, request.size, request.quality, request.n)
            return Estimate(*kind, Decimal(0), None, False, _NO_PRICE)


def _apart(one: str, other: str) -> tuple[str, str]:
    """Quote two texts from shortly before their first difference."""
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, same - _SHOWN_BEFORE_CHARACTERS)
    return quoted(one[start:], _SHOWN_CHARACTERS), quoted(other[start:], _SHOWN_CHARACTERS)


def _uncollected_notes(purchase: Purchase) -> Sequence[str]:
    return [each.to_text() for each in purchase.uncollected]


async def _approval(
    purchase: Purchase, offer: _Offer | None, approve: Approve | None, needed: NeedsApproval
) -> Approval:
    if offer is None or approve is None:
        raise ConfirmationError("This call needs the user's approval, and no user can be asked.")
    sent = purchase.request or offer.request
    request = replace(sent, prompt=offer.prompt.original)
    return await approve(request, offer.estimate, needed)
