"""What the drivers in Python share: a request is a line of JSON on stdin, and its answer one on stdout."""

import asyncio
import json
import sys
from types import SimpleNamespace

SERVER = SimpleNamespace(**json.loads(sys.argv[1]))
"""`start` has its command, args and env; after so many `seconds` a call is given up; `option` is the driver's."""


def serve(context, tools, call):
    """Answer until stdin ends; what the context manager opens is the first argument of both functions."""
    answers, sys.stdout = sys.stdout, sys.stderr

    async def run():
        async with context as opened:
            while line := await asyncio.to_thread(sys.stdin.readline):
                request = json.loads(line)
                try:
                    answer = await (call(opened, **request) if request else tools(opened))
                except Exception as error:
                    answer = f"{type(error).__name__}: {error}"
                print(json.dumps(answer), file=answers, flush=True)

    asyncio.run(run())


def text(content):
    """Return the text of a result's content."""
    return "\n".join(block.text for block in content if block.type == "text")
