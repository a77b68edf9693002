"""Measures our server against the floor; `make bench` runs it on two environments of their own."""

import json
import sys

import click
from tests.benchmarks.prompts import prompt_figures
from tests.benchmarks.report import table
from tests.benchmarks.rounds import call_figures, start_figures
from tests.benchmarks.sizes import size_figures
from tests.benchmarks.subjects import opened


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=25, show_default=True, help="How often each starts.")
@click.option("--calls", type=click.IntRange(min=1), default=100, show_default=True, help="How many calls are made.")
@click.option("--python", default=sys.executable, help="The interpreter of an environment with our server.")
@click.option("--floor-python", default=sys.executable, help="The interpreter of an environment with mcp.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(rounds: int, calls: int, python: str, floor_python: str, as_json: bool) -> None:
    """Print what the server costs: to start, to list its tools, to call, and to hold in a model's context."""
    with opened(python, floor_python) as subjects:
        starts = start_figures(subjects, rounds)
        with subjects.ours() as server:
            sizes = size_figures(subjects, server)  # first, so that the ids of its requests are always as long
            figures = [*starts, *call_figures(subjects, server, calls), *prompt_figures(rounds), *sizes]
    if as_json:
        click.echo(json.dumps({figure.name: figure.to_dict() for figure in figures}, indent=2))
    else:
        click.echo(f"Starts: {rounds} rounds, calls: {calls}, each in turn with the floor or the upstream alone.\n")
        click.echo(table(figures))


main()
