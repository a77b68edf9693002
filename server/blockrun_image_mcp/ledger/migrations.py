"""The ledger's tables, step by step; a step that was taken is recorded and never changed."""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence


class NewerLedgerError(sqlite3.DatabaseError):
    """The file was made by a newer version, whose steps are not known here."""


def m001_attempts(connection: sqlite3.Connection) -> None:
    """One row for each attempt to spend. Money is in millionths of a US dollar, times are in seconds since 1970."""
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
    """One row for each host that is paid from a wallet: the address that is trusted, and since when."""
    connection.execute(
        "CREATE TABLE payees (host TEXT PRIMARY KEY, address TEXT NOT NULL, seen_at REAL NOT NULL) STRICT"
    )


def m003_approvals(connection: sqlite3.Connection) -> None:
    """The id of the user's approval, where one was needed: it is good for one attempt, however that ended."""
    connection.execute("ALTER TABLE attempts ADD COLUMN approval TEXT")
    connection.execute("CREATE UNIQUE INDEX attempts_by_approval ON attempts (approval)")


def m004_callers(connection: sqlite3.Connection) -> None:
    """What is needed to finish an attempt, or to collect it, when its process or its caller has gone.

    `owner` is the process that works on it and renews its lease; `refused` is 1 where only a signed payment that is
    still valid keeps it from being released; `payment` is what the polls of a job carry.
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
    """When each request was, or will be, allowed to leave, for models that take so many a minute."""
    connection.execute(
        "CREATE TABLE turns (gateway TEXT NOT NULL, principal TEXT NOT NULL, model TEXT NOT NULL, at REAL NOT NULL)"
        " STRICT"
    )
    connection.execute("CREATE INDEX turns_by_model ON turns (model, at)")


MIGRATIONS: Sequence[Callable[[sqlite3.Connection], None]] = (
    m001_attempts,
    m002_payees,
    m003_approvals,
    m004_callers,
    m005_turns,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that were not taken yet, within the caller's transaction; raises `NewerLedgerError`."""
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, taken_at REAL NOT NULL) STRICT")
    taken = {name for (name,) in connection.execute("SELECT name FROM migrations")}
    steps = {step.__name__: step for step in MIGRATIONS}
    if taken - steps.keys():
        raise NewerLedgerError("it was made by a newer version")
    for name in (name for name in steps if name not in taken):
        steps[name](connection)
        connection.execute("INSERT INTO migrations VALUES (?, ?)", (name, time.time()))
