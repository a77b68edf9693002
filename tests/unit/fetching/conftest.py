"""What the tests of fetching share."""

import pytest
from tests.support.internet import Internet
from tests.support.picture_servers import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def internet(monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> Internet:
    """Return an internet on loopback, without a proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return Internet(monkeypatch, certificates.authority)
