"""The catalogue of models, and the requests that each of them accepts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from blockrun_image.errors import InvalidRequestError, SpecError, UnknownModelError
from blockrun_image.images import AUTO, ImageArguments, ImageRequest
from blockrun_image.model import Model, name_of
from blockrun_image.parameters import check_parameters, check_pictures
from blockrun_image.shapes import has_shape, is_exact, nearest_size, orientation_of, ratio_of
from blockrun_image.spec import EditOperation, Spec, is_size, is_word, unusable
from blockrun_image.spellings import is_nothing, meant
from blockrun_image.text import choices, clean, closest, did_you_mean, is_unicode, quoted, usd

if TYPE_CHECKING:
    from blockrun_image.listing import Listing

_SPEC_SETTING = "BLOCKRUN_IMAGE_SPEC"  # the server's setting, for a hint
_MAX_ALTERNATIVES = 5
_MAX_ALTERNATIVES_CHARACTERS = 180


@dataclass(frozen=True)
class Catalog:
    """The models on offer, and the rules for all of them.

    After a gateway's list was joined in: `contract` is the catalogue without the list, from the API's description
    alone. `listed` maps each listed id to the public one; a model is requested by the first id that maps to it.
    `unavailable` are the contract's models that the list lacks or marks so. `strangers` are ids that the gateway lists
    without saying that they make images; they cannot be requested. `has_fee` says whether the gateway's fee is paid, as
    it is from a wallet. `edit` is the operation that makes images from pictures, `None` if the gateway has none.
    """

    spec: Spec
    models: Mapping[str, Model]
    unavailable: Mapping[str, Model] = field(default_factory=dict[str, Model])
    contract: "Catalog | None" = None
    listing: "Listing | None" = None
    listed: Mapping[str, str] = field(default_factory=dict[str, str])
    strangers: Sequence[str] = ()
    has_fee: bool = True
    edit: EditOperation | None = None

    @classmethod
    def load(cls, path: Path | None = None) -> "Catalog":
        """Read the catalogue from the packaged API description or the file at `path`.

        Raises `SpecError` if the file or one of its models cannot be used.
        """
        spec = Spec.load(path)
        return cls(spec, {id: _read_model(spec, id, entry) for id, entry in spec.models.items()})

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models.values())

    @property
    def default_size(self) -> str:
        """The size of a request that names none, if its model has it."""
        return self.spec.request.size.default

    @property
    def standard(self) -> str:
        """The quality accepted by every model."""
        return self.spec.request.quality.enum[0]

    @cached_property
    def sizes(self) -> Sequence[str]:
        """All sizes of all models, smallest first."""
        return sorted({size for model in self for size in model.sizes}, key=_pixels)

    @property
    def qualities(self) -> Sequence[str]:
        """All qualities of all models, the standard one first."""
        return list(dict.fromkeys([self.standard, *(quality for model in self for quality in model.qualities)]))

    @property
    def max_images(self) -> int:
        """The most images that any model makes in one call."""
        return max(model.max_images for model in self)

    @cached_property
    def editors(self) -> Sequence[Model]:
        """The models that make images from pictures."""
        return [model for model in self if model.edits] if self.edit else []

    @property
    def use_cases(self) -> Sequence[str]:
        """The use cases with recommended models, in the API's words."""
        return list(dict.fromkeys(each.use_case for model in self for each in model.recommended_for))

    @cached_property
    def spellings(self) -> Mapping[str, str]:
        """The public id for each other spelling of a model, if unambiguous."""
        spelled: defaultdict[str, set[str]] = defaultdict(set)
        for spelling, id in (*self.spec.aliases.items(), *self.listed.items(), *map(_other_form, self._all.values())):
            spelled[spelling].add(id)
        return {
            spelling: id
            for spelling, (id, *others) in spelled.items()
            if not others and id in self._all and spelling not in self._all and not is_nothing(spelling)
        }

    def id_of(self, wanted: str) -> str:
        """Return the public id for any spelling of a model.

        Returns `wanted` itself if it names no single model.
        """
        if wanted in self.strangers:  # it must not become a known model with a similar spelling
            return wanted
        return meant(wanted, {**self.spellings, **{id: id for id in self._all}}) or wanted

    def find(self, id: object) -> Model:
        """Return the model with that id, in any spelling.

        Raises `UnknownModelError`, which names the closest models and their prices.
        """
        model = self.models.get(self.id_of(id)) if isinstance(id, str) else None
        if model is None:
            raise self.unknown_model(id)
        return model

    def known(self, id: str) -> Model:
        """Return the model with that public id, even an unavailable one; raises `UnknownModelError`."""
        model = self._all.get(id)
        if model is None:
            raise self.unknown_model(id)
        return model

    def sent_as(self, id: str) -> str:
        """Return the gateway's own id for a model, or `id` if it lists none."""
        return self._requested_as.get(id, id)

    def unknown_model(self, id: object) -> UnknownModelError:
        """Return the error for an unavailable model.

        It names the closest models and their lowest prices.
        """
        public_id = self.id_of(id) if isinstance(id, str) else None
        if public_id in self.unavailable and self.listing is not None:
            what = f"{quoted(id)} is not among the models that {self.listing.gateway} lists (seen {self.listing.seen})"
        else:
            what = f"There is no model {quoted(id)}"
        hint = "" if len(self.models) <= _MAX_ALTERNATIVES else "list_models compares them."
        if public_id in self.unavailable:
            hint = "If that has changed, run `blockrun-image-mcp models --refresh`."
        if self._is_stranger(id):
            what = f"The gateway lists {quoted(id)} without a price, or without saying that it makes images"
            hint = f"To use it, describe it in a file that {_SPEC_SETTING} names. {hint}".strip()
        # An unavailable model was spelled correctly, so another spelling is no help.
        near = "" if public_id in self.unavailable else did_you_mean(clean(id, 80), [*self.models])
        message = f"{what}.{near} Models: {self.alternatives(id)}."
        return UnknownModelError(message, hint=hint, valid_values=list(self.models))

    def alternatives(self, id: object) -> str:
        """Return the models closest to an unavailable id, with their lowest prices."""
        others = [each for each in self.models if each != id]
        ids = others if len(others) <= _MAX_ALTERNATIVES else closest(clean(id, 80), others, _MAX_ALTERNATIVES)
        offers = [self._offer(self.models[name]) for name in ids]
        # A hint must stay short, and one model is better than none.
        while len(", ".join(offers)) > _MAX_ALTERNATIVES_CHARACTERS and len(offers) > 1:
            offers.pop()
        return ", ".join(offers) + ("" if len(offers) == len(others) else f" (the closest of {len(others)})")

    def source_of(self, id: str) -> str:
        """Return a model's source: `contract`, `live` or `both`.

        `contract` is the API's description, `live` is a gateway's list.
        """
        if id not in (self.contract or self).models:
            return "live"
        return "contract" if self.contract is None or id not in self._requested_as or id in self.unavailable else "both"

    def resolve(self, arguments: ImageArguments) -> ImageRequest:
        """Return the request for a call's arguments, with defaults filled in.

        Raises `InvalidRequestError` with the valid values if the model does not take them.
        """
        model = self.find(arguments.model or "")
        check_prompt(model, arguments.prompt)
        return self.fill_in(model, arguments)

    def fill_in(self, model: Model, arguments: ImageArguments) -> ImageRequest:
        """Return the request to `model`, with size, quality and n checked or filled in.

        `arguments.model` is ignored, and the prompt is not checked. Raises `InvalidRequestError` with the valid values.
        """
        return ImageRequest(
            prompt=arguments.prompt,
            model=model.id,
            size=self.size_for(model, arguments.size),
            quality=self._quality_of(model, arguments),
            n=self.count_for(model, arguments.n),
            sent_as=self.sent_as(model.id),
            parameters=check_parameters(model, arguments.parameters, [*self]),
            images=check_pictures(model, arguments, [*self]),
        )

    def offers(self, model: Model, arguments: ImageArguments) -> bool:
        """Return whether `model` has the requested size and quality.

        If not, `fill_in` raises the reason.
        """
        return self._has_size(model, arguments.size) and (
            self.takes_any_quality(model) or arguments.quality in (None, "", self.standard, *model.qualities)
        )

    def takes_any_quality(self, model: Model) -> bool:
        """Return whether only the gateway knows the model's qualities.

        Lists may leave them out.
        """
        return not model.qualities and self.source_of(model.id) == "live"

    def size_for(self, model: Model, size: str | None) -> str:
        """Return the size to request from `model`.

        `auto` leaves the choice to the API. Raises `InvalidRequestError` if the model does not have `size`, or `size`
        is not a size.
        """
        if size in (None, "", AUTO):
            return self.default_size if self.default_size in model.sizes else next(iter(model.sizes), AUTO)
        ratio = ratio_of(size)
        if ratio is not None:
            return self._size_like(model, size, ratio)
        if model.sizes and size not in model.sizes:
            raise InvalidRequestError(
                f"{model.id} has no size {quoted(size)}. Its sizes: {choices(model.sizes, str(size))}.",
                hint=self._models_with(size),
                valid_values=model.sizes,
            )
        if not is_size(size):  # for a model without a list of sizes
            raise InvalidRequestError(
                f"size must be WIDTHxHEIGHT in pixels, such as {self.default_size}, not {quoted(size)}."
            )
        return size

    def about_shape(self, model: Model, asked: str | None, size: str) -> str | None:
        """Return a sentence about the size that stands for a shape, or `None` if none was asked for."""
        ratio = ratio_of(asked or "")
        if asked is None or ratio is None:
            return None
        if is_exact(ratio, size) or not model.sizes:
            return f"{asked} is {size}."
        which = "the only size" if len(model.sizes) == 1 else "the nearest"
        better = [each.id for each in self if each.sizes and has_shape(ratio, each.sizes)]
        others = f" {choices(better)} can be {orientation_of(ratio)}." if better and model.id not in better else ""
        return f"{asked} became {size}, {which} that {model.id} has.{others}"

    def _size_like(self, model: Model, shape: str, ratio: float) -> str:
        """Return the model's size that is nearest to a shape; raises `InvalidRequestError` if its sizes are unknown."""
        if model.sizes:
            return nearest_size(ratio, model.sizes, self.default_size)
        if is_exact(ratio, self.default_size):
            return self.default_size
        raise InvalidRequestError(
            f"Only the gateway knows the sizes of {model.id}, so {quoted(shape)} cannot be looked up.",
            hint=f"Give a size as WIDTHxHEIGHT, such as {self.default_size}.",
        )

    def _has_size(self, model: Model, size: str | None) -> bool:
        if size in (None, "", AUTO) or not model.sizes:
            return True
        ratio = ratio_of(size)
        if ratio is None:
            return size in model.sizes
        return has_shape(ratio, model.sizes) or not any(has_shape(ratio, each.sizes) for each in self)

    def quality_for(self, model: Model, quality: str | None) -> str | None:
        """Return the quality to request from `model`, or `None` without a choice.

        The standard quality means the model's first one if it has none of that name. Raises `InvalidRequestError` if
        `quality` is not one that the model takes.
        """
        if quality in model.qualities or (
            is_word(quality) and quality != self.standard and self.takes_any_quality(model)
        ):
            return quality
        if quality in (None, "", self.standard):
            return self.standard if self.standard in model.qualities else next(iter(model.qualities), None)
        others = [other.id for other in self if quality in other.qualities]
        offered = (
            f"{choices(others)} can." if others else f"Its qualities: {choices(model.qualities or [self.standard])}."
        )
        raise InvalidRequestError(
            f"{model.id} cannot do quality {quoted(quality)}. {offered}",
            valid_values=model.qualities or [self.standard],
        )

    def _quality_of(self, model: Model, arguments: ImageArguments) -> str | None:
        is_edit_as_json = bool(arguments.images) and self.edit is not None and not self.edit.is_form
        if is_edit_as_json and arguments.quality not in (None, "", self.standard):
            raise InvalidRequestError("quality cannot be chosen where a call starts from pictures. Leave it out.")
        return self.quality_for(model, arguments.quality)

    def count_for(self, model: Model, n: object) -> int:
        """Return the number of images; raises `InvalidRequestError` if `model` does not take it."""
        limits = self.spec.request.n
        if n is None:
            return min(limits.default, model.max_images)
        # A bool is an int in Python, and True must not mean one image.
        if isinstance(n, bool) or not isinstance(n, int) or not limits.minimum <= n <= model.max_images:
            raise InvalidRequestError(
                f"n must be a whole number from {limits.minimum} to {model.max_images} for {model.id}, not {quoted(n)}."
            )
        return n

    def _models_with(self, size: object) -> str:
        """Name the models with a size, in a sentence or an empty text."""
        others = [model.id for model in self if size in model.sizes]
        return f"Models with this size: {choices(others)}." if others else ""

    def _is_stranger(self, id: object) -> bool:
        """Return whether the gateway lists an undescribed model by this id.

        The id may be with or without its provider.
        """
        if not isinstance(id, str):
            return False
        forms = {id.lower(), name_of(id).lower()}
        return any({each.lower(), name_of(each).lower()} & forms for each in self.strangers)

    @cached_property
    def _requested_as(self) -> Mapping[str, str]:
        # Reversed, so that the first listed id of a model is the one that stays.
        return {public_id: listed for listed, public_id in reversed([*self.listed.items()])}

    @cached_property
    def _all(self) -> Mapping[str, Model]:
        return {**self.models, **self.unavailable}

    def _offer(self, model: Model) -> str:
        lowest = model.lowest_usd(self.spec.margin)
        return f"{model.id} ({'price not known' if lowest is None else f'from ${usd(lowest)}'})"


