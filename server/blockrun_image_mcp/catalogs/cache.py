"""Keeps what a gateway has listed in a file that all processes of one user share."""

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
    from blockrun_image_mcp.catalogs.kept import Kept

_LARGEST_BYTES = 4 * 2**20


class CatalogCache:
    """The file for one gateway and rail, in a folder for all; `clock` gives the seconds since 1970.

    Where it cannot be written, what it would hold lasts as long as this process.
    """

    def __init__(
        self,
        folder: Path,
        base_url: str,
        rail: str,
        clock: Callable[[], float] = time.time,
        timings: Timings = DEFAULT,
    ) -> None:
        base_url = base_url.encode("utf-8", "backslashreplace").decode()  # the environment may hold bytes of no text
        self.path = folder / f"{hashlib.sha256(f'{rail} {base_url}'.encode()).hexdigest()[:16]}.json"
        self.clock = clock
        self._timings = timings
        self._identity = (base_url, rail)
        self._unwritten: Kept | None = None
        self._seen: tuple[int, int, int] | None = None

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept."""
        with suppress(OSError):
            return self.path.exists()
        return False

    def has_changed(self) -> bool:
        """Return whether the file is another one than when this was asked last."""
        with suppress(OSError):
            stat = self.path.stat()
            before, self._seen = self._seen, (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            return before != self._seen
        return False

    def read(self) -> "Kept":
        """Return what is kept; a file that cannot be read, or is another gateway's, holds nothing."""
        from blockrun_image_mcp.catalogs.kept import Kept  # noqa: PLC0415 - loads what checks a list: 4 ms of a start

        nothing = Kept(base_url=self._identity[0], rail=self._identity[1])
        if self._unwritten is not None:
            return self._unwritten
        try:
            with self.path.open("rb") as file:
                kept = Kept.model_validate_json(file.read(_LARGEST_BYTES))
        except (OSError, ValueError):
            return nothing
        return kept if (kept.base_url, kept.rail) == self._identity else nothing

    def claim(self) -> bool:
        """Tell whether the gateway may be asked now, which only one process may in an hour, and note that it is."""
        with self._locked() as is_mine:
            may_ask = is_mine and not 0 <= self.clock() - self.read().asked_at < self._timings.list_pause_seconds
            if may_ask:
                self.note_asking()
            return may_ask

    def note_asking(self) -> None:
        """Note that the gateway is asked now, and how that ends is not known."""
        self._write(self.read().model_copy(update={"asked_at": self.clock(), "failure": ""}))

    def keep(self, listing: "Listing", etag: str, strangers: Sequence[str] = ()) -> None:
        """Replace the list."""
        news = {"listing": listing, "etag": etag[:500], "failure": "", "strangers": tuple(strangers)}
        self._write(self.read().model_copy(update=news))

    def confirm(self) -> None:
        """Note that the list is still the same."""
        kept = self.read()
        if kept.listing is not None:
            seen_now = kept.listing.model_copy(update={"seen_at": self.clock()})
            self._write(kept.model_copy(update={"listing": seen_now, "failure": ""}))

    def fail(self, why: str, strangers: Sequence[str] = ()) -> None:
        """Note why there was no list to be had; the last good one stays, and the strangers, unless there are others."""
        kept = self.read()
        others = tuple(strangers) or kept.strangers
        self._write(kept.model_copy(update={"failure": why[:500], "strangers": others}))

    def _write(self, kept: "Kept") -> None:
        """Write the file whole or not at all."""
        try:
            if not self.path.is_absolute():
                raise FileNotFoundError("there is no home folder")
            make_folder(self.path.parent)
            write_whole(self.path, kept.model_dump_json().encode())
        except OSError:
            self._unwritten = kept
        else:
            self._unwritten = None

    @contextmanager
    def _locked(self) -> Generator[bool]:
        """Keep other processes out, and tell whether that was possible."""
        lock = self.path.with_suffix(".lock")
        if not lock.is_absolute():  # without a home folder, nothing is shared
            yield True
            return
        try:
            with suppress(OSError):  # a file in the folder's place is no lock
                make_folder(self.path.parent)
            lock.touch(exist_ok=False)
        except FileExistsError:
            with suppress(OSError):
                age_seconds = abs(self.clock() - lock.stat().st_mtime)  # a clock may have been turned back
                if age_seconds > self._timings.list_lock_seconds:
                    lock.unlink()
            yield False
            return
        except OSError:  # nothing can be written there, so that only this process is to be held back
            yield True
            return
        try:
            yield True
        finally:
            remove(lock)
