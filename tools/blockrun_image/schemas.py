"""Each tool's texts and JSON Schemas, derived from the catalogue.

Input schemas keep to the subset that every model API and host accepts: one object of plain properties, each with one
`type` and a `description`, and `enum`, `minimum` or `maximum` where they apply. Every optional argument has a legal
value that means its default, for hosts that send all of them.

Output schemas require nothing at their root, because widely used clients hold an error's structured content against
them as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import MODES, PURPOSES
from blockrun_image.images import AUTO, Defaults
from blockrun_image.model import ANY, slug

Schema = dict[str, Any]

MOST_CHOICES = 40
"""How many models an agent is told at once, and is given to choose from before it may write any."""

_MOST_NAMED = 5  # for hosts that check an enum themselves, and do not say what it has
_MOST_SIZES = _MOST_QUALITIES = 8  # to choose from: they stand in two tools, and every agent pays for them


@dataclass(frozen=True)
class ToolSchema:
    """A tool as it is advertised; `spends` tells whether a call costs money, `asks` whether it may ask the gateway."""

    name: str
    title: str
    description: str
    catalog: Catalog
    properties: Mapping[str, Schema]
    required: Sequence[str]
    output: Schema
    spends: bool = False
    asks: bool = False

    @property
    def input(self) -> Schema:
        """The JSON Schema of the arguments."""
        return _object(self.properties, required=self.required)


def tool_schemas(catalog: Catalog, defaults: Defaults | None = None, *, live: bool = False) -> Sequence[ToolSchema]:
    """Return the three tools, as the catalogue's models and limits make them; `live` offers live prices."""
    arguments = _Arguments(catalog, defaults or Defaults())
    return [_generate_image(arguments), _list_models(catalog), _estimate_cost(arguments, live=live)]


def _generate_image(arguments: "_Arguments") -> ToolSchema:
    catalog, default_model = arguments.catalog, arguments.defaults.model
    model = arguments.model()
    if default_model:
        model["description"] += f". Default {default_model}."
    return ToolSchema(
        name="generate_image",
        title="Generate image",
        description=(
            "Make images from a prompt. Costs real money; estimate_cost is free. Returns image URLs, revised prompts"
            " and the cost. Show the URLs to the user. Never repeat a call that may have been charged."
        ),
        catalog=catalog,
        properties={
            "prompt": {"type": "string", "description": catalog.spec.request.prompt.description},
            "model": model,
            "size": arguments.size(),
            "quality": arguments.quality(),
            "n": arguments.n(),
            "enrich": arguments.enrich(),
            "purpose": arguments.purpose(),
            "art_style": _text(f"Style to add, such as watercolor. {_NOTHING}"),
            "composition": _text(f"Framing to add, such as close-up. {_NOTHING}"),
            "lighting": _text(f"Light to add, such as golden hour. {_NOTHING}"),
        },
        required=["prompt"] if default_model else ["prompt", "model"],
        output=_generated_images(catalog),
        spends=True,
    )


def _list_models(catalog: Catalog) -> ToolSchema:
    return ToolSchema(
        name="list_models",
        title="List models",
        description="List image models: sizes, prices, limits, recommended uses. Free.",
        catalog=catalog,
        properties={
            **_search(catalog),
            "use_case": {
                "type": "string",
                "description": "Recommended use. Default any.",
                "enum": [ANY, *(slug(use_case) for use_case in catalog.use_cases)],
            },
            "max_price_usd": {
                "type": "number",
                "description": "Highest price of one image. Default 0: no limit.",
                "minimum": 0,
            },
        },
        required=[],
        output=_model_list(),
    )


def _search(catalog: Catalog) -> dict[str, Schema]:
    """Offer a way to the models of a catalogue that is too long to be told at once."""
    if len(catalog.models) + len(catalog.gone) <= MOST_CHOICES:
        return {}
    return {"search": _text('Part of a model\'s id or provider. Default "": all.')}


