import warnings
import zlib
from io import BytesIO
from pathlib import Path

import anyio
import pytest
from PIL import Image as Picture
from tests.support.platforms import has_mode, only_on_posix
from tests.support.sandbox import Sandbox

from blockrun_image.errors import StorageError
from blockrun_image_mcp.images.download import download
from blockrun_image_mcp.images.store import FolderStore
from blockrun_image_sandbox.drawing import draw

pytestmark = pytest.mark.anyio

PNG = draw("a fox", width=64, height=64)


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_picture_is_saved_whole_under_a_unique_absolute_path(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "new" / "folder")
    first, second = (await store.save(PNG)).path, (await store.save(PNG)).path
    assert first != second
    assert first.is_absolute()
    assert first.suffix == ".png"
    assert first.read_bytes() == second.read_bytes() == PNG
    assert has_mode(first, 0o600)
    assert len(files_in(first.parent)) == 2


async def test_url_is_saved_whole_in_its_own_text_file(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "new")
    url = f"https://pictures.example/1.png?{'s' * 20_000}"
    first, second = await store.save_url(url), await store.save_url(url)
    assert first != second
    assert first.name.endswith(".url.txt")
    assert first.read_text() == second.read_text() == url
    assert has_mode(first, 0o600)
    assert has_mode(store.folder, 0o700)
    assert len(files_in(store.folder)) == 2


async def test_answer_is_saved_as_received_and_private(tmp_path: Path) -> None:
    kept = await FolderStore(tmp_path).keep(b"a paid answer")
    assert (kept.parent, kept.read_bytes()) == (tmp_path, b"a paid answer")
    assert has_mode(kept, 0o600)


async def test_concurrent_saves_leave_the_warning_filters_unchanged(tmp_path: Path) -> None:
    store, before = FolderStore(tmp_path), list(warnings.filters)
    picture = draw("a fox", width=1024, height=1024)
    for _ in range(5):
        async with anyio.create_task_group() as calls:
            for _ in range(12):
                calls.start_soon(store.save, picture)
    assert list(warnings.filters) == before
    assert len(files_in(tmp_path)) == 60


@only_on_posix("XDG_DATA_HOME")
async def test_the_default_folder_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in FolderStore().folder.parents


def encoded(kind: str) -> bytes:
    written = BytesIO()
    Picture.new("RGB", (40, 30), "teal").save(written, kind)
    return written.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
HEIC = b"\0\0\0\x18ftypheic" + bytes(40)


@pytest.mark.parametrize(
    ("picture", "suffix", "is_checked"),
    [
        *((encoded(kind), suffix, True) for kind, suffix in (("JPEG", ".jpg"), ("WEBP", ".webp"), ("GIF", ".gif"))),
        *((encoded(kind), suffix, True) for kind, suffix in (("AVIF", ".avif"), ("BMP", ".bmp"), ("TIFF", ".tiff"))),
        (encoded("MPO"), ".jpg", True),
        (SVG, ".svg", False),
        (b'\xef\xbb\xbf\n<?xml version="1.0"?>\n<!-- drawn -->\n<!DOCTYPE svg>\n' + SVG, ".svg", False),
        (HEIC, ".heic", False),
        (encoded("ICO"), ".ico", False),
        (b"\xff\x0a" + bytes(40), ".jxl", False),
        (PNG[:40], ".png", False),
        (PNG[:-20] + bytes(4) + PNG[-16:], ".png", False),
    ],
)
async def test_picture_of_any_known_format_is_saved_as_received(
    tmp_path: Path, picture: bytes, suffix: str, is_checked: bool
) -> None:
    saved = await FolderStore(tmp_path).save(picture)
    assert (saved.path.suffix, saved.is_checked) == (suffix, is_checked)
    assert saved.path.read_bytes() == picture


@pytest.mark.parametrize(
    "data", [b"", b"<svgs/>", b"\x89PNG", b"BM" + b"\0" * 100, b"RIFF1234WAVE", bytes(4) + b"ftypmp42"]
)
async def test_data_that_is_not_a_picture_is_not_written(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(StorageError, match="an unknown format"):
        await FolderStore(tmp_path).save(data)
    assert files_in(tmp_path) == []


async def test_error_for_an_unwritable_folder_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be saved") as caught:
        await FolderStore(tmp_path / "file").save(PNG)
    assert "BLOCKRUN_IMAGE_DIR" in caught.value.hint
    with pytest.raises(StorageError, match="or its URL could not be saved"):
        await FolderStore(tmp_path / "file").save_url("https://pictures.example/1.png")


async def test_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageError, match="No space left"):
        await FolderStore(tmp_path).save(PNG)
    assert files_in(tmp_path) == []


async def test_picture_on_disk_is_copied_to_the_requested_folder(tmp_path: Path) -> None:
    path = (await FolderStore(tmp_path / "with space").save(PNG)).path
    saved = await download(path.as_uri(), FolderStore(tmp_path / "wanted"))
    assert saved.parent == tmp_path / "wanted"
    assert saved.read_bytes() == PNG
    with pytest.raises(StorageError, match="could not be fetched"):
        await download((tmp_path / "none.png").as_uri(), FolderStore(tmp_path))


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://127.0.0.1:abc/", "ftp://127.0.0.1/"])
async def test_invalid_picture_url_is_reported(tmp_path: Path, url: str) -> None:
    with pytest.raises(StorageError, match="could not be fetched"):
        await download(url, FolderStore(tmp_path))


@pytest.mark.parametrize("side", [10_000, 30_000])
async def test_picture_of_huge_dimensions_is_saved_silently(
    tmp_path: Path, side: int, capfd: pytest.CaptureFixture[str]
) -> None:
    header = side.to_bytes(4) + side.to_bytes(4) + b"\x08\x02\x00\x00\x00"
    chunk = b"IHDR" + header
    huge = b"\x89PNG\r\n\x1a\n" + len(header).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4) + PNG[33:]
    saved = await FolderStore(tmp_path).save(huge)
    assert (saved.path.suffix, saved.is_checked) == (".png", False)
    assert capfd.readouterr().err == ""


async def test_url_without_a_picture_is_reported(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not be fetched"):
        await download(f"{sandbox.origin}/images/none.png", FolderStore(tmp_path))
    with pytest.raises(StorageError, match="an unknown format"):
        await download(f"{sandbox.origin}/sandbox/settlements", FolderStore(tmp_path))


async def test_oversized_download_is_aborted(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not be fetched"):
        await download(f"{sandbox.origin}/sandbox/settlements", FolderStore(tmp_path), max_bytes=10)
