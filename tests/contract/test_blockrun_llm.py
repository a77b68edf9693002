"""The unmodified SDK of BlockRun against the sandbox, which speaks the real protocol on both rails."""

import os
import re
import secrets
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from tests.support.edits import GPT_IMAGE, mask_of, picture, uri
from tests.support.live_lists import HOSTILE, MYSTERY, PREFIXED, WONDER
from tests.support.sandbox import Sandbox

from blockrun_image.listing import Listing, read_listing
from blockrun_image_mcp.gateway.client import HttpGateway
from blockrun_image_mcp.gateway.credentials import Endpoint

with warnings.catch_warnings(), pytest.MonkeyPatch.context() as importing:
    warnings.simplefilter("ignore")  # its models are written for pydantic 1
    importing.setenv("PYTHON_DOTENV_DISABLED", "1")  # it would read the .env of whoever runs this
    from blockrun_llm import ImageClient, cache, list_image_models  # pyright: ignore[reportMissingTypeStubs]
    from blockrun_llm.types import APIError, PaymentError  # pyright: ignore[reportMissingTypeStubs]

PRIVATE_KEY = f"0x{secrets.token_hex(32)}"
ACCOUNT_KEY = "brk_test_0123456789"

FOLDER = cache.COST_LOG_PATH.parent  # of whoever runs this: fixed when the SDK was imported


@pytest.fixture(autouse=True)
def a_home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give the SDK a home, a folder and an environment of its own, and see that it leaves nothing anywhere else."""
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
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


def test_wallet_pays_the_quoted_price_once_for_a_picture(wallet: Any, sandbox: Sandbox) -> None:
    (picture,) = wallet.generate("A fox", model="nano-banana").data
    assert sandbox.get(picture.url).content.startswith(b"\x89PNG")
    assert (sandbox.quotes, sandbox.paid_posts, sandbox.charges) == (1, 1, 1)
    (settlement,) = sandbox.settlements
    assert (settlement["rail"], settlement["micro_usd"]) == ("wallet", 53_000)
    assert settlement["payer"] == wallet.get_wallet_address().lower()


def test_wallet_pays_once_for_a_slow_picture_despite_polling(wallet: Any, sandbox: Sandbox) -> None:
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


def test_account_key_is_not_sent_to_a_foreign_poll_url(account: Any, sandbox: Sandbox) -> None:
    sandbox.script([{"slow": True, "poll_url": "https://elsewhere.example/v1/images/generations/{id}"}])
    with pytest.raises(APIError, match="is not on"):
        account.generate("A fox", model="nano-banana")
    assert sandbox.charges == 0


def test_account_without_credit_gets_a_payment_error(account: Any, sandbox: Sandbox) -> None:
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
def test_refused_payment_states_the_reason(wallet: Any, sandbox: Sandbox, code: str) -> None:
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
def test_quote_with_another_asset_network_or_scheme_is_not_signed(
    wallet: Any, sandbox: Sandbox, lie: dict[str, str]
) -> None:
    sandbox.script([{"challenge": {"accepts": [lie]}}])
    with pytest.raises(ValueError, match=r"x402|402"):
        wallet.generate("A fox", model="nano-banana")
    assert (sandbox.quotes, sandbox.paid_posts) == (1, 0)


def test_invalid_request_is_refused_before_it_is_quoted(wallet: Any, sandbox: Sandbox) -> None:
    with pytest.raises(APIError) as caught:
        wallet.generate("A fox", model="dall-e-9")
    assert caught.value.status_code == 400
    assert (sandbox.quotes, sandbox.paid_posts) == (1, 0)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("rail", ["wallet", "account"])
@pytest.mark.parametrize("model", ["nano-banana", "openai/gpt-image-2"])
def test_an_edit_is_paid_once_and_can_be_looked_at(
    request: pytest.FixtureRequest, sandbox: Sandbox, model: str, rail: str, slow: bool
) -> None:
    sandbox.change_models({"add": {**GPT_IMAGE, "id": "openai/gpt-image-2", "pricePerImage": 0.06}})
    client, faults = request.getfixturevalue(rail), [{"slow": True, "delay_seconds": 0.05}] if slow else []
    sandbox.script(faults * 2)
    several = [uri(picture("red")), uri(picture("blue"), "image/png")]
    mask = None if model == "nano-banana" else uri(mask_of((0, 0, 99, 99)))
    images = [
        *client.edit("Make it warm", several, model=model, n=2).data,
        *client.edit("Make it warm", several[0], model=model, mask=mask).data,
    ]
    assert [sandbox.get(image.url).content[:4] for image in images] == [b"\x89PNG"] * 3
    assert (sandbox.paid_posts, sandbox.charges) == (2, 2)
    assert [len(item["pictures"]) for item in sandbox.settlements] == [2, 1]
    assert [bool(item["mask"]) for item in sandbox.settlements] == [False, mask is not None]
    assert {item["rail"] for item in sandbox.settlements} == {rail}


@pytest.mark.parametrize("rail", ["wallet", "account"])
def test_edit_as_data_reaches_the_caller(request: pytest.FixtureRequest, sandbox: Sandbox, rail: str) -> None:
    sandbox.script([{"as": "data"}])
    (image,) = request.getfixturevalue(rail).edit("Make it warm", uri(picture()), model="nano-banana").data
    assert image.url.startswith("data:image/png;base64,")


@pytest.mark.parametrize("image", ["https://example.com/cat.png", [uri(picture())] * 4])
def test_edit_of_unusable_pictures_is_refused_before_it_is_quoted(wallet: Any, sandbox: Sandbox, image: Any) -> None:
    with pytest.raises(APIError) as caught:
        wallet.edit("Make it warm", image, model="nano-banana")
    assert (caught.value.status_code, sandbox.quotes, sandbox.paid_posts) == (400, 1, 0)


async def our_listing(base_url: str, headers: dict[str, str]) -> Listing | None:
    async with HttpGateway(Endpoint(base_url, headers, "sandbox")) as gateway:
        answer = await gateway.models()
    return read_listing(answer.body, answer.gateway, 0)


def can_be_asked_for(model: dict[str, Any]) -> bool:
    """Tell whether a model of the SDK's list is one: it hands on whatever an entry says."""
    id, price = model.get("id"), model.get("pricePerImage") or 0
    return isinstance(id, str) and id != "any" and bool(re.fullmatch(r"[A-Za-z0-9./-]{1,80}", id)) and price <= 1e6


