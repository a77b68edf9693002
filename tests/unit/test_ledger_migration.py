"""A ledger of the old version, whose servers held leases, becomes one of this version."""

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import (
    CALL,
    MINE,
    PAYMENT,
    REQUEST,
    URL,
    Processes,
    attempt_of,
    order,
    quote,
    reserve,
    rows,
    spent,
    states,
)

from blockrun_image.attempts import AttemptState, AttemptStatus, Job
from blockrun_image.errors import ConfirmationError, LedgerError, PaymentRequiredError
from blockrun_image.images import Image, ImagesResponse
from blockrun_image.ports import Collected, Reserved
from blockrun_image_mcp.ledger.sqlite.migrations import (
    VERSION,
    m001_attempts,
    m002_payees,
    m003_approvals,
    m004_callers,
    m005_turns,
)

pytestmark = pytest.mark.anyio

OLD_STEPS = {
    "m001_attempts": m001_attempts,
    "m002_payees": m002_payees,
    "m003_approvals": m003_approvals,
    "m004_callers": m004_callers,
    "m005_turns": m005_turns,
}  # with the names that old ledgers hold
OLD_IMAGES = [{"url": URL, "path": "/1.png", "revised_prompt": "A vixen"}]


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())  # a lease is judged by the real one


def fingerprint() -> str:
    """Return what the old version found the same request by."""
    return hashlib.sha256(json.dumps(replace(REQUEST, sent_as="").body(), sort_keys=True).encode()).hexdigest()


