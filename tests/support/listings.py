"""What a gateway lists, as it comes over the wire."""

import json
from typing import Any

from blockrun_image.catalog import Catalog
from blockrun_image.joining import Scope, join
from blockrun_image.listing import ListedModel, Listing, read_listing

GATEWAY = "pictures.example"
SEEN_AT = 1_764_028_800.0
SEEN, DAY = "2025-11-25T00:00:00Z", "2025-11-25"


def read_body(body: object) -> Listing | None:
    """Read an answer as the server does: its numbers are the texts that stand in the JSON."""
    told = json.loads(json.dumps(body), parse_int=str, parse_float=str, parse_constant=str)
    return read_listing(told, GATEWAY, SEEN_AT)


def listing(*entries: object) -> Listing:
    """Return what is read of a list of these entries."""
    listed = read_body({"object": "list", "data": entries})
    assert listed is not None
    return listed


def image(id: str, price: object = None, **fields: Any) -> dict[str, Any]:
    """Return an entry that is told to make images, for free if the price is 0."""
    priced = {} if price is None else {"pricePerImage": price} | ({} if price else {"free": True})
    return {"id": id, "object": "model", "categories": ["image"], **priced, **fields}


def joined(contract: Catalog, *entries: object, scope: Scope = "both") -> Catalog:
    """Return the catalogue with a list of these entries joined in."""
    return join(contract, listing(*entries), scope)


def many(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Return so many entries with names, providers and prices of their own, the cheapest last."""
    return [
        image(f"vendor-{number % 9}/painter-{number:04}", f"{1 - number / 10_000:.4f}", **fields)
        for number in range(count)
    ]


def only(entry: object) -> ListedModel:
    """Return what is read of one entry."""
    (listed,) = listing(entry).models
    return listed


def refused(*entries: object) -> int:
    """Return how many entries are refused, if all are."""
    told = listing(*entries)
    assert told.models == ()
    return told.unusable
