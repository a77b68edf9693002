"""Requests that are sent again, at waits that a test can wait for."""

from decimal import Decimal

from pydantic import SecretStr
from tests.support.payments import KEY
from tests.support.sandbox import Sandbox

from blockrun_image.images import ImageRequest, ImagesResponse
from blockrun_image.null_ledger import NullAttempt
from blockrun_image.ports import Attempt
from blockrun_image_mcp.gateway.client import HttpGateway
from blockrun_image_mcp.gateway.credentials import Endpoint
from blockrun_image_mcp.payments.auth import WalletPayer
from blockrun_image_mcp.payments.wallet import Wallet
from blockrun_image_mcp.timings import Timings

REQUEST = ImageRequest("A red fox", "dall-e-3", "1024x1024", "standard", 1)
QUICK = Timings(
    connect_seconds=2,
    write_seconds=2,
    answer_seconds=5,
    backoff_seconds=0.01,
    max_retry_wait_seconds=2,
    poll_seconds=0.01,
    drain_seconds=1,
)


async def generate(base_url: str, timings: Timings = QUICK) -> ImagesResponse:
    """Return what an account gets."""
    endpoint = Endpoint(base_url, {"Authorization": "Bearer brk_test"}, "test")
    async with HttpGateway(endpoint, timings=timings) as gateway:
        return await gateway.generate(REQUEST, NullAttempt(REQUEST), lambda status: None, 60)


COST = {"x-blockrun-cost-usd": "0.9"}
RECEIPT = {"x-payment-receipt": "0x" + "ab" * 32}


async def generate_from_wallet(
    sandbox: Sandbox, attempt: Attempt | None = None, timings: Timings = QUICK, within_seconds: float = 60
) -> ImagesResponse:
    """Return what a wallet gets."""
    endpoint, wallet = Endpoint(f"{sandbox.api_url}/v1", {}, "test", wallet_key=SecretStr(KEY)), Wallet(KEY)
    await wallet.address()  # whose first use loads a library
    attempt = attempt or NullAttempt(REQUEST, Decimal("0.042"))
    async with HttpGateway(endpoint, timings=timings, payer=WalletPayer(wallet)) as gateway:
        return await gateway.generate(REQUEST, attempt, lambda status: None, within_seconds)
