"""Settings that several tests start servers with."""

from collections.abc import Mapping

import pytest
from tests.support.payments import KEY
from tests.support.sandbox import Sandbox
from tests.support.setting_names import SECONDS


@pytest.fixture
def impatient(sandbox: Sandbox) -> Mapping[str, str]:
    """Return settings whose calls wait so long that a first request leaves in that time on a busy machine, too."""
    return {**sandbox.environment, SECONDS: "2"}


@pytest.fixture
def wallet(sandbox: Sandbox) -> Mapping[str, str]:
    """Return the settings of a server that pays this sandbox from a wallet."""
    return {"BLOCKRUN_IMAGE_GATEWAY": f"{sandbox.api_url}/v1", "BLOCKRUN_WALLET_KEY": KEY}
