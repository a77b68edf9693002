"""What every request to a gateway carries: who asks, the credential in the right header, and Azure's version."""

import json
from collections.abc import Iterator
from importlib.metadata import version

import anyio
import pytest
from tests.support.processes import backend_of
from tests.support.raw_gateway import JOB, RawGateway, raw_gateway

from blockrun_image.errors import StorageError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.gateway.fetch import PictureFetcher
from blockrun_image_mcp.network import user_agent

pytestmark = pytest.mark.anyio

REQUESTS = {"GET /v1/models", "POST /v1/images/generations", "GET /v1/images/generations/job-1"}


@pytest.fixture
def gateway() -> Iterator[RawGateway]:
    with raw_gateway() as gateway:
        yield gateway


async def use(backend: Backend) -> None:
    """Have a job drawn, and ask for the list of models."""
    async with backend:
        with anyio.fail_after(20):
            await backend.toolset.generate_image(f"{JOB} to draw", "dall-e-3")
            async with backend.open_gateway() as free:
                await free.models()


async def test_every_request_names_the_program_and_its_version(gateway: RawGateway) -> None:
    await use(backend_of(gateway.settings, poll_seconds=0.05))
    with pytest.raises(StorageError):
        await PictureFetcher(gateway.base_url).fetch(f"{gateway.base_url}/picture.png")
    assert {target for target, _ in gateway.seen} == REQUESTS | {"GET /v1/picture.png"}
    assert {headers["user-agent"] for _, headers in gateway.seen} == {user_agent()}
    assert user_agent() == f"blockrun-image-mcp/{version('blockrun-image-mcp')}"


async def test_azure_requests_carry_the_version_and_only_an_api_key_header(gateway: RawGateway) -> None:
    azure = {"BLOCKRUN_IMAGE_GATEWAY": f"{gateway.base_url}?api-version=2024-02-01"}
    await use(backend_of({**gateway.settings, **azure}, poll_seconds=0.05))
    assert {target for target, _ in gateway.seen} == {f"{target}?api-version=2024-02-01" for target in REQUESTS}
    assert {headers["api-key"] for _, headers in gateway.seen} == {"brk_raw_0123456789"}
    assert not [headers for _, headers in gateway.seen if "authorization" in headers]
    assert json.dumps([headers for _, headers in gateway.seen]).count("brk_raw") == len(gateway.seen)


async def test_other_gateways_get_a_bearer_token_and_no_version(gateway: RawGateway) -> None:
    await use(backend_of(gateway.settings, poll_seconds=0.05))
    assert {headers["authorization"] for _, headers in gateway.seen} == {"Bearer brk_raw_0123456789"}
    assert not [target for target, headers in gateway.seen if "?" in target or "api-key" in headers]
