"""Reads the prompt vocabulary, `prompt_tips.json`, into a lexicon that is searched word by word."""

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


class Label(NamedTuple):
    """What a term of the lexicon tells: its kind, such as `facet`, `tag` or `subject`, and which one."""

    kind: str
    value: str


ENGLISH = Label("language", "english")
"""Marks the small words of English, which say nothing of the picture."""

_NOTHING: frozenset[Label] = frozenset()
_GUARD = Label("guard", "")
_LIT = frozenset({"lit"})


@dataclass(frozen=True)
class Phrase:
    """Words that can be added for a facet; `tags` are those that its own words have."""

    id: str
    facet: str
    text: str
    words: frozenset[str]
    tags: frozenset[str]


@dataclass(frozen=True)
class Kind:
    """A purpose or a class of subjects: which phrases suit it, facet by facet, and which facets it does without."""

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
    says: Mapping[str, str]

    @classmethod
    @cache
    def built_in(cls) -> "Tips":
        """Return the packaged vocabulary, read on first use."""
        file = resources.files("blockrun_image").joinpath("prompt_tips.json")
        return cls.read(json.loads(file.read_text(encoding="utf-8")))

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Tips":
        """Read a vocabulary; raises `ValueError`, which says where, for one that is damaged."""
        with _reading("purposes"):
            if set(data["purposes"]) != set(PURPOSES) - {"auto"}:
                raise ValueError("they are not those that can be asked for")
        with _reading("terms"):
            lexicon = Lexicon(_terms(data))
        with _reading("phrases"):
            phrases = {
                facet: {id: _phrase(lexicon, id, facet, text) for id, text in texts.items()}
                for facet, texts in data["phrases"].items()
            }
        with _reading("conflicts"):
            pairs = [(one, other) for one, other in data["conflicts"]]
        with _reading("lists of phrases"):
            return cls(
                lexicon=lexicon,
                phrases=phrases,
                purposes={name: _kind(phrases, entry) for name, entry in data["purposes"].items()},
                subjects={name: _kind(phrases, entry) for name, entry in data["subjects"].items()},
                fallbacks=_kind(phrases, data["fallbacks"]),
                shapes={shape: [phrases["composition"][id] for id in ids] for shape, ids in data["shapes"].items()},
                conflicts=frozenset(pairs + [(other, one) for one, other in pairs]),
                says={facet: data["facets"][facet]["say"] for facet in MAIN_FACETS},
            )

    def conflict(self, some: frozenset[str], others: frozenset[str]) -> tuple[str, str] | None:
        """Return the first two tags, one of each side, that contradict each other."""
        return min(((one, other) for one in some for other in others if (one, other) in self.conflicts), default=None)


class Lexicon:
    """Terms of one or more words with what they tell, their regular plurals included, found by their first word."""

    def __init__(self, terms: Iterable[tuple[str, Label]]) -> None:
        told: dict[tuple[str, ...], set[Label]] = {}
        for term, label in terms:
            try:
                *first, last = words_of(term)
            except (AttributeError, ValueError) as error:
                raise ValueError(f"{term!r}, a term of {' '.join(label).strip()}, has no words") from error
            for form in (last, plural(last)):
                told.setdefault((*first, form), set()).add(label)
        self._told = {words: frozenset(labels) for words, labels in told.items()}
        self._lengths: dict[str, list[int]] = {}
        for first, length in sorted({(words[0], len(words)) for words in told}, reverse=True):
            self._lengths.setdefault(first, []).append(length)

    def walk(self, tokens: Sequence[str]) -> Iterator[tuple[Sequence[str], AbstractSet[Label]]]:
        """Yield the tokens, mostly one by one, each with what it and the ones after it tell.

        A guard, such as "light blue", comes as a whole: it hides what its words would tell by themselves. A possessive
        tells what its owner does.
        """
        position = 0
        while position < len(tokens):
            labels, length = self._at(tokens, position)
            yield tokens[position : position + length], labels
            position += length

    def content_of(self, text: str) -> frozenset[str]:
        """Return the words of a text that carry its meaning, in the singular."""
        return frozenset(singular(word) for word in words_of(text) if ENGLISH not in self._at([word], 0)[0])

    def _at(self, tokens: Sequence[str], position: int) -> tuple[AbstractSet[Label], int]:
        labels: AbstractSet[Label] = _NOTHING
        first = tokens[position]
        if first not in self._lengths:
            first = first.removesuffix("'s")
        for length in self._lengths.get(first, ()):
            told = self._told.get((first, *tokens[position + 1 : position + length]), _NOTHING)
            labels = labels | told
            if _GUARD in told:
                return labels, length
        return labels, 1


def words_of(text: str) -> Sequence[str]:
    """Return the words of a text in lower case, without punctuation."""
    return _WORD.findall(text.lower().replace("’", "'"))


def plural(word: str) -> str:
    """Return the regular plural of an English noun."""
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else f"{word}s"


def singular(word: str) -> str:
    """Return a word without the ending of a regular plural, as far as its letters show."""
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
    for facet, entry in data["facets"].items():
        yield from ((term, Label("facet", facet)) for term in entry["terms"])
    for tag, terms in data["tags"].items():
        yield from ((term, Label("tag", tag)) for term in terms)
    for purpose, entry in data["purposes"].items():
        yield from ((cue, Label("purpose", purpose)) for cue in entry["cues"])
    for subject, entry in data["subjects"].items():
        yield from ((noun, Label("subject", subject)) for noun in entry["nouns"])
        yield from ((noun, _GUARD) for noun in entry["nouns"] if " " in noun)
    for kind in ("guard", "opt_out", "negation"):
        yield from ((term, Label(kind, "")) for term in data[f"{kind}s"])
    for language, words in data["languages"].items():
        yield from ((word, Label("language", language)) for word in words)


def _phrase(lexicon: Lexicon, id: str, facet: str, text: str) -> Phrase:
    told = [label for _, labels in lexicon.walk(words_of(text)) for label in labels]
    tags = frozenset(label.value for label in told if label.kind == "tag")
    if facet == "lighting" and "shaded" not in tags:
        tags |= _LIT
    return Phrase(id, facet, text, lexicon.content_of(text), tags)


def _kind(phrases: Mapping[str, Mapping[str, Phrase]], entry: Mapping[str, Any]) -> Kind:
    wanted = {facet: facet for facet in MAIN_FACETS} | {"wide": "composition", "tall": "composition"}
    return Kind(
        phrases={name: [phrases[facet][id] for id in entry.get(name, [])] for name, facet in wanted.items()},
        skips=entry.get("skips", ()),
    )
