"""What `make wheels` finds: gaps that open and gaps that close, as uv sees them in a folder of packages."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click import ClickException
from tests.wheels import KNOWN, Answer, Gap, Place, ask, changes

Ask = Callable[[str], Answer]

WINDOWS = "Windows arm64"
MAC = "macOS x86_64"


def metadata(name: str, version: str) -> str:
    return f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"


def add_wheel(folder: Path, name: str, version: str, tags: str = "py3-none-any") -> None:
    with zipfile.ZipFile(folder / f"{name}-{version}-{tags}.whl", "w") as archive:
        info = f"{name}-{version}.dist-info"
        archive.writestr(f"{info}/METADATA", metadata(name, version))
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n")
        archive.writestr(f"{info}/RECORD", "")


def add_source(folder: Path, name: str, version: str) -> None:
    with tarfile.open(folder / f"{name}-{version}.tar.gz", "w:gz") as archive:
        text = metadata(name, version).encode()
        file = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        file.size = len(text)
        archive.addfile(file, io.BytesIO(text))


@pytest.fixture
def ask_on(tmp_path: Path) -> Ask:
    """Ask about a project in a system, with all packages in one folder; each has fewer wheels than the one before."""
    add_wheel(tmp_path, "everywhere", "1.0")
    add_wheel(tmp_path, "windows", "1.0", "cp312-cp312-win_arm64")
    add_source(tmp_path, "windows", "1.0")
    add_wheel(tmp_path, "once", "1.0")
    add_source(tmp_path, "once", "1.1")
    add_source(tmp_path, "never", "1.0")
    needed = tmp_path / "requirements.txt"
    needed.write_text("everywhere\nwindows\nonce\nnever\n", encoding="utf-8")
    return lambda system: ask(Place(system, "3.12"), needed, ["--no-index", "--find-links", str(tmp_path)])


def test_package_without_a_wheel_is_named_with_any_older_version(ask_on: Ask) -> None:
    windows, mac = ask_on(WINDOWS), ask_on(MAC)
    assert (windows.older, mac.older) == (
        {"once": "1.0", "never": None},
        {"once": "1.0", "never": None, "windows": None},
    )
    assert str(windows) == (
        "4 packages, never 1.0 has no wheel, nor has an older one; once 1.1 has no wheel, but 1.0 has"
    )


def test_unresolvable_requirement_is_an_error(tmp_path: Path) -> None:
    needed = tmp_path / "requirements.txt"
    needed.write_text("nowhere\n", encoding="utf-8")
    with pytest.raises(ClickException, match="nowhere was not found"):
        ask(Place(WINDOWS, "3.12"), needed, ["--no-index", "--find-links", str(tmp_path)])


@pytest.mark.parametrize(("system", "extra"), KNOWN)
def test_only_gaps_that_open_or_close_are_changes(system: str, extra: str) -> None:
    place, known = Place(system, "3.12", extra), KNOWN[system, extra]
    assert list(changes({place: known})) == []
    opened = Gap("pillow", has_older=False)
    assert list(changes({place: known | {opened}})) == [f"{place}: pillow has no wheel"]
    for gap in known:
        assert list(changes({place: known - {gap}})) == [f"{place}: it is no longer so that {gap}"]
        other = gap._replace(has_older=not gap.has_older)
        assert len(list(changes({place: known - {gap} | {other}}))) == 2


def test_unknown_gap_is_a_change() -> None:
    place = Place("Windows x64", "3.11", "wallet")
    (change,) = changes({place: frozenset({Gap("ckzg", has_older=True)})})
    assert change == "Windows x64, Python 3.11, with wallet: ckzg has no wheel, and an older version has one"
