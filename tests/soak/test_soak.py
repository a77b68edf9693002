"""A short run of the soak on each rail, from one seed: no promise about money is broken."""

from pathlib import Path

import pytest
from tests.soak.campaign import Options, run_campaign
from tests.soak.plans import Rail
from tests.support.platforms import only_on_linux

pytestmark = [pytest.mark.soak, pytest.mark.timeout(120), only_on_linux("limits and clocks of other processes")]


@pytest.mark.parametrize("rail", ["account", "wallet"])
def test_no_promise_about_money_is_broken(rail: Rail, tmp_path: Path) -> None:
    report = run_campaign(Options(seed=7, calls=40, rail=rail, scale=10), tmp_path)
    assert not report.found, report.to_text()
    assert report.figures["edits"]
