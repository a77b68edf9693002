"""The descriptions and JSON Schemas of the tools, derived from the catalogue.

Input schemas keep to the subset that every model API and host accepts: one object of plain properties, each with one
`type` and a `description`, and `enum`, `minimum` or `maximum` if they apply, or `items` of texts. Every optional
argument has a valid value that means its default, for hosts that send all arguments.

Output schemas reach models too. They name the fields to read, each with one `type`, and require none: unknown or empty
fields are left out, and widely used clients also check an error's structured content against them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import MODES, PURPOSES
from blockrun_image.images import AUTO, Defaults
from blockrun_image.model import ANY, Model, slug
from blockrun_image.parameters import parameters_of, schema_of
from blockrun_image.shapes import SHAPES

Schema = dict[str, Any]

MAX_CHOICES = 40
"""The most models that a list or an enum has; a longer catalogue takes the model as free text."""

_MAX_NAMED = 5  # for hosts that check an enum themselves, and do not show its values
_MAX_SIZES = _MAX_QUALITIES = 8  # in an enum: it appears in two tools, and every agent pays for its tokens


@dataclass(frozen=True)
class ToolSchema:
    """A tool as advertised.

    `spends` says whether a call costs money, `asks` whether it may use the gateway. `parameters` are those of its
    properties that only some models take.
    """

    name: str
    title: str
    description: str
    catalog: Catalog
    properties: Mapping[str, Schema]
    required: Sequence[str]
    output: Schema
    spends: bool = False
    asks: bool = False
    parameters: Sequence[str] = ()

    @property
    def input(self) -> Schema:
        """The JSON Schema of the arguments."""
        return _object(self.properties) | {"required": list(self.required)}


def tool_schemas(catalog: Catalog, defaults: Defaults | None = None, *, live: bool = False) -> Sequence[ToolSchema]:
    """Return the three tools for a catalogue; `live` offers live prices."""
    arguments = _Arguments(catalog, defaults or Defaults())
    return [_generate_image(arguments), _list_models(catalog), _estimate_cost(arguments, live=live)]


def _generate_image(arguments: "_Arguments") -> ToolSchema:
    catalog, default_model = arguments.catalog, arguments.defaults.model
    model = arguments.model()
    if default_model:
        model["description"] += f". Default {default_model}."
    return ToolSchema(
        name="generate_image",
        title="Generate image (costs money)",
        description=(
            "Make images from a prompt. Costs real money. If a call timed out or is pending, repeat it unchanged"
            " to collect it. Returns URLs, files, charge. Show each as Markdown, plain URL and file."
        ),
        catalog=catalog,
        properties={
            "prompt": {"type": "string", "description": catalog.spec.request.prompt.description},
            "model": model,
            "size": arguments.size(),
            "quality": arguments.quality(),
            "n": arguments.n(),
            **arguments.inputs(),
            **arguments.parameters(),
            "save_as": _text(f"Save as, such as assets/hero.webp. {_NOTHING}"),
            "enrich": arguments.enrich(),
            "purpose": arguments.purpose(),
            "art_style": _text(f"Style to add, such as watercolor. {_NOTHING}"),
            "composition": _text(f"Framing to add, such as close-up. {_NOTHING}"),
            "lighting": _text(f"Light to add, such as golden hour. {_NOTHING}"),
        },
        required=["prompt"] if default_model else ["prompt", "model"],
        output=_GENERATED_IMAGES,
        spends=True,
        parameters=list(arguments.parameters()),
    )


def _list_models(catalog: Catalog) -> ToolSchema:
    return ToolSchema(
        name="list_models",
        title="List image models (free)",
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
                "description": "Highest price per image. Default 0: no limit.",
                "minimum": 0,
            },
        },
        required=[],
        output=_MODEL_LIST,
    )


def _search(catalog: Catalog) -> dict[str, Schema]:
    """Return a search argument for a catalogue too long for one list."""
    if len(catalog.models) + len(catalog.unavailable) <= MAX_CHOICES:
        return {}
    return {"search": _text('Part of a model\'s id or provider. Default "": all.')}


def _estimate_cost(arguments: "_Arguments", *, live: bool) -> ToolSchema:
    asking: dict[str, Schema] = {"live": {"type": "boolean", "description": _LIVE}} if live else {}
    return ToolSchema(
        name="estimate_cost",
        title="Estimate image cost (free)",
        description="Price a generate_image call, or compare all models; shows the prompt it would send. Free.",
        catalog=arguments.catalog,
        properties={
            "model": arguments.model_to_compare(),
            "size": arguments.size() | {"description": f"Default {AUTO}."},
            "quality": arguments.quality() | {"description": f"Default {arguments.catalog.standard}."},
            "n": arguments.n(),
            **arguments.priced(),
            "prompt": _text('Prompt to try. Default "": prices only.'),
            "enrich": arguments.enrich() | {"description": f"Default {arguments.defaults.enrich}."},
            "purpose": arguments.purpose() | {"description": "Default auto."},
            **asking,
        },
        required=[],
        asks=live,
        parameters=[name for name in arguments.priced() if name != "images"],
        output=_COST_COMPARISON,
    )


_NOTHING = 'Default "".'
_LIVE = "Ask the gateway for its exact price, unpaid. Default false."


@dataclass(frozen=True)
class _Arguments:
    """The arguments shared by two tools."""

    catalog: Catalog
    defaults: Defaults

    def model(self, *before: str) -> Schema:
        description = self.catalog.spec.request.model.description
        if len(self.catalog.models) > MAX_CHOICES:
            return _text(f"{description}; see list_models")
        ids = list(self.catalog.models)
        ids_text = f": {', '.join(ids)}" if len(ids) <= _MAX_NAMED else f", such as {ids[0]}, {ids[1]}"
        return {"type": "string", "description": f"{description}{ids_text}", "enum": [*before, *ids]}

    def model_to_compare(self) -> Schema:
        model, default = self.model(ANY), f"Default {ANY}: compare all."
        return model | {"description": default if "enum" in model else f"An id of list_models. {default}"}

    def size(self) -> Schema:
        description, sizes = self.catalog.spec.request.size.description, self.catalog.sizes
        note = f"auto: {self.catalog.default_size} or model's first"
        # A model without sizes takes any, which an enum would forbid.
        if len(sizes) > _MAX_SIZES or not all(model.sizes for model in self.catalog):
            return _text(f"{description}, WIDTHxHEIGHT, {', '.join(SHAPES)} or a ratio; default {note}.")
        description = f"{description} or ratio (16:9); default {note}."
        return {"type": "string", "description": description, "enum": [AUTO, *SHAPES, *sizes]}

    def quality(self) -> Schema:
        note, qualities = f"Default {self.catalog.standard}", self.catalog.qualities
        # A long list of names would cost every agent tokens.
        choosy = [model.id for model in self.catalog if model.qualities]
        only = f"; others only for {', '.join(choosy)}" if 0 < len(choosy) < 5 else ""
        # An enum would forbid qualities that only the gateway knows.
        if any(map(self.catalog.takes_any_quality, self.catalog)):
            return _text(f"{', '.join(qualities[1:])}, or the model's own. {note}.")
        if len(qualities) > _MAX_QUALITIES:
            return _text(f"{note}{only}.")
        return {"type": "string", "description": f"{note}{only}.", "enum": list(qualities)}

    def n(self) -> Schema:
        limits, maximum = self.catalog.spec.request.n, self.catalog.max_images
        return {
            "type": "integer",
            "description": f"{limits.description}, {limits.minimum}-{maximum}. Default {limits.default}.",
            "minimum": limits.minimum,
            "maximum": maximum,
        }

    def inputs(self) -> dict[str, Schema]:
        """Return the arguments for pictures to start from, if a model takes any."""
        editors = self.catalog.editors
        if not editors:
            return {}
        sources = f"Pictures to start from: file, images://ID, last or URL. {self._only(editors)}Default []."
        masks = [model for model in editors if model.edits and model.edits.masks]
        area = _text(f"PNG whose white or transparent area changes. {self._only(masks)}{_NOTHING}")
        return {"images": _array(_TEXT) | {"description": sources}, **({"mask": area} if masks else {})}

    def parameters(self) -> dict[str, Schema]:
        """Return the arguments for what else some models take."""
        return {
            name: schema_of(definitions, self._only([self.catalog.models[id] for id in definitions]))
            for name, definitions in parameters_of([*self.catalog]).items()
        }

    def priced(self) -> dict[str, Schema]:
        """Return the arguments beside the usual ones that a price depends on."""
        images = _array(_TEXT) | {"description": "Pictures to start from. Default []."}
        models = [*self.catalog]
        dear = {name for model in models for name, parameter in model.parameters.items() if parameter.adds_usd}
        parameters = {name: schema for name, schema in self.parameters().items() if name in dear}
        return ({"images": images} if self.catalog.editors else {}) | parameters

    def _only(self, models: Sequence[Model]) -> str:
        """Return a sentence about which models take an argument, and a space, unless all do."""
        ids = [model.id for model in models]
        if len(ids) == len(self.catalog.models):
            return ""
        return f"Only {', '.join(ids)}. " if len(ids) <= _MAX_NAMED else "Only some models; see list_models. "

    def enrich(self) -> Schema:
        description = f"Add words that help the prompt? suggest: advise only. Default {self.defaults.enrich}."
        return {"type": "string", "description": description, "enum": list(MODES)}

    def purpose(self) -> Schema:
        return {"type": "string", "description": "Kind of picture. Default auto.", "enum": list(PURPOSES)}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(properties)}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_TEXTS = _array(_TEXT)


def _texts(*names: str) -> dict[str, Schema]:
    return dict.fromkeys(names, _TEXT)


_ESTIMATE: dict[str, Schema] = {**_texts("estimated_usd", "low_usd"), "exact": _FLAG, "basis": _TEXT}
_REQUEST: dict[str, Schema] = {**_texts("model", "size", "quality"), "n": _NUMBER}
_ANY: Schema = {"type": "object"}
_ENRICHMENT: dict[str, Schema] = {"applied": _array(_ANY), "missing": _TEXTS, "advice": _array(_ANY)}


def _output(properties: Mapping[str, Schema]) -> Schema:
    # Clients check an error's structured content against the tool's output schema too.
    error = {**_texts("type", "message", "charged", "hint"), "retryable": _FLAG}
    return _object({**properties, "error": _object(error)})


_GENERATED_IMAGES = _output(
    {
        **_texts("status", "next_step"),
        "images": _array(_object(_texts("url", "path", "revised_prompt"))),
        **_texts("model", "size", "quality"),
        "prompt": _object(_texts("sent", "reason")),
        **_ENRICHMENT,
        "cost": _object({**_texts("charged_usd", "simulated_usd", "held_usd"), **_ESTIMATE}),
        "gateway": _TEXT,
        "warnings": _TEXTS,
    }
)

_MODEL_LIST = _output(
    {
        "models": _array(
            _object(
                {
                    **_texts("id", "provider"),
                    "sizes": _TEXTS,
                    "qualities": _TEXTS,
                    **_texts("low_usd", "high_usd"),
                    "requests_per_minute": _NUMBER,
                    "source": _TEXT,
                    "available": _FLAG,
                }
            )
        ),
        "more": _NUMBER,
        "listed": _ANY,
        "recommendations": _array(_object(_texts("use_case", "model", "quality"))),
        "cheapest": _ANY,
    }
)

_COST_COMPARISON = _output(
    {
        "estimates": _array(_object(_REQUEST | _ESTIMATE)),
        "more": _NUMBER,
        "prompt": _object(_texts("sent", "original", "reason")),
        **_ENRICHMENT,
        "other_prompts": _array(_ANY),
        "warnings": _TEXTS,
    }
)
