"""Calls that would be refused today: they still collect what is paid, and are described by what was sent."""

import os
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio.to_thread
import pytest
from mcp_types import CallToolRequestParams
from tests.support.fakes import HELD, URL, Clock, EarlierCall, FailingGateway, FakeDelivery, FakeGateway, SendingGateway
from tests.support.ledgers import open_ledger
from tests.support.listings import image, joined

from blockrun_image.arguments import unchecked_arguments
from blockrun_image.attempts import AttemptState, AttemptStatus, Job
from blockrun_image.callers import DeliveryEvent
from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import enrich
from blockrun_image.errors import ConfigurationError, InvalidRequestError, ModelNotFoundError, UnknownModelError
from blockrun_image.fixed_ports import FixedPorts
from blockrun_image.images import Defaults, Image, ImageRequest, ImagesResponse
from blockrun_image.ports import ImageGateway, JobPending
from blockrun_image.results import GeneratedImages, PendingImages
from blockrun_image.schemas import tool_schemas
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.mcp_server.tool_call import call_tool
from blockrun_image_mcp.settings import Settings

pytestmark = pytest.mark.anyio

PRICE = Decimal("0.042")
SETTLED = AttemptStatus(AttemptState.SETTLED, response=ImagesResponse([Image(URL)], PRICE))
COLLECTED = "An earlier call with the same arguments paid for this; nothing more was charged."


async def leave_paid_pictures(catalog: Catalog, ledger: Ledger, **call: Any) -> None:
    """Have a call pay for pictures whose answer is lost."""
    gateway, delivery = SendingGateway(Image(URL), charged="0.042"), FakeDelivery()
    await ImageToolset(catalog, gateway, ledger=ledger).generate_image(**call, delivery=delivery)
    await delivery.tell(DeliveryEvent.LOST)


def without(catalog: Catalog, *models: str) -> Catalog:
    """Return the catalogue of a gateway that lists only other models."""
    return joined(catalog, *(image(model, 0.04) for model in catalog.models if model not in models))


async def test_refused_arguments_still_collect_paid_pictures(catalog: Catalog, tmp_path: Path) -> None:
    gateway = FakeGateway(Image("https://other.example"))
    call: dict[str, Any] = {"prompt": "a cat", "model": "dall-e-3"}
    async with open_ledger(tmp_path / "ledger", Clock(1_700_000_000)) as ledger:
        await leave_paid_pictures(catalog, ledger, **call)
        toolset = ImageToolset(catalog, gateway, ledger=ledger)
        refusal = InvalidRequestError("There is no such model today.")
        result = await toolset.generate_image("a cat", "dall-e-3", refusal=refusal)
        assert [each.url for each in result.images] == [URL]
        assert gateway.requests == []
        with pytest.raises(InvalidRequestError) as caught:
            await toolset.generate_image("a cat", "dall-e-3", refusal=refusal)
        assert caught.value is refusal


async def test_retired_model_still_collects(catalog: Catalog, tmp_path: Path) -> None:
    gateway = FakeGateway(Image("https://other.example"))
    call: dict[str, Any] = {"prompt": "a cat", "model": "dall-e-3"}
    async with open_ledger(tmp_path / "ledger", Clock(1_700_000_000)) as ledger:
        await leave_paid_pictures(catalog, ledger, **call)
        toolset = ImageToolset(without(catalog, "dall-e-3"), gateway, ledger=ledger)
        result = await toolset.generate_image(**call)
        assert [each.url for each in result.images] == [URL]
        assert (result.request.model, result.charged_usd) == ("dall-e-3", PRICE)
        assert any(warning.startswith("Today this call would be refused: ") for warning in result.warnings)
        with pytest.raises(UnknownModelError):
            await toolset.generate_image(**call)
    assert gateway.requests == []


@pytest.mark.parametrize(
    "call",
    [{"model": "dall-e-9"}, {"model": "dall-e-3", "size": "7x7"}, {"model": "dall-e-3", "enrich": "always"}],
)
async def test_refused_call_creates_no_ledger(catalog: Catalog, tmp_path: Path, call: dict[str, Any]) -> None:
    path = tmp_path / "ledger"
    async with open_ledger(path, Clock(1_700_000_000)) as ledger:
        with pytest.raises(InvalidRequestError):
            await ImageToolset(catalog, FakeGateway(), ledger=ledger).generate_image("a cat", **call)
    assert await anyio.to_thread.run_sync(os.listdir, tmp_path) == []


