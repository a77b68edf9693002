"""Finds what is wrong with the prompt vocabulary; run as a program, it prints that, and exits with 1 if there is any.

The form is what `prompt_tips.schema.json` asks for. Beyond that, every name has to name something, every list is in
order, nothing stands there that makes no difference, and the vocabulary is closed (`closure.py`).
"""

import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import click
from jsonschema import Draft202012Validator, ValidationError
from tests.prompts.closure import Closure
from tests.prompts.vocabulary import USE_LISTS, both, lists_of_phrases, lists_of_terms

from blockrun_image.enrichment.lexicon import plural, words_of
from blockrun_image.enrichment.tips import Tips

_MAX_TEXT_CHARACTERS = 100
_NOT_HIDDEN = ("guard", "language")  # a guard that hides nothing but these makes no difference


@click.command()
def main() -> None:
    """Print what is wrong with the packaged vocabulary, a line for each fault."""
    try:
        found = faults(packaged("prompt_tips.json"))
    except ValueError as error:
        raise click.ClickException(f"It is no JSON: {error}.") from error
    click.echo("\n".join(found) or "prompt_tips.json has no faults.")
    sys.exit(bool(found))


def faults(data: Any) -> Sequence[str]:
    """Return what is wrong with a vocabulary, each with its place.

    Where its form is wrong, nothing else is looked at; where a name names nothing, nothing but the names.
    """
    found = [*_form(data)] or [*_strangers(data)]
    if found:
        return found
    try:
        tips = Tips.read(data)
    except ValueError as error:
        return [str(error)]
    return [*_disorder(data), *_idle(data, tips), *Closure(data, tips).faults()]


def packaged(name: str) -> Any:
    """Return what a packaged JSON file holds; raises `ValueError` if that is no JSON."""
    return parsed(_text(name))


def parsed(text: str) -> Any:
    """Return what a JSON text holds; raises `ValueError` if it is none, or would lose one of two equal names."""
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"{both(twice)} stands twice in one object")
    return dict(pairs)


def _text(name: str) -> str:
    return resources.files("blockrun_image").joinpath(name).read_text(encoding="utf-8")


@cache
def _schema() -> Any:
    return json.loads(_text("prompt_tips.schema.json"))


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(_schema())


def _form(data: Any) -> Iterator[str]:
    for error in _validator().iter_errors(data):  # pyright: ignore[reportUnknownMemberType] - of jsonschema
        place = ".".join(_plain(step) for step in error.absolute_path) or "the file"
        schema: Any = error.schema  # pyright: ignore[reportUnknownMemberType] - of jsonschema
        yield f"{place}: {_misfit(error)} ({schema['description']})"


def _misfit(error: ValidationError) -> str:
    value: Any = error.instance  # pyright: ignore[reportUnknownMemberType] - of jsonschema
    if isinstance(value, str):
        return f"'{_plain(value)}' does not fit its {error.validator}"
    if error.validator == "uniqueItems":
        return both(item for item, count in Counter(map(ascii, value)).items() if count > 1) + " more than once"
    return _plain(error.message)


def _plain(text: object) -> str:
    """Return a text in printable ASCII, not too long for a line."""
    plain = ascii(str(text))[1:-1]
    return plain if len(plain) <= _MAX_TEXT_CHARACTERS else f"{plain[:_MAX_TEXT_CHARACTERS]}..."


def _strangers(data: Any) -> Iterator[str]:
    """Yield the names that name nothing, or more than one thing."""
    tagged = [("unlit", data["unlit"]), *(("conflicts", pair) for pair in data["conflicts"])]
    tagged += [(f"subjects.{name}.implies", entry.get("implies", ())) for name, entry in data["subjects"].items()]
    for place, tags in tagged:
        yield from (f"{place}: there is no tag {tag}" for tag in tags if tag not in data["tags"])
    for name, use in data["uses"].items():
        yield from (
            f"uses.{name}.of: there is no subject {subject}"
            for subject in use.get("of", ())
            if subject not in data["subjects"]
        )
    yield from _shared("uses", {name: _terms_of(use) for name, use in data["uses"].items()})
    yield from _shared("subjects", {name: {*entry["nouns"]} for name, entry in data["subjects"].items()})
    yield from _shared("sources", {name: {*entry["cues"]} for name, entry in data["sources"].items()})


