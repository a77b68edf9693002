"""Links below the images folder: none leads a picture out of it, not even one that appears while it is written."""

import itertools
import os
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from threading import Event, Thread
from types import SimpleNamespace

import pytest
from tests.support.placing import PICTURE, SYSTEMS, images_folder, tree
from tests.support.platforms import only_on_posix

from blockrun_image.errors import StorageError
from blockrun_image_mcp import files
from blockrun_image_mcp.images.placing import check_place, place

JUNCTION = 0xA000_0003  # IO_REPARSE_TAG_MOUNT_POINT
CLOUD = 0x9000_001A  # IO_REPARSE_TAG_CLOUD, of OneDrive's files and folders


open_files_can_move = only_on_posix("there, an open file cannot be moved, nor can the folders above it")


@pytest.fixture(params=SYSTEMS)
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return images_folder(request.param, tmp_path, monkeypatch)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    (folder / "b").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("target", ["outside", "outside/b", "images/c", "none", "images"])
@pytest.mark.parametrize("path", ["a", "c/a"])
def test_link_on_the_way_is_refused(target: str, path: str, root: Path, outside: Path) -> None:
    (root / "c").mkdir()
    (root / path).symlink_to(root.parent / target, target_is_directory=True)
    before = tree(outside), tree(root)
    for each in (f"{path}/b.png", f"{path}/b/c.png"):
        with pytest.raises(
            StorageError, match=r"could not be saved .*: a is a link, and links are not followed"
        ) as caught:
            place(root, PurePath(each), PICTURE)
        assert caught.value.hint == "Choose another folder in save_as."
        with pytest.raises(StorageError, match=r"cannot be saved .*: a is a link"):
            check_place(root, PurePath(each))
    assert (tree(outside), tree(root)) == before


def test_images_folder_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root, target_is_directory=True)
    check_place(link, PurePath("a/b.png"))
    assert place(link, PurePath("a/b.png"), PICTURE) == link / "a" / "b.png"
    assert (root / "a" / "b.png").read_bytes() == PICTURE


@pytest.mark.parametrize(("tag", "is_refused"), [(JUNCTION, True), (CLOUD, False)])
def test_junction_is_a_link_and_a_folder_of_onedrive_is_none(
    tag: int, is_refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = images_folder("windows", tmp_path, monkeypatch)
    (root / "a").mkdir()
    real = Path.lstat

    def lstat(path: Path) -> object:
        return SimpleNamespace(st_mode=stat.S_IFDIR, st_reparse_tag=tag) if path.name == "a" else real(path)

    monkeypatch.setattr(Path, "lstat", lstat)
    if is_refused:
        with pytest.raises(StorageError, match="a is a link"):
            place(root, PurePath("a/b.png"), PICTURE)
    else:
        assert place(root, PurePath("a/b.png"), PICTURE).read_bytes() == PICTURE


# links that appear while a picture is written


def around(
    patch: pytest.MonkeyPatch, owner: object, name: str, before: Callable[[], None], after: Callable[[], None]
) -> None:
    """Do some work before and after the next call of a function of the system."""
    real: Callable[..., object] = getattr(owner, name)

    def patched(*arguments: object, **more: object) -> object:
        patch.setattr(owner, name, real)
        before()
        done = real(*arguments, **more)
        after()
        return done

    patch.setattr(owner, name, patched)


def nothing() -> None:
    """Do nothing."""


@pytest.mark.parametrize("target", ["outside", "images/c"])
@pytest.mark.parametrize("path", ["a/b/hero.png", "a/hero.png"])
@pytest.mark.parametrize(
    "moment",
    [
        "entered",
        pytest.param("created", marks=open_files_can_move),
        pytest.param("written", marks=open_files_can_move),
        "named",
    ],
)
@pytest.mark.usefixtures("outside")
def test_folder_that_becomes_a_link_meanwhile_is_reported(
    moment: str, path: str, target: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "c" / "b").mkdir(parents=True)

    def swap() -> None:
        os.rename(root / "a", root / "aside")  # noqa: PTH104 - Path.rename may be the next call
        (root / "a").symlink_to(root.parent / target, target_is_directory=True)

    match moment:
        case "entered":
            around(monkeypatch, files, "create", swap, nothing)
        case "created":
            around(monkeypatch, files, "create", nothing, swap)
        case "written":
            around(monkeypatch, os, "fsync", nothing, swap)
        case _:
            owner, name = (Path, "rename") if sys.platform == "win32" else (os, "link")
            around(monkeypatch, owner, name, nothing, swap)
    with pytest.raises(StorageError, match=r"moved or replaced|No such file|cannot find"):
        place(root, PurePath(path), PICTURE)
    assert tree(root.parent / "outside") == ["b"]
    assert tree(root / "c") == ["b"]


@open_files_can_move
def test_file_that_becomes_a_link_to_a_secret_is_not_returned(
    root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = outside / "secret.png"
    secret.write_bytes(b"secret")

    def replace() -> None:
        (part,) = root.glob("*.part")
        part.unlink()
        part.symlink_to(secret)

    around(monkeypatch, os, "fsync", nothing, replace)
    with pytest.raises(StorageError, match="moved or replaced"):
        place(root, PurePath("a.png"), PICTURE)
    assert not any(path.is_file() and not path.is_symlink() for path in root.iterdir())


@open_files_can_move
def test_no_race_of_links_leads_a_picture_outside(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "images"
    root.mkdir()
    before = (modified(outside), open_files())
    results: list[str] = []
    with swapping(root / "a", outside):
        while len(results) < 400 or (len({*results}) < 2 and len(results) < 20_000):
            try:
                place(root, PurePath("a/b/hero.png"), b"x")
                results.append("placed")
            except StorageError:
                results.append("refused")
    assert {*results} == {"placed", "refused"}, "else there was no race"
    assert tree(outside) == ["b"]
    assert (modified(outside), open_files()) == before


def modified(folder: Path) -> list[int]:
    """Return when anything was last created or removed in a folder and those in it."""
    return [each.stat().st_mtime_ns for each in (folder, *folder.rglob("*"))]


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


@contextmanager
def swapping(folder: Path, outside: Path) -> Generator[None]:
    """Let another thread put a link in place of a folder, and take it away again, all the time."""
    is_over = Event()

    def swap_again() -> None:
        for number in itertools.count():
            if is_over.is_set():
                return
            with suppress(OSError):
                folder.rename(folder.with_name(f"aside-{number}"))
            with suppress(OSError):
                folder.symlink_to(outside, target_is_directory=True)
            with suppress(OSError):
                folder.unlink()

    thread = Thread(target=swap_again)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
