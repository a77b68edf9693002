"""Joins the models that the API's description has with those that a gateway lists today.

Two ids are the same model where the description's table of aliases says so, and where one is `provider/name` and the
other `name` and no second provider, an alias's among them, has that name. The id that the description has is the one
that is shown.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from blockrun_image.catalog import Catalog
from blockrun_image.model import Model, PriceRange, name_of

if TYPE_CHECKING:
    from blockrun_image.listing import Listed, Listing

Scope: TypeAlias = Literal["contract", "live", "both"]
"""Whose models there are: those of the API's description, of the gateway's list, or of both."""

SCOPES: Sequence[str] = get_args(Scope)

_Group: TypeAlias = "Sequence[Listed]"
"""One model under every id that it is listed by; the first one is what it is asked for by."""

_NO_PROVIDER = "not told"
_MOST_STRANGERS = 1_000


def join(contract: Catalog, listing: "Listing | None", scope: Scope = "both") -> Catalog:
    """Return the models of the scope; what the list tells of one counts before what the description does.

    What the list lacks, or tells to be unavailable, is `gone`, unless the operator added it. A list that has none of
    the description's models, and no other that it tells to make images, is no list of image models and changes nothing.
    """
    if listing is None or scope == "contract":
        return contract
    living = {id: group for id, group in _groups(contract, listing).items() if _is_living(contract, id, group)}
    if not living:
        return contract
    margin, added = contract.spec.margin, contract.spec.added_models
    joined = {id: _joined(model, living[id], margin) for id, model in contract.models.items() if id in living}
    if scope == "both":
        joined |= {id: model for id, model in contract.models.items() if id in added and id not in living}
    others = {id: _alone(contract, id, group) for id, group in living.items() if id not in joined}
    return Catalog(
        spec=contract.spec,
        models=joined | others,
        gone={id: model for id, model in contract.models.items() if id not in joined} if scope == "both" else {},
        contract=contract,
        listing=listing,
        listed={listed.id: id for id, group in living.items() for listed in group},
        has_fee=contract.has_fee,
    )


def without_strangers(contract: Catalog, listing: "Listing") -> "Listing":
    """Return a list without what may be no image model: what it does not tell to be one, and the description lacks."""
    shown = _shown_ids(contract, [listed.id for listed in listing.models])
    kept = [listed for listed in listing.models if listed.is_told_an_image or shown[listed.id] in contract.models]
    return listing.model_copy(update={"models": tuple(kept), "others": ()})


def strangers(contract: Catalog, listing: "Listing") -> Sequence[str]:
    """Return the ids of a list that are not told to be image models, and that the description lacks."""
    kept = {listed.id for listed in without_strangers(contract, listing).models} | {*contract.models}
    named = [*(listed.id for listed in listing.models), *listing.others]
    return [id for id in dict.fromkeys(named) if id not in kept][:_MOST_STRANGERS]


def _groups(contract: Catalog, listing: "Listing") -> Mapping[str, _Group]:
    """Return what is listed of each model, by the id that is shown."""
    shown = _shown_ids(contract, [listed.id for listed in listing.models])
    groups: defaultdict[str, list[Listed]] = defaultdict(list)
    for listed in listing.models:
        groups[shown[listed.id]].append(listed)
    return {id: _in_order(id, group) for id, group in groups.items()}


def _in_order(id: str, group: _Group) -> _Group:
    if len(group) == 1:
        return group
    return sorted(group, key=lambda listed: (not listed.is_available, listed.id != id))


def _shown_ids(contract: Catalog, listed: Sequence[str]) -> Mapping[str, str]:
    """Return for each listed id the one that is shown for the same model."""
    aliases = {id for id, model in contract.spec.aliases.items() if model in contract.models}
    known = {*listed, *contract.models, *aliases}
    providers = Counter(name_of(id) for id in known if "/" in id)
    prefixed = {name_of(id): id for id in contract.models if "/" in id}

    def shown(id: str) -> str:
        name, alias = name_of(id), contract.spec.aliases.get(id)
        if id in contract.models:
            return id
        if alias is not None and alias in contract.models:
            return alias
        if providers[name] != 1:
            return id
        return name if "/" in id and name in known else prefixed.get(id, id)

    return {id: shown(id) for id in listed}


def _is_living(contract: Catalog, id: str, group: _Group) -> bool:
    return group[0].is_available and (id in contract.models or group[0].is_told_an_image)


def _joined(model: Model, group: _Group, margin: Decimal) -> Model:
    """Return a model of the description with what is told of it today."""
    listed, price = group[0], _price_of(model, group, margin)
    sizes, qualities = listed.sizes or model.sizes, listed.qualities or model.qualities
    offered = [each for each in model.prices if each.size in sizes and each.quality in (qualities or [None])]
    is_confirmed = _costs(price, margin) == _costs(model.list_price_usd, margin)
    return model.model_copy(
        update={
            "sizes": sizes,
            "qualities": qualities,
            "list_price_usd": price,
            "prices": tuple(offered) if is_confirmed else (),
            "max_prompt_characters": listed.max_prompt_characters or model.max_prompt_characters,
            "recommended_for": tuple(
                each for each in model.recommended_for if each.quality is None or each.quality in qualities
            ),
        }
    )


def _price_of(model: Model, group: _Group, margin: Decimal) -> PriceRange | None:
    """Return the list price of a model: the description's, unless the gateway tells another, or names its fee."""
    price, described = _price(group, margin), model.list_price_usd
    if price is None or described is None or _costs(price, margin) != _costs(described, margin):
        return described if price is None else price
    if price.fee_usd is None:
        return described
    return price.model_copy(update={"high": described.with_margin(margin)[1]})


def _costs(price: PriceRange | None, margin: Decimal) -> Decimal | None:
    return None if price is None else price.with_margin(margin)[0]


def _alone(contract: Catalog, id: str, group: _Group) -> Model:
    """Return a model that only the gateway tells of."""
    listed = group[0]
    return Model(
        id=id,
        provider=listed.provider or id.rpartition("/")[0] or _NO_PROVIDER,
        sizes=listed.sizes,
        qualities=listed.qualities,
        list_price_usd=_price(group, contract.spec.margin),
        max_images=contract.spec.request.n.maximum,
        max_prompt_characters=listed.max_prompt_characters,
    )


@lru_cache(maxsize=256)
def _from(low: Decimal, fee_usd: Decimal | None) -> PriceRange:
    """Return the range of a list price; many models share one, and making it is much of the work of a long list."""
    return PriceRange(low=low, fee_usd=fee_usd)


def _price(group: _Group, margin: Decimal) -> PriceRange | None:
    """Return the highest price that is told of a model: nothing shall cost more than is told."""
    prices = [_from(listed.price_usd, listed.fee_usd) for listed in group if listed.price_usd is not None]
    return max(prices, key=lambda price: price.with_margin(margin)[0], default=None)
