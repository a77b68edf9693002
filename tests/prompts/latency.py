"""How long enriching takes: every judged prompt, very long ones, and the first one of a process."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

from tests.prompts.judged import JudgedPrompt
from tests.prompts.metrics import Bar, Score, percentile
from tests.prompts.trial import Enrich

TIMES: Mapping[str, Bar] = {
    "latency_median": Bar(0.2, unit="ms"),
    "latency_p99": Bar(1, unit="ms"),
    "latency_longest": Bar(10, unit="ms"),
    "first_use": Bar(50, unit="ms"),
}

_PASSES = 5
_USUAL_CHARACTERS = 1_000
_LONG_CHARACTERS = 40_000
_LONG_PROMPTS = 20
_FIRST_USE = """
import time
from blockrun_image import enrich
start = time.perf_counter()
enrich("A dog", model="dall-e-3")
print((time.perf_counter() - start) * 1e3)
"""


def timed(enrich: Enrich, prompts: Sequence[JudgedPrompt]) -> Mapping[str, Score]:
    """Measure the prompts of up to 1,000 characters, and some of them repeated to 40,000; the best of some passes."""
    usual = [partial(enrich, each, each.prompt) for each in prompts if len(each.prompt) <= _USUAL_CHARACTERS]
    long = [partial(enrich, *_lengthened(each)) for each in prompts[:: max(1, len(prompts) // _LONG_PROMPTS)]]
    times = _milliseconds(usual)
    return {
        "latency_median": Score(median(times) if times else None),
        "latency_p99": Score(percentile(times, 99)),
        "latency_longest": Score(max(_milliseconds(long), default=None)),
    }


def first_use() -> Mapping[str, Score]:
    """Measure the first call of a fresh interpreter: it imports the enricher, and loads and compiles what that knows.

    The import of the package itself is not counted: the server has that behind it, and `make bench` measures it.
    """
    command = [sys.executable, "-c", _FIRST_USE]
    times = [float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(_PASSES)]
    return {"first_use": Score(min(times))}


def _milliseconds(calls: Sequence[Callable[[], object]]) -> Sequence[float]:
    """Return what each call takes at best; a pass goes over all of them, so that no noise hits one call alone."""
    passes = [[_once(call) for call in calls] for _ in range(_PASSES)]
    return [min(times) for times in zip(*passes, strict=True)]


def _once(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def _lengthened(judged: JudgedPrompt) -> tuple[JudgedPrompt, str]:
    text = f"{judged.prompt} " * (_LONG_CHARACTERS // (len(judged.prompt) + 1) + 1)
    return judged.model_copy(update={"model": "nano-banana-pro"}), text[:_LONG_CHARACTERS]
