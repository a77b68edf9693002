"""Reads a gateway's list of image models: validated, bounded, and with nothing invented."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field

from blockrun_image.document import Line, Size, UsdAmount, Word
from blockrun_image.model import ModelId, is_model_id
from blockrun_image.spec import is_size, is_word
from blockrun_image.text import clean

_MAX_ENTRIES = 1_000
_MAX_STRANGERS = 20_000  # entries without a category, mostly just ids
_MAX_SIZES = 24
_MAX_QUALITIES = 8
_MAX_PROMPT_CHARACTERS = 10_000_000
_MAX_USD = 1_000
_YEAR_10000 = 253_402_300_800  # datetime has no year above 9999
_MICRO_USD = Decimal("0.000001")  # the smallest amount of USDC
_AMOUNT = r"[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?"
# Agents read a provider's name, so only short ones of plain words pass.
_NAME = r"(?=.{1,24}$)[A-Za-z0-9.&+-]+(?: [A-Za-z0-9.&+-]+){0,2}"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built once, as parts of Listing


class ListedModel(_Record):
    """One image model of a gateway's list; unlisted fields are `None` or empty.

    `price_usd` is for one image of the model's own size, in US dollars, without margin and fee. With a `fee_usd`, the
    price includes the margin, and only a wallet's payment costs that fee as well. `is_told_an_image` is false if the
    list has no categories, so that the model's id is the only clue to what it makes.
    """

    id: ModelId
    provider: Line | None = None
    sizes: tuple[Size, ...] = ()
    qualities: tuple[Word, ...] = ()
    price_usd: UsdAmount | None = None
    fee_usd: UsdAmount | None = None
    max_prompt_characters: int | None = None
    is_available: bool = True
    is_told_an_image: bool = True


class Listing(_Record):
    """A gateway's list of image models, in its order.

    `seen_at` is its time in seconds since 1970. `others` are the ids of models that the list puts in other categories.
    `unusable` counts the entries that could not be read.
    """

    gateway: Line
    seen_at: float = Field(ge=0, lt=_YEAR_10000)
    models: tuple[ListedModel, ...]
    unusable: int = 0
    others: tuple[ModelId, ...] = ()

    @property
    def day(self) -> str:
        """The UTC day when the list was seen."""
        return self._time.strftime("%Y-%m-%d")

    @property
    def seen(self) -> str:
        """The time when the list was seen, in ISO 8601 format."""
        return self._time.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def _time(self) -> datetime:
        return datetime.fromtimestamp(self.seen_at, UTC)


def read_listing(body: object, gateway: str, seen_at: float) -> Listing | None:
    """Read the response of an OpenAI-compatible `GET /models`.

    Returns `None` if the response has no list. Numbers in `body` must be texts, as they stand in the JSON. Of models in
    other categories, only the ids are kept; entries that cannot be read are counted in `unusable`. The fields and their
    spellings are those in BlockRun's public documentation and SDKs.
    """
    fields = _object(body)
    entries = next((fields[name] for name in ("data", "models") if isinstance(fields.get(name), list)), None)
    if entries is None:
        return None
    models: dict[ListedModel, None] = {}  # an ordered set; an id listed twice with different fields counts as two
    room = {True: _MAX_ENTRIES, False: _MAX_STRANGERS}
    unusable = 0
    others: dict[str, None] = {}
    for entry in cast("Sequence[object]", entries):
        if not _may_be_an_image_model(entry):
            id: Any = _object(entry).get("id")
            if is_model_id(id) and len(others) < _MAX_ENTRIES:
                others[id] = None
            continue
        listed = _read(_object(entry))
        if listed is None or not room[listed.is_told_an_image]:
            unusable += 1
        elif listed not in models:
            models[listed] = None
            room[listed.is_told_an_image] -= 1
    name = clean(gateway, 80) or "the gateway"
    return Listing(gateway=name, seen_at=seen_at, models=tuple(models), unusable=unusable, others=tuple(others))


def _may_be_an_image_model(entry: object) -> bool:
    categories = _object(entry).get("categories")
    # Some lists have no categories.
    return categories in (None, "image") or (isinstance(categories, list) and "image" in categories)


def _read(entry: Mapping[str, Any]) -> ListedModel | None:
    id: Any = entry.get("id")
    price = max(_prices(entry), default=None)
    price = price if price or _is_marked_free(entry) else None  # a bare 0 is an unknown price
    fee = None if price is None else _fee(entry)
    if not is_model_id(id) or max(price or 0, fee or 0) > _MAX_USD:
        return None
    return ListedModel(
        id=id,
        provider=_provider(entry),
        sizes=_matching(is_size, _first(entry, "supportedSizes", "supported_sizes"), _MAX_SIZES),
        qualities=_matching(is_word, _first(entry, "supportedQualities", "supported_qualities"), _MAX_QUALITIES),
        price_usd=None if price is None else price.quantize(_MICRO_USD, ROUND_CEILING),
        fee_usd=None if fee is None else fee.quantize(_MICRO_USD, ROUND_CEILING),
        max_prompt_characters=_count(_first(entry, "maxPromptLength", "max_prompt_length")),
        is_available=entry.get("available") is not False,
        is_told_an_image=entry.get("categories") is not None,
    )


def _prices(entry: Mapping[str, Any]) -> Iterator[Decimal]:
    """Yield every price in the entry.

    The highest one counts, so that no estimate is too low.
    """
    pricing = _object(entry.get("pricing"))
    amounts = [entry.get(name) for name in ("pricePerImage", "price_per_image", "flatPrice", "flat_price")]
    amounts += [pricing.get(name) for name in ("per_image", "perImage", "flat")]
    for amount in amounts:
        if isinstance(amount, str) and re.fullmatch(_AMOUNT, amount):
            yield Decimal(amount)


def _fee(entry: Mapping[str, Any]) -> Decimal | None:
    """Return the fee of a wallet's payment.

    In BlockRun's list, prices beside a fee include the margin.
    """
    fee = _object(entry.get("pricing")).get("transaction_fee")
    return Decimal(fee) if isinstance(fee, str) and re.fullmatch(_AMOUNT, fee) else None


def _is_marked_free(entry: Mapping[str, Any]) -> bool:
    """Return whether a price of 0 means free.

    Gateways also write 0 for an unknown price.
    """
    marks = (entry.get("free"), _object(entry.get("pricing")).get("free"), entry.get("billing_mode") == "free")
    return any(each is True for each in marks)


def _provider(entry: Mapping[str, Any]) -> str | None:
    names = (entry.get("provider"), entry.get("owned_by"))
    return next((name for name in names if isinstance(name, str) and re.fullmatch(_NAME, name)), None)


def _matching(is_usable: Callable[[object], bool], values: object, limit: int) -> tuple[str, ...]:
    """Return the usable values, without repetitions and at most `limit` of them."""
    listed = cast("Sequence[str]", values) if isinstance(values, list) else ()
    return tuple(dict.fromkeys(filter(is_usable, listed)))[:limit]


def _count(value: object) -> int | None:
    if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]{0,9}", value):
        return None
    return min(int(value), _MAX_PROMPT_CHARACTERS)


def _first(entry: Mapping[str, Any], *names: str) -> object:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
