"""Paid answers that are cut: in a chunked body, the last chunk is missing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio.abc import ByteStream
from tests.support.picture_servers import Answer, picture_server
from tests.support.retries import QUICK, RECEIPT, generate, generate_from_wallet
from tests.support.sandbox import Sandbox

from blockrun_image import Catalog, GatewayError, GeneratedImages, ImageToolset, OutcomeUnknownError
from blockrun_image.fixed_ports import FixedPorts
from blockrun_image_mcp.gateway.client import HttpGateway
from blockrun_image_mcp.gateway.credentials import Endpoint
from blockrun_image_mcp.images.store import FolderStore

pytestmark = pytest.mark.anyio

URL = "https://pictures.example/1.png"
WHOLE = json.dumps({"data": [{"url": URL}]}).encode()
WORDS = b'{"data": [], "message": "Out of paint"}'
GENERATIONS = "/v1/images/generations"


def unended(body: bytes, *headers: str, status: int = 200) -> Answer:
    """Return an answer whose body lacks its last chunk."""
    head = "\r\n".join([f"HTTP/1.1 {status} -", "Transfer-Encoding: chunked", *headers, "", ""]).encode()

    async def write(stream: ByteStream) -> None:
        await stream.send(head + b"%x\r\n%b\r\n" % (len(body), body))
        await stream.send_eof()
        while True:  # a reset would lose what was sent
            await stream.receive()

    return write


async def ask(origin: str, catalog: Catalog, folder: Path) -> GeneratedImages:
    endpoint = Endpoint(f"{origin}/v1", {"Authorization": "Bearer brk_test"}, "test")
    async with HttpGateway(endpoint, timings=QUICK) as gateway:
        ports = FixedPorts(gateway, store=FolderStore(folder), keeps_pictures=False)
        return await ImageToolset(catalog, ports=ports).generate_image("A fox", "dall-e-3")


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (WHOLE[:-2], f" It names {URL}."),
        (b'{"data": [{"b64_json": "iVBORw0KGgo', "a cut answer (HTTP 200, 35 bytes), RemoteProtocolError: "),
        (b"\x89PNG\r\n", "a cut answer (HTTP 200, 6 bytes), RemoteProtocolError: "),
        (WORDS, ": Out of paint."),
    ],
)
@pytest.mark.parametrize("headers", [(), ("x-blockrun-cost-usd: 0.9",)])
async def test_unusable_answer_without_its_last_chunk_is_kept_and_not_paid_again(
    catalog: Catalog, tmp_path: Path, body: bytes, words: str, headers: Sequence[str]
) -> None:
    async with picture_server(unended(body, *headers)) as server:
        with pytest.raises(OutcomeUnknownError) as caught:
            await ask(server.origin, catalog, tmp_path)
        assert await server.targets() == [GENERATIONS]
    file = only_file(tmp_path)
    assert file.read_bytes() == body
    assert words in caught.value.message
    assert caught.value.message.endswith(f" The answer is saved unchanged: {file}")
    assert caught.value.charged == ("yes" if headers else "unknown")


async def test_picture_of_an_answer_without_its_last_chunk_is_returned(catalog: Catalog, tmp_path: Path) -> None:
    async with picture_server(unended(WHOLE)) as server:
        result = await ask(server.origin, catalog, tmp_path)
        assert await server.targets() == [GENERATIONS]
    assert [image.url for image in result.images] == [URL]


async def test_picture_of_a_poll_answer_without_its_last_chunk_is_returned() -> None:
    done = json.dumps({"id": "job_1", "status": "completed", "data": [{"url": URL}]}).encode()
    answers = {GENERATIONS: unended(b'{"id": "job_1"}', status=202), f"{GENERATIONS}/job_1": unended(done)}
    async with picture_server(answers) as server:
        assert [image.url for image in (await generate(f"{server.origin}/v1")).images] == [URL]


@pytest.mark.parametrize(
    ("then", "charged"),
    [
        ({"payment_code": "PAYMENT_REPLAY"}, "unknown"),
        ({"status": 402, "headers": RECEIPT}, "yes"),
        ({"status": 400}, "unknown"),
        ({"cut": "before"}, "unknown"),
        ({"delay_seconds": 30}, "unknown"),
        ({"status": 200, "body": {"data": []}}, "unknown"),
    ],
)
async def test_cut_answer_is_kept_if_its_signed_request_brings_nothing_when_resent(
    sandbox: Sandbox, then: Mapping[str, Any], charged: str
) -> None:
    cut = {"status": 200, "body": json.loads(WHOLE), "cut": "during", "settles": False}
    sandbox.script([{"on": "paid", **cut}, {"on": "paid", "settles": False, **then}])
    with pytest.raises(GatewayError) as caught:
        await generate_from_wallet(sandbox, timings=replace(QUICK, answer_seconds=1))
    assert caught.value.raw.startswith(b'{"data":[{"url"')
    assert "The first answer was a success, and was cut." in caught.value.message
    assert (caught.value.charged, sandbox.paid_posts) == (charged, 2)


async def test_cut_answer_is_kept_if_its_payment_was_used(sandbox: Sandbox) -> None:
    unproven = dict.fromkeys(("x-blockrun-cost-usd", "x-payment-receipt", "payment-response"))
    sandbox.script([{"on": "paid", "cut": "during", "headers": unproven}])
    with pytest.raises(OutcomeUnknownError, match="already used") as caught:
        await generate_from_wallet(sandbox)
    assert caught.value.raw.startswith(b'{"created"')
    assert f" It names {sandbox.origin}/images/" in caught.value.message
    assert (caught.value.charged, sandbox.paid_posts, sandbox.charges) == ("unknown", 2, 1)


async def test_cut_answer_to_an_unpaid_request_is_not_kept(sandbox: Sandbox) -> None:
    cut = {"status": 200, "body": json.loads(WHOLE), "cut": "during"}
    sandbox.script([{"on": "quote", **cut}, {"on": "quote", "status": 400}])
    with pytest.raises(GatewayError) as caught:
        await generate_from_wallet(sandbox)
    assert (caught.value.raw, caught.value.charged, sandbox.paid_posts) == (b"", "no", 0)
