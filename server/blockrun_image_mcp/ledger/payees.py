"""Decides which address of a gateway may be paid.

An address is trusted once a payment to it was accepted, or the operator trusts it, but never because a quote names it.
While a signed payment to one address is still usable, no other address of that gateway is paid.
"""

from datetime import UTC, datetime

from blockrun_image.attempts import Payment, Quote
from blockrun_image.errors import refused_quote
from blockrun_image.text import quoted
from blockrun_image_mcp.ledger.store import AttemptStore, Moment
from blockrun_image_mcp.timings import Timings


def check_payee(store: AttemptStore, quote: Quote, id: str, now: Moment, timings: Timings) -> None:
    """Raise `PaymentRequiredError` if the quote's address must not be paid.

    It must not be paid if the host has another trusted address, or if another attempt's payment to another address of
    the host is still usable. `id` is the attempt that the quote is for.
    """
    host, address = quote.host.lower(), quote.payee.lower()
    trusted = store.trusted_payee(host)
    if trusted is not None and trusted.lower() != address:
        raise refused_quote(
            f"{quoted(host, 80)} asks to be paid at {quote.payee}, but was paid at {quoted(trusted, 50)} before",
            "Ask its operator. If that is right, a person, not an agent, can run:"
            f" blockrun-image-mcp wallet trust {host} {quote.payee}",
        )
    for other, payee, payment in store.payments_at(host):
        # None: the other attempt is about to sign its payment
        if other != id and payee.lower() != address and (payment is None or is_usable(payment, now, timings)):
            raise refused_quote(
                f"{quoted(host, 80)} asks to be paid at {quote.payee}, but a payment to {quoted(payee, 50)} can still"
                " be used",
                f"Try again later: `blockrun-image-mcp recover` lists attempt {other}.",
            )


def is_usable(payment: Payment, now: Moment, timings: Timings) -> bool:
    """Return whether a signed payment can still be used."""
    return now.wall <= payment.valid_before + timings.expired_payment_seconds


def end_of(payment: Payment, timings: Timings) -> str:
    """Format the time at which a signed payment stops being usable."""
    end = datetime.fromtimestamp(payment.valid_before + timings.expired_payment_seconds, UTC)
    return f"{end:%Y-%m-%d %H:%M:%S} UTC"
