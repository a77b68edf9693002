"""Estimates what requests cost, as decimals, and says how certain that is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product
from typing import Any

from blockrun_image.attempts import ExpectedCost
from blockrun_image.catalog import Catalog, check_prompt
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import AUTO, ImageArguments, ImageRequest
from blockrun_image.model import Model, PriceRange
from blockrun_image.parameters import added_usd
from blockrun_image.text import choices, quoted, usd

_PUBLISHED = "The published price, rounded."
_FROM_OPERATORS_FILE = "The price in the file that BLOCKRUN_IMAGE_SPEC names."


@dataclass(frozen=True)
class Estimate:
    """The price of a request in US dollars, for all its images.

    `exact` means that the price is published for this very size and quality, or quoted by the gateway for this request.
    `low_usd` and `high_usd` then differ at most by the fee of a payment from a wallet, and a published price may be
    rounded. A price derived from a list price, or raised to an earlier charge, is not `exact`, even without a range.
    Without a `high_usd`, the highest price is unknown.
    """

    model: str
    size: str
    quality: str | None
    n: int
    low_usd: Decimal
    high_usd: Decimal | None
    exact: bool
    basis: str

    def to_dict(self) -> dict[str, object]:
        """Return the estimate as structured content.

        Amounts are decimal strings, left out if unknown.
        """
        request: dict[str, object] = {"model": self.model, "size": self.size}
        if self.quality:
            request["quality"] = self.quality
        return request | {"n": self.n} | self.cost()

    def cost(self) -> dict[str, object]:
        """Return only the price; limits and comparisons use `estimated_usd`, the high end.

        `low_usd` is present if the low end differs, and `basis` if the price is not simply the published one.
        """
        high = {} if self.high_usd is None else {"estimated_usd": usd(self.high_usd)}
        low = {"low_usd": usd(self.low_usd)} if self.is_known and self.low_usd != self.high_usd else {}
        basis = {} if self.basis == _PUBLISHED else {"basis": self.basis}
        return {**high, **low, "exact": self.exact, **basis}

    def label(self) -> str:
        """Return the model, quality and size as text, such as `dall-e-3 hd 1792x1024`."""
        return _label(self.model, self.quality, self.size)

    def price_text(self) -> str:
        """Return the price as text, such as `$0.042` or `$0.042-0.126`."""
        return range_text(self.low_usd, self.high_usd)

    def at_least(self, image_usd: Decimal | None) -> "Estimate":
        """Return the estimate, raised to the latest charge if that was higher.

        `image_usd` is the charge for one image.
        """
        total_usd = (image_usd or Decimal(0)) * self.n
        if image_usd is None or total_usd <= (self.low_usd if self.high_usd is None else self.high_usd):
            return self
        raised = {"low_usd": total_usd} if self.high_usd is None else {"high_usd": total_usd}
        basis = f"{self.basis} But the last such image cost ${usd(image_usd)}."
        return replace(self, **raised, exact=False, basis=basis)

    def __lt__(self, other: "Estimate") -> bool:
        return self._rank() < other._rank()

    @property
    def expected_cost(self) -> ExpectedCost:
        """The cost for the ledger to set aside."""
        return ExpectedCost(self.low_usd, self.high_usd)

    @property
    def is_known(self) -> bool:
        """Whether any part of the price is known; zero is a known price."""
        return self.high_usd is not None or self.low_usd > 0

    def _rank(self) -> tuple[Any, ...]:
        # Cheapest first; a price without an upper limit comes after all others, and an unknown one last.
        return self.high_usd is None, not self.is_known, self.high_usd or self.low_usd, self.low_usd


@dataclass(frozen=True)
class Span:
    """The lowest and highest of several prices in US dollars, margin included.

    `high` is `None` if unknown.
    """

    low: Decimal
    high: Decimal | None


def estimate(catalog: Catalog, request: ImageRequest) -> Estimate:
    """Return a resolved request's estimate.

    It is the published price if there is one, and otherwise derived from the list price.
    """
    model = catalog.known(request.model)
    published = _published_cost(catalog, model, request)
    cost = (_listed_cost(catalog, model, request) if published is None else published).plus(
        added_usd(model, request.parameters)
    )
    pictures_usd = model.edits.picture_usd * len(request.images) if model.edits else Decimal(0)
    return Estimate(
        model=model.id,
        size=request.size,
        quality=request.quality,
        n=request.n,
        low_usd=cost.low_usd * request.n + pictures_usd,
        high_usd=None if cost.high_usd is None else cost.high_usd * request.n + cost.fee_usd + pictures_usd,
        exact=published is not None,
        basis=cost.basis,
    )


def compare(catalog: Catalog, arguments: ImageArguments) -> Sequence[Estimate]:
    """Return the estimates of all capable models, cheapest first.

    `arguments.model` is ignored, and an empty prompt is not checked. Raises `InvalidRequestError` if no model can.
    """
    estimates: list[Estimate] = []
    refusals: dict[int, InvalidRequestError] = {}
    for model in filter(lambda model: catalog.offers(model, arguments), catalog):
        try:
            request = catalog.fill_in(model, arguments)
        except InvalidRequestError:
            continue
        try:
            if arguments.prompt:
                check_prompt(model, arguments.prompt)
            estimates.append(estimate(catalog, request))
        except InvalidRequestError as refusal:
            refusals[model.max_prompt_characters or 0] = refusal
    if not estimates:
        if refusals:
            raise refusals[max(refusals)]  # of the model that takes the longest prompts
        constraints = {
            "size": arguments.size,
            "quality": arguments.quality,
            "n": arguments.n,
            "images": ", ".join(arguments.images),
            "parameters": ", ".join(arguments.parameters),
        }
        asked_for = ", ".join(
            f"{name} {quoted(value)}" for name, value in constraints.items() if value not in (None, "")
        )
        raise InvalidRequestError(
            f"No model can do {asked_for}.",
            hint=f"Sizes: {choices(catalog.sizes, str(arguments.size))}; n up to {catalog.max_images}.",
        )
    return sorted(estimates)


def price_range(catalog: Catalog, model: Model) -> Span | None:
    """Return the price range of one image over all sizes and qualities.

    The margin is included. The high end is `None` if unknown, and so is the range itself if no price is known.
    """
    estimates = [estimate(catalog, request) for request in _priced_requests(catalog, model)]
    highs = [each.high_usd for each in estimates if each.high_usd is not None]
    lows = [each.low_usd for each in estimates if each.is_known]
    if not lows:
        return None
    return Span(low=min(lows), high=max(highs) if len(highs) == len(estimates) else None)


def cheapest_offer(catalog: Catalog, model: Model) -> Estimate:
    """Return the estimate of the model's cheapest image, by the high end."""
    return min(estimate(catalog, request) for request in _priced_requests(catalog, model))


