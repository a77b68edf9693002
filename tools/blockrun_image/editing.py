"""Says which models make images from pictures at the gateway in use."""

from dataclasses import replace

from blockrun_image.catalog import Catalog
from blockrun_image.document import Editing
from blockrun_image.spec import EditOperation, Spec


def operation_at(spec: Spec, base_url: str, *, is_blockrun: bool) -> EditOperation | None:
    """Return the operation that makes images from pictures at a gateway, or `None` if it is not known to have one.

    `is_blockrun` says that it is the described API itself, perhaps at another host.
    """
    edits = spec.edits
    if edits is None or edits.base_urls is None or is_blockrun or base_url in edits.base_urls:
        return edits
    return None


def with_editing(catalog: Catalog, operation: EditOperation | None) -> Catalog:
    """Return the catalogue for a gateway with this operation; without one, no model starts from pictures."""
    models = {**catalog.models}
    for id, model in catalog.models.items():
        edits = _editing_of(catalog, id) if operation else None
        if edits != model.edits:
            models[id] = model.model_copy(update={"edits": edits})
    return replace(catalog, models=models, edit=operation)


def _editing_of(catalog: Catalog, id: str) -> Editing | None:
    """Return what a model takes to start from; its own entry counts before the description's table."""
    described = (catalog.contract or catalog).spec.models.get(id, {})
    if "edits" in described:
        return Editing.model_validate(described["edits"])
    table = catalog.spec.api.edits
    if table is None:
        return None
    public_ids = {**catalog.spec.aliases, **catalog.listed}
    return next((edits for each, edits in table.models.items() if id in (each, public_ids.get(each))), None)
