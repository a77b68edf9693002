"""What tests of tasks hand over, and what they wait for."""

import anyio
import anyio.lowlevel


async def until_it_waits() -> None:
    """Wait until another task waits for something."""
    for _ in range(9):
        await anyio.lowlevel.checkpoint()


def ignore(_: object) -> None:
    """Ignore the result of work whose caller has gone."""


async def nothing() -> None:
    """Do nothing; a caller leaves no trace."""
