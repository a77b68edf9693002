"""Files on a system that refuses things: a rename while a scanner reads, an open, a removal."""

import errno
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture
from tests.support.ledgers import PATIENT, REQUEST, RESPONSE, Processes, locked, sent, spilled, states
from tests.support.platforms import only_on_linux

from blockrun_image.delivery import with_files
from blockrun_image.errors import StorageError
from blockrun_image.images import Image, ImagesResponse
from blockrun_image_mcp import files
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.catalogs.cache import CatalogCache
from blockrun_image_mcp.cli.doctor import examine
from blockrun_image_mcp.images.store import FolderStore
from blockrun_image_mcp.settings import Settings
from blockrun_image_sandbox.drawing import draw

pytestmark = pytest.mark.anyio

PNG = draw("a fox", width=64, height=64)
ALWAYS = 10**9


def pixels_of(picture: Path | BytesIO) -> bytes:
    return Picture.open(picture).tobytes()


@dataclass
class Refusals:
    """Makes a function of the system refuse so many calls with `PermissionError`, as Windows does."""

    patch: pytest.MonkeyPatch
    calls: list[str] = field(default_factory=list[str])

    def of(self, owner: object, name: str, times: int) -> None:
        real: Callable[..., object] = getattr(owner, name)

        def refusing(*arguments: object, **more: object) -> object:
            self.calls.append(name)
            if len(self.calls) <= times:
                raise PermissionError(errno.EACCES, "Permission denied", str(arguments[0]))
            return real(*arguments, **more)

        self.patch.setattr(owner, name, refusing)


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Refusals:
    monkeypatch.setattr(files, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(files, "_PAUSE_SECONDS", 0.001)
    return Refusals(monkeypatch)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def the_file_in(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


async def test_new_folders_are_private_to_the_user(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o755)
    files.make_folder(tmp_path / "old" / "a" / "b")
    modes = [stat.S_IMODE((tmp_path / "old" / name).stat().st_mode) for name in (".", "a", "a/b")]
    assert modes == [0o755, 0o700, 0o700]


@pytest.mark.usefixtures("windows")
async def test_folder_on_windows_gets_no_custom_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []

    def mkdir(_path: Path, mode: int) -> None:
        modes.append(mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    files.make_folder(tmp_path / "a")
    assert modes == [0o777]


async def test_refused_folder_fails_at_once_without_retries(tmp_path: Path, refusals: Refusals) -> None:
    refusals.of(os, "open", ALWAYS)
    with pytest.raises(PermissionError):
        files.write_part(tmp_path / "a", b"x")
    with pytest.raises(PermissionError):
        files.check_writable(tmp_path)
    assert refusals.calls == ["open", "open"]


async def test_failed_write_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_part(tmp_path / "a", b"x")
    assert names_in(tmp_path) == []


async def test_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "a")


@pytest.mark.parametrize("times", [1, 7])
async def test_temporarily_refused_rename_is_retried(times: int, tmp_path: Path, refusals: Refusals) -> None:
    part = files.write_part(tmp_path / "a", b"x")
    refusals.of(Path, "replace", times)
    files.replace(part, tmp_path / "a")
    assert names_in(tmp_path) == ["a"]
    assert len(refusals.calls) == times + 1


async def test_rename_of_the_lock_identity_is_retried(tmp_path: Path, refusals: Refusals) -> None:
    part = files.write_part(tmp_path / "a", b"x")
    refusals.of(Path, "rename", 3)
    files.rename(part, tmp_path / "a")
    assert names_in(tmp_path) == ["a"]


async def test_rename_that_fails_for_another_reason_is_not_retried(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.replace(tmp_path / "none", tmp_path / "a")


async def test_write_check_leaves_a_writable_folder_unchanged(tmp_path: Path) -> None:
    files.check_writable(tmp_path)
    assert names_in(tmp_path) == []


@only_on_linux("files without a name")
async def test_write_check_needs_to_remove_nothing(tmp_path: Path, refusals: Refusals) -> None:
    refusals.of(Path, "unlink", ALWAYS)
    assert files.check_writable(tmp_path) is None
    assert names_in(tmp_path) == []


@only_on_linux("files without a name")
@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR])
async def test_write_check_works_where_each_file_has_a_name(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def without_unnamed(path: Path, flags: int, *arguments: Any, **more: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, os.strerror(number))
        return real(path, flags, *arguments, **more)

    monkeypatch.setattr(os, "open", without_unnamed)
    assert files.check_writable(tmp_path) is None
    assert names_in(tmp_path) == []


async def test_trial_file_that_cannot_be_removed_is_left_once_and_told(
    tmp_path: Path, refusals: Refusals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "_UNNAMED", 0)
    refusals.of(Path, "unlink", ALWAYS)
    store = FolderStore(tmp_path)
    for _ in range(3):
        await store.check()
    assert caplog.messages == [
        f"The images folder lets no file be removed; a trial file is left: {the_file_in(tmp_path)}"
    ]


async def test_doctor_tells_of_a_folder_that_lets_nothing_be_removed(
    tmp_path: Path, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_UNNAMED", 0)
    refusals.of(Path, "unlink", ALWAYS)
    (found,) = [
        each
        for each in await examine(Backend(Settings(gateway="sandbox", dir=tmp_path)), {})
        if each.subject == "images folder"
    ]
    assert found.advice == (f"Files in it cannot be removed; a trial file is left: {the_file_in(tmp_path)}")
    assert not found.is_trouble


async def test_removing_a_file_that_is_open_elsewhere_raises_no_error(tmp_path: Path, refusals: Refusals) -> None:
    (tmp_path / "a").touch()
    refusals.of(Path, "unlink", ALWAYS)
    files.remove(tmp_path / "a")
    assert (tmp_path / "a").exists()


# what is paid for


async def test_picture_that_cannot_be_renamed_is_kept_and_reported(tmp_path: Path, refusals: Refusals) -> None:
    refusals.of(Path, "replace", ALWAYS)
    response = await with_files(ImagesResponse([Image(data=PNG)]), FolderStore(tmp_path), REQUEST)
    path = the_file_in(tmp_path)
    assert (pixels_of(path), response.images[0].path) == (pixels_of(BytesIO(PNG)), path)
    assert ".png." in path.name
    assert response.warnings == ["Image 1: It is whole and could not be renamed; remove the end of its name."]


async def test_picture_is_kept_as_received_if_saving_fails_temporarily(tmp_path: Path, refusals: Refusals) -> None:
    refusals.of(os, "open", 1)
    with pytest.raises(StorageError) as caught:
        await with_files(ImagesResponse([Image(data=PNG)]), FolderStore(tmp_path), REQUEST)
    path = the_file_in(tmp_path)
    assert path.read_bytes() == PNG
    assert caught.value.message.endswith(f"Permission denied. It is kept unchanged: {path}")


async def test_unrenamed_outbox_record_is_applied_by_the_next_process(processes: Processes, refusals: Refusals) -> None:
    ledger = await processes.start(timings=PATIENT)
    attempt = await sent(ledger)
    with locked(ledger.path), refusals.patch.context() as patched:
        Refusals(patched).of(Path, "replace", ALWAYS)
        assert await attempt.settled(RESPONSE) == ()
        assert [path.suffix for path in spilled(ledger)] == [".part"]
    other = await processes.start()
    assert (await states(other), spilled(other)) == (["settled"], [])


# the gateway's list


async def test_list_that_cannot_be_cached_is_kept_in_the_process(tmp_path: Path, refusals: Refusals) -> None:
    cache = CatalogCache(tmp_path, "https://api.example", "account")
    with refusals.patch.context() as patched:
        Refusals(patched).of(Path, "replace", ALWAYS)
        cache.fail("It was down.")
    assert (cache.read().failure, names_in(tmp_path)) == ("It was down.", [])


async def test_unremovable_list_lock_raises_no_error(tmp_path: Path, refusals: Refusals) -> None:
    cache = CatalogCache(tmp_path, "https://api.example", "account")
    with refusals.patch.context() as patched:
        Refusals(patched).of(Path, "unlink", ALWAYS)
        assert cache.take_turn()
    assert not cache.take_turn()