def _estimate_cost(arguments: "_Arguments", *, live: bool) -> ToolSchema:
    asking: dict[str, Schema] = {"live": {"type": "boolean", "description": _LIVE}} if live else {}
    priced = _object(_REQUEST | _COST, required=["model", "size", "n", *_COST_ALWAYS])
    others = _object({"models": _array(_TEXT), "sent": _TEXT}, required=["models", "sent"])
    return ToolSchema(
        name="estimate_cost",
        title="Estimate cost",
        description="Price a generate_image call, or compare all models; shows the prompt it would send. Free.",
        catalog=arguments.catalog,
        properties={
            "model": arguments.model(ANY, note=". Default any: compare all."),
            "size": arguments.size(),
            "quality": arguments.quality(),
            "n": arguments.n(),
            "prompt": _text('Prompt of the dry run. Default "": prices only.'),
            "enrich": arguments.enrich(),
            "purpose": arguments.purpose(),
            **asking,
        },
        required=[],
        asks=live,
        output=_output(
            {
                "estimates": _array(priced),
                "more": {"type": "integer"},
                **_ENRICHMENT,
                "example": _TEXT,
                "other_prompts": _array(others),
                "warnings": _array(_TEXT),
            }
        ),
    )


_NOTHING = 'Default "" (nothing added).'
_LIVE = "Ask the gateway for its exact price, unpaid. Default false."


@dataclass(frozen=True)
class _Arguments:
    """The arguments that two tools share."""

    catalog: Catalog
    defaults: Defaults

    def model(self, *before: str, note: str = "") -> Schema:
        description = self.catalog.spec.request.model.description
        if len(self.catalog.models) > MOST_CHOICES:
            return _text(f"{description}; see list_models{note}")
        ids = list(self.catalog.models)
        named = f": {', '.join(ids)}" if len(ids) <= _MOST_NAMED else f", such as {ids[0]}, {ids[1]}"
        return {"type": "string", "description": f"{description}{named}{note}", "enum": [*before, *ids]}

    def size(self) -> Schema:
        description, sizes = self.catalog.spec.request.size.description, self.catalog.sizes
        note = f"auto: {self.catalog.default_size} or model's first"
        shapes = [f"{size} {shape}" for shape, size in zip(("wide", "tall"), _shapes(sizes), strict=True) if size]
        description = ", ".join([description, *shapes])
        if len(sizes) > _MOST_SIZES or not all(model.sizes for model in self.catalog):
            return _text(f"{description}, WIDTHxHEIGHT; default {note}.")
        return {"type": "string", "description": f"{description}; default {note}.", "enum": [AUTO, *sizes]}

    def quality(self) -> Schema:
        note, qualities = f"Default {self.catalog.standard}", self.catalog.qualities
        choosy = [model.id for model in self.catalog if model.qualities]
        only = f"; others only for {', '.join(choosy)}" if 0 < len(choosy) < 5 else ""
        if any(map(self.catalog.takes_any_quality, self.catalog)):
            return _text(f"{', '.join(qualities[1:])}, or as the model has it. {note}.")
        if len(qualities) > _MOST_QUALITIES:
            return _text(f"{note}{only}.")
        return {"type": "string", "description": f"{note}{only}.", "enum": list(qualities)}

    def n(self) -> Schema:
        limits, most = self.catalog.spec.request.n, self.catalog.max_images
        return {
            "type": "integer",
            "description": f"{limits.description}, {limits.minimum}-{most}. Default {limits.default}.",
            "minimum": limits.minimum,
            "maximum": most,
        }

    def enrich(self) -> Schema:
        description = f"Add missing style, composition, light? suggest: only say. Default {self.defaults.enrich}."
        return {"type": "string", "description": description, "enum": list(MODES)}

    def purpose(self) -> Schema:
        return {"type": "string", "description": "Kind of picture. Default auto.", "enum": list(PURPOSES)}


