import base64
import json
import re
from functools import cache
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.support.credentials import ACCOUNT, CONTRACT, PRIVATE_KEY, SOLANA

from blockrun_image import ConfigurationError
from blockrun_image_mcp.gateway.credentials import (
    Shape,
    endpoint_for,
    is_never_sent,
    may_leave,
    shape_of,
)
from blockrun_image_mcp.payments.authorization import Authorization
from blockrun_image_mcp.payments.networks import NETWORKS
from blockrun_image_mcp.payments.wallet import Wallet
from blockrun_image_mcp.settings import Settings


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
        (PRIVATE_KEY[:-1], Shape.PRIVATE_KEY),
        (PRIVATE_KEY[2:-3], Shape.PRIVATE_KEY),
        ("0x" + "a1" * 20, Shape.TOKEN),
    ],
)
def test_credential_is_recognised_by_its_shape(credential: str, shape: Shape) -> None:
    assert shape_of(credential) is shape


@pytest.mark.parametrize(
    ("environment", "base_url", "bearer"),
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
def test_credential_is_sent_only_where_its_shape_or_the_operator_says(
    environment: dict[str, str], base_url: str, bearer: str
) -> None:
    endpoint = endpoint_for(Settings.read(environment), CONTRACT)
    assert endpoint.base_url == base_url
    assert endpoint.headers == {"Authorization": f"Bearer {bearer}"}


@pytest.mark.parametrize("variable", ["BLOCKRUN_WALLET_KEY", "BLOCKRUN_API_KEY", "BLOCKRUN_IMAGE_CREDENTIAL"])
@pytest.mark.parametrize("gateway", ["", "https://g.example/v1", "http://127.0.0.1:8/v1"])
@pytest.mark.parametrize(
    "secret", [f"brk_{PRIVATE_KEY}", f"{PRIVATE_KEY}0", f"key={PRIVATE_KEY[2:]}", SOLANA, "[1,2,3]"]
)
def test_private_key_inside_other_text_is_never_sent(variable: str, gateway: str, secret: str) -> None:
    settings = Settings.read({variable: secret, "BLOCKRUN_IMAGE_GATEWAY": gateway})
    with pytest.raises(ConfigurationError, match="not sent to anyone") as caught:
        endpoint_for(settings, CONTRACT)
    assert secret not in caught.value.to_text()
    assert variable in caught.value.to_text()


@pytest.mark.parametrize("variable", ["BLOCKRUN_WALLET_KEY", "BLOCKRUN_API_KEY", "BLOCKRUN_IMAGE_CREDENTIAL"])
@pytest.mark.parametrize("key", [PRIVATE_KEY, PRIVATE_KEY.upper(), PRIVATE_KEY[2:]])
@pytest.mark.parametrize(
    ("others", "base_url"),
    [
        ({}, CONTRACT),
        ({"BLOCKRUN_API_URL": "https://w.example/api"}, "https://w.example/api/v1"),
        ({"BLOCKRUN_API_KEY_URL": "https://a.example"}, CONTRACT),
        ({"BLOCKRUN_IMAGE_GATEWAY": "http://127.0.0.1:8/v1"}, "http://127.0.0.1:8/v1"),
    ],
)
def test_private_key_signs_and_appears_in_no_header(
    variable: str, key: str, others: dict[str, str], base_url: str
) -> None:
    endpoint = endpoint_for(Settings.read({variable: key, **others}), CONTRACT)
    assert (endpoint.base_url, endpoint.headers) == (base_url, {})
    assert endpoint.wallet_key is not None
    assert endpoint.wallet_key.get_secret_value() == PRIVATE_KEY[2:]
    assert PRIVATE_KEY[2:] not in repr(endpoint).lower() + str(endpoint).lower()


def test_principal_is_stable_for_a_credential_and_reveals_nothing() -> None:
    def principal(credential: str) -> str:
        return endpoint_for(Settings.read({"BLOCKRUN_IMAGE_CREDENTIAL": credential}), CONTRACT).principal

    same = {principal(key) for key in (PRIVATE_KEY, PRIVATE_KEY[2:], PRIVATE_KEY.upper())}
    assert len(same) == 1
    assert len(same | {principal("brk_1"), principal("brk_2"), principal("token")}) == 4
    assert principal("brk_1") == principal("brk_1")
    assert all(re.fullmatch("[0-9a-f]{16}", name) and name not in PRIVATE_KEY for name in same)


def test_unused_private_key_is_not_exposed() -> None:
    settings = Settings.read({"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_WALLET_KEY": PRIVATE_KEY})
    endpoint = endpoint_for(settings, CONTRACT)
    assert PRIVATE_KEY not in repr(endpoint) + str(endpoint.headers)
    assert "brk_1" not in repr(endpoint)


def test_missing_credential_error_names_the_setting() -> None:
    with pytest.raises(ConfigurationError) as caught:
        endpoint_for(Settings(), CONTRACT)
    assert "BLOCKRUN_API_KEY" in caught.value.hint
    assert "sandbox" in caught.value.hint


AZURE = "https://r.openai.azure.com/openai"


@pytest.mark.parametrize(
    ("gateway", "base_url", "query"),
    [
        (f"{AZURE}/deployments/d?api-version=2024-02-01", f"{AZURE}/deployments/d", {"api-version": "2024-02-01"}),
        (f"{AZURE}/deployments/d/images/generations?api-version=1", f"{AZURE}/deployments/d", {"api-version": "1"}),
        (f"{AZURE}/v1/", f"{AZURE}/v1", {}),
        ("https://R.CognitiveServices.Azure.com/openai/v1?", "https://R.CognitiveServices.Azure.com/openai/v1", {}),
        ("https://apim.example/openai/?api-version=preview", "https://apim.example/openai", {"api-version": "preview"}),
        ("http://127.0.0.1:8/v1?api-version=1", "http://127.0.0.1:8/v1", {"api-version": "1"}),
    ],
)
def test_azure_gets_its_version_as_query_and_its_key_as_api_key_header(
    gateway: str, base_url: str, query: dict[str, str]
) -> None:
    settings = Settings.read({"BLOCKRUN_IMAGE_CREDENTIAL": "0a1b2c", "BLOCKRUN_IMAGE_GATEWAY": gateway})
    endpoint = endpoint_for(settings, CONTRACT)
    assert (endpoint.base_url, endpoint.query, endpoint.headers) == (base_url, query, {"api-key": "0a1b2c"})
    assert "0a1b2c" not in repr(endpoint)


@pytest.mark.parametrize(
    "gateway",
    ["https://openai.azure.com.evil.example/v1", "https://r.azure.com/v1", "https://g.example/v1/images/generations/"],
)
def test_other_gateways_get_a_bearer_token(gateway: str) -> None:
    settings = Settings.read({"BLOCKRUN_IMAGE_CREDENTIAL": "0a1b2c", "BLOCKRUN_IMAGE_GATEWAY": gateway})
    assert endpoint_for(settings, CONTRACT).headers == {"Authorization": "Bearer 0a1b2c"}


@pytest.mark.parametrize(
    ("credential", "what"),
    [
        ("Bearer brk_1", "the word before it, such as Bearer"),
        ("bearer  sk-1", "the word before it, such as Bearer"),
        ("Bearer: sk-1", "the word before it, such as Bearer"),
        ("Token r8_1", "the word before it, such as Bearer"),
        ("\u201cbrk_1\u201d", "the quotation marks"),
        ("\u2018brk_1\u2019", "the quotation marks"),
        ("\u201ebrk_1", "the quotation marks"),
        ("brk_1\u2033\u201d", "the quotation marks"),
        ("`brk_1`", "the quotation marks"),
        ("\u00abbrk_1\u00bb", "the quotation marks"),
        ('"brk_1', "the quotation marks"),
        ("BLOCKRUN_API_KEY=brk_1", "the name before it"),
        ("export OPENAI_API_KEY=sk-1", "the name before it"),
        ("api-key: 0a1b", "the name before it"),
        ("Authorization: Bearer sk-1", "Authorization and the word after it"),
    ],
)
def test_text_copied_with_a_key_is_named_without_the_key(credential: str, what: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"BLOCKRUN_API_KEY holds more than the key: leave out {what}"
    ) as caught:
        endpoint_for(Settings.read({"BLOCKRUN_API_KEY": credential}), CONTRACT)
    for part in ("brk_1", "sk-1", "r8_1", "0a1b"):
        assert part not in caught.value.to_text()


@pytest.mark.parametrize("credential", ["token", "key", "a=", "monkey=", "id-1:secret", "bearerless", "tokens-1"])
def test_credential_that_resembles_copied_text_is_sent(credential: str) -> None:
    settings = Settings.read({"BLOCKRUN_API_KEY": credential, "BLOCKRUN_IMAGE_GATEWAY": "https://g.example"})
    assert endpoint_for(settings, CONTRACT).headers == {"Authorization": f"Bearer {credential}"}


@pytest.mark.parametrize("credential", ["brk_a b", "brk_a\nX-Evil: 1", "brk_é"])
def test_credential_with_invalid_header_characters_is_refused(credential: str) -> None:
    with pytest.raises(ConfigurationError, match="characters that credentials never have") as caught:
        endpoint_for(Settings.read({"BLOCKRUN_API_KEY": credential}), CONTRACT)
    assert credential not in caught.value.to_text()


NETWORK = NETWORKS["eip155:8453"]


@cache
def payer() -> str:
    """Return the address of the key, which takes as long to work out as a signature."""
    return anyio.run(Wallet(PRIVATE_KEY).address)


def payment(nonce: bytes, words: str) -> str:
    """Return a payment that was really signed, with words of the gateway's choice in it."""
    authorization = Authorization(payer(), "0x" + "ab" * 20, 53_000, 1, 2, nonce)
    signature = anyio.run(Wallet(PRIVATE_KEY).sign, NETWORK, authorization)
    payload = {"signature": signature, "authorization": authorization.to_dict()}
    body = {"resource": {"description": words}, "payload": payload}
    return base64.b64encode(json.dumps(body).encode()).decode()


@settings(max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.text(max_size=200))
def test_signed_payment_may_be_sent(nonce: bytes, words: str) -> None:
    assert may_leave("PAYMENT-SIGNATURE", payment(nonce, words), SecretStr(PRIVATE_KEY[2:]))


@pytest.mark.parametrize("words", ["hAA" * 17, "ff?" + "fff" * 21 + "ff?"])
def test_payment_with_text_that_resembles_a_secret_may_be_sent(words: str) -> None:
    payments = [payment(bytes(32), "." * shift + words) for shift in range(3)]
    assert any(map(is_never_sent, payments))
    assert all(may_leave("PAYMENT-SIGNATURE", each, SecretStr(PRIVATE_KEY[2:])) for each in payments)


@pytest.mark.parametrize("key", [PRIVATE_KEY, PRIVATE_KEY[2:], PRIVATE_KEY.upper()])
def test_wallets_own_key_is_not_sent_inside_a_payment(key: str) -> None:
    secret = SecretStr(PRIVATE_KEY[2:])
    assert not may_leave("PAYMENT-SIGNATURE", payment(bytes.fromhex(PRIVATE_KEY[2:]), ""), secret)
    assert not may_leave("PAYMENT-SIGNATURE", payment(bytes(32), f"words {key}"), secret)


@pytest.mark.parametrize("value", [PRIVATE_KEY, base64.b64encode(b"{}").decode() + PRIVATE_KEY, f"[{'1, ' * 63}2]"])
def test_payment_header_without_a_payment_is_checked_for_secrets(value: str) -> None:
    assert not may_leave("PAYMENT-SIGNATURE", value)
    assert not may_leave("Authorization", f"Bearer {value}")


def test_payment_in_another_header_is_checked_for_secrets() -> None:
    payments = [payment(bytes(32), "." * shift + "hAA" * 17) for shift in range(3)]
    assert not all(may_leave("X-Other", each) for each in payments)


def test_key_is_read_on_demand_from_the_first_line_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    read = Settings.read({"BLOCKRUN_WALLET_KEY_FILE": str(file)})
    with pytest.raises(ConfigurationError, match="BLOCKRUN_WALLET_KEY_FILE names a file that cannot be read") as caught:
        endpoint_for(read, CONTRACT)
    assert str(file) not in caught.value.to_text()
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="first line is empty"):
        endpoint_for(read, CONTRACT)
    file.write_text(f' "{PRIVATE_KEY}"\r\nanother line\n')
    key = endpoint_for(read, CONTRACT).wallet_key
    assert key is not None
    assert key.get_secret_value() == PRIVATE_KEY[2:]


