"""The command images: its list, its page, and the viewer that it opens."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import click
import pytest
from click.testing import CliRunner, Result
from tests.support.commands import ledger_file
from tests.support.ledgers import PRICE, REQUEST, open_ledger, reserve
from tests.support.parsed_html import Parsed
from tests.support.platforms import only_on_posix

from blockrun_image.attempts import CallInfo
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image_mcp import files, startup
from blockrun_image_mcp.cli.images import images
from blockrun_image_mcp.folders import state_folder
from blockrun_image_mcp.images.store import FolderStore, id_of
from blockrun_image_sandbox.drawing import draw

URL = "https://pictures.example/1.png"


@pytest.fixture(autouse=True)
def logging_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the log of the process that runs the tests alone."""

    def leave(*_: Any) -> None: ...

    monkeypatch.setattr(startup, "configure_logging", leave)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Three saved pictures that two calls have made, newest first."""
    made = [tmp_path / "pictures" / f"{number}.png" for number in (1, 2, 3)]
    for path in made:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(draw("a fox", width=48, height=32))
    record(Image(made[2].as_uri(), made[2], None, "An old vixen"), prompt="An old fox")
    record(*(Image(path.as_uri(), path) for path in made[:2]))
    return made


def record(
    *made: Image,
    prompt: str = "A red fox",
    charged: Decimal | None = PRICE,
    path: Path | None = None,
    later: Sequence[Image] = (),
) -> None:
    """Record a call with these pictures in the ledger, and `later` each one as it was saved then."""

    async def settle() -> None:
        async with open_ledger(path or ledger_file()) as ledger:
            request = ImageRequest(prompt, REQUEST.model, REQUEST.size, REQUEST.quality, len(made))
            attempt = await reserve(ledger, call=CallInfo(str(uuid4())), request=request)
            await attempt.sent()
            await attempt.settled(ImagesResponse(made, charged))
            for image in later:
                await attempt.note_files([image])

    anyio.run(settle)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(images, [str(each) for each in arguments])


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is opened with the system's viewer."""
    paths: list[str] = []

    def launch(url: str, wait: bool = False, locate: bool = False) -> int:
        assert (wait, locate) == (False, False)
        paths.append(url)
        return 0

    monkeypatch.setattr(click, "launch", launch)
    return paths


def test_list_names_the_files_that_no_longer_exist(pictures: list[Path]) -> None:
    pictures[1].unlink()
    lines = run().output.splitlines()
    assert [line.strip() for line in lines if "Saved:" in line] == [
        f"Saved: {pictures[0]}",
        f"Saved: {pictures[1]} (file missing)",
        f"Saved: {pictures[2]}",
    ]
    listed = json.loads(run("--json").output)
    assert [each["files"] for each in listed] == [[str(pictures[0]), str(pictures[1])], [str(pictures[2])]]


def test_copies_are_listed_and_stand_in_for_a_missing_file(
    pictures: list[Path], launched: list[str], tmp_path: Path
) -> None:
    gone = tmp_path / "gone.png"
    record(Image(URL, pictures[2], id="a" * 12), later=[Image(URL, pictures[1], id="b" * 12), Image(URL, gone)])
    lines = run("--most", "1").output.splitlines()
    assert [line.strip() for line in lines if "Saved:" in line] == [
        f"Saved: {gone} (file missing)",
        f"Saved: {pictures[1]}",
        f"Saved: {pictures[2]}",
    ]
    assert (run("--open", "1").exit_code, run("--open", "2").exit_code) == (0, 0)
    assert launched == [str(pictures[1]), str(pictures[0])]
    assert run("--html", tmp_path / "page.html", "--most", "1").exit_code == 0
    assert Parsed((tmp_path / "page.html").read_text("utf-8")).all("a", "href") == ["pictures/2.png"]


