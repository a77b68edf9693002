"""Which models exist and what each of them accepts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from blockrun_image.errors import InvalidRequestError, SpecError, UnknownModelError
from blockrun_image.images import ImageArguments, ImageRequest
from blockrun_image.spec import Line, Size, Spec, UsdAmount, Word, unusable
from blockrun_image.text import choices, clean, is_unicode, quoted

AUTO = "auto"
ANY = "any"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built once, as parts of Model


class Price(_Entry):
    """A published price of one image, in US dollars, margin included."""

    size: Size
    quality: Word | None = None
    usd: UsdAmount


class PriceRange(_Entry):
    """The lowest and the highest list price of one image, in US dollars, without the margin."""

    low: UsdAmount
    high: UsdAmount


class Recommendation(_Entry):
    """A use case that the API recommends the model for."""

    use_case: Line
    quality: Word | None = None

    @model_validator(mode="after")
    def _can_be_asked_for(self) -> "Recommendation":
        if slug(self.use_case) in ("", ANY):
            raise ValueError("use_case has no words to ask for it by")
        return self


class Model(_Entry):
    """An image model, as the API's description lists it."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:-]{0,79}$")]
    provider: Line
    sizes: tuple[Size, ...] = Field(min_length=1)
    qualities: tuple[Word, ...] = ()
    list_price_usd: PriceRange
    prices: tuple[Price, ...] = ()
    requests_per_minute: int | None = Field(default=None, ge=1)
    max_images: int = Field(ge=1)
    max_prompt_characters: int = Field(ge=1)
    prompt_form: Literal["sentence", "tags"] = "sentence"
    revises_prompt: bool = False
    recommended_for: tuple[Recommendation, ...] = ()

    @model_validator(mode="after")
    def _prices_are_of_its_own(self) -> "Model":
        if self.id == ANY:
            raise ValueError(f"id: {ANY} stands for all models")
        if self.list_price_usd.low > self.list_price_usd.high:
            raise ValueError("list_price_usd: low is above high")
        for price in self.prices:
            if price.size not in self.sizes or price.quality not in (self.qualities or [None]):
                raise ValueError(f"prices: {price.size} {price.quality or ''} is not offered")
        return self