def test_unreadable_key_file_is_ignored_if_another_credential_wins() -> None:
    read = Settings.read(
        {"BLOCKRUN_API_KEY": "brk_1", "BLOCKRUN_WALLET_KEY_FILE": "/none", "BLOCKRUN_IMAGE_WALLET": "x"}
    )
    assert endpoint_for(read, CONTRACT).headers == {"Authorization": "Bearer brk_1"}


def test_session_key_pays_only_if_the_setting_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    (tmp_path / ".blockrun").mkdir()
    (tmp_path / ".blockrun/.session").write_text(PRIVATE_KEY)
    with pytest.raises(ConfigurationError, match="No credential is set"):
        endpoint_for(Settings.read({}), CONTRACT)
    with pytest.raises(ConfigurationError, match="BLOCKRUN_IMAGE_WALLET can only be session"):
        endpoint_for(Settings.read({"BLOCKRUN_IMAGE_WALLET": "yes"}), CONTRACT)
    session = Settings.read({"BLOCKRUN_IMAGE_WALLET": "Session"})
    assert endpoint_for(session, CONTRACT).wallet_key == SecretStr(PRIVATE_KEY[2:])
    first = session.model_copy(update={"wallet_key": SecretStr("brk_1")})
    assert endpoint_for(first, CONTRACT).headers == {"Authorization": "Bearer brk_1"}
