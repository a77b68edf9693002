"""Edits that the sandbox refuses with a 400, in words, before any quote or charge."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.edits import FORM_PATH, GPT_IMAGE, JSON_PATH, KEY, Edit, mask_of, picture, uri
from tests.support.picture_files import animated, encoded, png_chunk, saved, scene
from tests.support.sandbox import Sandbox

from blockrun_image import Catalog
from blockrun_image_sandbox.server import running_sandbox

RED = picture()
MASK = mask_of((0, 0, 99, 99))
MASKED = {"model": "openai/gpt-image-1", "size": "1024x1024"}
BOMB = (
    b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0") + png_chunk(b"IDAT")
)
NO_PICTURES = {
    "empty": b"",
    "text": b"A picture of a fox",
    "GIF": animated("GIF"),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "TIFF": encoded("TIFF"),
    "only the beginning": RED[:12],
    "cut PNG": encoded("PNG", size=(300, 300))[:-400],
    "cut JPEG": encoded("JPEG", size=(300, 300))[:-400],
    "cut WEBP": encoded("WEBP", size=(300, 300))[:-400],
    "too many pixels": BOMB,
    "endless scans": encoded("JPEG", size=(4096, 4096), progressive=True) + b"\xff\xda" * 100,
    "endless parts": RED[:33] + png_chunk(b"noTe") * 210_000 + RED[33:],
}

KINDS = {b"\xff\xd8\xff": "image/jpeg", b"RIF": "image/webp"}


def words(answer: httpx2.Response, sandbox: Sandbox) -> str:
    """Return the words of a refusal that cost nothing."""
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], sandbox.charges) == (400, "invalid_request_error", 0)
    return error["message"]


def post_json(sandbox: Sandbox, changes: dict[str, Any], prefix: str = "/v1") -> httpx2.Response:
    fields = {**Edit().as_json(), **changes}
    body = {name: value for name, value in fields.items() if value is not ...}
    return httpx2.post(f"{sandbox.origin}{prefix}{JSON_PATH}", json=body, headers=KEY if prefix == "/v1" else {})


def post_form(sandbox: Sandbox, fields: dict[str, str], files: Sequence[tuple[str, Any]]) -> httpx2.Response:
    data = {"model": "nano-banana", "prompt": "Make it warm", **fields}
    return httpx2.post(f"{sandbox.base_url}{FORM_PATH}", data=data, files=files, headers=KEY)


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": "dall-e-3"}, "dall-e-3 does not edit pictures"),
        ({"model": "dall-e-9"}, "Unknown image model"),
        ({"model": ...}, "'model' is a required property"),
        ({"prompt": ...}, "'prompt' is a required property"),
        ({"prompt": ""}, "should be non-empty"),
        ({"prompt": " "}, "prompt is empty"),
        ({"prompt": "x" * 33_000}, "at most 32,768"),
        ({"image": ...}, "'image' is a required property"),
        ({"image": None}, "is not of type"),
        ({"image": {"url": uri(RED)}}, "image is not of type ['string', 'array']"),
        ({"image": [7]}, "is not of type"),
        ({"image": []}, "takes 1 to 3 pictures, not 0"),
        ({"image": [uri(RED)] * 4}, "takes 1 to 3 pictures, not 4"),
        ({"image": "https://example.com/cat.png"}, "must be a data URI"),
        ({"image": ["http://127.0.0.1/cat.png"]}, "must be a data URI"),
        ({"image": "file:///etc/passwd"}, "must be a data URI"),
        ({"image": uri(RED).replace("image/png", "text/html")}, "must be a data URI"),
        ({"image": uri(RED).partition(",")[2]}, "must be a data URI"),
        ({"image": "data:image/png,abc"}, "must be a data URI"),
        ({"image": "data:image/png;base64,%%%"}, "not valid base64"),
        ({"image": f"{uri(RED)[:-3]}\n=="}, "not valid base64"),
        ({"image": "data:image/png;base64,\u00e9"}, "not valid base64"),
        ({"image": uri(RED, "image/jpeg")}, "is called image/jpeg, and is image/png"),
        ({"image": uri(RED + bytes(4_000_000))}, "4,000,000 are allowed"),
        ({"image": uri(RED + bytes(15_000_000))}, "The body is too large"),
        ({"mask": uri(MASK)}, "nano-banana does not take a mask"),
        ({"quality": "hd"}, "does not take quality"),
        ({"size": "512x512"}, "no size"),
        ({"size": 512}, "is not of type"),
        ({"n": 0}, "less than the minimum"),
        ({"n": 11}, "greater than the maximum"),
        ({"n": "2"}, "is not of type"),
    ],
)
def test_edit_in_json_is_refused_in_words(sandbox: Sandbox, changes: dict[str, Any], says: str, prefix: str) -> None:
    assert says in words(post_json(sandbox, changes, prefix), sandbox)


@pytest.mark.parametrize(
    ("fields", "files", "says"),
    [
        ({}, [], "must be multipart/form-data"),
        ({}, [("other", RED)], "'image[]' is a required property"),
        ({"model": "dall-e-3"}, [("image", RED)], "does not edit pictures"),
        ({"prompt": ""}, [("image", RED)], "should be non-empty"),
        ({"image": uri(RED)}, [("mask", MASK)], "image must be a file"),
        ({"mask": uri(RED)}, [("image", RED)], "mask must be a file"),
        ({}, [("image", RED)] * 4, "takes 1 to 3 pictures, not 4"),
        ({}, [("image", RED), *[("image[]", RED)] * 3], "takes 1 to 3 pictures, not 4"),
        ({}, [("image[]", RED)] * 41, "Too many files"),
        ({}, [("image", RED + bytes(4_000_000))], "4,000,000 are allowed"),
        ({}, [("image", RED), ("mask", MASK)], "does not take a mask"),
        ({}, [("image", RED), ("mask", MASK), ("mask", MASK)], "more than one mask"),
        ({"quality": "hd"}, [("image", RED)], "does not take quality"),
        ({"n": "two"}, [("image", RED)], "is not of type 'integer'"),
        ({"n": "\u0662"}, [("image", RED)], "is not of type 'integer'"),
        ({"n": "99"}, [("image", RED)], "greater than the maximum"),
        ({"n": "9" * 5_000}, [("image", RED)], "n is not of type integer"),
        ({"size": "large"}, [("image", RED)], "no size"),
    ],
)
def test_edit_in_a_form_is_refused_in_words(
    sandbox: Sandbox, fields: dict[str, str], files: Sequence[tuple[str, Any]], says: str
) -> None:
    assert says in words(post_form(sandbox, fields, files), sandbox)


@pytest.mark.parametrize("content", NO_PICTURES.values(), ids=NO_PICTURES)
@pytest.mark.parametrize("form", ["json", "form"])
def test_what_is_no_picture_is_refused_in_words(sandbox: Sandbox, content: bytes, form: str) -> None:
    kind = KINDS.get(content[:3], "image/png")
    edit = Edit([RED, content], fields={"image": [uri(RED), uri(content, kind)]} if form == "json" else {})
    assert re.search(
        "is not a PNG|is not a picture that can be read|is too large", words(edit.post(sandbox, form), sandbox)
    )


@pytest.mark.parametrize(
    ("pictures", "mask", "says"),
    [
        ([RED, RED], MASK, "for one picture alone"),
        ([RED], mask_of((0, 0, 9, 9), (256, 255)), "The mask has 256 x 255 pixels, and its picture 256 x 256"),
        ([picture(size=(512, 512))], MASK, "The mask has 256 x 256 pixels"),
        ([RED], saved(scene("L", (256, 256)), "JPEG"), "The mask is not a PNG"),
        ([RED], b"", "The mask is not a PNG"),
        ([RED], MASK[:-30], "The mask is not a picture that can be read"),
        ([RED], MASK + bytes(4_000_000), "The mask has 4,00"),
        ([RED] * 5, None, "takes 1 to 4 pictures, not 5"),
    ],
)
def test_mask_that_does_not_fit_is_refused_in_words(
    sandbox: Sandbox, pictures: Sequence[bytes], mask: bytes | None, says: str
) -> None:
    sandbox.change_models({"add": GPT_IMAGE})
    assert says in words(Edit(pictures, mask, MASKED).post(sandbox, "form"), sandbox)
    if mask is None or mask.startswith(b"\x89PNG"):
        assert says in words(Edit(pictures, mask, MASKED).post(sandbox), sandbox)


@pytest.mark.parametrize("path", [JSON_PATH, FORM_PATH])
@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"", "application/json"),
        (b"null", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"\xff", "application/json"),
        (b'{"image": "\\ud800"}', "application/json"),
        (b"", "multipart/form-data"),
        (b"--x\r\n", "multipart/form-data; boundary="),
        (b"nothing", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data; name=prompt\r\n\r\n1", "multipart/form-data; boundary=x"),
        (b"model=nano-banana&prompt=x&image=y", "application/x-www-form-urlencoded"),
    ],
)
def test_malformed_body_is_refused(sandbox: Sandbox, path: str, content: bytes, content_type: str) -> None:
    answer = httpx2.post(f"{sandbox.base_url}{path}", content=content, headers={**KEY, "Content-Type": content_type})
    assert words(answer, sandbox)


def test_edit_without_a_key_is_refused(sandbox: Sandbox) -> None:
    for form in ("json", "form"):
        assert Edit().post(sandbox, form, headers={}).status_code == 401
    assert sandbox.charges == 0


@pytest.mark.anyio
async def test_limit_of_pixels_a_side_is_kept(tmp_path: Path) -> None:
    edits = {"max_pictures": 1, "max_bytes": 10_000, "max_side": 300}
    description = {"x-models": {"acme/painter": {"provider": "Acme", "edits": edits}}}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(description))
    async with (
        running_sandbox(Catalog.load(file)) as origin,
        httpx2.AsyncClient(base_url=origin, headers=KEY, trust_env=False) as http,
    ):
        for size, status in (((300, 300), 200), ((10, 301), 400)):
            body = Edit([picture(size=size)], fields={"model": "acme/painter"}).as_json()
            assert (await http.post(f"/v1{JSON_PATH}", json=body)).status_code == status
