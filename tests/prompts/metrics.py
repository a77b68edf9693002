"""The quality bar: what is measured over all trials, and what each figure must at least or at most be."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

_MAX_WORDS = 20


def measured(trials: Sequence[Trial]) -> Mapping[str, Score]:
    """Return the score of each metric, but for those of time."""
    return {name: measure(trials) for name, (_, measure) in METRICS.items()}


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


def _commonest_share(trials: Sequence[Trial]) -> Score:
    enriched = [trial for trial in trials if trial.added]
    counts = Counter(text for trial in enriched for text in {each.text for each in trial.added})
    ((text, count),) = counts.most_common(1) or [("", 0)]
    failures = [Failure(trial, text) for trial in enriched if text in {each.text for each in trial.added}]
    return Score(_share(count, len(enriched)), failures)


def _median_words(trials: Sequence[Trial]) -> Score:
    counts = _word_counts(trials)
    return Score(median(count for _, count in counts) if counts else None)


def _nearly_most_words(trials: Sequence[Trial]) -> Score:
    counts = _word_counts(trials)
    failures = [Failure(trial, f"{count} words") for trial, count in counts if count > _MAX_WORDS]
    return Score(percentile([count for _, count in counts], 95), failures)


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
    "contradictions": (Bar(0), failing(scoring.contradiction)),
    "over_enrichment": (Bar(2), failing(scoring.over_enrichment)),
    "under_enrichment": (Bar(5), failing(scoring.under_enrichment)),
    "redundant_facets": (Bar(3), failing(scoring.redundancy)),
    "composition_after": (Bar(90, is_least=True), passing(scoring.composition_after)),
    "lighting_after": (Bar(85, is_least=True), passing(scoring.lighting_after)),
    "purpose_fit": (Bar(85, is_least=True), passing(scoring.purpose_fit)),
    "report_honesty": (Bar(99, is_least=True), passing(scoring.honesty)),
    "commonest_addition": (Bar(50), _commonest_share),
    "shape_named": (Bar(80, is_least=True), passing(scoring.shape_named)),
    "words_median": (Bar(12, unit="words"), _median_words),
    "words_p95": (Bar(_MAX_WORDS, unit="words"), _nearly_most_words),
    "detection_precision": (Bar(95, is_least=True), _precision),
    "detection_recall": (Bar(85, is_least=True), _recall),
}
