"""Paths that cannot be used: a description of the API, the images folder, and folders in a home that is not known."""

from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest
from tests.support.platforms import has_mode, only_on_posix

from blockrun_image.errors import ConfigurationError, LedgerError, StorageError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.catalogs.cache import CatalogCache
from blockrun_image_mcp.folders import state_folder
from blockrun_image_mcp.images.store import FolderStore
from blockrun_image_mcp.settings import Settings

pytestmark = pytest.mark.anyio

CREDENTIALS = {"BLOCKRUN_WALLET_KEY": "token"}


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def backend_with(spec: str) -> Backend:
    return Backend(Settings.read({**CREDENTIALS, "BLOCKRUN_IMAGE_SPEC": spec}))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("/no/such.json", r"names a file that cannot be read \(FileNotFoundError\)"),
        pytest.param(
            "/",
            r"names a file that cannot be read \(IsADirectoryError\)",
            marks=only_on_posix("an error of its own for folders"),
        ),
        ("x\0y", r"names a file that cannot be read \(ValueError\)"),
        ("~no-such-user/own.json", r"names a file that cannot be read \(FileNotFoundError\)"),
        ("brk_0123456789", "names a file that cannot be read"),
        ("{{spec}}", "still holds a placeholder"),
        (__file__, "cannot be used: Cannot read "),
    ],
)
async def test_unusable_description_refuses_everything_but_the_tool_list(spec: str, why: str) -> None:
    backend = backend_with(spec)
    assert len(backend.schemas()) == 3
    async with backend:
        for refused in (backend.gateway, backend.ledger):
            with pytest.raises(ConfigurationError, match=f"BLOCKRUN_IMAGE_SPEC {why}") as caught:
                await refused()
            assert "brk_0123456789" not in caught.value.to_text()
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=why):
                _ = backend.toolset
        assert await backend.operator_ledger().recent(1) == []


@pytest.mark.parametrize("content", ["", "[]", '{"x-models": {}}', '{"paths": {}}', '{"x-model": {}}', "[" * 100_000])
async def test_invalid_description_file_is_named_with_its_fault(content: str, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"BLOCKRUN_IMAGE_SPEC cannot be used: .*own\.json") as caught:
        backend_with(str(tmp_path / "own.json")).check_description()
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param("~no-such-user/pictures", marks=only_on_posix("homes that only root can make")),
        "x\0y",
        f"{__file__}/pictures",
        "/tmp/" + "x" * 300,
    ],
)
async def test_unusable_images_folder_is_detected_before_paying(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FolderStore(Settings.read({"BLOCKRUN_IMAGE_DIR": folder}).dir)
    with pytest.raises(StorageError, match="cannot be written") as caught:
        await store.check()
    assert (caught.value.charged, caught.value.hint[:23]) == ("no", "Set BLOCKRUN_IMAGE_DIR ")
    with pytest.raises(StorageError, match="could not be saved"):
        await store.save_url("https://pictures.example/1.png")
    assert (await store.keep(b"a paid answer")).read_bytes() == b"a paid answer"
    assert files_in(tmp_path) == []


async def test_answer_saved_elsewhere_is_private_to_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    kept = await FolderStore(Path(__file__) / "pictures").keep(b"a paid answer")
    assert kept.parent == tmp_path
    assert has_mode(kept, 0o600)


@only_on_posix("a working directory that can be removed")
async def test_relative_folder_in_a_deleted_working_directory_is_unwritable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StorageError, match="its home or working folder does not exist"):
        await FolderStore(Path("pictures")).check()
    monkeypatch.chdir(tmp_path)


def homeless(name: str) -> Path:
    raise RuntimeError(f"could not determine the home directory of {name}")


def unexpanded(name: str) -> Path:
    """Return what older versions of platformdirs do."""
    return Path(f"~/.local/state/{name}")


@pytest.mark.parametrize("find", [homeless, unexpanded])
async def test_nothing_is_spent_or_written_without_a_home_folder(
    find: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("user_state_path", "user_data_path", "user_cache_path"):
        monkeypatch.setattr(platformdirs, name, find)
    monkeypatch.setattr(platformdirs, "user_pictures_path", lambda: find("Pictures"))
    assert not state_folder().is_absolute()
    async with Backend(Settings.read(CREDENTIALS)) as backend:
        with pytest.raises(LedgerError, match="no home folder is known"):
            await backend.ledger()
        with pytest.raises(StorageError, match="cannot be written"):
            await backend.store.check()
        assert backend.cache is not None
        assert backend.cache.take_turn()
        assert not backend.cache.take_turn()  # it is remembered as long as this process lasts
    assert files_in(tmp_path) == []


def test_list_is_not_cached_in_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache = CatalogCache(Path("~"), "https://api.example", "account")
    cache.fail("It was down.")
    assert (cache.read().failure, files_in(tmp_path)) == ("It was down.", [])
