"""Records of events; any process can apply them, late and more than once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from blockrun_image.attempts import AttemptState
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image_mcp.ledger.limits import micro_usd
from blockrun_image_mcp.ledger.store import Account, AttemptStore, Moment, NewAttempt, StoredAttempt


class Event(StrEnum):
    """An event of an attempt, or of one of its callers."""

    REFUSED_FOR_NOW = "refused_for_now"
    ACCEPTED = "accepted"
    SETTLED = "settled"
    RELEASED = "released"
    UNKNOWN = "unknown"
    STOPPED = "stopped"
    ABANDONED = "abandoned"
    DELIVERED = "delivered"


@dataclass(frozen=True)
class Record:
    """An event with everything needed to apply it; `values` are JSON.

    `id` is the attempt. `writer` is the process, which numbers its records of an attempt by `sequence`. `ledger` is the
    identity of the attempt's ledger, and `attempt` is stored if the attempt is missing there.
    """

    id: str
    event: Event
    writer: str
    sequence: int
    ledger: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    attempt: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return asdict(self) | {"event": self.event.value}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Record":
        """Read a record from JSON; raises `TypeError`, `ValueError` or `KeyError`."""
        rest: dict[str, Any] = {**fields}
        texts = [rest[name] for name in ("id", "writer", "ledger")]
        if not all(isinstance(text, str) for text in texts) or not isinstance(rest["sequence"], int):
            raise TypeError("it is no record")
        return cls(event=Event(rest.pop("event")), **rest)


_COUNTED = (Event.ACCEPTED, Event.SETTLED, Event.UNKNOWN)
"""The events that may have cost money: they are stored even if their attempt is missing."""


def settlement(response: ImagesResponse) -> Mapping[str, Any]:
    """Return the values of a record of `SETTLED`."""
    charged = response.charged_usd
    return {
        "charged_micro_usd": None if charged is None else micro_usd(charged),
        "images": [
            {
                "url": image.url,
                "path": image.path and str(image.path),
                "revised_prompt": image.revised_prompt,
                "id": image.id,
            }
            for image in response.images
            if image.url
        ],
        "warnings": list(response.warnings),
    }


def apply(store: AttemptStore, record: Record, now: Moment) -> None:
    """Apply a record, unless it was applied before or is outdated."""
    row = store.find(record.id)
    if row is None and record.event in _COUNTED and record.attempt is not None:
        store.add(_new_attempt(record.attempt))  # the file was restored from an older copy
        row = store.find(record.id)
    if row is None:
        return
    if record.event is Event.ABANDONED:
        store.abandon(row.id, record.values["caller"], record.values["process"])
    elif record.event is Event.DELIVERED:
        _deliver(store, row, record.values)
    elif (row.writer, row.sequence) < (record.writer, record.sequence) or row.writer != record.writer:
        _change(store, row, record, now)


def _change(store: AttemptStore, row: StoredAttempt, record: Record, now: Moment) -> None:
    changes = _changes(row, record, now)
    if "ended" in changes and row.owner == record.writer:
        changes = {"owner": "", **changes}  # its work is done
    if row.payee is not None and _is_accepted(changes):
        store.trust_payee(row.host, row.payee, now.wall, is_first=True)
    if changes:
        store.change(row.id, writer=record.writer, sequence=record.sequence, **changes)


def ending(row: StoredAttempt, state: AttemptState, now: Moment) -> Mapping[str, Any]:
    """Return the changes to end an attempt in a state, or none if not allowed.

    A released attempt is held instead if its signed payment was sent, because the gateway can still use it.
    """
    is_payment_sent = row.payment is not None and row.state is not AttemptState.RESERVED
    if state is AttemptState.RELEASED and is_payment_sent:
        state = AttemptState.HELD
    return {"state": state, "ended": now} if row.state.can_become(state) else {}


def _changes(row: StoredAttempt, record: Record, now: Moment) -> Mapping[str, Any]:
    changes: Mapping[str, Any] = {}
    match record.event:
        case Event.REFUSED_FOR_NOW if row.state is AttemptState.SENT and row.owner == record.writer:
            changes = {"state": AttemptState.RESERVED}
        case Event.ACCEPTED if row.state.can_become(AttemptState.ACCEPTED):
            changes = {
                "state": AttemptState.ACCEPTED,
                "owner": record.writer,
                "ended": None,
                "job": record.values["job"],
            }
            charged = record.values.get("charged_micro_usd")
            changes = changes if charged is None else {**changes, "charged_micro_usd": charged}
        case Event.SETTLED:
            changes = _settle(row, record.values, now)
        case Event.UNKNOWN if row.state.can_become(AttemptState.UNKNOWN):
            response = replace(row.response, warnings=[*row.response.warnings, *record.values.get("warnings", ())])
            job = None if record.values.get("is_over") else row.job
            changes = {**ending(row, AttemptState.UNKNOWN, now), "response": response, "job": job}
        case Event.STOPPED if row.state is AttemptState.ACCEPTED:
            changes = {"owner": ""} if row.owner == record.writer else {}  # without an owner, any process may poll
        case Event.RELEASED | Event.STOPPED:
            is_charged = bool(row.charged_micro_usd)  # some gateways charge when they accept a job
            changes = ending(row, AttemptState.SETTLED if is_charged else AttemptState.RELEASED, now)
        case _:
            pass
    return changes


def _is_accepted(changes: Mapping[str, Any]) -> bool:
    """Return whether the gateway has accepted the payment, by a job or pictures."""
    response = changes.get("response")
    return changes.get("state") is AttemptState.ACCEPTED or (response is not None and bool(response.images))


def _settle(row: StoredAttempt, values: Mapping[str, Any], now: Moment) -> Mapping[str, Any]:
    charged: int | None = values["charged_micro_usd"]
    earlier = row.charged_micro_usd
    counted = row.held_micro_usd if earlier is None else earlier
    # a second settlement counts only for a larger charge: the budget must never regain money by a late record
    is_news = row.state is not AttemptState.SETTLED or (charged is not None and charged > counted)
    if not (is_news and row.state.can_become(AttemptState.SETTLED)):
        return {}
    response = ImagesResponse([_image(each) for each in values["images"]], None, values["warnings"])
    result = row.response if row.response.images and not response.images else response
    charge = {} if charged is None else {"charged_micro_usd": max(charged, earlier or 0)}
    return {"state": AttemptState.SETTLED, "response": result, "ended": now, **charge}


def _deliver(store: AttemptStore, row: StoredAttempt, values: Mapping[str, Any]) -> None:
    caller, process = values["caller"], values["process"]
    if values["is_unknown"]:  # pictures may still arrive, and can then be collected
        store.change(row.id, is_unknown_told=True)
        store.abandon(row.id, caller, process)
    else:
        is_repeatable = bool(values["repeatable"])  # older versions wrote 0, 1 or 2
        store.deliver(row.id, caller, process, Moment(*values["at"]), is_repeatable=is_repeatable)
    for id in values["named"]:
        store.change(id, is_named=True)


def _new_attempt(fields: Mapping[str, Any]) -> NewAttempt:
    rest: dict[str, Any] = {**fields}
    account, request = Account(**rest.pop("account")), ImageRequest.from_record(rest.pop("request"))
    return NewAttempt(account=account, request=request, **rest)


def _image(fields: Mapping[str, Any]) -> Image:
    path = fields["path"]
    return Image(
        url=fields["url"],
        path=Path(path) if path else None,
        revised_prompt=fields["revised_prompt"],
        id=fields.get("id"),  # older versions wrote none
    )
