"""The enricher meets the quality bar on the judged prompts; `make prompts` prints by how much, and measures time."""

import pytest
from tests.prompts.baselines import ours
from tests.prompts.judged import load
from tests.prompts.metrics import METRICS, WEIGHTS, weight
from tests.prompts.trial import Trial, tried


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    return [tried(ours, prompt) for kind in load() for prompt in kind.prompts]


@pytest.mark.parametrize("metric", METRICS)
def test_the_enricher_meets_the_bar(metric: str, trials: list[Trial]) -> None:
    bar, measure = METRICS[metric]
    score = measure(trials)
    assert score.value is not None
    failures = [f"{each.trial.judged.prompt[:80]!r}: {each.why}" for each in score.failures[:20]]
    assert bar.is_met(score.value), f"{score.value:.2f} is not {bar}\n" + "\n".join(failures)


def test_the_vocabulary_is_no_heavier_than_the_bar() -> None:
    for name, score in weight().items():
        assert WEIGHTS[name].is_met(score.value), f"{score.value} is not {WEIGHTS[name]}"
