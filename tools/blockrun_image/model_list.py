"""The result of `list_models`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blockrun_image.catalog import Catalog
from blockrun_image.model import Model, Recommendation
from blockrun_image.pricing import Estimate, cheapest_offer, price_range, range_text
from blockrun_image.schemas import MAX_CHOICES
from blockrun_image.text import usd


@dataclass(frozen=True)
class ModelList:
    """Models found in the catalogue; the first ones are shown."""

    catalog: Catalog
    found: Sequence[Model]

    @property
    def models(self) -> Sequence[Model]:
        """The shown models."""
        return self.found[:MAX_CHOICES]

    @property
    def more(self) -> int:
        """The number of models found but not shown."""
        return len(self.found) - len(self.models)

    def to_dict(self) -> dict[str, object]:
        """Return the result as structured content.

        Amounts are decimal strings, for one image.
        """
        offer, listing = self._cheapest(), self.catalog.listing
        recommendations = _recommendations(_available(self.catalog, self.models))
        return {
            "models": [self._model(model) for model in self.models],
            **({"more": self.more} if self.more else {}),
            **({"listed": {"gateway": listing.gateway, "seen": listing.seen}} if listing else {}),
            **({"recommendations": recommendations} if recommendations else {}),
            **({"cheapest": offer.to_dict()} if offer else {}),
        }

    def to_text(self) -> str:
        """Return the result as text: a table of the models, and the cheapest one."""
        if not self.models:
            return "No model matches. Try a higher max_price_usd, or without use_case or search."
        offer = self._cheapest()
        cheapest = [f"Cheapest: {offer.label()} at {offer.price_text()} an image."] if offer else []
        more = [f"{self.more} more: narrow the list with search, use_case or max_price_usd."] if self.more else []
        return f"{self.to_table()}\n\n" + "\n".join([*more, *self._list_note(), *cheapest])

    def to_table(self) -> str:
        """Return the models as a Markdown table.

        Prices are for one image, margin included.
        """
        heads = [
            "Model",
            "Provider",
            "Sizes",
            "Qualities",
            f"Price ({self.catalog.spec.currency})",
            "Requests/min",
            "Best for",
            *(["Starts from"] if self.catalog.editors else []),
            *(["Source"] if self.catalog.listing else []),
        ]
        rows = [self._row(model) for model in self.models]
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        return "\n".join(_line(cells, widths) for cells in (heads, ["-" * width for width in widths], *rows))

    def _cheapest(self) -> Estimate | None:
        offers = [cheapest_offer(self.catalog, model) for model in _available(self.catalog, self.found)]
        # A price without a high end may turn out to be the highest.
        return min((offer for offer in offers if offer.high_usd is not None), default=None)

    def _list_note(self) -> Sequence[str]:
        """Return a sentence with the time of the gateway's list and the gone models."""
        listing = self.catalog.listing
        if listing is None:
            return []
        unavailable = [model.id for model in self.models if model.id in self.catalog.unavailable]
        cannot = f" No longer available: {', '.join(unavailable)}." if unavailable else ""
        return [f"Models of {listing.gateway} as listed at {listing.seen}.{cannot}"]

    def _model(self, model: Model) -> dict[str, object]:
        prices = price_range(self.catalog, model)
        about = {
            "id": model.id,
            "provider": model.provider,
            "sizes": list(model.sizes),
            "qualities": list(model.qualities),
            "low_usd": None if prices is None else usd(prices.low),
            "high_usd": None if prices is None or prices.high is None else usd(prices.high),
            "requests_per_minute": model.requests_per_minute,
            "pictures_to_start_from": model.edits.max_pictures if model.edits else None,
            "masks": (model.edits is not None and model.edits.masks) or None,
            "parameters": list(model.parameters),
            "source": self.catalog.source_of(model.id) if self.catalog.listing else None,
            "available": False if model.id in self.catalog.unavailable else None,
        }
        return {name: value for name, value in about.items() if value not in (None, [])}

    def _row(self, model: Model) -> list[str]:
        prices = price_range(self.catalog, model)
        source, is_available = self.catalog.source_of(model.id), model.id not in self.catalog.unavailable
        return [
            model.id,
            model.provider,
            ", ".join(model.sizes) or "not listed",
            ", ".join(model.qualities) or "-",
            "unknown" if prices is None else range_text(prices.low, prices.high),
            str(model.requests_per_minute or "-"),
            ", ".join(_use_case(each) for each in model.recommended_for) or "-",
            *([_starts_from(model)] if self.catalog.editors else []),
            *([source if is_available else f"{source}, unavailable"] if self.catalog.listing else []),
        ]


def _available(catalog: Catalog, models: Sequence[Model]) -> Sequence[Model]:
    return [model for model in models if model.id not in catalog.unavailable]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    # A bar would end the cell of a Markdown table.
    padded = [cell.replace("|", "/").ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return f"| {' | '.join(padded)} |"


def _recommendations(models: Sequence[Model]) -> Sequence[Mapping[str, str]]:
    return [
        {"use_case": each.use_case, "model": model.id, **({"quality": each.quality} if each.quality else {})}
        for model in models
        for each in model.recommended_for
    ]


def _starts_from(model: Model) -> str:
    if model.edits is None:
        return "-"
    pictures = "1 picture" if model.edits.max_pictures == 1 else f"{model.edits.max_pictures} pictures"
    return f"{pictures}, mask" if model.edits.masks else pictures


def _use_case(recommended: Recommendation) -> str:
    return f"{recommended.use_case} ({recommended.quality})" if recommended.quality else recommended.use_case
