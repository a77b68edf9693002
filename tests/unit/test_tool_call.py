"""One call of a tool: its progress, and how every failure becomes a result with words."""

import errno
from collections.abc import Mapping
from itertools import groupby
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from mcp_types import CallToolRequestParams, CallToolResult, TextContent
from tests.support.fakes import URL, FakeGateway

from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.null_ledger import NullLedger
from blockrun_image.ports import Attempt, OnStatus
from blockrun_image_mcp import performing
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.mcp_server import tool_call
from blockrun_image_mcp.mcp_server.tool_call import Context, call_tool
from blockrun_image_mcp.settings import Settings
from blockrun_image_mcp.timings import DEFAULT, Timings

pytestmark = pytest.mark.anyio

FOX: Mapping[str, Any] = {"prompt": "A fox", "model": "dall-e-2"}


class Client:
    """The side of a call's context that hears of its progress."""

    client_capabilities = None
    can_send_request = False

    def __init__(self, *, gone: bool = False) -> None:
        self.heard: list[str | None] = []
        self.told: list[tuple[float, float | None]] = []
        self.heard_enough = anyio.Event()
        self.gone = gone

    async def report_progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        if self.gone:
            raise anyio.BrokenResourceError
        self.heard.append(message)
        self.told.append((progress, total))
        if len(self.heard) == 6:
            self.heard_enough.set()


class SlowGateway(FakeGateway):
    """Draws until its client has heard enough, or for a moment."""

    def __init__(self, client: Client) -> None:
        super().__init__(Image(URL))
        self._client = client

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        on_status("drawing")
        with anyio.move_on_after(0.01 if self._client.gone else 5):
            await self._client.heard_enough.wait()
        return await super().generate(request, attempt, on_status, within_seconds)


class RepeatingGateway(FakeGateway):
    """Says the same words again and again."""

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        for words in ("drawing", "drawing", "drawing", "nearly there", "nearly there"):
            on_status(words)
            await anyio.wait_all_tasks_blocked()
        return await super().generate(request, attempt, on_status, within_seconds)


class SilentGateway(FakeGateway):
    """Draws for so long, on a clock that is twenty times as fast, and says nothing."""

    seconds = 16

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        await anyio.sleep(self.seconds / 20)
        return await super().generate(request, attempt, on_status, within_seconds)


class BrokenGateway(FakeGateway):
    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        raise RuntimeError("/home/someone/secret")


async def call(
    gateway: FakeGateway,
    client: Client,
    name: str = "generate_image",
    arguments: Mapping[str, Any] = FOX,
    *,
    version: str = "2026-07-28",
    timings: Timings | None = None,
) -> CallToolResult:
    timings = timings or Timings(progress_seconds=0.01)
    async with Backend(Settings(keep="off"), gateway=gateway, ledger=NullLedger(), timings=timings) as backend:
        context = SimpleNamespace(lifespan_context=backend, session=client, protocol_version=version, request=None)
        result = await call_tool(cast("Context", context), CallToolRequestParams(name=name, arguments=dict(arguments)))
    assert isinstance(result, CallToolResult)
    return result


async def test_progress_is_reported_at_every_change_and_interval() -> None:
    client = Client()
    assert not (await call(SlowGateway(client), client)).is_error
    words = [str(message).partition(" (")[0] for message in client.heard]
    assert words[0] == "starting"
    assert words[-4:] == ["drawing"] * 4


async def test_progress_has_no_message_if_the_clients_protocol_lacks_it() -> None:
    client = Client()
    await call(SlowGateway(client), client, version="2024-11-05")
    assert set(client.heard) == {None}


async def test_same_words_are_not_reported_again_before_the_interval() -> None:
    client = Client()
    await call(RepeatingGateway(Image(URL)), client, timings=Timings(progress_seconds=60))
    words = [str(message).partition(" (")[0] for message in client.heard]
    assert words == [each for each, _ in groupby(words)]
    assert words[-3:] == ["drawing", "nearly there", "drawing"]


@pytest.mark.parametrize(("timeout_seconds", "total"), [(50.0, 50.0), (0.0, None)])
async def test_progress_rises_and_its_total_is_the_call_timeout(timeout_seconds: float, total: float | None) -> None:
    client = Client()
    timings = Timings(progress_seconds=0.01, call_timeout_seconds=timeout_seconds)
    await call(SlowGateway(client) if total else FakeGateway(Image(URL)), client, timings=timings)
    values = [progress for progress, _ in client.told]
    assert values == sorted(set(values))
    assert {told for _, told in client.told} == {total}


async def test_progress_is_reported_at_least_every_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    move_on_after = anyio.move_on_after

    def faster(seconds: float) -> anyio.CancelScope:
        return move_on_after(seconds / 20)

    monkeypatch.setattr(tool_call.anyio, "move_on_after", faster)
    client = Client()
    await call(SilentGateway(Image(URL)), client, timings=DEFAULT)
    words = [str(message).partition(" (")[0] for message in client.heard]
    assert max(len(list(same)) for _, same in groupby(words)) >= 1 + SilentGateway.seconds // 5


async def test_client_that_stopped_listening_does_not_end_the_call() -> None:
    client = Client(gone=True)
    assert not (await call(SlowGateway(client), client)).is_error


async def test_unexpected_exception_becomes_one_plain_sentence_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    result = await call(BrokenGateway(), Client())
    assert result.is_error
    assert "generate_image failed unexpectedly" in words(result)
    assert "It may have been charged." in words(result)
    assert "secret" not in str(result)
    assert "secret" in caplog.text


async def test_unforeseen_error_before_the_purchase_says_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def out_of_files(*arguments: object) -> None:
        raise OSError(errno.EMFILE, "secret")

    monkeypatch.setattr(performing, "check_arguments", out_of_files)
    result = await call(FakeGateway(), Client())
    assert result.is_error
    assert "before anything was sent" in words(result)
    assert "Nothing was charged" in words(result)
    assert "secret" not in str(result)


async def test_unknown_tool_is_refused_with_the_existing_tools() -> None:
    result = await call(FakeGateway(), Client(), "draw\nimage", {})
    assert result.is_error
    assert "generate_image, list_models, estimate_cost" in words(result)


@pytest.mark.parametrize(
    ("version", "is_structured"),
    [("2024-11-05", False), ("2025-03-26", False), ("2025-06-18", True), ("2026-07-28", True)],
)
async def test_result_has_structured_content_only_if_the_protocol_supports_it(
    version: str, is_structured: bool
) -> None:
    for arguments in (FOX, {**FOX, "size": "9x9"}):
        result = await call(FakeGateway(Image(URL)), Client(), arguments=arguments, version=version)
        assert (result.structured_content is not None) == is_structured
        assert words(result)


def words(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text