def test_page_has_the_pictures_of_the_range(pictures: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    record()  # a charge without a picture
    done = run("--html", file)
    assert (done.exit_code, done.output) == (0, f"3 pictures are in {file}\n")
    parsed = Parsed(file.read_text("utf-8"))
    assert parsed.all("a", "href") == ["pictures/1.png", "pictures/2.png", "pictures/3.png"]
    assert parsed.all("img", "alt") == ["A red fox (1 of 2)", "A red fox (2 of 2)", "An old fox"]
    assert "An old vixen" in parsed.text
    assert " · $0.084\n" in parsed.text
    assert run("--html", tmp_path / "one.html", "--most", "2").output.startswith("2 pictures are in ")
    none = run("--html", tmp_path / "none.html", "--until", "2020-01-01")
    assert (none.exit_code, "No page was written, because there are no pictures." in none.stderr) == (1, True)
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["one.html", "page.html"]


def test_page_leaves_out_what_is_not_for_others(pictures: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    run("--html", file, "--no-costs", "--no-prompts", "--no-links")
    page = file.read_text("utf-8")
    shown = Parsed(page)
    assert len(shown.all("img", "src")) == 3
    assert not [word for word in ("fox", "vixen", "$", ".png") if word in shown.text]
    assert not [word for word in (str(tmp_path), "1.png", "<a ") if word in page]


def test_charge_that_no_answer_named_is_shown_as_a_bound(tmp_path: Path) -> None:
    record(Image(URL), charged=None)
    run("--html", tmp_path / "page.html")
    assert "up to $0.042" in Parsed((tmp_path / "page.html").read_text("utf-8")).text


def test_pictures_of_the_sandbox_cost_nothing(tmp_path: Path) -> None:
    record(Image(URL), path=state_folder() / "sandbox.sqlite3")
    record(Image(URL), charged=None, path=state_folder() / "sandbox.sqlite3")
    assert run("--html", tmp_path / "page.html", "--sandbox").exit_code == 0
    text = Parsed((tmp_path / "page.html").read_text("utf-8")).text
    assert text.count("$") == text.count("$0.00") == 3
    assert "up to" not in text


def test_existing_file_is_overwritten_only_by_force(pictures: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("mine")
    done = run("--html", file)
    assert (done.exit_code, file.read_text()) == (1, "mine")
    assert "exists, and is not overwritten. Nothing was charged. Name another file, or overwrite it with --force." in (
        done.stderr
    )
    assert run("--html", file, "--force").exit_code == 0
    assert file.read_text("utf-8").startswith("<!doctype html>")


@only_on_posix("named pipes")
def test_force_replaces_only_files(pictures: list[Path], tmp_path: Path) -> None:
    pipe = tmp_path / "page.html"
    os.mkfifo(pipe)
    assert run("--html", pipe, "--force").exit_code == 1
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["no/page.html", "x" * 300])
def test_page_that_cannot_be_written_is_reported(pictures: list[Path], tmp_path: Path, name: str) -> None:
    done = run("--html", tmp_path / name)
    assert done.exit_code == 1
    assert "The page could not be written to" in done.stderr
    assert "Name another file with --html." in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_failed_rename_leaves_nothing_behind(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(Path, "replace", refuse)
    done = run("--html", tmp_path / "page.html")
    assert "Permission denied" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--html", "x.html", "--json"), "exclude each other"),
        (("--html", "x.html", "--open"), "exclude each other"),
        (("--json", "--open", "2"), "exclude each other"),
        (("--no-costs",), "--no-costs needs --html FILE."),
        (("--open", "--force"), "--force needs --html FILE."),
        (("--open", "0"), "0 is not in the range x>=1"),
        (("--html", "."), "is a directory"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.parametrize(("arguments", "number"), [((), 1), (("2",), 2), (("3", "--most", "1"), 3)])
def test_open_shows_the_nth_newest_picture(
    pictures: list[Path], launched: list[str], arguments: tuple[str, ...], number: int
) -> None:
    done = run("--open", *arguments)
    assert (done.exit_code, launched) == (0, [str(pictures[number - 1])])
    assert done.output == f"Opening {pictures[number - 1]}\n"


def test_open_leaves_urls_alone(launched: list[str], tmp_path: Path) -> None:
    record(Image(URL), Image((tmp_path / "1.png").as_uri()))
    done = run("--open")
    assert (done.exit_code, launched) == (1, [])
    assert "Picture 1 cannot be opened: only 0 pictures are saved." in done.stderr


@pytest.mark.parametrize("name", ["1.exe", "1.svg", "1.html", "1.png.lnk", "1", "1.url.txt"])
def test_open_refuses_a_file_that_is_not_named_as_a_picture(launched: list[str], tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    record(Image(URL, tmp_path / name))
    done = run("--open")
    assert (done.exit_code, launched) == (1, [])
    assert "its name is not that of a picture" in done.stderr


@pytest.mark.parametrize(
    "path", [Path("1.png"), Path("https:/pictures.example/1.png"), Path("-W.png"), Path("/gone.png")]
)
def test_open_refuses_a_file_that_is_not_there(
    launched: list[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(Image(URL, path))
    done = run("--open")
    assert (done.exit_code, launched) == (1, [])
    assert "is missing" in done.stderr


def test_open_refuses_a_relative_path(launched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-W.png").write_bytes(b"x")
    record(Image(URL, Path("-W.png")))
    assert (run("--open").exit_code, launched) == (1, [])


def test_missing_viewer_is_reported_with_the_path(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> int:
        return 127

    monkeypatch.setattr(click, "launch", fail)
    done = run("--open")
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"Open it yourself: {pictures[0]}" in done.stderr


# what is removed


@pytest.fixture
def kept() -> Mapping[str, Path]:
    """Pictures in the images folder that are 100 days old or new, with and without a name of their own."""
    folder = FolderStore().folder
    folder.mkdir(parents=True)
    id = id_of(b"1" * 1_000)
    own = "20260101-101502-f2243f615132.png"  # it only looks like a name of the server's
    names = (f"20260101-101502-{id}.png", f"20261122-101502-{id}.png", own, "hero.png", "20260101-notes.txt")
    paths, long_ago = {name: folder / name for name in names}, time.time() - 100 * 86_400
    for path in paths.values():
        path.write_bytes(b"1" * 1_000)
        os.utime(path, (long_ago, long_ago))
    os.utime(paths[names[1]])
    return paths


def test_only_old_pictures_that_nobody_named_are_removed(kept: Mapping[str, Path]) -> None:
    done = run("--prune", "90d", "--yes")
    assert done.output.startswith("Removed 1 picture (0.0 MB) from ")
    assert [name for name, path in kept.items() if not path.exists()] == [next(iter(kept))]


def test_nothing_is_removed_unless_the_user_agrees(kept: Mapping[str, Path]) -> None:
    done = CliRunner().invoke(images, ["--prune", "90d"], input="n\n")
    assert (done.exit_code, [path for path in kept.values() if not path.exists()]) == (1, [])


def test_prompt_is_forgotten_and_its_cost_and_files_stay(pictures: list[Path]) -> None:
    before = json.loads(run("--json").output)
    old = next(each for each in before if each["prompt"] == "An old fox")
    assert run("--forget", old["id"]).exit_code == 0
    after = next(each for each in json.loads(run("--json").output) if each["id"] == old["id"])
    assert after == {**old, "prompt": ""}
    assert pictures[2].exists()
    assert b"An old" not in b"".join(path.read_bytes() for path in state_folder().glob("ledger.sqlite3"))


def test_unknown_call_cannot_be_forgotten(pictures: list[Path]) -> None:
    done = run("--forget", "none")
    assert done.exit_code == 1
    assert "There is no finished call with the id none" in done.output
