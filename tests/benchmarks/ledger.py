"""What a call, `spend` and a sweep cost in a large ledger, beside a small one and four bare commits.

Run it with `python -m tests.benchmarks.ledger`; it makes a file of about 700 MB in a temporary folder.
"""

import json
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path

import anyio

from blockrun_image.attempts import CallInfo, ExpectedCost, Order
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Reserved
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection
from blockrun_image_mcp.ledger.store import Account

_SMALL, _LARGE, _TODAY, _SAME, _ROUNDS = 100, 1_000_000, 1_000, 100, 200
_REQUEST = ImageRequest("A red fox in the snow", "dall-e-3", "1024x1024", "standard", 1)
_ACCOUNT = Account("https://gateway.example/v1", "mine")
_ANSWER = ImagesResponse([Image(url="https://pictures.example/1.png")], Decimal("0.042"))


def ledger_at(path: Path) -> Ledger:
    """Return a ledger with limits that a benchmark does not reach."""
    return Ledger(SqliteConnection(path), path, Limits(None, 10**15), _ACCOUNT)


async def call(ledger: Ledger) -> None:
    """Write down all that a plain call writes down."""
    order = Order(_REQUEST, ExpectedCost(Decimal(0), Decimal("0.042")))
    begun = await ledger.begin(CallInfo("same"), order)
    if not isinstance(begun, Reserved):
        raise TypeError(f"the call was not reserved: {begun}")
    await begun.attempt.sent()
    await begun.attempt.settled(_ANSWER)
    await begun.attempt.mark_delivered()


def fill(path: Path, rows: int, today: str) -> None:
    """Add attempts that were delivered, some of today and some at the same call as the benchmark's."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    request = json.dumps({"prompt": _REQUEST.prompt, "model": "dall-e-3", "size": "1024x1024", "quality": None, "n": 1})
    now = time.time()

    def values() -> Iterator[tuple[object, ...]]:
        for number in range(rows):
            day = today if number < _TODAY else f"2020-{number % 12 + 1:02}-{number % 28 + 1:02}"
            key = "same" if number % max(1, rows // _SAME) == 0 else uuid.uuid4().hex
            created = now - 3_600 - number * 60
            yield (
                str(uuid.uuid4()),
                day,
                created,
                created,
                _ACCOUNT.gateway,
                _ACCOUNT.principal,
                key,
                request,
                created,
            )

    with connection:
        connection.executemany(
            "INSERT INTO spending (id, state, owner, day, created_at, ended_at, gateway, principal, key, model,"
            " request, held_micro_usd, charged_micro_usd, images, is_delivered, delivered_at)"
            " VALUES (?, 'settled', 'gone', ?, ?, ?, ?, ?, ?, 'dall-e-3', ?, 42000, 42000,"
            """ '[{"url": "https://pictures.example/1.png"}]', 1, ?)""",
            values(),
        )
    connection.close()


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Return how many milliseconds work takes."""
    start = time.perf_counter()
    await work()
    return (time.perf_counter() - start) * 1_000


def four_commits(connection: sqlite3.Connection) -> float:
    """Return how many milliseconds four commits of one row take."""
    start = time.perf_counter()
    for _ in range(4):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (?)", ("x" * 200,))
        connection.execute("COMMIT")
    return (time.perf_counter() - start) * 1_000


async def measure(folder: Path) -> None:
    """Print the medians of interleaved rounds, and their ratios."""
    bare = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE t (x TEXT)")
    async with ledger_at(folder / "small.sqlite3") as small, ledger_at(folder / "large.sqlite3") as large:
        for ledger, rows in ((small, _SMALL), (large, _LARGE)):
            await ledger.spending_today()
            await anyio.to_thread.run_sync(fill, ledger.path, rows, ledger.today())
        works: dict[str, Callable[[Ledger], Awaitable[object]]] = {
            "call": call,
            "spend": lambda ledger: ledger.spending_today(),
            "sweep": lambda ledger: ledger.sweep(),
        }
        for name, work in works.items():
            taken = [
                (await timed(lambda: work(small)), await timed(lambda: work(large)), four_commits(bare))  # noqa: B023 - awaited at once
                for _ in range(_ROUNDS)
            ]
            few, many, commits = (statistics.median(column) for column in zip(*taken, strict=True))
            sys.stdout.write(
                f"{name:6} {few:7.2f} ms with {_SMALL} rows, {many:7.2f} ms with {_LARGE:,}: x {many / few:.2f};"
                f" four commits {commits:.2f} ms: x {many / commits:.2f}\n"
            )
        await small.transactions.close()
        await large.transactions.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(measure, Path(temporary))
