"""Which hosts a credential is sent to: those of safe URLs that the operator has named."""

import pytest
from tests.support.credentials import ACCOUNT, CONTRACT, PRIVATE_KEY, SOLANA

from blockrun_image import ConfigurationError
from blockrun_image_mcp.gateway.credentials import (
    address_of,
    endpoint_for,
)
from blockrun_image_mcp.settings import Settings

NO_HTTPS = "it does not begin with https://"
LAN = "it is plain http to another machine"
UNREADABLE = "it cannot be read as a URL"


@pytest.mark.parametrize(
    ("gateway", "rule"),
    [
        ("http://api.example/v1", LAN),
        ("http://10.0.0.1/v1", LAN),
        ("http://192.168.1.20:4000/v1", LAN),
        ("http://host.docker.internal:4000/v1", LAN),
        ("ftp://g.example", NO_HTTPS),
        ("wss://g.example/v1", NO_HTTPS),
        ("g.example/v1", NO_HTTPS),
        ("localhost:4000/v1", NO_HTTPS),
        ("127.0.0.1:4000", NO_HTTPS),
        ("//g.example/v1", NO_HTTPS),
        ("https://", "it names no host"),
        ("https://user:secret@g.example/v1", "it holds a user's name or password"),
        ("https://secret@g.example/v1", "it holds a user's name or password"),
        ("http://user:secret@127.0.0.1:4000/v1", "it holds a user's name or password"),
        ("https://g.example/v1?key=secret", "it holds a query"),
        ("https://g.example/v1?api-version=1&key=secret", "it holds a query"),
        ("https://g.example/v1?api-version=", "it holds a query"),
        ("https://g.example/v1?API_KEY=secret", "it holds a query"),
        ("https://g.example/v1#secret", "it holds a #"),
        ("https://g.example:99999/v1", "its port does not exist"),
        ("https://[::1/v1", UNREADABLE),
        ("https://\u2603/v1", UNREADABLE),
        ("https://[v1.a]/", UNREADABLE),
        ("https://g.example /v1", "it contains whitespace"),
        (PRIVATE_KEY, "it holds what looks like a private key"),
        (f"http://127.0.0.1:8/{PRIVATE_KEY}", "it holds what looks like a private key"),
    ],
)
def test_unsafe_base_url_gets_no_credential_and_names_the_broken_rule(gateway: str, rule: str) -> None:
    settings = Settings.read({"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_IMAGE_GATEWAY": gateway})
    with pytest.raises(ConfigurationError, match="BLOCKRUN_IMAGE_GATEWAY is not a base URL") as caught:
        endpoint_for(settings, CONTRACT)
    assert rule in caught.value.message
    assert caught.value.hint
    assert "secret" not in caught.value.to_text()
    assert PRIVATE_KEY not in caught.value.to_text()
    known = address_of(settings, CONTRACT)  # which a file is named by
    assert known is None or "secret" not in known.base_url


@pytest.mark.parametrize("variable", ["BLOCKRUN_API_URL", "BLOCKRUN_API_KEY_URL"])
@pytest.mark.parametrize(
    ("url", "rule"), [("http://10.0.0.1", LAN), ("w.example", NO_HTTPS), ("https://a:b@c", "user's")]
)
def test_error_names_the_url_setting_and_the_rule_it_breaks(variable: str, url: str, rule: str) -> None:
    credential = "brk_1" if variable == "BLOCKRUN_API_KEY_URL" else "token"
    with pytest.raises(ConfigurationError, match=rf"{variable} is not a base URL .*{rule}"):
        endpoint_for(Settings.read({"BLOCKRUN_API_KEY": credential, variable: url}), CONTRACT)


