"""Clients of a server, and what they read of its answers."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitRequestParams, ElicitResult, ErrorData, TextContent
from tests.support.processes import backend_of

from blockrun_image_mcp.mcp_server.server import build_server

Connect = Callable[..., AbstractAsyncContextManager[Client]]
FOX = {"prompt": "A red fox in the snow", "model": "dall-e-3"}
COLLECTED = "nothing more was charged"
"""What is told of pictures that an earlier call has paid for."""
MEMORY = ("memory-modern", "memory-handshake")
STDIO = ("stdio-modern", "stdio-handshake")
over_every_transport = pytest.mark.parametrize("connect", [*MEMORY, *STDIO], indirect=True)
"""Marks a test of what pipes can change: long lines, messages out of turn, variables, and a second process."""
QUICK_POLLS: Mapping[str, float] = {"poll_seconds": 0.1}
"""Timings of a server that polls its jobs often."""


def text(result: CallToolResult) -> str:
    """Return what a model reads of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def data(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of a result."""
    assert result.structured_content is not None
    return result.structured_content


class User:
    """Answers every question in the same way, and keeps them."""

    def __init__(self, action: Literal["accept", "decline", "cancel"] = "accept", content: Any = None) -> None:
        self.questions: list[ElicitRequestFormParams] = []
        self._answer = ElicitResult(action=action, content=content)

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        assert isinstance(params, ElicitRequestFormParams)
        self.questions.append(params)
        return self._answer


@asynccontextmanager
async def served(
    settings: Mapping[str, str],
    answer: Any = None,
    mode: Literal["auto", "legacy"] = "auto",
    timings: Mapping[str, float] | None = None,
) -> AsyncGenerator[Client]:
    """Run a server in this process, with a client of it."""
    async with Client(
        build_server(backend_of(settings, **(timings or {}))), mode=mode, elicitation_callback=answer
    ) as client:
        yield client
