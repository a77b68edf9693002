"""Fits text to the columns and the encoding of a terminal or a pipe.

Characters with power over a terminal are replaced.
"""

import codecs
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

import click

_HEAD_COLUMNS = 20
_MIN_COLUMNS = 20
_CUT = "…"
_STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def prepare() -> None:
    """Print characters outside the output's encoding as escapes instead of failing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # under pythonw or a service
            setattr(sys, name, _nowhere())
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # such as an emoji in a pipe on Windows


@contextmanager
def failures_explained() -> Generator[None]:
    """In the block, end with an error and status 1 if the output cannot be written, as on a full disk."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # where a full disk may be noticed first
    except OSError as error:
        sys.stdout = _nowhere()  # Python flushes it once more at exit
        if not isinstance(error, BrokenPipeError):  # which is no fault: the reader has seen enough
            words = f"The output cannot be written ({error.strerror}). `blockrun-image-mcp images` shows what was made."
            click.echo(f"Error: {words}", err=True)
        sys.exit(1)


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def print_json(document: object) -> None:
    """Print JSON in UTF-8, whatever the output's encoding; if that is another one, in ASCII alone."""
    is_utf_8 = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    text = json.dumps(document, ensure_ascii=not is_utf_8, indent=2)
    click.echo(text.encode("utf-8", "backslashreplace"))  # half a surrogate pair then is an escape of JSON


def row(head: str, words: str, max_lines: int | None = None) -> str:
    """Return words beside their head, wrapped to the terminal's width.

    They are cut after `max_lines`, if that is given.
    """
    columns = shutil.get_terminal_size().columns - _HEAD_COLUMNS
    lines = [line for each in shown(words).split("\n") for line in wrapped(each, max(columns, _MIN_COLUMNS))]
    if max_lines and len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], f"{lines[max_lines - 1].rstrip()[:-1].rstrip()}{_CUT}"]
    return f"{head:{_HEAD_COLUMNS - 1}} " + ("\n" + " " * _HEAD_COLUMNS).join(lines)


def wrapped(line: str, columns: int) -> Sequence[str]:
    """Wrap a line to at most `columns`, at spaces if possible."""
    lines: list[str] = []
    current = ""
    for part in re.findall(r"\s*\S+|\s+\Z", line):
        rest: str = part
        if current and columns_of(current + rest) > columns:
            lines.append(current)
            current, rest = "", rest.lstrip()
        while columns_of(current + rest) > columns:
            # at least one character, because a wide one may exceed a single column
            fits = next(end for end in range(len(rest), 0, -1) if end == 1 or columns_of(rest[:end]) <= columns)
            lines.append(rest[:fits])
            rest = rest[fits:]
        current += rest
    return [*lines, current]


def columns_of(text: str) -> int:
    """Return the number of columns of a text.

    East Asian letters and emoji take two columns, combining characters none.
    """
    return sum(_columns(character) for character in text)


def shown(text: str) -> str:
    """Replace the characters for controlling a terminal or reordering text by a mark.

    Tabs become four spaces.
    """
    # a prompt or a gateway could otherwise fake the output, or send commands to the terminal
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\t", "    "))


def _columns(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
