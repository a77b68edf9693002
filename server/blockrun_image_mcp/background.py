"""Work beside other work: what outlives its caller, such as a call that is being paid for, and what ends with it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
from anyio.abc import TaskStatus

from blockrun_image.errors import ConfigurationError

T = TypeVar("T")

_LEAVING_SECONDS = 1.0

OnOrphan = Callable[[object], None]
"""Is told the result, or the exception, of work whose caller has gone."""


class Background:
    """A task group for such work, open from `async with` to its end."""

    def __init__(self, on_orphan: OnOrphan = lambda outcome: None) -> None:
        self._on_orphan = on_orphan
        self._tasks = anyio.create_task_group()
        self._closing = anyio.Event()
        self._jobs: set[_Job[Any]] = set()
        self._idle = anyio.Event()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._tasks.__aexit__(None, None, None)  # so that the caller's error is not wrapped in a group

    async def run(
        self, work: Callable[[], Awaitable[T]], patience_seconds: float, left: Callable[[], Awaitable[None]]
    ) -> T | None:
        """Do the work and return its result; `None` where it goes on because its caller's patience has ended.

        A cancelled caller leaves at once; the work is cancelled, and it may shield itself from that and go on. `left`
        is awaited where work may go on without its caller, before that caller is told.
        """
        if self._closing.is_set():
            raise ConfigurationError("This is closed: open a new one.")
        job = _Job(work)
        self._jobs.add(job)
        self._tasks.start_soon(self._do, job)
        try:
            with anyio.move_on_after(patience_seconds):
                await job.done.wait()
            if not job.done.is_set():
                await left()
        except anyio.get_cancelled_exc_class():
            job.abandon()
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LEAVING_SECONDS):
                await left()
            if job.outcome:  # it ended in the same moment as its caller left
                self._on_orphan(job.outcome[0])
            raise
        if job.done.is_set():
            return job.result()
        job.is_orphan = True
        return None

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do work that nobody waits for and that raises nothing; what is under way when this ends is cancelled."""
        self._tasks.start_soon(self._until_closing, work)

    async def hold(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Open a resource that stays open until this ends."""
        return await self._tasks.start(self._hold, resource)

    async def finish(self) -> None:
        """Cancel the work under way, and wait for what shields itself from that."""
        for job in self._jobs:
            job.cancel()
        while self._jobs:
            self._idle = anyio.Event()
            await self._idle.wait()

    async def _until_closing(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await self._closing.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(stop)
            await work()
            tasks.cancel_scope.cancel()

    async def _do(self, job: "_Job[T]") -> None:
        await job.run()
        self._jobs.discard(job)
        if job.is_orphan and job.outcome:
            self._on_orphan(job.outcome[0])
        if not self._jobs:
            self._idle.set()

    async def _hold(
        self, resource: AbstractAsyncContextManager[T], *, task_status: TaskStatus[T] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        with anyio.CancelScope() as scope:
            async with resource as opened:
                scope.shield = True  # what work shields itself for must not be closed under it
                task_status.started(opened)
                await self._closing.wait()


class OnDemand(Generic[T]):
    """A resource that its first user opens, and that stays open until the background ends."""

    def __init__(self, background: Background, resource: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self.open: T | None = None
        self._background = background
        self._resource = resource
        self._opening = anyio.Lock()

    async def opened(self) -> T:
        """Return it, opened if it is not yet; raises what opening it raises, and then the next user tries again."""
        async with self._opening:
            if self.open is None:
                self.open = await self._background.hold(self._resource())
        return self.open


class _Job(Generic[T]):
    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._scope = anyio.CancelScope()
        self.done = anyio.Event()
        self.outcome: list[T | Exception] = []
        self.is_orphan = False

    async def run(self) -> None:
        with self._scope:
            try:
                self.outcome.append(await self._work())
            except Exception as error:  # noqa: BLE001 - handed to whoever asked for the work
                self.outcome.append(error)
        self.done.set()

    def abandon(self) -> None:
        self.is_orphan = True
        self.cancel()

    def cancel(self) -> None:
        self._scope.cancel()

    def result(self) -> T:
        outcome = self.outcome[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@asynccontextmanager
async def meanwhile(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncGenerator[None]:
    """Do `work` while the block runs, and cancel it at the block's end; the block's own error passes as it is."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again outside of the task group, which would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
