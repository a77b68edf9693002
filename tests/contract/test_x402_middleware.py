"""Our payments before the official server middleware of x402, which settles them on a small chain of its own."""

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, cast

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.base import RequestResponseEndpoint
from tests.support.payments import ADDRESS, PAYEE, CountingWallet, KeptAttempt
from x402 import x402Facilitator, x402ResourceServer
from x402.http import PaymentOption, RouteConfig
from x402.http.middleware.fastapi import payment_middleware
from x402.mechanisms.evm.exact import (  # pyright: ignore[reportMissingTypeStubs]
    ExactEvmFacilitatorScheme,
    ExactEvmServerScheme,
)
from x402.mechanisms.evm.types import TransactionReceipt  # pyright: ignore[reportMissingTypeStubs]

from blockrun_image import PaymentRequiredError
from blockrun_image.images import ImageRequest, InputPicture
from blockrun_image.spec import EditOperation
from blockrun_image_mcp.gateway.client import HttpGateway
from blockrun_image_mcp.gateway.credentials import Endpoint
from blockrun_image_mcp.gateway.evidence import evidence_of
from blockrun_image_mcp.gateway.transport import open_transport
from blockrun_image_mcp.payments.auth import WalletPayer
from blockrun_image_mcp.payments.rules import exact_price
from blockrun_image_mcp.timings import DEFAULT, Timings

pytestmark = pytest.mark.anyio

NETWORK = "eip155:8453"
PATH = "/v1/images/generations"
EDIT_PATHS = ("/images/image2image", "/images/edits")
URL = "https://pictures.example/1.png"
PICTURE = {"created": 1, "data": [{"url": URL}]}
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


class Chain:
    """A token contract in memory: balances, and which nonces are used, as the facilitator asks after them."""

    def __init__(self) -> None:
        self.balances = {ADDRESS.lower(): 1_000_000}
        self.used: set[tuple[str, bytes]] = set()
        self.receipts: dict[str, TransactionReceipt] = {}

    def get_addresses(self) -> list[str]:
        return [PAYEE]

    def get_chain_id(self) -> int:
        return 8453

    def get_code(self, address: str) -> bytes:
        return b"" if address.lower() == ADDRESS.lower() else b"\x60"

    def get_balance(self, address: str, token_address: str) -> int:
        return self.balances.get(address.lower(), 0)

    def read_contract(self, address: str, abi: list[dict[str, Any]], function_name: str, *args: Any) -> Any:
        assert function_name == "transferWithAuthorization"
        self._check(*args)

    def write_contract(
        self, address: str, abi: list[dict[str, Any]], function_name: str, *args: Any, data_suffix: str | None = None
    ) -> str:
        self._check(*args)
        payer, payee, value, _, _, nonce = args[:6]
        self.used.add((payer.lower(), nonce))
        self.balances[payer.lower()] -= value
        self.balances[payee.lower()] = self.balances.get(payee.lower(), 0) + value
        transaction = f"0x{len(self.receipts) + 1:064x}"
        topics = [TRANSFER, *(f"0x{party[2:].lower():0>64}" for party in (payer, payee))]
        log = {"address": address, "topics": topics, "data": f"0x{value:064x}"}
        self.receipts[transaction] = TransactionReceipt(1, 1, transaction, [log])
        return transaction

    def send_transaction(self, to: str, data: bytes) -> str:
        raise NotImplementedError

    def wait_for_transaction_receipt(self, tx_hash: str) -> TransactionReceipt:
        return self.receipts[tx_hash]

    def _check(self, *args: Any) -> None:
        payer, _, value, valid_after, valid_before, nonce = args[:6]
        if not valid_after < time.time() < valid_before:
            raise RuntimeError("execution reverted: FiatTokenV2: authorization is expired")
        if (payer.lower(), nonce) in self.used:
            raise RuntimeError("execution reverted: FiatTokenV2: authorization is used or canceled")
        if self.balances.get(payer.lower(), 0) < value:
            raise RuntimeError("execution reverted: ERC20: transfer amount exceeds balance")


