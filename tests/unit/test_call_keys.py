"""When two calls are the same: by what was asked for, and not by what becomes of it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from mcp_types import CallToolRequestParams
from tests.support.fakes import URL, FakeGateway, FakeLedger
from tests.support.listings import image, joined

from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import Defaults, Image
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.mcp_server.tool_call import Context, call_tool
from blockrun_image_mcp.settings import Settings

pytestmark = pytest.mark.anyio

CALL: dict[str, Any] = {"prompt": "a cat", "model": "dall-e-3"}


async def key(catalog: Catalog, defaults: Defaults | None = None, **call: Any) -> str:
    """Return the key of a call that the library makes."""
    ledger = FakeLedger()
    await ImageToolset(catalog, FakeGateway(Image(URL)), defaults=defaults, ledger=ledger).generate_image(**call)
    return ledger.calls[0].key


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "a dog"},
        {"prompt": "a cat "},
        {"model": "dall-e-2"},
        {"size": "1024x1024"},
        {"quality": "standard"},
        {"n": 1},
        {"n": 2},
        {"enrich": "auto"},
        {"purpose": "portrait"},
        {"art_style": "oil"},
        {"composition": "close-up"},
        {"lighting": "dusk"},
    ],
)
async def test_each_given_argument_is_part_of_the_key(catalog: Catalog, other: dict[str, Any]) -> None:
    assert await key(catalog, **CALL) != await key(catalog, **{**CALL, **other})


async def test_same_word_in_another_argument_changes_the_key(catalog: Catalog) -> None:
    others: list[dict[str, Any]] = [{name: "dusk"} for name in ("art_style", "composition", "lighting")]
    keys = [await key(catalog, **CALL, **other) for other in others]
    assert len({*keys}) == 3


@pytest.mark.parametrize("unset", [{"size": None}, {"quality": ""}, {"n": None}, {"enrich": None}, {"lighting": ""}])
async def test_unset_argument_is_not_part_of_the_key(catalog: Catalog, unset: dict[str, Any]) -> None:
    assert await key(catalog, **CALL) == await key(catalog, **CALL, **unset)


async def test_operators_defaults_are_not_part_of_the_key(catalog: Catalog) -> None:
    keys = [await key(catalog, Defaults(model), prompt="a cat") for model in ("dall-e-3", "dall-e-2")]
    assert keys[0] == keys[1] != await key(catalog, **CALL)


async def test_operators_enrichment_mode_is_not_part_of_the_key(catalog: Catalog) -> None:
    keys = {await key(catalog, Defaults(enrich=mode), **CALL) for mode in ("auto", "suggest", "off")}
    assert len(keys) == 1
    assert await key(catalog, Defaults(enrich="off"), **CALL, enrich="off") not in keys


async def test_listed_models_are_not_part_of_the_key(catalog: Catalog) -> None:
    listed = joined(catalog, image("openai/dall-e-3", 0.04))
    assert await key(catalog, **CALL) == await key(listed, **CALL)


async def test_refused_and_accepted_call_have_the_same_key(catalog: Catalog) -> None:
    ledger = FakeLedger(InvalidRequestError("Never raised."))
    toolset = ImageToolset(catalog, FakeGateway(), ledger=ledger)
    with pytest.raises(InvalidRequestError):
        await toolset.generate_image(**CALL, refusal=InvalidRequestError("Refused today."))
    assert ledger.calls[0].key == await key(catalog, **CALL)


async def test_prompt_with_lone_surrogates_has_a_key(catalog: Catalog) -> None:
    ledger = FakeLedger(InvalidRequestError("Never raised."))
    with pytest.raises(InvalidRequestError):
        await ImageToolset(catalog, FakeGateway(), ledger=ledger).generate_image("a \udc00 cat", "dall-e-3")
    assert len(ledger.calls[0].key) == 64


async def test_argument_that_is_not_json_is_refused(catalog: Catalog) -> None:
    wrong: Any = b"2"
    with pytest.raises(InvalidRequestError, match="n must be"):
        await ImageToolset(catalog, FakeGateway()).generate_image("a cat", "dall-e-3", n=wrong)


async def key_over_mcp(catalog: Catalog, **arguments: Any) -> str:
    """Return the key of a call that a client makes."""
    ledger = FakeLedger()
    async with Backend(Settings(), catalog, gateway=FakeGateway(Image(URL)), ledger=ledger) as backend:
        session = SimpleNamespace(client_capabilities=None, can_send_request=False, report_progress=None)
        context = SimpleNamespace(
            lifespan_context=backend, session=session, protocol_version="2026-07-28", request=None
        )
        await call_tool(cast("Context", context), CallToolRequestParams(name="generate_image", arguments=arguments))
    return ledger.calls[0].key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model": "nano-banana"}, {"model": "google/nano-banana"}),
        ({"model": "nano-banana", "n": 1}, {"model": "nano-banana", "n": "1"}),
        ({"model": "nano-banana", "n": 1}, {"model": "nano-banana", "n": 1.0}),
        ({"model": "nano-banana"}, {"model": "nano-banana", "size": None, "enrich": ""}),
    ],
)
async def test_spelling_of_an_argument_is_not_part_of_the_key(
    catalog: Catalog, one: dict[str, Any], other: dict[str, Any]
) -> None:
    both = joined(catalog, image("google/nano-banana"))
    assert await key_over_mcp(both, prompt="a cat", **one) == await key_over_mcp(both, prompt="a cat", **other)


async def test_client_and_library_give_a_call_the_same_key(catalog: Catalog) -> None:
    assert await key_over_mcp(catalog, **CALL) == await key(catalog, **CALL)
