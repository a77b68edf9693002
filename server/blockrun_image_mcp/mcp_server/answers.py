"""The answers on their way to the client."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
from mcp_types import RequestId

from blockrun_image.callers import OnDelivery

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Answer:
    """The answer to one request; it implements `Delivery` for the call.

    `client_id` and `token` are the client's own id of the request and its progress token, `session` is the number of
    handshakes before it. The reports run in `reports`; `forget` is called when the answer is settled. An unwanted
    answer is not written.
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
    _is_written: bool | None = None
    _waiting: list[OnDelivery] = field(default_factory=list[OnDelivery])

    def on_report(self, report: OnDelivery) -> None:
        """Await `report` when the answer was written, or when it no longer can be."""
        self._waiting.append(report)
        if self._is_written is not None:  # too late: the answer was settled before
            self._report(is_delivered=False)

    def settle(self, *, is_written: bool) -> None:
        """Report whether the answer was written; only the first call counts."""
        if self._is_written is None:
            self._is_written = is_written
            self.forget()
            self._report(is_delivered=is_written and self.is_result)  # an error is not what the call returned

    def _report(self, *, is_delivered: bool) -> None:
        while self._waiting:
            self.reports.start_soon(_run, self._waiting.pop(), is_delivered)


async def _run(report: OnDelivery, is_delivered: bool) -> None:
    with anyio.CancelScope(shield=True):
        try:
            await report(is_delivered)
        except Exception:  # noqa: BLE001 - one report must not end the conversation
            _log.exception("an answer's delivery could not be noted")