async def test_refused_call_reports_that_it_starts(catalog: Catalog) -> None:
    told: list[str] = []
    with pytest.raises(InvalidRequestError):
        await ImageToolset(catalog, FakeGateway()).generate_image("a cat", "dall-e-9", on_status=told.append)
    assert told == ["starting"]


async def test_invalid_client_call_collects_and_warns_of_its_refusal(catalog: Catalog) -> None:
    ledger = EarlierCall(request(catalog), SETTLED)
    async with Backend(Settings(), catalog, gateway=FakeGateway(), ledger=ledger) as backend:
        result = await called(backend, prompt="a cat", model="dall-e-3", size="7x7")
    assert ledger.orders == [None]
    assert result.structured_content["images"] == [{"url": URL}]
    assert "Today this call would be refused: dall-e-3 has no size '7x7'" in result.content[0].text


@pytest.mark.parametrize("spelling", [{"n": "1"}, {"n": 1.0}, {"model": "google/nano-banana"}])
async def test_retired_model_still_collects_in_any_spelling_of_the_call(
    catalog: Catalog, tmp_path: Path, spelling: dict[str, Any]
) -> None:
    call: dict[str, Any] = {"prompt": "a cat", "model": "nano-banana", "n": 1}
    async with open_ledger(tmp_path / "ledger", Clock(1_700_000_000)) as ledger:
        await leave_paid_pictures(catalog, ledger, **call)
        retired = without(catalog, "nano-banana")
        async with Backend(Settings(), retired, gateway=FakeGateway(), ledger=ledger) as backend:
            result = await called(backend, **{**call, **spelling})
    assert result.structured_content["images"] == [{"url": URL}]


async def called(backend: Backend, **arguments: Any) -> Any:
    """Call the tool as a client does."""
    session = SimpleNamespace(client_capabilities=None, can_send_request=False)
    context: Any = SimpleNamespace(
        lifespan_context=backend, session=session, protocol_version="2026-07-28", request=None
    )
    return await call_tool(context, CallToolRequestParams(name="generate_image", arguments=arguments))


def test_refused_call_is_normalized_without_unknown_arguments(catalog: Catalog) -> None:
    (schema,) = [each for each in tool_schemas(catalog, Defaults()) if each.name == "generate_image"]
    given = {"prompt": "a cat", "model": "google/nano-banana", "n": "3", "size": None, "quality": "", "style": "x"}
    both = joined(catalog, image("google/nano-banana"))
    (listed,) = [each for each in tool_schemas(both, Defaults()) if each.name == "generate_image"]
    assert unchecked_arguments(listed, given) == {"prompt": "a cat", "model": "nano-banana", "n": 3}
    assert unchecked_arguments(schema, {"model": 5, "n": "x"}) == {"model": 5, "n": "x"}


# what describes collected pictures


def request(catalog: Catalog, **more: Any) -> ImageRequest:
    """Return what a plain call for a cat sends today, or something else."""
    sent = ImageRequest(enrich("a cat", model="dall-e-3").prompt, "dall-e-3", "1024x1024", "standard", 1)
    return replace(sent, **more)


async def collected(catalog: Catalog, sent: ImageRequest, **call: Any) -> GeneratedImages:
    toolset = ImageToolset(catalog, FakeGateway(), ledger=EarlierCall(sent, SETTLED))
    made: dict[str, Any] = {"prompt": "a cat", "model": "dall-e-3", **call}
    return await toolset.generate_image(**made)


async def test_identical_request_is_described_by_the_call(catalog: Catalog) -> None:
    result = await collected(catalog, request(catalog))
    assert result.prompt.original == "a cat"
    assert result.prompt.applied
    assert result.warnings == [COLLECTED]


DIFFERENCES: Sequence[tuple[dict[str, Any], str]] = [
    ({"size": "1792x1024"}, "size '1792x1024' instead of '1024x1024'"),
    ({"quality": "hd"}, "quality 'hd' instead of 'standard'"),
    ({"model": "dall-e-2", "quality": None}, "model 'dall-e-2' instead of 'dall-e-3', quality 'None' instead of"),
    ({"prompt": "a cat."}, "prompt 'a cat.' instead of 'a cat. "),
]


