"""Pictures under names that a caller chose: written whole, below their folder, over nothing."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest
from tests.support.placing import PICTURE, SYSTEMS, images_folder, tree
from tests.support.platforms import has_mode, only_on_linux, only_on_posix

from blockrun_image.errors import StorageError
from blockrun_image_mcp.images import pinned_folder, placing
from blockrun_image_mcp.images.placing import check_place, place

ALWAYS = 10**9


def place_picture(root: Path, relative: PurePath, *, remedy: str | None = None) -> None:
    place(root, relative, PICTURE, remedy=remedy)


BOTH = pytest.mark.parametrize(("work", "charged"), [(check_place, "no"), (place_picture, "yes")])
"""Before paying and after it."""
Work = Callable[..., None]


@pytest.fixture(params=SYSTEMS)
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return images_folder(request.param, tmp_path, monkeypatch)


def fail(
    patch: pytest.MonkeyPatch, owner: object, name: str, error: Callable[[], OSError], times: int = ALWAYS
) -> list[str]:
    """Let a function of the system fail so many times, and return the list in which its calls are noted."""
    real: Callable[..., object] = getattr(owner, name)
    calls: list[str] = []

    def failing(*arguments: object, **more: object) -> object:
        calls.append(name)
        if len(calls) <= times:
            raise error()
        return real(*arguments, **more)

    patch.setattr(owner, name, failing)
    return calls


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def unsupported() -> OSError:
    return PermissionError(errno.EPERM, "Operation not permitted")


def refused() -> OSError:
    return PermissionError(errno.EACCES, "Permission denied")


def test_picture_is_written_under_its_name_in_new_folders(root: Path) -> None:
    path = place(root, PurePosixPath("assets/img/hero.png"), PICTURE)
    assert path == root / "assets" / "img" / "hero.png"
    assert path.read_bytes() == PICTURE
    assert place(root, PurePosixPath("assets/img/x"), b"").read_bytes() == b""
    assert tree(root) == ["assets", "assets/img", "assets/img/hero.png", "assets/img/x"]


@only_on_posix("modes")
def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        path = place(tmp_path / "new", PurePath("a/b/hero.png"), PICTURE)
    finally:
        os.umask(old)
    assert has_mode(path, 0o640)
    assert has_mode(path.parent, 0o750)
    assert has_mode(tmp_path / "new" / "a", 0o750)
    assert has_mode(tmp_path / "new", 0o700), "the images folder itself stays private"


def test_taken_name_gets_the_next_number(root: Path) -> None:
    (root / "hero.v1.png").write_bytes(b"mine")
    (root / "hero.v1-2.png").mkdir()
    (root / "hero.v1-3.png").symlink_to(root / "none")
    (root / "hero.v1-5.png").symlink_to(root / "hero.v1.png")
    paths = [place(root, PurePath("hero.v1.png"), PICTURE) for _ in range(2)]
    assert [path.name for path in paths] == ["hero.v1-4.png", "hero.v1-6.png"]
    assert (root / "hero.v1.png").read_bytes() == b"mine"
    assert not (root / "none").exists()
    (root / "x").touch()
    assert place(root, PurePath("x"), PICTURE).name == "x-2"


def test_numbers_end_at_a_bound(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "_MAX_SAME_NAMES", 3)
    names = [place(root, PurePath("a.png"), PICTURE).name for _ in range(3)]
    with pytest.raises(StorageError, match="this name is taken, and so are its 2 numbered ones") as caught:
        place(root, PurePath("a.png"), PICTURE)
    assert names == ["a.png", "a-2.png", "a-3.png"]
    assert tree(root) == sorted(names)
    assert caught.value.hint == "Choose another name in save_as."


@only_on_posix("patched functions of the system are not for several threads")
def test_writers_at_once_never_share_a_name(tmp_path: Path) -> None:
    contents = [bytes([number]) * 10_000 for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        paths = list(threads.map(partial(place, tmp_path, PurePath("a/hero.png")), contents))
    assert [path.read_bytes() for path in paths] == contents
    assert len(set(paths)) == len(tree(tmp_path / "a")) == 40


@pytest.mark.parametrize(
    "relative",
    [
        PurePosixPath(),
        PurePosixPath("../a.png"),
        PurePosixPath("a/../../b.png"),
        PurePosixPath("/a.png"),
        PurePosixPath("a\\b.png"),
        PurePosixPath("C:a.png"),
        PurePosixPath("a.png:stream"),
        PurePosixPath("a\0.png"),
        PureWindowsPath("C:a.png"),
        PureWindowsPath("//server/share/a.png"),
    ],
)
@BOTH
def test_path_that_is_not_below_the_folder_is_refused(relative: PurePath, work: Work, charged: str, root: Path) -> None:
    with pytest.raises(StorageError, match="not a path below") as caught:
        work(root, relative)
    assert caught.value.charged == charged
    assert tree(root.parent) == ["images"]


def test_folder_that_is_not_absolute_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(StorageError, match="home or working folder does not exist"):
        place(Path("~/images"), PurePath("a.png"), PICTURE)
    assert tree(root) == []


# the system refuses


def test_full_disk_is_reported_and_leaves_no_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, os, "fsync", full)
    with pytest.raises(StorageError, match=r"as a/b\.png in .*images: No space left on device\.$") as caught:
        place(root, PurePath("a/b.png"), PICTURE)
    assert (caught.value.charged, caught.value.hint[:15]) == ("yes", "Free some space")
    assert tree(root) == ["a"]


@only_on_posix("a limit for files")
def test_half_written_file_is_removed(tmp_path: Path) -> None:
    assert run("resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))", tmp_path) == (1, "File too large.")
    assert tree(tmp_path) == ["a"]


@only_on_posix("a signal that cannot be handled")
@pytest.mark.parametrize("where", ["fsync", "link"])
def test_killed_process_leaves_no_file_under_the_name(where: str, tmp_path: Path) -> None:
    code, _ = run(f"os.{where} = lambda *_, **__: os.kill(os.getpid(), 9)", tmp_path)
    assert code == -9
    (part,) = (tmp_path / "a").iterdir()
    assert part.name.startswith("hero.png.")
    assert part.suffix == ".part"


def run(first: str, root: Path) -> tuple[int, str]:
    """Place a picture in a process that does something else first; return its exit code and the end of its error."""
    program = f"""
