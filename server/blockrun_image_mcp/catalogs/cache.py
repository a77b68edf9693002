"""Caches a gateway's list in a file, shared by all processes of a user."""

import hashlib
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from blockrun_image_mcp.files import make_folder, remove, write_whole
from blockrun_image_mcp.timings import DEFAULT, Timings

if TYPE_CHECKING:
    from blockrun_image.listing import Listing
    from blockrun_image_mcp.catalogs.cached_listing import CachedListing

_MAX_BYTES = 4 * 2**20


class CatalogCache:
    """The cache file of one gateway and rail, in a folder for all of them.

    `clock` returns the seconds since 1970. If the file cannot be written, its content is kept in this process.
    """

    def __init__(
        self,
        folder: Path,
        base_url: str,
        rail: str,
        clock: Callable[[], float] = time.time,
        timings: Timings = DEFAULT,
    ) -> None:
        base_url = base_url.encode("utf-8", "backslashreplace").decode()  # the environment may hold any bytes
        self.path = folder / f"{hashlib.sha256(f'{rail} {base_url}'.encode()).hexdigest()[:16]}.json"
        self.clock = clock
        self._timings = timings
        self._identity = (base_url, rail)
        self._unwritten: CachedListing | None = None
        self._seen: tuple[int, int, int] | None = None

    @property
    def exists(self) -> bool:
        """Whether the file exists."""
        with suppress(OSError):
            return self.path.exists()
        return False

    def has_changed(self) -> bool:
        """Return whether the file has changed since the last call."""
        with suppress(OSError):
            stat = self.path.stat()
            # each write replaces the file, so the inode may change even if the time and size do not
            before, self._seen = self._seen, (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            return before != self._seen
        return False

    def read(self) -> "CachedListing":
        """Return the content; it is empty if the file cannot be read or is another gateway's."""
        from blockrun_image_mcp.catalogs.cached_listing import CachedListing  # noqa: PLC0415 - loads the checks of a list: 4 ms of a start

        nothing = CachedListing(base_url=self._identity[0], rail=self._identity[1])
        if self._unwritten is not None:
            return self._unwritten
        try:
            with self.path.open("rb") as file:
                cached = CachedListing.model_validate_json(file.read(_MAX_BYTES))
        except (OSError, ValueError):
            return nothing
        return cached if (cached.base_url, cached.rail) == self._identity else nothing

    def take_turn(self) -> bool:
        """Take the next request for the list, and return whether it is this process's turn.

        One process may make a request in every `list_pause_seconds`. A turn is noted as a request.
        """
        with self._lock_out_others() as is_mine:
            may_ask = is_mine and not 0 <= self.clock() - self.read().asked_at < self._timings.list_pause_seconds
            if may_ask:
                self.note_request()
            return may_ask

    def note_request(self) -> None:
        """Note a request for the list, whose result is not known yet."""
        self._write(self.read().model_copy(update={"asked_at": self.clock(), "failure": ""}))

    def keep(self, listing: "Listing", etag: str, strangers: Sequence[str] = ()) -> None:
        """Replace the list."""
        news = {"listing": listing, "etag": etag[:500], "failure": "", "strangers": tuple(strangers)}
        self._write(self.read().model_copy(update=news))

    def confirm(self) -> None:
        """Note that the list is still the same."""
        cached = self.read()
        if cached.listing is not None:
            confirmed = cached.listing.model_copy(update={"seen_at": self.clock()})
            self._write(cached.model_copy(update={"listing": confirmed, "failure": ""}))

    def fail(self, why: str, strangers: Sequence[str] = ()) -> None:
        """Note why there was no list.

        The last good list stays, and so do the strangers unless others are given.
        """
        cached = self.read()
        others = tuple(strangers) or cached.strangers
        self._write(cached.model_copy(update={"failure": why[:500], "strangers": others}))

    def _write(self, cached: "CachedListing") -> None:
        """Write the file whole or not at all."""
        try:
            if not self.path.is_absolute():
                raise FileNotFoundError("there is no home folder")
            make_folder(self.path.parent)
            write_whole(self.path, cached.model_dump_json().encode())
        except OSError:
            self._unwritten = cached
        else:
            self._unwritten = None

    @contextmanager
    def _lock_out_others(self) -> Generator[bool]:
        """Lock out other processes; yield whether this one may go on."""
        lock = self.path.with_suffix(".lock")
        if not lock.is_absolute():  # without a home folder, nothing is shared
            yield True
            return
        try:
            with suppress(OSError):  # a FileExistsError from here would look like another process's lock
                make_folder(self.path.parent)
            lock.touch(exist_ok=False)
        except FileExistsError:
            with suppress(OSError):
                age_seconds = abs(self.clock() - lock.stat().st_mtime)  # the clock may have been turned back
                if age_seconds > self._timings.list_lock_seconds:
                    lock.unlink()
            yield False
            return
        except OSError:  # nothing can be written there, so processes share nothing
            yield True
            return
        try:
            yield True
        finally:
            remove(lock)
