"""What enriching takes: a prompt as agents write it, and the slowest that was found."""

import time
from collections.abc import Callable
from functools import partial

from tests.benchmarks.report import Figure

from blockrun_image import enrich

_USUAL = "A woman reading a letter by the window of a small cafe, rain outside"
_SLOW = [
    ("\u201e", "x"),
    ("\u201c", "x"),
    ("<a", "x"),
    ("(a:1", "x"),
    ("a,", "a," * 59 + "b"),
    ("a ", "a " * 59 + "b"),
    ("light ", "light " * 19 + "b"),
    ("no a ", "no a " * 23 + "b"),
    ("no x, ", "no x, " * 19 + "b"),
    ("-\n", "x"),
    ("\u00e9 ", "\u00e9 " * 59 + "b"),
    ("\U0001f98a", "x"),
]
_LENGTHS = {1_990: "dall-e-3", 65_536: "nano-banana-pro"}


def prompt_figures(rounds: int) -> list[Figure]:
    """Measure, in each round, a usual prompt, and the slowest of those that are made to be slow."""
    usual = partial(enrich, _USUAL, model="dall-e-3")
    hostile = [_hostile(part, wish, length) for part, wish in _SLOW for length in _LENGTHS]
    usual()  # reads the vocabulary
    return [
        Figure("enrich_ms", [_milliseconds(usual) for _ in range(rounds)], most=0.2),
        Figure("enrich_slowest_ms", [max(map(_milliseconds, hostile)) for _ in range(rounds)], most=10),
    ]


def _hostile(part: str, wish: str, length: int) -> Callable[[], object]:
    prompt = (part * length)[:length]
    wishes = {"art_style": wish, "composition": wish + "c", "lighting": wish + "d"}
    return partial(enrich, prompt, model=_LENGTHS[length], **wishes)


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3
