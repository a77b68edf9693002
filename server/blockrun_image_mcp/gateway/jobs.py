"""What an answer tells of a job: its id, and how far it is, in the words of several gateways."""

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any, cast
from urllib.parse import urlsplit

from blockrun_image_mcp.network import json_object

_POLL_URL = re.compile(r"/(?:api/)?v1/images/generations/([A-Za-z0-9_-]{1,128})")
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ROOMS = ("data", "output", "task", "job", "result")
_ID_KEYS = ("task_id", "taskId", "job_id", "jobId", "id")
_STATE_KEYS = ("status", "state", "task_status", "taskStatus")


class State(Enum):
    """How far a job is."""

    QUEUED = auto()
    DRAWING = auto()
    FINISHED = auto()
    FAILED = auto()


_STATES: Mapping[str, State] = {
    **dict.fromkeys(("queued", "pending", "in_queue", "waiting", "submitted", "accepted", "created"), State.QUEUED),
    **dict.fromkeys(("not_start", "not_started", "scheduled", "starting"), State.QUEUED),
    **dict.fromkeys(("in_progress", "processing", "running", "generating", "drawing", "started"), State.DRAWING),
    **dict.fromkeys(("completed", "complete", "succeeded", "succeed", "success", "successful"), State.FINISHED),
    **dict.fromkeys(("done", "finished", "ready", "ok"), State.FINISHED),
    **dict.fromkeys(("failed", "failure", "fail", "error", "errored", "cancelled", "canceled"), State.FAILED),
    **dict.fromkeys(("expired", "rejected", "aborted", "timeout", "timed_out", "nsfw"), State.FAILED),
    **dict.fromkeys(("request_moderated", "content_moderated", "moderated", "blocked"), State.FAILED),
}


def state_of(body: Mapping[str, Any]) -> State | None:
    """Return how far the job is that an answer tells of; `None` if it does not tell, or by a word that is not known.

    An answer may be a success that tells of a job under way, or of one that failed.
    """
    words = [_key(fields[key]) for fields in _rooms(body) for key in _STATE_KEYS if isinstance(fields.get(key), str)]
    told = {_STATES[word] for word in words if word in _STATES}
    return next((state for state in (State.FAILED, State.DRAWING, State.QUEUED, State.FINISHED) if state in told), None)


def id_of(body: Mapping[str, Any], asked: str) -> str | None:
    """Return the id by which a job of the request to the URL `asked` can be followed; `None` if there is none.

    If a URL to poll is told that is not this API's, the id is of no use.
    """
    poll_url = body.get("poll_url")
    if poll_url:
        found = _POLL_URL.fullmatch(str(poll_url).removeprefix(asked[: -len(urlsplit(asked).path)]))
        return found[1] if found else None
    return next(filter(_ID.fullmatch, _ids(body)), None)


def is_about(body: Mapping[str, Any], id: str) -> bool:
    """Return whether an answer may be about the job with that id: it names that, or none."""
    named = [*_ids(body)]
    return not named or id in named


def _ids(body: Mapping[str, Any]) -> Iterator[str]:
    ids = (fields.get(key) for key in _ID_KEYS for fields in _rooms(body))
    return (str(id) for id in ids if id and isinstance(id, (str, int)) and not isinstance(id, bool))


def _rooms(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield body
    for room in _ROOMS:
        value = body.get(room)
        first: object = next(iter(cast("list[object]", value)), None) if isinstance(value, list) else value
        yield json_object(first)


def _key(word: str) -> str:
    return re.sub(r"[\s-]+", "_", word.strip().casefold()).removeprefix("task_status_")
