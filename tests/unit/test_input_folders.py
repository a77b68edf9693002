"""Which files a call may start from: those below a few folders, and nothing else on the machine."""

import os
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path, PureWindowsPath

import pytest
from tests.support.platforms import only_on_posix

from blockrun_image.errors import InvalidRequestError
from blockrun_image_mcp.images import input_folders
from blockrun_image_mcp.images.input_folders import InputFolders, allowed_folders

CAT, SECRET = b"a cat", b"a secret"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with pictures, beside a folder with a secret."""
    folder = tmp_path / "project"
    (folder / "assets").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "cat.png").write_bytes(CAT)
    (folder / "assets" / "cat.png").write_bytes(b"in assets")
    (folder / ".hidden.png").write_bytes(SECRET)
    (folder / ".git" / "logo.png").write_bytes(SECRET)
    (folder / "empty.png").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.png").write_bytes(SECRET)
    return folder


def refusal(folders: InputFolders, name: str) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        folders.read(name)
    assert caught.value.charged == "no"
    return caught.value


def refused(project: Path, name: str) -> str:
    return refusal(InputFolders([project]), name).message


@pytest.mark.parametrize("name", ["cat.png", "./cat.png"])
def test_file_is_read_with_its_real_path(project: Path, name: str) -> None:
    assert InputFolders([project]).read(name) == (CAT, Path(os.path.realpath(project)) / "cat.png")


def test_first_folder_that_has_the_file_counts(project: Path) -> None:
    folders = InputFolders([project / "assets", project])
    assert folders.read("cat.png")[0] == b"in assets"
    assert folders.read("assets/cat.png")[0] == b"in assets"


def test_absolute_name_is_taken_if_it_lies_in_a_folder(project: Path) -> None:
    assert InputFolders([project]).read(str(project / "assets" / "cat.png"))[0] == b"in assets"


@only_on_posix("symbolic links")
def test_folder_may_be_named_through_a_link_of_its_own(project: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project)
    folders = InputFolders([tmp_path / "link"])
    for name in (str(project / "cat.png"), str(tmp_path / "link" / "cat.png"), "cat.png"):
        assert folders.read(name) == (CAT, Path(os.path.realpath(project)) / "cat.png")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "its name is empty"),
        ("  ", "its name is empty"),
        ("../elsewhere/secret.png", "it leads out of its folder"),
        ("assets/../../elsewhere/secret.png", "it leads out of its folder"),
        ("{elsewhere}/secret.png", "it lies outside the folders"),
        ("{project}/../elsewhere/secret.png", "it leads out of its folder"),
        ("{project}", "it lies outside the folders"),
        ("/etc/passwd", "it lies outside the folders"),
        ("/", "it lies outside the folders"),
        ("/dev/zero", "it lies outside the folders"),
        ("//etc/passwd", "it lies outside the folders"),
        ("~/secret.png", "~ is not expanded"),
        ("~root/secret.png", "~ is not expanded"),
        (".hidden.png", "hidden files and folders are not used"),
        (".git/logo.png", "hidden files and folders are not used"),
        ("assets/.ssh/id_rsa", "hidden files and folders are not used"),
        ("..hidden.png", "hidden files and folders are not used"),
        ("empty.png", "it is empty"),
        ("assets", "it is a folder"),
        ("assets/", "it is a folder"),
        (".", "it is a folder"),
        ("cat.png/cat.png", "cat.png is not a folder"),
        ("a\0b.png", "its name holds characters"),
        ("a\nb.png", "its name holds characters"),
        ("\ud800.png", "its name holds characters"),
        ("a" * 2_000, "its name is too long"),
        ("a/" * 40 + "cat.png", "its name is too long"),
        ("a" * 300 + ".png", "File name too long"),
        ("%2e%2e/elsewhere/secret.png", "there is no such file"),
        ("..%2felsewhere%2fsecret.png", "hidden files and folders are not used"),
        ("..\\elsewhere\\secret.png", "hidden files and folders are not used"),
        ("\u2024\u2024/elsewhere/secret.png", "there is no such file"),
        ("assets\u2215cat.png", "there is no such file"),
        ("C:\\secret.png", "there is no such file"),
        ("$HOME/secret.png", "there is no such file"),
        ("cat.pgn", "there is no such file. Did you mean cat.png?"),
        ("CAT.PNG", "there is no such file. Did you mean cat.png?"),
    ],
)
@only_on_posix("names of POSIX")
def test_name_that_is_not_a_plain_file_below_a_folder_is_refused(project: Path, name: str, words: str) -> None:
    name = name.format(elsewhere=project.parent / "elsewhere", project=project) if "{" in name else name
    assert words in refused(project, name)


def test_refusal_names_the_folders_and_the_setting(project: Path) -> None:
    error = refusal(InputFolders([project]), "fish.png")
    assert error.hint == f"Name a file below {project}. BLOCKRUN_IMAGE_INPUT_DIRS adds folders."
    assert "Name a file below no folder." in refusal(InputFolders([]), "fish.png").hint


def link_to_a_file(project: Path) -> None:
    (project / "x.png").symlink_to(project.parent / "elsewhere" / "secret.png")


def link_within_the_folder(project: Path) -> None:
    (project / "x.png").symlink_to(project / "cat.png")


def link_to_nothing(project: Path) -> None:
    (project / "x.png").symlink_to(project / "nothing")


def link_to_itself(project: Path) -> None:
    (project / "x.png").symlink_to(project / "x.png")


def pipe(project: Path) -> None:
    os.mkfifo(project / "x.png")


def socket_file(project: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(project)  # the path of a socket is short
        try:
            listener.bind("x.png")
        finally:
            os.chdir(here)


def device(project: Path) -> None:
    (project / "x.png").symlink_to("/dev/zero")


def sparse(project: Path) -> None:
    with (project / "x.png").open("wb") as file:
        file.truncate(100_000_001)


def unreadable(project: Path) -> None:
    (project / "x.png").write_bytes(CAT)
    (project / "x.png").chmod(0)
    if os.geteuid() == 0:
        pytest.skip("root reads everything")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (link_to_a_file, "x.png is a link"),
        (link_within_the_folder, "x.png is a link"),
        (link_to_nothing, "x.png is a link"),
        (link_to_itself, "x.png is a link"),
        (device, "x.png is a link"),
        (pipe, "it is no plain file"),
        (socket_file, "No such device or address"),
        (sparse, "it has more than 100 MB"),
        (unreadable, "Permission denied"),
    ],
)
@only_on_posix("links, pipes and modes")
def test_what_is_no_plain_file_is_refused_at_once(project: Path, make: object, words: str) -> None:
    assert callable(make)
    make(project)
    assert words in refused(project, "x.png")


@only_on_posix("symbolic links")
def test_linked_folder_on_the_way_is_refused(project: Path) -> None:
    (project / "linked").symlink_to(project.parent / "elsewhere")
    assert "linked is a link" in refused(project, "linked/secret.png")
    assert "linked is a link" in refused(project, str(project / "linked" / "secret.png"))


@contextmanager
def swapping(one: Path, link: Path) -> Generator[None]:
    """Put a link in the place of a path and take it away again, all the time."""
    is_over = threading.Event()
    aside = one.with_name(f"{one.name}-aside")

    def swap() -> None:
        while not is_over.is_set():
            with suppress(OSError):
                one.rename(aside)
                link.rename(one)
                one.rename(link)
                aside.rename(one)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("what", ["file", "folder"])
@only_on_posix("symbolic links")
def test_link_that_is_swapped_in_meanwhile_leads_nowhere(project: Path, what: str) -> None:
    elsewhere = project.parent / "elsewhere"
    (elsewhere / "cat.png").write_bytes(SECRET)
    target = project / "assets" / "cat.png" if what == "file" else project / "assets"
    link = project / "link"
    link.symlink_to(elsewhere / "cat.png" if what == "file" else elsewhere)
    folders, found = InputFolders([project]), set[bytes]()
    with swapping(target, link):
        for _ in range(2_000):
            with suppress(InvalidRequestError):
                found.add(folders.read("assets/cat.png")[0])
    assert found <= {b"in assets"}


def test_folder_that_cannot_hold_a_project_is_not_searched(project: Path, tmp_path: Path) -> None:
    folders = [Path("/"), Path.home(), Path.home().parent, Path("/etc"), Path("relative"), tmp_path / "gone", project]
    assert [each for each in allowed_folders(folders) if each.exists()] == [project]
    assert InputFolders([Path("relative")]).folders == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("\\\\server\\share\\cat.png", "it is not on a drive of this machine"),
        ("//server/share/cat.png", "it is not on a drive of this machine"),
        ("\\\\?\\C:\\cat.png", "it is not on a drive of this machine"),
        ("\\\\.\\PhysicalDrive0", "it is not on a drive of this machine"),
        ("C:cat.png", "its drive and its folder go together"),
        ("\\cat.png", "its drive and its folder go together"),
        ("cat.png:stream", "it names a stream"),
        ("C:\\pictures\\cat.png::$DATA", "it names a stream"),
        ("C:\\pictures\\cat.png", None),
        ("pictures\\cat.png", None),
    ],
)
def test_windows_has_more_names_that_are_refused(name: str, words: str | None) -> None:
    fault = input_folders._fault_on_windows(PureWindowsPath(name))  # pyright: ignore[reportPrivateUsage] - as on Windows
    assert (fault is None) if words is None else (fault is not None and words in fault)


@pytest.mark.parametrize("part", ["NUL", "con.png", "COM1.png", "cat.png.", "cat.png ", "lpt9"])
def test_device_and_trimmed_names_are_refused_on_windows(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.setattr(input_folders, "_IS_WINDOWS", True)
    assert input_folders._fault_of_part(part) is not None  # pyright: ignore[reportPrivateUsage] - as above
