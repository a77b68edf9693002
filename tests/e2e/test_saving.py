"""Pictures that the command saves, and what it says of those that it cannot."""

import json
from pathlib import Path

import pytest
from tests.support.commands import run
from tests.support.platforms import only_on_linux
from tests.support.sandbox import Sandbox


def test_pictures_of_a_temporary_sandbox_are_saved(tmp_path: Path) -> None:
    settings = {"BLOCKRUN_IMAGE_DIR": str(tmp_path), "HTTP_PROXY": "http://127.0.0.1:9"}
    done = run("generate", "A fox", "--model", "nano-banana", "--sandbox", settings=settings)
    (picture,) = tmp_path.iterdir()
    assert f"Saved: {picture}" in done.stdout


def test_picture_with_an_overlong_url_is_saved_too(sandbox: Sandbox, tmp_path: Path) -> None:
    asked = ("generate", "A fox", "--model", "dall-e-2")
    settings = {**sandbox.environment, "BLOCKRUN_IMAGE_DIR": str(tmp_path / "urls")}
    (image,) = json.loads(run(*asked, "--json", settings=settings).stdout)["images"]
    long = f"{image['url']}?{'s' * 20_000}"
    sandbox.script([{"body": {"data": [{"url": long}]}}])
    done = run(*asked, "--save", str(tmp_path / "pictures"), settings=settings)
    assert (done.returncode, done.stderr) == (0, "")
    (written,) = (tmp_path / "pictures").glob("*.url.txt")
    (saved,) = (tmp_path / "pictures").glob("*.png")
    assert written.read_text() == long
    assert written.as_uri() in done.stdout
    assert f"Saved: {saved}" in done.stdout


def test_generate_works_on_its_own_sandbox(tmp_path: Path) -> None:
    done = run("generate", "A fox", "--model", "nano-banana", "-n", "2", "--sandbox", "--save", str(tmp_path))
    assert done.returncode == 0
    first = "2 images by nano-banana 1024x1024. Sandbox: nothing was charged (a real call: $0.106)."
    assert done.stdout.splitlines()[0] == first
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("where", [("--save", "out"), ("--output", "out/fox.png"), ()])
def test_json_output_is_one_document_with_the_saved_files(tmp_path: Path, where: tuple[str, ...]) -> None:
    option = [each if each.startswith("--") else str(tmp_path / each) for each in where]
    settings = {"BLOCKRUN_IMAGE_DIR": str(tmp_path / "kept")}
    done = run("generate", "A fox", "--model", "dall-e-2", "--sandbox", "--json", *option, settings=settings)
    (image,) = json.loads(done.stdout)["images"]
    (saved,) = (tmp_path / ("out" if where else "kept")).iterdir()
    assert (done.returncode, image["path"]) == (0, str(saved))
    assert saved.read_bytes().startswith(b"\x89PNG")


