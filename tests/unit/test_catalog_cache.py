"""The file in which a gateway's list is kept: whole or not at all, for one gateway and rail, asked for once an hour."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from tests.support.fakes import Clock
from tests.support.platforms import has_mode, only_on_posix
from tests.support.processes import process_environment

from blockrun_image.listing import ListedModel, Listing
from blockrun_image_mcp.catalogs.cache import CatalogCache
from blockrun_image_mcp.catalogs.cached_listing import CachedListing

if sys.platform != "win32":
    import resource

NOW = 1_795_000_000.0
HOUR = 3_600.0
BASE_URL = "https://api.example/v1"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "catalogs"


@pytest.fixture
def cache(folder: Path, clock: Clock) -> CatalogCache:
    return CatalogCache(folder, BASE_URL, "account", clock)


def listing(*ids: str) -> Listing:
    return Listing(gateway="api.example", seen_at=NOW, models=tuple(ListedModel(id=id) for id in ids))


def seen_by_another(cache: CatalogCache) -> CachedListing:
    """Return what another process of the user reads."""
    return CatalogCache(cache.path.parent, BASE_URL, "account", cache.clock).read()


def test_another_process_reads_the_cached_list(cache: CatalogCache, clock: Clock) -> None:
    cache.note_request()
    cache.keep(listing("openai/dall-e-3"), '"one"')
    kept = seen_by_another(cache)
    assert (kept.listing, kept.etag, kept.asked_at, kept.failure) == (listing("openai/dall-e-3"), '"one"', NOW, "")
    assert [path.name for path in cache.path.parent.iterdir()] == [cache.path.name]
    assert has_mode(cache.path, 0o600)


def test_failure_is_reported_while_the_last_good_list_is_kept(cache: CatalogCache, clock: Clock) -> None:
    cache.confirm()
    assert cache.read().listing is None
    cache.keep(listing("dall-e-3"), '"one"')
    cache.fail("It was down. " * 100)
    assert (cache.read().listing, len(cache.read().failure)) == (listing("dall-e-3"), 500)
    clock.now += HOUR
    cache.confirm()
    kept = seen_by_another(cache)
    assert kept.listing == listing("dall-e-3").model_copy(update={"seen_at": NOW + HOUR})
    assert (kept.failure, kept.etag) == ("", '"one"')
    cache.keep(listing("dall-e-2"), "")
    assert (seen_by_another(cache).listing, seen_by_another(cache).etag) == (listing("dall-e-2"), "")


def test_list_of_another_gateway_or_rail_is_ignored(cache: CatalogCache, folder: Path) -> None:
    cache.keep(listing("dall-e-3"), "")
    others = [
        CatalogCache(folder, "https://other.example/v1", "account"),
        CatalogCache(folder, BASE_URL, "wallet"),
        CatalogCache(folder, f"{BASE_URL} ", "account"),
    ]
    for other in others:
        assert other.path != cache.path
        other.path.write_bytes(cache.path.read_bytes())  # also under the name that would be its own
        assert other.read().listing is None


def damaged(**changes: object) -> bytes:
    """Return a file that would be of use but for these changes."""
    kept = CachedListing(base_url=BASE_URL, rail="account", listing=listing("dall-e-3")).model_dump(mode="json")
    return json.dumps(kept | changes).encode()


def test_fields_from_a_newer_version_are_ignored(cache: CatalogCache) -> None:
    cache.path.parent.mkdir(parents=True, exist_ok=True)
    cache.path.write_bytes(damaged(more=1))
    assert cache.read().listing == listing("dall-e-3")


def changed_list(**changes: object) -> bytes:
    return damaged(listing=listing("dall-e-3").model_dump(mode="json") | changes)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"listing": ' * 100_000,
        damaged()[:-1],
        b" " * 5 * 2**20 + damaged(),
        changed_list(models=[{"id": "vendor/any"}]),
        damaged(asked_at="soon"),
        damaged(etag="x" * 501),
        changed_list(seen_at=1e300),
        changed_list(seen_at=float("nan")),
        changed_list(seen_at=-1),
        changed_list(models=[{"id": "a b"}]),
        changed_list(models=[{"id": "dall-e-3", "price_usd": "-1"}]),
        changed_list(gateway="a\nb"),
        b"SQLite format 3\x00" * 1_000,
    ],
    ids=range(18),
)
def test_unreadable_file_counts_as_empty_and_is_replaced(cache: CatalogCache, content: bytes) -> None:
    cache.path.parent.mkdir(parents=True)
    cache.path.write_bytes(content)
    assert cache.read() == CachedListing(base_url=BASE_URL, rail="account")
    assert cache.take_turn()
    cache.keep(listing("dall-e-2"), "")
    assert seen_by_another(cache).listing == listing("dall-e-2")


def test_undamaged_base_file_is_readable(cache: CatalogCache) -> None:
    cache.path.parent.mkdir(parents=True)
    cache.path.write_bytes(changed_list())
    assert cache.read().listing == listing("dall-e-3")


def test_reader_never_sees_a_half_written_list(
    cache: CatalogCache,
) -> None:
    long, short = listing(*(f"model-{number}" for number in range(400))), listing("dall-e-3")
    cache.keep(short, "")
    enough = Event()

    def write() -> None:
        while not enough.is_set():
            cache.keep(long, "")
            cache.keep(short, "")

    writer = Thread(target=write)
    writer.start()
    read = [seen_by_another(cache).listing for _ in range(100)]
    enough.set()
    writer.join()
    assert all(each in (long, short) for each in read)


@contextmanager
def full_disk(most_bytes: int) -> Generator[None]:
    """Let no file of this process become larger: what is written beyond fails, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@only_on_posix("limits of a process")
