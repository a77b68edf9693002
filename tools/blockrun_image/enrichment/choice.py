"""Chooses a fitting phrase for each missing facet, without contradictions."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal, TypeAlias
from zlib import crc32

from blockrun_image.enrichment.enriched import MAIN_FACETS, Addition, Advice
from blockrun_image.enrichment.reading import OTHER, Reading
from blockrun_image.enrichment.tips import Phrase, Tips

Source: TypeAlias = Literal["purpose", "size", "subject", "fallback"]

_MAX_WORDS_OF_A_BARE_PROMPT = 8
_MAX_UNKNOWN_BESIDE_A_STYLE = 1  # a style depends on the subject, but light depends on every word


@dataclass(frozen=True)
class Choice:
    """The fitting phrases for one prompt.

    `key_word` is the prompt's main word, `shape` is `wide`, `tall` or empty, and `given` are the facets it names.
    """

    tips: Tips
    reading: Reading
    key_word: str
    purpose: str
    shape: str
    given: AbstractSet[str]

    @property
    def wanted(self) -> Sequence[str]:
        """The prompt's missing main facets, except those its purpose skips."""
        purpose = self.tips.purposes.get(self.purpose)
        skipped = purpose.skips if purpose else ()
        return [facet for facet in MAIN_FACETS if facet not in self.given and facet not in skipped]

    def additions(self) -> Sequence[Addition]:
        """Return a fitting phrase for each wanted facet that has one, in facet order."""
        chosen: list[Addition] = []
        tags = self.reading.tags
        for facet in self.wanted:
            for source, rule, phrase in self._fitting(facet, tags):
                if facet != "style" or source == "purpose" or self._is_bare():
                    chosen.append(Addition(facet, phrase.text, source, rule, f"no {facet} named"))
                    tags = tags | phrase.tags  # the next phrase must not contradict this one
                break
        return chosen

    def advice(self, facets: Sequence[str]) -> Sequence[Advice]:
        """Return advice on the facets, each with its best-fitting phrase."""
        examples = {facet: next(self._fitting(facet, self.reading.tags), None) for facet in facets}
        return [Advice(facet, self.tips.says[facet], example[2].text) for facet, example in examples.items() if example]

    def _is_bare(self) -> bool:
        return not self.given & set(MAIN_FACETS) and self.reading.words <= _MAX_WORDS_OF_A_BARE_PROMPT

    def _is_understood(self, facet: str) -> bool:
        """Return whether enough words are known to trust the subject's usual phrases."""
        max_unknown = _MAX_UNKNOWN_BESIDE_A_STYLE if facet == "style" else 0
        return self.reading.subject is not None and self.reading.unknown <= max_unknown

    def _fitting(self, facet: str, tags: frozenset[str]) -> Iterator[tuple[Source, str, Phrase]]:
        for source, rule, phrases in self._offers(facet):
            fitting = [phrase for phrase in phrases if self._fits(phrase, tags)]
            # A phrase that needs one of the prompt's tags is more particular than one that fits any prompt.
            for phrase in (
                *self._rotate([each for each in fitting if each.needs]),
                *self._rotate([each for each in fitting if not each.needs]),
            ):
                yield source, rule, phrase

    def _fits(self, phrase: Phrase, tags: frozenset[str]) -> bool:
        return self.tips.goes_with(phrase, tags) and not self.reading.rules_out(phrase.words, phrase.tags)

    def _offers(self, facet: str) -> Iterator[tuple[Source, str, Sequence[Phrase]]]:
        """Yield the lists of phrases to choose from, most specific first.

        Each comes with its source and its place in the data.
        """
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

    def _rotate(self, phrases: Sequence[Phrase]) -> Iterator[Phrase]:
        """Yield the phrases from a start that depends on the key word.

        So prompts about different things get different phrases.
        """
        # hash() differs from process to process; enrichment must not.
        start = crc32(self.key_word.encode("utf-8", "replace"))
        return (phrases[(start + step) % len(phrases)] for step in range(len(phrases)))
