"""A running sandbox, as one test sees it, and the catalogue that it serves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from blockrun_image.catalog import Catalog

CONTRACT_FILE = Path(__file__).parent / "openapi.json"
"""The API's description as the tests know it: models and prices of the packaged one may change at any time."""


def contract() -> Catalog:
    """Return the catalogue that the tests know, as if it were the packaged one."""
    catalog = Catalog.load(CONTRACT_FILE)
    return replace(catalog, spec=replace(catalog.spec, source="the built-in openapi.json", has_own_models=False))


class Sandbox:
    """A running sandbox, as one test sees it: with a till and a count of requests that start at zero."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.base_url = f"{origin}/v1"
        self.api_url = f"{origin}/api"
        self._http = httpx2.Client(base_url=origin, trust_env=False)
        self.script([])
        self.change_models({"reset": True})
        self._before = self._statement()

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a server that uses this sandbox as its gateway."""
        return {"BLOCKRUN_IMAGE_GATEWAY": self.base_url, "BLOCKRUN_API_KEY": "brk_test_0123456789"}

    def script(self, faults: Sequence[Mapping[str, Any]]) -> None:
        self._http.post("/sandbox/faults", json=list(faults)).raise_for_status()

    def change_models(self, *changes: Mapping[str, Any]) -> None:
        """Change what is listed, and so what can be asked for, until the test ends."""
        self._http.post("/sandbox/models", json=list(changes)).raise_for_status()

    @property
    def posts(self) -> int:
        """How many generation requests have come in."""
        return self._statement()["posts"] - self._before["posts"]

    @property
    def charges(self) -> int:
        """How many calls were charged."""
        return self._statement()["count"] - self._before["count"]

    @property
    def charged_micro_usd(self) -> int:
        return self._statement()["total_micro_usd"] - self._before["total_micro_usd"]

    @property
    def quotes(self) -> int:
        """How many generation requests have asked for a price."""
        return self._statement()["quotes"] - self._before["quotes"]

    @property
    def paid_posts(self) -> int:
        """How many generation requests have come in with a key or a payment."""
        return self._statement()["paid_posts"] - self._before["paid_posts"]

    @property
    def lists(self) -> int:
        """How many requests for the list of models have come in."""
        return self._statement()["lists"] - self._before["lists"]

    @property
    def unchanged_lists(self) -> int:
        """How many of these were told that the list is still the same."""
        return self._statement()["unchanged_lists"] - self._before["unchanged_lists"]

    @property
    def settlements(self) -> list[dict[str, Any]]:
        """What was charged, in order."""
        return self._statement()["items"][-self.charges :] if self.charges else []

    @property
    def last_settlement(self) -> dict[str, Any]:
        return self._statement()["items"][-1]

    @property
    def idempotency_keys(self) -> list[str]:
        """The key of each generation request."""
        return self._statement()["idempotency_keys"][-self.posts :]

    @property
    def prompts(self) -> list[str]:
        """The prompts of the calls that were charged."""
        return [item["prompt"] for item in self._statement()["items"]]

    def get(self, url: str) -> httpx2.Response:
        return self._http.get(url)

    def close(self) -> None:
        self._http.close()

    def _statement(self) -> dict[str, Any]:
        return self._http.get("/sandbox/settlements").json()
