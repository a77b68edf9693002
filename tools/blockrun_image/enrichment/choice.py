"""Chooses the phrases that decide something for a prompt.

A phrase comes from the first of these that has a fitting one: the call's purpose, the use of the picture, the subject,
a source of light. A use always speaks; a subject speaks only if it is certain what is depicted.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from blockrun_image.enrichment.enriched import MAIN_FACETS, Addition
from blockrun_image.enrichment.reading import Reading
from blockrun_image.enrichment.tips import Kind, Phrase, Tips

Source: TypeAlias = Literal["purpose", "use", "subject", "light"]

_MAX_WORDS_OF_A_BARE_PROMPT = 8
_MAX_WORDS_ABOUT_A_SUBJECT = 12
_SCENES = {"composition": "scene", "lighting": "scene_light"}
_OF_A_SCENE = frozenset({"night", "day", "sun", "no_sun", "indoors", "outdoors", "named_background"})
_DRAWN = frozenset({"drawn", "flat_art", "line_art", "painted", "rendered_3d", "printed"})


@dataclass(frozen=True)
class Choice:
    """The fitting phrases for one prompt; `shape` is `wide`, `tall` or empty, and `given` are the facets it names."""

    tips: Tips
    reading: Reading
    purpose: str
    shape: str
    given: AbstractSet[str]

    @property
    def wanted(self) -> Sequence[str]:
        """The prompt's missing main facets, except those its purpose or its use skips."""
        skipped = {facet for _, _, kind in self.speakers for facet in kind.skips}
        return [facet for facet in MAIN_FACETS if facet not in self.given and facet not in skipped]

    def additions(self) -> Sequence[Addition]:
        """Return a fitting phrase for each wanted facet that has one, in facet order."""
        chosen: list[Addition] = []
        tags = self.reading.tags
        for facet in self.wanted:
            for source, rule, phrase in self._fitting(facet, tags):
                chosen.append(Addition(facet, phrase.text, source, rule, _why(facet, source, rule)))
                tags = tags | phrase.tags  # the next phrase must not contradict this one
                break
        return chosen

    @cached_property
    def _use(self) -> tuple[str, Kind] | None:
        """The picture's use, or the one that replaces it for this subject, with its place in the data."""
        grammar = self.reading.grammar
        use = self.tips.uses.get(grammar.use)
        if use is None:
            return None
        replaced = use.of.get(grammar.subject)
        place = f"uses.{grammar.use}"
        return (place, use) if replaced is None else (f"{place}.of.{grammar.subject}", replaced)

    @cached_property
    def _subject(self) -> Kind | None:
        return self.tips.subjects.get(self.reading.grammar.subject)

    @cached_property
    def speakers(self) -> Sequence[tuple[Source, str, Kind]]:
        """The kinds that speak for this prompt whatever else it says."""
        speakers: list[tuple[Source, str, Kind]] = []
        if self.purpose in self.tips.purposes:
            speakers.append(("purpose", f"purposes.{self.purpose}", self.tips.purposes[self.purpose]))
        if self._use:
            speakers.append(("use", *self._use))
        return speakers

    @cached_property
    def _is_certain(self) -> bool:
        """Whether the subject's phrases can be trusted: it is one thing, and few words stand beside it."""
        reading, grammar = self.reading, self.reading.grammar
        return (
            self._subject is not None
            and not (grammar.is_several and not self._subject.countless)
            and not grammar.is_joined
            and reading.words <= _MAX_WORDS_ABOUT_A_SUBJECT
            and reading.unknown <= 1
            and not grammar.is_guise
            and not (self._subject.living and (grammar.is_of_a_material or grammar.is_of_another))
            and not reading.has_lettering
        )

    @property
    def _is_bare(self) -> bool:
        """Whether the prompt is a subject alone, without a mood or a place; it may be a photo's."""
        reading = self.reading
        is_short = reading.words <= _MAX_WORDS_OF_A_BARE_PROMPT
        named = reading.present & {"mood", "composition", "lighting"}
        return is_short and reading.grammar.is_alone and not named

    def _fitting(self, facet: str, tags: frozenset[str]) -> Iterator[tuple[Source, str, Phrase]]:
        for source, kind, rule, part in self._offers(facet):
            for phrase in kind.phrases[part]:
                # "A logo for a night bus company" is no night scene.
                if self._fits(phrase, tags - _OF_A_SCENE if "lighting" in kind.skips else tags):
                    yield source, f"{rule}.{part}", phrase

    def _fits(self, phrase: Phrase, tags: frozenset[str]) -> bool:
        is_said = 2 * len(phrase.words & self.reading.affirmed) >= len(phrase.words)
        is_ruled_out = self.reading.rules_out(phrase.words, phrase.tags)
        return not is_said and not is_ruled_out and self.tips.goes_with(phrase, tags)

    def _offers(self, facet: str) -> Iterator[tuple[Source, Kind, str, str]]:
        """Yield what to choose from, the best first: its source, its kind with its place in the data, and its list."""
        for source, rule, kind in self.speakers:
            for part in self._parts(facet):
                yield source, kind, rule, part
        if self._subject and self._is_certain and (not self._use or facet == "lighting"):
            for part in self._parts_of_subject(self._subject, facet):
                yield "subject", self._subject, f"subjects.{self.reading.grammar.subject}", part
        if facet == "lighting":
            for name in sorted(self.reading.sources):
                yield "light", self.tips.sources[name], f"sources.{name}", facet

    def _parts_of_subject(self, subject: Kind, facet: str) -> Sequence[str]:
        """Return the lists of a subject that suit the prompt; those of a photo suit no other medium."""
        if not self._is_of_a_photo(subject):
            return ()
        in_a_scene = (_SCENES[facet],) if facet in _SCENES and "mood" not in self.reading.present else ()
        is_bare = self._is_bare or self.purpose in self.tips.purposes
        return (*self._parts(facet), *in_a_scene) if is_bare else in_a_scene

    def _is_of_a_photo(self, subject: Kind) -> bool:
        is_photo = "style" not in self.given or "photo" in self.reading.tags or subject.any_style
        return is_photo and self.reading.tags.isdisjoint(_DRAWN)

    def _parts(self, facet: str) -> Sequence[str]:
        """Return the lists of a facet that suit the prompt, the most particular first."""
        if facet != "composition":
            return (facet,)
        lettered = ("lettered",) if self.reading.has_lettering else ()
        shape = (self.shape,) if self.shape else ()
        return (*lettered, *shape, "composition")

    def suggestions(self, facet: str) -> Sequence[Phrase]:
        """Return phrases that suit the subject, but are too uncertain to be added."""
        grammar = self.reading.grammar
        is_odd = grammar.is_guise or grammar.is_of_a_material or grammar.is_of_another
        is_one = grammar.is_alone and not grammar.is_several and not grammar.is_joined
        is_short = self.reading.words <= _MAX_WORDS_OF_A_BARE_PROMPT
        if self._subject is None or self._use or is_odd or not is_one or not is_short:
            return ()
        phrases = [phrase for part in self._parts(facet) for phrase in self._subject.phrases[part]]
        is_photo = self._is_of_a_photo(self._subject)
        return [phrase for phrase in phrases if is_photo and self._fits(phrase, self.reading.tags)]


def _why(facet: str, source: Source, rule: str) -> str:
    if source == "use":
        return f"for use as {rule.split('.')[1].replace('_', ' ')}"
    return f"no {facet} named"
