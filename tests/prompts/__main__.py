"""Scores the enricher on the judged prompts, beside what is simpler; `make prompts` runs it."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from tests.prompts.baselines import BASELINES, ours
from tests.prompts.before import enricher_of
from tests.prompts.judged import FOLDER, JudgedPrompt, load
from tests.prompts.latency import TIMES, first_use, timed
from tests.prompts.metrics import METRICS, WEIGHTS, Failure, Score, enriched, measured, shown, weight
from tests.prompts.tables import table
from tests.prompts.trial import tried

_BARS = {**{name: bar for name, (bar, _) in METRICS.items()}, **WEIGHTS, **TIMES}
_ENRICHERS = {"ours": ours, **BASELINES}
_HEADS = ["metric", "bar", *_ENRICHERS, "before", ""]


@click.command()
@click.option("--judged", "folder", type=click.Path(path_type=Path), default=FOLDER, help="Where the prompts are.")
@click.option("--kind", help="Take the prompts of this kind alone.")
@click.option("--list", "listed", type=click.Choice(list(METRICS)), help="Print the prompts that fail this metric.")
def main(folder: Path, kind: str | None, listed: str | None) -> None:
    """Print how the enricher stands to the quality bar; the exit status is 1 if it misses one."""
    prompts = _prompts(folder, kind)
    if listed:
        _, measure = METRICS[listed]
        click.echo("\n\n".join(_entry(each) for each in measure([tried(ours, prompt) for prompt in prompts]).failures))
        return
    trials = [[tried(enrich, prompt) for prompt in prompts] for enrich in _ENRICHERS.values()]
    scores = [
        {**measured(each), **timed(enrich, prompts)} for enrich, each in zip(_ENRICHERS.values(), trials, strict=True)
    ]
    scores[0] = {**scores[0], **weight(), **first_use()}
    with enricher_of() as before:  # its times are not its own, as it is another process
        trials.append([tried(before, prompt) for prompt in prompts] if before else [])
    scores.append({**measured(trials[-1])})
    counts = [str(enriched(each)) if each else shown(None) for each in trials]
    click.echo(f"{len(prompts)} judged prompts.\n\n{_table(counts, scores)}")
    sys.exit(any(not bar.is_met(scores[0][name].value) for name, bar in _BARS.items()))


def _prompts(folder: Path, kind: str | None) -> Sequence[JudgedPrompt]:
    try:
        kinds = load(folder)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    prompts = [prompt for each in kinds for prompt in each.prompts if kind in (None, each.kind)]
    if not prompts:
        raise click.BadParameter(f"It is none of {', '.join(each.kind for each in kinds)}.", param_hint="--kind")
    return prompts


def _entry(failure: Failure) -> str:
    judged, added = failure.trial.judged, failure.trial.result.applied
    said = "; ".join(f"{each.text} ({each.rule})" for each in added) or "nothing"
    return f"{judged.prompt}\n  added: {said}\n  fails: {failure.why}"


def _table(counts: Sequence[str], scores: Sequence[Mapping[str, Score]]) -> str:
    rows = [_row(name, [each[name].value if name in each else None for each in scores]) for name in _BARS]
    return table([_HEADS, ["prompts_enriched", "", *counts, ""], *rows])


def _row(name: str, values: Sequence[float | None]) -> list[str]:
    verdict = "met" if _BARS[name].is_met(values[0]) else "MISSED"
    return [name, str(_BARS[name]), *map(shown, values), verdict if values[0] is not None else "nothing to judge"]


main()