def check_prompt(model: Model, prompt: object) -> None:
    """Raise `InvalidRequestError` if `model` does not take the prompt."""
    if not isinstance(prompt, str):
        raise InvalidRequestError(f"prompt must be text, not {quoted(prompt)}.")
    if not is_unicode(prompt):
        raise InvalidRequestError("The prompt is not valid Unicode text: it holds lone surrogates.")
    if not any(character.isprintable() and not character.isspace() for character in prompt):
        raise InvalidRequestError("The prompt is empty.", hint="Describe the picture in words.")
    if model.max_prompt_characters is not None and len(prompt) > model.max_prompt_characters:
        raise InvalidRequestError(
            f"The prompt has {len(prompt):,} characters; {model.id} takes at most {model.max_prompt_characters:,}.",
            hint="Shorten it; it is never cut for you.",
        )


def _read_model(spec: Spec, id: str, entry: Mapping[str, Any]) -> Model:
    most = spec.request.n.maximum
    try:
        # An entry may set its own limit, but its key is its id.
        model = Model.model_validate({"max_images": most, **entry, "id": id})
    except ValidationError as error:
        raise unusable(spec.source, error, "x-models", id, keys=[*Model.model_fields]) from error
    if model.max_images > most:
        raise SpecError(f"{spec.source}: x-models.{clean(id, 80)}.max_images: no request may ask for more than {most}")
    return model


def _other_form(model: Model) -> tuple[str, str]:
    """Return the model's id with its provider added or removed, and the id itself."""
    name = name_of(model.id)
    return (f"{model.provider.lower()}/{name}" if name == model.id else name), model.id


def _pixels(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    return int(width) * int(height), int(width)
