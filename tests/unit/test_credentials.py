import pytest

from blockrun_image import ConfigurationError
from blockrun_image_mcp.gateway.credentials import Shape, endpoint_for, shape_of
from blockrun_image_mcp.settings import Settings

CONTRACT = "https://blockrun.ai/api/v1"
ACCOUNT = "https://api.blockrun.ai/v1"
PRIVATE_KEY = "0x" + "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
SOLANA = "zY9" * 29


@pytest.mark.parametrize(
    ("credential", "shape"),
    [
        ("brk_live_1", Shape.ACCOUNT_KEY),
        (PRIVATE_KEY, Shape.PRIVATE_KEY),
        (PRIVATE_KEY.upper(), Shape.PRIVATE_KEY),
        (PRIVATE_KEY[2:], Shape.PRIVATE_KEY),
        (f'"{PRIVATE_KEY}"', Shape.PRIVATE_KEY),
        (f"Bearer {PRIVATE_KEY}", Shape.PRIVATE_KEY),
        (f"key={PRIVATE_KEY};", Shape.PRIVATE_KEY),
        (f"brk_{PRIVATE_KEY}", Shape.PRIVATE_KEY),
        (f"{PRIVATE_KEY}0", Shape.PRIVATE_KEY),
        (f"'{SOLANA}'", Shape.SOLANA_SECRET),
        ('"[12, 34, 56]"', Shape.SOLANA_SECRET),
        (SOLANA, Shape.SOLANA_SECRET),
        ("[12, 34, 56]", Shape.SOLANA_SECRET),
        ("sk-abc", Shape.TOKEN),
        (PRIVATE_KEY[:-1], Shape.TOKEN),
    ],
)
def test_a_credential_is_told_by_its_shape(credential: str, shape: Shape) -> None:
    assert shape_of(credential) is shape


@pytest.mark.parametrize(
    ("settings", "base_url", "bearer"),
    [
        ({"BLOCKRUN_API_KEY": "brk_1"}, ACCOUNT, "brk_1"),
        ({"BLOCKRUN_WALLET_KEY": "brk_1"}, ACCOUNT, "brk_1"),
        ({"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_API_URL": "https://w.example"}, ACCOUNT, "brk_1"),
        ({"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_API_KEY_URL": "https://a.example"}, "https://a.example/v1", "brk_1"),
        (
            {"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_API_KEY_URL": "https://a.example/v1/"},
            "https://a.example/v1",
            "brk_1",
        ),
        (
            {"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_IMAGE_GATEWAY": "https://g.example/v2/"},
            "https://g.example/v2",
            "brk_1",
        ),
        ({"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_WALLET_KEY": PRIVATE_KEY}, ACCOUNT, "brk_1"),
        ({"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_IMAGE_CREDENTIAL": "brk_2"}, ACCOUNT, "brk_2"),
        ({"BLOCKRUN_WALLET_KEY": "token"}, CONTRACT, "token"),
        ({"BLOCKRUN_WALLET_KEY": "token", "BLOCKRUN_API_KEY_URL": "https://a.example"}, CONTRACT, "token"),
        (
            {"BLOCKRUN_WALLET_KEY": "token", "BLOCKRUN_API_URL": "https://w.example/api"},
            "https://w.example/api/v1",
            "token",
        ),
        ({"BLOCKRUN_WALLET_KEY": "token", "BLOCKRUN_IMAGE_GATEWAY": "http://[::1]:8/v1"}, "http://[::1]:8/v1", "token"),
        (
            {"BLOCKRUN_API_KEY": "token", "BLOCKRUN_IMAGE_GATEWAY": "http://localhost:8/v1"},
            "http://localhost:8/v1",
            "token",
        ),
    ],
)
def test_a_credential_goes_only_where_its_shape_or_the_operator_says(
    settings: dict[str, str], base_url: str, bearer: str
) -> None:
    endpoint = endpoint_for(Settings.read(settings), CONTRACT)
    assert endpoint.base_url == base_url
    assert endpoint.headers == {"Authorization": f"Bearer {bearer}"}


@pytest.mark.parametrize("variable", ["BLOCKRUN_WALLET_KEY", "BLOCKRUN_API_KEY", "BLOCKRUN_IMAGE_CREDENTIAL"])
@pytest.mark.parametrize("gateway", ["", "https://g.example/v1", "http://127.0.0.1:8/v1"])
@pytest.mark.parametrize("secret", [PRIVATE_KEY, PRIVATE_KEY[2:], SOLANA, "[1,2,3]"])
def test_a_private_key_is_never_put_into_a_header_for_any_host(variable: str, gateway: str, secret: str) -> None:
    settings = Settings.read({variable: secret, "BLOCKRUN_IMAGE_GATEWAY": gateway})
    with pytest.raises(ConfigurationError, match="not sent to anyone") as caught:
        endpoint_for(settings, CONTRACT)
    assert secret not in caught.value.to_text()
    assert variable in caught.value.to_text()


def test_a_private_key_beside_the_credential_stays_where_it_is() -> None:
    settings = Settings.read({"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_WALLET_KEY": PRIVATE_KEY})
    endpoint = endpoint_for(settings, CONTRACT)
    assert PRIVATE_KEY not in repr(endpoint) + str(endpoint.headers)
    assert "brk_1" not in repr(endpoint)


def test_without_a_credential_the_setting_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        endpoint_for(Settings(), CONTRACT)
    assert "BLOCKRUN_API_KEY" in caught.value.hint
    assert "sandbox" in caught.value.hint


@pytest.mark.parametrize(
    "gateway",
    [
        "http://api.example/v1",
        "http://10.0.0.1/v1",
        "ftp://g.example",
        "g.example/v1",
        "https://",
        "https://user:secret@g.example/v1",
        "https://g.example/v1?key=1",
        "https://g.example/v1#x",
        "https://g.example:99999/v1",
        "https://[::1/v1",
        "https://\u2603/v1",
        "https://[v1.a]/",
        PRIVATE_KEY,
        f"http://127.0.0.1:8/{PRIVATE_KEY}",
    ],
)
def test_a_credential_is_not_sent_to_what_is_no_safe_base_url(gateway: str) -> None:
    settings = Settings.read({"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_IMAGE_GATEWAY": gateway})
    with pytest.raises(ConfigurationError, match="BLOCKRUN_IMAGE_GATEWAY is not a base URL") as caught:
        endpoint_for(settings, CONTRACT)
    assert "secret" not in caught.value.to_text()
    assert PRIVATE_KEY not in caught.value.to_text()


@pytest.mark.parametrize("credential", ["brk_a b", "brk_a\nX-Evil: 1", "brk_é"])
def test_a_credential_that_would_break_out_of_its_header_is_refused(credential: str) -> None:
    with pytest.raises(ConfigurationError, match="characters that no credential has") as caught:
        endpoint_for(Settings.read({"BLOCKRUN_API_KEY": credential}), CONTRACT)
    assert credential not in caught.value.to_text()
