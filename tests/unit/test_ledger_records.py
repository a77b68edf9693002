"""Spilled records: applied once and in order, whatever has become of their rows, and harmless if broken."""

import json
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import (
    CALL,
    HASTY,
    PATIENT,
    RESPONSE,
    Processes,
    attempt_of,
    called_by,
    change,
    collected,
    die,
    locked,
    order,
    quote,
    reserve,
    rows,
    sent,
    settled,
    spent,
    spilled,
    spilled_settlement,
    states,
)
from tests.support.platforms import has_mode

from blockrun_image.attempts import CallInfo
from blockrun_image.images import ImagesResponse
from blockrun_image.ports import Reserved
from blockrun_image_mcp.ledger.attempt import LedgerAttempt
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.records import Event, Record, settlement

pytestmark = pytest.mark.anyio


def record_of(attempt: LedgerAttempt, event: Event, **values: Any) -> dict[str, Any]:
    """Return a record of a process that is not there any more."""
    record = Record(attempt.id, event, "f" * 32, 9, attempt.ledger.identity, values)
    return record.to_dict()


def spill(ledger: Ledger, content: object, name: str = "a-record") -> Path:
    folder = ledger.outbox.folder
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


async def test_older_record_is_skipped(processes: Processes) -> None:
    ledger = await processes.start()
    attempt = await sent(ledger, "job_1")  # the second record
    late = record_of(attempt, Event.UNKNOWN) | {"writer": ledger.owner}
    spill(ledger, late | {"sequence": 2})
    assert await states(ledger) == ["accepted"]
    spill(ledger, late | {"sequence": 3})
    assert (await states(ledger), spilled(ledger)) == (["unknown"], [])


async def test_settled_record_recreates_a_missing_row(processes: Processes) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    attempt = await spilled_settlement(ledger)
    change(ledger.path, "DELETE FROM spending")  # restored from an older copy
    assert (await states(other), await spent(other)) == (["settled"], 42_000)
    assert (await other.status(attempt.id)).response == RESPONSE
    die(ledger)
    assert await collected(other) == attempt.id


async def test_recreated_row_counts_at_the_quoted_price_on_the_day_it_was_sent(
    processes: Processes, clock: Clock
) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    attempt = await reserve(ledger)
    await attempt.quoted(quote(Decimal("0.05")))
    clock.now += 1  # the next day
    await attempt.sent()
    with locked(ledger.path):
        await attempt.settled(ImagesResponse(RESPONSE.images))  # which names no charge
    change(ledger.path, "DELETE FROM spending")  # restored from an older copy
    assert (await states(other), await spent(other)) == (["settled"], 50_000)


async def test_settled_record_settles_a_row_restored_to_reserved(processes: Processes) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    await spilled_settlement(ledger)
    change(ledger.path, "UPDATE spending SET state = 'reserved'")  # restored from an older copy
    assert await states(other) == ["settled"]


async def spilled_and_missing(ledger: Ledger, event: Event, **values: object) -> None:
    """Spill a record of a sent attempt, and remove its row."""
    attempt = await sent(ledger)
    with locked(ledger.path):
        assert attempt.new is not None
        record = record_of(attempt, event, **values) | {
            "attempt": {**asdict(attempt.new), "request": attempt.new.request.to_record()}
        }
        await attempt.ledger.outbox.put(Record.from_dict(record))
    change(ledger.path, "DELETE FROM spending")


@pytest.mark.parametrize("event", [Event.RELEASED, Event.DELIVERED, Event.ABANDONED])
async def test_record_without_cost_does_not_recreate_a_missing_row(processes: Processes, event: Event) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    await spilled_and_missing(ledger, event)
    assert (await states(other), spilled(other)) == ([], [])


@pytest.mark.parametrize(("event", "values"), [(Event.UNKNOWN, {}), (Event.ACCEPTED, {"job": "job_1"})])
async def test_record_that_may_have_cost_money_recreates_a_missing_row(
    processes: Processes, event: Event, values: dict[str, object]
) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    await spilled_and_missing(ledger, event, **values)
    assert (await states(other), spilled(other)) == ([event.value], [])
    assert (await other.spending_today()).spent_micro_usd == 42_000


async def test_record_of_another_ledger_is_left_in_place(processes: Processes) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    await spilled_settlement(ledger)
    (path,) = spilled(ledger)
    path.write_text(path.read_text("utf-8").replace(ledger.identity, "another ledger"), "utf-8")
    assert (await states(other), spilled(other)) == (["sent"], [path])


