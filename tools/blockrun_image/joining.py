"""Joins the models of the API's description with a gateway's current list.

Two ids are the same model if the description's alias table says so, or if one is `provider/name`, the other `name`, and
no second provider (counting aliases) has that name. The description's id is the public one.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from blockrun_image.catalog import Catalog
from blockrun_image.editing import with_editing
from blockrun_image.model import Model, PriceRange, name_of

if TYPE_CHECKING:
    from blockrun_image.listing import ListedModel, Listing

Scope: TypeAlias = Literal["contract", "live", "both"]
"""The source of the models: the API's description, the gateway's list, or both."""

SCOPES: Sequence[str] = get_args(Scope)

_Group: TypeAlias = "Sequence[ListedModel]"
"""All entries of one model; it is requested by the first one's id."""

_NO_PROVIDER = "not listed"
_MAX_STRANGERS = 1_000


def join(contract: Catalog, listing: "Listing | None", scope: Scope = "both") -> Catalog:
    """Return the models of the scope.

    The list's facts take precedence over the description's. Models that the list lacks or marks unavailable become
    `unavailable`, unless the operator added them. A list changes nothing if it has none of the description's models and
    does not mark any other as an image model: then it is not a list of image models.
    """
    if listing is None or scope == "contract":
        return contract
    available = {id: group for id, group in _groups(contract, listing).items() if _is_available(contract, id, group)}
    if not available:
        return contract
    margin, added = contract.spec.margin, contract.spec.added_models
    joined = {
        id: _update_from_list(model, available[id], margin) for id, model in contract.models.items() if id in available
    }
    if scope == "both":
        joined |= {id: model for id, model in contract.models.items() if id in added and id not in available}
    others = {id: _model_from_list(contract, id, group) for id, group in available.items() if id not in joined}
    catalog = Catalog(
        spec=contract.spec,
        models=joined | others,
        unavailable={id: model for id, model in contract.models.items() if id not in joined} if scope == "both" else {},
        contract=contract,
        listing=listing,
        listed={listed.id: id for id, group in available.items() for listed in group},
        has_fee=contract.has_fee,
    )
    return with_editing(catalog, contract.edit)


def without_strangers(contract: Catalog, listing: "Listing") -> "Listing":
    """Return the list without entries of unknown kind.

    An entry stays if the list marks it as an image model, or the description has it. `others` is emptied.
    """
    public_ids = _public_ids(contract, [listed.id for listed in listing.models])
    images = (each for each in listing.models if each.is_told_an_image or public_ids[each.id] in contract.models)
    return listing.model_copy(update={"models": tuple(images), "others": ()})


def strangers(contract: Catalog, listing: "Listing") -> Sequence[str]:
    """Return the listed ids of models not known to make images.

    Neither the list marks them as image models, nor the description has them.
    """
    confirmed = {listed.id for listed in without_strangers(contract, listing).models} | {*contract.models}
    listed_ids = [*(listed.id for listed in listing.models), *listing.others]
    return [id for id in dict.fromkeys(listed_ids) if id not in confirmed][:_MAX_STRANGERS]


def _groups(contract: Catalog, listing: "Listing") -> Mapping[str, _Group]:
    """Return the list's entries of each model, by the public id."""
    public_ids = _public_ids(contract, [listed.id for listed in listing.models])
    groups: defaultdict[str, list[ListedModel]] = defaultdict(list)
    for listed in listing.models:
        groups[public_ids[listed.id]].append(listed)
    return {id: _in_order(id, group) for id, group in groups.items()}


def _in_order(id: str, group: _Group) -> _Group:
    if len(group) == 1:
        return group
    # Requests name the first entry: an available one, if possible under the public id.
    return sorted(group, key=lambda listed: (not listed.is_available, listed.id != id))


def _public_ids(contract: Catalog, listed: Sequence[str]) -> Mapping[str, str]:
    """Return the public id for each listed id."""
    aliases = {id for id, model in contract.spec.aliases.items() if model in contract.models}
    known = {*listed, *contract.models, *aliases}
    providers = Counter(name_of(id) for id in known if "/" in id)
    prefixed = {name_of(id): id for id in contract.models if "/" in id}

    def public_id(id: str) -> str:
        name, alias = name_of(id), contract.spec.aliases.get(id)
        if id in contract.models:
            return id
        if alias is not None and alias in contract.models:
            return alias
        if providers[name] != 1:  # two providers have this name: they may be two models
            return id
        return name if "/" in id and name in known else prefixed.get(id, id)

    return {id: public_id(id) for id in listed}


def _is_available(contract: Catalog, id: str, group: _Group) -> bool:
    return group[0].is_available and (id in contract.models or group[0].is_told_an_image)


def _update_from_list(model: Model, group: _Group, margin: Decimal) -> Model:
    """Return a described model, updated by its entries in the list."""
    listed, price = group[0], _price_of(model, group, margin)
    sizes, qualities = listed.sizes or model.sizes, listed.qualities or model.qualities
    offered = [each for each in model.prices if each.size in sizes and each.quality in (qualities or [None])]
    is_confirmed = _costs(price, margin) == _costs(model.list_price_usd, margin)
    return model.model_copy(
        update={
            "sizes": sizes,
            "qualities": qualities,
            "list_price_usd": price,
            "prices": tuple(offered) if is_confirmed else (),  # they were published for the old list price
            "max_prompt_characters": listed.max_prompt_characters or model.max_prompt_characters,
            "recommended_for": tuple(
                each for each in model.recommended_for if each.quality is None or each.quality in qualities
            ),
        }
    )


def _price_of(model: Model, group: _Group, margin: Decimal) -> PriceRange | None:
    """Return a model's list price.

    It is the description's, unless the gateway's differs or names a fee.
    """
    price, described = _price(group, margin), model.list_price_usd
    if price is None or described is None or _costs(price, margin) != _costs(described, margin):
        return described if price is None else price
    if price.fee_usd is None:
        return described
    # A price beside a fee includes the margin, so the description's high end must too.
    return price.model_copy(update={"high": described.with_margin(margin)[1]})


def _costs(price: PriceRange | None, margin: Decimal) -> Decimal | None:
    return None if price is None else price.with_margin(margin)[0]


def _model_from_list(contract: Catalog, id: str, group: _Group) -> Model:
    """Return a model known only from the gateway's list."""
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
    """Return the range of a list price.

    It is cached: a long list repeats a few prices, and making ranges is much of its work.
    """
    return PriceRange(low=low, fee_usd=fee_usd)


def _price(group: _Group, margin: Decimal) -> PriceRange | None:
    """Return a model's highest listed price, so that no estimate is too low."""
    prices = [_from(listed.price_usd, listed.fee_usd) for listed in group if listed.price_usd is not None]
    return max(prices, key=lambda price: price.with_margin(margin)[0], default=None)
