"""The page of pictures: whole, safe whatever the prompts are, and without a request to anywhere."""

import base64
import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo
from tests.support.parsed_html import Parsed
from tests.support.platforms import only_on_posix

from blockrun_image.errors import StorageError
from blockrun_image.images import Image
from blockrun_image_mcp.images import page as page_module
from blockrun_image_mcp.images.page import PageEntry, picture_page
from blockrun_image_sandbox.drawing import draw

FOX = draw("a fox", width=96, height=64)
URL = "https://pictures.example/1.png?a=1&b=2"
NOON = 1_795_348_800.0  # 2026-11-22 12:00 UTC


def entry(*images: Image, **others: Any) -> PageEntry:
    told: dict[str, Any] = {
        "model": "dall-e-3",
        "size": "1024x1024",
        "created_at": NOON,
        "prompt": "A red fox",
        "cost_usd": None,
    }
    return PageEntry(images=images or [Image(URL)], **{**told, **others})


def page(*entries: PageEntry, folder: Path | None = None) -> Parsed:
    return Parsed(picture_page(entries or [entry()], folder))


def saved(folder: Path, name: str = "fox.png", content: bytes = FOX, revised_prompt: str | None = None) -> Image:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Image(path.as_uri(), path, None, revised_prompt)


def encoded(kind: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> bytes:
    written = BytesIO()
    Picture.new(mode, size, 1 if mode == "1" else "teal").save(written, kind, **options)
    return written.getvalue()


def thumbnails(parsed: Parsed) -> Sequence[Picture.Image]:
    sources = [re.fullmatch(r"data:image/\w+;base64,(.+)", source or "") for source in parsed.all("img", "src")]
    return [Picture.open(BytesIO(base64.b64decode(source[1]))) for source in sources if source]


HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style><style>*{display:none}</style>",
    "</title></head><body onload=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "<!-- <script>",
    "--><svg/onload=alert(1)>",
    "<![CDATA[<b>]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;",
    "$policy ${style} $$ {0} %s",
    "\\u003cscript\\u003e \\x3cb>",
    "]]></p></figure></li></ul></main>",
    "`${alert(1)}`",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_stay_text(tmp_path: Path, text: str) -> None:
    def made_with(words: str) -> Parsed:
        shown = saved(tmp_path, revised_prompt=f"{words} revised")
        missing = Image(f"https://pictures.example/{words}", None, None, f"{words} revised")
        told = {"prompt": words, "model": f"{words} model", "size": words[:20]}
        return page(entry(shown, missing, **told), entry(shown), folder=tmp_path)

    hostile, plain = made_with(text), made_with("A fox")
    assert hostile.skeleton == plain.skeleton
    assert hostile.raw == plain.raw
    assert hostile.text.count(text) >= 3
    assert f"{text} (1 of 2)" in hostile.all("img", "alt")


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200b", "\x00", "\x1b", "\r", "\ud800", "\ufeff", "\x85"])
def test_steering_characters_do_not_reach_the_page(tmp_path: Path, character: str) -> None:
    words = f"a{character}b"
    image = Image(f"https://pictures.example/{words}", None, None, f"{words} revised")
    made = picture_page([entry(image, prompt=words, model=words, size=words), entry()], tmp_path)
    assert made.encode()
    assert {unicodedata.category(each) for each in made} & {"Cc", "Cf", "Cs"} == {"Cc"}
    assert {each for each in made if unicodedata.category(each) == "Cc"} == {"\n"}


def test_huge_texts_are_cut(tmp_path: Path) -> None:
    huge = "word " * 20_000
    empty = len(picture_page([entry()], tmp_path))
    image = Image(f"https://pictures.example/{huge}", None, None, f"revised {huge}")
    made = picture_page([entry(image, prompt=huge, model=huge, size=huge)], tmp_path)
    assert len(made) - empty < 20_000
    assert Parsed(made).text.count("…") >= 4
    assert not Parsed(made).all("a", "href")


def test_policy_allows_only_the_pages_own_script_and_style(tmp_path: Path) -> None:
    parsed = page(entry(saved(tmp_path)), folder=tmp_path)
    policy = parsed.one("meta", "http-equiv"), next(iter(parsed.all("meta", "content")))
    assert policy[0] == "Content-Security-Policy"
    rules = dict(rule.strip().split(" ", 1) for rule in (policy[1] or "").split(";"))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "script-src": f"'sha256-{digest(parsed.raw['script'])}'",
        "style-src": f"'sha256-{digest(parsed.raw['style'])}'",
    }
    tags = [tag for tag, _ in parsed.elements]
    assert (tags.count("script"), tags.count("style")) == (1, 1)
    names = {name for _, attributes in parsed.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]


