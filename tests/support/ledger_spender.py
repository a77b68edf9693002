"""A process that reserves, sends and settles attempts of one cent each, and says what is on disk, line by line."""

import sys
import uuid
from decimal import Decimal
from pathlib import Path

import anyio

from blockrun_image.attempts import CallInfo, ExpectedCost, Order
from blockrun_image.errors import BudgetExceededError
from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.ports import Reserved
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits, micro_usd
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection

REQUEST = ImageRequest("A red fox", "dall-e-3", "1024x1024", "standard", 1)
CENT = Decimal("0.01")


async def main(path: Path, cap_usd: str, attempts: int) -> None:
    """Make so many attempts, each at a call of its own, as far as the cap allows them."""
    database = SqliteConnection(path)
    async with Ledger(database, path, Limits(None, micro_usd(Decimal(cap_usd)))) as ledger:
        for _ in range(attempts):
            call = CallInfo(str(uuid.uuid4()))
            try:
                begun = await ledger.begin(call, Order(REQUEST, ExpectedCost(max_usd=CENT)))
            except BudgetExceededError:
                continue
            if not isinstance(begun, Reserved):
                raise TypeError(begun)
            attempt = begun.attempt
            say("reserved", attempt.id)
            await attempt.sent()
            say("sent", attempt.id)
            await attempt.settled(ImagesResponse((), CENT))
            say("settled", attempt.id)
    await database.close()


def say(state: str, id: str) -> None:
    """Write one line at once."""
    sys.stdout.write(f"{state} {id}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
