"""File names that callers choose for pictures, and those that are refused."""

import ntpath
from collections.abc import Callable
from pathlib import PurePath, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockrun_image.errors import InvalidRequestError
from blockrun_image.file_names import SaveAs


@pytest.mark.parametrize(
    ("text", "path", "suffix"),
    [
        ("hero.png", "hero.png", ".png"),
        ("assets/hero.webp", "assets/hero.webp", ".webp"),
        ("./assets/hero.jpg", "assets/hero.jpg", ".jpg"),
        ("././hero.jpg", "hero.jpg", ".jpg"),
        (r"assets\img\hero.png", "assets/img/hero.png", ".png"),
        (r".\hero.png", "hero.png", ".png"),
        ("Hero.JPEG", "Hero.JPEG", ".jpg"),
        ("hero.Png", "hero.Png", ".png"),
        ("hero", "hero", None),
        ("hero.v2", "hero.v2", None),
        ("hero.V2.png", "hero.V2.png", ".png"),
        ("hero.1024x1024", "hero.1024x1024", None),
        ("Dr. No", "Dr. No", None),
        ("hero@2x.png", "hero@2x.png", ".png"),
        ("a b/100% wool, $5 (new) #1 'x' & y.png", "a b/100% wool, $5 (new) #1 'x' & y.png", ".png"),
        ("夏 祭り/花火.png", "夏 祭り/花火.png", ".png"),
        ("mu\u0308ller.png", "m\u00fcller.png", ".png"),
        ("\u2764\ufe0f.png", "\u2764\ufe0f.png", ".png"),
        ("console/com10/null.png", "console/com10/null.png", ".png"),
        ("shots/{n}.png", "shots/1.png", ".png"),
        ("a/b/c/d/e/f/g/h/i/j.png", "a/b/c/d/e/f/g/h/i/j.png", ".png"),
        ("x" * 196 + ".png", "x" * 196 + ".png", ".png"),
    ],
)
def test_name_below_the_folder_is_accepted(text: str, path: str, suffix: str | None) -> None:
    name = SaveAs.parse(text, 1)
    assert (name.path(1), name.suffix) == (PurePosixPath(path), suffix)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("hero.png", ["hero-1.png", "hero-2.png"]),
        ("a/hero", ["a/hero-1", "a/hero-2"]),
        ("hero.v2", ["hero.v2-1", "hero.v2-2"]),
        ("Hero.V2.JPEG", ["Hero.V2-1.JPEG", "Hero.V2-2.JPEG"]),
        ("{n}-hero.png", ["1-hero.png", "2-hero.png"]),
        ("{n}/hero.{n}", ["1/hero.1", "2/hero.2"]),
    ],
)
def test_several_pictures_are_numbered(text: str, paths: list[str]) -> None:
    name = SaveAs.parse(text, 2)
    assert [str(name.path(number)) for number in (1, 2)] == paths


@pytest.mark.parametrize(
    ("text", "path"), [("hero", "hero.webp"), ("hero.v2", "hero.v2.webp"), ("hero.png", "hero.png")]
)
def test_name_without_a_suffix_gets_that_of_the_picture(text: str, path: str) -> None:
    assert SaveAs.parse(text, 1).path(1, ".webp") == PurePosixPath(path)