def test_failed_write_keeps_the_old_file_and_leaves_no_litter(cache: CatalogCache) -> None:
    cache.keep(listing("dall-e-3"), "")
    before = cache.path.read_bytes()
    with full_disk(100):
        cache.keep(listing("dall-e-2"), "")
        assert cache.read().listing == listing("dall-e-2")  # as long as this process lasts
        assert cache.path.read_bytes() == before
        assert [path.name for path in cache.path.parent.iterdir()] == [cache.path.name]
    cache.keep(listing("nano-banana"), "")
    assert seen_by_another(cache).listing == listing("nano-banana")
    CatalogCache(cache.path.parent, BASE_URL, "account").keep(listing("dall-e-3"), "")
    assert cache.read().listing == listing("dall-e-3")  # what others write counts again


def test_process_remembers_lists_and_claims_if_nothing_can_be_written(
    cache: CatalogCache, folder: Path, clock: Clock
) -> None:
    folder.parent.mkdir()
    folder.write_text("a file in the place of the folder")
    assert cache.take_turn()
    assert not cache.take_turn()
    cache.keep(listing("dall-e-3"), '"one"')
    assert (cache.read().listing, cache.read().etag) == (listing("dall-e-3"), '"one"')
    assert seen_by_another(cache).listing is None
    clock.now += HOUR
    assert cache.take_turn()
    folder.unlink()
    cache.confirm()
    assert seen_by_another(cache).listing == cache.read().listing


def test_folder_in_place_of_the_file_is_tolerated(cache: CatalogCache) -> None:
    cache.path.mkdir(parents=True)
    (cache.path / "something").touch()
    cache.keep(listing("dall-e-3"), "")
    assert cache.read().listing == listing("dall-e-3")
    assert (cache.take_turn(), cache.take_turn()) == (True, False)
    assert [path.name for path in cache.path.parent.iterdir()] == [cache.path.name]


def test_base_url_that_is_not_valid_text_has_its_own_cache(folder: Path) -> None:
    cache = CatalogCache(folder, "https://api.example/\udcff", "account")
    cache.keep(listing("dall-e-3"), "")
    assert CatalogCache(folder, "https://api.example/\udcff", "account").read() == cache.read()
    assert CatalogCache(folder, "https://api.example/\udcfe", "account").read().listing is None


def test_gateway_is_queried_at_most_once_an_hour_even_after_failures(cache: CatalogCache, clock: Clock) -> None:
    asked: list[bool] = []
    for seconds in (0, 1, HOUR - 2, 1, 0, HOUR - 1, 1):
        clock.now += seconds
        asked.append(cache.take_turn())
        cache.fail("It was down.")
    assert asked == [True, False, False, True, False, False, True]


def test_clock_set_back_does_not_block_claims(cache: CatalogCache, clock: Clock) -> None:
    assert cache.take_turn()
    clock.now -= 365 * 24 * HOUR
    assert cache.take_turn()
    assert not cache.take_turn()


def hold_lock(cache: CatalogCache, since: float) -> Path:
    """Leave the lock that a process holds while it claims, or of which it was killed."""
    lock = cache.path.with_suffix(".lock")
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (since, since))
    return lock


def test_fresh_lock_blocks_all_claims(cache: CatalogCache) -> None:
    lock = hold_lock(cache, NOW - 59)
    assert (cache.take_turn(), cache.take_turn(), lock.exists()) == (False, False, True)


@pytest.mark.parametrize("seconds", [61, -61, -1e8], ids=["old", "later", "years later"])
def test_stale_lock_of_a_killed_process_blocks_one_claim_at_most(cache: CatalogCache, seconds: float) -> None:
    lock = hold_lock(cache, NOW - seconds)
    assert (cache.take_turn(), cache.take_turn(), cache.take_turn()) == (False, True, False)
    assert not lock.exists()


CLAIMING = f"""
import sys
from pathlib import Path
from blockrun_image_mcp.catalogs.cache import CatalogCache
for folder in sys.stdin:
    print(CatalogCache(Path(folder.strip()), {BASE_URL!r}, "account").take_turn(), flush=True)
"""


def tell(process: "subprocess.Popen[str]", folder: Path) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{folder}\n")
    process.stdin.flush()


def answers(processes: "Sequence[subprocess.Popen[str]]") -> list[str]:
    return [process.stdout.readline().strip() for process in processes if process.stdout is not None]


def test_one_of_many_simultaneous_processes_claims_the_list(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=process_environment({}),
        )
        for _ in range(8)
    ]
    try:
        for number in range(25):  # the first one also waits until all of them have started
            for process in processes:
                tell(process, tmp_path / f"{number}")
            assert sorted(answers(processes)) == ["False"] * 7 + ["True"]
    finally:
        for process in processes:
            process.communicate()
