"""Finds the noun phrases of a prompt."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from blockrun_image.enrichment.lexicon import Label


def words_in(*lines: str) -> frozenset[str]:
    """Return the words of some lines."""
    return frozenset(word for line in lines for word in line.split())


_DETERMINERS = words_in("a an the my our your his her their its this that these")
# A noun phrase ends before these.
_STOPS = words_in(
    "in on at with by for from under over near beside behind between of through into onto inside outside against",
    "during as like about around across along above below after before beneath among within without towards toward",
    "next to up down off out that which who whose while when where because so but and or plus vs versus is are was",
    "has have says using via showing depicting featuring wearing holding made dressed surrounded covered filled",
    "called named titled sits sit stands runs looks being per than not no going doing coming it he she they we i you",
    "there seen lit",
)
_NOUNS_IN_ING = words_in(
    "ceiling clothing drawing evening king lettering lightning matching morning painting pudding rendering repeating",
    "ring sibling spring string thing viking wedding wing",
)
_NOUN_KINDS = frozenset({"destination", "named_use", "head_use", "place", "subject"})


class Span(NamedTuple):
    """A word, or a term of several, with its labels; punctuation has none, and negated words say nothing."""

    words: Sequence[str]
    labels: AbstractSet[Label]
    is_negated: bool = False

    @property
    def word(self) -> str:
        """The last word, which is a noun phrase's head if the span ends one."""
        return self.words[-1]

    @property
    def is_punctuation(self) -> bool:
        """Whether it is a mark."""
        return not self.words[0][0].isalnum()

    def values(self, kind: str) -> Iterator[str]:
        """Yield the values of its labels of a kind, in order."""
        return iter(sorted(label.value for label in self.labels if label.kind == kind))

    def names(self, sort: str) -> bool:
        """Return whether it is a noun of a sort, such as a carrier."""
        return Label("noun", sort) in self.labels


class Phrase(NamedTuple):
    """A noun phrase: the positions of its first span, and after its last one, which is its head."""

    start: int
    end: int

    @property
    def is_empty(self) -> bool:
        """Whether it has no words."""
        return self.end <= self.start


@dataclass(frozen=True)
class Spans:
    """The spans of a prompt, and the noun phrases in them."""

    all: Sequence[Span]

    def __len__(self) -> int:
        """Return their number."""
        return len(self.all)

    def word(self, position: int) -> str:
        """Return the last word of a span, or an empty text after the end."""
        return self.all[position].word if position < len(self.all) else ""

    def phrase(self, start: int) -> Phrase:
        """Return the noun phrase that starts at a position."""
        end = start
        while end < len(self.all) and not self.stops(end, start):
            end += 1
        return Phrase(start, end)

    def phrase_after_determiners(self, start: int) -> Phrase:
        """Return the noun phrase that starts at a position, without "the" and its like."""
        while self.word(start) in _DETERMINERS:
            start += 1
        return self.phrase(start)

    def head(self, phrase: Phrase) -> Span | None:
        """Return the last span of a phrase, which says what it is."""
        return None if phrase.is_empty or phrase.end > len(self.all) else self.all[phrase.end - 1]

    def stops(self, position: int, start: int) -> bool:
        """Return whether a phrase that starts at `start` ends before a position."""
        span = self.all[position]
        if span.is_punctuation or span.is_negated or span.word in _STOPS:
            return True
        return position > start and _is_participle(span)

    def ends_a_phrase(self, position: int, sorts: AbstractSet[str]) -> bool:
        """Return whether a span ends a noun phrase, but for nouns of some sorts and colours after it.

        "A header image" is a header, and so is "a header white and gold".
        """
        after = position + 1
        while after < len(self.all) and (_is_colour(self.all[after]) or any(map(self.all[after].names, sorts))):
            after += 1
        return after >= len(self.all) or (self.stops(after, position) and self.word(after) != "like")

    def is_plural(self, position: int) -> bool:
        """Return whether a word looks like a plural."""
        word = self.word(position)
        return word.endswith("s") and not word.endswith("ss")


def _is_participle(span: Span) -> bool:
    is_noun = any(label.kind in _NOUN_KINDS for label in span.labels) or span.word in _NOUNS_IN_ING
    return len(span.words) == 1 and span.word.endswith("ing") and not is_noun


def _is_colour(span: Span) -> bool:
    return Label("facet", "colour") in span.labels
