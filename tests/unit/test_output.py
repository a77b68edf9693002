"""How text stands on a terminal, whatever is in it and however narrow that is."""

import errno
import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockrun_image_mcp.cli import output
from blockrun_image_mcp.cli.output import columns_of, row, shown, wrapped

letters = st.text(st.sampled_from("ab .,\t 犬🦊é\u0301\u200d\x1b\u202e\ud800"), max_size=60)


@given(letters, st.integers(2, 30))
def test_wrapped_lines_fit_the_terminal_and_lose_only_spaces(text: str, columns: int) -> None:
    lines = wrapped(shown(text), columns)
    assert all(columns_of(line) <= columns or not line.strip() for line in lines)
    assert "".join("".join(lines).split()) == "".join(shown(text).split())


def test_lines_break_at_spaces_and_keep_their_indent() -> None:
    assert wrapped("a red fox in the snow", 9) == ["a red fox", "in the", "snow"]
    assert wrapped("  a red fox", 7) == ["  a red", "fox"]
    assert wrapped("photographically", 7) == ["photogr", "aphical", "ly"]
    assert wrapped("", 7) == [""]


def test_wide_letters_take_two_columns_and_combining_marks_none() -> None:
    assert (columns_of("犬"), columns_of("🦊"), columns_of("e\u0301"), columns_of("é")) == (2, 2, 1, 1)
    assert wrapped("犬犬犬", 4) == ["犬犬", "犬"]


def test_terminal_control_characters_are_replaced() -> None:
    assert shown("a\x1b[31m\u202edog\ud800\r\n\tin 👩\u200d👧") == "a\ufffd[31m\ufffddog\ufffd\n    in 👩\u200d👧"


def test_row_shows_its_head_once_and_is_truncated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert row("Yours", "a fox that runs\nand runs") == (
        "Yours               a fox that runs\n                    and runs"
    )
    assert row("Yours", "a fox that runs " * 9, 2) == (
        "Yours               a fox that runs a\n                    fox that runs a fo…"
    )


def test_a_narrow_terminal_still_gets_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    assert row("Yours", "a fox that runs and runs") == (
        "Yours               a fox that runs and\n                    runs"
    )


class FullDisk(io.StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class GoneReader(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize(("stdout", "words"), [(FullDisk(), os.strerror(errno.ENOSPC)), (GoneReader(), "")])
def test_output_that_cannot_be_written_ends_with_status_1(
    stdout: io.StringIO, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", stdout)
    with pytest.raises(SystemExit) as ended, output.failures_explained():
        sys.exit(0)
    sys.stdout.close()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert words in said
    assert bool(words) == ("blockrun-image-mcp images" in said)