CHANGES: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "others": [{"add": WONDER}, {"add": MYSTERY}, {"remove": "dall-e-2"}, PREFIXED],
    "retired": [{"of": "dall-e-3", "set": {"available": False}}],
    "talkers": [{"add": {"id": f"acme/{kind}", "categories": [kind]}} for kind in ("chat", "video", "embedding")],
    "both kinds": [{"add": {**WONDER, "categories": ["chat", "image"]}}, {"add": {**MYSTERY, "categories": []}}],
    "hostile": [{"add": entry} for entry in HOSTILE if isinstance(entry, dict)],  # the SDK cannot read any other
}


@pytest.mark.parametrize("rail", ["wallet", "account"])
@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_sdk_and_server_read_the_same_models_from_a_list(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, rail: str, changes: list[dict[str, Any]]
) -> None:
    sandbox.change_models(*changes)
    api_url, headers = sandbox.api_url, dict[str, str]()
    if rail == "account":
        monkeypatch.setenv("BLOCKRUN_API_KEY", ACCOUNT_KEY)
        api_url, headers = sandbox.origin, {"Authorization": f"Bearer {ACCOUNT_KEY}"}
    theirs = [model for model in list_image_models(api_url) if can_be_asked_for(model)]
    ours = anyio.run(our_listing, f"{api_url}/v1", headers)
    assert ours is not None
    told = [listed for listed in ours.models if listed.is_told_an_image]
    assert [listed.id for listed in told] == [model["id"] for model in theirs]
    assert [listed.is_available for listed in told] == [model.get("available", True) for model in theirs]
    prices = [max(Decimal(str(model.get("pricePerImage", -1))), Decimal(-1)) for model in theirs]
    assert [Decimal(-1) if listed.price_usd is None else listed.price_usd for listed in told] == prices
    assert sandbox.lists == 2