def test_json_is_printed_even_if_a_picture_cannot_be_fetched(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.script([{"body": {"data": [{"url": "http://127.0.0.1:9/fox.png"}]}}])
    asked = ("generate", "A fox", "--model", "dall-e-2", "--json", "--save", str(tmp_path))
    done = run(*asked, settings=sandbox.environment)
    assert (done.returncode, json.loads(done.stdout)["images"]) == (1, [{"url": "http://127.0.0.1:9/fox.png"}])
    assert "could not be fetched" in json.loads(done.stdout)["warnings"][0]
    assert done.stderr == "Error: Not every picture could be saved; the result's warnings say why.\n"


def test_output_option_saves_one_picture_under_that_name(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "new" / "hero.png"
    asked = ("generate", "A fox", "--model", "dall-e-2", "--output", str(file))
    done = run(*asked, settings=sandbox.environment)
    assert done.stdout.endswith(f"Saved: {file}\n")
    assert list(file.parent.iterdir()) == [file]
    assert file.read_bytes().startswith(b"\x89PNG")
    assert f"Saved: {file}" in run("images").stdout
    assert json.loads(run("images", "--json").stdout)[0]["files"] == [str(file)]


def test_output_suffix_decides_the_format(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "hero.jpg"
    done = run("generate", "A fox", "--model", "dall-e-2", "--output", str(file), settings=sandbox.environment)
    assert file.read_bytes().startswith(b"\xff\xd8\xff")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--output", "there.png"), "exists, and is not overwritten. Nothing was charged."),
        (("--output", "there.png/hero.png"), "cannot be written"),
        (("--output", "hero.gif"), "is not a suffix that it can have"),
        (("--save", "there.png/below"), "Name another folder with --save."),
        (("--save", "hero.png"), "looks like a file. To name the file, use --output"),
        (("--output", "there.png", "-n", "two"), "Error: -n must be a whole number from 1 to 10, not 'two'."),
        (("--output", "hero.gif"), "Error: --output cannot be 'hero.gif'"),
        (("--output", "x" * 300 + ".png"), "Error: --output cannot be 'xxx"),
        (("--output", "there-{n}.png", "-n", "2"), "there-2.png exists, and is not overwritten. Nothing was charged."),
        (("--output", "hero.png", "--save", "out"), "exclude each other"),
    ],
)
def test_unusable_save_options_are_refused_before_anything_is_paid(
    sandbox: Sandbox, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    taken = [tmp_path / "there-2.png", tmp_path / "there.png"]
    for path in taken:
        path.touch()
    names = [str(tmp_path / each) if "." in each or each == "out" else each for each in options]
    done = run("generate", "A fox", "--model", "dall-e-2", *names, settings=sandbox.environment)
    assert done.returncode > 0
    assert words in done.stderr
    assert "save_as" not in done.stderr
    assert (sandbox.posts, sorted(tmp_path.iterdir())) == (0, taken)


@pytest.mark.parametrize(
    ("output", "files"),
    [
        ("fox-{n}.png", ["fox-1.png", "fox-2.png"]),
        ("fox.jpg", ["fox-1.jpg", "fox-2.jpg"]),
        ("new/{n}/fox", ["new/1/fox.png", "new/2/fox.png"]),
    ],
)
def test_output_option_numbers_several_pictures(
    output: str, files: list[str], sandbox: Sandbox, tmp_path: Path
) -> None:
    asked = ("generate", "A fox", "--model", "dall-e-2", "-n", "2", "--output", str(tmp_path / output))
    done = run(*asked, settings=sandbox.environment)
    assert (done.returncode, done.stderr) == (0, "")
    saved = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert [path.relative_to(tmp_path).as_posix() for path in saved] == files
    assert all(f"Saved: {path}" in done.stdout for path in saved)


@only_on_linux("there, nobody can create files in /sys, not even root")
def test_place_that_cannot_be_written_is_reported_with_the_option_that_names_it(sandbox: Sandbox) -> None:
    asked = ("generate", "A fox", "--model", "dall-e-2", "--output", "/sys/{n}/fox.png")
    done = run(*asked, settings=sandbox.environment)
    assert (done.returncode, sandbox.posts) == (1, 0)
    assert "Name another file with --output." in done.stderr
    assert "save_as" not in done.stderr


def test_warnings_and_hints_name_options(sandbox: Sandbox) -> None:
    asked = ("generate", "A dog", "--model", "dall-e-2", "--art-style", "ink wash", "--enrich", "off")
    assert "Warning: --art-style was not used" in run(*asked, settings=sandbox.environment).stdout
    assert "Try a higher --max-price-usd" in run("models", "--max-price-usd", "0.001").stdout
    assert "Error: --max-price-usd must be a number" in run("models", "--max-price-usd", "x").stderr


def test_failed_save_buys_nothing_and_failed_fetch_prints_the_url(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "taken"
    file.touch()
    done = run("generate", "A fox", "--model", "dall-e-2", "--save", str(file / "below"), settings=sandbox.environment)
    assert (done.returncode, done.stdout, sandbox.posts) == (1, "", 0)
    assert "cannot be written" in done.stderr
    sandbox.script([{"body": {"data": [{"url": f"{sandbox.origin}/gone.png"}]}}])
    done = run("generate", "A fox", "--model", "dall-e-2", "--save", str(tmp_path), settings=sandbox.environment)
    assert f"{sandbox.origin}/gone.png" in done.stdout
    assert "could not be fetched" in done.stdout
    assert done.returncode == 1
