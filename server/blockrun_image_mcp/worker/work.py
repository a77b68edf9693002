"""The worker's side: performs the server's calls, and finishes what is paid for after the server's end."""

import logging
from dataclasses import dataclass, field
from decimal import Decimal

import anyio
from anyio.abc import TaskGroup

from blockrun_image.attempts import Approval
from blockrun_image.callers import Caller, DeliveryEvent, OnDelivery
from blockrun_image.errors import ConfirmationError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.ledger.confirmation import Question
from blockrun_image_mcp.paid_call import CallEnded, Outcome, PaidCall
from blockrun_image_mcp.performing import perform
from blockrun_image_mcp.signals import ending_signals
from blockrun_image_mcp.worker.messages import (
    Asked,
    Began,
    Begin,
    Cancel,
    Delivered,
    Ended,
    Message,
    Ready,
    Reply,
    Status,
)
from blockrun_image_mcp.worker.pipes import Pipes

_MAX_OVER = 1_000
"""The number of calls that are remembered, when they are over, for events of their delivery."""

_log = logging.getLogger(__name__)


async def work(backend: Backend, read: int, write: int) -> None:
    """Perform the calls that come from the server, until it has gone and what was paid for is finished.

    After a signal, it waits only `drain_seconds` for the answers to paid requests, and polls no jobs.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_signal, tasks.cancel_scope)
        async with backend:
            await _serve(backend, read, write)
            await backend.finish_work()
        tasks.cancel_scope.cancel()


async def _serve(backend: Backend, read: int, write: int) -> None:
    """Perform calls until the server has gone; those under way are cancelled then."""
    async with anyio.create_task_group() as reports, anyio.create_task_group() as tasks:
        calls: dict[int, _Call] = {}
        has_ended = anyio.Event()

        def take(message: Message) -> None:
            match message:
                case Begin():
                    for number in [number for number, call in calls.items() if call.is_over][:-_MAX_OVER]:
                        del calls[number]
                    calls[message.call] = _Call(message, pipes, reports)
                    pipes.send(Began(message.call))
                    tasks.start_soon(calls[message.call].run, backend)
                case Cancel(call) | Reply(call) | Delivered(call) if call in calls:
                    calls[call].take(message)
                case _:
                    _log.error("%s from the server fits no call", type(message).__name__)

        pipes = Pipes(read, write, take, has_ended.set)
        pipes.start()
        pipes.send(Ready())
        await has_ended.wait()
        tasks.cancel_scope.cancel()
        for call in calls.values():
            call.report(DeliveryEvent.LOST)


@dataclass(eq=False)
class _Call:
    """One call of the server; it implements `Delivery`."""

    begin: Begin
    pipes: Pipes
    reports: TaskGroup
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _reply: Reply | None = None
    _replied: anyio.Event = field(default_factory=anyio.Event)
    _on_report: list[OnDelivery] = field(default_factory=list[OnDelivery])
    _is_reported: bool = False
    is_over: bool = False

    async def run(self, backend: Backend) -> None:
        """Perform the call, and send its outcome."""
        begin = self.begin
        call = PaidCall(
            begin.arguments,
            self._ask,
            lambda words: self.pipes.send(Status(begin.call, words)),
            Caller(begin.caller, begin.process),
            self,
            begin.arrived_at,
        )
        with self.scope:
            try:
                self._send(await perform(backend, call))
            except CallEnded:
                self.pipes.send(Ended(begin.call))
        self.is_over = True
        if self.scope.cancel_called:  # if there is an outcome, nobody reads it
            self.report(DeliveryEvent.LOST)

    def take(self, message: Cancel | Reply | Delivered) -> None:
        """Take a message about this call."""
        match message:
            case Cancel():
                self.scope.cancel()
                if self.is_over:  # the outcome and the cancellation have crossed
                    self.report(DeliveryEvent.LOST)
            case Reply():
                self._reply = message
                self._replied.set()
            case Delivered(event=name):
                self.report(DeliveryEvent[name])

    def on_report(self, report: OnDelivery) -> None:
        """Register a callback to be awaited for each event of the delivery."""
        self._on_report.append(report)
        if self._is_reported:  # too late: the server has gone
            self.reports.start_soon(_run, report, DeliveryEvent.LOST)

    def report(self, event: DeliveryEvent) -> None:
        """Report an event; `LOST` is ignored after any other event."""
        if event is DeliveryEvent.LOST and self._is_reported:
            return
        self._is_reported = True
        for report in self._on_report:
            self.reports.start_soon(_run, report, event)

    def _send(self, outcome: Outcome) -> None:
        paths = [str(path) for path in outcome.paths]
        self.pipes.send(Ended(self.begin.call, outcome.text, outcome.content, outcome.is_error, paths))

    async def _ask(self, question: Question) -> Approval:
        self._reply, self._replied = None, anyio.Event()
        max_usd = None if question.max_usd is None else str(question.max_usd)
        self.pipes.send(Asked(self.begin.call, question.what, question.price, question.prompt, max_usd))
        await self._replied.wait()
        return _approval_of(self._reply)


def _approval_of(reply: Reply | None) -> Approval:
    """Return the approval in a reply; raises `ConfirmationError` for a refusal, and else `CallEnded`."""
    match reply:
        case Reply(approval=id, max_usd=limit) if id:
            return Approval(id, None if limit is None else Decimal(limit))
        case Reply(refusal=words, hint=hint) if words:
            raise ConfirmationError(words, hint=hint)
        case _:
            raise CallEnded


async def _run(report: OnDelivery, event: DeliveryEvent) -> None:
    with anyio.CancelScope(shield=True):
        try:
            await report(event)
        except Exception:  # noqa: BLE001 - one report must not end the others
            _log.exception("an answer's delivery could not be recorded")


async def _cancel_on_signal(scope: anyio.CancelScope) -> None:
    with ending_signals() as signals:
        async for _ in signals:
            scope.cancel()
