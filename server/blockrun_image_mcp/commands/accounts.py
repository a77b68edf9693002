"""The commands on the ledger and the wallet: spend, images, recover, prune and wallet."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio
import click

from blockrun_image.attempts import AttemptState, Payment
from blockrun_image.errors import ImageError
from blockrun_image.text import clean, usd
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.commands import options, screen, terminal
from blockrun_image_mcp.payments.networks import NETWORKS

if TYPE_CHECKING:
    from blockrun_image_mcp.ledger.ledger import Ledger
    from blockrun_image_mcp.ledger.report import GroupedBy

T = TypeVar("T")

_MAX_EXPLAINED = 100
_EXPLANATIONS = {
    "accepted": "The gateway has it as a job that is still being made, or another account's; it will be polled again.",
    "unknown": "It was sent, and no answer came. It counts as spent: check the account or the wallet, and release it if"
    " it was not charged.",
    "held": "It was refused, but the gateway has its signed payment. It counts as spent: look at the wallet, and"
    " release it once the payment has expired unused.",
}


@click.command()
@options.days
@click.option("--by", type=click.Choice(["day", "model"]), help="Sum it up by day or by model.")
@options.sandbox_ledger
@options.as_json
@options.reporting_errors
def spend(since: str | None, until: str | None, by: "GroupedBy | None", sandbox: bool, as_json: bool) -> None:
    """Show what was spent today (UTC), what is held or unknown, and what is left; or over some days. Free and offline.

    Example: blockrun-image-mcp spend --since 7d --by model
    """
    backend = options.start(sandbox, {})
    if since or until or by:
        days = options.days_from(since, until)
        terminal.show(_asked(backend, lambda ledger: ledger.spending(days, by or "day")), as_json)
    else:
        terminal.show(_asked(backend, lambda ledger: ledger.statement()), as_json)
    if backend.is_sandbox and not as_json:
        click.echo("Sandbox: nothing of this was charged.")


@click.command()
@click.option("--most", type=click.IntRange(1, 1_000), default=10, show_default=True, help="How many, newest first.")
@options.days
@options.sandbox_ledger
@options.as_json
@options.reporting_errors
def images(most: int, since: str | None, until: str | None, sandbox: bool, as_json: bool) -> None:
    """Show the pictures that were made last: when, for how much, prompts, URLs and files. Free and offline.

    Example: blockrun-image-mcp images --since 2026-11-22
    """
    backend = options.start(sandbox, {})
    days = options.days_from(since, until)
    entries = _asked(backend, lambda ledger: ledger.recent(most, days=days))
    if as_json:
        told = [entry.to_dict(is_sandbox=backend.is_sandbox) for entry in entries]
        screen.print_json(told)
    else:
        click.echo("\n".join(entry.to_text() for entry in entries) or _none_yet(backend))


@click.command()
@click.option("--release", "id", metavar="ID", help="Take this attempt, which is unknown or held, out of the budget.")
@click.option("--new-locks", is_flag=True, help="Use a ledger that was moved, or whose locks were removed.")
@options.sandbox
@options.gateway
@options.spec
@options.reporting_errors
def recover(id: str | None, new_locks: bool, sandbox: bool, **flags: str | None) -> None:
    """Finish jobs that the gateway had accepted, and explain attempts that are unknown or held. Free.

    Release an attempt once the account, or the wallet, shows that it was not charged.

    With --new-locks, make sure first that no server uses the ledger by another path.

    Example: blockrun-image-mcp recover --release 6f1c3a52-0b5e-4c1f-9d7e-2f8a4b6c0d1e
    """
    backend = options.start(sandbox, flags)
    if new_locks:  # first, because until then the ledger refuses every write
        _asked(backend, lambda ledger: ledger.database.adopt_locks())
        click.echo("The ledger is used with the locks beside it from now on.")
        return
    if id is None:
        anyio.run(_recover, backend)
        return
    refusal = _asked(backend, lambda ledger: ledger.release(id))
    if refusal is not None:
        raise click.UsageError(refusal)
    click.echo("Released: it no longer counts as spent.")


@click.command()
@click.option("--before", metavar="DAY", required=True, callback=options.day, help="Such as 2026-01-01, or 90d.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@options.sandbox_ledger
@options.reporting_errors
def prune(before: str, yes: bool, sandbox: bool) -> None:
    """Remove the records of calls before a UTC day, except those that are held or unknown. Saved pictures stay.

    Example: blockrun-image-mcp prune --before 365d
    """
    if before >= options.days_ago(1):
        raise click.UsageError("The last two days are kept: the limits and repeated calls need them.")
    if not yes:
        click.confirm(f"Remove the records of all calls before {before}?", abort=True)
    count = _asked(options.start(sandbox, {}), lambda ledger: ledger.remove_before(before))
    click.echo(f"Removed {count} calls made before {before}.")


@click.group()
def wallet() -> None:
    """Show the wallet that pays, or trust whom a gateway wants to be paid.

    Example: blockrun-image-mcp wallet show
    """


@wallet.command("show")
@options.reporting_errors
def wallet_show() -> None:
    """Show the address of the wallet whose key is set, to send USDC to. Free and offline.

    Example: blockrun-image-mcp wallet show
    """
    from blockrun_image_mcp.gateway.credentials import wallet_digits  # noqa: PLC0415 - loads httpx2
    from blockrun_image_mcp.payments.wallet import Wallet  # noqa: PLC0415 - for this command alone

    settings = options.start(sandbox=False, flags={}).settings
    credentials = list(settings.credentials.items())
    keys = [(variable, digits) for variable, credential in credentials if (digits := wallet_digits(credential))]
    if not keys:
        raise click.UsageError(
            "No wallet's private key is set, or none that can be read; see `blockrun-image-mcp doctor`."
        )
    variable, digits = keys[0]
    click.echo(f"{anyio.run(Wallet(digits).address)} (from {variable})")
    if settings.sources[0].variable != variable:
        click.echo(f"It does not pay: {settings.sources[0].variable} comes before it.")


@wallet.command("trust")
@click.argument("host")
@click.argument("address")
@options.sandbox
@options.reporting_errors
def wallet_trust(host: str, address: str, sandbox: bool) -> None:
    """Trust ADDRESS to be paid for HOST from now on, after its operator has confirmed it. Free and offline.

    Example: blockrun-image-mcp wallet trust blockrun.ai 0x4a7b1c9e2d3f5a6b8c0d1e2f3a4b5c6d7e8f9a0b
    """
    from blockrun_image_mcp.payments.rules import host_named, is_address  # noqa: PLC0415 - loads httpx2

    backend = options.start(sandbox, {})
    named = host_named(host)
    if named is None:
        raise click.UsageError("HOST must be a host such as blockrun.ai, with its port if it has one.")
    if not is_address(address):
        raise click.UsageError("ADDRESS must be 0x and 40 hex digits.")
    _asked(backend, lambda ledger: ledger.trust(named, address))
    click.echo(f"{named} is paid at {address} from now on.")


async def _recover(backend: Backend) -> None:
    async with backend:
        # a failure must not hide the explanations, which need no gateway
        try:
            await backend.finish_jobs(lambda status: click.echo(f"{status} ...", err=True))
        except ImageError as error:
            click.echo(f"Not all jobs could be finished: {error.message} {error.hint}", err=True)
        states = (AttemptState.ACCEPTED, AttemptState.UNKNOWN, AttemptState.HELD)
        entries = await backend.operator_ledger().recent(_MAX_EXPLAINED, *states)
    for entry in entries:
        payment = "" if entry.payment is None else f"\n  {_where_to_look(entry.payment)}"
        click.echo(f"{entry.to_text()}\n  {_EXPLANATIONS[entry.state]}{payment}\n  {entry.id}")
    click.echo("Nothing is unresolved." if not entries else f"{len(entries)} left.")


def _none_yet(backend: Backend) -> str:
    has_others = not backend.is_sandbox and backend.has_sandbox_ledger
    return "There are none yet." + (" Those of the sandbox are shown with --sandbox." if has_others else "")


def _where_to_look(payment: Payment) -> str:
    """Return where to find out whether a signed payment was used."""
    from blockrun_image_mcp.ledger.payees import end_of  # noqa: PLC0415 - 4 modules of the ledger, 11 to 21 ms

    payer, network = clean(payment.payer, 60) or "(see wallet show)", NETWORKS.get(payment.network)
    token = clean(payment.network, 40) if network is None else f"{network.token} on {network.id}"
    return (
        f"Payment of ${usd(payment.amount_usd)} from {payer} to {clean(payment.payee, 60)}, usable until"
        f" {end_of(payment)}.\n  Nonce {clean(payment.nonce, 80)}. The token {token} tells whether it was used:"
        f" authorizationState(payer, nonce), or the payer's transfers in a block explorer."
    )


def _asked(backend: Backend, question: "Callable[[Ledger], Awaitable[T]]") -> T:
    async def ask() -> T:
        async with backend:
            return await question(backend.operator_ledger())

    return anyio.run(ask)
