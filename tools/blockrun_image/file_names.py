"""Reads the file name that a caller chooses for a picture.

The rules are those of Windows, macOS and Linux together, so that a name means the same file on every system, and none
leads out of the images folder or to a hidden file.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from blockrun_image.errors import InvalidRequestError
from blockrun_image.text import quoted

NUMBER = "{n}"
"""Stands for a picture's number in a chosen name."""

_SUFFIXES = {".png": ".png", ".jpg": ".jpg", ".jpeg": ".jpg", ".webp": ".webp"}
_HINT = "Choose a file name such as 'hero.png', or one in folders, such as 'assets/hero-{n}.webp'."

_MAX_BYTES = 500  # of UTF-8; Windows allows 260 characters for a whole path, unless a setting lifts that
_MAX_PART_BYTES = 200  # file systems allow 255; the rest is for numbers, the suffix and the end of a temporary name
_MAX_PARTS = 10

_ENDING = re.compile(r"\.[^./\s]+\Z")  # none in "Dr. No", whose dot ends a word
_VERSION = re.compile(r"\.v?[0-9]+(x[0-9]+)?", re.IGNORECASE)
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9]|CONIN\$|CONOUT\$|CLOCK\$) *", re.IGNORECASE)
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
_BLANK_LETTERS = "\u034f\u115f\u1160\u2800\u3164\uffa0"  # of other categories, and yet nothing is seen of them
_SLASH_LIKE = "\u2044\u2215\u2216\u29f5\u29f8\u29f9"  # some programs on Windows read them as slashes

# What a name must not hold, in the order in which it is looked for.
_FAULTS = (
    (re.compile(r"\A((file|data):|[a-z][a-z0-9+.-]+:/)", re.IGNORECASE), "it is a URL; only a file name is taken"),
    (
        re.compile(r"\A(/|[a-z]:)", re.IGNORECASE),
        "it must be relative to the images folder, without a drive or first /",
    ),
    (re.compile(r"\$[A-Za-z_{(]|%[A-Za-z_]\w*%"), "variables such as $HOME or %TEMP% are not expanded"),
    (re.compile(r"[{}]"), "of all that is in braces, only {n} is replaced"),
    (re.compile(r"~"), "~ is not allowed, because it stands for other folders' names"),
    (re.compile(r'[<>:"|?*]'), 'Windows allows none of < > : " | ? * in file names'),
    (re.compile(r"%[0-9A-Fa-f]{2}"), "it is percent-encoded; write the characters themselves"),
)


@dataclass(frozen=True)
class SaveAs:
    """A checked file name for each picture of a call, relative to the images folder.

    `template` has `/` between folders and `{n}` in place of a picture's number. `suffix` is the format that the name
    asks for: `.png`, `.jpg` or `.webp`, or `None` if the picture's own format is kept.
    """

    template: str
    suffix: str | None

    @classmethod
    def parse(cls, text: str, count: int) -> "SaveAs":
        r"""Read the name for `count` pictures. Raises `InvalidRequestError`.

        A backslash is a `/`, as on Windows: names that hold one would mean another file there. The suffix stays as it
        is written, so `.JPEG` stays. A version such as `.v2` or `.1024x1024` is no suffix; any other unknown ending is
        refused. Several pictures are numbered at `{n}`, or else before the suffix.
        """
        if len(text) > _MAX_BYTES:  # before anything that takes longer for a longer text
            raise _refusal(text, f"it is longer than {_MAX_BYTES} bytes")
        template = unicodedata.normalize("NFC", text).replace("\\", "/")
        template = re.sub(r"\A(\./)+", "", template)
        if fault := _fault_of_characters(template):
            raise _refusal(text, fault)
        for number in (1, count):  # the first makes a device of COM{n}, the last has the most digits
            if fault := _fault_of_parts(template.replace(NUMBER, str(number)).split("/")):
                raise _refusal(text, fault)
        ending = _ending(template.replace(NUMBER, "1"))
        if ending and ending.lower() not in _SUFFIXES:
            words = f"{quoted(ending)} is not a suffix that it can have: .png, .jpg (or .jpeg) and .webp, or none"
            raise _refusal(text, words)
        if count > 1 and NUMBER not in template:
            template = f"{template.removesuffix(ending)}-{NUMBER}{ending}"
        return cls(template, _SUFFIXES.get(ending.lower()))

    def path(self, number: int, own_suffix: str = "") -> PurePosixPath:
        """Return the relative path of a picture, numbered from 1.

        `own_suffix`, that of the picture's format, is appended to a name without a suffix.
        """
        text = self.template.replace(NUMBER, str(number))
        return PurePosixPath(text if self.suffix else text + own_suffix)

    def numbered(self, number: int) -> "SaveAs":
        """Return the name of one picture, numbered from 1."""
        return SaveAs(self.template.replace(NUMBER, str(number)), self.suffix)


def _ending(path: str) -> str:
    """Return what looks like a suffix, or an empty text; versions and sizes do not."""
    ending = _ENDING.search(path)
    return "" if ending is None or _VERSION.fullmatch(ending[0]) else ending[0]


def _fault_of_characters(template: str) -> str | None:
    if not template:
        return "it is empty"
    for character in template:
        if unicodedata.category(character) in _UNSAFE_CATEGORIES or character in _BLANK_LETTERS:
            return f"the invisible or unassigned character U+{ord(character):04X} is not allowed"
        is_slash_like = character in _SLASH_LIKE or re.search(r"[/\\]", unicodedata.normalize("NFKC", character))
        if is_slash_like and character != "/":
            return f"U+{ord(character):04X} only looks like a slash"
    numbered = template.replace(NUMBER, "1")
    return next((words for pattern, words in _FAULTS if pattern.search(numbered)), None)


def _fault_of_parts(parts: Sequence[str]) -> str | None:
    if len(parts) > _MAX_PARTS:
        return f"it has more than {_MAX_PARTS} parts"
    if len("/".join(parts).encode()) > _MAX_BYTES:
        return f"it is longer than {_MAX_BYTES} bytes"
    if not parts[-1]:
        return "it names a folder; add the name of a file"
    return next((fault for part in parts if (fault := _fault_of_part(part))), None)


def _fault_of_part(part: str) -> str | None:
    plain = unicodedata.normalize("NFKC", part)  # Windows takes COM¹ for a device as well
    faults = (
        (not plain.strip(". "), "empty parts, . and .. are not allowed"),
        (part.startswith("."), "hidden files and folders are not allowed; no part may begin with a dot"),
        (part.startswith("-"), "no part may begin with -, because commands take it for an option"),
        (part != part.strip() or part.endswith("."), "no part may begin or end with a space, or end with a dot"),
        (_DEVICE.fullmatch(plain.partition(".")[0]), f"{quoted(part)} is the name of a device on Windows"),
        (len(part.encode()) > _MAX_PART_BYTES, f"a part of it is longer than {_MAX_PART_BYTES} bytes"),
    )
    return next((words for is_faulty, words in faults if is_faulty), None)


def _refusal(text: str, fault: str) -> InvalidRequestError:
    return InvalidRequestError(f"save_as cannot be {quoted(text, 80)}: {fault}.", hint=_HINT)
