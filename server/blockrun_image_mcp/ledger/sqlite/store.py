"""The SQL statements of the ledger."""

import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from blockrun_image.attempts import AttemptState, Payment
from blockrun_image.images import Image, ImageRequest, ImagesResponse, SavedPicture
from blockrun_image_mcp.ledger.limits import from_micro_usd
from blockrun_image_mcp.ledger.report import ALL_DAYS, AttemptReport, Days, Group, GroupedBy, Total
from blockrun_image_mcp.ledger.store import (
    Account,
    Delivered,
    Header,
    Moment,
    NewAttempt,
    StoredAttempt,
    StoredCaller,
    UnstorableError,
)

_MAX_URL_CHARACTERS = 100_000  # longer ones would flood the file
_MAX_FOUND = 50
_COLUMNS = (
    "id, state, owner, day, request, held_micro_usd, charged_micro_usd, approval, job, payment, host, payee, images,"
    " warnings,"
    " ended_at, ended_monotonic, writer, sequence, polls, poll_seconds, is_unknown_told"
)


class SqliteStore:
    """Implements `AttemptStore` on a connection in a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def header(self) -> Header:
        """Return the ledger's header."""
        return Header(*self._execute("SELECT identity, lock_folder, sent_count FROM ledger").fetchone())

    def set_lock_folder(self, identity: str) -> None:
        """Store the identity of the ledger's lock folder."""
        self._execute("UPDATE ledger SET lock_folder = ?", (identity,))

    def count_sent(self) -> None:
        """Count one more sent request."""
        self._execute("UPDATE ledger SET sent_count = sent_count + 1")

    def add(self, new: NewAttempt) -> None:
        """Store a new attempt, as reserved."""
        row: dict[str, object] = {
            "id": new.id,
            "state": AttemptState.RESERVED.value,
            "owner": new.owner,
            "day": new.day,
            "created_at": new.created_at,
            "gateway": new.account.gateway,
            "principal": new.account.principal,
            "key": new.key,
            "model": new.request.model,
            "request": request_as_json(new.request),
            "held_micro_usd": new.held_micro_usd,
            "approval": new.approval,
        }
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        self._execute(f"INSERT INTO spending ({columns}) VALUES ({marks})", [*row.values()])  # noqa: S608 - our own words

    def find(self, id: str) -> StoredAttempt | None:
        """Return the attempt with an id."""
        return next(iter(self._attempts("WHERE id = ?", id)), None)

    def find_approved(self, approval: str) -> StoredAttempt | None:
        """Return the attempt made with an approval."""
        return next(iter(self._attempts("WHERE approval = ?", approval)), None)

    def change(self, id: str, **values: Any) -> None:  # noqa: ANN401 - a column's value
        """Change columns of an attempt."""
        if isinstance(response := values.pop("response", None), ImagesResponse):
            values |= {"images": images_as_json(response.images), "warnings": json.dumps(list(response.warnings))}
        if "ended" in values:
            ended: Moment | None = values.pop("ended")
            values |= {"ended_at": ended and ended.wall, "ended_monotonic": ended and ended.monotonic}
        if isinstance(request := values.get("request"), ImageRequest):
            values["request"] = request_as_json(request)
        if isinstance(payment := values.get("payment"), Payment):
            values["payment"] = json.dumps(asdict(payment), default=str)
        columns = ", ".join(f"{name} = ?" for name in values)
        stored = [value.value if isinstance(value, AttemptState) else value for value in values.values()]
        self._execute(f"UPDATE spending SET {columns} WHERE id = ?", (*stored, id))  # noqa: S608 - our own words

    def unfinished(self) -> Sequence[StoredAttempt]:
        """Return the attempts that are reserved, sent or accepted."""
        return self._attempts("WHERE state IN ('reserved', 'sent', 'accepted')")

    def jobs(self, account: Account) -> Sequence[StoredAttempt]:
        """Return the account's accepted or unknown attempts with a job, oldest first."""
        return self._attempts(
            "WHERE job IS NOT NULL AND state IN ('accepted', 'unknown') AND gateway = ? AND principal = ?"
            " ORDER BY created_at",
            account.gateway,
            account.principal,
        )

    def undelivered(self, account: Account, keys: Sequence[str]) -> Sequence[StoredAttempt]:
        """Return the newest undelivered attempts at a call, oldest first.

        Released ones are left out, and those without a result whose caller was told that the outcome is unknown.
        """
        return self._attempts(
            f"WHERE key IN ({_marks(keys)}) AND is_delivered = 0 AND state <> 'released'"
            " AND NOT (is_unknown_told = 1 AND state IN ('sent', 'held', 'unknown'))"
            f" AND gateway = ? AND principal = ? ORDER BY created_at DESC LIMIT {_MAX_FOUND}",
            *keys,
            account.gateway,
            account.principal,
        )[::-1]

    def repeatable(self, account: Account, keys: Sequence[str]) -> Sequence[Delivered]:
        """Return attempts at a call with repeatable pictures, fewest callers first."""
        rows = self._execute(
            "SELECT id, delivered_at, delivered_monotonic FROM spending"  # noqa: S608 - our own words
            f" WHERE key IN ({_marks(keys)}) AND repeatable > 0 AND gateway = ? AND principal = ?"
            f" ORDER BY delivered_at DESC LIMIT {_MAX_FOUND}",
            (*keys, account.gateway, account.principal),
        ).fetchall()
        found = [Delivered(id, Moment(at, monotonic), self.callers(id)) for id, at, monotonic in rows]
        # most repetitions have added a caller, so that variations are repeated in turn
        return sorted(found, key=lambda each: (len(each.callers), each.delivered.wall))

    def uncollected(self, account: Account) -> Sequence[StoredAttempt]:
        """Return attempts with undelivered pictures not named in any answer, newest first."""
        return self._attempts(
            "WHERE state = 'settled' AND is_delivered = 0 AND is_named = 0 AND images <> '[]'"
            f" AND gateway = ? AND principal = ? ORDER BY ended_at DESC LIMIT {_MAX_FOUND}",
            account.gateway,
            account.principal,
        )

    def callers(self, id: str) -> Sequence[StoredCaller]:
        """Return the callers of an attempt."""
        rows = self._execute(
            "SELECT caller, process, delivery = 'pending', save_as FROM callers WHERE attempt = ? ORDER BY rowid", (id,)
        )
        return [StoredCaller(caller, process, bool(is_pending), name) for caller, process, is_pending, name in rows]

    def add_caller(self, id: str, caller: str, process: str, save_as: str = "") -> None:
        """Store that a caller waits for an attempt, and the name for its pictures."""
        self._execute(
            "INSERT INTO callers (attempt, caller, process, delivery, save_as) VALUES (?, ?, ?, 'pending', ?)"
            " ON CONFLICT (attempt, caller, process) DO UPDATE SET delivery = 'pending', save_as = excluded.save_as",
            (id, caller, process, save_as),
        )
        self._execute("UPDATE spending SET is_delivered = 0 WHERE id = ?", (id,))  # even if another caller has it

    def abandon(self, id: str, caller: str, process: str) -> None:
        """Store that a caller no longer waits, unless it was answered."""
        self._execute(
            "UPDATE callers SET delivery = 'abandoned'"
            " WHERE attempt = ? AND caller = ? AND process = ? AND delivery = 'pending'",
            (id, caller, process),
        )

    def deliver(self, id: str, caller: str, process: str, at: Moment, *, is_repeatable: bool) -> None:
        """Store that a caller has got the pictures, or an error in their place."""
        self._execute(
            "UPDATE callers SET delivery = 'delivered' WHERE attempt = ? AND caller = ? AND process = ?",
            (id, caller, process),
        )
        self._execute(
            "UPDATE spending SET delivered_at = ?, delivered_monotonic = ?,"
            " repeatable = max(repeatable, ?) WHERE id = ? AND (delivered_at IS NULL OR ? > 0)",
            (at.wall, at.monotonic, is_repeatable, id, is_repeatable),
        )
        self._execute("UPDATE spending SET is_delivered = 1 WHERE id = ?", (id,))

    def waiting_processes(self) -> Sequence[str]:
        """Return the processes with waiting callers."""
        return [
            process for (process,) in self._execute("SELECT DISTINCT process FROM callers WHERE delivery = 'pending'")
        ]

    def abandon_all(self, process: str) -> None:
        """Store that the callers in a process no longer wait."""
        self._execute(
            "UPDATE callers SET delivery = 'abandoned' WHERE process = ? AND delivery = 'pending'", (process,)
        )

    def names(self, process: str) -> bool:
        """Return whether an unfinished attempt or a waiting caller names a process."""
        (named,) = self._execute(
            "SELECT EXISTS (SELECT 1 FROM spending WHERE owner = ?"
            " AND state IN ('reserved', 'sent', 'accepted'))"
            " OR EXISTS (SELECT 1 FROM callers WHERE process = ? AND delivery = 'pending')",
            (process, process),
        ).fetchone()
        return bool(named)

    def spent_on(self, day: str) -> int:
        """Return the sum that counts against a day's budget, in millionths of a US dollar."""
        query = "SELECT coalesce(sum(counted_micro_usd), 0) FROM spending WHERE day = ?"
        return self._execute(query, (day,)).fetchone()[0]

    def totals(self, day: str) -> Sequence[Total]:
        """Return the totals of a day, by model and state."""
        rows = self._execute(
            "SELECT model, state, count(*), sum(counted_micro_usd),"
            " sum(max(0, coalesce(charged_micro_usd, 0) - held_micro_usd)) FROM spending WHERE day = ?"
            " GROUP BY model, state ORDER BY model, state",
            (day,),
        )
        return [Total(*row) for row in rows]

    def spending(self, days: Days, by: GroupedBy) -> Sequence[Group]:
        """Return the spending in a range of days, by day or by model, without released attempts."""
        rows = self._execute(
            f"SELECT {by}, count(*), sum(counted_micro_usd) FROM spending WHERE day BETWEEN ? AND ?"  # noqa: S608 - our own words
            f" AND state <> 'released' GROUP BY {by} ORDER BY {by}",
            (days.first, days.last),
        )
        return [Group(*row) for row in rows]

    def remove_before(self, day: str) -> int:
        """Remove the settled and released attempts before a day, and return their number."""
        old = "day < ? AND state IN ('settled', 'released')"
        self._execute(f"DELETE FROM callers WHERE attempt IN (SELECT id FROM spending WHERE {old})", (day,))  # noqa: S608 - our own words
        return self._execute(f"DELETE FROM spending WHERE {old}", (day,)).rowcount  # noqa: S608 - our own words

    def recent(self, limit: int, *states: AttemptState, days: Days = ALL_DAYS) -> Sequence[AttemptReport]:
        """Return up to `limit` attempts, newest first.

        With `states`, only those in one of the states; otherwise, all but the released ones.
        """
        chosen = f"state IN ({', '.join(repr(state.value) for state in states)})" if states else "state <> 'released'"
        rows = self._execute(  # the plus in `+day` keeps SQLite on the index by time
            "SELECT id, state, created_at, request, held_micro_usd, charged_micro_usd, job, payment, images, warnings"  # noqa: S608 - our own words
            f" FROM spending WHERE {chosen} AND +day BETWEEN ? AND ? ORDER BY created_at DESC, rowid DESC LIMIT ?",
            (days.first, days.last, limit),
        )
        return [_entry(row) for row in rows]

    def picture(self, id: str) -> Image | None:
        """Return the newest image with a file that has an id."""
        row = self._execute(
            "SELECT images FROM spending WHERE state = 'settled' AND instr(images, ?) ORDER BY created_at DESC LIMIT 1",
            (json.dumps(id),),
        ).fetchone()
        found = images_from_json(row[0]) if row else ()
        return next((image for image in found if any(each == id for _, each in image.files)), None)

    def newest_pictures(self, account: Account) -> Sequence[tuple[Sequence[Image], Sequence[StoredCaller]]]:
        """Return the pictures of the newest settled attempts, with their callers, newest first."""
        rows = self._execute(
            "SELECT id, images FROM spending WHERE state = 'settled' AND images <> '[]'"
            " AND gateway = ? AND principal = ? ORDER BY created_at DESC, rowid DESC LIMIT ?",
            (account.gateway, account.principal, _MAX_FOUND),
        ).fetchall()
        return [(images_from_json(images), self.callers(id)) for id, images in rows]

    def slot_before(self, account: Account, model: str, number: int, until: float) -> float | None:
        """Return the time of a model's slot, of those until a time.

        `number` counts back from the last one, which is 0.
        """
        row = self._execute(
            "SELECT at FROM slots WHERE gateway = ? AND principal = ? AND model = ? AND at <= ?"
            " ORDER BY at DESC LIMIT 1 OFFSET ?",
            (account.gateway, account.principal, model, until, number),
        ).fetchone()
        return row and row[0]

    def add_slot(self, account: Account, model: str, at: float) -> str:
        """Store a slot and return its id."""
        id = str(uuid.uuid4())
        self._execute("INSERT INTO slots VALUES (?, ?, ?, ?, ?)", (id, account.gateway, account.principal, model, at))
        return id

    def has_slot(self, id: str) -> bool:
        """Return whether a slot exists."""
        return self._execute("SELECT 1 FROM slots WHERE id = ?", (id,)).fetchone() is not None

    def remove_slots_before(self, at: float) -> None:
        """Remove the slots before a time."""
        self._execute("DELETE FROM slots WHERE at < ?", (at,))

    def trusted_payee(self, host: str) -> str | None:
        """Return the trusted address of a host."""
        row = self._execute("SELECT address FROM payees WHERE host = ?", (host,)).fetchone()
        return row and row[0]

    def trust_payee(self, host: str, address: str, at: float, *, is_first: bool = False) -> None:
        """Trust an address for a host; with `is_first`, only if none was trusted before."""
        otherwise = "IGNORE" if is_first else "REPLACE"
        self._execute(f"INSERT OR {otherwise} INTO payees VALUES (?, ?, ?)", (host, address, at))  # noqa: S608 - our own words

    def payments_at(self, host: str) -> Sequence[tuple[str, str, Payment | None]]:
        """Return the ids, addresses and payments of the attempts that may still pay a host."""
        rows = self._execute(
            "SELECT id, payee, payment FROM spending WHERE host = ? AND payee IS NOT NULL"
            " AND state IN ('reserved', 'sent', 'accepted', 'held', 'unknown')",
            (host,),
        )
        return [(id, payee, _payment(payment)) for id, payee, payment in rows]

    def last_charge(self, account: Account, request: ImageRequest, since: float) -> tuple[int, int] | None:
        """Return the charge and the number of images of the last request like this one, since a time."""
        return self._execute(
            "SELECT charged_micro_usd, json_extract(request, '$.n') FROM spending WHERE gateway = ? AND model = ?"
            " AND json_extract(request, '$.size') IS ? AND json_extract(request, '$.quality') IS ?"
            " AND (json_extract(request, '$.images') IS NULL) = ? AND ended_at > ?"
            " AND state = 'settled' AND charged_micro_usd IS NOT NULL ORDER BY ended_at DESC LIMIT 1",
            (account.gateway, request.model, request.size, request.quality, not request.images, since),
        ).fetchone()

    def _execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        # these errors are the values' fault; a record that causes one is set aside, because no retry can store it
        except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, OverflowError) as error:
            raise UnstorableError(str(error)) from error

    def _attempts(self, condition: str, *values: object) -> Sequence[StoredAttempt]:
        return [_attempt(row) for row in self._execute(f"SELECT {_COLUMNS} FROM spending {condition}", values)]  # noqa: S608 - our own words


