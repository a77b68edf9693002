"""Scores the enricher on the judged prompts, beside two baselines; `make prompts` runs it."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from tests.prompts.baselines import BASELINES, ours
from tests.prompts.judged import FOLDER, JudgedPrompt, load
from tests.prompts.latency import TIMES, first_use, timed
from tests.prompts.metrics import METRICS, Failure, Score, measured, shown
from tests.prompts.tables import table
from tests.prompts.trial import Enrich, tried

_BARS = {**{name: bar for name, (bar, _) in METRICS.items()}, **TIMES}
_HEADS = ["metric", "bar", "ours", *BASELINES, ""]


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
    scores = [_scores(enrich, prompts) for enrich in (ours, *BASELINES.values())]
    scores[0] = {**scores[0], **first_use()}
    click.echo(f"{len(prompts)} judged prompts.\n\n{_table(scores)}")
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


def _scores(enrich: Enrich, prompts: Sequence[JudgedPrompt]) -> Mapping[str, Score]:
    return {**measured([tried(enrich, prompt) for prompt in prompts]), **timed(enrich, prompts)}


def _entry(failure: Failure) -> str:
    judged, added = failure.trial.judged, failure.trial.result.applied
    said = "; ".join(f"{each.text} ({each.rule})" for each in added) or "nothing"
    return f"{judged.prompt}\n  added: {said}\n  fails: {failure.why}"


def _table(scores: Sequence[Mapping[str, Score]]) -> str:
    rows = [_HEADS, *(_row(name, [each[name].value if name in each else None for each in scores]) for name in _BARS)]
    return table(rows)


def _row(name: str, values: Sequence[float | None]) -> list[str]:
    verdict = "met" if _BARS[name].is_met(values[0]) else "MISSED"
    return [name, str(_BARS[name]), *map(shown, values), verdict if values[0] is not None else "nothing to judge"]


main()