HOSTILE = {
    "is empty": ["", "./"],
    "relative to the images folder": [
        *("/hero.png", "/etc/passwd", "//x/hero.png", ".//etc/hero.png", "/", r"\hero.png", r"\\server\share\hero.png"),
        *(
            r"\\?\C:\hero.png",
            r"\\.\COM1",
            r"\\?\UNC\server\share\a.png",
            "C:hero.png",
            r"C:\hero.png",
            "c:/hero.png",
            "a:b/c.png",
        ),
        *("C:", "z:..\\hero.png", "/proc/self/fd/1.png", r"\Device\HarddiskVolume1\a.png", "./C:/a.png"),
    ],
    "is a URL": [
        *("file:///etc/a.png", "FILE:a.png", "https://x.example/a.png", "http:/a.png", "s3://bucket/a.png"),
        *("data:image/png;base64,AAAA", "ftp://x/a.png", r"file:\\server\a.png"),
    ],
    "empty parts, . and ..": [
        *("..", ".", "../a.png", "a/../../b.png", "a/../b.png", r"..\a.png", r"a\..\..\b.png", "a/..", "./../a.png"),
        *("a//b.png", "a/./b.png", " ", "a/ /b.png", "a/.. /b.png", ".../a.png", "a/. ./b.png"),
        *("\u2025/a.png", "\uff0e\uff0e/a.png", "\u2026"),
    ],
    "~ is not allowed": ["~/a.png", "~root/a.png", "~", "a/~/b.png", "GIT~1/hooks/a.png", "PROGRA~1/a.png", "a.png~"],
    "Windows allows none of": [
        *("a.png:evil", "a.png::data", "a.png:evil.exe", "ab:c/d.png", "a<b.png", "a>b.png", 'a"b.png', "a|b.png"),
        *("a?.png", "*.png", "dir::x/a.png", "a.png?x=/b", ":a.png"),
    ],
    "variables such as": [
        "$HOME/a.png",
        "%APPDATA%/a.png",
        "${HOME}/a.png",
        "a/%TEMP%.png",
        "$(id).png",
        "$env{n}.png",
    ],
    "percent-encoded": ["%2e%2e/a.png", "a%2fb.png", "a%5cb.png", "%00.png", "my%20hero.png", "%252e/a.png"],
    "only {n} is replaced": ["{N}.png", "{i}.png", "{{n}}.png", "{n.png", "{n{n}}.png", "{n:02}.png", "{self}.png"],
    "invisible or unassigned character": [
        *(
            "a\0.png",
            "a.png\0.exe",
            "a\n.png",
            "a.png\n",
            "\ta.png",
            "a\r\nb.png",
            "\x1b[2J.png",
            "\x7f.png",
            "\x85.png",
        ),
        *(
            "a\u202egnp.exe.png",
            "\u200b.png",
            "a\u200d.png",
            "a\u2066b.png",
            "\ufeffa.png",
            "a\u00ad.png",
            "\u2028.png",
        ),
        *(".g\u200cit/a.png", "\ud800.png", "a\udcff.png", "\ue000.png", "\uffff.png", "\u3164.png", "\u034f.png"),
        "\U000e0041.png",
    ],
    "only looks like a slash": [
        *(
            "..\u2215a.png",
            "a\u2044b.png",
            "..\uff0fa.png",
            "..\uff3ca.png",
            "a\u29f5b.png",
            "a\ufe68b.png",
            "a\u2105.png",
        ),
    ],
    "hidden files and folders": [
        *(".png", ".git/a.png", ".ssh/a.png", "a/.vscode/b.png", ".GIT/a.png", "a/.b.png", ".env", ".well-known/a.png"),
        *("..a.png", r".\.git\a.png", "..%/a.png"),
    ],
    "begin with -": ["-rf.png", "--output=a.png", "a/-b.png"],
    "begin or end with a space": [
        *("a. /b.png", "a./b.png", "a /b.png", " a.png", "a.png ", "a.png.", "a/b.", "\u00a0a.png", "a\u3000/b.png"),
    ],
    "a device on Windows": [
        *("CON", "con.png", "a/NUL/b.png", "Aux.png", "PRN.tar.png", "COM1.png", "com9", "LPT1/a.png", "nul .png"),
        *("COM\u00b9.png", "com\u00b2", "LPT\u00b3.png", "CONIN$", "conout$.png", "COM0.png", "\uff23\uff2f\uff2e.png"),
        *("COM{n}.png", "clock$/a.png", "NUL.v2"),
    ],
    "not a suffix": [
        *("a.gif", "a.svg", "a.exe", "a.html", "a.png.exe", "a.PhP", "a.avif", "a.tiff", "a.bmp", "a.heic", "a.jp2"),
        *("a.7z", "a.sh", "a.lnk", "a.{n}png", "a.p{n}ng", "a.jpg~".replace("~", "_"), "a.\uff50\uff4e\uff47"),
        *("a.final", "a.scr/b.url", "a.pn\u0261", "a.url", "a.dll", "a.desktop", "a.app", "a.pdf", "a.v2beta"),
    ],
    "names a folder": ["assets/", "a/b/", "a\\", "a.png/"],
    "more than 10 parts": ["a/" * 10 + "b.png", "a/" * 200 + "b.png"],
    "longer than 500 bytes": ["~" * 501, "x" * 501, "x" * 10**6, "/".join(["夏" * 66] * 3), "\u0344" * 300],
    "longer than 200 bytes": ["x" * 197 + ".png", "é" * 100 + ".png", "x" * 201 + "/a.png", "{n}" * 70 + "x" * 140],
}


