"""The messages between the server and its worker: each line is a JSON array of a message's name and its fields.

The server sends `Start` first, and then `Begin`, `Cancel`, `Reply` and `Delivered`. The worker answers `Ready` or
`Refused`, and sends `Began`, `Status`, `Asked` and `Ended` about calls, which are numbered by the server.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Start:
    """The server's version, which must be the worker's too, and the timings that the worker uses."""

    version: str
    timings: Mapping[str, Any]


@dataclass(frozen=True)
class Ready:
    """The worker has loaded what it needs, and takes calls."""


@dataclass(frozen=True)
class Refused:
    """The worker takes no calls, because its version is another one."""

    version: str


@dataclass(frozen=True)
class Begin:
    """A call; `arrived_at` is in seconds by the monotonic clock, which all processes share."""

    call: int
    arguments: Mapping[str, Any]
    caller: str
    process: str
    arrived_at: float | None


@dataclass(frozen=True)
class Began:
    """The worker has the call; without this message, it has done nothing for it."""

    call: int


@dataclass(frozen=True)
class Cancel:
    """Nobody waits for a call any more."""

    call: int


@dataclass(frozen=True)
class Status:
    """What a call is waiting for, in a few words."""

    call: int
    words: str


@dataclass(frozen=True)
class Asked:
    """A question to the user; `max_usd` is a decimal number of US dollars, `None` for no limit."""

    call: int
    what: str
    price: str
    prompt: str
    max_usd: str | None


@dataclass(frozen=True)
class Reply:
    """The end of a question: an approval with an id, a refusal with words, or neither if the call ends with it."""

    call: int
    approval: str = ""
    max_usd: str | None = None
    refusal: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Ended:
    """A call's outcome; `content` is `None` if the call ended with its question."""

    call: int
    text: str = ""
    content: Mapping[str, object] | None = None
    is_error: bool = False
    paths: Sequence[str] = ()


@dataclass(frozen=True)
class Delivered:
    """An event in the delivery of a call's answer, by the name of the `DeliveryEvent`."""

    call: int
    event: str


ToWorker: TypeAlias = Start | Begin | Cancel | Reply | Delivered
ToServer: TypeAlias = Ready | Refused | Began | Status | Asked | Ended
Message: TypeAlias = ToWorker | ToServer

_TYPES: Mapping[str, type[Message]] = {
    each.__name__: each
    for each in (Start, Begin, Cancel, Reply, Delivered, Ready, Refused, Began, Status, Asked, Ended)
}


def to_line(message: Message) -> bytes:
    """Return a message as a line; ASCII, so that a lone surrogate in a prompt passes as well."""
    return json.dumps([type(message).__name__, asdict(message)]).encode("ascii") + b"\n"


def from_line(line: bytes) -> Message:
    """Return the message in a line; raises `ValueError`, `TypeError` or `KeyError` if it is none."""
    name, values = json.loads(line)
    return _TYPES[name](**values)
