"""What a request costs, in exact decimals, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from blockrun_image.catalog import Catalog, Model, PriceRange, check_prompt
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import ImageArguments, ImageRequest
from blockrun_image.text import choices, quoted

_CENT = Decimal("0.01")
_PUBLISHED = "The published price, rounded."


@dataclass(frozen=True)
class Estimate:
    """The price of a request in US dollars for all its images; `low_usd` and `high_usd` differ only if not `exact`."""

    model: str
    size: str
    quality: str | None
    n: int
    low_usd: Decimal
    high_usd: Decimal
    exact: bool
    basis: str
    currency: str

    def to_dict(self) -> dict[str, object]:
        """Return the estimate as structured content; amounts are decimal strings."""
        request: dict[str, object] = {"model": self.model, "size": self.size}
        if self.quality:
            request["quality"] = self.quality
        return request | {"n": self.n} | self.cost()

    def cost(self) -> dict[str, object]:
        """Return only the money of it; limits and comparisons use `estimated_usd`, the high end."""
        ends = {} if self.exact else {"low_usd": usd(self.low_usd), "high_usd": usd(self.high_usd)}
        return {
            "estimated_usd": usd(self.high_usd),
            **ends,
            "currency": self.currency,
            "exact": self.exact,
            "basis": self.basis,
        }

    def what(self) -> str:
        """Return what is priced in words, such as `dall-e-3 hd 1792x1024`."""
        return _named(self.model, self.quality, self.size)

    def amount(self) -> str:
        """Return the money in words, such as `$0.042` or `$0.042-0.126`."""
        return spread(self.low_usd, self.high_usd)


def estimate(catalog: Catalog, request: ImageRequest) -> Estimate:
    """Return what a resolved request costs: its published price, or the model's range where none is published."""
    model = catalog.find(request.model)
    published = _published(model, request)
    listed = PriceRange(low=published, high=published) if published is not None else _with_margin(catalog, model)
    return Estimate(
        model=model.id,
        size=request.size,
        quality=request.quality,
        n=request.n,
        low_usd=listed.low * request.n,
        high_usd=listed.high * request.n,
        exact=published is not None,
        basis=_PUBLISHED if published is not None else _unpublished(catalog, request),
        currency=catalog.spec.currency,
    )


def compare(catalog: Catalog, asked: ImageArguments) -> Sequence[Estimate]:
    """Return the estimates of all models that can do what was asked for, cheapest first; `asked.model` is not read.

    An empty prompt is not judged. Raises `InvalidRequestError` when no model can.
    """
    estimates: list[Estimate] = []
    refusals: dict[int, InvalidRequestError] = {}
    for model in catalog:
        try:
            request = catalog.fill_in(model, asked)
        except InvalidRequestError:
            continue
        try:
            if asked.prompt:
                check_prompt(model, asked.prompt)
            estimates.append(estimate(catalog, request))
        except InvalidRequestError as refusal:
            refusals[model.max_prompt_characters] = refusal
    if not estimates:
        if refusals:
            raise refusals[max(refusals)]
        wanted = {"size": asked.size, "quality": asked.quality, "n": asked.n}
        named = ", ".join(f"{name} {quoted(value)}" for name, value in wanted.items() if value not in (None, ""))
        raise InvalidRequestError(
            f"No model can do {named}.",
            hint=f"Sizes: {choices(catalog.sizes, str(asked.size))}; n up to {catalog.max_images}.",
        )
    return sorted(estimates, key=lambda each: (each.high_usd, each.low_usd))


def price_range(catalog: Catalog, model: Model) -> PriceRange:
    """Return the lowest and the highest price of one image over everything that the model offers, margin included."""
    offers = [estimate(catalog, offer) for offer in _offers(model)]
    return PriceRange(low=min(each.low_usd for each in offers), high=max(each.high_usd for each in offers))


def cheapest_offer(catalog: Catalog, model: Model) -> Estimate:
    """Return what one image costs with the model's cheapest size and quality, by the high end."""
    return min((estimate(catalog, offer) for offer in _offers(model)), key=lambda each: (each.high_usd, each.low_usd))


def usd(amount: Decimal) -> str:
    """Return an exact amount of dollars as a plain decimal string with at least two decimals."""
    shortest = amount.normalize()
    exponent = shortest.as_tuple().exponent
    return f"{shortest if isinstance(exponent, int) and exponent <= -2 else shortest.quantize(_CENT):f}"


def spread(low_usd: Decimal, high_usd: Decimal) -> str:
    """Return an amount or a range of amounts in words."""
    return f"${usd(low_usd)}" if low_usd == high_usd else f"${usd(low_usd)}-{usd(high_usd)}"


def _offers(model: Model) -> Sequence[ImageRequest]:
    return [
        ImageRequest("", model.id, size, quality, 1) for size in model.sizes for quality in model.qualities or [None]
    ]


def _published(model: Model, request: ImageRequest) -> Decimal | None:
    asked = (request.size, request.quality)
    return next((price.usd for price in model.prices if (price.size, price.quality) == asked), None)


def _with_margin(catalog: Catalog, model: Model) -> PriceRange:
    factor = 1 + catalog.spec.margin
    return PriceRange(low=model.list_price_usd.low * factor, high=model.list_price_usd.high * factor)


def _unpublished(catalog: Catalog, request: ImageRequest) -> str:
    what = _named(request.model, request.quality, request.size)
    model = catalog.find(request.model)
    listed = spread(model.list_price_usd.low, model.list_price_usd.high)
    percent = f"{(catalog.spec.margin * 100).normalize():f}"
    return f"No published price for {what}: list price of {listed} plus the {percent} % margin."


def _named(model: str, quality: str | None, size: str) -> str:
    return " ".join(part for part in (model, quality, size) if part)