def range_text(low_usd: Decimal, high_usd: Decimal | None) -> str:
    """Return an amount, or a range of amounts, as text."""
    if high_usd is None:
        return f"from ${usd(low_usd)}" if low_usd else "unknown"
    return f"${usd(low_usd)}" if low_usd == high_usd else f"${usd(low_usd)}-{usd(high_usd)}"


@dataclass(frozen=True)
class _Cost:
    """The cost of one image, the fee per request, and their basis."""

    low_usd: Decimal
    high_usd: Decimal | None
    basis: str
    fee_usd: Decimal = Decimal(0)

    def plus(self, added_usd: Decimal) -> "_Cost":
        """Return the cost with what parameters add to it."""
        high_usd = None if self.high_usd is None else self.high_usd + added_usd
        return replace(self, low_usd=self.low_usd + added_usd, high_usd=high_usd)


def _priced_requests(catalog: Catalog, model: Model) -> Sequence[ImageRequest]:
    """Return one request for each of the model's prices."""
    # With many sizes and qualities, most have the same price. One request stands for all combinations that are not
    # priced by themselves: one for the described ones, one for the rest.
    default = (catalog.size_for(model, None), catalog.quality_for(model, None))
    with_own_price = {default, *((price.size, price.quality) for price in model.prices)}
    requests: dict[object, ImageRequest] = {}
    for size, quality in product(model.sizes or [AUTO], model.qualities or [None]):
        has_own_price = (size, quality) in with_own_price
        price_group = (size, quality) if has_own_price else _is_described(catalog, model, size, quality)
        if price_group not in requests:
            requests[price_group] = ImageRequest("", model.id, size, quality, n=1)
    return list(requests.values())


