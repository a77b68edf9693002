"""One judged prompt, as an enricher left it: what was added to it, and what it did when asked again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from tests.prompts.judged import JudgedPrompt

from blockrun_image import Catalog
from blockrun_image.enrichment import Addition, EnrichedPrompt

Enrich: TypeAlias = Callable[[JudgedPrompt, str], EnrichedPrompt]
"""Enriches a text as the judged prompt's call asks for; the text is its prompt, or that prompt enriched before."""


@dataclass(frozen=True)
class Trial:
    """What one prompt became, what it became the second time, and what the enriched one became; or what was raised."""

    judged: JudgedPrompt
    result: EnrichedPrompt
    repeated: EnrichedPrompt
    again: EnrichedPrompt
    error: str = ""

    @property
    def added(self) -> Sequence[Addition]:
        """The additions of the enricher's own choice: those that the call does not ask for."""
        return [each for each in self.result.applied if each.source != "argument"]

    @property
    def own_words(self) -> str:
        """The words of the enricher's own choice."""
        return ", ".join(each.text for each in self.added)

    @property
    def appended(self) -> str:
        """What stands after the prompt, whatever the report says of it."""
        original = self.judged.prompt
        if self.result.prompt.startswith(original):
            return self.result.prompt.removeprefix(original)
        return ", ".join(each.text for each in self.result.applied)

    @property
    def facets(self) -> frozenset[str]:
        """The facets that something was added for, by the enricher or for an argument."""
        return frozenset(each.facet for each in self.result.applied)

    @property
    def limit(self) -> int:
        """How many characters the model takes."""
        return limit_of(self.judged.model)


def tried(enrich: Enrich, judged: JudgedPrompt) -> Trial:
    """Enrich a judged prompt, and then once more, and then what came of it."""
    try:
        result = enrich(judged, judged.prompt)
        return Trial(judged, result, enrich(judged, judged.prompt), enrich(judged, result.prompt))
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        untouched = EnrichedPrompt(judged.prompt, judged.prompt, reason="it could not be enriched")
        return Trial(judged, untouched, untouched, untouched, repr(error))


@cache
def limit_of(model: str) -> int:
    """Return how many characters a model takes."""
    limit = Catalog.load().find(model).max_prompt_characters
    assert limit is not None
    return limit