@pytest.mark.parametrize(
    "url",
    [
        "${GATEWAY}",
        "{{gateway}}",
        "<your-gateway>",
        "$GATEWAY",
        "%GATEWAY%",
        "${env:GATEWAY}",
        "{gateway}",
        "${user_config.gateway}",
        "https://${HOST}/v1",
        "https://<resource>.openai.azure.com/openai",
        "https://g.example/{region}/v1",
        "https://$HOST:4000/v1",
        "https://%HOST%/v1",
        "https://g.example/v1?api-version={version}",
        "https://${HOST/v1",
    ],
)
@pytest.mark.parametrize("variable", ["BLOCKRUN_IMAGE_GATEWAY", "BLOCKRUN_API_URL", "BLOCKRUN_API_KEY_URL"])
@pytest.mark.parametrize("credential", ["brk_1", "token", PRIVATE_KEY, ""])
def test_placeholder_in_a_url_prevents_sending_a_credential(url: str, variable: str, credential: str) -> None:
    settings = Settings.read({"BLOCKRUN_API_KEY": credential, variable: url})
    with pytest.raises(ConfigurationError, match=f"{variable} still holds a placeholder"):
        endpoint_for(settings, CONTRACT)
    assert address_of(settings, CONTRACT) is None
    Settings.read({"BLOCKRUN_API_KEY": credential, variable: url}).with_valid_values()


@pytest.mark.parametrize(
    ("environment", "unfilled"),
    [
        (
            {
                "BLOCKRUN_IMAGE_CREDENTIAL": "${X}",
                "BLOCKRUN_API_KEY": "brk_1",
                "BLOCKRUN_IMAGE_GATEWAY": "https://g.example",
            },
            "BLOCKRUN_IMAGE_CREDENTIAL",
        ),
        (
            {
                "BLOCKRUN_API_KEY_FILE": "<file>",
                "BLOCKRUN_WALLET_KEY": "token",
                "BLOCKRUN_API_URL": "https://w.example",
            },
            "BLOCKRUN_API_KEY_FILE",
        ),
        (
            {
                "BLOCKRUN_API_KEY": "{{X}}",
                "BLOCKRUN_WALLET_KEY": PRIVATE_KEY,
                "BLOCKRUN_IMAGE_GATEWAY": "https://g.example",
            },
            "BLOCKRUN_API_KEY",
        ),
        (
            {"BLOCKRUN_IMAGE_CREDENTIAL": "%X%", "BLOCKRUN_WALLET_KEY": "token", "BLOCKRUN_IMAGE_SPEC": "own.json"},
            "BLOCKRUN_IMAGE_CREDENTIAL",
        ),
    ],
)
def test_host_set_for_an_unfilled_credential_gets_no_other_credential(
    environment: dict[str, str], unfilled: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{unfilled} still holds a placeholder, and") as caught:
        endpoint_for(Settings.read(environment), CONTRACT)
    assert unfilled in caught.value.hint


@pytest.mark.parametrize(
    ("environment", "base_url"),
    [
        ({"BLOCKRUN_IMAGE_CREDENTIAL": "${X}", "BLOCKRUN_API_KEY": "brk_1"}, ACCOUNT),
        ({"BLOCKRUN_API_KEY": "<key>", "BLOCKRUN_WALLET_KEY": "token"}, CONTRACT),
        (
            {
                "BLOCKRUN_IMAGE_CREDENTIAL": "key",
                "BLOCKRUN_API_KEY": "{X}",
                "BLOCKRUN_IMAGE_GATEWAY": "https://g.example",
            },
            "https://g.example",
        ),
    ],
)
def test_unfilled_credential_counts_as_unset_if_no_host_depends_on_it(
    environment: dict[str, str], base_url: str
) -> None:
    assert endpoint_for(Settings.read(environment), CONTRACT).base_url == base_url


def test_placeholder_as_the_only_credential_is_named_in_the_error() -> None:
    with pytest.raises(ConfigurationError, match="BLOCKRUN_API_KEY still holds a placeholder, so no picture"):
        endpoint_for(Settings.read({"BLOCKRUN_API_KEY": "${user_config.api_key}"}), CONTRACT)


@pytest.mark.parametrize("environment", [{}, {"BLOCKRUN_IMAGE_CREDENTIAL": "${X}"}, {"BLOCKRUN_API_KEY": SOLANA}])
def test_configured_gateway_needs_its_own_credential(environment: dict[str, str]) -> None:
    named = {"BLOCKRUN_IMAGE_GATEWAY": "https://g.example/v1", **environment}
    with pytest.raises(ConfigurationError) as caught:
        endpoint_for(Settings.read(named), CONTRACT)
    assert caught.value.hint.startswith("Set BLOCKRUN_IMAGE_CREDENTIAL to the key of the gateway")
