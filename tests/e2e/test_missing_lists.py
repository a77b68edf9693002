"""Lists that are not to be had or cannot be read: nothing changes, and it is said."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.clients import FOX, served
from tests.support.live_lists import (
    PREFIXED,
    WONDER,
    age,
    kept,
    models_of,
    see,
    until,
)
from tests.support.processes import backend_of
from tests.support.sandbox import Sandbox

from blockrun_image.errors import ImageError
from blockrun_image_mcp.cli.doctor import examine

pytestmark = pytest.mark.anyio


MODELS = {"on": "models"}
FAULTS: Mapping[str, tuple[Mapping[str, Any], str, str]] = {
    "503": ({"status": 503}, "answers HTTP 503", "(HTTP 503)"),
    "401": ({"status": 401}, "refuses the credential (HTTP 401)", "(HTTP 401)"),
    "302": ({"status": 302, "headers": {"Location": "/v2/models"}}, "redirects (HTTP 302)", "(HTTP 302)"),
    "404": ({"status": 404}, "has no list of models (HTTP 404)", "(HTTP 404)"),
    "nothing": ({"status": 204}, "has no list of image models (HTTP 204)", "(HTTP 204)"),
    "HTML": ({"status": 200, "body": "<html>\u2603</html>"}, "has no list of image models (HTTP 200)", "(HTTP 200)"),
    "nested": ({"status": 200, "body": "[" * 99_999}, "has no list of image models (HTTP 200)", "(HTTP 200)"),
    "empty": ({"status": 200, "body": {"data": []}}, "has no list of image models (HTTP 200)", "(HTTP 200)"),
    "no list": ({"status": 200, "body": {"data": {"id": "x"}}}, "has no list of image models", "(HTTP 200)"),
    "talkers": (
        {"status": 200, "body": {"data": [{"id": "acme/talk", "categories": ["chat"]}, {"id": "acme/chat"}]}},
        "has no list of image models (HTTP 200)",
        "(HTTP 200)",
    ),
    "cut before": ({"cut": "before", "reset": True}, "could not be reached", "could not be reached"),
    "cut during": ({"cut": "during"}, "could not be reached", "could not be reached"),
    "cut after": ({"cut": "after"}, "could not be reached", "could not be reached"),
    "slow": ({"delay_seconds": 60}, "did not answer in time", "did not answer in time"),
}


@pytest.mark.parametrize("is_known", [False, True], ids=["never seen", "seen yesterday"])
@pytest.mark.parametrize("case", FAULTS.values(), ids=FAULTS)
async def test_failed_list_request_is_reported_and_changes_nothing(
    sandbox: Sandbox, is_known: bool, case: tuple[Mapping[str, Any], str, str]
) -> None:
    fault, found, said = case
    if is_known:
        sandbox.change_models(PREFIXED, {"add": WONDER})
        await see(sandbox.environment)
        age()
        sandbox.change_models({"of": "nano-banana", "set": {"pricePerImage": 0.07}})
    asked = sandbox.lists
    sandbox.script([{**MODELS, **fault}] * 3)
    timings = {"connect_seconds": 0.2} if fault.get("delay_seconds") else {}
    await assert_nothing_changes(sandbox, found, said, timings)
    assert (sandbox.lists, kept(sandbox.environment).listing is not None) == (asked + 3, is_known)


async def assert_nothing_changes(
    sandbox: Sandbox, found: str, said: str, timings: Mapping[str, float] | None = None
) -> None:
    """Ask for the list in the three ways that there are: before a picture, by the doctor, and at a person's wish."""
    backend = backend_of(sandbox.environment, **(timings or {}))
    before, known, asked = backend.catalog, kept(sandbox.environment).listing, sandbox.lists
    async with served(sandbox.environment, timings=timings) as client:
        offered = await models_of(client)
        made = await client.call_tool("generate_image", FOX)
        await until(lambda: sandbox.lists > asked and kept(sandbox.environment).failure != "")
        assert (made.is_error, await models_of(client)) == (False, offered)
    findings = "\n".join(str(finding) for finding in await examine(backend, sandbox.environment))
    with pytest.raises(ImageError) as caught:
        await backend.models.refresh()
    assert found in findings
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert said in kept(sandbox.environment).failure
    assert ("listed by 127.0.0.1 at" in findings) == (known is not None)
    after = backend_of(sandbox.environment).catalog
    assert (kept(sandbox.environment).listing, after.listing, after.models) == (known, before.listing, before.models)


async def test_list_over_ten_megabytes_is_not_read(sandbox: Sandbox) -> None:
    for number in range(11):
        sandbox.change_models({"add": {**WONDER, "id": f"acme/long-{number}", "description": "x" * 950_000}})
    await assert_nothing_changes(sandbox, "has no list of image models (HTTP 200)", "(HTTP 200)")
