"""What a gateway lists of its image models: read with care, cleaned and bounded, with nothing invented."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field

from blockrun_image.model import ModelId, is_model_id
from blockrun_image.spec import Line, Size, UsdAmount, Word, is_size, is_word
from blockrun_image.text import clean

_MOST_ENTRIES = 1_000
_MOST_STRANGERS = 20_000  # of which only an id is known
_MOST_SIZES = 24
_MOST_QUALITIES = 8
_MOST_PROMPT_CHARACTERS = 10_000_000
_MOST_USD = 1_000
_YEAR_10000 = 253_402_300_800  # whose date cannot be told
_MICRO_USD = Decimal("0.000001")
_AMOUNT = r"[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?"
_NAME = r"(?=.{1,24}$)[A-Za-z0-9.&+-]+(?: [A-Za-z0-9.&+-]+){0,2}"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built once, as parts of Listing


class Listed(_Record):
    """One image model of a gateway's list; what the gateway does not tell is `None` or empty.

    `price_usd` is that of one image of the model's own size in US dollars, without margin and fee. With a `fee_usd`, it
    holds the margin, and only a payment from a wallet costs that fee besides. `is_told_an_image` is false where the
    list has no categories, so that only a model's id tells what it is.
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
    """The image models that a gateway lists, in its order, and when it did, in seconds since 1970.

    `others` are the ids of what it tells to be something else.
    """

    gateway: Line
    seen_at: float = Field(ge=0, lt=_YEAR_10000)
    models: tuple[Listed, ...]
    unusable: int = 0
    others: tuple[ModelId, ...] = ()

    @property
    def day(self) -> str:
        """The UTC day on which it was seen."""
        return self._time.strftime("%Y-%m-%d")

    @property
    def seen(self) -> str:
        """The time at which it was seen, as ISO 8601 has it."""
        return self._time.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def _time(self) -> datetime:
        return datetime.fromtimestamp(self.seen_at, UTC)


def read_listing(body: object, gateway: str, seen_at: float) -> Listing | None:
    """Read the answer of an OpenAI-compatible `GET /models`; `None` where it holds no list.

    Numbers in `body` are to be texts, as they stand in the JSON. Of models that are told to be none of images, only the
    ids are kept; entries that cannot be read are counted in `unusable`. The fields and their spellings are those that
    BlockRun's public documentation and SDKs name.
    """
    fields = _object(body)
    entries = next((fields[name] for name in ("data", "models") if isinstance(fields.get(name), list)), None)
    if entries is None:
        return None
    models: dict[Listed, None] = {}  # an id that is listed twice, in two ways, is two of them
    room = {True: _MOST_ENTRIES, False: _MOST_STRANGERS}
    unusable = 0
    others: dict[str, None] = {}
    for entry in cast("Sequence[object]", entries):
        if not _may_be_an_image_model(entry):
            id: Any = _object(entry).get("id")
            if is_model_id(id) and len(others) < _MOST_ENTRIES:
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
    return categories in (None, "image") or (isinstance(categories, list) and "image" in categories)


def _read(entry: Mapping[str, Any]) -> Listed | None:
    id: Any = entry.get("id")
    price = max(_prices(entry), default=None)
    price = price if price or _is_told_free(entry) else None
    fee = None if price is None else _fee(entry)
    if not is_model_id(id) or max(price or 0, fee or 0) > _MOST_USD:
        return None
    return Listed(
        id=id,
        provider=_provider(entry),
        sizes=_matching(is_size, _first(entry, "supportedSizes", "supported_sizes"), _MOST_SIZES),
        qualities=_matching(is_word, _first(entry, "supportedQualities", "supported_qualities"), _MOST_QUALITIES),
        price_usd=None if price is None else price.quantize(_MICRO_USD, ROUND_CEILING),
        fee_usd=None if fee is None else fee.quantize(_MICRO_USD, ROUND_CEILING),
        max_prompt_characters=_count(_first(entry, "maxPromptLength", "max_prompt_length")),
        is_available=entry.get("available") is not False,
        is_told_an_image=entry.get("categories") is not None,
    )


def _prices(entry: Mapping[str, Any]) -> Iterator[Decimal]:
    """Tell every price that the entry names, of which the highest counts: nothing shall cost more than is told."""
    pricing = _object(entry.get("pricing"))
    named = [entry.get(name) for name in ("pricePerImage", "price_per_image", "flatPrice", "flat_price")]
    named += [pricing.get(name) for name in ("per_image", "perImage", "flat")]
    for amount in named:
        if isinstance(amount, str) and re.fullmatch(_AMOUNT, amount):
            yield Decimal(amount)


def _fee(entry: Mapping[str, Any]) -> Decimal | None:
    """Return the fee of a payment from a wallet; BlockRun's list names one beside prices that hold its margin."""
    fee = _object(entry.get("pricing")).get("transaction_fee")
    return Decimal(fee) if isinstance(fee, str) and re.fullmatch(_AMOUNT, fee) else None


def _is_told_free(entry: Mapping[str, Any]) -> bool:
    """Return whether a price of 0 is meant: gateways also write one where they know none."""
    told = (entry.get("free"), _object(entry.get("pricing")).get("free"), entry.get("billing_mode") == "free")
    return any(each is True for each in told)


def _provider(entry: Mapping[str, Any]) -> str | None:
    names = (entry.get("provider"), entry.get("owned_by"))
    return next((name for name in names if isinstance(name, str) and re.fullmatch(_NAME, name)), None)


def _matching(is_usable: Callable[[object], bool], values: object, most: int) -> tuple[str, ...]:
    """Return what can be asked for, each once and no more than so many."""
    listed = cast("Sequence[str]", values) if isinstance(values, list) else ()
    return tuple(dict.fromkeys(filter(is_usable, listed)))[:most]


def _count(value: object) -> int | None:
    if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]{0,9}", value):
        return None
    return min(int(value), _MOST_PROMPT_CHARACTERS)


def _first(entry: Mapping[str, Any], *names: str) -> object:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