def _terms_of(use: Any) -> set[str]:
    return {term for part in USE_LISTS for term in use.get(part, ())}


def _shared(section: str, terms: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield the terms that stand in two entries of a section, where it is to be clear which one they name."""
    for (one, some), (other, more) in itertools.combinations(terms.items(), 2):
        yield from (f"{section}: {term!r} is of {both([one, other])}" for term in sorted(some & more))


def _disorder(data: Any) -> Iterator[str]:
    lists = [(place, terms) for place, _, terms in lists_of_terms(data)]
    lists += [("unlit", data["unlit"])]
    lists += [(f"subjects.{name}.implies", entry.get("implies", ())) for name, entry in data["subjects"].items()]
    for place, terms in lists:
        late = [after for before, after in itertools.pairwise(terms) if after < before]
        yield from (f"{place}: {term!r} is out of order" for term in late)
        yield from (f"{place}: {term!r} is not in lower case" for term in terms if term != term.lower())
    pairs = Counter(map(frozenset, data["conflicts"]))
    yield from (f"conflicts: {both(pair)} are there twice" for pair, count in pairs.items() if count > 1)


def _idle(data: Any, tips: Tips) -> Iterator[str]:
    """Yield what makes no difference: lists that no rule looks at, tags, guards and plurals that decide nothing."""
    for phrases in lists_of_phrases(data):
        if phrases.facet in phrases.skips:
            yield f"{phrases.place}: {phrases.facet} is skipped"
    known = {*_schema()["properties"]["tags"]["required"]}  # to the code itself
    decisive = {tag for tags in [*data["conflicts"], data["unlit"]] for tag in tags} | known
    yield from (f"tags.{tag}: it decides nothing" for tag in data["tags"] if tag not in decisive)
    yield from _idle_guards(data, tips)
    for place, _, terms in lists_of_terms(data):
        if not place.startswith(("languages", "opt_outs", "negations")):
            plurals = {plural(term): term for term in terms}
            yield from (f"{place}: {term!r} is the plural of {plurals[term]!r}" for term in terms if term in plurals)


def _idle_guards(data: Any, tips: Tips) -> Iterator[str]:
    """Yield the guards that hide no term, within them or across their end, and those that are guards in any case."""
    lists = [(label.kind, terms) for _, label, terms in lists_of_terms(data) if label.kind not in _NOT_HIDDEN]
    firsts = {words_of(term)[0] for _, terms in lists for term in terms if " " in term}
    nouns = {term for kind, terms in lists if kind in ("subject", "noun", *USE_LISTS) for term in terms if " " in term}
    for guard in data["guards"]:
        words = words_of(guard)
        if guard in nouns:
            yield f"guards: {guard!r} is guarded as a noun already"
        elif not any(_tells(tips, part) for part in _parts(words)) and firsts.isdisjoint(words[1:]):
            yield f"guards: {guard!r} hides nothing"


def _parts(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the runs of words within some words, but for all of them."""
    for start, end in itertools.combinations(range(len(words) + 1), 2):
        if end - start < len(words):
            yield words[start:end]


def _tells(tips: Tips, words: Sequence[str]) -> bool:
    """Tell whether these words are a term that a guard could hide."""
    term = " ".join(words)
    if not tips.lexicon.has(term) and not tips.lexicon.has(term.removesuffix("'s")):
        return False
    _, labels = next(iter(tips.lexicon.walk(words)))
    return any(label.kind not in _NOT_HIDDEN for label in labels)


if __name__ == "__main__":
    main()
