"""Adds a few words after the user's verbatim prompt, or none, offline and deterministically."""

from functools import cache

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment.enriched import MODES, PURPOSES, Addition, Advice, EnrichedPrompt, PromptOptions
from blockrun_image.model import Model

__all__ = ["MODES", "PURPOSES", "Addition", "Advice", "EnrichedPrompt", "PromptOptions", "enrich"]


def enrich(  # noqa: PLR0913 - the tool's own arguments
    prompt: str,
    *,
    model: Model | str,
    size: str | None = None,
    purpose: str = "auto",
    art_style: str = "",
    composition: str = "",
    lighting: str = "",
) -> EnrichedPrompt:
    """Return the enriched prompt to send to `model`.

    The user's words come first and verbatim, followed by words that decide something, or by none. It works offline, is
    deterministic, and changes nothing more if it is done again. The result is within the model's limit in characters,
    or is the prompt itself. Raises `UnknownModelError` if the built-in catalogue lacks the model's id, and
    `InvalidRequestError` for a purpose that does not exist or words that are not a short phrase.
    """
    from blockrun_image.enrichment.enricher import Enricher  # noqa: PLC0415 - the first prompt pays, not the start

    chosen = _built_in_catalog().find(model) if isinstance(model, str) else model
    options = PromptOptions(purpose=purpose, art_style=art_style, composition=composition, lighting=lighting)
    return Enricher.of(chosen, size, options).enrich(prompt)


@cache
def _built_in_catalog() -> Catalog:
    return Catalog.load()