UNREADABLE: dict[str, Callable[[LedgerAttempt], object]] = {
    "no text": lambda attempt: b"\xff\xfe\x00",
    "empty": lambda attempt: b"",
    "cut off": lambda attempt: json.dumps(record_of(attempt, Event.UNKNOWN)).encode()[:-9],
    "no object": lambda attempt: [1, 2],
    "no record": lambda attempt: {"hello": "world"},
    "an event of tomorrow": lambda attempt: record_of(attempt, Event.UNKNOWN) | {"event": "painted"},
    "a sequence that is none": lambda attempt: record_of(attempt, Event.UNKNOWN) | {"sequence": "x"},
    "a field of tomorrow": lambda attempt: record_of(attempt, Event.UNKNOWN) | {"colour": "red"},
}
UNSTORABLE: dict[str, Callable[[LedgerAttempt], object]] = {
    "no values": lambda attempt: record_of(attempt, Event.SETTLED),
    "values that are none": lambda attempt: record_of(attempt, Event.SETTLED) | {"values": 7},
    "no job": lambda attempt: record_of(attempt, Event.ACCEPTED),
    "a number that is too large": lambda attempt: record_of(attempt, Event.UNKNOWN) | {"sequence": 1 << 70},
    "no attempt": lambda attempt: {
        **record_of(attempt, Event.SETTLED, **settlement(RESPONSE)),
        "id": "missing",
        "attempt": dict[str, object](),
    },
    "a list of images that is none": lambda attempt: record_of(
        attempt, Event.SETTLED, charged_micro_usd=1, images=["x"], warnings=[]
    ),
}


@pytest.mark.parametrize("kind", [*UNREADABLE, *UNSTORABLE])
async def test_broken_file_is_kept_and_harmless(processes: Processes, kind: str) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await sent(ledger)
    path = spill(ledger, (UNREADABLE | UNSTORABLE)[kind](attempt))
    content = path.read_bytes()
    assert await states(other) == ["sent"]
    await attempt.settled(RESPONSE)
    await attempt.mark_delivered()
    assert await states(other) == ["settled"]
    assert await other.sweep() == {}
    (left,) = spilled(ledger)
    assert (left.suffix, left.read_bytes()) == (".json" if kind in UNREADABLE else ".refused", content)
    assert [*other.outbox.refused] == ([] if kind in UNREADABLE else [left])


async def test_incomparable_sequences_are_harmless(processes: Processes) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await sent(ledger)
    for number, sequence in enumerate((3, "x")):
        spill(ledger, record_of(attempt, Event.DELIVERED) | {"sequence": sequence}, f"record-{number}")
    assert await states(other) == ["sent"]


async def test_second_row_with_the_same_approval_is_harmless(processes: Processes) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    attempt = attempt_of(await ledger.begin(CALL, order(approval="approval-1")))
    await attempt.sent()
    with locked(ledger.path):
        await attempt.settled(RESPONSE)
    change(ledger.path, "UPDATE spending SET id = 'another'")  # restored, and approved once more
    await other.spending_today()
    await ledger.spending_today()
    await reserve(other, call=CallInfo("another call"))
    (path,) = other.outbox.refused
    assert attempt.id in path.name
    assert ledger.outbox.pending == []


async def test_unfinished_file_is_not_read(processes: Processes) -> None:
    ledger = await processes.start()
    attempt = await sent(ledger)
    path = spill(ledger, record_of(attempt, Event.UNKNOWN)).rename(ledger.outbox.folder / "a.part")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert (await states(ledger), spilled(ledger)) == (["sent"], [path])


async def test_complete_file_that_was_not_renamed_is_read(processes: Processes) -> None:
    ledger = await processes.start()
    attempt = await sent(ledger)
    spill(ledger, record_of(attempt, Event.UNKNOWN)).rename(ledger.outbox.folder / "a.part")
    assert (await states(ledger), spilled(ledger)) == (["unknown"], [])


async def test_spilled_files_are_private_to_the_user(processes: Processes) -> None:
    ledger = await processes.start(timings=PATIENT)
    await spilled_settlement(ledger)
    (path,) = spilled(ledger)
    assert has_mode(path, 0o600)
    assert has_mode(path.parent, 0o700)


async def test_temporary_refusal_of_a_lost_attempt_changes_nothing(processes: Processes) -> None:
    ledger, other = await processes.start(timings=PATIENT), await processes.start()
    attempt = await sent(ledger)
    with locked(ledger.path):
        await attempt.refused_for_now()
    change(ledger.path, "UPDATE spending SET owner = ?", "0" * 32)
    await other.sweep()
    assert rows(other.path, "SELECT state FROM spending") == [("unknown",)]


async def test_polls_are_not_spilled(processes: Processes) -> None:
    ledger = await processes.start(timings=HASTY)
    attempt = await sent(ledger, "job_1")
    with locked(ledger.path):
        await attempt.polled(3.0)
    await attempt.polled(4.0)
    assert rows(ledger.path, "SELECT polls, poll_seconds FROM spending") == [(1, 4.0)]
    assert spilled(ledger) == []


async def test_delivery_is_recorded_for_its_own_session(ledger: Ledger) -> None:
    attempt = await settled(ledger, called_by("session", CallInfo("x")))
    await attempt.mark_delivered()
    assert rows(ledger.path, "SELECT caller, delivery FROM callers") == [("session", "delivered")]
    assert isinstance(await ledger.begin(CallInfo("x"), order()), Reserved)
