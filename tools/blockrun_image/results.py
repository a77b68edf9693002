"""The results of the three tools, complete both as structured content and as text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import EnrichedPrompt, example_of
from blockrun_image.images import Image, ImageRequest
from blockrun_image.model import Model, Recommendation
from blockrun_image.pricing import Estimate, cheapest_offer, price_range, range_text
from blockrun_image.schemas import MAX_CHOICES
from blockrun_image.text import usd


class Result(Protocol):
    """A tool's result in two forms; hosts pass either to their models."""

    def to_dict(self) -> dict[str, object]:
        """Return the result as structured content."""
        ...

    def to_text(self) -> str:
        """Return the result as text."""
        ...


@dataclass(frozen=True)
class GeneratedImages:
    """Generated pictures and their cost.

    `charged_usd` is `None` if the gateway did not report it. On the sandbox, `charged_usd` is only simulated.
    `is_collected` is true if an earlier call paid for the pictures.
    """

    request: ImageRequest
    prompt: EnrichedPrompt
    images: Sequence[Image]
    estimate: Estimate
    charged_usd: Decimal | None
    gateway: str
    warnings: Sequence[str] = ()
    is_sandbox: bool = False
    is_collected: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return the result as structured content; amounts are decimal strings."""
        return {"status": "complete", "images": [_image(image) for image in self.images], **self._about(self._cost())}

    def to_text(self) -> str:
        """Return the result as text: charge in the first line, URLs in the last ones.

        Some hosts show only the first line, others only the last three.
        """
        return "\n".join([self._first_line(), *self._revisions(), *self._details(), *self._addresses()])

    def _about(self, cost: Mapping[str, object]) -> dict[str, object]:
        quality = {} if self.request.quality is None else {"quality": self.request.quality}
        warnings = self._all_warnings()
        return {
            "model": self.request.model,
            "size": self.request.size,
            **quality,
            **self.prompt.to_short_dict(),
            "cost": cost,
            "gateway": self.gateway,
            **({"warnings": warnings} if warnings else {}),
        }

    def _details(self) -> list[str]:
        return [*self.prompt.to_lines(), *(f"Warning: {warning}" for warning in self._all_warnings())]

    def _all_warnings(self) -> list[str]:
        return [*self.prompt.notes, *self.warnings]

    def _first_line(self) -> str:
        pictures = "1 image" if len(self.images) == 1 else f"{len(self.images)} images"
        made = f"{pictures} by {self.estimate.label()}"
        charged = None if self.charged_usd is None else f"${usd(self.charged_usd)}"
        if self.is_sandbox:  # before all others: a simulated charge must not look real
            return f"{made}. Sandbox: nothing was charged (a real call: {charged or self.estimate.price_text()})."
        if self.is_collected:
            return f"{made}, paid by an earlier call{f' ({charged})' if charged else ''}; nothing more was charged."
        if charged is None:
            return f"{made}. The gateway did not report the charge (estimated {self.estimate.price_text()})."
        return f"{made}, charged {charged}."

    def _revisions(self) -> list[str]:
        only = len(self.images) == 1
        return [
            f"{'Revised prompt' if only else f'Revised prompt of image {number}'}: {image.revised_prompt}"
            for number, image in enumerate(self.images, start=1)
            if image.revised_prompt
        ]

    def _addresses(self) -> list[str]:
        return [line for image in self.images for line in (image.url or "", *([str(image.path)] if image.path else []))]

    def _cost(self) -> dict[str, object]:
        """Return the charge and the estimate.

        On the sandbox, the charge is zero, and the gateway's charge is only simulated.
        """
        charged = {} if self.charged_usd is None else {"charged_usd": usd(self.charged_usd)}
        if self.is_sandbox:
            charged = {"charged_usd": usd(Decimal(0)), **({"simulated_usd": charged["charged_usd"]} if charged else {})}
        return {**charged, **self.estimate.cost()}


@dataclass(frozen=True)
class PendingImages(GeneratedImages):
    """Pictures still in progress, with `held_usd` set aside.

    An identical call collects them.
    """

    held_usd: Decimal = Decimal(0)

    def to_dict(self) -> dict[str, object]:
        """Return the result as structured content; amounts are decimal strings."""
        cost = {"held_usd": usd(self.held_usd), **self.estimate.cost()}
        return {"status": "pending", "next_step": _COLLECT, **self._about(cost)}

    def to_text(self) -> str:
        """Return the result as text, with the next step in the first and last line.

        Some hosts cut the text between.
        """
        set_aside = "sandbox: no money" if self.is_sandbox else f"${usd(self.held_usd)} is set aside"
        first = f"Pending: {self.estimate.label()} is still being made ({set_aside})."
        return "\n".join([first, *self._details(), _COLLECT])


_COLLECT = "Repeat the call unchanged within a day to collect it without paying again."


@dataclass(frozen=True)
class CostComparison:
    """Estimates of one or more models, cheapest first, and their prompts, if any.

    `more` is the number of estimates left out, none of them known to be cheaper.
    """

    estimates: Sequence[Estimate]
    prompts: Mapping[str, EnrichedPrompt] = field(default_factory=dict[str, EnrichedPrompt])
    warnings: Sequence[str] = ()
    more: int = 0

    def to_dict(self) -> dict[str, object]:
        """Return the result as structured content; amounts are decimal strings.

        The prompt is the cheapest model's; models that would get another one are listed separately.
        """
        answer: dict[str, object] = {"estimates": [each.to_dict() for each in self.estimates]}
        if self.more:
            answer["more"] = self.more
        warnings = list(self.warnings)
        if self.prompts:
            first, *others = self._groups()
            example = example_of(first.prompt)
            answer |= first.prompt.to_dict() | ({"example": example} if example else {})
            answer |= {"other_prompts": [each.to_dict() for each in others]} if others else {}
            warnings = [*first.prompt.notes, *warnings]
        return answer | ({"warnings": warnings} if warnings else {})

    def to_text(self) -> str:
        """Return the result as text: estimates, their bases, and the prompts."""
        bases = dict.fromkeys(each.basis for each in self.estimates)
        warnings = [f"Warning: {warning}" for warning in self.warnings]
        more = [f"{self.more} more models, none of them known to be cheaper."] if self.more else []
        return "\n".join([*(self._line(each) for each in self.estimates), *more, *bases, *self._dry_run(), *warnings])

    def _dry_run(self) -> Sequence[str]:
        """Return the lines about each prompt, without repetitions."""
        groups = self._groups()
        examples = [f"Example: {example}" for group in groups[:1] if (example := example_of(group.prompt))]
        return list(dict.fromkeys([*(line for group in groups for line in group.to_lines()), *examples]))

    def _groups(self) -> Sequence["_Group"]:
        """Return the different prompts, each with its models."""
        models: dict[str, list[str]] = {}
        for estimate in self.estimates:
            if estimate.model in self.prompts:
                models.setdefault(self.prompts[estimate.model].prompt, []).append(estimate.model)
        return [_Group(ids, self.prompts[ids[0]]) for ids in models.values()]

    def _line(self, each: Estimate) -> str:
        return f"{each.label()}, n={each.n}: {each.price_text()}"


@dataclass(frozen=True)
class _Group:
    """Models with the same prompt."""

    models: Sequence[str]
    prompt: EnrichedPrompt

    def to_dict(self) -> dict[str, object]:
        return {"models": list(self.models), "sent": self.prompt.shown()}

    def to_lines(self) -> Sequence[str]:
        warnings = [f"Warning: {warning}" for warning in self.prompt.notes]
        return [f"Prompt for {', '.join(self.models)}: {self.prompt.shown()}", *self.prompt.to_full_lines(), *warnings]


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


def _use_case(recommended: Recommendation) -> str:
    return f"{recommended.use_case} ({recommended.quality})" if recommended.quality else recommended.use_case


def _image(image: Image) -> dict[str, object]:
    path = {} if image.path is None else {"path": str(image.path)}
    revised = {} if image.revised_prompt is None else {"revised_prompt": image.revised_prompt}
    # URLs are never shortened: each is the only way to a paid picture.
    return {"url": image.url, **path, **revised}
