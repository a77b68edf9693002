from pathlib import Path

import pytest

from blockrun_image import ConfigurationError
from blockrun_image_mcp.settings import VARIABLES, Settings


@pytest.mark.parametrize("blank", ["", " ", "${user_config.key}", " ${X} "])
def test_a_blank_or_unsubstituted_value_is_not_set(blank: str) -> None:
    assert Settings.read(dict.fromkeys(VARIABLES.values(), blank)) == Settings()


def test_every_variable_sets_the_field_of_its_name() -> None:
    choices = {"log_level": "error", "enrich": "Suggest"}
    values = {variable: choices.get(field, f"x-{field}") for field, variable in VARIABLES.items()}
    settings = Settings.read(values)
    for field in VARIABLES:
        assert getattr(settings, field) != getattr(Settings(), field)
    assert set(VARIABLES) == set(Settings.model_fields)


def test_a_flag_beats_its_variable_and_a_flag_that_is_not_given_does_not() -> None:
    environment = {"BLOCKRUN_IMAGE_GATEWAY": "https://a.example/v1", "BLOCKRUN_IMAGE_DEFAULT_MODEL": "dall-e-2"}
    settings = Settings.read(environment, gateway="sandbox", default_model=None)
    assert (settings.gateway, settings.default_model) == ("sandbox", "dall-e-2")


def test_a_folder_may_start_at_home() -> None:
    assert Settings.read({"BLOCKRUN_IMAGE_DIR": "~/pictures"}).dir == Path.home() / "pictures"


def test_secrets_do_not_show() -> None:
    settings = Settings.read({"BLOCKRUN_API_KEY": "brk_secret", "BLOCKRUN_WALLET_KEY": "0xabc"})
    assert "brk_secret" not in repr(settings) + str(settings.model_dump())
    assert list(settings.credentials) == ["BLOCKRUN_API_KEY", "BLOCKRUN_WALLET_KEY"]


def test_what_cannot_be_used_is_named() -> None:
    with pytest.raises(ConfigurationError, match="BLOCKRUN_IMAGE_LOG_LEVEL cannot be used: Input should be 'DEBUG'"):
        Settings.read({"BLOCKRUN_IMAGE_LOG_LEVEL": "loud"})


@pytest.mark.parametrize("variable", ["BLOCKRUN_IMAGE_LOG_LEVEL", "BLOCKRUN_IMAGE_DIR"])
def test_a_key_in_the_wrong_variable_is_not_quoted(variable: str) -> None:
    with pytest.raises(ConfigurationError, match=variable) as caught:
        Settings.read({variable: "~secret"})
    assert "secret" not in caught.value.to_text().lower()


CREDENTIALS = ["BLOCKRUN_IMAGE_CREDENTIAL", "BLOCKRUN_API_KEY", "BLOCKRUN_WALLET_KEY"]


@pytest.mark.parametrize("variable", CREDENTIALS)
def test_a_credential_can_be_in_a_file_and_a_value_beats_its_file(variable: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-the-file\nmore\n")
    assert Settings.read({f"{variable}_FILE": str(file)}).credentials == {f"{variable}_FILE": "from-the-file"}
    both = Settings.read({variable: "direct", f"{variable}_FILE": str(file)})
    assert both.credentials == {variable: "direct"}


def test_an_earlier_credential_beats_a_later_one_wherever_they_are(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    environment = {f"{variable}_FILE": str(tmp_path / "key") for variable in reversed(CREDENTIALS)}
    environment |= {"BLOCKRUN_IMAGE_WALLET": "session", "BLOCKRUN_API_KEY": "y"}
    assert [source.variable for source in Settings.read(environment).sources] == [
        "BLOCKRUN_IMAGE_CREDENTIAL_FILE",
        "BLOCKRUN_API_KEY",
        "BLOCKRUN_WALLET_KEY_FILE",
        "BLOCKRUN_IMAGE_WALLET",
    ]


@pytest.mark.parametrize("file", ["/none/such", "/", "~no-such-user/key", "/dev/stdin", "x\0y", "0x" + "ab" * 3_000])
def test_a_file_that_cannot_be_read_keeps_no_server_from_starting(file: str) -> None:
    settings = Settings.read({"BLOCKRUN_API_KEY_FILE": file, "BLOCKRUN_WALLET_KEY": "opaque"})
    assert settings.credentials == {"BLOCKRUN_WALLET_KEY": "opaque"}
    with pytest.raises(ConfigurationError, match="BLOCKRUN_API_KEY_FILE names no file that can be read") as caught:
        settings.sources[0].read()
    assert file == "/" or file not in caught.value.to_text() + repr(settings)


def test_a_file_that_is_no_text_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="names no file that can be read"):
        Settings.read({"BLOCKRUN_API_KEY_FILE": str(tmp_path / "key")}).sources[0].read()
