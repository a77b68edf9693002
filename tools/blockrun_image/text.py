"""Makes text from outside safe and short to show, and puts amounts in words."""

import json
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from difflib import get_close_matches

_CENT = Decimal("0.01")
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Co", "Cs", "Cn"}
_SCANNED_FACTOR = 4  # how much more is read than shown, because cleaning drops characters
_NEAR = 0.8  # as difflib measures likeness, from 0 to 1
_ENDED = re.compile(r"[.!?\u2026\u3002\uff01\uff1f]['\"\u201d\u2019\u00bb)\]]{0,3}\Z")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(value: object, limit: int) -> str:
    """Return `value` as one safe line of at most `limit` characters.

    Control, format and surrogate characters become blanks.
    """
    text = (value if isinstance(value, str) else _words(value))[: limit * _SCANNED_FACTOR]
    text = "".join(" " if unicodedata.category(character) in _UNSAFE_CATEGORIES else character for character in text)
    return clip(re.sub(r"\s+", " ", text).strip(), limit)


def clip(text: str, limit: int) -> str:
    """Return `text`, cut to `limit` characters, the last of them an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def is_ended(text: str) -> bool:
    """Return whether a text ends like a sentence."""
    return _ENDED.search(text) is not None


def within(text: str, limit: int) -> str:
    """Return `text`, cut with an ellipsis to `limit` bytes in JSON."""
    # JSON writes a character in at most 6 bytes, so a short text need not be encoded.
    if 6 * len(text) <= limit or _json_bytes(text) <= limit:
        return text
    fitting = text[:limit]
    while _json_bytes(fitting) > limit - len("…".encode()):
        fitting = fitting[: -max(1, (_json_bytes(fitting) - limit) // 6)]
    return f"{fitting}…"


def quoted(value: object, limit: int = 40) -> str:
    """Return `value` in quotes for an error message, cut to `limit` characters.

    It has at most about as many bytes.
    """
    text = clean(value, limit)
    fitting = text.encode()[: limit + 3].decode(errors="ignore")
    return f"'{fitting}'" if fitting == text else f"'{fitting}…'"


def choices(valid: Sequence[str], wanted: str = "", limit: int = 160) -> str:
    """Return the valid values as a list in words.

    If they are too long, it has those closest to `wanted`. The list has at most `limit` characters.
    """
    everything = ", ".join(valid)
    if len(everything) <= limit:
        return everything
    close = closest(wanted, valid, 5)
    shown = clip(", ".join(close), limit)
    return f"{shown} (the closest of {len(valid)})" if wanted else f"{shown} and {len(valid) - len(close)} more"


def closest(wanted: str, valid: Sequence[str], limit: int) -> Sequence[str]:
    """Return the valid values most like `wanted`, or else the first ones."""
    return get_close_matches(wanted[:100].lower(), valid, n=limit, cutoff=0.3) or list(valid[:limit])


def did_you_mean(wanted: str, valid: Sequence[str]) -> str:
    """Return " Did you mean X?" for a likely misspelling, or an empty text."""
    near = closest_to(wanted, valid)
    return f" Did you mean {near}?" if near else ""


def closest_to(wanted: str, valid: Sequence[str]) -> str | None:
    """Return the valid value likely misspelled as `wanted`, or `None`."""
    spellings = {each.lower(): each for each in valid}
    near = get_close_matches(wanted[:100].lower(), spellings, n=1, cutoff=_NEAR)
    return spellings[near[0]] if near else None


def usd(amount: Decimal) -> str:
    """Return an exact amount of dollars as a plain decimal, such as `0.042` or `5.00`."""
    shortest = amount.normalize()
    exponent = shortest.as_tuple().exponent
    return f"{shortest if isinstance(exponent, int) and exponent <= -2 else shortest.quantize(_CENT):f}"


def is_unicode(text: str) -> bool:
    """Return whether `text` can be sent as UTF-8; lone surrogates cannot."""
    return not LONE_SURROGATE.search(text)


def _json_bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")) - 2


def _words(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to write an int of more than 4,300 digits
        return "a number with too many digits"