def request_as_json(request: ImageRequest) -> str:
    """Encode a request for the database."""
    return json.dumps(request.to_record())


def request_from_json(text: str) -> ImageRequest:
    """Decode a stored request."""
    return ImageRequest.from_record(json.loads(text))


def images_as_json(images: Sequence[Image]) -> str:
    """Encode images for the database, without those with a huge URL."""
    return json.dumps(
        [
            {
                "url": image.url,
                "path": image.path and str(image.path),
                "revised_prompt": image.revised_prompt,
                "id": image.id,
                **({"copies": [_copy_as_json(each) for each in image.copies]} if image.copies else {}),
            }
            for image in images
            if image.url and len(image.url) <= _MAX_URL_CHARACTERS
        ]
    )


def images_from_json(text: str) -> Sequence[Image]:
    """Decode stored images."""
    return [_image(each) for each in json.loads(text)]


def _image(stored: Mapping[str, Any]) -> Image:
    path = stored.get("path")
    return Image(
        url=stored["url"],
        path=Path(path) if path else None,
        revised_prompt=stored.get("revised_prompt"),
        id=stored.get("id"),
        copies=tuple(SavedPicture(Path(copy["path"]), copy["id"]) for copy in stored.get("copies", ())),
    )


def _copy_as_json(copy: SavedPicture) -> Mapping[str, str]:
    return {"path": str(copy.path), "id": copy.id}


