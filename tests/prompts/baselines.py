"""What the enricher is measured beside: itself as it is called, and what is simpler: nothing, or one of two rules."""

import re
from collections.abc import Mapping, Sequence

from tests.prompts.judged import JudgedPrompt
from tests.prompts.scoring import MAIN_FACETS
from tests.prompts.trial import Enrich

from blockrun_image import enrich
from blockrun_image.enrichment import Addition, EnrichedPrompt

_SUFFIX = {
    "style": "highly detailed, professional photo",
    "composition": "centered composition",
    "lighting": "soft studio lighting",
}
_KEYWORDS = {
    "style": r"photo\w*|painting|drawing|illustration|vector|render|sketch|cartoon|watercolou?r|anime|pixel art|style",
    "composition": r"close-up|wide|portrait|view|angle|shot|aerial|composition|centered|overhead",
    "lighting": r"light|lighting|lit|sun|sunset|sunny|night|dark|neon|moonlight|glow|shadows?",
}
_USUAL = {"style": "photorealistic", "composition": "centered composition", "lighting": "natural lighting"}
_CUES: Mapping[str, Mapping[str, str]] = {
    r"logo|icon|emblem": {"style": "flat vector style", "composition": "centered composition"},
    r"diagram|chart|infographic": {"style": "clean flat style", "composition": "clear layout"},
    r"landscape|mountains?|valley|beach": _USUAL | {"composition": "wide angle view"},
}


def ours(judged: JudgedPrompt, text: str) -> EnrichedPrompt:
    """Enrich a text as the project does."""
    asked = judged.arguments
    return enrich(
        text,
        model=judged.model,
        size=judged.size,
        purpose=asked.purpose,
        art_style=asked.art_style,
        composition=asked.composition,
        lighting=asked.lighting,
    )


def nothing(_: JudgedPrompt, text: str) -> EnrichedPrompt:
    """Leave every prompt as it is."""
    return _appended(text, {}, present=[], found="nothing")


def fixed_suffix(judged: JudgedPrompt, text: str) -> EnrichedPrompt:
    """Append the same words to whatever does not end in them."""
    is_done = text.endswith(f", {', '.join(_SUFFIX.values())}")
    return _appended(text, {} if is_done else _SUFFIX, present=[], found="fixed")


def keyword_rule(judged: JudgedPrompt, text: str) -> EnrichedPrompt:
    """Append a usual phrase for each facet that none of a few words names, by what a few cues say it is."""
    present = [facet for facet, words in _KEYWORDS.items() if _says(text, words)]
    phrases = next((phrases for cue, phrases in _CUES.items() if _says(text, cue)), _USUAL)
    return _appended(text, {facet: phrases[facet] for facet in phrases if facet not in present}, present, "keywords")


BASELINES: Mapping[str, Enrich] = {"add nothing": nothing, "fixed suffix": fixed_suffix, "keyword rule": keyword_rule}


def _says(text: str, words: str) -> bool:
    return re.search(rf"\b(?:{words})\b", text, re.IGNORECASE) is not None


def _appended(text: str, phrases: Mapping[str, str], present: Sequence[str], found: str) -> EnrichedPrompt:
    applied = [Addition(facet, phrase, "use", found, "a baseline") for facet, phrase in phrases.items()]
    there = {*present, *phrases}
    return EnrichedPrompt(
        prompt=", ".join([text, *phrases.values()]),
        original=text,
        applied=applied,
        present=present,
        missing=[facet for facet in MAIN_FACETS if facet not in there],
        reason="" if applied else "it lacks nothing",
    )
