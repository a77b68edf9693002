"""Where what is kept lies, on each system, and what may be wrong with that place."""

import ntpath
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path, PureWindowsPath
from typing import cast

import platformdirs
import pytest
from tests.support.platforms import only_on_linux

from blockrun_image.errors import LedgerError
from blockrun_image_mcp import folders
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.cli import places
from blockrun_image_mcp.cli.doctor import examine
from blockrun_image_mcp.settings import Settings

pytestmark = pytest.mark.anyio

CREDENTIALS = {"BLOCKRUN_API_KEY": "brk_" + "a" * 24}


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the home folder of a user of Windows, with its AppData, as platformdirs finds it there."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(places, "_is_remote_drive", on_drive_z)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("state", "data", "cache"):
        monkeypatch.setattr(platformdirs, f"user_{name}_path", (tmp_path / "AppData" / "Local").joinpath)
    monkeypatch.setattr(platformdirs, "user_pictures_path", lambda: tmp_path / "Pictures")
    (tmp_path / "Pictures").mkdir()
    return tmp_path


def on_drive_z(anchor: str) -> bool:
    return anchor == "Z:\\"


def backend_with(settings: Mapping[str, str]) -> Backend:
    return Backend(Settings.read({**CREDENTIALS, **settings}))


def test_nothing_is_stored_under_appdata(windows: Path) -> None:
    backend = backend_with({})
    assert backend.cache is not None
    kept = [backend.ledger_path, backend.cache.path, backend.folder.folder]
    assert [path.relative_to(windows).parts[:-1] for path in kept] == [
        (".blockrun-image-mcp",),
        (".blockrun-image-mcp", "catalogs"),
        ("Pictures",),
    ]
    assert kept[2].name == "blockrun-image-mcp"


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_other_systems_use_their_standard_folders(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert folders.state_folder() == platformdirs.user_state_path("blockrun-image-mcp")
    assert folders.cache_folder() == platformdirs.user_cache_path("blockrun-image-mcp") / "catalogs"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_pictures_are_stored_in_the_users_pictures_folder(
    platform: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(platformdirs, "user_pictures_path", lambda: tmp_path)
    assert folders.pictures_folder() == tmp_path / "blockrun-image-mcp"


@only_on_linux("the file in which desktops there name these folders")
@pytest.mark.parametrize("name", ["Bilder", "My pictures"])
def test_pictures_folder_that_the_desktop_names_is_used(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("XDG_PICTURES_DIR")
    (tmp_path / "user-dirs.dirs").write_text(f'XDG_PICTURES_DIR="$HOME/{name}"\n')
    (tmp_path / name).mkdir()
    assert folders.pictures_folder() == tmp_path / name / "blockrun-image-mcp"


def pictures_in(path: Path) -> Callable[[], Path]:
    return lambda: path


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("pictures", ["missing", "home", "home/.", "link to home", "file", "relative"])
def test_pictures_are_stored_with_the_data_if_there_is_no_folder_for_them(
    pictures: str, platform: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "home" / "relative").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link to home").symlink_to(tmp_path / "home", target_is_directory=True)
    path = Path(pictures) if pictures == "relative" else tmp_path / pictures
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", pictures_in(tmp_path / "home"))
    monkeypatch.setattr(platformdirs, "user_pictures_path", pictures_in(path))
    usual = tmp_path / "home" / ".blockrun-image-mcp"
    data = usual if platform == "win32" else platformdirs.user_data_path("blockrun-image-mcp")
    assert folders.pictures_folder() == data / "images"


def is_elsewhere(path: Path, mode: int) -> bool:
    return (path.name, mode) != ("Pictures", os.W_OK)


def test_pictures_folder_that_cannot_be_written_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "Pictures").mkdir()
    monkeypatch.setattr(platformdirs, "user_pictures_path", lambda: tmp_path / "Pictures")
    monkeypatch.setattr(os, "access", is_elsewhere)
    assert folders.pictures_folder().name == "images"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_state_dir_setting_moves_ledger_and_cached_lists(
    platform: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    backend = backend_with({"BLOCKRUN_IMAGE_STATE_DIR": str(tmp_path)})
    assert backend.cache is not None
    assert (backend.ledger_path, backend.cache.path.parent) == (tmp_path / "ledger.sqlite3", tmp_path / "catalogs")
    assert backend.folder.folder == folders.pictures_folder()


@pytest.mark.parametrize("folder", ["state", "./state", ".", "%NONE%\\state", "$NONE_SUCH/state", "${workspace}/state"])
async def test_relative_state_dir_prevents_paying(folder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    async with backend_with({"BLOCKRUN_IMAGE_STATE_DIR": folder}) as backend:
        with pytest.raises(LedgerError, match="BLOCKRUN_IMAGE_STATE_DIR is not an absolute path") as caught:
            await backend.ledger()
    assert "absolute path" in caught.value.hint
    assert not (tmp_path / folder).joinpath("ledger.sqlite3").exists()


# names of folders in settings


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (r"%USERPROFILE%\Pictures", r"C:\Users\Ann\Pictures"),
        (r"%NONE%\Pictures", r"%NONE%\Pictures"),
        (r"$USERPROFILE\Pictures", r"C:\Users\Ann\Pictures"),
    ],
)
def test_path_variables_are_expanded_in_windows_syntax(value: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expandvars", ntpath.expandvars)
    monkeypatch.setenv("USERPROFILE", r"C:\Users\Ann")
    assert str(Settings.read({"BLOCKRUN_IMAGE_DIR": value}).dir) == meant


def test_path_variables_are_expanded_in_shell_syntax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.delenv("NONE_SUCH", raising=False)
    settings = Settings.read({"BLOCKRUN_IMAGE_DIR": "$HOME/pictures", "BLOCKRUN_IMAGE_SPEC": "${HOME}/spec.json"})
    assert (settings.dir, settings.spec) == (Path("/home/ann/pictures"), Path("/home/ann/spec.json"))
    assert Settings.read({"BLOCKRUN_IMAGE_DIR": "$NONE_SUCH/pictures"}).dir == Path("$NONE_SUCH/pictures")


def test_key_file_path_may_contain_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEYS", str(tmp_path))
    (tmp_path / "key").write_text("brk_1234567890\n", encoding="utf-8")
    assert Settings.read({"BLOCKRUN_API_KEY_FILE": "$KEYS/key"}).sources[0].read() == "brk_1234567890"


@pytest.mark.parametrize("folder", ["pictures", "./pictures", "..", "%USERPROFILE%\\x", "$NONE_SUCH/x"])
async def test_relative_image_dir_is_reported_at_startup_and_by_doctor(
    folder: str, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend = backend_with({"BLOCKRUN_IMAGE_DIR": folder, "BLOCKRUN_IMAGE_GATEWAY": "sandbox"})
    assert "BLOCKRUN_IMAGE_DIR is not an absolute path" in caplog.text
    found = next(each for each in await examine(backend, {}) if each.subject == "images folder")
    assert "BLOCKRUN_IMAGE_DIR is not an absolute path" in str(found)


@pytest.mark.parametrize("folder", [".", "", "/pictures", "~/pictures"])
def test_absolute_or_working_image_dir_causes_no_warning(folder: str, caplog: pytest.LogCaptureFixture) -> None:
    backend_with({"BLOCKRUN_IMAGE_DIR": folder})
    assert "absolute" not in caplog.text


# what may be wrong with the place

MOUNTS = r"""/dev/sda1 / ext4 rw,relatime 0 0
server:/home /mnt/my\040home nfs4 rw,vers=4.2 0 0
//server/share /mnt/share cifs rw 0 0
overlay /mnt/share/local overlay rw 0 0
me@server:/ /mnt/far fuse.sshfs rw 0 0
odd
C:\134 /mnt/c 9p rw,dirsync 0 0
"""
MOUNT_OUTPUT = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//ann@server._smb._tcp.local/My%20Home on /Volumes/My Home (smbfs, nodev, nosuid, mounted by ann)
server:/x on /Volumes/x (nfs)
"""


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.read_text

    def read_text(path: Path, *arguments: str) -> str:
        return MOUNTS if path == Path("/proc/self/mounts") else real(path, *arguments)

    monkeypatch.setattr(Path, "read_text", read_text)


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/home/ann", False),
        ("/mnt/my home/state", True),
        ("/mnt/share/a/b", True),
        ("/mnt/share/local/a", False),
        ("/mnt/far", True),
        ("/mnt/c/Users", True),
        ("/mnt", False),
    ],
)
def test_network_folder_is_detected_on_linux(folder: str, expected: bool) -> None:
    assert places.is_on_network(Path(folder)) is expected


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("/Users/ann/Library", False), ("/Volumes/My Home/state", True), ("/Volumes/x", True), ("/Volumes/usb", False)],
)
def test_network_folder_is_detected_on_macos(folder: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(places, "_mount_output", lambda: MOUNT_OUTPUT)
    assert places.is_on_network(Path(folder)) is expected


@pytest.mark.parametrize(
    ("folder", "expected"),
    [(r"\\server\share\state", True), (r"Z:\state", True), (r"C:\Users\Ann\.blockrun-image-mcp", False)],
)
def test_network_folder_is_detected_on_windows(folder: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(places, "_is_remote_drive", on_drive_z)
    assert places.is_on_network(cast("Path", PureWindowsPath(folder))) is expected


@pytest.mark.parametrize(
    "folder",
    [
        "/home/ann/Dropbox/state",
        "/Users/ann/Library/Mobile Documents/com~apple~CloudDocs",
        "/Users/ann/Library/CloudStorage/GoogleDrive-ann@example.com/My Drive",
        "/c/Users/Ann/OneDrive - Contoso/state",
        "/home/ann/Nextcloud",
    ],
)
def test_synced_folder_causes_a_warning(folder: str) -> None:
    assert any("copy it to other machines" in doubt for doubt in places.folder_risks(Path(folder), {}, is_named=True))


@pytest.mark.parametrize("folder", ["/home/ann/.local/state/blockrun-image-mcp", "/srv/dropboxes", "/home/onedriver/x"])
def test_ordinary_folder_causes_no_warning(folder: str) -> None:
    assert list(places.folder_risks(Path(folder), {}, is_named=True)) == []


def test_folder_under_appdata_causes_a_warning(windows: Path) -> None:
    (doubt,) = places.folder_risks(windows / "AppData" / "Local" / "state", {}, is_named=True)
    assert "Packaged programs, such as Claude Desktop, see another folder" in doubt


def test_ledger_visible_only_in_the_terminal_causes_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (doubt,) = places.folder_risks(
        Path("/elsewhere/blockrun-image-mcp"), {"XDG_STATE_HOME": "/elsewhere"}, is_named=False
    )
    assert str(tmp_path / ".local/state/blockrun-image-mcp") in doubt
    assert "BLOCKRUN_IMAGE_STATE_DIR" in doubt
    usual = tmp_path / ".local/state/blockrun-image-mcp"
    assert list(places.folder_risks(usual, {"XDG_STATE_HOME": str(usual.parent)}, is_named=False)) == []
    assert list(places.folder_risks(Path("/named"), {"XDG_STATE_HOME": "/elsewhere"}, is_named=True)) == []


def test_ledger_inside_a_flatpak_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    other = tmp_path / ".var/app/com.visualstudio.code/.local/state/blockrun-image-mcp/ledger.sqlite3"
    other.parent.mkdir(parents=True)
    other.touch()
    (doubt,) = places.folder_risks(tmp_path / ".local/state/blockrun-image-mcp", {}, is_named=False)
    assert str(other) in doubt
    assert list(places.folder_risks(other.parent, {}, is_named=False)) == []


async def test_doctor_prints_the_resolved_ledger_path(tmp_path: Path) -> None:
    (tmp_path / "Dropbox").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "Dropbox")
    backend = backend_with(
        {"BLOCKRUN_IMAGE_STATE_DIR": str(tmp_path / "link"), "BLOCKRUN_IMAGE_GATEWAY": "http://127.0.0.1:9/v1"}
    )
    found = "\n".join(map(str, await examine(backend, {})))
    assert str(tmp_path / "Dropbox" / "ledger.sqlite3") in found
    assert "copy it to other machines" in found
