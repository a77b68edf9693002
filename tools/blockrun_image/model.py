"""An image model, with its limits and prices as far as known."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from blockrun_image.document import Editing, Line, Parameter, Size, UsdAmount, Word

# "transparent background" with up to two words between, but not "transparent glass on a background".
_TRANSPARENT = re.compile(
    r"(?i)\btransparent\W+(?:(?!on\b|in\b|with\b|and\b|against\b)\w+\W+){0,2}(?:background|backdrop|png|canvas)\b"
    r"|\b(?:background|backdrop)\W+(?:\w+\W+){0,3}transparent\b|\balpha (?:channel|transparency)\b"
)
TAKEN = frozenset(
    {
        *("model", "prompt", "size", "quality", "n", "image", "images", "mask", "save_as", "enrich", "purpose"),
        *("art_style", "composition", "lighting", "response_format", "stream", "user", "live", "search", "use_case"),
        *("max_price_usd", "partial_images"),
    }
)
"""Names that no parameter of a model can have: they are arguments already, or would change the form of the answer."""
ANY = "any"
"""Means all models, or all use cases."""


def name_of(id: str) -> str:
    """Return a model's id without its provider."""
    return id.rpartition("/")[2]


def _stands_for_itself(id: str) -> str:
    if name_of(id) in ("", ANY):
        raise ValueError(f"{ANY} stands for all models, and a provider alone for none")
    return id


_ID = r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,79}"
ModelId = Annotated[str, StringConstraints(pattern=f"^{_ID}$"), AfterValidator(_stands_for_itself)]


def is_model_id(value: object) -> bool:
    """Return whether a value can be a model's id."""
    return isinstance(value, str) and re.fullmatch(_ID, value) is not None and name_of(value) not in ("", ANY)


def _is_free(name: str) -> str:
    if name in TAKEN:
        raise ValueError("this name has a meaning of its own")
    return name


ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$"), AfterValidator(_is_free)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built once, as parts of Model


class Price(_Entry):
    """A published price of one image, in US dollars, margin included."""

    size: Size
    quality: Word | None = None
    usd: UsdAmount


class PriceRange(_Entry):
    """The lowest and highest list price of one image, in US dollars, without margin.

    Without a `high`, `low` is the price of the model's own size and quality, and the other prices are at least that
    high. With a `fee_usd`, the prices include the margin, and a wallet's payment costs that fee as well.
    """

    low: UsdAmount
    high: UsdAmount | None = None
    fee_usd: UsdAmount | None = None

    def with_margin(self, margin: Decimal) -> tuple[Decimal, Decimal | None]:
        """Return `low` and `high` with the margin, in US dollars.

        `margin` is a share of the price.
        """
        factor = 1 + margin if self.fee_usd is None else Decimal(1)
        return self.low * factor, None if self.high is None else self.high * factor


class Recommendation(_Entry):
    """A use case that the API recommends a model for."""

    use_case: Line
    quality: Word | None = None

    @model_validator(mode="after")
    def _can_be_asked_for(self) -> "Recommendation":
        if slug(self.use_case) in ("", ANY):
            raise ValueError("use_case has no words to ask for it by")
        return self


class Model(_Entry):
    """An image model, as the API describes it.

    Without `sizes`, any size is sent as given, and a missing one leaves the choice to the API. Without a list price,
    the cost is unknown; without `max_prompt_characters`, no prompt is refused as too long. `transparent_background`
    says whether the model can draw on one, and `edits` what it takes to start from, `None` if it takes no pictures.
    `parameters` are what else it takes, by their names in the body of a request.
    """

    id: ModelId
    provider: Line
    sizes: tuple[Size, ...] = ()
    qualities: tuple[Word, ...] = ()
    list_price_usd: PriceRange | None = None
    prices: tuple[Price, ...] = ()
    requests_per_minute: int | None = Field(default=None, ge=1)
    max_images: int = Field(ge=1)
    max_prompt_characters: int | None = Field(default=None, ge=1)
    prompt_form: Literal["sentence", "tags"] = "sentence"
    revises_prompt: bool = False
    transparent_background: bool = False
    recommended_for: tuple[Recommendation, ...] = ()
    edits: Editing | None = None
    parameters: Mapping[ParameterName, Parameter] = {}

    @model_validator(mode="after")
    def _prices_are_of_its_own(self) -> "Model":
        listed = self.list_price_usd
        if listed is not None and listed.high is not None and listed.low > listed.high:
            raise ValueError("list_price_usd: low is above high")
        for price in self.prices:
            if (self.sizes and price.size not in self.sizes) or price.quality not in (self.qualities or [None]):
                raise ValueError(f"prices: {price.size} {price.quality or ''} is not offered")
        return self

    def cannot_promise(self, prompt: str) -> Sequence[str]:
        """Return a warning if the prompt asks for an unsupported transparent background."""
        if self.transparent_background or not _TRANSPARENT.search(prompt):
            return []
        return [f"{self.id} does not promise a transparent background: it may draw a plain or a chequered one."]

    def lowest_usd(self, margin: Decimal) -> Decimal | None:
        """Return the lowest known price of one image, in US dollars.

        `margin` is a share of the list price.
        """
        if self.prices:  # these include the margin already
            return min(price.usd for price in self.prices)
        return None if self.list_price_usd is None else self.list_price_usd.with_margin(margin)[0]


def slug(use_case: str) -> str:
    """Return a use case as an enum value: "Fast & cheap" becomes `fast_and_cheap`."""
    return "_".join("".join(c if c.isalnum() else " " for c in use_case.lower().replace("&", " and ")).split())
