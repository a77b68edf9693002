"""Tasks that outlive their callers, and resources opened by their first user."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from threading import Thread
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

import anyio
import anyio.from_thread
from anyio.lowlevel import current_token

from blockrun_image.errors import ConfigurationError

T = TypeVar("T")

OnOrphan = Callable[[object], None]
"""Gets the result or exception of an abandoned task."""


class TaskSupervisor:
    """Runs tasks inside `async with`.

    A cancelled caller waits at most `abandon_seconds` for its `on_abandoned`.
    """

    def __init__(self, on_orphan: OnOrphan = lambda outcome: None, abandon_seconds: float = 1.0) -> None:
        self._on_orphan = on_orphan
        self._abandon_seconds = abandon_seconds
        self._closing = anyio.Event()
        self._running: set[SupervisedTask[Any]] = set()
        self._idle = anyio.Event()

    async def __aenter__(self) -> Self:
        self._closing = anyio.Event()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._tasks.__aexit__(None, None, None)  # an error of the block is not wrapped in a group

    def run(self, work: Callable[[], Awaitable[T]]) -> "SupervisedTask[T]":
        """Start work for callers to wait for; it is cancelled with the last of them."""
        self._check_open()
        task = SupervisedTask(work, self._on_orphan, self._abandon_seconds)
        self._running.add(task)
        self._tasks.start_soon(self._do, task)
        return task

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a fire-and-forget task, cancelled at the end; it must not raise."""
        self._tasks.start_soon(self._until_closing, work)

    async def enter(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Open a resource that stays open until the end.

        A cancelled caller stops the opening, but closes nothing that is open.
        """
        self._check_open()
        opening = _Opening(resource)
        self._tasks.start_soon(opening.run, self._closing)
        try:
            await opening.done.wait()
        except anyio.get_cancelled_exc_class():
            opening.give_up()
            raise
        return opening.result()

    async def drain(self) -> None:
        """Cancel the work under way, and wait for its shielded parts."""
        for task in self._running:
            task.cancel()
        while self._running:
            self._idle = anyio.Event()
            await self._idle.wait()

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise ConfigurationError("This is closed: open a new one.")

    async def _until_closing(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await self._closing.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(stop)
            await work()
            tasks.cancel_scope.cancel()  # else `stop` would keep the group open

    async def _do(self, task: "SupervisedTask[T]") -> None:
        try:
            await task.run()
        finally:  # also if the whole group is cancelled: else `drain` would wait for ever
            self._running.discard(task)
            if not self._running:
                self._idle.set()
        if task.is_orphan and task.outcome:
            self._on_orphan(task.outcome[0])


class Lazy(Generic[T]):
    """A resource opened by its first user, and closed at the end of the tasks."""

    def __init__(self, tasks: TaskSupervisor, resource: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self.open: T | None = None
        self._tasks = tasks
        self._resource = resource
        self._opening = anyio.Lock()

    async def get(self) -> T:
        """Return the resource; if opening it fails, the next user tries again."""
        async with self._opening:
            return await self._tasks.enter(self._open_and_note()) if self.open is None else self.open

    @asynccontextmanager
    async def _open_and_note(self) -> AsyncGenerator[T]:
        async with self._resource() as opened:
            self.open = opened
            try:
                yield opened
            finally:
                self.open = None


class _Outcome(Generic[T]):
    """The result or exception of a task."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.outcome: list[T | Exception] = []

    def result(self) -> T:
        if not self.outcome:
            raise ConfigurationError("This was closed before it was done.")
        outcome = self.outcome[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class _Opening(_Outcome[T]):
    def __init__(self, resource: AbstractAsyncContextManager[T]) -> None:
        super().__init__()
        self._resource = resource
        self._scope = anyio.CancelScope()

    async def run(self, closing: anyio.Event) -> None:
        with self._scope:
            try:
                self.outcome.append(await self._resource.__aenter__())
            except Exception as error:  # noqa: BLE001 - handed to whoever asked for the resource
                self.outcome.append(error)
                return
            finally:
                self.outcome = self.outcome or [ConfigurationError("It was closed before it was open.")]
                self.done.set()
            self._scope.shield = True  # shielded work still uses it
            try:
                await closing.wait()
            finally:
                await self._resource.__aexit__(None, None, None)

    def give_up(self) -> None:
        if not self.done.is_set():
            self._scope.cancel()


class SupervisedTask(_Outcome[T]):
    """Work that outlives its callers, unless the last of them is cancelled."""

    def __init__(self, work: Callable[[], Awaitable[T]], on_orphan: OnOrphan, abandon_seconds: float) -> None:
        super().__init__()
        self._work = work
        self._on_orphan = on_orphan
        self._abandon_seconds = abandon_seconds
        self._scope = anyio.CancelScope()
        self._callers = 0
        self.is_orphan = False

    async def wait(self, timeout_seconds: float, on_abandoned: Callable[[], Awaitable[None]]) -> T | None:
        """Return the result, or `None` after `timeout_seconds`; the work then goes on.

        A cancelled caller leaves at once. If it is the last one, the work is cancelled too, but may shield itself and
        go on. The last caller awaits `on_abandoned` before it leaves unfinished work; a cancelled one does so for at
        most `abandon_seconds`.
        """
        self._callers += 1
        self.is_orphan = False
        try:
            with anyio.move_on_after(timeout_seconds):
                await self.done.wait()
            if not self.done.is_set() and self._callers == 1:
                await on_abandoned()
        except anyio.get_cancelled_exc_class():
            if self._callers == 1:
                await self._abandon(on_abandoned)
            raise
        finally:
            self._callers -= 1
        if self.done.is_set():
            return self.result()
        self.is_orphan = self._callers == 0
        return None

    async def run(self) -> None:
        """Do the work."""
        try:
            with self._scope:
                try:
                    self.outcome.append(await self._work())
                except Exception as error:  # noqa: BLE001 - handed to whoever waits for the work
                    self.outcome.append(error)
        finally:
            self.done.set()

    def cancel(self) -> None:
        """Cancel the work, which may shield itself."""
        self._scope.cancel()

    async def _abandon(self, on_abandoned: Callable[[], Awaitable[None]]) -> None:
        self.is_orphan = True
        self.cancel()
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._abandon_seconds):
            await on_abandoned()
        if self.outcome:  # it ended in the same moment as its caller left
            self._on_orphan(self.outcome[0])


@asynccontextmanager
async def run_alongside(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncGenerator[None]:
    """Run `work` while the block runs, and cancel it at the block's end."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised outside of the task group, which would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def run_in_daemon_thread(work: Callable[[], T]) -> T:
    """Run blocking `work` in a thread that does not delay the end of the process; a cancellation abandons it."""
    is_done, outcomes = anyio.Event(), list[tuple[T | None, BaseException | None]]()
    token = current_token()

    def run() -> None:
        try:
            outcomes.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised for the caller
            outcomes.append((None, error))
        with suppress(RuntimeError, CancelledError):  # the event loop has ended
            anyio.from_thread.run_sync(is_done.set, token=token)

    Thread(target=run, name="blocking", daemon=True).start()
    await is_done.wait()
    ((result, error),) = outcomes
    if error is not None:
        raise error
    return cast("T", result)
