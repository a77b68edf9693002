"""Whether the prompt vocabulary is closed, so that enriching twice changes nothing more.

What is added has to be found again, as what it was added for, and must pull nothing else after it; each term has to
tell what it is there for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.prompts.vocabulary import Phrases, both, lists_of_phrases, lists_of_terms

from blockrun_image.enrichment.enriched import MAIN_FACETS
from blockrun_image.enrichment.lexicon import NEGATION, Label, words_of
from blockrun_image.enrichment.reading import read
from blockrun_image.enrichment.tips import Tips

_NEVER_TAKEN = ("guard", "negation", "opt_out")
_PRAISE = {"4k", "8k", "award", "beautiful", "best", "masterpiece", "quality", "stunning", "trending", "ultra"}
_HOSTS = ("Zyx, {}.", "Zyx. {}.", "A zyx of zyx, {}", "Zyx for my zyx, {}", "Zyx:\n{}.")
"""Prompts that say nothing themselves, with a phrase after them as the enricher puts it there."""

_HOSTS_OF_A_USE = ("{name}, {{}}", "zyx {name}: {{}}.", "{name} for zyx. {{}}.")
"""Prompts that name a use alone; what stands after it could be what the picture depicts."""

_NAMED: Mapping[str, str] = {"heads": "zyx {}", "names": "zyx {}", "places": "zyx for my {}"}
"""Prompts in which a term names its use, by the list that it stands in."""


@dataclass(frozen=True)
class Closure:
    """A vocabulary as it stands in the file, and as it was read from there."""

    data: Any
    tips: Tips

    def faults(self) -> Iterator[str]:
        """Yield what is not closed, each with its place."""
        for phrases in lists_of_phrases(self.data):
            for text in phrases.texts:
                yield from (f"{phrases.place}: {text!r} {fault}" for fault in self._said_beside(phrases, text))
            yield from self._twins(phrases)
        for place, label, terms in lists_of_terms(self.data):
            yield from (f"{place}: {term!r} {fault}" for term in terms for fault in self._lost(term, label))

    @cached_property
    def _first_use(self) -> tuple[str, str]:
        """A use, and a name of it."""
        return next((name, use["names"][0]) for name, use in self.data["uses"].items() if "names" in use)

    @cached_property
    def _hosts(self) -> Sequence[str]:
        """Prompts for a phrase to stand in."""
        _, name = self._first_use
        return [*_HOSTS, *(host.format(name=name) for host in _HOSTS_OF_A_USE)]

    def _said_beside(self, phrases: Phrases, text: str) -> Iterator[str]:
        """Yield what a phrase says beside its facet, or instead of it; a subject's own may name that subject."""
        reading = read(self.tips, f"Zyx, {text}.")
        named = reading.present & set(MAIN_FACETS)
        if phrases.facet not in named:
            yield f"is not found as {phrases.facet}"
        yield from (f"is found as {other}" for other in sorted(named - {phrases.facet}))
        readings = [read(self.tips, host.format(text)).grammar for host in self._hosts]
        uses = {each.use for each in readings} - {"", self._first_use[0]}
        subjects = {each.subject for each in readings if not phrases.place.startswith(f"subjects.{each.subject}.")} - {
            ""
        }
        yield from (f"names a use, {use}" for use in sorted(uses))
        yield from (f"names a subject, {subject}" for subject in sorted(subjects))
        yield from (f"names a source of light, {source}" for source in sorted(reading.sources))
        labels = [labels for _, labels in self.tips.lexicon.walk(words_of(text))]
        if any(NEGATION in each for each in labels):
            yield "rules something out"
        reason = reading.why_untouchable or reading.why_unclear
        if reason:
            yield f"has a prompt left alone, because {reason}"
        clash = self.tips.conflict(reading.tags, reading.tags)
        if clash:
            yield f"contradicts itself, as {both(clash)}"
        yield from (f"praises, with {word!r}" for word in words_of(text) if word in _PRAISE)

    def _twins(self, phrases: Phrases) -> Iterator[str]:
        """Yield the phrases of a list that say the same, apart from case, marks and order."""
        first: dict[tuple[str, ...], str] = {}
        for text in phrases.texts:
            twin = first.setdefault(tuple(sorted(re.findall(r"\w+", text.lower()))), text)
            if twin is not text:
                yield f"{phrases.place}: {text!r} is the same as {twin!r}"

    def _lost(self, term: str, label: Label) -> Iterator[str]:
        """Yield why a term does not tell what it is there for where it stands alone."""
        _, labels = next(iter(self.tips.lexicon.walk(words_of(term))))
        if label.kind not in _NAMED and label not in labels:
            yield "is not found"
        elif NEGATION in labels and label.kind not in _NEVER_TAKEN:
            yield "begins with what rules it out"
        elif label.kind == "subject":
            told = read(self.tips, term).grammar.subject
            if told != label.value:
                yield f"tells {told or 'nothing'}"
        elif label.kind == "source" and not self._gives_light(term, label.value):
            yield "rules out its own light"
        elif label.kind in _NAMED:
            told = read(self.tips, _NAMED[label.kind].format(term)).grammar.use
            if told != label.value:
                yield f"tells {told or 'nothing'}"

    def _gives_light(self, cue: str, source: str) -> bool:
        """Tell whether the light of a source goes with what its cue implies, such as a place indoors."""
        tags = read(self.tips, f"zyx {cue}").tags
        return any(self.tips.goes_with(light, tags) for light in self.tips.sources[source].phrases["lighting"])
