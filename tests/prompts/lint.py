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
from tests.prompts.vocabulary import both, lists_of_phrases, lists_of_terms, needs_of

from blockrun_image.enrichment.tips import Tips, plural, words_of

_MAX_TEXT_CHARACTERS = 100
_LIT = "lit"  # the code itself knows it


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
    return [*_disorder(data), *_idle(data), *Closure(data, tips).faults()]


def packaged(name: str) -> Any:
    """Return what a packaged JSON file holds; raises `ValueError` if that is no JSON."""
    return parsed(resources.files("blockrun_image").joinpath(name).read_text(encoding="utf-8"))


def parsed(text: str) -> Any:
    """Return what a JSON text holds; raises `ValueError` if it is none, or would lose one of two equal names."""
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"{both(twice)} stands twice in one object")
    return dict(pairs)


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(packaged("prompt_tips.schema.json"))


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
    for place, facet, ids in lists_of_phrases(data):
        yield from (f"{place}: there is no {facet} phrase {id}" for id in ids if id not in data["phrases"][facet])
    counts = Counter(id for texts in data["phrases"].values() for id in texts)
    yield from (f"phrases: {id} is there twice" for id, count in counts.items() if count > 1)
    nouns = Counter(noun for subject in data["subjects"].values() for noun in subject["nouns"])
    yield from (f"subjects: {noun!r} is of two classes" for noun, count in nouns.items() if count > 1)
    yield from (f"needs: there is no phrase {id}" for id in needs_of(data) if id not in counts)
    tagged = [(f"needs.{id}", tags) for id, tags in needs_of(data).items()]
    tagged += [("conflicts", pair) for pair in data["conflicts"]] + [("unlit", data["unlit"])]
    for place, tags in tagged:
        yield from (f"{place}: there is no tag {tag}" for tag in tags if tag not in data["tags"])


def _disorder(data: Any) -> Iterator[str]:
    lists = [(place, terms) for place, _, terms in lists_of_terms(data)]
    lists += [(f"needs.{id}", tags) for id, tags in needs_of(data).items()]
    for place, terms in lists:
        late = [after for before, after in itertools.pairwise(terms) if after < before]
        yield from (f"{place}: {term!r} is out of order" for term in late)
        yield from (f"{place}: {term!r} is not in lower case" for term in terms if term != term.lower())
    pairs = Counter(map(frozenset, data["conflicts"]))
    yield from (f"conflicts: {both(pair)} are there twice" for pair, count in pairs.items() if count > 1)


def _idle(data: Any) -> Iterator[str]:
    """Yield what makes no difference: lists that no rule looks at, tags, conflicts and guards that decide nothing."""
    for name, purpose in data["purposes"].items():
        for place, facet, _ in lists_of_phrases({"purposes": {name: purpose}}):
            if facet in purpose.get("skips", ()):
                yield f"{place}: {facet} is skipped"
    chosen = {id for _, _, ids in lists_of_phrases(data) for id in ids}
    yield from (f"needs.{id}: no rule chooses the phrase" for id in needs_of(data) if id not in chosen)
    decisive = {tag for tags in [*data["conflicts"], *needs_of(data).values(), data["unlit"]] for tag in tags} | {_LIT}
    yield from (f"tags.{tag}: it decides nothing" for tag in data["tags"] if tag not in decisive)
    firsts = _first_words(data)
    for guard in data["guards"]:
        if firsts.isdisjoint(word.removesuffix("'s") for word in words_of(guard)) and firsts.isdisjoint(
            words_of(guard)
        ):
            yield f"guards: {guard!r} hides nothing"


def _first_words(data: Any) -> set[str]:
    """Return the words with which the terms begin that tell something, or rule it out."""
    lists = [terms for _, label, terms in lists_of_terms(data) if label.kind not in ("guard", "language")]
    split = [words_of(term) for terms in lists for term in terms]
    return {words[0] for words in split} | {plural(words[0]) for words in split if len(words) == 1}


if __name__ == "__main__":
    main()
