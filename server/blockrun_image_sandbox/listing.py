"""The sandbox's model list in the gateway's format, and scripted changes to it."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from blockrun_image.catalog import Catalog
from blockrun_image.editing import with_editing
from blockrun_image.errors import UnknownModelError
from blockrun_image.joining import join
from blockrun_image.listing import read_listing
from blockrun_image.model import Model

_MAX_CHANGES = 1_000


class Change(BaseModel):
    """One change to the list, of exactly one kind.

    `add` appends an entry as it is, even if malformed; `remove` removes the entries of an id; `set` lays fields over
    the entry `of` an id, and a `null` removes a field: another `id` for another spelling, `pricePerImage` for another
    price, `available: false` for a retired model; `reset` restores the first list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    add: Any = None
    remove: str | None = None
    set: dict[str, Any] | None = None
    of: str | None = None
    reset: bool = False

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> "Change":
        kinds = [name for name in ("add", "remove", "set", "reset") if name in self.model_fields_set]
        if len(kinds) != 1 or (self.set is None) != (self.of is None):
            raise ValueError("a change has one of add, remove, reset, or set with the id that it is of")
        return self


_CHANGES: TypeAdapter[list[Change]] = TypeAdapter(Annotated[list[Change], Field(max_length=_MAX_CHANGES)])


class SandboxListing:
    """The sandbox's list and its models, each known only by its listed id."""

    def __init__(self, contract: Catalog) -> None:
        self._contract = with_editing(contract, contract.spec.edits)
        self.reset()

    def reset(self) -> None:
        """List the models of the API's description, and no others."""
        self._replace([_entry(model) for model in self._contract])

    def change(self, text: bytes) -> int:
        """Apply a JSON list of changes and return their number; raises `pydantic.ValidationError`."""
        changes = _CHANGES.validate_json(text)
        for change in changes:
            self._do(change)
        return len(changes)

    def find(self, id: object) -> Model:
        """Return the model listed by exactly that id; raises `UnknownModelError`."""
        model = self.catalog.find(id)
        if self.catalog.sent_as(model.id) != id:
            raise UnknownModelError("Unknown image model.")
        return model

    def _do(self, change: Change) -> None:
        if change.reset:
            self.reset()
        elif change.remove is not None:
            self._replace([entry for entry in self._entries if _id(entry) != change.remove])
        elif change.set is not None:
            self._replace([_laid_over(entry, change) for entry in self._entries])
        else:
            self._replace([*self._entries, change.add])

    def _replace(self, entries: Sequence[object]) -> None:
        self._entries = entries
        self.body = json.dumps({"object": "list", "data": entries}).encode()
        self.etag = f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'
        facts = json.loads(self.body, parse_int=str, parse_float=str, parse_constant=str)
        # The sandbox reads its own list as the server does, so that both have the same models.
        self.catalog = join(self._contract, read_listing(facts, "sandbox", 0), "live")


def _entry(model: Model) -> dict[str, object]:
    listed = model.list_price_usd
    known: dict[str, object] = {
        "pricePerImage": None if listed is None else float(listed.low),
        "supportedSizes": list(model.sizes) or None,
        "supportedQualities": list(model.qualities) or None,
        "maxPromptLength": model.max_prompt_characters,
    }
    facts = {name: value for name, value in known.items() if value is not None}
    return {"id": model.id, "object": "model", "owned_by": model.provider, "categories": ["image"], **facts}


def _laid_over(entry: object, change: Change) -> object:
    if _id(entry) != change.of or change.set is None:
        return entry
    fields = {**cast("dict[str, object]", entry), **change.set}
    return {name: value for name, value in fields.items() if value is not None}


def _id(entry: object) -> object:
    return cast("dict[str, object]", entry).get("id") if isinstance(entry, dict) else None
