"""Requests as gateways take them, as an HTTP client writes them."""

import json
import re
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from blockrun_image.errors import ConfigurationError
from blockrun_image.images import ImageRequest, InputPicture
from blockrun_image.spec import EditOperation
from blockrun_image_mcp.gateway.bodies import message_of

CAT = InputPicture("c" * 64, "/home/me/secret project/cat.png", b"\x89PNG cat", "image/png")
DOG = InputPicture("d" * 64, "/home/me/dog.jpg", b"\xff\xd8 dog", "image/jpeg")
REQUEST = ImageRequest("Make it blue", "gpt-image-1", "1024x1024", "high", 2, parameters=(("background", "opaque"),))
JSON, FORM = EditOperation("/images/image2image"), EditOperation("/images/edits", is_form=True)


def written(request: ImageRequest, edit: EditOperation | None) -> httpx2.Request:
    path, body = message_of(request, edit)
    return httpx2.Request("POST", f"https://x.example/v1/{path}", **body)


def fields(request: ImageRequest) -> dict[str, Any]:
    return json.loads(written(request, JSON).read())


def parts(request: ImageRequest) -> list[tuple[str, str, bytes]]:
    """Return the name, file name and content of each part of a form."""
    message = written(request, FORM)
    boundary = message.headers["content-type"].partition("boundary=")[2].encode()
    found: list[tuple[str, str, bytes]] = []
    for part in message.read().split(b"--" + boundary)[1:-1]:
        head, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n")
        names = dict(re.findall(r'(\w+)="([^"]*)"', head.decode()))
        found.append((names["name"], names.get("filename", ""), content))
    return found


@pytest.mark.parametrize("edit", [None, JSON, FORM])
def test_generation_is_what_it_is_without_an_edit_operation(edit: EditOperation | None) -> None:
    message = written(REQUEST, edit)
    assert message.url.path == "/v1/images/generations"
    assert json.loads(message.read()) == REQUEST.body()


def test_edit_as_json_has_one_data_uri_or_a_list_and_no_quality() -> None:
    one = fields(replace(REQUEST, images=(CAT,)))
    assert one == {
        "model": "gpt-image-1",
        "prompt": "Make it blue",
        "size": "1024x1024",
        "n": 2,
        "background": "opaque",
        "image": "data:image/png;base64,iVBORyBjYXQ=",
    }
    both = fields(replace(REQUEST, images=(CAT, DOG)))
    assert both["image"] == [one["image"], "data:image/jpeg;base64,/9ggZG9n"]
    assert fields(replace(REQUEST, images=(CAT,), mask=CAT))["mask"] == one["image"]
    assert written(replace(REQUEST, images=(CAT,)), JSON).url.path == "/v1/images/image2image"


def test_edit_as_a_form_has_files_without_their_own_names() -> None:
    assert written(replace(REQUEST, images=(CAT,)), FORM).url.path == "/v1/images/edits"
    plain = [
        ("model", "", b"gpt-image-1"),
        ("prompt", "", b"Make it blue"),
        ("size", "", b"1024x1024"),
        ("n", "", b"2"),
        ("quality", "", b"high"),
        ("background", "", b"opaque"),
    ]
    assert parts(replace(REQUEST, images=(CAT,), mask=CAT)) == [
        *plain,
        ("image", "image-1.png", CAT.content),
        ("mask", "mask.png", CAT.content),
    ]
    assert parts(replace(REQUEST, images=(CAT, DOG)))[6:] == [
        ("image[]", "image-1.png", CAT.content),
        ("image[]", "image-2.jpg", DOG.content),
    ]


def test_flag_in_a_form_is_written_as_in_json() -> None:
    request = replace(REQUEST, images=(CAT,), parameters=(("safe", True), ("seed", 3)))
    assert [content for name, _, content in parts(request) if name in ("safe", "seed")] == [b"true", b"3"]


def test_edit_is_not_sent_where_there_is_no_operation() -> None:
    with pytest.raises(ConfigurationError, match="makes no images from pictures"):
        message_of(replace(REQUEST, images=(CAT,)), None)
