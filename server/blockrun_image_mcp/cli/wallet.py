"""The commands of a wallet."""

import anyio
import click

from blockrun_image_mcp.cli import options


@click.group("wallet")
def wallet() -> None:
    """Show the wallet that pays, or trust a gateway's payee.

    Example: blockrun-image-mcp wallet show
    """


@wallet.command("show")
@options.reporting_errors
def wallet_show() -> None:
    """Show the address of the wallet that is set, to send USDC to. Free and offline.

    Example: blockrun-image-mcp wallet show
    """
    from blockrun_image_mcp.gateway.credentials import wallet_digits  # noqa: PLC0415 - loads httpx2
    from blockrun_image_mcp.payments.wallet import Wallet  # noqa: PLC0415 - --help needs no wallet

    settings = options.start(sandbox=False, flags={}).settings
    credentials = list(settings.credentials.items())
    keys = [(variable, digits) for variable, credential in credentials if (digits := wallet_digits(credential))]
    if not keys:
        raise click.UsageError("No wallet's private key is set, or it cannot be read; see `blockrun-image-mcp doctor`.")
    variable, digits = keys[0]
    click.echo(f"{anyio.run(Wallet(digits).address)} (from {variable})")
    if settings.sources[0].variable != variable:
        click.echo(f"It does not pay: {settings.sources[0].variable} takes precedence.")


@wallet.command("trust")
@click.argument("host")
@click.argument("address")
@options.sandbox
@options.reporting_errors
def wallet_trust(host: str, address: str, sandbox: bool) -> None:
    """Trust ADDRESS as the payee of HOST from now on. First, let the operator of HOST confirm it. Free and offline.

    Example: blockrun-image-mcp wallet trust blockrun.ai 0x4a7b1c9e2d3f5a6b8c0d1e2f3a4b5c6d7e8f9a0b
    """
    from blockrun_image_mcp.payments.rules import is_address, parse_host  # noqa: PLC0415 - loads httpx2

    backend = options.start(sandbox, {})
    parsed_host = parse_host(host)
    if parsed_host is None:
        raise click.UsageError("HOST must be a host such as blockrun.ai, with its port if it has one.")
    if not is_address(address):
        raise click.UsageError("ADDRESS must be 0x and 40 hex digits.")
    options.ask_ledger(backend, lambda ledger: ledger.trust(parsed_host, address))
    click.echo(f"{parsed_host} is paid at {address} from now on.")
