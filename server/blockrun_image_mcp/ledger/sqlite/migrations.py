"""The migrations of the ledger's tables; each is recorded in the file, and never changed."""

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping


class NewerLedgerError(sqlite3.DatabaseError):
    """Raised for a file made by a newer version."""

    def __init__(self) -> None:
        super().__init__("it was made by a newer version")


class OlderServerError(sqlite3.DatabaseError):
    """Raised while an older server works on calls in the file, for about `seconds` more."""

    def __init__(self, calls: int, seconds: int) -> None:
        super().__init__(
            f"a server of an older version still works on {'a call' if calls == 1 else f'{calls} calls'} in it: close"
            f" that one, or try again in {seconds} s"
        )


def m001_attempts(connection: sqlite3.Connection) -> None:
    """Add a row for each attempt to spend.

    Money is in millionths of a US dollar, times are in seconds since 1970.
    """
    connection.execute(
        """
        CREATE TABLE attempts (
            id TEXT PRIMARY KEY,
            state TEXT NOT NULL
                CHECK (state IN ('reserved', 'sent', 'accepted', 'settled', 'released', 'unknown')),
            day TEXT NOT NULL,
            created_at REAL NOT NULL,
            lease_until REAL NOT NULL,
            model TEXT NOT NULL,
            size TEXT NOT NULL,
            quality TEXT,
            n INTEGER NOT NULL,
            prompt TEXT NOT NULL,
            reserved_micro_usd INTEGER NOT NULL CHECK (reserved_micro_usd >= 0),
            charged_micro_usd INTEGER CHECK (charged_micro_usd >= 0),
            job TEXT,
            images TEXT NOT NULL DEFAULT '[]'
        ) STRICT
        """
    )
    connection.execute("CREATE INDEX attempts_by_day ON attempts (day)")
    connection.execute("CREATE INDEX attempts_by_lease ON attempts (state, lease_until)")


def m002_payees(connection: sqlite3.Connection) -> None:
    """Add a row for each host paid from a wallet: its trusted address, and since when."""
    connection.execute(
        "CREATE TABLE payees (host TEXT PRIMARY KEY, address TEXT NOT NULL, seen_at REAL NOT NULL) STRICT"
    )


def m003_approvals(connection: sqlite3.Connection) -> None:
    """Add the id of the user's approval, if one was needed; it is valid for one attempt, however that ended."""
    connection.execute("ALTER TABLE attempts ADD COLUMN approval TEXT")
    connection.execute("CREATE UNIQUE INDEX attempts_by_approval ON attempts (approval)")


def m004_callers(connection: sqlite3.Connection) -> None:
    """Add the columns for finishing an attempt of an ended process, or collecting an abandoned one.

    `owner` is the process that works on it and renews its lease. `refused` is 1 if only a signed payment that is still
    valid keeps it from being released. `payment` is sent with the polls of a job.
    """
    for column in (
        "gateway TEXT NOT NULL DEFAULT ''",
        "principal TEXT NOT NULL DEFAULT ''",
        "fingerprint TEXT NOT NULL DEFAULT ''",
        "owner TEXT NOT NULL DEFAULT ''",
        "caller TEXT NOT NULL DEFAULT 'told' CHECK (caller IN ('waiting', 'left', 'told'))",
        "refused INTEGER NOT NULL DEFAULT 0 CHECK (refused IN (0, 1))",
        "payment TEXT",
        "warnings TEXT NOT NULL DEFAULT '[]'",
    ):
        connection.execute(f"ALTER TABLE attempts ADD COLUMN {column}")
    for id, urls in connection.execute("SELECT id, images FROM attempts").fetchall():
        images = json.dumps([{"url": url} for url in json.loads(urls)])
        connection.execute("UPDATE attempts SET images = ? WHERE id = ?", (images, id))
    connection.execute("CREATE INDEX attempts_by_fingerprint ON attempts (fingerprint, created_at)")


def m005_turns(connection: sqlite3.Connection) -> None:
    """Add the times at which requests may be sent to models with a rate limit."""
    connection.execute(
        "CREATE TABLE turns (gateway TEXT NOT NULL, principal TEXT NOT NULL, model TEXT NOT NULL, at REAL NOT NULL)"
        " STRICT"
    )
    connection.execute("CREATE INDEX turns_by_model ON turns (model, at)")


