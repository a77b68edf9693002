"""Folders in which hosts start the server, of which some cannot be that of a project."""

from pathlib import Path, PureWindowsPath
from typing import cast

import pytest
from tests.support.platforms import only_on_posix

from blockrun_image.errors import StorageError
from blockrun_image_mcp.folders import check_project_folder


class WindowsPath(PureWindowsPath):
    """A path of Windows, on any system, that is real."""

    def resolve(self) -> "WindowsPath":
        return self


def at_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: home)


def check(folder: Path) -> str:
    """Return the error for a folder, or an empty text."""
    try:
        check_project_folder(folder)
    except StorageError as error:
        return error.to_text()
    return ""


@only_on_posix("its folders")
@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("/", "the root of a file system"),
        ("/home/ann", "the home folder"),
        ("/home/ann/..", "a folder above the home folder"),
        ("/usr", "a folder of the system or of a program"),
        ("/usr/lib/code", "of a program"),
        ("/usr/src", "of a program"),
        ("/etc/x", "of the system"),
        ("/private/etc", "of the system"),
        ("/private", "of the system"),
        ("/System/Library", "of the system"),
        ("/Applications/Claude.app/Contents/MacOS", "of a program"),
        ("/Applications", "of a program"),
        ("/home/ann/Apps/Claude.app/Contents", "of a program"),
        ("/proc/1", "of the system"),
    ],
)
def test_folder_of_the_system_or_the_home_folder_is_refused(
    folder: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home(monkeypatch, Path("/home/ann"))
    message = check(Path(folder))
    assert message.startswith("BLOCKRUN_IMAGE_DIR means the folder where the server is started; that is ")
    assert words in message
    assert "Nothing was charged." in message
    assert message.endswith(" Set BLOCKRUN_IMAGE_DIR to an absolute folder.")


@only_on_posix("its folders")
@pytest.mark.parametrize(
    "folder",
    [
        *("/home/ann/site", "/home/bob", "/home/ann/.worktrees/site", "/app", "/usr/src/app", "/usr/local/src/app"),
        *("/srv/www", "/opt/site", "/private/tmp/site", "/Volumes/usb/site", "/home/ann/todo.app/src", "/home/ann/etc"),
        *("/run/media/ann/usb/site", "/home/ann/Applications/site"),
    ],
)
def test_folder_of_a_project_is_accepted(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home(monkeypatch, Path("/home/ann"))
    assert check(Path(folder)) == ""


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("C:\\", "the root of a file system"),
        ("\\\\server\\share\\", "the root of a file system"),
        (r"C:\Users\Ann", "the home folder"),
        (r"c:\users\ANN", "the home folder"),
        (r"C:\Users", "a folder above the home folder"),
        (r"C:\Windows", "of the system"),
        (r"c:\WINDOWS\system32", "of the system"),
        (r"C:\Program Files\Cursor", "of a program"),
        (r"D:\Program Files (x86)\Cursor", "of a program"),
        (r"C:\ProgramData", "of the system"),
        (r"C:\Users\Ann\AppData\Local\AnthropicClaude\app-1.2", "of a program"),
        (r"C:\Users\Ann\site", ""),
        (r"D:\site", ""),
        (r"\\server\share\site", ""),
    ],
)
def test_folders_on_windows_are_told_apart(folder: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home(monkeypatch, cast("Path", WindowsPath(r"C:\Users\Ann")))
    message = check(cast("Path", WindowsPath(folder)))
    assert words in message
    assert bool(words) == bool(message)


def test_links_and_relative_folders_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, project = tmp_path / "home", tmp_path / "home" / "site"
    project.mkdir(parents=True)
    (project / "link").symlink_to(home, target_is_directory=True)
    (tmp_path / "other").symlink_to(home, target_is_directory=True)
    at_home(monkeypatch, tmp_path / "other")
    monkeypatch.chdir(project)
    assert check(Path()) == ""
    assert "the home folder" in check(project / "link")
    monkeypatch.chdir(home)
    assert "the home folder" in check(Path())


def test_user_without_a_home_folder_can_have_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", home)
    monkeypatch.chdir(tmp_path)
    assert check(Path()) == ""


@only_on_posix("a working folder that can be removed")
def test_folder_that_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "no folder any more" in check(Path())
