"""Reads the prompt vocabulary, `prompt_tips.json`."""

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

from blockrun_image.enrichment.enriched import MAIN_FACETS, PURPOSES
from blockrun_image.enrichment.lexicon import Label, Lexicon, words_of

_LIT = "lit"  # ruled out by "without any light"
_FACETS: Mapping[str, str] = {
    **{facet: facet for facet in MAIN_FACETS},
    **dict.fromkeys(("scene", "wide", "tall", "lettered"), "composition"),
    "scene_light": "lighting",
}


@dataclass(frozen=True)
class Phrase:
    """Words to add for a facet; `tags` are those of its own words, and a lighting phrase also has the tag `lit`."""

    facet: str
    text: str
    words: frozenset[str]
    tags: frozenset[str]


@dataclass(frozen=True)
class Kind:
    """A purpose, a use or a class of subjects, with its phrases.

    Each facet has its phrases, the best first. Compositions have variants too: `scene` for a subject with something
    beside it, `wide` and `tall` for the picture's shape, `lettered` for a prompt with quoted words. `of` has the kinds
    that replace it for some subjects. `skips` are the facets that it has no use for, and `ask` is a
    request for what only the prompt's author can know.

    `living` is what may be a figure of its material, `countless` what may come in any number, and `any_style` what has
    its phrases in any style that is not drawn.
    """

    phrases: Mapping[str, Sequence[Phrase]]
    of: Mapping[str, "Kind"]
    skips: Sequence[str] = ()
    ask: str = ""
    any_style: bool = False
    living: bool = False
    countless: bool = False


@dataclass(frozen=True)
class Tips:
    """The vocabulary, ready for use."""

    lexicon: Lexicon
    presets: Mapping[str, Mapping[str, Phrase]]
    purposes: Mapping[str, Kind]
    uses: Mapping[str, Kind]
    subjects: Mapping[str, Kind]
    sources: Mapping[str, Kind]
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
        with _reading("presets"):
            presets = {
                facet: {id: _phrase(lexicon, facet, text) for id, text in texts.items()}
                for facet, texts in data["presets"].items()
            }
        with _reading("conflicts"):
            pairs = [(one, other) for one, other in data["conflicts"]]  # stored both ways, as order has no meaning
        with _reading("lists of phrases"):
            return cls(
                lexicon=lexicon,
                presets=presets,
                purposes=_kinds(lexicon, data["purposes"]),
                uses=_kinds(lexicon, data["uses"]),
                subjects=_kinds(lexicon, data["subjects"]),
                sources=_kinds(lexicon, data["sources"]),
                conflicts=frozenset(pairs + [(other, one) for one, other in pairs]),
                unlit=frozenset(data["unlit"]),
                says={facet: data["facets"][facet]["say"] for facet in MAIN_FACETS},
            )

    @cached_property
    def texts(self) -> Sequence[str]:
        """The texts of all phrases in lower case, the longest first."""
        kinds = [*self.purposes.values(), *self.uses.values(), *self.subjects.values(), *self.sources.values()]
        kinds += [replaced for kind in kinds for replaced in kind.of.values()]
        found = {phrase.text.lower() for kind in kinds for phrases in kind.phrases.values() for phrase in phrases}
        return sorted(found, key=lambda text: (-len(text), text))

    def goes_with(self, phrase: Phrase, tags: frozenset[str]) -> bool:
        """Return whether a phrase suits a prompt's tags; charts and line drawings get no scene's light."""
        is_out_of_place = phrase.facet == "lighting" and not self.unlit.isdisjoint(tags)
        return not is_out_of_place and not self.conflict(phrase.tags, tags)

    def tags_of(self, words: Sequence[str]) -> frozenset[str]:
        """Return the tags implied by the terms among these words."""
        implied = (label for _, labels in self.lexicon.walk(words) for label in labels)
        return frozenset(label.value for label in implied if label.kind == "tag")

    def conflict(self, some: frozenset[str], others: frozenset[str]) -> tuple[str, str] | None:
        """Return the first contradicting pair of tags, one of each side, or `None`."""
        return min(((one, other) for one in some for other in others if (one, other) in self.conflicts), default=None)


@contextmanager
def _reading(part: str) -> Generator[None]:
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{part}: there is no {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{part}: {error}") from error


def _terms(data: Mapping[str, Any]) -> Iterator[tuple[str, Label]]:
    nouns = {subject: entry["nouns"] for subject, entry in data["subjects"].items()}
    destinations = {use for use, entry in data["uses"].items() if entry.get("destination", False)}
    names = {use: entry.get("names", ()) for use, entry in data["uses"].items()}
    uses: Mapping[str, Mapping[str, Iterable[str]]] = {
        "destination": {use: words for use, words in names.items() if use in destinations},
        "named_use": {use: words for use, words in names.items() if use not in destinations},
        "head_use": {use: entry.get("heads", ()) for use, entry in data["uses"].items()},
        "place": {use: entry.get("places", ()) for use, entry in data["uses"].items()},
    }
    sources = {source: entry["cues"] for source, entry in data["sources"].items()}
    kinds: Mapping[str, Mapping[str, Iterable[str]]] = {
        "facet": {facet: entry["terms"] for facet, entry in data["facets"].items()},
        "tag": data["tags"],
        "subject": nouns,
        **uses,
        "source": sources,
        "noun": data["nouns"],
        "guard": {"": [*data["guards"], *_compounds([nouns, *uses.values(), data["nouns"]])]},
        "opt_out": {"": data["opt_outs"]},
        "negation": {"": data["negations"]},
        "language": data["languages"],
    }
    for kind, values in kinds.items():
        for value, terms in values.items():
            label = Label(kind, value)
            yield from ((term, label) for term in terms)
    for entry in data["subjects"].values():
        for tag in entry.get("implies", ()):
            yield from ((noun, Label("tag", tag)) for noun in entry["nouns"])


def _compounds(lists: Iterable[Mapping[str, Iterable[str]]]) -> Iterator[str]:
    """Yield the nouns of several words; their single words must not get labels of their own."""
    return (term for values in lists for terms in values.values() for term in terms if " " in term)


def _phrase(lexicon: Lexicon, facet: str, text: str) -> Phrase:
    implied = [label for _, labels in lexicon.walk(words_of(text)) for label in labels]
    tags = frozenset(label.value for label in implied if label.kind == "tag")
    return Phrase(facet, text, lexicon.content_of(text), tags | {_LIT} if facet == "lighting" else tags)


def _kinds(lexicon: Lexicon, entries: Mapping[str, Any]) -> Mapping[str, Kind]:
    return {name: _kind(lexicon, entry) for name, entry in entries.items()}


def _kind(lexicon: Lexicon, entry: Mapping[str, Any]) -> Kind:
    return Kind(
        phrases={
            part: [_phrase(lexicon, facet, text) for text in entry.get(part, ())] for part, facet in _FACETS.items()
        },
        of=_kinds(lexicon, entry.get("of", {})),
        skips=entry.get("skips", ()),
        ask=entry.get("ask", ""),
        any_style=entry.get("any_style", False),
        living=entry.get("living", False),
        countless=entry.get("countless", False),
    )
