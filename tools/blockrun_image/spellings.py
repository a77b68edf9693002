"""Interprets values with unadvertised spellings, as "not set" or the nearest choice."""

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
"""Words for "not set"; a framework that requires every argument makes models write one."""

AROUND = "* \t\r\n\"'`.,;:()[]{}<>-\u2013\u2014_\u201c\u201d\u2018\u2019"
_QUOTES = " \t\r\n\"'`.()[]\u201c\u201d\u2018\u2019"
_SEPARATORS = re.compile(r"[ _-]+")
# "1024 x 1024 px", "1024*1024" or "1024 by 1024"; \u00d7 is the times sign, \u0445 the Cyrillic letter like an x.
_SIZE = re.compile(r"([0-9]+) ?(?:px|pixels)? ?(?:[x*\u00d7\u0445]|by) ?([0-9]+) ?(?:px|pixels)?", re.IGNORECASE)


def is_nothing(text: str, *also: str) -> bool:
    """Return whether a text is empty or means "not set".

    `also` are more words with this meaning.
    """
    words = {*_NOTHING, *also}
    plain = _plain(text)
    return any(
        all(_SEPARATORS.sub(" ", part.strip(AROUND)) in words for part in parts)
        for parts in ([plain], re.split(r"[,/]", plain))
    )


def nearest(text: str, values: Iterable[str]) -> str:
    """Return the value with the same letters and digits, or `text` itself.

    Case, blanks and signs do not count. A size may also have another sign between its numbers. If several values match,
    the text is returned as it is.
    """
    return meant(text, {value: value for value in values}) or text


def meant(text: str, values: Mapping[str, str]) -> str | None:
    """Return the value of the matching spelling, unless ambiguous.

    Case, blanks and signs do not count.
    """
    if text in values:
        return values[text]
    found = {value for spelling, value in values.items() if _key(spelling) == _key(text)}
    return found.pop() if len(found) == 1 else None


def as_size(text: str) -> str:
    """Return two numbers as `WIDTHxHEIGHT`, and any other text as it is.

    Any of several signs may be between the numbers.
    """
    size = _SIZE.fullmatch(_plain(text).strip(_QUOTES))
    return text if size is None else f"{size[1]}x{size[2]}"


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text[:1_000]).casefold()
    return " ".join("".join(each for each in plain if unicodedata.category(each) != "Cf").split())


def _key(text: str) -> str:
    # The plus sign stays, as it may be the only difference between two models.
    return "".join(each for each in as_size(_plain(text)) if each.isalnum() or each == "+")