def m006_callers_apart(connection: sqlite3.Connection) -> None:
    """Store callers apart from the process working on an attempt, and requests as JSON.

    `ledger` has one row, which identifies the file. Times that end in `_monotonic` are by the machine's monotonic
    clock, which all its processes share. Identical calls have the same `key`; for an old row, it is made of the
    request. `owner` and `process` are ids of lock files. Raises `OlderServerError` while a server of an older version
    works on a call.
    """
    now = time.time()
    working = connection.execute(
        "SELECT count(*), max(lease_until) FROM attempts"
        " WHERE state IN ('reserved', 'sent', 'accepted') AND refused = 0 AND lease_until > ?",
        (now,),
    ).fetchone()
    if working[0]:
        raise OlderServerError(working[0], max(1, round(working[1] - now)))
    for statement in _M006_TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO ledger VALUES (1, ?, '', 0)", (str(uuid.uuid4()),))
    connection.execute(_M006_ROWS, {"yesterday": now - 86_400})
    # under the old names, an older server that still runs could pay, or misread what it finds
    for table in ("attempts", "turns"):
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}_until_m006")


_M006_TABLES = (
    """
    CREATE TABLE ledger (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        identity TEXT NOT NULL,
        lock_folder TEXT NOT NULL,
        sent_count INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE spending (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL
            CHECK (state IN ('reserved', 'sent', 'accepted', 'settled', 'held', 'unknown', 'released')),
        owner TEXT NOT NULL,
        day TEXT NOT NULL,
        created_at REAL NOT NULL,
        ended_at REAL,
        ended_monotonic REAL,
        gateway TEXT NOT NULL,
        principal TEXT NOT NULL,
        key TEXT NOT NULL,
        model TEXT NOT NULL,
        request TEXT NOT NULL,
        held_micro_usd INTEGER NOT NULL CHECK (held_micro_usd >= 0),
        charged_micro_usd INTEGER CHECK (charged_micro_usd >= 0),
        counted_micro_usd INTEGER GENERATED ALWAYS AS
            (CASE state WHEN 'released' THEN 0 ELSE coalesce(charged_micro_usd, held_micro_usd) END) VIRTUAL,
        approval TEXT UNIQUE,
        job TEXT,
        payment TEXT,
        images TEXT NOT NULL DEFAULT '[]',
        warnings TEXT NOT NULL DEFAULT '[]',
        writer TEXT NOT NULL DEFAULT '',
        sequence INTEGER NOT NULL DEFAULT 0,
        polls INTEGER NOT NULL DEFAULT 0,
        poll_seconds REAL NOT NULL DEFAULT 0,
        is_delivered INTEGER NOT NULL DEFAULT 0,
        delivered_at REAL,
        delivered_monotonic REAL,
        repeatable INTEGER NOT NULL DEFAULT 0,
        is_unknown_told INTEGER NOT NULL DEFAULT 0,
        is_named INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
    # each query has an index of only the rows it can find, so that a large ledger is as fast as a small one
    "CREATE INDEX spending_by_day ON spending (day, model, state, counted_micro_usd)",
    "CREATE INDEX spending_by_time ON spending (created_at)",
    "CREATE INDEX spending_unfinished ON spending (owner) WHERE state IN ('reserved', 'sent', 'accepted', 'held')",
    "CREATE INDEX spending_unexplained ON spending (created_at) WHERE state IN ('accepted', 'unknown')",
    """
    CREATE INDEX spending_undelivered ON spending (key, created_at)
    WHERE is_delivered = 0 AND state NOT IN ('released', 'held')
    """,
    "CREATE INDEX spending_repeatable ON spending (key, delivered_at) WHERE repeatable > 0",
    """
    CREATE INDEX spending_uncollected ON spending (gateway, principal, ended_at)
    WHERE state = 'settled' AND is_delivered = 0 AND is_named = 0 AND images <> '[]'
    """,
    """
    CREATE TABLE callers (
        attempt TEXT NOT NULL,
        caller TEXT NOT NULL,
        process TEXT NOT NULL,
        delivery TEXT NOT NULL CHECK (delivery IN ('pending', 'abandoned', 'delivered')),
        UNIQUE (attempt, caller, process)
    ) STRICT
    """,
    "CREATE INDEX callers_waiting ON callers (process) WHERE delivery = 'pending'",
    """
    CREATE TABLE slots (
        id TEXT PRIMARY KEY,
        gateway TEXT NOT NULL,
        principal TEXT NOT NULL,
        model TEXT NOT NULL,
        at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX slots_by_model ON slots (model, at)",
)

_M006_ROWS = """
    INSERT INTO spending (
        id, state, owner, day, created_at, ended_at, gateway, principal, key, model, request, held_micro_usd,
        charged_micro_usd, approval, job, payment, images, warnings, is_delivered, is_named
    )
    SELECT
        id, iif(refused = 1 AND state = 'sent', 'held', state), owner, day, created_at,
        iif(state IN ('settled', 'released', 'unknown'), created_at, NULL), gateway, principal,
        'request:' || fingerprint, model,
        json_object('prompt', prompt, 'model', model, 'size', size, 'quality', quality, 'n', n, 'sent_as', ''),
        reserved_micro_usd, charged_micro_usd, approval, job, payment, images, warnings, caller = 'told',
        created_at < :yesterday
    FROM attempts ORDER BY rowid
"""


def m007_payees_by_attempt(connection: sqlite3.Connection) -> None:
    """Add the host and the address that each attempt pays.

    An address can then be trusted once a payment was accepted. Held attempts stay held until the operator releases
    them. An index finds the last charge for each kind of image.
    """
    for statement in (
        "ALTER TABLE spending ADD COLUMN host TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE spending ADD COLUMN payee TEXT",
        "DROP INDEX spending_unfinished",
        "CREATE INDEX spending_unfinished ON spending (owner) WHERE state IN ('reserved', 'sent', 'accepted')",
        """
        CREATE INDEX spending_payable ON spending (host)
        WHERE payee IS NOT NULL AND state IN ('reserved', 'sent', 'accepted', 'held', 'unknown')
        """,
        """
        CREATE INDEX spending_charges ON spending
            (gateway, model, json_extract(request, '$.size'), json_extract(request, '$.quality'), ended_at)
        WHERE state = 'settled' AND charged_micro_usd IS NOT NULL
        """,
        """
        CREATE INDEX spending_jobs ON spending (gateway, principal, created_at)
        WHERE job IS NOT NULL AND state IN ('accepted', 'unknown')
        """,
        "DROP INDEX spending_undelivered",
        """
        CREATE INDEX spending_undelivered ON spending (key, created_at)
        WHERE is_delivered = 0 AND state <> 'released'
        """,
        "DROP INDEX spending_unexplained",
        "CREATE INDEX spending_unexplained ON spending (created_at) WHERE state IN ('accepted', 'held', 'unknown')",
        "DROP INDEX spending_by_day",
        """
        CREATE INDEX spending_by_day ON spending
            (day, model, state, counted_micro_usd, charged_micro_usd, held_micro_usd)
        """,
    ):
        connection.execute(statement)


def m008_names_of_pictures(connection: sqlite3.Connection) -> None:
    """Add the name that each caller wants its pictures saved under, empty without one."""
    connection.execute("ALTER TABLE callers ADD COLUMN save_as TEXT NOT NULL DEFAULT ''")


def m009_charges_of_edits(connection: sqlite3.Connection) -> None:
    """Index the charges of edits apart from those of generations; the request of an edit has `images`."""
    connection.execute("DROP INDEX spending_charges")
    connection.execute(
        """
        CREATE INDEX spending_charges ON spending
            (gateway, model, json_extract(request, '$.size'), json_extract(request, '$.quality'),
            json_extract(request, '$.images') IS NULL, ended_at)
        WHERE state = 'settled' AND charged_micro_usd IS NOT NULL
        """
    )


MIGRATIONS: Mapping[str, Callable[[sqlite3.Connection], None]] = {
    "m001_attempts": m001_attempts,
    "m002_payees": m002_payees,
    "m003_approvals": m003_approvals,
    "m004_callers": m004_callers,
    "m005_turns": m005_turns,
    "m006_callers_apart": m006_callers_apart,
    "m007_payees_by_attempt": m007_payees_by_attempt,
    "m008_names_of_pictures": m008_names_of_pictures,
    "m009_charges_of_edits": m009_charges_of_edits,
}
"""The migrations in order, by the names that are stored in ledgers, which must stay."""

VERSION = len(MIGRATIONS)
"""The `user_version` of a file with all migrations."""


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the missing migrations, within the caller's transaction.

    Raises `NewerLedgerError` and `OlderServerError`.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, taken_at REAL NOT NULL) STRICT")
    taken = {name for (name,) in connection.execute("SELECT name FROM migrations")}
    if taken - MIGRATIONS.keys():
        raise NewerLedgerError
    for name in (name for name in MIGRATIONS if name not in taken):
        MIGRATIONS[name](connection)
        connection.execute("INSERT INTO migrations VALUES (?, ?)", (name, time.time()))
    connection.execute(f"PRAGMA user_version = {VERSION}")
