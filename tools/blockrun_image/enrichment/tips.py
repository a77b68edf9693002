"""Reads the prompt vocabulary, `prompt_tips.json`, into a searchable lexicon."""

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from blockrun_image.enrichment.enriched import MAIN_FACETS, PURPOSES

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

_NOTHING: frozenset[Label] = frozenset()
_GUARD = Label("guard", "")
_LIT = frozenset({"lit"})  # ruled out by "without any light"


@dataclass(frozen=True)
class Phrase:
    """Words to add for a facet; `tags` are those of its own words.

    A lighting phrase also has the tag `lit`. If `needs` has tags, the phrase suits only a prompt with one of them.
    """

    id: str
    facet: str
    text: str
    words: frozenset[str]
    tags: frozenset[str]
    needs: frozenset[str]

    def suits(self, tags: frozenset[str]) -> bool:
        """Return whether a prompt's tags meet the phrase's needs."""
        return not self.needs or not self.needs.isdisjoint(tags)


@dataclass(frozen=True)
class Kind:
    """A purpose or a subject class, with its phrases and skipped facets."""

    phrases: Mapping[str, Sequence[Phrase]]
    skips: Sequence[str] = ()


@dataclass(frozen=True)
class Tips:
    """The vocabulary, ready for use."""

    lexicon: "Lexicon"
    phrases: Mapping[str, Mapping[str, Phrase]]
    purposes: Mapping[str, Kind]
    subjects: Mapping[str, Kind]
    fallbacks: Kind
    shapes: Mapping[str, Sequence[Phrase]]
    conflicts: frozenset[tuple[str, str]]
    unlit: frozenset[str]
    says: Mapping[str, str]

    @classmethod
    @cache
    def built_in(cls) -> "Tips":
        """Return the packaged vocabulary, read on first use."""
        file = resources.files("blockrun_image").joinpath("prompt_tips.json")
        return cls.read(json.loads(file.read_text(encoding="utf-8")))

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Tips":
        """Read a vocabulary; raises `ValueError` with the place of the damage."""
        with _reading("purposes"):
            if set(data["purposes"]) != set(PURPOSES) - {"auto"}:
                raise ValueError("they are not those that can be asked for")
        with _reading("terms"):
            lexicon = Lexicon(_terms(data))
        with _reading("phrases"):
            phrases = {
                facet: {id: _phrase(lexicon, id, facet, text, data["needs"].get(id, ())) for id, text in texts.items()}
                for facet, texts in data["phrases"].items()
            }
        with _reading("conflicts"):
            pairs = [(one, other) for one, other in data["conflicts"]]  # stored both ways, as order has no meaning
        with _reading("lists of phrases"):
            return cls(
                lexicon=lexicon,
                phrases=phrases,
                purposes={name: _kind(phrases, entry) for name, entry in data["purposes"].items()},
                subjects={name: _kind(phrases, entry) for name, entry in data["subjects"].items()},
                fallbacks=_kind(phrases, data["fallbacks"]),
                shapes={shape: [phrases["composition"][id] for id in ids] for shape, ids in data["shapes"].items()},
                conflicts=frozenset(pairs + [(other, one) for one, other in pairs]),
                unlit=frozenset(data["unlit"]),
                says={facet: data["facets"][facet]["say"] for facet in MAIN_FACETS},
            )

    def goes_with(self, phrase: Phrase, tags: frozenset[str]) -> bool:
        """Return whether a phrase suits a prompt's tags.

        Charts and line drawings get no scene's light.
        """
        is_of_a_scene = phrase.facet == "lighting" and self.unlit.isdisjoint(phrase.needs)
        is_out_of_place = is_of_a_scene and not self.unlit.isdisjoint(tags)
        return phrase.suits(tags) and not is_out_of_place and not self.conflict(phrase.tags, tags)

    def tags_of(self, words: Sequence[str]) -> frozenset[str]:
        """Return the tags implied by the terms among these words."""
        implied = (label for _, labels in self.lexicon.walk(words) for label in labels)
        return frozenset(label.value for label in implied if label.kind == "tag")

    def conflict(self, some: frozenset[str], others: frozenset[str]) -> tuple[str, str] | None:
        """Return the first contradicting pair of tags, one of each side, or `None`."""
        return min(((one, other) for one in some for other in others if (one, other) in self.conflicts), default=None)


class Lexicon:
    """Terms of one or more words with their labels, indexed by the first word.

    It has their regular plurals too.
    """

    def __init__(self, terms: Iterable[tuple[str, Label]]) -> None:
        self._labels: dict[str, frozenset[Label]] = {}
        self._max_words: dict[str, int] = {}  # of the longer terms that begin with a word
        alone: dict[Label, frozenset[Label]] = {}
        for term, label in terms:
            if not isinstance(term, str) or not term:  # pyright: ignore[reportUnnecessaryIsInstance] - JSON
                raise ValueError(f"{term!r}, a term of {' '.join(label).strip()}, has no words")
            # Terms with equal labels share one set: there are thousands of them.
            labels = alone.setdefault(label, frozenset({label}))
            for form in (term, plural(term)):
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


@contextmanager
def _reading(part: str) -> Generator[None]:
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{part}: there is no {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{part}: {error}") from error


def _terms(data: Mapping[str, Any]) -> Iterator[tuple[str, Label]]:
    kinds: Mapping[str, Mapping[str, Iterable[str]]] = {
        "facet": {facet: entry["terms"] for facet, entry in data["facets"].items()},
        "tag": data["tags"],
        "purpose": {purpose: entry["cues"] for purpose, entry in data["purposes"].items()},
        "subject": {subject: entry["nouns"] for subject, entry in data["subjects"].items()},
        "guard": {"": [*data["guards"], *_compounds(data["subjects"])]},
        "opt_out": {"": data["opt_outs"]},
        "negation": {"": data["negations"]},
        "language": data["languages"],
    }
    for kind, values in kinds.items():
        for value, terms in values.items():
            label = Label(kind, value)
            yield from ((term, label) for term in terms)
    # A foreign word for a facet names it, but also shows that the prompt is not English.
    for facet, terms in data["foreign"].items():
        for term in terms:
            yield from ((term, Label("facet", facet)), (term, FOREIGN))


def _compounds(subjects: Mapping[str, Any]) -> Iterator[str]:
    """Yield the nouns of several words.

    Their single words must not get labels of their own.
    """
    return (noun for entry in subjects.values() for noun in entry["nouns"] if " " in noun)


def _phrase(lexicon: Lexicon, id: str, facet: str, text: str, needs: Iterable[str]) -> Phrase:
    implied = [label for _, labels in lexicon.walk(words_of(text)) for label in labels]
    tags = frozenset(label.value for label in implied if label.kind == "tag")
    if facet == "lighting":
        tags |= _LIT
    return Phrase(id, facet, text, lexicon.content_of(text), tags, frozenset(needs))


def _kind(phrases: Mapping[str, Mapping[str, Phrase]], entry: Mapping[str, Any]) -> Kind:
    wanted = {facet: facet for facet in MAIN_FACETS} | {"wide": "composition", "tall": "composition"}
    return Kind(
        phrases={name: [phrases[facet][id] for id in entry.get(name, [])] for name, facet in wanted.items()},
        skips=entry.get("skips", ()),
    )