@pytest.mark.parametrize(("difference", "says"), DIFFERENCES)
async def test_collected_result_describes_what_was_sent_and_warns_of_differences(
    catalog: Catalog, difference: dict[str, Any], says: str
) -> None:
    sent = request(catalog, **difference)
    result = await collected(catalog, sent)
    assert result.request == sent
    assert (result.prompt.prompt, result.prompt.original, result.prompt.applied) == (sent.prompt, sent.prompt, ())
    (first, warning) = result.warnings
    assert first == COLLECTED
    assert warning.startswith("The earlier call had sent ")
    assert says in warning
    assert result.to_dict()["size"] == sent.size
    assert (result.estimate.model, result.estimate.size, result.estimate.quality) == (
        sent.model,
        sent.size,
        sent.quality,
    )


async def test_late_difference_in_long_prompts_is_visible(catalog: Catalog) -> None:
    words = "a cat on a mat " * 10
    result = await collected(
        catalog, request(catalog, prompt=f"{words}at noon"), prompt=f"{words}at dusk", enrich="off"
    )
    sent, _, today = result.warnings[-1].removeprefix("The earlier call had sent prompt ").partition(" instead of ")
    assert sent != today.removesuffix(".")


async def test_image_count_is_compared_with_the_sent_n(catalog: Catalog) -> None:
    result = await collected(catalog, request(catalog, n=3))
    assert "Asked for 3 images, received 1." in result.warnings
    assert "The earlier call had sent n '3' instead of '1'." in result.warnings


async def test_gateway_spelling_of_the_model_is_not_a_difference(catalog: Catalog) -> None:
    assert (await collected(catalog, request(catalog, sent_as="openai/dall-e-3"))).warnings == [COLLECTED]


async def test_refused_call_reports_what_was_sent_and_why_it_is_refused(catalog: Catalog) -> None:
    sent = request(catalog, size="256x256")
    result = await collected(catalog, sent, size="256x256")
    assert result.request == sent
    assert result.warnings[0] == COLLECTED
    assert result.warnings[1].startswith("Today this call would be refused: dall-e-3 has no size '256x256'")


async def test_price_of_a_collected_unknown_model_is_unknown(catalog: Catalog) -> None:
    result = await collected(catalog, request(catalog, model="dall-e-1"))
    assert (result.estimate.low_usd, result.estimate.high_usd, result.estimate.exact) == (Decimal(0), None, False)
    assert result.estimate.cost()["basis"] == "No price is known for it any more."
    assert (result.request.model, result.charged_usd) == ("dall-e-1", PRICE)


async def test_price_of_a_retired_model_is_still_reported(catalog: Catalog) -> None:
    result = await collected(without(catalog, "dall-e-3"), request(catalog))
    assert (result.request.model, result.estimate.high_usd) == ("dall-e-3", PRICE)


async def test_pending_call_is_described_by_what_was_sent(catalog: Catalog) -> None:
    sent = request(catalog, size="1792x1024")
    status = AttemptStatus(AttemptState.ACCEPTED, Job("job_1"), is_claimable=True)
    toolset = ImageToolset(catalog, FailingGateway(JobPending()), ledger=EarlierCall(sent, status))
    result = await toolset.generate_image("a cat", "dall-e-3")
    assert isinstance(result, PendingImages)
    assert (result.request, result.held_usd) == (sent, HELD)
    assert result.warnings[0].startswith("The earlier call had sent size '1792x1024'")


async def test_model_not_found_hint_omits_the_model_that_was_sent(catalog: Catalog) -> None:
    both = joined(catalog, image("dall-e-3", 0.04), image("flux", 0.04))
    status = AttemptStatus(AttemptState.ACCEPTED, Job("job_1"), is_claimable=True)
    ledger = EarlierCall(request(catalog, model="flux"), status)
    toolset = ImageToolset(both, FailingGateway(ModelNotFoundError("There is no such model.")), ledger=ledger)
    with pytest.raises(ModelNotFoundError) as caught:
        await toolset.generate_image("a cat", "dall-e-3")
    assert caught.value.hint.startswith("Use another: dall-e-3")
    assert "flux" not in caught.value.hint


async def test_call_collects_even_if_the_gateway_cannot_be_opened(catalog: Catalog) -> None:
    class ClosedPorts(FixedPorts):
        async def gateway(self) -> ImageGateway:
            raise ConfigurationError("The wallet cannot be read.")

    ports = ClosedPorts(FakeGateway(), EarlierCall(request(catalog), SETTLED))
    result = await ImageToolset(catalog, ports=ports).generate_image("a cat", "dall-e-3")
    assert [each.url for each in result.images] == [URL]