def digest(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def test_page_requests_nothing(tmp_path: Path) -> None:
    made = picture_page([entry(saved(tmp_path), Image(URL))], tmp_path)
    parsed = Parsed(made)
    assert not {tag for tag, _ in parsed.elements} & {
        "link",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "video",
        "use",
    }
    assert all((source or "").startswith("data:image/") for source in parsed.all("img", "src"))
    assert not re.search(r"url\(|@import|fetch|XMLHttp|import\(", parsed.raw["style"] + parsed.raw["script"])
    links = parsed.all("a", "href")
    assert links == ["fox.png", URL]
    assert made.count("http") - made.count("http-equiv") == 2  # the link and its words


def test_pictures_are_embedded_small_in_their_proportions(tmp_path: Path) -> None:
    wide, tall = draw("a fox", width=1792, height=1024), encoded("JPEG", (500, 1_500))
    small = encoded("PNG", (30, 20), "RGBA")
    parsed = page(*(entry(saved(tmp_path, f"{number}.png", each)) for number, each in enumerate((wide, tall, small))))
    sizes = [picture.size for picture in thumbnails(parsed)]
    assert sizes == [(960, 549), (320, 960), (30, 20)]
    assert list(zip(parsed.all("img", "width"), parsed.all("img", "height"), strict=True)) == [
        (str(width), str(height)) for width, height in sizes
    ]
    assert [picture.mode for picture in thumbnails(parsed)] == ["RGB"] * 3


@pytest.mark.parametrize(("count", "most_bytes"), [(1, 160 * 1_024), (300, 24 * 2**20 // 300), (2_000, 24 * 1_024)])
def test_many_pictures_get_smaller_thumbnails(tmp_path: Path, count: int, most_bytes: int) -> None:
    asked: set[tuple[int, int]] = set()

    def reduce(picture: bytes, max_pixels: int, max_bytes: int) -> tuple[bytes, str]:
        asked.add((max_pixels, max_bytes))
        return picture, "image/png"

    picture_page([entry(*[saved(tmp_path)] * count)], tmp_path, reduce)
    assert asked == {(960, most_bytes)}


def test_thumbnails_carry_no_words_of_their_files(tmp_path: Path) -> None:
    secret, info, exif = "secret prompt", PngInfo(), Picture.Exif()
    info.add_itxt("parameters", secret)
    info.add_itxt("XML:com.adobe.xmp", secret)
    exif[0x010E] = secret
    kinds = [
        encoded("PNG", mode="RGBA", pnginfo=info, exif=exif),
        encoded("PNG", pnginfo=info, exif=exif),
        encoded("JPEG", exif=exif, comment=secret.encode(), xmp=secret.encode()),
        encoded("WEBP", exif=exif, xmp=secret.encode()),
        encoded("GIF", comment=secret.encode()),
    ]
    assert all(secret.encode() in kind for kind in kinds)
    parsed = page(*(entry(saved(tmp_path, f"{number}.png", kind)) for number, kind in enumerate(kinds)))
    embedded = [base64.b64decode((source or "").partition(",")[2]) for source in parsed.all("img", "src")]
    assert len(embedded) == len(kinds)
    assert not [each for each in embedded if secret.encode() in each]


def unreadable(folder: Path, name: str) -> Path:
    path = folder / name
    match name:
        case "empty.png":
            path.touch()
        case "words.png":
            path.write_text("no picture")
        case "cut.png":
            path.write_bytes(FOX[:300])
        case "drawing.svg":
            path.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
        case "large.png":
            path.write_bytes(encoded("PNG", (10_000, 10_001), "1"))
        case _:
            path.mkdir()
    return path


@pytest.mark.parametrize("name", ["empty.png", "words.png", "cut.png", "drawing.svg", "large.png", "folder"])
def test_file_that_is_no_picture_gets_a_placeholder(tmp_path: Path, name: str) -> None:
    path = unreadable(tmp_path, name)
    parsed = page(entry(Image(path.as_uri(), path), size="1024x1792"), folder=tmp_path)
    why = "File missing" if name == "folder" else "No preview"
    assert (parsed.all("img", "src"), parsed.one("svg", "aria-label")) == ([], f"A red fox ({why})")
    assert parsed.one("svg", "viewbox") == "0 0 1024 1792"
    assert name in parsed.text
    assert parsed.all("a", "href") == ([] if name in ("drawing.svg", "folder") else [name])


def test_huge_file_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "MAX_PICTURE_BYTES", len(FOX) - 1)
    assert "the file is too large" in page(entry(saved(tmp_path))).text
    monkeypatch.setattr(page_module, "MAX_PICTURE_BYTES", len(FOX))
    assert "the file is too large" not in page(entry(saved(tmp_path))).text


def test_unreadable_file_gets_a_placeholder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = saved(tmp_path)
    real: Callable[..., Any] = Path.open

    def refuse(path: Path, *arguments: Any, **others: Any) -> Any:
        if path == image.path:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **others)

    monkeypatch.setattr(Path, "open", refuse)
    assert "File not readable" in page(entry(image)).text


@only_on_posix("named pipes")
def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fox.png")
    assert "File missing" in page(entry(Image(URL, tmp_path / "fox.png"))).text


def test_picture_that_was_never_saved_shows_its_url(tmp_path: Path) -> None:
    gone = tmp_path / "gone.png"
    parsed = page(entry(Image(URL)), entry(Image(URL, gone)), entry(Image(gone.as_uri(), gone)), folder=tmp_path)
    assert parsed.all("a", "href") == [URL, URL]
    assert (parsed.text.count("Not saved"), parsed.text.count("File missing"), parsed.text.count(URL)) == (1, 2, 2)
    assert "gone.png" in parsed.text


def test_failing_reduction_gives_a_placeholder(tmp_path: Path) -> None:
    def refuse(_picture: bytes, _pixels: int, _bytes: int) -> tuple[bytes, str]:
        raise StorageError("It cannot be opened.")

    parsed = Parsed(picture_page([entry(saved(tmp_path))], tmp_path, refuse))
    assert "No preview" in parsed.text
    assert parsed.all("a", "href") == ["fox.png"]


@only_on_posix("symlinks, and such names")
def test_pictures_below_the_page_are_linked_by_a_relative_path(tmp_path: Path) -> None:
    below, beside = saved(tmp_path / "page", "a b/f#ö?.png"), saved(tmp_path / "other")
    (tmp_path / "way").symlink_to(tmp_path / "page")
    links = page(entry(below, beside), folder=tmp_path / "page").all("a", "href")
    assert links == ["a%20b/f%23%C3%B6%3F.png", (tmp_path / "other" / "fox.png").as_uri()]
    assert page(entry(below), folder=tmp_path / "way").all("a", "href") == links[:1]
    by_the_way = Image(URL, tmp_path / "way" / "a b" / "f#ö?.png")
    assert page(entry(by_the_way), folder=tmp_path / "page").all("a", "href") == links[:1]


@only_on_posix("such names")
def test_name_like_a_scheme_stays_a_path(tmp_path: Path) -> None:
    image = saved(tmp_path, "javascript:alert(1).png")
    assert page(entry(image), folder=tmp_path).all("a", "href") == ["javascript%3Aalert%281%29.png"]


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//x", "ftp://x/y", "https://x/\u202ey", ""],
)
def test_only_web_urls_are_linked(tmp_path: Path, url: str) -> None:
    assert page(entry(Image(url)), folder=tmp_path).all("a", "href") == []


def test_without_a_folder_nothing_names_a_place(tmp_path: Path) -> None:
    gone = tmp_path / "gone.png"
    entries = [entry(saved(tmp_path)), entry(Image(URL)), entry(Image(gone.as_uri(), gone))]
    made = picture_page(entries, None)
    assert not Parsed(made).all("a", "href")
    assert not [word for word in (str(tmp_path), "gone.png", "fox.png", "pictures.example", "file:") if word in made]


def test_prompts_and_costs_can_be_left_out(tmp_path: Path) -> None:
    image = saved(tmp_path, revised_prompt="A vixen")
    made = picture_page([entry(image, prompt=None), entry(image, model="dall-e-2", prompt=None)], None)
    parsed = Parsed(made)
    assert parsed.all("img", "alt") == ["Picture by dall-e-3", "Picture by dall-e-2"]
    assert not [word for word in ("fox", "vixen", "$") if word in parsed.text]
    assert "input" not in [tag for tag, _ in parsed.elements]


@pytest.mark.parametrize(
    ("first", "others", "words", "total"),
    [
        ({"cost_usd": Decimal("0.04")}, {"cost_usd": Decimal("0.063")}, "$0.04", "$0.103"),
        ({"cost_usd": Decimal(0)}, {"cost_usd": Decimal(0)}, "$0.00", "$0.00"),
        ({"cost_usd": Decimal("0.04"), "is_cost_exact": False}, {"cost_usd": Decimal(1)}, "up to $0.04", "up to $1.04"),
        ({"cost_usd": Decimal("0.08"), "images": [Image(URL)] * 2}, {}, "$0.08 for 2 pictures", "$0.08"),
    ],
)
def test_costs_are_shown_for_calls_and_in_sum(
    first: dict[str, Any], others: dict[str, Any], words: str, total: str
) -> None:
    text = page(entry(*first.pop("images", []), **first), entry(**others)).text
    assert f"22 Nov 2026{words}" in text
    assert f"22 November 2026 · dall-e-3 · {total}\n" in text


@pytest.mark.parametrize(
    ("days_earlier", "words"),
    [
        (0, "22 November 2026"),
        (20, "2 – 22 November 2026"),
        (30, "23 October – 22 November 2026"),
        (365, "22 November 2025 – 22 November 2026"),
    ],
)
def test_heading_counts_the_pictures_and_names_the_days(days_earlier: int, words: str) -> None:
    parsed = page(entry(), entry(created_at=NOON - days_earlier * 86_400))
    assert f"2 pictures, {words}" in parsed.text
    assert parsed.all("time", "datetime")[0] == "2026-11-22T12:00:00Z"


def test_prompt_and_a_different_revised_prompt_are_shown() -> None:
    same, other = Image(URL, None, None, "A red fox"), Image(URL, None, None, "A vixen")
    assert "Revised prompt" not in page(entry(same)).text
    assert page(entry(other)).text.count("A vixen") == 1


def test_long_prompt_is_folded_and_whole() -> None:
    prompt = " ".join(f"word-{number}" for number in range(200))
    parsed = page(entry(prompt=prompt))
    assert prompt in parsed.text
    assert [tag for tag, _ in parsed.elements].count("details") == 1
    assert len(parsed.one("svg", "aria-label")) < 300


def test_filters_are_a_search_box_and_a_button_for_each_model() -> None:
    made = picture_page([entry(), entry(model="dall-e-2"), entry()], None)
    parsed = Parsed(made)
    assert parsed.one("input", "aria-label") == "Search prompts and models"
    assert parsed.all("button", "data-model") == ["", "0", "1"]
    assert parsed.all("li", "data-model") == ["0", "1", "0"]
    assert re.findall(r"data-model=\"\d*\">([^<]+)</button>", made) == ["All", "dall-e-3", "dall-e-2"]


def test_single_picture_needs_no_filter() -> None:
    assert "input" not in [tag for tag, _ in page(entry()).elements]


@pytest.mark.parametrize("size", ["auto", "0x10", "1x99999", "1024x1024x3", "-1x1", ""])
def test_placeholder_of_an_odd_size_is_square(size: str) -> None:
    assert page(entry(size=size)).one("svg", "viewbox") == "0 0 1 1"
