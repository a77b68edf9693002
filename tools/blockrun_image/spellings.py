"""What is meant by a value that is not spelled as it is advertised: nothing at all, or one that is nearly right."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

_NOTHING = frozenset(
    {
        *("", "none", "null", "nil", "nan", "undefined", "unset", "not set", "not specified", "unspecified"),
        *("not given", "not provided", "n/a", "n.a", "na", "not applicable", "no", "no preference", "nothing", "empty"),
        *("false", "auto", "automatic", "any", "default", "optional", "unknown", "omit", "omitted", "tbd", "?"),
        *("whatever", "your choice", "model default", "none specified", "unspecified"),
    }
)
"""Words for "not set"; frameworks that require every argument make a model write one."""

AROUND = "* \t\r\n\"'`.,;:()[]{}<>-\u2013\u2014_\u201c\u201d\u2018\u2019"
_QUOTES = " \t\r\n\"'`.()[]\u201c\u201d\u2018\u2019"
_SEPARATORS = re.compile(r"[ _-]+")
_SIZE = re.compile(r"([0-9]+) ?(?:px|pixels)? ?(?:[x*\u00d7\u0445]|by) ?([0-9]+) ?(?:px|pixels)?", re.IGNORECASE)


def is_nothing(text: str, *also: str) -> bool:
    """Tell whether a text is a word for "not set", one of `also`, or no word at all."""
    words = {*_NOTHING, *also}
    plain = _plain(text)
    return any(
        all(_SEPARATORS.sub(" ", part.strip(AROUND)) in words for part in parts)
        for parts in ([plain], re.split(r"[,/]", plain))
    )


def nearest(text: str, values: Iterable[str]) -> str:
    """Return the one of `values` that differs from `text` only in case, blanks and signs, or else `text` itself.

    So does a size with another sign between its numbers. Where several differ as little, none is meant.
    """
    return meant(text, {value: value for value in values}) or text


def meant(text: str, values: Mapping[str, str]) -> str | None:
    """Return what the spellings that differ from `text` only in case, blanks and signs lead to, if that is one."""
    if text in values:
        return values[text]
    found = {value for spelling, value in values.items() if _key(spelling) == _key(text)}
    return found.pop() if len(found) == 1 else None


def as_size(text: str) -> str:
    """Return a text that is two numbers and a sign between them as `WIDTHxHEIGHT`, and any other as it is."""
    size = _SIZE.fullmatch(_plain(text).strip(_QUOTES))
    return text if size is None else f"{size[1]}x{size[2]}"


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text[:1_000]).casefold()
    return " ".join("".join(each for each in plain if unicodedata.category(each) != "Cf").split())


def _key(text: str) -> str:
    return "".join(each for each in as_size(_plain(text)) if each.isalnum() or each == "+")
