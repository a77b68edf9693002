"""Reads a job's id and state from answers, in the words of several gateways."""

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any, cast
from urllib.parse import urlsplit

from blockrun_image_mcp.bounded_json import json_object

_POLL_URL = re.compile(r"/(?:api/)?v1/images/generations/([A-Za-z0-9_-]{1,128})")
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ROOMS = ("data", "output", "task", "job", "result")
_ID_KEYS = ("task_id", "taskId", "job_id", "jobId", "id")
_STATE_KEYS = ("status", "state", "task_status", "taskStatus")


class State(Enum):
    """The state of a job."""

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
    """Return the state of an answer's job; `None` if it is missing or unknown.

    Even a success may be about a job that is under way or has failed.
    """
    words = [_key(fields[key]) for fields in _rooms(body) for key in _STATE_KEYS if isinstance(fields.get(key), str)]
    states = {_STATES[word] for word in words if word in _STATES}
    # the answer and the job inside it may each have a state: the one furthest from success counts
    return next((each for each in (State.FAILED, State.DRAWING, State.QUEUED, State.FINISHED) if each in states), None)


def id_of(body: Mapping[str, Any], request_url: str) -> str | None:
    """Return the id to poll an answer's job with; `None` if there is none.

    `request_url` is the URL of the request. If the answer's own URL to poll is not this API's, an id is of no use.
    """
    poll_url = body.get("poll_url")
    if poll_url:
        # it is a path, or a URL of the same origin as the request's
        found = _POLL_URL.fullmatch(str(poll_url).removeprefix(request_url[: -len(urlsplit(request_url).path)]))
        return found[1] if found else None
    return next(filter(_ID.fullmatch, _ids(body)), None)


def is_about(body: Mapping[str, Any], id: str) -> bool:
    """Return whether an answer names this job, or none."""
    ids = [*_ids(body)]
    return not ids or id in ids


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