def _payment(text: str | None) -> Payment | None:
    if text is None:
        return None
    fields: dict[str, Any] = json.loads(text)
    return Payment(amount_usd=Decimal(fields.pop("amount_usd")), **fields)


def _attempt(row: Sequence[Any]) -> StoredAttempt:
    id, state, owner, day, request, held, charged, approval, job, payment, host, payee, images, warnings, *rest = row
    ended_at, ended_monotonic, writer, sequence, polls, poll_seconds, is_unknown_told = rest
    charged_usd = None if charged is None else from_micro_usd(charged)
    return StoredAttempt(
        id=id,
        state=AttemptState(state),
        owner=owner,
        day=day,
        request=request_from_json(request),
        held_micro_usd=held,
        charged_micro_usd=charged,
        approval=approval,
        job=job,
        payment=_payment(payment),
        host=host,
        payee=payee,
        response=ImagesResponse(images_from_json(images), charged_usd, json.loads(warnings)),
        ended=None if ended_at is None else Moment(ended_at, ended_monotonic),
        writer=writer,
        sequence=sequence,
        polls=polls,
        poll_seconds=poll_seconds,
        is_unknown_told=bool(is_unknown_told),
    )


def _entry(row: Sequence[Any]) -> AttemptReport:
    id, state, created_at, request, held, charged, job, payment, images, warnings = row
    made = request_from_json(request)
    return AttemptReport(
        id=id,
        state=state,
        created_at=created_at,
        model=made.model,
        size=made.size,
        n=made.n,
        prompt=made.prompt,
        reserved_micro_usd=held,
        charged_micro_usd=charged,
        job=job,
        payment=_payment(payment),
        images=images_from_json(images),
        warnings=json.loads(warnings),
    )


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
