"""The unmodified SDK of BlockRun against the sandbox, which speaks the real protocol on both rails."""

import os
import secrets
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.conftest import Sandbox

with warnings.catch_warnings(), pytest.MonkeyPatch.context() as importing:
    warnings.simplefilter("ignore")  # its models are written for pydantic 1
    importing.setenv("PYTHON_DOTENV_DISABLED", "1")  # it would read the .env of whoever runs this
    from blockrun_llm import ImageClient, cache  # pyright: ignore[reportMissingTypeStubs]
    from blockrun_llm.types import APIError, PaymentError  # pyright: ignore[reportMissingTypeStubs]

PRIVATE_KEY = f"0x{secrets.token_hex(32)}"
ACCOUNT_KEY = "brk_test_0123456789"

FOLDER = cache.COST_LOG_PATH.parent  # of whoever runs this: fixed when the SDK was imported


@pytest.fixture(autouse=True)
def a_home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give the SDK a home, a folder and an environment of its own, and see that it leaves nothing anywhere else."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("BLOCKRUN_", "BASE_CHAIN_", "SOLANA_"))]:
        monkeypatch.delenv(name)
    for constant in ("CACHE_DIR", "DATA_DIR", "COST_LOG_PATH"):
        monkeypatch.setattr(cache, constant, tmp_path / ".blockrun" / Path(getattr(cache, constant)).name)
    monkeypatch.setattr(ImageClient, "IMAGE_POLL_INTERVAL_SECONDS", 0.01)
    before = files_of(FOLDER)
    yield
    assert files_of(FOLDER) == before


def files_of(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture
def wallet(sandbox: Sandbox) -> Iterator[Any]:
    with ImageClient(private_key=PRIVATE_KEY, api_url=sandbox.api_url, timeout=10) as client:
        yield client


@pytest.fixture
def account(sandbox: Sandbox) -> Iterator[Any]:
    with ImageClient(private_key=ACCOUNT_KEY, api_url=sandbox.origin, timeout=10) as client:
        yield client


def test_a_wallet_pays_once_for_a_picture_what_it_was_quoted(wallet: Any, sandbox: Sandbox) -> None:
    (picture,) = wallet.generate("A fox", model="nano-banana").data
    assert sandbox.get(picture.url).content.startswith(b"\x89PNG")
    assert (sandbox.quotes, sandbox.paid_posts, sandbox.charges) == (1, 1, 1)
    (settlement,) = sandbox.settlements
    assert (settlement["rail"], settlement["micro_usd"]) == ("wallet", 53_000)
    assert settlement["payer"] == wallet.get_wallet_address().lower()


def test_a_wallet_pays_once_for_a_slow_picture_however_often_it_asks(wallet: Any, sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 0.05, "polls": [{"status": 504}]}])
    assert len(wallet.generate("A fox", model="dall-e-3", n=2).data) == 2
    assert (sandbox.quotes, sandbox.paid_posts, sandbox.charges) == (1, 1, 1)
    assert sandbox.charged_micro_usd == 2 * 42_000


def test_an_account_is_charged_once_for_a_picture(account: Any, sandbox: Sandbox) -> None:
    assert len(account.generate("A fox", model="nano-banana").data) == 1
    assert (sandbox.quotes, sandbox.paid_posts, sandbox.charges) == (0, 1, 1)
    assert sandbox.last_settlement["rail"] == "account"


@pytest.mark.parametrize("poll_url", [None, "/api/v1/images/generations/{id}"])
def test_an_account_is_charged_once_for_a_slow_picture(account: Any, sandbox: Sandbox, poll_url: str | None) -> None:
    sandbox.script([{"slow": True, "delay_seconds": 0.05, "poll_url": poll_url}])
    assert len(account.generate("A fox", model="nano-banana").data) == 1
    assert (sandbox.quotes, sandbox.paid_posts, sandbox.charges) == (0, 1, 1)


def test_an_account_key_is_not_sent_where_a_foreign_poll_url_points(account: Any, sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True, "poll_url": "https://elsewhere.example/v1/images/generations/{id}"}])
    with pytest.raises(APIError, match="is not on"):
        account.generate("A fox", model="nano-banana")
    assert sandbox.charges == 0


def test_an_account_without_credit_is_told_so(account: Any, sandbox: Sandbox) -> None:
    sandbox.script([{"status": 402}])
    with pytest.raises(PaymentError, match="no credit"):
        account.generate("A fox", model="nano-banana")
    assert (sandbox.paid_posts, sandbox.charges) == (1, 0)


@pytest.mark.parametrize("rail", ["wallet", "account"])
@pytest.mark.parametrize(("status", "retry_after"), [(429, "7"), (503, None)])
def test_a_busy_gateway_is_an_error_and_costs_nothing(
    request: pytest.FixtureRequest, sandbox: Sandbox, rail: str, status: int, retry_after: str | None
) -> None:
    sandbox.script([{"on": "paid", "status": status, "headers": {"Retry-After": retry_after}}])
    with pytest.raises(APIError) as caught:
        request.getfixturevalue(rail).generate("A fox", model="nano-banana")
    assert (caught.value.status_code, caught.value.retry_after) == (status, retry_after)
    assert (sandbox.paid_posts, sandbox.charges) == (1, 0)


@pytest.mark.parametrize("code", ["PAYMENT_UNDERPAID", "PAYMENT_REPLAY", "PAYMENT_INVALID", "SETTLEMENT_FAILED"])
def test_a_payment_that_is_refused_says_why(wallet: Any, sandbox: Sandbox, code: str) -> None:
    sandbox.script([{"payment_code": code}])
    with pytest.raises(PaymentError) as caught:
        wallet.generate("A fox", model="nano-banana")
    assert cast("Any", caught.value).response["code"] == code
    assert (sandbox.paid_posts, sandbox.charges) == (1, 0)


@pytest.mark.parametrize(
    "lie",
    [
        {"network": "eip155:1"},
        {"asset": "0x0000000000000000000000000000000000000001"},
        {"scheme": "upto"},
    ],
)
def test_a_quote_for_something_else_than_usdc_on_its_chain_is_not_signed(
    wallet: Any, sandbox: Sandbox, lie: dict[str, str]
) -> None:
    sandbox.script([{"challenge": {"accepts": [lie]}}])
    with pytest.raises(ValueError, match=r"x402|402"):
        wallet.generate("A fox", model="nano-banana")
    assert (sandbox.quotes, sandbox.paid_posts) == (1, 0)


def test_what_the_api_does_not_take_is_refused_before_it_is_quoted(wallet: Any, sandbox: Sandbox) -> None:
    with pytest.raises(APIError) as caught:
        wallet.generate("A fox", model="dall-e-9")
    assert caught.value.status_code == 400
    assert (sandbox.quotes, sandbox.paid_posts) == (1, 0)
