"""What stands in the prompt vocabulary, list by list, each with its place."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from blockrun_image.enrichment.enriched import MAIN_FACETS
from blockrun_image.enrichment.lexicon import Label

USE_LISTS = ("heads", "names", "places")
"""The lists of the terms of a use, by where in a prompt a term names it."""

FACETS: Mapping[str, str] = {
    **{facet: facet for facet in MAIN_FACETS},
    **dict.fromkeys(("scene", "wide", "tall", "lettered"), "composition"),
    "scene_light": "lighting",
}
"""The facet of each list of phrases."""


class Phrases(NamedTuple):
    """A list that a phrase is chosen from, with its place, its facet and the facets that are skipped there."""

    place: str
    facet: str
    texts: Sequence[str]
    skips: Sequence[str] = ()


def lists_of_terms(data: Any) -> Iterator[tuple[str, Label, Sequence[str]]]:
    """Yield each list of terms with its place and what its terms tell; those of a use, by the name of their list."""
    for section, kind, part in (
        ("facets", "facet", "terms"),
        ("tags", "tag", ""),
        *(("uses", part, part) for part in USE_LISTS),
        ("subjects", "subject", "nouns"),
        ("sources", "source", "cues"),
        ("nouns", "noun", ""),
        ("languages", "language", ""),
    ):
        for name, entry in data[section].items():
            if not part or part in entry:
                place = f"{section}.{name}.{part}".removesuffix(".")
                yield place, Label(kind, name), entry[part] if part else entry
    yield from ((f"{kind}s", Label(kind, ""), data[f"{kind}s"]) for kind in ("guard", "opt_out", "negation"))


def lists_of_phrases(data: Any) -> Iterator[Phrases]:
    """Yield each list that a phrase is chosen from."""
    for facet, texts in data["presets"].items():
        yield Phrases(f"presets.{facet}", facet, [*texts.values()])
    for section in ("purposes", "uses", "subjects", "sources"):
        for name, entry in data[section].items():
            yield from _of_kind(f"{section}.{name}", entry)


def _of_kind(place: str, entry: Any) -> Iterator[Phrases]:
    for part, facet in FACETS.items():
        if part in entry:
            yield Phrases(f"{place}.{part}", facet, entry[part], entry.get("skips", ()))
    for subject, other in entry.get("of", {}).items():
        yield from _of_kind(f"{place}.of.{subject}", other)


def both(names: Iterable[str]) -> str:
    """Return names as they are read, in the same order each time."""
    return " and ".join(sorted(names))
