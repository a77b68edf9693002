"""Judges trials, one by one: each check says why a trial fails, nothing where it passes, or that it is not judged."""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from tests.prompts.matching import denied_aside, hits, negated, words_of
from tests.prompts.purposes import FITS, UNLIT
from tests.prompts.trial import Trial

Check: TypeAlias = Callable[[Trial], str | None]
"""Returns why a trial fails, an empty text if it passes, or None if the check does not concern it."""

SHAPES: Mapping[str, str] = {"1792x1024": "@wide", "1024x1792": "@tall"}
MAIN_FACETS = ("style", "composition", "lighting")

_UNREAD = re.compile(r"code|English")


def verbatim(trial: Trial) -> str | None:
    """The user's words come first, as they are."""
    return "" if trial.result.prompt.startswith(trial.judged.prompt) else "its own words are not as they were"


def idempotent(trial: Trial) -> str | None:
    """Done again, it changes nothing more."""
    return "" if trial.again.prompt == trial.result.prompt else f"done again: {trial.again.prompt!r}"


def deterministic(trial: Trial) -> str | None:
    """The same call has the same result."""
    return "" if trial.repeated == trial.result else f"the second time: {trial.repeated.prompt!r}"


def within_limit(trial: Trial) -> str | None:
    """The result fits the model, or is the prompt itself."""
    fits = len(trial.result.prompt) <= trial.limit or trial.result.prompt == trial.judged.prompt
    return "" if fits else f"{len(trial.result.prompt)} characters of {trial.limit}"


def no_exception(trial: Trial) -> str | None:
    """No prompt is too much for it."""
    return trial.error


def contradiction(trial: Trial) -> str | None:
    """Nothing is added that the judge rules out or the prompt negates."""
    said = hits(trial.appended, trial.judged.never)
    ruled_out = sorted(negated(trial.judged.prompt) & set(words_of(denied_aside(trial.appended))))
    return "; ".join([*said, *(f"negated: {word}" for word in ruled_out)])


def over_enrichment(trial: Trial) -> str | None:
    """What is to be left alone is left alone."""
    if trial.judged.treat != "alone":
        return None
    return "it was to be left alone" if trial.result.prompt != trial.judged.prompt else ""


def under_enrichment(trial: Trial) -> str | None:
    """What lacks something gains something."""
    if trial.judged.treat != "enrich":
        return None
    return "" if trial.appended else f"nothing was added: {trial.result.reason}"


def redundancy(trial: Trial) -> str | None:
    """No facet is added that the prompt's own words name; judged where the enricher chose to add something."""
    if not trial.added:
        return None
    twice = sorted({each.facet for each in trial.added} & set(trial.judged.has))
    return f"it named its own {' and '.join(twice)}" if twice else ""


def composition_after(trial: Trial) -> str | None:
    """What is to be enriched has a composition in the end, its own or an added one."""
    return _after(trial, "composition")


def lighting_after(trial: Trial) -> str | None:
    """What is to be enriched has a light in the end, unless its purpose or its judge has no use for one."""
    is_unlit = trial.judged.purpose in UNLIT or "@scene_light" in trial.judged.never
    return None if is_unlit else _after(trial, "lighting")


def purpose_fit(trial: Trial) -> str | None:
    """What is added for a purpose is of it and not foreign to it, and says what the judge insists on."""
    judged = trial.judged
    if judged.treat != "enrich" or not (judged.purpose or judged.must):
        return None
    own = ", ".join(each.text for each in trial.added)
    found: list[str] = []
    if judged.purpose:
        fit = FITS[judged.purpose]
        found += [f"foreign: {each}" for each in hits(own, fit.foreign)]
        if "style" not in judged.has and not hits(trial.appended, fit.fitting):
            found.append(f"nothing is of a {judged.purpose}")
    if judged.must and not hits(trial.appended, judged.must):
        found.append(f"none of {', '.join(judged.must)}")
    return "; ".join(found)


def honesty(trial: Trial) -> str | None:
    """The report says what was done: no more, no less, and nothing that contradicts itself."""
    result = trial.result
    texts = [word for each in result.applied for word in words_of(each.text)]
    added = {each.facet for each in trial.added}
    wrong = {
        "the original is another one": result.original != trial.judged.prompt,
        "what was applied is not what was appended": texts != words_of(trial.appended),
        "a change without additions": result.changed != bool(result.applied),
        "a facet was added twice": len(trial.facets) < len(result.applied),
        "present and added": bool(added & set(result.present)),
        "missing and there": bool(set(result.missing) & (set(result.present) | trial.facets)),
        "no rule or no reason": not all(each.rule and each.why for each in result.applied),
        "nothing says why nothing was added": bool(result.reason) == bool(result.applied),
    }
    return "; ".join(name for name, is_so in wrong.items() if is_so)


def shape_named(trial: Trial) -> str | None:
    """Where a wide or tall picture lacks a composition, the one that is added names that shape."""
    judged = trial.judged
    shape = SHAPES.get(judged.size)
    is_judged = judged.treat == "enrich" and "composition" not in judged.has and not judged.arguments.composition
    if shape is None or shape in judged.never or not is_judged:
        return None
    return "" if hits(trial.appended, [shape]) else f"{shape[1:]} is not named"


def detection(trial: Trial) -> Mapping[str, frozenset[str]] | None:
    """Return the main facets that were found rightly, found wrongly and overlooked, of a prompt that was read at all.

    What is to be left alone and was taken for code or another language was not read.
    """
    if trial.error or (trial.judged.treat == "alone" and _UNREAD.search(trial.result.reason)):
        return None
    found = frozenset(trial.result.present) & set(MAIN_FACETS)
    named = frozenset(trial.judged.has)
    return {"right": found & named, "wrong": found - named, "overlooked": named - found}


def _after(trial: Trial, facet: str) -> str | None:
    if trial.judged.treat != "enrich":
        return None
    return "" if facet in {*trial.judged.has, *trial.facets} else f"no {facet}"
