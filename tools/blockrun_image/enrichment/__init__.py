"""The user's prompt, first and verbatim, plus tips that fit it; offline and deterministic."""

from blockrun_image.enrichment.enriched import MODES, PURPOSES, Addition, Advice, EnrichedPrompt, Wishes
from blockrun_image.enrichment.enricher import enrich

__all__ = ["MODES", "PURPOSES", "Addition", "Advice", "EnrichedPrompt", "Wishes", "enrich"]
