import os
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import anyio
import pytest
from PIL import Image as Picture
from tests.support.picture_files import with_provenance
from tests.support.platforms import has_mode, only_on_posix

from blockrun_image.errors import StorageError
from blockrun_image.images import PictureDetails
from blockrun_image_mcp.images.provenance import Provenance
from blockrun_image_mcp.images.store import FolderStore
from blockrun_image_mcp.settings import Settings
from blockrun_image_sandbox.drawing import draw

pytestmark = pytest.mark.anyio

PNG = draw("a fox", width=64, height=64)
DETAILS = PictureDetails("dall-e-3")


def as_saved(picture: bytes) -> bytes:
    return with_provenance(picture, Provenance("dall-e-3"))


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_picture_is_saved_whole_under_a_unique_absolute_path(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "new" / "folder")
    first = (await store.save(PNG, DETAILS)).path
    second = (await store.save(encoded("JPEG"), DETAILS)).path
    assert first != second
    assert first.is_absolute()
    assert first.suffix == ".png"
    assert first.read_bytes() == as_saved(PNG)
    assert has_mode(first, 0o600)
    assert len(files_in(first.parent)) == 2


async def test_url_is_saved_whole_in_its_own_text_file(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "new")
    url = f"https://pictures.example/1.png?{'s' * 20_000}"
    first, second = await store.save_url(url), await store.save_url(f"{url}2")
    assert first != second
    assert first.name.endswith(".url.txt")
    assert (first.read_text(), second.read_text()) == (url, f"{url}2")
    assert has_mode(first, 0o600)
    assert has_mode(store.folder, 0o700)
    assert len(files_in(store.folder)) == 2


async def test_answer_is_saved_unconverted_and_private(tmp_path: Path) -> None:
    kept = await FolderStore(tmp_path).keep(b"a paid answer")
    assert (kept.parent, kept.read_bytes()) == (tmp_path, b"a paid answer")
    assert has_mode(kept, 0o600)


async def test_concurrent_saves_leave_the_warning_filters_unchanged(tmp_path: Path) -> None:
    store, before = FolderStore(tmp_path), list(warnings.filters)
    pictures = [draw("a fox", width=512, height=512 + number) for number in range(12)]
    async with anyio.create_task_group() as calls:
        for picture in pictures:
            calls.start_soon(store.save, picture, DETAILS)
    assert list(warnings.filters) == before
    assert len(files_in(tmp_path)) == 12


@only_on_posix("XDG_DATA_HOME")
async def test_the_default_folder_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_PICTURES_DIR", str(tmp_path / "none"))
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
async def test_picture_of_any_known_format_is_saved_unconverted(
    tmp_path: Path, picture: bytes, suffix: str, is_checked: bool
) -> None:
    saved = await FolderStore(tmp_path).save(picture, DETAILS)
    assert (saved.path.suffix, not saved.notes) == (suffix, is_checked)
    assert saved.path.read_bytes() == as_saved(picture)


@pytest.mark.parametrize(
    "data", [b"", b"<svgs/>", b"\x89PNG", b"BM" + b"\0" * 100, b"RIFF1234WAVE", bytes(4) + b"ftypmp42"]
)
async def test_data_that_is_not_a_picture_is_not_written(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(StorageError, match="an unknown format"):
        await FolderStore(tmp_path).save(data, DETAILS)
    assert files_in(tmp_path) == []


async def test_error_for_an_unwritable_folder_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be saved") as caught:
        await FolderStore(tmp_path / "file").save(PNG, DETAILS)
    assert "BLOCKRUN_IMAGE_DIR" in caught.value.hint
    with pytest.raises(StorageError, match="could not be saved"):
        await FolderStore(tmp_path / "file").save_url("https://pictures.example/1.png")


async def test_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageError, match="No space left"):
        await FolderStore(tmp_path).save(PNG, DETAILS)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("side", [10_000, 30_000])
async def test_picture_of_huge_dimensions_is_saved_silently(
    tmp_path: Path, side: int, capfd: pytest.CaptureFixture[str]
) -> None:
    header = side.to_bytes(4) + side.to_bytes(4) + b"\x08\x02\x00\x00\x00"
    chunk = b"IHDR" + header
    huge = b"\x89PNG\r\n\x1a\n" + len(header).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4) + PNG[33:]
    saved = await FolderStore(tmp_path).save(huge, DETAILS)
    assert (saved.path.suffix, not saved.notes) == (".png", False)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("limit", "used", "words"),
    [
        ("0.5", 500_000, "holds 0.5 MB of pictures, and its limit is 0.5 MB"),
        ("5", 5_240_000, "holds 5.2 MB of pictures, and its limit is 5 MB"),
        ("5", 4_999_999, ""),
        ("none", 50_000_000, ""),
    ],
)
async def test_limit_of_kept_pictures_is_in_megabytes_of_a_million_bytes(
    limit: str, used: int, words: str, tmp_path: Path
) -> None:
    kept = tmp_path / "20261122-101502-f2243f615132.png"
    kept.touch()
    os.truncate(kept, used)
    settings = Settings.read({"BLOCKRUN_IMAGE_KEEP_MB": limit})
    store = FolderStore(tmp_path, max_kept_bytes=settings.kept_bytes)
    if not words:
        await store.check_room()
        return
    with pytest.raises(StorageError, match=words):
        await store.check_room()


def test_unreadable_limit_of_kept_pictures_names_its_unit() -> None:
    mistakes = Settings.read({"BLOCKRUN_IMAGE_KEEP_MB": "5 GiB"}).mistakes
    assert mistakes["keep_mb"].words == "cannot be read; using 5000 MB"
