"""The table of attempts: how one moves from state to state, who works on it, and whose caller may collect it."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from blockrun_image.errors import ConfirmationError
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Job, Payment, Standing
from blockrun_image_mcp.ledger.statement import Entry, Total

_MOST_URL_CHARACTERS = 100_000
_MICRO = 1_000_000
_COUNTED = "CASE state WHEN 'released' THEN 0 ELSE coalesce(charged_micro_usd, reserved_micro_usd) END"
_STATE = "CASE refused WHEN 1 THEN iif(state = 'sent', 'held', state) ELSE state END"


@dataclass(frozen=True)
class Account:
    """Who pays, at which gateway; an attempt is followed and collected only by the account that made it."""

    gateway: str = ""
    principal: str = ""


@dataclass(frozen=True)
class New:
    """What is written down of a new attempt."""

    id: str
    owner: str
    account: Account
    request: ImageRequest
    approval: str | None = None


@dataclass(frozen=True)
class Twin:
    """An attempt at the same request that has not been told: its work's lease, and whether its caller has gone."""

    id: str
    owner: str
    lease_until: float
    has_left: bool


def day_of(now: float) -> str:
    """Return the UTC day of a time."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")


def insert(connection: sqlite3.Connection, new: New, held_micro_usd: int, now: float, lease_until: float) -> None:
    """Write a new attempt down, and what is set aside for it."""
    request = new.request
    row: dict[str, object] = {
        "id": new.id,
        "state": "reserved",
        "day": day_of(now),
        "created_at": now,
        "lease_until": lease_until,
        "owner": new.owner,
        "caller": "waiting",
        "gateway": new.account.gateway,
        "principal": new.account.principal,
        "fingerprint": fingerprint(request),
        "model": request.model,
        "size": request.size,
        "quality": request.quality,
        "n": request.n,
        "prompt": request.prompt,
        "reserved_micro_usd": held_micro_usd,
        "approval": new.approval,
    }
    connection.execute(
        f"INSERT INTO attempts ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608 - our own words
        [*row.values()],
    )


def update(connection: sqlite3.Connection, id: str, from_states: Sequence[str], **values: object) -> bool:
    """Change an attempt that is in one of the states, and tell whether it was."""
    columns = ", ".join(f"{name} = ?" for name in values)
    marks = ", ".join("?" * len(from_states))
    changed = connection.execute(
        f"UPDATE attempts SET {columns} WHERE id = ? AND state IN ({marks}) AND refused = 0",  # noqa: S608 - our own words
        (*values.values(), id, *from_states),
    )
    return changed.rowcount == 1


def release(connection: sqlite3.Connection, id: str, now: float) -> bool:
    """Release an attempt, as soon as a payment that has left for it can no longer be used."""
    row = connection.execute("SELECT state, payment FROM attempts WHERE id = ?", (id,)).fetchone()
    payment = _payment(row[1]) if row else None
    if payment is None or row[0] == "reserved" or now > (held_until := payment.valid_before + 60):
        return update(connection, id, ["reserved", "sent", "accepted"], state="released")
    held = {"state": "sent", "refused": 1, "lease_until": held_until, "caller": "told"}
    return update(connection, id, ["sent", "accepted"], **held)


def stop(connection: sqlite3.Connection, id: str, now: float) -> None:
    """Leave a job to whoever asks after it next; release what is none, because only what is not charged is stopped."""
    if not update(connection, id, ["accepted"], lease_until=0):
        release(connection, id, now)


def note_caller(connection: sqlite3.Connection, id: str, caller: str) -> None:
    """Note whether the caller waits, has left, or was told; who was told stays so."""
    connection.execute("UPDATE attempts SET caller = ? WHERE id = ? AND caller <> 'told'", (caller, id))


def give(connection: sqlite3.Connection, id: str, lease_until: float) -> None:
    """Give an attempt whose caller has gone to another one, who has what has ended alone while the lease lasts."""
    note_caller(connection, id, "waiting")
    update(connection, id, ["settled", "unknown"], lease_until=lease_until)


def check_unused(connection: sqlite3.Connection, approval: str | None) -> None:
    """Raise `ConfirmationError` where an attempt, in whatever state, was made with the approval."""
    for id, state in connection.execute("SELECT id, state FROM attempts WHERE approval = ?", (approval,)):
        raise ConfirmationError(
            f"This call was approved and made before, as attempt {id} ({state}). Nothing was sent again.",
            hint="The command images tells what came of it. A new call asks the user again.",
        )


def reservation(connection: sqlite3.Connection, id: str) -> tuple[str, int, str | None]:
    """Return the day that an attempt counts for, the millionths of a dollar set aside for it, and its approval."""
    return connection.execute("SELECT day, reserved_micro_usd, approval FROM attempts WHERE id = ?", (id,)).fetchone()


def end_expired(connection: sqlite3.Connection, now: float, alive: Sequence[str], max_job_seconds: float) -> None:
    """End the attempts whose process is gone: what had not left is released, what had is unknown.

    A job can still be polled, for `max_job_seconds`. Those in `alive` are this process's own, which may only have
    slept.
    """
    marks = ", ".join("?" * len(alive))
    for ending, condition in (
        ("released", "(state = 'reserved' OR (state = 'sent' AND refused = 1))"),
        ("unknown", "state = 'sent' AND refused = 0"),
        ("unknown", f"state = 'accepted' AND created_at < {now - max_job_seconds}"),
    ):
        connection.execute(
            f"UPDATE attempts SET state = ? WHERE {condition} AND lease_until < ? AND id NOT IN ({marks})",  # noqa: S608 - our own words
            (ending, now, *alive),
        )


def renew(connection: sqlite3.Connection, ids: Sequence[str], owner: str, lease_until: float) -> None:
    """Renew the leases of a process's own attempts."""
    marks = ", ".join("?" * len(ids))
    connection.execute(
        f"UPDATE attempts SET lease_until = ? WHERE owner = ? AND refused = 0 AND id IN ({marks})",  # noqa: S608 - our own words
        (lease_until, owner, *ids),
    )