@dataclass(frozen=True)
class Catalog:
    """The models that can be asked, and the rules that hold for all of them."""

    spec: Spec
    models: Mapping[str, Model]

    @classmethod
    def load(cls, path: Path | None = None) -> "Catalog":
        """Read the catalogue from the packaged description of the API, or from the file at `path`.

        Raises `SpecError` when the file or one of its models cannot be used.
        """
        spec = Spec.load(path)
        return cls(spec, {id: _read_model(spec, id, entry) for id, entry in spec.models.items()})

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models.values())

    @property
    def default_size(self) -> str:
        """The size of a request that names none, where the model has it."""
        return self.spec.request.size.default

    @property
    def standard(self) -> str:
        """The quality that every model takes."""
        return self.spec.request.quality.enum[0]

    @property
    def sizes(self) -> Sequence[str]:
        """Every size that some model has, smallest first."""
        return sorted({size for model in self for size in model.sizes}, key=_pixels)

    @property
    def qualities(self) -> Sequence[str]:
        """Every quality that some model takes, the standard one first."""
        return list(dict.fromkeys([self.standard, *(quality for model in self for quality in model.qualities)]))

    @property
    def max_images(self) -> int:
        """The most images that any model makes in one call."""
        return max(model.max_images for model in self)

    @property
    def use_cases(self) -> Sequence[str]:
        """The use cases that the API recommends models for, in its own words."""
        return list(dict.fromkeys(each.use_case for model in self for each in model.recommended_for))

    def find(self, id: object) -> Model:
        """Return the model with that id; raises `UnknownModelError` with the valid (or closest) ids."""
        model = self.models.get(id) if isinstance(id, str) else None
        if model is None:
            raise unknown_model(id, list(self.models))
        return model

    def resolve(self, asked: ImageArguments) -> ImageRequest:
        """Return what was asked for as it is to be sent, its defaults filled in.

        Raises `InvalidRequestError` with the valid values when its model does not take it.
        """
        model = self.find(asked.model or "")
        check_prompt(model, asked.prompt)
        return self.fill_in(model, asked)

    def fill_in(self, model: Model, asked: ImageArguments) -> ImageRequest:
        """Return the request to `model`, whichever model was asked for, with size, quality and n checked or filled in.

        The prompt is taken as it is. Raises `InvalidRequestError` with the valid values.
        """
        return ImageRequest(
            prompt=asked.prompt,
            model=model.id,
            size=self.size_for(model, asked.size),
            quality=self.quality_for(model, asked.quality),
            n=self.count_for(model, asked.n),
        )

    def size_for(self, model: Model, size: str | None) -> str:
        """Return the size to ask `model` for; raises `InvalidRequestError` where it does not have `size`."""
        if size in (None, "", AUTO):
            return self.default_size if self.default_size in model.sizes else model.sizes[0]
        if size not in model.sizes:
            raise InvalidRequestError(
                f"{model.id} has no size {quoted(size)}. Its sizes: {choices(model.sizes, str(size))}.",
                hint="estimate_cost with this size lists the models that have it." if size in self.sizes else "",
                valid_values=model.sizes,
            )
        return size

    def quality_for(self, model: Model, quality: str | None) -> str | None:
        """Return the quality to ask `model` for, `None` where it has no choice.

        The standard quality means the model's first where it has none of that name. Raises `InvalidRequestError` where
        the model does not take `quality`.
        """
        if quality in model.qualities:
            return quality
        if quality in (None, "", self.standard):
            return model.qualities[0] if model.qualities else None
        others = [other.id for other in self if quality in other.qualities]
        offered = (
            f"{choices(others)} can." if others else f"Its qualities: {choices(model.qualities or [self.standard])}."
        )
        raise InvalidRequestError(
            f"{model.id} cannot do quality {quoted(quality)}. {offered}",
            valid_values=model.qualities or [self.standard],
        )

    def count_for(self, model: Model, n: object) -> int:
        """Return the number of images; raises `InvalidRequestError` unless `model` makes so many in one call."""
        limits = self.spec.request.n
        if n is None:
            return min(limits.default, model.max_images)
        if isinstance(n, bool) or not isinstance(n, int) or not limits.minimum <= n <= model.max_images:
            raise InvalidRequestError(
                f"n must be a whole number from {limits.minimum} to {model.max_images} for {model.id}, not {quoted(n)}."
            )
        return n


def unknown_model(id: object, known: Sequence[str]) -> UnknownModelError:
    """Return the error for a model id that is not among the known ones, naming those or the closest of them."""
    return UnknownModelError(
        f"There is no model {quoted(id)}. Models: {choices(known, clean(id, 80))}.",
        hint="list_models tells them apart.",
        valid_values=known,
    )


def slug(use_case: str) -> str:
    """Return a use case's words as an enum value: "Fast & cheap" is `fast_and_cheap`."""
    return "_".join("".join(c if c.isalnum() else " " for c in use_case.lower().replace("&", " and ")).split())


def check_prompt(model: Model, prompt: object) -> None:
    """Raise `InvalidRequestError` where `model` does not take the prompt."""
    if not isinstance(prompt, str):
        raise InvalidRequestError(f"prompt must be text, not {quoted(prompt)}.")
    if not is_unicode(prompt):
        raise InvalidRequestError("The prompt is not valid Unicode text: it holds lone surrogates.")
    if not any(character.isprintable() and not character.isspace() for character in prompt):
        raise InvalidRequestError("The prompt is empty.", hint="Describe the picture in words.")
    if len(prompt) > model.max_prompt_characters:
        raise InvalidRequestError(
            f"The prompt has {len(prompt):,} characters; {model.id} takes at most {model.max_prompt_characters:,}.",
            hint="Shorten it; it is never cut for you.",
        )


def _read_model(spec: Spec, id: str, entry: Mapping[str, Any]) -> Model:
    most = spec.request.n.maximum
    try:
        model = Model.model_validate({"max_images": most, **entry, "id": id})
    except ValidationError as error:
        raise unusable(spec.source, error, "x-models", id) from error
    if model.max_images > most:
        raise SpecError(f"{spec.source}: x-models.{clean(id, 80)}.max_images: no request may ask for more than {most}")
    return model


def _pixels(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    return int(width) * int(height), int(width)