@pytest.mark.parametrize(("words", "text"), [(words, text) for words, texts in HOSTILE.items() for text in texts])
def test_hostile_name_is_refused_with_its_fault(words: str, text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        SaveAs.parse(text, 1)
    message = caught.value.message
    assert message.startswith("save_as cannot be '")
    assert words in message
    assert "assets/hero-{n}.webp" in caught.value.hint
    assert len(message) < 300
    assert message.isprintable()


def test_number_counts_for_the_length_of_a_name() -> None:
    assert SaveAs.parse("{n}" * 160, 9).path(9) == PurePosixPath("9" * 160)
    with pytest.raises(InvalidRequestError, match="longer than 200 bytes"):
        SaveAs.parse("{n}" * 160, 10)


def test_refused_suffix_is_answered_with_those_that_are_possible() -> None:
    with pytest.raises(InvalidRequestError, match=r"'\.gif' is not a suffix .*: \.png, \.jpg \(or \.jpeg\) and \.webp"):
        SaveAs.parse("a.gif", 1)


PIECES = [
    *(
        "a",
        "hero",
        "/",
        "/",
        "\\",
        ".",
        "..",
        "./",
        "../",
        " ",
        "-",
        "~",
        ":",
        "{n}",
        "{",
        "}",
        ".png",
        ".JPEG",
        ".exe",
    ),
    *(
        "CON",
        "com1",
        "nul",
        "\u00b9",
        "\u2025",
        "\u2026",
        "\uff0f",
        "\uff0e",
        "\u2215",
        "\u0301",
        "e",
        "C:",
        "%2e",
        "$HOME",
    ),
    *("\0", "\u200b", "\u202e", "\ud800", "\u00a0", "\u3000", "?", "*", "1", "2", "v", "夏" * 30, "x" * 90),
]
MILD = [
    "a",
    "hero",
    "/",
    "\\",
    ".",
    "-",
    " ",
    "{n}",
    ".png",
    ".JPEG",
    "v",
    "1",
    "CON",
    "com",
    "nul",
    "\u0301",
    "e",
    "夏",
]
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.lists(st.sampled_from(MILD), max_size=8).map("".join),
    st.lists(st.sampled_from(MILD), max_size=8).map("".join).map("{}.webp".format),
    st.text(max_size=30),
)
is_reserved: Callable[[str], bool] = getattr(ntpath, "isreserved", lambda path: PureWindowsPath(path).is_reserved())


@settings(max_examples=400)
@given(texts, st.integers(1, 4), st.sampled_from([".png", ".avif"]))
def test_accepted_name_stays_below_the_folder_on_every_system(text: str, count: int, own_suffix: str) -> None:
    try:
        name = SaveAs.parse(text, count)
    except InvalidRequestError:
        return
    paths = [name.path(number, own_suffix) for number in range(1, count + 1)]
    assert len({str(path).casefold() for path in paths}) == count, "no two names are the same file"
    for path in paths:
        for root in (PurePosixPath("/images"), PureWindowsPath(r"C:\images"), PureWindowsPath(r"\\server\images")):
            assert_below(root, root / str(path))
        assert path.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp", own_suffix}


def assert_below(root: PurePath, path: PurePath) -> None:
    parts = path.relative_to(root).parts
    assert path.anchor == root.anchor
    for part in parts:
        assert part.strip(" .")
        assert not set(part) & set('\0<>:"|?*\\/')
        assert not part.startswith((".", "-", "~", " "))
        assert not part.endswith((".", " "))
        assert not is_reserved(part)