def adopt(connection: sqlite3.Connection, id: str, owner: str, now: float, lease_until: float) -> bool:
    """Give a job whose process is gone to another one, and tell whether it was to be had."""
    adopted = connection.execute(
        "UPDATE attempts SET owner = ?, lease_until = ? WHERE id = ? AND state = 'accepted' AND lease_until < ?",
        (owner, lease_until, id, now),
    )
    return adopted.rowcount == 1


def jobs_to_adopt(connection: sqlite3.Connection, account: Account, now: float) -> Mapping[str, ImageRequest]:
    """Return the account's accepted attempts that no process works on, with what was asked for."""
    rows = connection.execute(
        "SELECT id, prompt, model, size, quality, n FROM attempts"
        " WHERE state = 'accepted' AND lease_until < ? AND gateway = ? AND principal = ? ORDER BY created_at",
        (now, account.gateway, account.principal),
    )
    return {row[0]: ImageRequest(*row[1:]) for row in rows}


def twins(
    connection: sqlite3.Connection, account: Account, request: ImageRequest, now: float, oldest: float
) -> Sequence[Twin]:
    """Return the account's attempts at the same request that could be collected, the oldest first.

    None is older than the time `oldest`.
    """
    rows = connection.execute(
        "SELECT id, owner, lease_until, caller = 'left' OR lease_until < ?1 FROM attempts"
        " WHERE fingerprint = ?2 AND gateway = ?3 AND principal = ?4 AND created_at > ?5 AND caller <> 'told'"
        " AND state <> 'released' AND refused = 0 ORDER BY created_at",
        (now, fingerprint(request), account.gateway, account.principal, oldest),
    )
    return [Twin(*row[:-1], has_left=bool(row[-1])) for row in rows]


def spent_on(connection: sqlite3.Connection, day: str) -> int:
    """Return what counts against a day's budget, in millionths of a dollar."""
    (spent,) = connection.execute(f"SELECT coalesce(sum({_COUNTED}), 0) FROM attempts WHERE day = ?", (day,)).fetchone()  # noqa: S608 - our own words
    return spent


def standing(connection: sqlite3.Connection, id: str) -> Standing:
    """Return where an attempt stands: unknown if it is not there, and released if only its payment still holds it."""
    row = connection.execute(
        "SELECT iif(refused, 'released', state), reserved_micro_usd, job, payment, charged_micro_usd, images, warnings"
        " FROM attempts WHERE id = ?",
        (id,),
    ).fetchone()
    if row is None:
        return Standing("unknown")
    state, reserved, job, payment, charged, images, warnings = row
    response = ImagesResponse(
        [_image(each) for each in json.loads(images)],
        None if charged is None else Decimal(charged) / _MICRO,
        json.loads(warnings),
    )
    return Standing(state, Decimal(reserved) / _MICRO, Job(job, _payment(payment)) if job else None, response)


def totals(connection: sqlite3.Connection, day: str) -> Sequence[Total]:
    """Return what a day's attempts count for, by model and state."""
    rows = connection.execute(
        f"SELECT model, {_STATE} AS shown, count(*), sum({_COUNTED}) FROM attempts WHERE day = ?"  # noqa: S608 - our own words
        " GROUP BY model, shown ORDER BY model, shown",
        (day,),
    )
    return [Total(*row) for row in rows]


def entries(connection: sqlite3.Connection, most: int, *states: str) -> Sequence[Entry]:
    """Return the newest attempts that were not released, or only those in the states, the newest first."""
    chosen = f"state IN ({', '.join('?' * len(states))})" if states else "state <> 'released'"
    rows = connection.execute(
        f"SELECT id, {_STATE}, created_at, model, size, n, prompt, reserved_micro_usd, charged_micro_usd, job, images"  # noqa: S608 - our own words
        f" FROM attempts WHERE {chosen} ORDER BY created_at DESC, rowid DESC LIMIT ?",
        (*states, most),
    )
    return [Entry(*row[:-1], images=[each["url"] for each in json.loads(row[-1])]) for row in rows]


def fingerprint(request: ImageRequest) -> str:
    """Return what the same request, and no other, has too, however the gateway spells its model at the time."""
    body = replace(request, sent_as="").body()
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def as_json(images: Sequence[Image]) -> str:
    """Return images as they are kept; none is kept whose URL would flood the file."""
    return json.dumps(
        [
            {"url": image.url, "path": image.path and str(image.path), "revised_prompt": image.revised_prompt}
            for image in images
            if image.url and len(image.url) <= _MOST_URL_CHARACTERS
        ]
    )


def payment_as_json(payment: Payment) -> str:
    """Return a payment as it is kept."""
    return json.dumps(asdict(payment), default=str)


def _payment(text: str | None) -> Payment | None:
    if text is None:
        return None
    fields: dict[str, Any] = json.loads(text)
    fields["amount_usd"] = Decimal(fields["amount_usd"])
    return Payment(**fields)


def _image(kept: Mapping[str, Any]) -> Image:
    path = kept.get("path")
    return Image(url=kept["url"], path=Path(path) if path else None, revised_prompt=kept.get("revised_prompt"))