def _published_cost(catalog: Catalog, model: Model, request: ImageRequest) -> "_Cost | None":
    """Return the published price, which is rounded, or `None`.

    Returns `None` if there is no such price, or if the gateway lists the price that it will really charge.
    """
    listed = model.list_price_usd
    # a list with a fee has the gateway's own final prices, margin included
    with_fee = None if listed is None or listed.fee_usd is None else listed
    if with_fee and _is_listed_size_and_quality(catalog, model, request):
        return None
    size_and_quality = (request.size, request.quality)
    usd = next((price.usd for price in model.prices if (price.size, price.quality) == size_and_quality), None)
    fee_usd = _fee_usd(catalog, with_fee) if with_fee else Decimal(0)
    basis = _FROM_OPERATORS_FILE if catalog.spec.has_own_models else _PUBLISHED
    return None if usd is None else _Cost(usd, usd, basis, fee_usd)


def _listed_cost(catalog: Catalog, model: Model, request: ImageRequest) -> _Cost:
    """Return the cost derived from the list price, margin included."""
    listed, spec = model.list_price_usd, catalog.spec
    if listed is None:
        return _Cost(Decimal(0), None, "Its price is not known before it is charged.")
    low_usd, high_usd = listed.with_margin(spec.margin)
    margin = f" plus the {(spec.margin * 100).normalize():f} % margin" if listed.fee_usd is None else ""
    list_price = f"{_list_price_label(catalog, model)} of ${usd(listed.low)}{margin}"
    is_ranged = high_usd is not None and _is_described(catalog, model, request.size, request.quality)
    if _is_listed_size_and_quality(catalog, model, request) and (not is_ranged or listed.fee_usd is not None):
        fee_usd = _fee_usd(catalog, listed)
        fee = f" and a fee of at most ${usd(fee_usd)}" if fee_usd else ""
        return _Cost(low_usd, low_usd, f"The {list_price}{fee}.", fee_usd)
    if is_ranged:
        label = _label(request.model, request.quality, request.size)
        prices = f"list price of {range_text(listed.low, listed.high)}{margin}"
        return _Cost(low_usd, high_usd, f"No published price for {label}: {prices}.")
    if request.quality and catalog.takes_any_quality(model):
        return _Cost(Decimal(0), None, f"The {list_price} may be for another quality than {request.quality}.")
    return _Cost(low_usd, None, f"At least the {list_price}: other sizes and qualities may cost more.")


def _fee_usd(catalog: Catalog, listed: PriceRange) -> Decimal:
    """Return the fee of a request, charged once besides its images."""
    if not catalog.has_fee or not listed.low:  # free models cost no fee
        return Decimal(0)
    return catalog.spec.fee_usd if listed.fee_usd is None else listed.fee_usd


def _is_described(catalog: Catalog, model: Model, size: str, quality: str | None) -> bool:
    """Return whether the API's description has this size and quality.

    If so, its highest list price covers them.
    """
    described = (catalog.contract or catalog).models.get(model.id)
    if described is None:
        return False
    return size in (described.sizes or [size]) and quality in (described.qualities or [None])


def _list_price_label(catalog: Catalog, model: Model) -> str:
    if catalog.listing is None or catalog.source_of(model.id) == "contract":
        return "list price"
    return f"list price at {catalog.listing.gateway} ({catalog.listing.day})"


def _is_listed_size_and_quality(catalog: Catalog, model: Model, request: ImageRequest) -> bool:
    """Return whether the list price is for the request's size and quality."""
    sizes = (catalog.size_for(model, None), *(() if model.sizes else (catalog.default_size,)))
    return request.size in sizes and request.quality == catalog.quality_for(model, None)


def _label(model: str, quality: str | None, size: str) -> str:
    return " ".join(part for part in (model, quality, size) if part)
