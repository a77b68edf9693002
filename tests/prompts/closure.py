"""Whether the prompt vocabulary is closed, so that enriching twice changes nothing more.

What is added has to be found again, as what it was added for, and must pull nothing else after it; each term has to
tell what it is there for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.prompts.vocabulary import both, lists_of_terms, needs_of

from blockrun_image.enrichment.enriched import MAIN_FACETS
from blockrun_image.enrichment.reading import read
from blockrun_image.enrichment.tips import NEGATION, Label, Phrase, Tips, words_of

_NEVER_TAKEN = ("guard", "negation", "opt_out")
_PRAISE = {"4k", "8k", "award", "beautiful", "best", "masterpiece", "quality", "stunning", "trending", "ultra"}


@dataclass(frozen=True)
class Closure:
    """A vocabulary as it stands in the file, and as it was read from there."""

    data: Any
    tips: Tips

    def faults(self) -> Iterator[str]:
        """Yield what is not closed, each with its place."""
        for phrase in self._phrases:
            found = [*self._said_beside(phrase), *self._purposes_told(phrase)]
            yield from (f"phrases.{phrase.facet}.{phrase.id}: {fault}" for fault in found)
            yield from (f"needs.{phrase.id}: {fault}" for fault in self._unsafe_needs(phrase))
        yield from self._twins()
        for place, label, terms in lists_of_terms(self.data):
            yield from (f"{place}: {term!r} {fault}" for term in terms for fault in self._lost(term, label))

    @cached_property
    def _phrases(self) -> list[Phrase]:
        return [phrase for phrases in self.tips.phrases.values() for phrase in phrases.values()]

    @cached_property
    def _needs(self) -> dict[str, frozenset[str]]:
        return {id: frozenset(tags) for id, tags in needs_of(self.data).items()}

    def _said_beside(self, phrase: Phrase) -> Iterator[str]:
        """Yield what a phrase says beside its facet, or instead of it."""
        reading = read(self.tips, f"Zyx, {phrase.text}.")
        named = reading.present & set(MAIN_FACETS)
        if phrase.facet not in named:
            yield f"it is not found as {phrase.facet}"
        yield from (f"it is found as {facet}" for facet in sorted(named - {phrase.facet}))
        if reading.subject:
            yield f"it names a subject, {reading.subject.word} ({reading.subject.kind})"
        if any(NEGATION in labels for _, labels in self.tips.lexicon.walk(words_of(phrase.text))):
            yield "it rules something out"
        reason = reading.why_untouchable or reading.why_unclear
        if reason:
            yield f"a prompt with it is left alone, because {reason}"
        clash = self.tips.conflict(phrase.tags, phrase.tags)
        if clash:
            yield f"it contradicts itself, as {both(clash)}"
        yield from (f"it praises, with {word!r}" for word in words_of(phrase.text) if word in _PRAISE)

    def _purposes_told(self, phrase: Phrase) -> Iterator[str]:
        """Yield the purposes that a phrase tells, where a rule adds it to prompts of another purpose or of none."""
        told = read(self.tips, phrase.text).purposes
        free = [phrases for kind in self.tips.subjects.values() for phrases in kind.phrases.values()]
        free += [*self.tips.fallbacks.phrases.values(), *self.tips.shapes.values()]
        if told and any(phrase in phrases for phrases in free):
            yield f"it tells {both(told)}, and is chosen for any purpose"
        for name, purpose in self.tips.purposes.items():
            if told - {name} and any(phrase in phrases for phrases in purpose.phrases.values()):
                yield f"it tells {both(told - {name})}, and is chosen for {name}"

    def _unsafe_needs(self, phrase: Phrase) -> Iterator[str]:
        """Yield the needs of a phrase that contradict it, and the additions that would meet them for the next time.

        What is chosen before it may have a tag that is needed, and meets the need at once; what is chosen later may
        have one only if a prompt that it is added to has one already.
        """
        needed = self._needs.get(phrase.id, frozenset())
        for tag in sorted(needed):
            if self.tips.conflict(frozenset({tag}), phrase.tags):
                yield f"{tag} contradicts it"
        for other in self._phrases:
            met = needed & other.tags
            is_met_before = other.id in self._needs and self._needs[other.id] <= needed
            is_later = MAIN_FACETS.index(other.facet) > MAIN_FACETS.index(phrase.facet)
            if met and is_later and not is_met_before:
                yield f"{other.id} has {both(met)}, and would let it be added the next time"

    def _twins(self) -> Iterator[str]:
        first: dict[str, Phrase] = {}
        for phrase in self._phrases:
            twin = first.setdefault(phrase.text.lower(), phrase)
            if twin is not phrase:
                yield f"phrases.{phrase.facet}.{phrase.id}: it is the same as {twin.facet}.{twin.id}"

    def _lost(self, term: str, label: Label) -> Iterator[str]:
        """Yield why a term does not tell what it is there for where it stands alone."""
        _, labels = next(self.tips.lexicon.walk(words_of(term)))
        if label not in labels:
            yield "is not found"
        elif NEGATION in labels and label.kind not in _NEVER_TAKEN:
            yield "begins with what rules it out"
        elif label.kind == "subject":
            subject = read(self.tips, term).subject
            if subject is None or subject.kind != label.value:
                yield f"tells {subject.kind if subject else 'nothing'}"
        elif label.kind == "purpose":
            told = read(self.tips, f"Zyx {term}, zyx").purposes
            first = next((name for name in self.tips.purposes if name in told), "nothing")
            if first != label.value:
                yield f"tells {first}"
