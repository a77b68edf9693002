"""What goes on beside the calls: leases are renewed, and jobs whose process has gone are asked after."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio

from blockrun_image.errors import ImageError, LedgerError
from blockrun_image.images import ImageRequest
from blockrun_image.ports import Attempt, StillDrawingError
from blockrun_image_mcp.ledger.sqlite import SqliteLedger
from blockrun_image_mcp.tasks import run_alongside

_MOST_AT_ONCE = 4

Finish = Callable[[Attempt, ImageRequest], Awaitable[object]]
"""Asks after the job of an attempt, to its end."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def kept(ledger: SqliteLedger, finish: Finish) -> AsyncGenerator[None]:
    """Renew the leases of this process's attempts while the block runs, and finish what other processes left."""
    limiter = anyio.CapacityLimiter(_MOST_AT_ONCE)

    async def keep() -> None:
        async with anyio.create_task_group() as tasks:
            next_sweep = 0.0
            while True:
                try:
                    await ledger.renew()
                    if anyio.current_time() >= next_sweep:
                        next_sweep = anyio.current_time() + ledger.timings.sweep_seconds
                        for attempt, request in (await ledger.jobs()).items():
                            tasks.start_soon(_finish, limiter, finish, attempt, request)
                except ImageError as error:
                    _log.warning("the ledger could not be kept: %s", error.message)
                await anyio.sleep(ledger.timings.renewal_seconds)

    async with run_alongside(keep):
        yield


async def finish_jobs(ledger: SqliteLedger, finish: Finish) -> None:
    """Finish the abandoned jobs one by one; raises the first `ImageError` after the last."""
    failures: list[ImageError] = []
    async with renewed(ledger):
        for attempt, request in (await ledger.jobs()).items():
            try:
                await finish(attempt, request)
            except StillDrawingError:
                continue  # it can be polled again
            except ImageError as error:
                failures.append(error)
    if failures:
        raise failures[0]


@asynccontextmanager
async def renewed(ledger: SqliteLedger) -> AsyncGenerator[None]:
    """Renew the leases of this process's attempts while the block runs."""

    async def keep() -> None:
        while True:
            with suppress(LedgerError):  # the next renewal may come in time
                await ledger.renew()
            await anyio.sleep(ledger.timings.renewal_seconds)

    async with run_alongside(keep):
        yield


async def _finish(limiter: anyio.CapacityLimiter, finish: Finish, attempt: Attempt, request: ImageRequest) -> None:
    async with limiter:
        try:
            await finish(attempt, request)
            _log.warning("finished %s, which its process had left: its pictures can be collected", attempt.id)
        except StillDrawingError:
            _log.info("%s is still being made", attempt.id)
        except ImageError as error:
            _log.warning("%s, which its process had left, could not be finished: %s", attempt.id, error.message)
        except Exception:  # noqa: BLE001 - the others are to be finished too
            _log.exception("%s could not be finished", attempt.id)
