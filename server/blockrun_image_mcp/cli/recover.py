"""The command recover: what became of calls whose end is not known."""

import anyio
import click

from blockrun_image.attempts import AttemptState, Payment
from blockrun_image.errors import ImageError
from blockrun_image.text import clean, usd
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.cli import options
from blockrun_image_mcp.payments.networks import NETWORKS
from blockrun_image_mcp.timings import Timings

_MAX_EXPLAINED = 100
_EXPLANATIONS = {
    "accepted": "It is a job at the gateway: still being made, or another account's. It will be polled again.",
    "unknown": "It was sent, and no answer came. It counts as spent: check the account or the wallet, and release it if"
    " it was not charged.",
    "held": "It was refused, but the gateway has its signed payment. It counts as spent: check the wallet, and"
    " release it once the payment has expired unused.",
}


@click.command("recover")
@click.option("--release", "id", metavar="ID", help="Stop counting this unknown or held attempt as spent.")
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
        options.ask_ledger(backend, lambda ledger: ledger.database.adopt_locks())
        click.echo("From now on, the ledger uses the locks beside it.")
        return
    if id is None:
        anyio.run(_recover, backend)
        return
    refusal = options.ask_ledger(backend, lambda ledger: ledger.release(id))
    if refusal is not None:
        raise click.UsageError(refusal)
    click.echo("Released: it no longer counts as spent.")


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
        payment = "" if entry.payment is None else f"\n  {_payment_facts(entry.payment, backend.timings)}"
        click.echo(f"{entry.to_text()}\n  {_EXPLANATIONS[entry.state]}{payment}\n  {entry.id}")
    click.echo("Nothing is unresolved." if not entries else f"{len(entries)} left.")


def _payment_facts(payment: Payment, timings: Timings) -> str:
    """Return where to find out whether a signed payment was used."""
    from blockrun_image_mcp.ledger.payees import end_of  # noqa: PLC0415 - 4 modules of the ledger, 11 to 21 ms

    payer, network = clean(payment.payer, 60) or "(see wallet show)", NETWORKS.get(payment.network)
    token = clean(payment.network, 40) if network is None else f"{network.token} on {network.id}"
    return (
        f"Payment of ${usd(payment.amount_usd)} from {payer} to {clean(payment.payee, 60)}, usable until"
        f" {end_of(payment, timings)}.\n  Nonce {clean(payment.nonce, 80)}. The token {token} shows whether it was"
        f" used: authorizationState(payer, nonce), or the payer's transfers in a block explorer."
    )