def old_ledger(path: Path, steps: int = len(OLD_STEPS)) -> None:
    """Make a file as the old version did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, taken_at REAL NOT NULL) STRICT")
        for name, step in list(OLD_STEPS.items())[:steps]:
            step(connection)
            connection.execute("INSERT INTO migrations VALUES (?, 0)", (name,))


def insert(path: Path, id: str, state: str, **values: object) -> None:
    """Insert an attempt whose lease is over, as the old version did."""
    now = time.time()
    row: dict[str, object] = {
        "id": id,
        "state": state,
        "day": time.strftime("%Y-%m-%d", time.gmtime(now)),
        "created_at": now - 300,
        "lease_until": now - 200,
        "owner": "12345678-1234-1234-1234-123456789abc",
        "caller": "told",
        "gateway": MINE.gateway,
        "principal": MINE.principal,
        "fingerprint": fingerprint(),
        "model": REQUEST.model,
        "size": REQUEST.size,
        "quality": REQUEST.quality,
        "n": REQUEST.n,
        "prompt": REQUEST.prompt,
        "reserved_micro_usd": 42_000,
        **values,
    }
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            f"INSERT INTO attempts ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()]
        )


def settled(**values: object) -> Mapping[str, object]:
    return {"charged_micro_usd": 40_000, "images": json.dumps(OLD_IMAGES), "warnings": '["Odd."]', **values}


async def test_rows_in_all_states_are_kept_and_count_as_before(processes: Processes) -> None:
    old_ledger(processes.path)
    payment = json.dumps(asdict(replace(PAYMENT, valid_before=int(time.time()) + 300)), default=str)
    insert(processes.path, "reserved", "reserved")
    insert(processes.path, "sent", "sent")
    insert(processes.path, "accepted", "accepted", job="job_1")
    insert(processes.path, "settled", "settled", **settled())
    insert(processes.path, "unknown", "unknown")
    insert(processes.path, "released", "released", refused=1)
    insert(processes.path, "held", "sent", refused=1, payment=payment, lease_until=time.time() + 360)
    ledger = await processes.start()
    assert await spent(ledger) == 40_000 + 4 * 42_000
    assert dict(rows(processes.path, "SELECT id, state FROM spending")) == {
        "reserved": "released",
        "sent": "unknown",
        "accepted": "accepted",
        "settled": "settled",
        "unknown": "unknown",
        "released": "released",
        "held": "held",
    }


async def test_held_row_stays_held_until_the_operator_releases_it(processes: Processes, clock: Clock) -> None:
    old_ledger(processes.path)
    end = int(time.time()) + 300
    payment = json.dumps(asdict(replace(PAYMENT, valid_before=end)), default=str)
    insert(processes.path, "held", "sent", refused=1, payment=payment, lease_until=end + 60)
    ledger = await processes.start()
    assert await states(ledger) == ["held"]
    clock.now = end + 61
    await ledger.sweep()
    assert rows(processes.path, "SELECT state FROM spending") == [("held",)]
    assert await ledger.release("held") is None
    assert rows(processes.path, "SELECT state FROM spending") == [("released",)]


@pytest.mark.parametrize("caller", ["waiting", "left"])
async def test_uncollected_pictures_are_collected_by_the_same_request(processes: Processes, caller: str) -> None:
    old_ledger(processes.path)
    insert(processes.path, "lost", "settled", caller=caller, **settled())
    ledger = await processes.start()
    begun = await ledger.begin(CALL, order(request=replace(REQUEST, sent_as="openai/dall-e-3")))
    assert isinstance(begun, Collected)
    assert (begun.attempt.id, begun.attempt.request) == ("lost", REQUEST)
    response = ImagesResponse([Image(URL, Path("/1.png"), None, "A vixen")], Decimal("0.04"), ["Odd."])
    assert await begun.attempt.status() == AttemptStatus(AttemptState.SETTLED, None, response)


async def test_delivered_pictures_are_bought_again(processes: Processes) -> None:
    old_ledger(processes.path)
    insert(processes.path, "told", "settled", **settled())
    begun = await (await processes.start()).begin(CALL, order())
    assert isinstance(begun, Reserved)
    assert not begun.uncollected


@pytest.mark.parametrize(("age_seconds", "told"), [(80_000, ["lost"]), (90_000, [])])
async def test_uncollected_pictures_of_the_last_day_are_reported(
    processes: Processes, age_seconds: int, told: list[str]
) -> None:
    old_ledger(processes.path)
    created_at = time.time() - age_seconds
    insert(processes.path, "lost", "settled", caller="left", fingerprint="x", created_at=created_at, **settled())
    begun = await (await processes.start()).begin(CALL, order())
    assert isinstance(begun, Reserved)
    assert [each.attempt_id for each in begun.uncollected] == told


async def test_job_is_finished_by_the_next_process(processes: Processes) -> None:
    old_ledger(processes.path)
    payment = json.dumps(asdict(PAYMENT), default=str)
    insert(processes.path, "job", "accepted", caller="left", job="job_1", payment=payment)
    ledger = await processes.start()
    ((attempt, job),) = (await ledger.sweep()).items()
    assert (attempt.id, job) == ("job", Job("job_1", PAYMENT))
    assert await attempt.claim()
    begun = await ledger.begin(CALL, order())
    assert attempt_of(begun).id == "job"


async def test_used_approval_stays_used(processes: Processes) -> None:
    old_ledger(processes.path)
    insert(processes.path, "released", "released", approval="approval-1")
    insert(processes.path, "settled", "settled", approval="approval-2", **settled())
    ledger = await processes.start()
    with pytest.raises(ConfirmationError, match=r"as attempt released \(released\)"):
        await reserve(ledger, approval="approval-1")
    assert attempt_of(await ledger.begin(CALL, order(approval="approval-2"))).id == "settled"


async def test_trusted_payee_stays_trusted(processes: Processes) -> None:
    old_ledger(processes.path)
    with closing(sqlite3.connect(processes.path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO payees VALUES ('blockrun.ai', '0x1', 0)")
    ledger = await processes.start()
    with pytest.raises(PaymentRequiredError, match="was paid at '0x1' before"):
        await (await reserve(ledger)).quoted(quote())


async def test_ledger_older_than_approvals_keeps_its_attempts(processes: Processes) -> None:
    old_ledger(processes.path, steps=1)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    with closing(sqlite3.connect(processes.path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO attempts (id, state, day, created_at, lease_until, model, size, n, prompt, reserved_micro_usd,"
            " images) VALUES ('old', 'settled', ?, 1, 1, 'dall-e-2', '256x256', 1, 'A fox', 21000, ?)",
            (today, json.dumps([URL])),
        )
    ledger = await processes.start()
    await reserve(ledger, approval="approval-1")
    assert await spent(ledger) == 63_000
    old = (await ledger.recent(9))[1]
    assert (old.id, old.images, old.size, old.prompt) == ("old", [Image(URL)], "256x256", "A fox")


async def test_migrated_file_has_the_new_version(processes: Processes) -> None:
    old_ledger(processes.path)
    ledger = await processes.start()
    await ledger.spending_today()
    assert rows(processes.path, "PRAGMA user_version") == [(VERSION,)]
    assert len(rows(processes.path, "SELECT identity FROM ledger")) == 1
    assert rows(processes.path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("state", ["reserved", "sent", "accepted"])
async def test_live_lease_of_an_old_server_postpones_the_migration(processes: Processes, state: str) -> None:
    old_ledger(processes.path)
    insert(processes.path, "alive", state, lease_until=time.time() + 90)
    insert(processes.path, "dead", state)
    ledger = await processes.start()
    with pytest.raises(LedgerError, match="a server of an older version still works on a call in it") as caught:
        await reserve(ledger)
    assert re.search(r"close that one, or try again in (90|8\d) s", caught.value.message)
    assert caught.value.charged == "no"
    assert rows(processes.path, "SELECT count(*) FROM attempts") == [(2,)]
    assert rows(processes.path, "PRAGMA user_version") == [(0,)]
    with closing(sqlite3.connect(processes.path, isolation_level=None)) as connection:  # the old server ends its call
        connection.execute("UPDATE attempts SET state = 'settled', caller = 'told' WHERE id = 'alive'")
    await reserve(ledger)


@pytest.mark.parametrize("state", ["settled", "unknown", "released"])
async def test_lease_of_an_ended_attempt_postpones_nothing(processes: Processes, state: str) -> None:
    old_ledger(processes.path)
    insert(processes.path, "collected", state, lease_until=time.time() + 90, caller="waiting")
    insert(processes.path, "held", "sent", lease_until=time.time() + 90, refused=1)
    await (await processes.start()).spending_today()


OF_OLD_SERVERS: dict[str, str] = {
    "reserve": "INSERT INTO attempts (id, state, day, created_at, lease_until, model, size, n, prompt,"
    " reserved_micro_usd) VALUES ('new', 'reserved', '2026-12-31', 1, 1, 'dall-e-2', '256x256', 1, 'A fox', 21000)",
    "sent": "UPDATE attempts SET state = 'sent' WHERE id = 'old' AND state IN ('reserved', 'sent') AND refused = 0",
    "signed": "UPDATE attempts SET payment = '{}' WHERE id = 'old' AND state IN ('reserved') AND refused = 0",
    "spent": "SELECT coalesce(sum(reserved_micro_usd), 0) FROM attempts WHERE day = '2026-12-31'",
    "renew": "UPDATE attempts SET lease_until = 9e9 WHERE owner = 'x' AND refused = 0 AND id IN ('old')",
    "adopt": "UPDATE attempts SET owner = 'x', lease_until = 9e9 WHERE id = 'old' AND state = 'accepted'",
    "book": "INSERT INTO turns VALUES ('', '', 'dall-e-3', 1)",
}


@pytest.mark.parametrize("statement", OF_OLD_SERVERS)
async def test_old_server_cannot_pay_after_the_migration(processes: Processes, statement: str) -> None:
    old_ledger(processes.path)
    insert(processes.path, "old", "reserved")
    with closing(sqlite3.connect(processes.path, isolation_level=None)) as old:
        old.execute("BEGIN IMMEDIATE")
        old.execute(OF_OLD_SERVERS[statement])
        old.execute("ROLLBACK")
        await (await processes.start()).spending_today()
        old.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            old.execute(OF_OLD_SERVERS[statement])
        old.execute("ROLLBACK")


async def test_old_server_started_after_the_migration_sees_a_newer_file(processes: Processes) -> None:
    await (await processes.start()).spending_today()
    taken = {name for (name,) in rows(processes.path, "SELECT name FROM migrations")}
    assert taken - OLD_STEPS.keys() == {
        "m006_callers_apart",
        "m007_payees_by_attempt",
        "m008_names_of_pictures",
        "m009_charges_of_edits",
    }  # which it refuses


async def test_failed_migration_leaves_the_old_file_unchanged(processes: Processes) -> None:
    old_ledger(processes.path)
    insert(processes.path, "old", "settled", **settled())
    with closing(sqlite3.connect(processes.path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE slots (id TEXT)")  # in the way
    with pytest.raises(LedgerError, match="slots already exists"):
        await (await processes.start()).spending_today()
    tables = {name for (name,) in rows(processes.path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"attempts", "turns"} <= tables
    assert not {"spending", "callers", "ledger"} & tables
