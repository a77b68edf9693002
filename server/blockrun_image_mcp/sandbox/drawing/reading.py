"""What a prompt's words ask the artist to draw."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from blockrun_image_mcp.sandbox.drawing.colours import Colour
from blockrun_image_mcp.sandbox.drawing.palette import COLOURS
from blockrun_image_mcp.sandbox.drawing.subjects import SUBJECTS

_WORD = re.compile(r"[a-z0-9]+")
_COUNTS = {"two": 2, "pair": 2, "couple": 2, "three": 3, "four": 4, "five": 5, "six": 6} | {
    str(n): n for n in range(2, 7)
}
_UNCOUNTED = 3
_MOST_KINDS = 4
_REACH = 3


@dataclass(frozen=True)
class Wish:
    """A subject the prompt asks for, how many of it, and in which colour if it says so."""

    name: str
    count: int = 1
    dye: Colour | None = None


def words_of(text: str) -> tuple[str, ...]:
    """Split a text into its lower-case words."""
    return tuple(_WORD.findall(text.lower()))


def wishes_in(words: Sequence[str]) -> tuple[Wish, ...]:
    """Find the subjects that the words ask for, each once, in the order of their first mention."""
    wishes: dict[str, Wish] = {}
    for place, word in enumerate(words):
        name = _SUBJECT_OF.get(word)
        if name and name not in wishes:
            wishes[name] = _wish(name, words[: place + 1])
    return _settled(wishes)


_SUBJECT_OF: dict[str, str] = {
    word: name for name, subject in SUBJECTS.items() for word in (subject.one + " " + subject.many).split()
}


def _wish(name: str, words: Sequence[str]) -> Wish:
    before = _own_words(words)
    counted = next((_COUNTS[word] for word in before if word in _COUNTS), None)
    plural = words[-1] in SUBJECTS[name].many.split()
    dye = next((COLOURS[word] for word in reversed(before) if word in COLOURS), None)
    return Wish(name, counted or (_UNCOUNTED if plural else 1), dye)


def _own_words(words: Sequence[str]) -> Sequence[str]:
    """Take the words shortly before the last one that do not belong to an earlier subject."""
    before = list(words[-1 - _REACH : -1])
    while any(word in _SUBJECT_OF for word in before):
        before.pop(0)
    return before


def _settled(wishes: dict[str, Wish]) -> tuple[Wish, ...]:
    """Let "portrait of a woman" be one portrait, "portrait of a dog" a dog, and "palm tree" one tree."""
    if "portrait" in wishes and "person" in wishes:
        person = wishes.pop("person")
        wishes["portrait"] = replace(wishes["portrait"], count=person.count, dye=person.dye)
    elif "portrait" in wishes and len(wishes) > 1:
        del wishes["portrait"]
    if "palm" in wishes:
        wishes.pop("tree", None)
    return tuple(wishes.values())[:_MOST_KINDS]
