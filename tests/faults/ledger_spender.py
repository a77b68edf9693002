"""A process that reserves, sends and settles attempts of one cent each, and says what is on disk, line by line."""

import sys
from decimal import Decimal
from pathlib import Path

import anyio

from blockrun_image.errors import BudgetExceededError
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.ports import ExpectedCost
from blockrun_image_mcp.ledger.limits import Limits, micro_usd
from blockrun_image_mcp.ledger.sqlite import SqliteLedger

REQUEST = ImageRequest("A red fox", "dall-e-3", "1024x1024", "standard", 1)
CENT = Decimal("0.01")


async def main(path: str, cap_usd: str, attempts: int) -> None:
    """Make so many attempts, as far as the cap allows them."""
    ledger = SqliteLedger(Path(path), Limits(None, micro_usd(Decimal(cap_usd))))
    for _ in range(attempts):
        try:
            attempt = await ledger.reserve(REQUEST, ExpectedCost(most_usd=CENT))
        except BudgetExceededError:
            continue
        say("reserved", attempt.id)
        await attempt.sent()
        say("sent", attempt.id)
        await attempt.settled(ImagesResponse((), CENT))
        say("settled", attempt.id)
    await ledger.close()


def say(state: str, id: str) -> None:
    """Write one line at once."""
    sys.stdout.write(f"{state} {id}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
