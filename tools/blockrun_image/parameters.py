"""What only some models take: pictures to start from, and the parameters that their entries name."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from blockrun_image.document import Parameter
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import ImageArguments, InputPicture
from blockrun_image.model import Model
from blockrun_image.text import choices, quoted

Value = str | int | float | bool

DEFAULT = "default"
"""Stands for a parameter's default where an enum has no word for it."""


def check_pictures(model: Model, arguments: ImageArguments, others: Sequence[Model]) -> tuple[InputPicture, ...]:
    """Return the pictures that a call names, not found yet; raises `InvalidRequestError` for what a model lacks."""
    limits, count, has_mask = model.edits, len(arguments.images), bool(arguments.mask)
    if not count and not has_mask:
        return ()
    if limits is None:
        ids = [other.id for other in others if other.edits]
        raise InvalidRequestError(
            f"{model.id} does not start from pictures.",
            hint=f"Models that do: {choices(ids)}." if ids else "At this gateway, no model does.",
            valid_values=ids,
        )
    if count > limits.max_pictures:
        raise InvalidRequestError(f"{model.id} starts from at most {limits.max_pictures} pictures, not {count}.")
    if has_mask and not limits.masks:
        ids = [other.id for other in others if other.edits and other.edits.masks]
        hint = f"Models that do: {choices(ids)}." if ids else "Describe the area in the prompt."
        raise InvalidRequestError(f"{model.id} takes no mask.", hint=hint, valid_values=ids)
    if has_mask and count != 1:
        raise InvalidRequestError("A mask needs exactly one picture in images.")
    return tuple(InputPicture("", name) for name in arguments.images)


def parameters_of(models: Sequence[Model]) -> Mapping[str, Mapping[str, Parameter]]:
    """Return the models that take each parameter, with their definitions of it, by its name."""
    found: dict[str, dict[str, Parameter]] = {}
    for model in models:
        for name, parameter in model.parameters.items():
            found.setdefault(name, {})[model.id] = parameter
    return found


def schema_of(definitions: Mapping[str, Parameter], only: str) -> dict[str, Any]:
    """Return the JSON Schema of a parameter that allows what any of its models takes.

    `only` is a sentence about which models take it, or an empty text.
    """
    all_of_them = list(definitions.values())
    first = all_of_them[0]
    default = "" if first.default is None else f"Default {str(first.default).lower()}."
    schema: dict[str, Any] = {"type": first.type, "description": f"{first.description}. {only}{default}".strip()}
    if all(each.enum for each in all_of_them):
        values = list(dict.fromkeys(value for each in all_of_them for value in each.enum))
        schema["enum"] = values if first.default in values else [DEFAULT, *values]
    for bound, pick in (("minimum", min), ("maximum", max)):
        limits = [getattr(each, bound) for each in all_of_them]
        if None not in limits:
            schema[bound] = pick(limits)
    return schema


def check_parameters(
    model: Model, given: Mapping[str, Value], others: Sequence[Model]
) -> tuple[tuple[str, Value], ...]:
    """Return a call's parameters for a model, by name; raises `InvalidRequestError` for what it does not take."""
    checked: list[tuple[str, Value]] = []
    for name, value in sorted(given.items()):
        parameter = model.parameters.get(name)
        if parameter is None:
            ids = [other.id for other in others if name in other.parameters]
            hint = f"Models that do: {choices(ids)}." if ids else ""
            raise InvalidRequestError(f"{model.id} takes no {name}.", hint=hint, valid_values=ids)
        if value == DEFAULT and parameter.enum and DEFAULT not in parameter.enum:
            continue
        if not parameter.allows(value):
            raise InvalidRequestError(
                f"{name} cannot be {quoted(value)} for {model.id}. It takes {parameter.allowed}.",
                valid_values=list(parameter.enum),
            )
        checked.append((name, value))
    return tuple(checked)


def added_usd(model: Model, parameters: Sequence[tuple[str, Value]]) -> Decimal:
    """Return what parameters add to the price of one image, in US dollars."""
    values = {name: str(value).lower() for name, value in parameters}
    return sum(
        (model.parameters[name].adds_usd.get(value, Decimal(0)) for name, value in values.items()), start=Decimal(0)
    )
