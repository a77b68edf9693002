"""The quality bar: what is measured over all trials, and what each figure must at least or at most be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from statistics import median
from typing import TypeAlias

from tests.prompts import scoring
from tests.prompts.trial import Trial


@dataclass(frozen=True)
class Bar:
    """What a figure must be: at least or at most so much, in per cent or in something else."""

    bound: float
    is_least: bool = False
    unit: str = "%"

    def is_met(self, value: float | None) -> bool:
        """Tell whether a figure meets the bar; what there was nothing to measure for does."""
        return value is None or (value >= self.bound if self.is_least else value <= self.bound)

    def __str__(self) -> str:
        return f"at {'least' if self.is_least else 'most'} {shown(self.bound)} {self.unit}".rstrip()


@dataclass(frozen=True)
class Failure:
    """A trial that a figure suffers from, and why."""

    trial: Trial
    why: str


@dataclass(frozen=True)
class Score:
    """A figure, or None where there was nothing to measure, and the trials that it suffers from."""

    value: float | None
    failures: Sequence[Failure] = ()


Measure: TypeAlias = Callable[[Sequence[Trial]], Score]

_MAX_WORDS = 8


def measured(trials: Sequence[Trial]) -> Mapping[str, Score]:
    """Return the score of each metric, but for those of time."""
    return {name: measure(trials) for name, (_, measure) in METRICS.items()}


def enriched(trials: Sequence[Trial]) -> int:
    """Return to how many prompts the enricher added something of its own choice."""
    return sum(bool(trial.added) for trial in trials)


def shown(value: float | None) -> str:
    """Return a figure as it is read, and a dash where there is none."""
    return "-" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def passing(check: scoring.Check) -> Measure:
    """Return the measure of how many trials pass a check, in per cent of those it concerns."""
    return lambda trials: _rate(check, trials, is_of_passes=True)


def failing(check: scoring.Check) -> Measure:
    """Return the measure of how many trials fail a check, in per cent of those it concerns."""
    return lambda trials: _rate(check, trials, is_of_passes=False)


def _rate(check: scoring.Check, trials: Sequence[Trial], *, is_of_passes: bool) -> Score:
    found = [(trial, why) for trial in trials if (why := check(trial)) is not None]
    failures = [Failure(trial, why) for trial, why in found if why]
    counted = len(found) - len(failures) if is_of_passes else len(failures)
    return Score(_share(counted, len(found)), failures)


def _helping(trials: Sequence[Trial]) -> Score:
    """Return how many of the added phrases help; what it suffers from are those that do not."""
    return _of_additions(trials, "helps", {"neutral", "harms"})


def _harming(trials: Sequence[Trial]) -> Score:
    """Return how many of the added phrases harm."""
    return _of_additions(trials, "harms", {"harms"})


def _of_additions(trials: Sequence[Trial], counted: scoring.Effect, faults: set[scoring.Effect]) -> Score:
    found = [(trial, each, effect) for trial in trials for each, effect in scoring.effects(trial)]
    failures = [Failure(trial, f"{each.text}: {effect}") for trial, each, effect in found if effect in faults]
    return Score(_share(sum(effect == counted for _, _, effect in found), len(found)), failures)


def _median_words(trials: Sequence[Trial]) -> Score:
    counts = _word_counts(trials)
    failures = [Failure(trial, f"{count} words") for trial, count in counts if count > _MAX_WORDS]
    return Score(median(count for _, count in counts) if counts else None, failures)


def _word_counts(trials: Sequence[Trial]) -> Sequence[tuple[Trial, int]]:
    return [(trial, sum(len(each.text.split()) for each in trial.added)) for trial in trials if trial.added]


def percentile(values: Sequence[float], per_cent: int) -> float | None:
    """Return the least of the values that so many per cent are not above."""
    return sorted(values)[-(-len(values) * per_cent // 100) - 1] if values else None


def _precision(trials: Sequence[Trial]) -> Score:
    return _detection(trials, "wrong", "is not named")


def _recall(trials: Sequence[Trial]) -> Score:
    return _detection(trials, "overlooked", "was overlooked")


def _detection(trials: Sequence[Trial], fault: str, words: str) -> Score:
    found = [(trial, facets) for trial in trials if (facets := scoring.detection(trial)) is not None]
    failures = [
        Failure(trial, f"{' and '.join(sorted(facets[fault]))} {words}") for trial, facets in found if facets[fault]
    ]
    right, faults = (sum(len(facets[name]) for _, facets in found) for name in ("right", fault))
    return Score(_share(right, right + faults), failures)


def _share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


_ALL = Bar(100, is_least=True)

METRICS: Mapping[str, tuple[Bar, Measure]] = {
    "verbatim": (_ALL, passing(scoring.verbatim)),
    "idempotent": (_ALL, passing(scoring.idempotent)),
    "deterministic": (_ALL, passing(scoring.deterministic)),
    "within_limit": (_ALL, passing(scoring.within_limit)),
    "no_exception": (_ALL, passing(scoring.no_exception)),
    "report_honesty": (_ALL, passing(scoring.honesty)),
    "contradictions": (Bar(0), failing(scoring.contradiction)),
    "over_enrichment": (Bar(2), failing(scoring.over_enrichment)),
    "redundant_facets": (Bar(2), failing(scoring.redundancy)),
    "additions_helping": (Bar(70, is_least=True), _helping),
    "additions_harming": (Bar(4), _harming),
    "prompts_better": (Bar(30, is_least=True), passing(scoring.better)),
    "prompts_worse": (Bar(2), failing(scoring.worse)),
    "words_median": (Bar(_MAX_WORDS, unit="words"), _median_words),
    "detection_precision": (Bar(85, is_least=True), _precision),
    "detection_recall": (Bar(70, is_least=True), _recall),
}

WEIGHTS: Mapping[str, Bar] = {"vocabulary": Bar(80_000, unit="bytes")}


def weight() -> Mapping[str, Score]:
    """Return the size of the packaged vocabulary."""
    return {"vocabulary": Score(len(resources.files("blockrun_image").joinpath("prompt_tips.json").read_bytes()))}
