"""Tracks each answer until it is written to the client."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
from mcp_types import RequestId

from blockrun_image.callers import DeliveryEvent, OnDelivery

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Answer:
    """The answer to one request; it implements `Delivery` for the call.

    `client_id` is the client's own id of the request, `token` its progress token, and `session` the number of
    handshakes up to then. The reports run in `reports`. `forget` is called when the answer is closed. An unwanted
    answer is not written. `about` is what its content depends on, if that is recorded for the next start, and `told`
    the result that the client has got before.
    """

    client_id: RequestId
    token: object
    method: str
    session: int
    reports: TaskGroup
    forget: Callable[[], object]
    is_sent: bool = False
    is_result: bool = False
    is_unwanted: bool = False
    is_cancelled: bool = False
    about: str | None = None
    told: str | None = None
    _is_written: bool | None = None
    _on_report: list[OnDelivery] = field(default_factory=list[OnDelivery])

    def on_report(self, report: OnDelivery) -> None:
        """Await `report` for each event of the delivery."""
        self._on_report.append(report)
        if self._is_written is not None:  # too late: the answer was closed before
            self.reports.start_soon(_run, report, DeliveryEvent.LOST)

    def close(self, *, is_written: bool) -> None:
        """Close the answer, and report it as written or lost; later calls do nothing."""
        if self._is_written is not None:
            return
        self._is_written = is_written
        self.forget()
        if not (is_written and self.is_result):  # a protocol error does not carry the call's result
            self._report(DeliveryEvent.LOST)
        else:
            self._report(DeliveryEvent.CANCELLED if self.is_cancelled else DeliveryEvent.WRITTEN)

    def cancel(self) -> None:
        """Mark the request as cancelled; its answer is no longer wanted."""
        # a cancellation may cross with the answer on its way, so that a written one is reported, too
        self.is_unwanted = self.is_cancelled = True
        if self._is_written and self.is_result:
            self._report(DeliveryEvent.CANCELLED)

    def _report(self, event: DeliveryEvent) -> None:
        for report in self._on_report:
            self.reports.start_soon(_run, report, event)


async def _run(report: OnDelivery, event: DeliveryEvent) -> None:
    with anyio.CancelScope(shield=True):
        try:
            await report(event)
        except Exception:  # noqa: BLE001 - one report must not end the conversation
            _log.exception("an answer's delivery could not be recorded")
