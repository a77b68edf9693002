import json
import re
from codecs import BOM_UTF16_BE
from pathlib import Path
from typing import Any

import pytest

from blockrun_image import ConfigurationError
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.placeholders import has_placeholder, is_placeholder
from blockrun_image_mcp.settings import VARIABLES, Settings

PLACEHOLDERS = [
    "${user_config.x}",
    " ${X} ",
    "{{ X }}",
    "<your value>",
    "$X",
    "%X%",
    "${env:X}",
    "{X}",
    "$(X)",
    "$env:X",
    "${X:-${Y}}",
    "${X}${Y}",
    "'${X}'",
]
HARMLESS = ("default_model", "enrich", "call_seconds", "catalog", "dir", "log_level", "wallet")


@pytest.mark.parametrize("blank", ["", " ", "''", '" "'])
def test_blank_value_counts_as_unset(blank: str) -> None:
    assert Settings.read(dict.fromkeys(VARIABLES.values(), blank)) == Settings()


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_placeholder_of_a_harmless_setting_counts_as_unset(placeholder: str) -> None:
    assert Settings.read({VARIABLES[field]: placeholder for field in HARMLESS}) == Settings()
    assert Settings.read({}, default_model=placeholder, dir=placeholder) == Settings()


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
@pytest.mark.parametrize("field", ["max_cost_usd", "daily_budget_usd", "confirm_above_usd"])
def test_placeholder_of_a_limit_blocks_paid_calls(field: str, placeholder: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{VARIABLES[field]} cannot be read. No picture is paid for"):
        Limits.of(Settings.read({VARIABLES[field]: placeholder}))


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_placeholder_of_a_credential_is_not_a_credential(placeholder: str, tmp_path: Path) -> None:
    for variable in CREDENTIALS:
        for name in (variable, f"{variable}_FILE"):
            settings = Settings.read({name: placeholder})
            assert (settings.sources, settings.credentials, settings.unfilled) == ([], {}, [name])
    (tmp_path / "key").write_text(placeholder)
    with pytest.raises(ConfigurationError, match="BLOCKRUN_API_KEY_FILE names a file that still holds a placeholder"):
        Settings.read({"BLOCKRUN_API_KEY_FILE": str(tmp_path / "key")}).sources[0].read()


@pytest.mark.parametrize(
    "value", ["brk_1", "sk-a<b", "$10", "100%", "a%b%c", "https://g.example/%E2%82%ACb%c3%A4c", "p{a}ss", "<", "{}x"]
)
def test_value_that_resembles_a_placeholder_is_not_one(value: str) -> None:
    assert not is_placeholder(value)


@pytest.mark.parametrize(
    "url", ["https://g.example/v1", "https://g.example/%E2%82%AC%C3%A4", "https://[::1]:8/v1?a=1%"]
)
def test_url_without_a_placeholder_has_none(url: str) -> None:
    assert not has_placeholder(url)


def test_every_variable_sets_the_field_of_its_name() -> None:
    choices = {"log_level": "error", "enrich": "Suggest"}
    values = {variable: choices.get(field, f"x-{field}") for field, variable in VARIABLES.items()}
    settings = Settings.read(values)
    for field in VARIABLES:
        assert getattr(settings, field) != getattr(Settings(), field)
    assert {*VARIABLES, "misspelt"} == set(Settings.model_fields)


ROOT = Path(__file__).parents[2]
MANIFEST = json.loads((ROOT / "manifest.json").read_text("utf-8"))["user_config"]
REGISTRY = json.loads((ROOT / "server.json").read_text("utf-8"))["packages"][0]["environmentVariables"]


def is_secret(field: str) -> bool:
    return "SecretStr" in str(Settings.model_fields[field].annotation)


@pytest.mark.parametrize("field", MANIFEST)
def test_bundle_asks_for_a_setting_as_it_is_declared(field: str) -> None:
    asked, default = MANIFEST[field], Settings.model_fields[field].default
    assert is_secret(field) == asked.get("sensitive", False)
    blank = re.search(r"Blank: (.*)\.$", asked["description"])
    assert default is None or (blank is not None and blank[1] == str(default))


@pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: entry["name"])
def test_registry_entry_lists_a_setting_as_it_is_declared(entry: dict[str, Any]) -> None:
    fields = {variable: field for field, variable in VARIABLES.items()}
    info = Settings.model_fields[fields[entry["name"]]]
    assert is_secret(fields[entry["name"]]) == entry.get("isSecret", False)
    assert entry.get("default") == (None if info.default is None else str(info.default))


def test_flag_overrides_its_variable_only_if_given() -> None:
    environment = {"BLOCKRUN_IMAGE_GATEWAY": "https://a.example/v1", "BLOCKRUN_IMAGE_DEFAULT_MODEL": "dall-e-2"}
    settings = Settings.read(environment, gateway="sandbox", default_model=None)
    assert (settings.gateway, settings.default_model) == ("sandbox", "dall-e-2")


def test_folder_may_start_at_home() -> None:
    assert Settings.read({"BLOCKRUN_IMAGE_DIR": "~/pictures"}).dir == Path.home() / "pictures"


