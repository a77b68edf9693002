"""AttemptLedger slots for requests to models with a rate limit."""

from blockrun_image.attempts import Order
from blockrun_image.ports import SlotBooked
from blockrun_image_mcp.ledger.store import Account, AttemptStore


def book_slot(
    store: AttemptStore, account: Account, order: Order, now: float, window_seconds: float
) -> SlotBooked | None:
    """Book the next slot of the order's model; `None` if the order may be sent now.

    Any window of `window_seconds` then holds at most `per_minute` slots. A slot further away than the order's
    `send_seconds` is not booked, and has no id.
    """
    if order.per_minute is None or (order.slot is not None and store.has_slot(order.slot)):
        return None
    model = order.request.model
    store.remove_slots_before(now - window_seconds)
    # a slot beyond the window and any wait was booked while the clock was wrong, and is ignored
    earlier = store.slot_before(account, model, order.per_minute - 1, now + max(window_seconds, order.send_seconds))
    at = now if earlier is None else max(now, earlier + window_seconds)
    if at - now > order.send_seconds:
        return SlotBooked(order, None, at - now)
    id = store.add_slot(account, model, at)
    return SlotBooked(order, id, at - now) if at > now else None
