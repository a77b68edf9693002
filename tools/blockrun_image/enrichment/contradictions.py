"""Detects whether the words to be added contradict the prompt, or one another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from blockrun_image.enrichment.lexicon import NEGATION, singular
from blockrun_image.enrichment.reading import Reading
from blockrun_image.enrichment.tips import Tips

# "no text or logos" and "no text and logos" negate both nouns.
_COORDINATIONS = frozenset({"and", "nor", "or"})
_SILENT = frozenset({"and", "nor", "or", "any", "much", "too", "very"})
# Words that only name a kind: "no harsh light" denies "harsh", but not light.
_GENERIC = frozenset(
    {
        *("background", "color", "colour", "composition", "effect", "framing", "light", "lighting", "look", "shot"),
        *("style", "tone", "view"),
    }
)


@dataclass(frozen=True)
class Denial:
    """The words and tags denied by one negation, without their mere kind.

    "No harsh light" leaves a soft one: its words are "harsh" alone.
    """

    words: frozenset[str]
    tags: frozenset[str]

    @classmethod
    def of(cls, tips: Tips, denied: Sequence[str]) -> Self:
        """Return the denial of words under one negation."""
        kinds = [word for word in denied if singular(word) in _GENERIC]
        telling = frozenset(map(singular, denied)) - _GENERIC
        tags = tips.tags_of(denied)
        particular = tags - tips.tags_of(kinds)
        return cls(telling or frozenset(map(singular, kinds)), particular if particular or telling else tags)

    def rules_out(self, reading: Reading) -> bool:
        """Return whether a reading says the negated words or implies their tags."""
        return self.words <= reading.affirmed or bool(self.tags and self.tags <= reading.tags)


@dataclass(frozen=True)
class Statement:
    """The meaning of some words, and their denials."""

    tips: Tips
    reading: Reading
    denials: Sequence[Denial]

    @classmethod
    def of(cls, tips: Tips, reading: Reading) -> Self:
        """Return the statement of a reading."""
        return cls(tips, reading, [Denial.of(tips, denied) for denied in dict.fromkeys(_negations(tips, reading))])

    def contradicts(self, other: Self) -> bool:
        """Return whether either statement denies the other, or their tags conflict."""
        clash = self.tips.conflict(self.reading.tags, other.reading.tags)
        return bool(clash) or self.denies(other) or other.denies(self)

    def denies(self, other: Self) -> bool:
        """Return whether this statement negates the other one."""
        return any(denial.rules_out(other.reading) for denial in self.denials)


def _negations(tips: Tips, reading: Reading) -> Iterator[tuple[str, ...]]:
    """Yield the words of each negation: "people" for "no people in the background".

    For "no text and logos", "text" and "logos" come one by one.
    """
    if not reading.negated_words:
        return
    is_open = False
    denied: tuple[str, ...] = ()
    for words, labels in tips.lexicon.walk([*reading.plain, "no"]):  # the last "no" ends an open negation
        is_negation = NEGATION in labels
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
