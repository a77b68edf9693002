"""Writes an example of a better prompt: the user's words plus the advised phrases."""

from blockrun_image.enrichment.enriched import EnrichedPrompt
from blockrun_image.enrichment.reading import read
from blockrun_image.enrichment.tips import Tips
from blockrun_image.text import is_ended, within

_MAX_BYTES = 280  # one example in a result, for a prompt of any length


def example_of(enriched: EnrichedPrompt) -> str:
    """Return the prompt with its advised phrases, without contradictions.

    Returns an empty text without advice. The example has at most 280 bytes; a long prompt is cut.
    """
    tips = Tips.built_in()
    tags = read(tips, enriched.prompt).tags
    phrases: list[str] = []
    for advice in enriched.advice:  # each fits the prompt, but two may contradict each other
        added = read(tips, advice.example).tags
        if not tips.conflict(added, tags):
            phrases.append(advice.example)
            tags |= added
    return _join(enriched.prompt, ", ".join(phrases)) if phrases else ""


def _join(prompt: str, words: str) -> str:
    theirs = within(" ".join(prompt.split()), _MAX_BYTES - len(words)).rstrip(",;:")
    return f"{theirs} {words[0].upper()}{words[1:]}." if is_ended(theirs) else f"{theirs}, {words}"
