"""Chooses, for each facet that a prompt lacks, the first phrase that suits it and contradicts nothing."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal, TypeAlias
from zlib import crc32

from blockrun_image.enrichment.enriched import MAIN_FACETS, Addition, Advice
from blockrun_image.enrichment.reading import OTHER, Reading
from blockrun_image.enrichment.tips import Phrase, Tips

Source: TypeAlias = Literal["purpose", "size", "subject", "fallback"]

_MOST_WORDS_OF_A_BARE_PROMPT = 8
_MOST_UNKNOWN_BESIDE_A_STYLE = 1  # which goes by the subject, whereas the light goes by every word


@dataclass(frozen=True)
class Choice:
    """What suits one prompt, as it was read.

    `key_word` tells what it is about, `shape` is `wide`, `tall` or empty, and `given` are the facets that it has.
    """

    tips: Tips
    reading: Reading
    key_word: str
    purpose: str
    shape: str
    given: AbstractSet[str]

    @property
    def wanted(self) -> Sequence[str]:
        """The main facets that the prompt lacks and its purpose does not do without."""
        purpose = self.tips.purposes.get(self.purpose)
        skipped = purpose.skips if purpose else ()
        return [facet for facet in MAIN_FACETS if facet not in self.given and facet not in skipped]

    def additions(self) -> Sequence[Addition]:
        """Return one phrase for each wanted facet that has a fitting one, in the order of the facets."""
        chosen: list[Addition] = []
        tags = self.reading.tags
        for facet in self.wanted:
            for source, rule, phrase in self._fitting(facet, tags):
                if facet != "style" or source == "purpose" or self._is_bare():
                    chosen.append(Addition(facet, phrase.text, source, rule, f"no {facet} named"))
                    tags = tags | phrase.tags
                break
        return chosen

    def advice(self, facets: Sequence[str]) -> Sequence[Advice]:
        """Return what to say about each of the facets, with the phrase that would fit best."""
        examples = {facet: next(self._fitting(facet, self.reading.tags), None) for facet in facets}
        return [Advice(facet, self.tips.says[facet], example[2].text) for facet, example in examples.items() if example]

    def _is_bare(self) -> bool:
        return not self.given & set(MAIN_FACETS) and self.reading.words <= _MOST_WORDS_OF_A_BARE_PROMPT

    def _is_understood(self, facet: str) -> bool:
        """Tell whether enough words are known that none can speak against what usually suits such a subject."""
        most_unknown = _MOST_UNKNOWN_BESIDE_A_STYLE if facet == "style" else 0
        return self.reading.subject is not None and self.reading.unknown <= most_unknown

    def _fitting(self, facet: str, tags: frozenset[str]) -> Iterator[tuple[Source, str, Phrase]]:
        for source, rule, phrases in self._offers(facet):
            fitting = [phrase for phrase in phrases if self._fits(phrase, tags)]
            for phrase in (
                *self._turned([each for each in fitting if each.needs]),
                *self._turned([each for each in fitting if not each.needs]),
            ):
                yield source, rule, phrase

    def _fits(self, phrase: Phrase, tags: frozenset[str]) -> bool:
        return self.tips.goes_with(phrase, tags) and not self.reading.rules_out(phrase.words, phrase.tags)

    def _offers(self, facet: str) -> Iterator[tuple[Source, str, Sequence[Phrase]]]:
        """Yield the lists of phrases to choose from, the most particular first, with where each stands in the data."""
        purpose = self.tips.purposes.get(self.purpose)
        kind = self.reading.subject.kind if self.reading.subject else OTHER
        subject = self.tips.subjects[kind]
        if facet == "composition" and self.shape:
            if purpose:
                yield "purpose", f"purposes.{self.purpose}.{self.shape}", purpose.phrases[self.shape]
            yield "size", f"subjects.{kind}.{self.shape}", subject.phrases[self.shape]
            yield "size", f"shapes.{self.shape}", self.tips.shapes[self.shape]
        if purpose:
            yield "purpose", f"purposes.{self.purpose}.{facet}", purpose.phrases[facet]
        if self._is_understood(facet):
            yield "subject", f"subjects.{kind}.{facet}", subject.phrases[facet]
        yield "fallback", f"fallbacks.{facet}", self.tips.fallbacks.phrases[facet]

    def _turned(self, phrases: Sequence[Phrase]) -> Iterator[Phrase]:
        """Yield the phrases, beginning at one that depends on what the prompt is about, so that prompts differ."""
        start = crc32(self.key_word.encode("utf-8", "replace"))
        return (phrases[(start + step) % len(phrases)] for step in range(len(phrases)))
