"""The vocabulary's terms, searchable by the words of a prompt."""

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_HOUR = re.compile(r"(?<=\d) ?([ap])\.? ?m\b\.?")


class Label(NamedTuple):
    """The meaning of a lexicon term, such as a facet, a tag or a subject."""

    kind: str
    value: str


ENGLISH = Label("language", "english")
"""Marks small English words, which say nothing about the picture."""

FOREIGN = Label("language", "other")
"""Marks words of other languages; a prompt in another language is left as it is."""

NEGATION = Label("negation", "")
"""The label of the terms that rule out what follows; `negations` in the vocabulary lists them all."""

_ONE_MEANING = frozenset({"subject", "destination", "named_use", "head_use", "place"})
_NOTHING: frozenset[Label] = frozenset()
_GUARD = Label("guard", "")


class Lexicon:
    """Terms of one or more words with their labels, indexed by the first word.

    It has their regular plurals too.
    """

    def __init__(self, terms: Iterable[tuple[str, Label]]) -> None:
        self._labels: dict[str, frozenset[Label]] = {}
        self._max_words: dict[str, int] = {}  # of the longer terms that begin with a word
        alone: dict[Label, frozenset[Label]] = {}
        terms = list(terms)
        listed = {(term, label.kind) for term, label in terms if label.kind in _ONE_MEANING}
        for term, label in terms:
            if not isinstance(term, str) or not term:  # pyright: ignore[reportUnnecessaryIsInstance] - JSON
                raise ValueError(f"{term!r}, a term of {' '.join(label).strip()}, has no words")
            # Terms with equal labels share one set: there are thousands of them.
            labels = alone.setdefault(label, frozenset({label}))
            for form in (term, plural(term)):
                if form != term and (form, label.kind) in listed:
                    continue  # "icons" are listed as a set, and are no plural of the icon
                known = self._labels.get(form)
                self._labels[form] = labels if known is None else known | labels
            if " " in term:
                first, words = term[: term.index(" ")], term.count(" ") + 1
                self._max_words[first] = max(words, self._max_words.get(first, 0))

    def walk(self, tokens: Sequence[str]) -> Iterator[tuple[Sequence[str], AbstractSet[Label]]]:
        """Yield the tokens in order, each with its labels.

        Mostly, they come one by one. The labels are those of all terms that begin at the token. A guard, such as "light
        blue", comes as a whole and hides the labels of its single words. A possessive has the labels of its owner.
        """
        position = 0
        while position < len(tokens):
            labels, length = self._at(tokens, position)
            yield tokens[position : position + length], labels
            position += length

    def has(self, word: str) -> bool:
        """Return whether the lexicon has this word as a term."""
        return word in self._labels

    def content_of(self, text: str) -> frozenset[str]:
        """Return the meaningful words of a text, in the singular."""
        return frozenset(singular(word) for word in words_of(text) if ENGLISH not in self._at([word], 0)[0])

    def _at(self, tokens: Sequence[str], position: int) -> tuple[AbstractSet[Label], int]:
        first = tokens[position]
        alone = self._labels.get(first) or self._labels.get(first.removesuffix("'s"), _NOTHING)
        if first not in self._max_words:
            return alone, 1
        labels = _NOTHING
        for length in range(self._max_words[first], 1, -1):  # the longest term first, as it may be a guard
            matched = self._labels.get(" ".join(tokens[position : position + length]))
            if matched:
                labels |= matched
                if _GUARD in matched:
                    return labels, length
        return labels | alone, 1


def words_of(text: str) -> Sequence[str]:
    """Return the words of a text in lower case, without punctuation."""
    return _WORD.findall(in_lower_case(text.replace("’", "'")))


def in_lower_case(text: str) -> str:
    """Return the text in lower case, with hours such as 2 a.m. as one word."""
    return _HOUR.sub(r"\1m", text.lower())


def plural(word: str) -> str:
    """Return the regular plural of an English noun."""
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else f"{word}s"


def singular(word: str) -> str:
    """Return a word without a regular plural ending, judged by its letters alone."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
