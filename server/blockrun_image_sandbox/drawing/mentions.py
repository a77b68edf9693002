"""Finds the drawable subjects of a prompt."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from blockrun_image_sandbox.drawing.colours import Colour
from blockrun_image_sandbox.drawing.palette import COLOURS
from blockrun_image_sandbox.drawing.subjects import SUBJECTS

_WORD = re.compile(r"[a-z0-9]+")
_ROOM = re.compile(r"\b(?:negative|empty|calm|open|copy|white) space\b|\bspace (?=for|at|around|on)")  # no stars
_COUNTS = {"two": 2, "pair": 2, "couple": 2, "three": 3, "four": 4, "five": 5, "six": 6} | {
    str(n): n for n in range(2, 7)
}
_UNCOUNTED = 3  # of "dogs" without a number
_MAX_KINDS = 4
_REACH = 3  # words before a noun that may describe it, as in "two big red dogs"


@dataclass(frozen=True)
class Mention:
    """A subject in the prompt, with its count, and its colour if named."""

    name: str
    count: int = 1
    dye: Colour | None = None


def words_of(text: str) -> tuple[str, ...]:
    """Split a text into lower-case words."""
    return tuple(_WORD.findall(_ROOM.sub(" ", text.lower())))


def mentions_in(words: Sequence[str]) -> tuple[Mention, ...]:
    """Return the subjects named by the words, each once, in order of first mention."""
    mentions: dict[str, Mention] = {}
    for place, word in enumerate(words):
        name = _SUBJECT_OF.get(word)
        if name and name not in mentions:
            mentions[name] = _mention_of(name, words[: place + 1])
    return _resolve_overlaps(mentions)


_SUBJECT_OF: dict[str, str] = {
    word: name for name, subject in SUBJECTS.items() for word in (subject.one + " " + subject.many).split()
}


def _mention_of(name: str, words: Sequence[str]) -> Mention:
    before = _own_words(words)
    counted = next((_COUNTS[word] for word in before if word in _COUNTS), None)
    plural = words[-1] in SUBJECTS[name].many.split()
    dye = next((COLOURS[word] for word in reversed(before) if word in COLOURS), None)
    return Mention(name, counted or (_UNCOUNTED if plural else 1), dye)


def _own_words(words: Sequence[str]) -> Sequence[str]:
    """Return the words shortly before the last one, if they are its own.

    Words before an earlier subject belong to that one.
    """
    before = list(words[-1 - _REACH : -1])
    while any(word in _SUBJECT_OF for word in before):
        before.pop(0)
    return before


def _resolve_overlaps(mentions: dict[str, Mention]) -> tuple[Mention, ...]:
    """Resolve overlaps: "portrait of a woman" is one portrait, and "palm tree" one tree.

    "Portrait of a dog" is a dog.
    """
    if "portrait" in mentions and "person" in mentions:
        person = mentions.pop("person")
        mentions["portrait"] = replace(mentions["portrait"], count=person.count, dye=person.dye)
    elif "portrait" in mentions and len(mentions) > 1:
        del mentions["portrait"]
    if "palm" in mentions:
        mentions.pop("tree", None)
    return tuple(mentions.values())[:_MAX_KINDS]
