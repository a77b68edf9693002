"""Tells whether the words that a call wishes to be added contradict its prompt, or one another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from blockrun_image.enrichment.reading import Reading
from blockrun_image.enrichment.tips import Label, Tips, singular

_NEGATION = Label("negation", "")
_COORDINATIONS = frozenset({"and", "nor", "or"})
_SILENT = frozenset({"and", "nor", "or", "any", "much", "too", "very"})
_GENERIC = frozenset(
    {
        *("background", "color", "colour", "composition", "effect", "framing", "light", "lighting", "look", "shot"),
        *("style", "tone", "view"),
    }
)


@dataclass(frozen=True)
class Denial:
    """What one negation is about: its words and what they imply, and not only their kind.

    "No harsh light" leaves a soft one: its words are "harsh" alone.
    """

    words: frozenset[str]
    tags: frozenset[str]

    @classmethod
    def of(cls, tips: Tips, denied: Sequence[str]) -> Self:
        """Return that of the words that are negated together."""
        kinds = [word for word in denied if singular(word) in _GENERIC]
        telling = frozenset(map(singular, denied)) - _GENERIC
        tags = tips.tags_of(denied)
        particular = tags - tips.tags_of(kinds)
        return cls(telling or frozenset(map(singular, kinds)), particular if particular or telling else tags)

    def rules_out(self, reading: Reading) -> bool:
        """Tell whether the words that were read say what is negated, or imply it."""
        return self.words <= reading.said or bool(self.tags and self.tags <= reading.tags)


@dataclass(frozen=True)
class Statement:
    """What some words say, and what they deny."""

    tips: Tips
    reading: Reading
    denials: Sequence[Denial]

    @classmethod
    def of(cls, tips: Tips, reading: Reading) -> Self:
        """Return that of words that were read."""
        return cls(tips, reading, [Denial.of(tips, denied) for denied in dict.fromkeys(_denied(tips, reading))])

    def contradicts(self, other: Self) -> bool:
        """Tell whether the one denies what the other says, or what does not go with it."""
        clash = self.tips.conflict(self.reading.tags, other.reading.tags)
        return bool(clash) or self.denies(other) or other.denies(self)

    def denies(self, other: Self) -> bool:
        """Tell whether this one negates what the other says."""
        return any(denial.rules_out(other.reading) for denial in self.denials)


def _denied(tips: Tips, reading: Reading) -> Iterator[tuple[str, ...]]:
    """Yield what each negation is about: "people" in "no people in the background", and "text" and "logos" in turn."""
    if not reading.negated_words:
        return
    is_open = False
    denied: tuple[str, ...] = ()
    for words, labels in tips.lexicon.walk([*reading.plain, "no"]):
        is_negation = _NEGATION in labels
        is_negated = is_open and not is_negation and singular(words[-1]) in reading.negated_words
        content = (
            [word for word in words if word not in _SILENT and tips.lexicon.content_of(word)] if is_negated else ()
        )
        if content:
            denied = (*denied, *content)
            continue
        if denied:
            yield denied
        is_open = is_negation or (is_negated and (not denied or words[0] in _COORDINATIONS))
        denied = ()
