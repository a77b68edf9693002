"""Judges trials, one by one: each check says why a trial fails, nothing where it passes, or that it is not judged.

Each added phrase harms, helps, or does neither; a phrase that harms cannot help.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from tests.prompts.matching import denied_aside, hits, negated, words_of
from tests.prompts.trial import Trial

from blockrun_image.enrichment import Addition

Check: TypeAlias = Callable[[Trial], str | None]
"""Returns why a trial fails, an empty text if it passes, or None if the check does not concern it."""

Effect: TypeAlias = Literal["harms", "helps", "neutral"]
"""What an added phrase does to a prompt, in the judge's view."""

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
    said = hits(trial.own_words, trial.judged.never)
    ruled_out = sorted(negated(trial.judged.prompt) & set(words_of(denied_aside(trial.own_words))))
    return "; ".join([*said, *(f"negated: {word}" for word in ruled_out)])


def over_enrichment(trial: Trial) -> str | None:
    """What is to be left alone is left alone, but for what the call asks for."""
    if not trial.judged.alone:
        return None
    is_changed = trial.result.prompt != trial.judged.prompt
    return "it was to be left alone" if trial.added or (is_changed and not trial.result.applied) else ""


def redundancy(trial: Trial) -> str | None:
    """No facet is added that the prompt's own words name; judged where the enricher chose to add something."""
    if not trial.added:
        return None
    twice = sorted({each.facet for each in trial.added} & set(trial.judged.has))
    return f"it named its own {' and '.join(twice)}" if twice else ""


def effects(trial: Trial) -> Sequence[tuple[Addition, Effect]]:
    """Return what each phrase of the enricher's own choice does to the prompt."""
    return [(each, _effect(each, trial)) for each in trial.added]


def better(trial: Trial) -> str | None:
    """What was enriched is better for it: a phrase helps, and none harms."""
    if not trial.added:
        return None
    found = {effect for _, effect in effects(trial)}
    if "harms" in found:
        return worse(trial)
    return "" if "helps" in found else "nothing helps"


def worse(trial: Trial) -> str | None:
    """What was enriched is not worse for it: no phrase harms."""
    if not trial.added:
        return None
    return "; ".join(f"{each.text} harms" for each, effect in effects(trial) if effect == "harms")


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


def detection(trial: Trial) -> Mapping[str, frozenset[str]] | None:
    """Return the main facets that were found rightly, found wrongly and overlooked, of a prompt that was read at all.

    What is to be left alone and was taken for code or another language was not read.
    """
    if trial.error or (trial.judged.alone and _UNREAD.search(trial.result.reason)):
        return None
    found = frozenset(trial.result.present) & set(MAIN_FACETS)
    named = frozenset(trial.judged.has)
    return {"right": found & named, "wrong": found - named, "overlooked": named - found}


def _effect(addition: Addition, trial: Trial) -> Effect:
    if hits(addition.text, trial.judged.never):
        return "harms"
    return "helps" if hits(addition.text, trial.judged.helps) else "neutral"
