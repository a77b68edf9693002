"""What the drivers in Python share: a request is a line of JSON on stdin, and its answer one on stdout."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

Tools = Callable[[], Awaitable[list[str]]]
Call = Callable[[str, dict[str, Any]], Awaitable[str]]


def serve(connected: Callable[[Any], AbstractAsyncContextManager[tuple[Tools, Call]]]) -> None:
    """Answer until stdin ends. `connected` gets the server's `command`, `args` and `env`, `seconds` and `option`."""
    answers, sys.stdout = sys.stdout, sys.stderr
    server = SimpleNamespace(**json.loads(sys.argv[1]))

    async def run() -> None:
        async with connected(server) as (tools, call):
            while line := await asyncio.to_thread(sys.stdin.readline):
                request = json.loads(line)
                if "tool" in request:
                    answer = {"said": await _said(call, request)}
                else:
                    answer = {"tools": await tools()}
                print(json.dumps(answer), file=answers, flush=True)

    asyncio.run(run())


async def _said(call: Call, request: dict[str, Any]) -> str:
    try:
        return await call(request["tool"], request["arguments"])
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def text(content: Any) -> str:
    """Return the text of a result's content."""
    return "\n".join(block.text for block in content if block.type == "text")