import os, resource, sys
from pathlib import Path
from blockrun_image.errors import StorageError
from blockrun_image_mcp.images import pinned_folder
from blockrun_image_mcp.images.placing import place
{first}
try:
    place(Path({str(root)!r}), Path("a/hero.png"), bytes(100_000))
except StorageError as error:
    sys.exit(error.message)
"""
    # the measure of coverage would meet the limit, too
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, timeout=50, check=False
    )
    return done.returncode, done.stderr.decode().strip().rpartition(": ")[2]


@only_on_linux("there, nobody can create files in /sys, not even root")
@BOTH
@pytest.mark.parametrize("path", ["hero.png", "kernel/hero.png", "new/hero.png"])
def test_read_only_folder_is_reported(path: str, work: Work, charged: str) -> None:
    with pytest.raises(StorageError, match="in /sys: ") as caught:
        work(Path("/sys"), PurePath(path))
    assert caught.value.charged == charged
    assert "save_as, or set BLOCKRUN_IMAGE_DIR" in caught.value.hint


def naming(monkeypatch: pytest.MonkeyPatch, error: Callable[[], OSError], times: int = ALWAYS) -> list[str]:
    """Let the naming of a written file fail, as each system does it."""
    if sys.platform == "win32":
        return fail(monkeypatch, Path, "rename", error, times)
    without_links(monkeypatch)
    return fail(monkeypatch, os, "rename", error, times)


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Act as a file system that neither has hard links nor renames over nothing in one step."""
    fail(monkeypatch, os, "link", unsupported)
    fail(monkeypatch, pinned_folder, "rename_new", unsupported)


def test_name_that_is_refused_for_a_while_is_tried_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = naming(monkeypatch, refused, times=3)
    assert place(root, PurePath("a.png"), PICTURE) == root / "a.png"
    assert len(calls) > 3
    assert tree(root) == ["a.png"]


@pytest.mark.parametrize("error", [refused, full])
def test_picture_that_cannot_be_named_keeps_its_temporary_name(
    error: Callable[[], OSError], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    naming(monkeypatch, error)
    path = place(root, PurePath("a/b.png"), PICTURE)
    assert (path.suffix, path.parent, path.read_bytes()) == (".part", root / "a", PICTURE)
    assert tree(root) == ["a", f"a/{path.name}"]


@only_on_posix("there, an open file cannot be removed")
def test_picture_that_another_program_removes_is_reported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def removing(descriptor: int) -> None:
        real(descriptor)
        next(root.glob("*.part")).unlink()

    monkeypatch.setattr(os, "fsync", removing)
    with pytest.raises(StorageError, match="No such file"):
        place(root, PurePath("a.png"), PICTURE)
    assert tree(root) == []


@only_on_posix("hard links are used there")
@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("has_call", [True, False])
def test_file_system_without_hard_links_overwrites_nothing(
    number: int, has_call: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, os, "link", lambda: OSError(number, "no links"))
    if not has_call:
        fail(monkeypatch, pinned_folder, "rename_new", lambda: OSError(errno.EINVAL, "no flags"))
    (tmp_path / "a.png").write_bytes(b"mine")
    (tmp_path / "a-2.png").symlink_to(tmp_path / "none")
    assert place(tmp_path, PurePath("a.png"), PICTURE).read_bytes() == PICTURE
    assert tree(tmp_path) == ["a-2.png", "a-3.png", "a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"mine"


NO_LINKS = "os.link = pinned_folder.rename_new = lambda *_, **__: os.stat('/none/there')"
KILLED_IN_RENAME = """
real, left = os.rename, [{}]
def rename(*names, **more):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), 9)
    real(*names, **more)
os.rename = rename
"""


@only_on_linux("some file systems of other systems have no such call")
def test_one_step_names_a_file_where_there_are_no_hard_links(tmp_path: Path) -> None:
    first = f"os.link = lambda *_, **__: os.stat('/none/there')\n{KILLED_IN_RENAME.format(1)}"
    assert run(first, tmp_path) == (0, "")
    assert tree(tmp_path) == ["a", "a/hero.png"]


@only_on_linux("some file systems of other systems have no such call")
def test_one_step_takes_no_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("none")
    (tmp_path / "folder").mkdir()
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        for name in ("link", "folder"):
            with pytest.raises(FileExistsError):
                pinned_folder.rename_new(folder, "a", name)
        pinned_folder.rename_new(folder, "a", "é.png")
    finally:
        os.close(folder)
    assert tree(tmp_path) == ["folder", "link", "é.png"]


@only_on_posix("descriptors of folders")
def test_system_without_that_step_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "freebsd14")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSYS)):
        pinned_folder.rename_new(-1, "a", "b")