def test_secrets_are_not_shown() -> None:
    settings = Settings.read({"BLOCKRUN_API_KEY": "brk_secret", "BLOCKRUN_WALLET_KEY": "0xabc"})
    assert "brk_secret" not in repr(settings) + str(settings.model_dump())
    assert list(settings.credentials) == ["BLOCKRUN_API_KEY", "BLOCKRUN_WALLET_KEY"]


@pytest.mark.parametrize(
    ("level", "meant"),
    [("warn", "WARNING"), ("Trace", "DEBUG"), ("VERBOSE", "DEBUG"), ("fatal", "CRITICAL"), ("info", "INFO")],
)
def test_log_level_may_be_named_as_in_other_programs(level: str, meant: str) -> None:
    settings = Settings.read({"BLOCKRUN_IMAGE_LOG_LEVEL": level})
    assert (settings.log_level, settings.mistakes) == (meant, {})


@pytest.mark.parametrize("level", ["loud", "11", "brk_0123456789", "\udcff"])
def test_invalid_value_is_replaced_with_a_warning_that_does_not_quote_it(
    level: str, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {VARIABLES[field]: level for field in ("log_level", "catalog", "enrich")}
    settings = Settings.read({**environment, "BLOCKRUN_IMAGE_CALL_SECONDS": f"{level}s"})
    assert settings.mistakes.keys() == {"log_level", "catalog", "enrich", "call_seconds"}
    valid = settings.with_valid_values()
    assert (valid.log_level, valid.catalog, valid.enrich, valid.call_seconds) == ("WARNING", "both", "off", 50)
    assert valid.mistakes == {}
    for field in settings.mistakes:
        assert VARIABLES[field] in caplog.text
    assert level not in caplog.text


@pytest.mark.parametrize("path", ["~no-such-user/x", "x\0y", "\udcff", "/none/such"])
def test_unusable_path_does_not_prevent_reading_the_settings(path: str) -> None:
    settings = Settings.read({"BLOCKRUN_IMAGE_DIR": path, "BLOCKRUN_IMAGE_SPEC": path})
    assert (settings.dir, settings.spec) == (Path(path), Path(path))


@pytest.mark.parametrize("gateway", ["sandbox", "Sandbox", " SANDBOX ", "'sandBox'"])
def test_sandbox_is_recognised_in_any_case(gateway: str) -> None:
    assert Settings.read({"BLOCKRUN_IMAGE_GATEWAY": gateway}).gateway == "sandbox"
    assert Settings.read({}, gateway=gateway).gateway == "sandbox"


CREDENTIALS = ["BLOCKRUN_IMAGE_CREDENTIAL", "BLOCKRUN_API_KEY", "BLOCKRUN_WALLET_KEY"]


@pytest.mark.parametrize("variable", CREDENTIALS)
def test_credential_may_be_in_a_file_and_a_direct_value_wins(variable: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-the-file\nmore\n")
    assert Settings.read({f"{variable}_FILE": str(file)}).credentials == {f"{variable}_FILE": "from-the-file"}
    both = Settings.read({variable: "direct", f"{variable}_FILE": str(file)})
    assert both.credentials == {variable: "direct"}


def test_earlier_credential_wins_wherever_it_is(tmp_path: Path) -> None:
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
def test_unreadable_key_file_does_not_prevent_starting(file: str) -> None:
    settings = Settings.read({"BLOCKRUN_API_KEY_FILE": file, "BLOCKRUN_WALLET_KEY": "opaque"})
    assert settings.credentials == {"BLOCKRUN_WALLET_KEY": "opaque"}
    with pytest.raises(ConfigurationError, match="BLOCKRUN_API_KEY_FILE names a file that cannot be read") as caught:
        settings.sources[0].read()
    assert file == "/" or file not in caught.value.to_text() + repr(settings)


def test_later_lines_of_a_key_file_may_be_in_any_encoding(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"brk_1234567890\r\nfor Ren\xe9")
    assert Settings.read({"BLOCKRUN_API_KEY_FILE": str(tmp_path / "key")}).sources[0].read() == "brk_1234567890"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_key_is_read_in_every_encoding_that_editors_write(encoding: str, end: str, tmp_path: Path) -> None:
    mark = BOM_UTF16_BE if encoding == "utf-16-be" else b""
    more = f"{end}{'kéy ' * 3_000}" if end else ""
    (tmp_path / "key").write_bytes(mark + f"brk_1234567890{more}".encode(encoding))
    assert Settings.read({"BLOCKRUN_API_KEY_FILE": str(tmp_path / "key")}).sources[0].read() == "brk_1234567890"


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"brk_\xe9t\xe9", "brk_1234567890".encode("utf-16-le"), "brk_1234567890".encode("utf-16-be")],
)
def test_key_file_that_is_not_text_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigurationError, match="names a file that is not text in UTF-8"):
        Settings.read({"BLOCKRUN_API_KEY_FILE": str(tmp_path / "key")}).sources[0].read()
