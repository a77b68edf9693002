"""Writes an example of better words: the asker's own, with the phrases that were advised behind them."""

from blockrun_image.enrichment.enriched import EnrichedPrompt
from blockrun_image.enrichment.reading import read
from blockrun_image.enrichment.tips import Tips
from blockrun_image.text import is_ended, within

_MOST_BYTES = 280


def example_of(enriched: EnrichedPrompt) -> str:
    """Return the prompt with the phrases of its advice, none of which contradicts another; empty without advice.

    It has at most 280 bytes; what is long of the prompt is cut.
    """
    tips = Tips.built_in()
    tags = read(tips, enriched.prompt).tags
    phrases: list[str] = []
    for advice in enriched.advice:
        told = read(tips, advice.example).tags
        if not tips.conflict(told, tags):
            phrases.append(advice.example)
            tags |= told
    return _joined(enriched.prompt, ", ".join(phrases)) if phrases else ""


def _joined(prompt: str, words: str) -> str:
    theirs = within(" ".join(prompt.split()), _MOST_BYTES - len(words)).rstrip(",;:")
    return f"{theirs} {words[0].upper()}{words[1:]}." if is_ended(theirs) else f"{theirs}, {words}"
