"""The gateway's list at a terminal: asked for, searched, looked into, and decided about."""

import json
from collections.abc import Mapping

import pytest
from tests.support.commands import run
from tests.support.live_lists import CONTRACT, HOSTILE, PREFIXED, TODAY, WONDER, change_everything, kept, see
from tests.support.sandbox import CONTRACT_FILE, Sandbox
from tests.support.setting_names import CATALOG, DEFAULT_MODEL

pytestmark = pytest.mark.anyio


def ids(*arguments: str, settings: Mapping[str, str]) -> list[str]:
    """Return the models that the command lists and that can be asked for."""
    listed = json.loads(run("models", *arguments, "--json", settings=settings).stdout)["models"]
    return [model["id"] for model in listed if model.get("available", True)]


def test_models_refresh_fetches_the_list_and_caches_it(sandbox: Sandbox) -> None:
    change_everything(sandbox)
    assert (ids(settings=sandbox.environment), sandbox.lists) == (CONTRACT, 0)
    refreshed = run("models", "--refresh", settings=sandbox.environment)
    assert (refreshed.returncode, refreshed.stderr, sandbox.lists) == (0, "", 1)
    assert "| acme/wonder     | Acme " in refreshed.stdout
    assert "Models of 127.0.0.1 as listed at 2" in refreshed.stdout
    assert (ids(settings=sandbox.environment), sandbox.lists) == (TODAY, 1)
    assert ids("--search", "ACME", settings=sandbox.environment) == ["acme/wonder", "acme/odd"]
    assert ids("--search", "nothing of the kind", settings=sandbox.environment) == []
    assert ids(settings={}) == CONTRACT


def test_doctor_fetches_caches_and_summarizes_the_list(sandbox: Sandbox) -> None:
    change_everything(sandbox)
    done = run("doctor", settings=sandbox.environment)
    assert (done.returncode, done.stderr, sandbox.lists, sandbox.posts) == (0, "", 1, 0)
    assert f"models: {', '.join(TODAY)} (from {CONTRACT_FILE}, and listed by 127.0.0.1 at 2" in done.stdout
    assert "No longer available: dall-e-2, nano-banana-pro." in done.stdout
    assert f"{len(HOSTILE) - 3} entries of the list cannot be read." in done.stdout
    assert kept(sandbox.environment).listing is not None


async def test_failed_refresh_is_an_error_and_keeps_the_previous_list(
    sandbox: Sandbox,
) -> None:
    sandbox.change_models({"add": WONDER})
    await see(sandbox.environment)
    sandbox.script([{"on": "models", "status": 503}] * 2)
    refused = run("models", "--refresh", settings=sandbox.environment)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "127.0.0.1 has no list of image models (HTTP 503)." in refused.stderr
    found = run("doctor", settings=sandbox.environment)
    assert "error   gateway: 127.0.0.1 answers HTTP 503" in found.stdout
    assert "The previous list is used." in found.stdout
    assert ids(settings=sandbox.environment) == [*CONTRACT, "acme/wonder"]


@pytest.mark.parametrize("settings", [{}, {CATALOG: "contract"}, {"BLOCKRUN_IMAGE_GATEWAY": "sandbox"}])
def test_refresh_without_a_usable_gateway_list_is_an_error(sandbox: Sandbox, settings: Mapping[str, str]) -> None:
    done = run("models", "--refresh", settings={**sandbox.environment, **settings} if settings else {})
    assert (done.returncode, done.stdout, sandbox.lists) == (1, "", 0)
    assert "There is no gateway whose list could be used." in done.stderr
    assert CATALOG in done.stderr


def test_unknown_catalog_scope_warns_and_defaults_to_both(sandbox: Sandbox) -> None:
    sandbox.change_models({"add": WONDER}, {"remove": "dall-e-2"})
    done = run("models", "--refresh", "--json", settings={**sandbox.environment, CATALOG: "everything"})
    assert f"{CATALOG} must be one of contract, live, both; using both" in done.stderr
    listed = {model["id"]: model for model in json.loads(done.stdout)["models"]}
    assert (listed["dall-e-2"]["available"], listed["acme/wonder"]["source"]) == (False, "live")


@pytest.mark.parametrize(("arguments", "settings"), [((), {DEFAULT_MODEL: "wonder"}), (("--model", "acme/wonder"), {})])
def test_generate_accepts_a_listed_model_before_the_list_is_cached(
    sandbox: Sandbox, arguments: tuple[str, ...], settings: Mapping[str, str]
) -> None:
    sandbox.change_models({"add": WONDER})
    done = run("generate", "A fox", *arguments, settings={**sandbox.environment, **settings})
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 image by acme/wonder" in done.stdout
    assert (sandbox.last_settlement["model"], sandbox.lists, sandbox.posts) == ("acme/wonder", 1, 1)


def test_generate_requests_a_missing_list_once_and_refuses_the_model(
    sandbox: Sandbox,
) -> None:
    sandbox.script([{"on": "models", "status": 404}])
    for _ in range(2):
        done = run("generate", "A fox", "--model", "acme/wonder", settings=sandbox.environment)
        assert (done.returncode, "There is no model 'acme/wonder'" in done.stderr) == (1, True)
    assert (sandbox.lists, sandbox.posts) == (1, 0)


def test_generate_uses_the_gateway_spelling_of_the_model(sandbox: Sandbox) -> None:
    sandbox.change_models(PREFIXED)
    done = run("generate", "A fox", "--model", "openai/dall-e-3", settings=sandbox.environment)
    assert (done.returncode, done.stderr, sandbox.last_settlement["model"]) == (0, "", "openai/dall-e-3")


async def test_retired_model_is_refused_with_alternatives_and_nothing_is_sent(sandbox: Sandbox) -> None:
    change_everything(sandbox)
    await see(sandbox.environment)
    done = run("generate", "A fox", "--model", "dall-e-2", settings=sandbox.environment)
    assert (done.returncode, sandbox.posts) == (1, 0)
    assert "'dall-e-2' is not among the models that 127.0.0.1 lists" in done.stderr
    assert "acme/wonder (from $0.084)" in done.stderr


def test_doctor_accepts_a_default_model_from_the_list(sandbox: Sandbox) -> None:
    sandbox.change_models({"add": WONDER})
    done = run("doctor", settings={**sandbox.environment, DEFAULT_MODEL: "wonder"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "names an unknown model" not in done.stdout
    gone = run("doctor", settings={**sandbox.environment, DEFAULT_MODEL: "wander"})
    assert f"{DEFAULT_MODEL} names an unknown model" in gone.stdout
