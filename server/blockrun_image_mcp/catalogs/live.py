"""Keeps the catalogue up to date with the gateway's list, without delaying a start."""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import anyio

from blockrun_image.catalog import Catalog
from blockrun_image.errors import Answer, GatewayError, ImageError
from blockrun_image.joining import Scope, join, strangers, without_strangers
from blockrun_image_mcp.catalogs.cache import CatalogCache
from blockrun_image_mcp.tasks import TaskSupervisor
from blockrun_image_mcp.timings import DEFAULT, Timings

if TYPE_CHECKING:
    from blockrun_image_mcp.catalogs.cached_listing import CachedListing
    from blockrun_image_mcp.gateway.client import ModelsAnswer

Fetch: TypeAlias = "Callable[[str], Awaitable[ModelsAnswer]]"
"""Requests the gateway's list, unless it still has the given ETag; raises `ImageError`."""

OnChange: TypeAlias = Callable[[Catalog], Awaitable[None]]
"""Gets the new catalogue when it comes into force."""

_NOT_MODIFIED = 304

_log = logging.getLogger(__name__)


class LiveCatalog:
    """The catalogue in force: the API's description merged with the gateway's latest list.

    Without a `cache`, no list is used.
    """

    def __init__(
        self, catalog: Catalog, scope: Scope, cache: CatalogCache | None, fetch: Fetch, timings: Timings = DEFAULT
    ) -> None:
        self.catalog = catalog
        self.on_change: list[OnChange] = []
        self._contract = catalog.contract or catalog
        self._scope: Scope = scope
        self._cache = cache
        self._fetch = fetch
        self._timings = timings
        self._tasks: TaskSupervisor | None = None
        self._next_refresh_at = 0.0
        self._is_stale = False
        self._is_refreshing = False
        self._refreshed = anyio.Event()
        self._first_list_by = math.inf

    def run_in(self, tasks: TaskSupervisor) -> None:
        """Refresh the list in these tasks from now on."""
        self._tasks = tasks

    def schedule_refresh(self) -> None:
        """Check for a newer list in a task, once in `list_pause_seconds`.

        The gateway is asked if the list is older than `list_age_seconds`.
        """
        self._refresh_in_task(after_seconds=self._timings.answer_first_seconds)

    async def wait_for_first(self, within_seconds: float) -> None:
        """Wait for the very first list, for the gateway's own spelling of a model.

        The earliest deadline holds for all callers.
        """
        if self.catalog.listing is None and self._cache is not None and self._tasks is not None:
            self._refresh_in_task(after_seconds=0)
            self._first_list_by = min(self._first_list_by, anyio.current_time() + within_seconds)
            with anyio.CancelScope(deadline=self._first_list_by):
                await self._refreshed.wait()

    async def take_newer(self) -> None:
        """Use a newer list from another process, if there is one."""
        if self._cache is not None and self._cache.has_changed():
            await self._adopt(self._cache.read())

    def mark_stale(self) -> None:
        """Refresh the list soon, because the gateway did not know a model on it."""
        self._is_stale = True
        self._next_refresh_at = 0.0

    async def refresh(self) -> None:
        """Request the list now; raises `ImageError` if there is none, and keeps the last good one."""
        if self._cache is not None:
            self._cache.note_request()
            await self._ask(self._cache)

    async def take(self, answer: "ModelsAnswer") -> None:
        """Use the list in an answer; raises `GatewayError` if it has no image models."""
        if self._cache is not None:
            try:
                self._store(self._cache, answer)
            finally:  # a list without image models may still have new strangers
                await self._adopt(self._cache.read())

    def _refresh_in_task(self, after_seconds: float) -> None:
        cache, tasks, pause_seconds = self._cache, self._tasks, self._timings.list_pause_seconds
        if cache is None or tasks is None or self._is_refreshing:
            return
        now = cache.clock()
        if 0 < self._next_refresh_at - now <= pause_seconds:  # it is further away if the clock was turned back
            return
        self._is_refreshing = True
        self._next_refresh_at = now + pause_seconds
        tasks.start(lambda: self._refresh_quietly(cache, after_seconds))

    async def _refresh_quietly(self, cache: CatalogCache, after_seconds: float) -> None:
        try:
            await anyio.sleep(after_seconds)
            await self._adopt(cache.read())  # another process may have stored a newer one
            if self._is_old(cache.clock()):
                await (self._ask(cache) if cache.take_turn() else self._await_another(cache))
        except ImageError as error:
            _log.info("the gateway's list of models could not be fetched: %s", error.message)
        except Exception:  # noqa: BLE001 - an error in the background must not end the other tasks
            _log.exception("fetching the gateway's list of models failed unexpectedly")
        finally:
            self._is_refreshing = False
            self._refreshed.set()

    async def _await_another(self, cache: CatalogCache) -> None:
        """Wait for the very first list while another process requests it."""
        is_requesting = True
        while self.catalog.listing is None and is_requesting:
            await anyio.sleep(self._timings.other_list_poll_seconds)
            cached = cache.read()
            await self._adopt(cached)
            seconds_since_request = cache.clock() - cached.asked_at
            is_requesting = not cached.failure and 0 <= seconds_since_request < self._timings.other_list_seconds

    async def _ask(self, cache: CatalogCache) -> None:
        cached = cache.read()
        try:
            answer = await self._fetch(cached.etag if cached.listing else "")
        except ImageError as error:
            cache.fail(error.message)
            raise
        await self.take(answer)
        self._is_stale = False

    def _store(self, cache: CatalogCache, answer: "ModelsAnswer") -> None:
        from blockrun_image.listing import read_listing  # noqa: PLC0415 - as in the cache, not needed to start

        if answer.status == _NOT_MODIFIED and cache.read().listing is not None:
            cache.confirm()
            return
        listing = read_listing(answer.body, answer.gateway, cache.clock()) if answer.status == 200 else None
        unknown = strangers(self._contract, listing) if listing else ()
        if listing is None or join(self._contract, listing).listing is None:
            why = f"{answer.gateway} has no list of image models (HTTP {answer.status})."
            cache.fail(why, unknown)
            raise GatewayError(why, answer=Answer(status=answer.status))
        cache.keep(without_strangers(self._contract, listing), answer.etag, unknown)

    async def _adopt(self, cached: "CachedListing") -> None:
        listing = cached.listing or self.catalog.listing
        if listing == self.catalog.listing and cached.strangers == self.catalog.strangers:
            return
        self.catalog = replace(join(self._contract, listing, self._scope), strangers=cached.strangers)
        for notify in self.on_change:
            await notify(self.catalog)

    def _is_old(self, now: float) -> bool:
        listing = self.catalog.listing
        return self._is_stale or listing is None or not 0 <= now - listing.seen_at < self._timings.list_age_seconds
