"""What stands in the prompt vocabulary, list by list, each with its place."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from blockrun_image.enrichment.enriched import MAIN_FACETS
from blockrun_image.enrichment.tips import Label

_FACETS: Mapping[str, str] = {
    **{facet: facet for facet in MAIN_FACETS},
    "wide": "composition",
    "tall": "composition",
}


def lists_of_terms(data: Any) -> Iterator[tuple[str, Label, Sequence[str]]]:
    """Yield each list of terms with its place and what its terms tell."""
    for section, kind, part in (
        ("facets", "facet", "terms"),
        ("tags", "tag", ""),
        ("purposes", "purpose", "cues"),
        ("subjects", "subject", "nouns"),
        ("languages", "language", ""),
        ("foreign", "facet", ""),
    ):
        for name, entry in data[section].items():
            place = f"{section}.{name}.{part}".removesuffix(".")
            yield place, Label(kind, name), entry[part] if part else entry
    yield from ((f"{kind}s", Label(kind, ""), data[f"{kind}s"]) for kind in ("guard", "opt_out", "negation"))


def lists_of_phrases(data: Any) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield each list that a phrase is chosen from, with its place and its facet."""
    kinds = {
        f"{section}.{name}": entry
        for section in ("purposes", "subjects")
        for name, entry in data.get(section, {}).items()
    }
    for place, entry in (kinds | {part: data[part] for part in ("fallbacks", "shapes") if part in data}).items():
        yield from ((f"{place}.{part}", facet, entry[part]) for part, facet in _FACETS.items() if part in entry)


def needs_of(data: Any) -> Mapping[str, Sequence[str]]:
    """Return, for each phrase that has needs, the tags of which a prompt must have one."""
    return data.get("needs", {})


def both(names: Iterable[str]) -> str:
    """Return names as they are read, in the same order each time."""
    return " and ".join(sorted(names))
