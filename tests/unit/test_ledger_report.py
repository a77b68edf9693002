"""What the ledger tells of what was spent, and how many transactions a call takes."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel
import pytest
from tests.support.fakes import Clock, FakeGateway
from tests.support.ledgers import MINE, REQUEST, RESPONSE, UNLIMITED, URL, Processes, quote, rows, sent, settled

from blockrun_image.attempts import Approval, AttemptState
from blockrun_image.catalog import Catalog
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, NeedsApproval, OnStatus
from blockrun_image.pricing import Estimate
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.ledger.report import Days
from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection
from blockrun_image_mcp.ledger.sqlite.store import SqliteStore

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def test_newest_attempts_come_first_with_their_charges_and_pictures(ledger: Ledger) -> None:
    named, unnamed = await settled(ledger), await sent(ledger)
    await unnamed.settled(ImagesResponse(()))
    released = await sent(ledger)
    await released.released()
    newest, first = await ledger.recent(2)
    assert (newest.id, newest.charged_micro_usd, newest.images) == (unnamed.id, None, [])
    assert (first.id, first.charged_micro_usd, first.images) == (named.id, 42_000, RESPONSE.images)
    assert (first.prompt, first.model, first.size, first.n) == ("A red fox", "dall-e-3", "1024x1024", 1)
    assert (first.state, first.reserved_micro_usd, first.job) == ("settled", 42_000, None)
    assert [entry.id for entry in await ledger.recent(1)] == [unnamed.id]


async def test_attempts_are_filtered_by_state(ledger: Ledger) -> None:
    job, unknown = await sent(ledger, "job_1"), await sent(ledger)
    await unknown.mark_unknown()
    await settled(ledger)
    wanted = (AttemptState.ACCEPTED, AttemptState.UNKNOWN)
    assert [entry.id for entry in await ledger.recent(9, *wanted)] == [unknown.id, job.id]
    assert [entry.job for entry in await ledger.recent(9, AttemptState.ACCEPTED)] == ["job_1"]


async def test_statement_reports_held_unknown_and_remaining_amounts(ledger: Ledger) -> None:
    unknown = await sent(ledger)
    await unknown.mark_unknown()
    await sent(ledger)
    attempt = await sent(ledger)
    await attempt.settled(ImagesResponse([Image(URL)], Decimal("0.04")))
    statement = await ledger.spending_today()
    assert statement.to_dict() == {
        "day": "2026-12-31",
        "spent_usd": "0.124",
        "held_usd": "0.042",
        "unknown_usd": "0.042",
        "excess_usd": "0.00",
        "left_usd": "0.076",
        "daily_budget_usd": "0.20",
        "max_cost_usd": "0.10",
        "models": [
            {"model": "dall-e-3", "state": "sent", "calls": 1, "usd": "0.042"},
            {"model": "dall-e-3", "state": "settled", "calls": 1, "usd": "0.04"},
            {"model": "dall-e-3", "state": "unknown", "calls": 1, "usd": "0.042"},
        ],
    }
    assert statement.to_text().startswith("2026-12-31 (UTC): $0.124 spent, $0.076 of $0.20 left.\n")
    assert "Unknown: sent, and never answered" in statement.to_text()


async def test_charge_beyond_the_reservation_is_reported_separately(ledger: Ledger) -> None:
    for charged in ("0.04", "0.9"):
        await (await sent(ledger)).settled(ImagesResponse([Image(URL)], Decimal(charged)))
    statement = await ledger.spending_today()
    assert statement.to_dict()["excess_usd"] == "0.858"
    assert "Gateways have charged $0.858 more than was set aside for these calls." in statement.to_text()


async def test_attempt_and_totals_are_shown_as_text(ledger: Ledger) -> None:
    await (await sent(ledger)).settled(RESPONSE)
    (entry,) = await ledger.recent(9)
    assert (
        entry.to_text()
        == f"2026-12-31 23:59:59  settled     $0.042  dall-e-3 1024x1024\n  A red fox\n  {URL}\n  Saved: /1.png\n  Odd."
    )
    assert (await ledger.spending_today()).to_text().splitlines()[1].split() == [
        "dall-e-3",
        "settled",
        "1",
        "call",
        "$0.042",
    ]


async def test_only_settled_and_released_attempts_of_earlier_days_are_removed(
    processes: Processes, clock: Clock
) -> None:
    ledger = await processes.start()
    kept = [await sent(ledger) for _ in range(2)]
    await kept[0].mark_unknown()
    await settled(ledger)
    released = await sent(ledger)
    await released.released()
    clock.now += 2 * 86_400
    kept.append(await settled(ledger))
    assert await ledger.remove_before("2026-12-31") == 0
    assert await ledger.remove_before("2027-01-01") == 2
    assert {each.id for each in await ledger.recent(9)} == {each.id for each in kept}
    spent = (await ledger.spending(Days("2026-12-31", "2026-12-31"), "day")).to_dict()
    assert (spent["spent_usd"], spent["since"], spent["until"]) == ("0.084", "2026-12-31", "2026-12-31")


async def test_files_are_recorded_for_saved_pictures(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    await attempt.settled(
        replace(RESPONSE, images=[Image(URL, revised_prompt="A vixen"), Image("https://pictures.example/2.png")])
    )
    await attempt.note_files(
        [Image(URL, Path("/pictures/1.png"), None, "A vixen", "0123456789ab"), Image("https://pictures.example/2.png")]
    )
    (entry,) = await ledger.recent(9)
    assert entry.to_dict()["resources"] == ["images://0123456789ab"]
    assert await ledger.picture("0123456789ab") == entry.images[0]
    assert await ledger.picture("0123456789") is None
    assert (entry.files, entry.to_dict()["files"]) == (["/pictures/1.png"], ["/pictures/1.png"])
    assert "\n  Saved: /pictures/1.png" in entry.to_text()


async def test_files_under_other_names_are_recorded_beside_the_first(ledger: Ledger) -> None:
    attempt, path = await sent(ledger), Path("/pictures/a.png")
    await attempt.settled(replace(RESPONSE, images=[Image(path.as_uri(), path, id="a" * 12), Image(URL)]))
    for name, id in (("b.png", "a" * 12), ("c.jpg", "c" * 12), ("c.jpg", "c" * 12)):
        await attempt.note_files([Image(path.as_uri(), path.with_name(name), id=id), Image(URL)])
    (entry,) = await ledger.recent(9)
    assert entry.files == ["/pictures/c.jpg", "/pictures/b.png", "/pictures/a.png"]
    assert entry.resources == [f"images://{'c' * 12}", f"images://{'a' * 12}"]
    assert await ledger.picture("a" * 12) == await ledger.picture("c" * 12) == entry.images[0]
    assert await ledger.forget(attempt.id)
    assert (await ledger.recent(9))[0].files == entry.files


async def test_text_file_of_a_long_url_is_no_copy_of_its_picture(ledger: Ledger) -> None:
    attempt, path = await sent(ledger), Path("/pictures/1.url.txt")
    await attempt.settled(replace(RESPONSE, images=[Image(path.as_uri(), path)]))
    await attempt.note_files([Image(path.as_uri(), Path("/pictures/1.png"), id="a" * 12)])
    assert (await ledger.recent(9))[0].files == ["/pictures/1.png"]


class CountedConnection(SqliteConnection):
    """Counts its transactions."""

    writes = 0
    reads = 0

    async def write(self, work: Callable[[SqliteStore], T]) -> T:
        self.writes += 1
        return await super().write(work)

    async def read(self, work: Callable[[SqliteStore], T]) -> T:
        self.reads += 1
        return await super().read(work)


class StepwiseGateway(FakeGateway):
    """Tells the attempt each of its steps: a price is quoted and a job polled so many times, if there is one."""

    def __init__(self, polls: int = 0, price: str | None = None) -> None:
        super().__init__(Image(URL), charged=price or "0.042")
        self._polls = polls
        self._price = price

    async def generate(
        self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
    ) -> ImagesResponse:
        if self._price is not None:
            await attempt.quoted(quote(Decimal(self._price)))
        await attempt.sent()
        if self._polls:
            assert await attempt.accepted("job_1")
        for _ in range(self._polls):
            await attempt.polled(3.0)
        return self._response


@pytest.mark.parametrize(("polls", "writes"), [(0, 4), (1, 6), (3, 8)])
async def test_call_takes_four_transactions_and_its_job_one_per_step(
    tmp_path: Path, clock: Clock, catalog: Catalog, polls: int, writes: int
) -> None:
    path = tmp_path / "ledger.sqlite3"
    connection = CountedConnection(path)
    async with Ledger(connection, path, UNLIMITED, MINE, clock=clock) as ledger:
        toolset = ImageToolset(catalog, StepwiseGateway(polls), ledger=ledger)
        for number in (1, 2):
            await toolset.generate_image("A red fox", "dall-e-3")
            await anyio.wait_all_tasks_blocked()
            assert (connection.writes, connection.reads) == (number * writes, 0)
    await connection.close()
    assert rows(path, "SELECT state, is_delivered, polls FROM spending") == [("settled", 1, polls)] * 2


@pytest.mark.parametrize(
    ("price", "confirm_above", "asked_and_written"),
    [("0.05", 50_000, (0, 5)), (None, 40_000, (1, 5)), ("0.06", 50_000, (1, 7))],
    ids=["a quote", "a question", "two quotes and a question"],
)
async def test_quote_and_confirmation_take_one_transaction_each(
    tmp_path: Path, catalog: Catalog, price: str | None, confirm_above: int, asked_and_written: tuple[int, int]
) -> None:
    path = tmp_path / "ledger.sqlite3"
    connection = CountedConnection(path)
    asked: list[Decimal | None] = []

    async def approve(_: ImageRequest, __: Estimate, needed: NeedsApproval) -> Approval:
        await anyio.lowlevel.checkpoint()
        asked.append(needed.max_usd)
        return Approval("approval-1", needed.max_usd)

    async with Ledger(connection, path, Limits(None, None, confirm_above), MINE) as ledger:
        toolset = ImageToolset(catalog, StepwiseGateway(price=price), ledger=ledger)
        await toolset.generate_image("A red fox", "dall-e-3", approve=approve)
        await anyio.wait_all_tasks_blocked()
        assert (len(asked), connection.writes) == asked_and_written
        assert connection.reads == 0
    await connection.close()
    assert rows(path, "SELECT state, is_delivered FROM spending") == [("settled", 1)]


async def test_many_records_at_once_take_few_transactions(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "ledger.sqlite3"
    connection = CountedConnection(path)
    async with Ledger(connection, path, UNLIMITED, MINE, clock=clock) as ledger:
        attempts = [await sent(ledger) for _ in range(20)]
        before = connection.writes
        async with anyio.create_task_group() as tasks:
            for attempt in attempts:
                tasks.start_soon(attempt.settled, RESPONSE)
        assert connection.writes - before <= 3
    await connection.close()


LOOK_UPS: Mapping[str, tuple[str, Callable[[SqliteStore], object]]] = {
    "unfinished": ("spending_unfinished", lambda store: store.unfinished()),
    "jobs": ("spending_jobs", lambda store: store.jobs(MINE)),
    "undelivered": ("spending_undelivered", lambda store: store.undelivered(MINE, ["key"])),
    "repeatable": ("spending_repeatable", lambda store: store.repeatable(MINE, ["key"])),
    "uncollected": ("spending_uncollected", lambda store: store.uncollected(MINE)),
    "waiting processes": ("callers_waiting", lambda store: store.waiting_processes()),
    "what a day has cost": ("spending_by_day", lambda store: store.spent_on("2026-12-31")),
    "a day's totals": ("spending_by_day", lambda store: store.totals("2026-12-31")),
    "newest": ("spending_by_time", lambda store: store.recent(9)),
    "newest that are unexplained": (
        "spending_unexplained",
        lambda store: store.recent(9, AttemptState.ACCEPTED, AttemptState.HELD, AttemptState.UNKNOWN),
    ),
    "slots": ("slots_by_model", lambda store: store.slot_before(MINE, "dall-e-3", 1, 0.0)),
    "payments": ("spending_payable", lambda store: store.payments_at("blockrun.ai")),
    "last charge": ("spending_charges", lambda store: store.last_charge(MINE, REQUEST, 0.0)),
}
"""What is looked up often, and the index that keeps it from taking longer the more there is."""


@pytest.mark.parametrize("name", LOOK_UPS)
async def test_look_up_uses_its_index(ledger: Ledger, name: str) -> None:
    index, look_up = LOOK_UPS[name]
    await ledger.spending_today()
    with closing(sqlite3.connect(ledger.path)) as connection:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        look_up(SqliteStore(connection))
        connection.set_trace_callback(None)
        (statement,) = statements
        plan = [detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    (step,) = [step for step in plan if step.startswith(("SEARCH", "SCAN"))]
    assert f"INDEX {index}" in step