class Shop:
    """The middleware on a real socket, before a handler that answers with the statuses it is given, then with 200."""

    url = ""

    def __init__(self) -> None:
        self.chain = Chain()
        self.statuses: list[int] = []
        self.bodies: list[tuple[bytes, bytes]] = []
        facilitator = x402Facilitator()
        facilitator.register([NETWORK], ExactEvmFacilitatorScheme(cast("Any", self.chain)))
        server = x402ResourceServer(facilitator)
        server.register(NETWORK, cast("Any", ExactEvmServerScheme()))
        option = PaymentOption(scheme="exact", pay_to=PAYEE, price="$0.053", network=NETWORK)
        paths = (PATH, *(f"/v1{each}" for each in EDIT_PATHS))
        middleware = payment_middleware({f"POST {path}": RouteConfig(accepts=option) for path in paths}, server)
        self.app = FastAPI()

        @self.app.middleware("http")
        async def pay(request: Request, call_next: RequestResponseEndpoint) -> Response:  # pyright: ignore[reportUnusedFunction]
            signature = request.headers.get("payment-signature", "").encode()
            self.bodies.append((await request.body(), signature))
            return await middleware(request, call_next)

        @self.app.post("/v1/images/{operation}")
        async def generate() -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
            status = self.statuses.pop(0) if self.statuses else 200
            return JSONResponse(PICTURE if status == 200 else {}, status)


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(shop.app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        shop.url = f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
        yield shop
        server.should_exit = True
        thread.join()


class Buyer:
    """Our client as it is put together in the server, and what it was told of."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time, timings: Timings = DEFAULT) -> None:
        self.url = url
        self.wallet = CountingWallet()
        self.attempt = KeptAttempt(Decimal("0.05"))
        self.payer = WalletPayer(self.wallet, clock, timings)

    async def buy(self, body: object = None) -> httpx2.Response:
        async with await self._client() as client:
            auth = self.payer.auth(self.attempt, lambda _: None)
            return await client.post(self.url, json=body or {"prompt": "A red fox"}, auth=auth)

    async def send(self, payment: str | None = None) -> httpx2.Response:
        headers = {"PAYMENT-SIGNATURE": payment} if payment else {}
        async with await self._client() as client:
            return await client.post(self.url, json={"prompt": "A red fox"}, headers=headers)

    async def _client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=await open_transport(self.url, DEFAULT))


def payment_of(response: httpx2.Response) -> str:
    return response.request.headers["payment-signature"]


def why(response: httpx2.Response) -> str:
    """Return the reason that the middleware gives in the header of its 402."""
    assert response.status_code == 402
    named = response.headers.get("payment-required") or response.headers["payment-response"]
    answer = json.loads(base64.b64decode(named))
    return answer.get("error") or answer["errorReason"]


def tampered(payment: str, change: Callable[[dict[str, Any]], None]) -> str:
    body = json.loads(base64.b64decode(payment))
    change(body)
    return base64.b64encode(json.dumps(body).encode()).decode()


async def test_our_payment_buys_a_picture_from_the_official_middleware(shop: Shop) -> None:
    buyer = Buyer(shop.url)
    response = await buyer.buy()
    assert (response.status_code, response.json()) == (200, PICTURE)
    assert shop.chain.balances == {ADDRESS.lower(): 947_000, PAYEE: 53_000}
    assert evidence_of(response).transaction in shop.chain.receipts
    (unpaid, no_payment), (paid, payment) = shop.bodies
    assert (unpaid, no_payment) == (paid, b"")
    assert payment.decode() == payment_of(response)
    assert len(buyer.wallet.signed) == 1


@pytest.mark.parametrize("path", EDIT_PATHS)
async def test_edit_is_paid_for_once_with_the_same_bytes_in_either_form(shop: Shop, path: str) -> None:
    base_url = shop.url.removesuffix("/images/generations")
    endpoint = Endpoint(base_url, {}, "shop", edit=EditOperation(path, is_form=path == "/images/edits"))
    picture = InputPicture("0" * 64, "cat.png", b"\x89PNG a cat", "image/png")
    request = ImageRequest("Make it blue", "nano-banana", "1024x1024", None, 1, images=(picture, picture))
    wallet, attempt = CountingWallet(), KeptAttempt(Decimal("0.05"))
    async with HttpGateway(endpoint, payer=WalletPayer(wallet)) as gateway:
        assert await gateway.quote(request) == Decimal("0.053")
        response = await gateway.generate(request, attempt, lambda status: None, 60)
    assert [image.url for image in response.images] == [URL]
    assert shop.chain.balances == {ADDRESS.lower(): 947_000, PAYEE: 53_000}
    _, (unpaid, no_payment), (paid, payment) = shop.bodies
    assert (unpaid, no_payment, bool(payment)) == (paid, b"", True)
    assert len(wallet.signed) == 1


async def test_unpaid_request_yields_the_exact_price_despite_an_empty_body(shop: Shop) -> None:
    response = await Buyer(shop.url).send()
    assert (response.status_code, response.json()) == (402, {})
    assert exact_price(response, httpx2.URL(shop.url), time.time()) == Decimal("0.053")


async def test_the_same_signature_buys_only_once(shop: Shop) -> None:
    buyer = Buyer(shop.url)
    bought = await buyer.buy()
    again = await buyer.send(payment_of(bought))
    assert why(again) == "invalid_exact_evm_nonce_already_used"
    assert evidence_of(again).transaction is None
    assert shop.chain.balances[PAYEE] == 53_000


async def test_signature_still_buys_the_picture_after_a_gateway_failure(shop: Shop) -> None:
    shop.statuses = [500]
    buyer = Buyer(shop.url)
    failed = await buyer.buy()
    assert failed.status_code == 500
    assert evidence_of(failed).transaction is None
    assert PAYEE not in shop.chain.balances
    assert (await buyer.send(payment_of(failed))).json() == PICTURE
    assert shop.chain.balances[PAYEE] == 53_000
    assert len(buyer.wallet.signed) == 1


async def unspent_payment(shop: Shop, buyer: Buyer) -> str:
    shop.statuses = [500]
    return payment_of(await buyer.buy())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("value", "52999"),
        ("to", ADDRESS),
        ("nonce", "0x" + "00" * 32),
        ("validBefore", str(2**32)),
        ("validBefore", "1"),
        ("validAfter", str(2**32)),
    ],
)
async def test_tampered_payment_is_refused(shop: Shop, field: str, value: str) -> None:
    buyer = Buyer(shop.url)
    payment = await unspent_payment(shop, buyer)
    response = await buyer.send(tampered(payment, lambda body: body["payload"]["authorization"].update({field: value})))
    assert why(response).startswith("invalid_exact_evm")
    assert shop.chain.receipts == {}


async def test_a_payment_for_another_chain_is_refused(shop: Shop) -> None:
    buyer = Buyer(shop.url)
    payment = await unspent_payment(shop, buyer)
    response = await buyer.send(tampered(payment, lambda body: body["accepted"].update({"network": "eip155:84532"})))
    assert response.status_code == 402
    assert shop.chain.receipts == {}


async def test_wallet_with_insufficient_balance_is_refused(shop: Shop) -> None:
    shop.chain.balances[ADDRESS.lower()] = 52_999
    assert why(await Buyer(shop.url).buy()) == "invalid_exact_evm_insufficient_balance"


@pytest.mark.parametrize("hours", [1, -1])
async def test_nothing_is_signed_if_the_clock_is_an_hour_off(shop: Shop, hours: int) -> None:
    buyer = Buyer(shop.url, lambda: time.time() + hours * 3_600)
    with pytest.raises(PaymentRequiredError, match=r"3[56]\d\d s apart. Nothing was signed."):
        await buyer.buy()
    assert buyer.wallet.signed == []
    assert len(shop.bodies) == 1


@pytest.mark.parametrize(("hours", "reason"), [(1, "valid_after"), (-1, "valid_before")])
async def test_payment_signed_with_a_clock_an_hour_off_is_refused(shop: Shop, hours: int, reason: str) -> None:
    careless = Timings(max_clock_skew_seconds=10_000)
    assert reason in why(await Buyer(shop.url, lambda: time.time() + hours * 3_600, careless).buy())
    assert shop.chain.receipts == {}