def _shapes(sizes: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the widest and the tallest size, if they are no squares."""
    ratios = {size: int(size.partition("x")[0]) / int(size.partition("x")[2]) for size in sizes}
    wide, tall = (max(ratios, key=ratios.__getitem__, default=None), min(ratios, key=ratios.__getitem__, default=None))
    return (wide if wide and ratios[wide] > 1 else None), (tall if tall and ratios[tall] < 1 else None)


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _object(properties: Mapping[str, Schema], required: Sequence[str] = ()) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string"}
_USD: Schema = {"type": "string", "description": "Decimal amount of US dollars"}
_USD_IF_KNOWN: Schema = {"type": ["string", "null"], "description": "Decimal amount of US dollars; null if unknown"}
_REQUEST: dict[str, Schema] = {"model": _TEXT, "size": _TEXT, "quality": _TEXT, "n": {"type": "integer"}}
_COST: dict[str, Schema] = {
    "estimated_usd": _USD_IF_KNOWN,
    "low_usd": _USD,
    "high_usd": _USD,
    "currency": _TEXT,
    "exact": {"type": "boolean"},
    "basis": _TEXT,
}
_COST_ALWAYS = ("estimated_usd", "currency", "exact", "basis")
_ENRICHMENT: dict[str, Schema] = {
    "prompt": _object({"sent": _TEXT, "original": _TEXT, "changed": {"type": "boolean"}, "reason": _TEXT}),
    "applied": _array(_object(dict.fromkeys(("facet", "text", "source", "rule", "why"), _TEXT))),
    "missing": _array(_TEXT),
    "advice": _array(_object(dict.fromkeys(("facet", "say", "example"), _TEXT))),
}
_ERROR: Schema = _object(
    {
        "type": _TEXT,
        "message": _TEXT,
        "charged": {"type": "string", "enum": ["no", "yes", "unknown"]},
        "retryable": {"type": "boolean"},
        "hint": _TEXT,
        "valid_values": _array(_TEXT),
        "status": {"type": "integer"},
        "code": _TEXT,
        "request_id": _TEXT,
        "retry_after_seconds": {"type": "number"},
    },
    required=["type", "message", "charged", "retryable"],
)


def _output(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": {**properties, "error": _ERROR}}


def _generated_images(catalog: Catalog) -> Schema:
    image = catalog.spec.image
    charged: Schema = {"type": ["string", "null"], "description": "What was charged; null where it was not reported"}
    return _output(
        {
            "status": {"type": "string", "enum": ["complete", "pending"]},
            "next_step": _TEXT,
            "images": _array(
                _object(
                    {
                        "url": {"type": "string", "description": image.url.description},
                        "path": _TEXT,
                        "revised_prompt": {"type": "string", "description": image.revised_prompt.description},
                    },
                    required=["url"],
                )
            ),
            "model": _TEXT,
            "size": _TEXT,
            "quality": _TEXT,
            **_ENRICHMENT,
            "cost": _object(
                {**_COST, "charged_usd": charged, "held_usd": _USD}, required=[*_COST_ALWAYS, "charged_usd"]
            ),
            "gateway": _TEXT,
            "warnings": _array(_TEXT),
        }
    )


def _model_list() -> Schema:
    model = _object(
        {
            "id": _TEXT,
            "provider": _TEXT,
            "sizes": _array(_TEXT),
            "qualities": _array(_TEXT),
            "low_usd": _USD_IF_KNOWN,
            "high_usd": _USD_IF_KNOWN,
            "requests_per_minute": {"type": "integer"},
            "best_for": _array(_TEXT),
            "source": {"type": "string", "enum": ["contract", "live", "both"]},
            "seen": _TEXT,
            "available": {"type": "boolean"},
        },
        required=["id", "provider", "sizes", "qualities", "low_usd", "high_usd", "best_for", "source"],
    )
    return _output(
        {
            "models": _array(model),
            "recommendations": _array(_object({"use_case": _TEXT, "model": _TEXT})),
            "cheapest": _object(_REQUEST | _COST),
            "currency": _TEXT,
            "more": {"type": "integer"},
        }
    )
