import json

import pytest

from blockrun_image.text import choices, clean, clip, is_unicode, quoted, within


@pytest.mark.parametrize(
    "unsafe",
    ["\n", "\r\n", "\t", "\x00", "\x1b", "\x7f", "\u200b", "\u202e", "\u2066", "\ufeff", "\ue000", "\ud800", "\uffff"],
)
def test_control_format_and_surrogate_characters_become_one_space(unsafe: str) -> None:
    assert clean(f"a{unsafe}b", 80) == "a b"


def test_runs_of_spaces_collapse_and_the_ends_are_trimmed() -> None:
    assert clean("  a \n\n b\u2003c ", 80) == "a b c"


def test_letters_of_every_language_and_emoji_are_kept() -> None:
    assert clean("Straße 東京 naïve 🦊", 80) == "Straße 東京 naïve 🦊"


def test_value_that_is_not_text_is_shown_as_text() -> None:
    assert clean(["a", 3], 80) == "['a', 3]"


@pytest.mark.parametrize("length", [6, 7, 1_000_000])
def test_text_over_the_limit_ends_with_an_ellipsis_within_the_limit(length: int) -> None:
    assert clean("x" * length, 5) == "xxxx…"


def test_text_at_the_limit_is_not_truncated() -> None:
    assert clip("12345", 5) == "12345"


def test_no_space_precedes_the_ellipsis() -> None:
    assert clip("one two three", 5) == "one…"


def json_bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


@pytest.mark.parametrize("letter", ["x", "é", "犬", "🦊", '"', "\\", "\n", "\x01", "x\x01"])
@pytest.mark.parametrize("limit", [40, 400, 6_000])
def test_text_is_truncated_by_its_json_bytes_and_fills_the_limit(letter: str, limit: int) -> None:
    fits = limit // json_bytes(letter)
    assert within(letter * fits, limit) == letter * fits
    cut = within(letter * (fits + 1), limit)
    assert cut.endswith("…")
    assert (letter * (fits + 1)).startswith(cut[:-1])
    assert limit - 3 - 3 * 6 <= json_bytes(cut) <= limit


def test_quotation_is_short_and_on_one_line() -> None:
    assert quoted("a\nb") == "'a b'"
    assert len(quoted("x" * 1000)) == 42


def test_all_valid_values_that_fit_are_named() -> None:
    assert choices(["b", "a"], "c") == "b, a"


def test_closest_of_many_valid_values_are_named_and_all_are_counted() -> None:
    valid = [f"colour-{name}" for name in ("red", "green", "blue", "white", "black", "brown", "purple")]

    named = choices(valid, "COLOUR-BLAK", limit=60)

    assert named.startswith("colour-black, ")
    assert "colour-purple" not in named
    assert named.endswith("(the closest of 7)")


def test_first_values_are_named_if_none_is_close() -> None:
    valid = [f"model-{number}" for number in range(40)]
    assert choices(valid, "東京").startswith("model-0, model-1, model-2, model-3, model-4 ")


def test_long_valid_values_are_truncated_to_the_limit() -> None:
    named, _, counted = choices(["m" * 80] * 9, "m", limit=100).partition(" (")
    assert len(named) == 100
    assert named.endswith("…")
    assert counted == "the closest of 9)"


@pytest.mark.parametrize("text", ["", "plain", "\x7f", "東京", "🦊", "\ud7ff\ue000"])
def test_text_encodable_in_utf_8_is_unicode(text: str) -> None:
    assert is_unicode(text)


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\udc80東", "\ud83e\udd8a"])
def test_lone_surrogates_are_not_unicode(text: str) -> None:
    assert not is_unicode(text)


def test_number_with_too_many_digits_is_still_quoted() -> None:
    assert quoted(10**5_000) == "'a number with too many digits'"


def test_choices_without_a_request_say_how_many_more_there_are() -> None:
    assert choices([f"model-{number:03}" for number in range(200)]).endswith("model-004 and 195 more")
