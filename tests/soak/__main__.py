"""Buys pictures for as long as one likes, from a gateway that does all it can, and judges where the money went."""

import sys
import tempfile
from pathlib import Path

import click
from tests.soak.campaign import Options, run_campaign
from tests.soak.plans import Rail

_CAPPED_SHARE = 10
_BUDGET_PER_CALL = 25_000


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed has the same wishes and answers.")
@click.option("--calls", type=click.IntRange(min=20), default=3_000, show_default=True, help="About how many calls.")
@click.option("--rail", type=click.Choice(["account", "wallet"]), default="account", show_default=True)
@click.option("--scale", type=float, default=10.0, show_default=True, help="How much faster than in life it goes.")
@click.option("--minutes", type=float, help="Begin nothing more after so many minutes.")
@click.option("--wish", type=int, help="Run the wish of this number alone.")
def main(*, seed: int, calls: int, rail: Rail, scale: float, minutes: float | None, wish: int | None) -> None:
    """Print what was found on one rail, with a large budget and then, for a tenth of the calls, with a small one."""
    options = Options(seed, calls, rail, scale, minutes, wish=wish)
    capped = Options(
        seed, calls // _CAPPED_SHARE, rail, scale, minutes, budget=calls // _CAPPED_SHARE * _BUDGET_PER_CALL
    )
    is_clean = True
    for each in [options] if wish is not None else [options, capped]:
        report = run_campaign(each, Path(tempfile.mkdtemp(prefix="soak-")))
        click.echo(report.to_text())
        is_clean &= not report.found
    sys.exit(not is_clean)


main()
