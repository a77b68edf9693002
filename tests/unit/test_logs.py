import logging

import pytest

from blockrun_image_mcp.logs import Redactor, configure_logging


@pytest.mark.parametrize(
    "secret",
    [
        "brk_live_0123456789",
        "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
        "4C0883A69102937D6231471B5DBB6204FE5129617082792AE468D01A3F362318",
        "zY9" * 29,
        f"[{'7,' * 63}7]",
        f"[{'12, ' * 50}",
    ],
)
def test_text_shaped_like_a_credential_is_redacted(secret: str) -> None:
    assert Redactor()(f"key {secret}, and 0x12") == "key [redacted], and 0x12"


@pytest.mark.parametrize("around", ["k_{}", "x{}", "{}_", "/tmp/{}/x"])
def test_private_key_is_redacted_inside_other_text(around: str) -> None:
    assert "ab12" not in Redactor()(around.format("ab12" * 16))


@pytest.mark.parametrize(
    "url",
    [
        f"https://pictures.example/1.png?X-Amz-Date=20261124T120000Z&X-Amz-Signature={'ab12' * 16}",
        f"https://pictures.example/1.png?X-Goog-Signature={'ab12' * 128}",
        "https://pictures.example/[1, 2, 3].png",
    ],
)
def test_picture_url_is_not_redacted(url: str) -> None:
    assert Redactor()(url) == url


def test_bearer_token_of_any_shape_is_redacted() -> None:
    assert Redactor()("Authorization: Bearer abc.def'") == "Authorization: Bearer [redacted]'"


def test_given_secrets_are_redacted_and_nothing_else() -> None:
    redact = Redactor(["open sesame", "", "open sesame seed"])
    assert redact("say open sesame seed or open sesame") == "say [redacted] or [redacted]"
    assert redact("nothing secret here") == "nothing secret here"


def test_a_logged_secret_does_not_reach_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logging("INFO", Redactor(["open sesame"]))
        logging.getLogger("test").info("say %s and %s", "open sesame", "brk_live_0123456789")
        logging.getLogger("test").debug("not this")
    finally:
        root.handlers[:], root.level = before
    said = capsys.readouterr().err
    assert "say [redacted] and [redacted]" in said
    assert "not this" not in said


@pytest.mark.parametrize(
    ("secret", "is_kept"), [("any", True), ("unused", True), ("1234567", True), ("12345678", False)]
)
def test_short_secret_is_not_redacted_from_sentences(secret: str, is_kept: bool) -> None:
    assert (Redactor([secret])(f"It takes {secret} more.") == f"It takes {secret} more.") == is_kept