@only_on_posix("a signal that cannot be handled")
def test_next_call_finishes_what_a_killed_process_has_reserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _ = run(f"{NO_LINKS}\n{KILLED_IN_RENAME.format(2)}", tmp_path)
    hero = tmp_path / "a" / "hero.png"
    assert (code, hero.stat().st_size, len(tree(tmp_path))) == (-9, 0, 3)
    without_links(monkeypatch)
    assert place(tmp_path, PurePath("a/hero.png"), PICTURE).name == "hero-2.png"
    assert hero.stat().st_size == 0, "its process could still be alive"
    os.utime(hero, (1, 1))
    assert place(tmp_path, PurePath("a/hero.png"), PICTURE).name == "hero-3.png"
    assert hero.read_bytes() == bytes(100_000)
    assert tree(tmp_path / "a") == ["hero-2.png", "hero-3.png", "hero.png"]


@only_on_posix("a signal that cannot be handled")
def test_process_that_is_killed_before_it_reserves_a_name_leaves_no_empty_file(tmp_path: Path) -> None:
    assert run(f"{NO_LINKS}\n{KILLED_IN_RENAME.format(1)}", tmp_path)[0] == -9
    (part,) = (tmp_path / "a").iterdir()
    assert (part.suffix, part.stat().st_size) == (".part", 100_000)


@only_on_posix("hard links are used there")
@pytest.mark.parametrize("has_links", [True, False])
def test_empty_file_of_somebody_else_stays(has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_links:
        without_links(monkeypatch)
    (tmp_path / "a.png").touch()
    os.utime(tmp_path / "a.png", (1, 1))
    (tmp_path / "a.png.01234567.part").write_bytes(b"half")
    assert place(tmp_path, PurePath("a.png"), PICTURE).name == "a-2.png"
    assert (tmp_path / "a.png").read_bytes() == b""


@only_on_posix("hard links are used there")
def test_file_that_another_process_has_finished_meanwhile_counts_as_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_links(monkeypatch)
    real, calls = os.rename, list[str]()

    def rename(name: str, new_name: str, **more: int) -> None:
        calls.append(name)
        real(name, new_name, **more)
        if len(calls) == 2:
            raise FileNotFoundError(errno.ENOENT, "it was renamed")

    monkeypatch.setattr(os, "rename", rename)
    assert place(tmp_path, PurePath("a.png"), PICTURE).read_bytes() == PICTURE
    assert tree(tmp_path) == ["a.png"]


# before paying


@BOTH
def test_other_advice_replaces_that_about_the_argument(work: Work, charged: str, root: Path) -> None:
    (root / "a").touch()
    remedy = "Name another file with --output."
    with pytest.raises(StorageError, match="a is not a folder") as caught:
        work(root, PurePath("a/b.png"), remedy=remedy)
    assert (caught.value.charged, caught.value.hint) == (charged, remedy)


def test_check_leaves_nothing_behind(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "taken.png").touch()
    for path in ("hero.png", "a/taken.png", "a/hero.png", "a/b/c/hero.png", "new/hero.png"):
        check_place(root, PurePath(path))
    assert tree(root) == ["a", "a/taken.png"]
    check_place(root / "missing", PurePath("a/b.png"))
    assert tree(root / "missing") == []


@BOTH
@pytest.mark.parametrize("path", ["a/b/c.png", "a/b/c/d.png"])
def test_file_in_place_of_a_folder_is_reported(path: str, work: Work, charged: str, root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "b").touch()
    with pytest.raises(StorageError, match="b is not a folder") as caught:
        work(root, PurePath(path))
    assert (caught.value.charged, caught.value.hint) == (charged, "Choose another folder in save_as.")
    assert tree(root) == ["a", "a/b"]


@pytest.mark.parametrize("path", ["x" * 250 + ".png", "a/" + "x" * 250 + ".png"])
def test_name_too_long_for_the_disk_is_reported_before_paying(path: str, root: Path) -> None:
    (root / "a").mkdir()
    with pytest.raises(StorageError, match="cannot be saved") as caught:
        check_place(root, PurePath(path))
    assert caught.value.charged == "no"
    assert "name in save_as" in caught.value.hint
    assert tree(root) == ["a"]
