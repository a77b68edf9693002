"""Polls the jobs of ended processes."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from blockrun_image.attempts import Job
from blockrun_image.errors import ImageError
from blockrun_image.ports import Attempt, JobPending
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.tasks import run_alongside

_MAX_AT_ONCE = 4

Finish = Callable[[Attempt, Job], Awaitable[object]]
"""Polls a claimed job until it ends."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def sweeping(ledger: Ledger, finish: Finish) -> AsyncGenerator[None]:
    """In the block, end the attempts of dead processes and finish their jobs."""
    limiter = anyio.CapacityLimiter(_MAX_AT_ONCE)

    async def sweep() -> None:
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    for attempt, job in (await ledger.sweep()).items():
                        tasks.start_soon(_finish, limiter, finish, attempt, job)
                except ImageError as error:
                    _log.warning("the ledger could not be swept: %s", error.message)
                await anyio.sleep(ledger.timings.sweep_seconds)

    async with run_alongside(sweep):
        yield


async def finish_jobs(ledger: Ledger, finish: Finish) -> None:
    """Finish the abandoned jobs; raises the first `ImageError` once all of them were tried."""
    limiter, failures = anyio.CapacityLimiter(_MAX_AT_ONCE), list[ImageError]()

    async def try_one(attempt: Attempt, job: Job) -> None:
        async with limiter:
            try:
                if await attempt.claim():
                    await finish(attempt, job)
            except JobPending:
                pass  # it can be polled again
            except ImageError as error:
                failures.append(error)

    async with anyio.create_task_group() as tasks:
        for attempt, job in (await ledger.sweep()).items():
            tasks.start_soon(try_one, attempt, job)
    if failures:
        raise failures[0]


async def _finish(limiter: anyio.CapacityLimiter, finish: Finish, attempt: Attempt, job: Job) -> None:
    async with limiter:
        try:
            if await attempt.claim():  # another process may have been faster
                await finish(attempt, job)
                _log.warning("finished %s, whose process had ended: its pictures can be collected", attempt.id)
        except JobPending:
            _log.info("%s is still being made", attempt.id)
        except ImageError as error:
            _log.warning("%s, whose process had ended, could not be finished: %s", attempt.id, error.message)
        except Exception:  # noqa: BLE001 - the other jobs must be finished too
            _log.exception("%s could not be finished", attempt.id)
            await attempt.stopped()
