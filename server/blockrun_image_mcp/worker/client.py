"""The server's side: starts the worker with the first paid call, and hands the calls to it."""

import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from blockrun_image.errors import ImageError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.folders import NAME
from blockrun_image_mcp.paid_call import Outcome, PaidCall
from blockrun_image_mcp.performing import perform
from blockrun_image_mcp.worker.connection import WorkerConnection, not_started
from blockrun_image_mcp.worker.launch import COMMAND, launch

_log = logging.getLogger(__name__)


class WorkerClient:
    """Performs paid calls in a worker, inside `async with`.

    A worker that is idle for `worker_idle_seconds` is ended, and the next paid call starts another one. If no process
    can be started, or there is no folder for the ledger, the calls are performed in this one.
    """

    def __init__(self, backend: Backend, environment: Mapping[str, str], command: Sequence[str] = COMMAND) -> None:
        self._backend = backend
        self._environment = environment
        self._command = command
        self._version = version(NAME)  # now, because an upgrade may replace the package while this server runs
        self._starting = anyio.Lock()
        self._worker: WorkerConnection | None = None
        self._can_start = backend.ledger_path.is_absolute()

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._worker is not None:
            await self._worker.close()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def perform(self, call: PaidCall) -> Outcome:
        """Perform a call; raises what `ask` raises to end it, and nothing else."""
        call.on_status("starting")
        try:
            return await self._perform(call)
        except ImageError as error:
            return Outcome.of_error(error)
        finally:
            await self._backend.models.take_newer()  # the worker may have fetched another list

    async def _perform(self, call: PaidCall) -> Outcome:
        worker = await self._running_worker()
        if worker is None:
            return await perform(self._backend, call)
        outcome = await worker.perform(call)
        if outcome is None:  # it had gone before it got the call
            worker = await self._running_worker()
            outcome = worker and await worker.perform(call)
        if outcome is None:
            raise not_started(self._backend)
        return outcome

    async def _running_worker(self) -> "WorkerConnection | None":
        """Return the worker, started if there is none; raises `ConfigurationError`."""
        async with self._starting:
            if self._worker is not None and self._worker.has_ended.is_set():
                self._worker = None
            if self._worker is None and self._can_start:
                self._worker = await self._start()
            return self._worker

    async def _start(self) -> "WorkerConnection | None":
        folder = self._backend.ledger_path.parent
        try:
            launched = await anyio.to_thread.run_sync(launch, self._command, self._environment, folder)
        except OSError as error:
            _log.warning("no process can be started for paid calls, so they end with this one: %s", error)
            self._can_start = False
            return None
        worker = WorkerConnection(launched, self._backend)
        try:
            await worker.start(self._version)
        except BaseException:
            await worker.close()
            raise
        self._tasks.start_soon(worker.close_when_idle)
        return worker
