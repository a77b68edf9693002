"""Edits as raw requests, in both forms that the API has for them, and pictures to start from."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
from PIL import Image, ImageDraw
from tests.support.picture_files import opened, saved
from tests.support.sandbox import Sandbox

KEY = {"Authorization": "Bearer brk_test"}
GPT_IMAGE = {
    "id": "openai/gpt-image-1",
    "categories": ["image"],
    "pricePerImage": 0.02,
    "supportedSizes": ["1024x1024", "1536x1024"],
}
"""A model of the gateway's list that takes masks, as no model of the description does."""
JSON_PATH, FORM_PATH = "/images/image2image", "/images/edits"


def picture(colour: str = "red", size: tuple[int, int] = (256, 256), kind: str = "PNG") -> bytes:
    """Return a picture that is plain but for a white corner, top left."""
    plain = Image.new("RGB", size, colour)
    ImageDraw.Draw(plain).rectangle((0, 0, size[0] // 4, size[1] // 4), fill="white")
    return saved(plain, kind)


def mask_of(box: tuple[int, int, int, int], size: tuple[int, int] = (256, 256), *, transparent: bool = True) -> bytes:
    """Return a mask whose area to change is a box, either transparent in black or white on black."""
    mask = Image.new("RGBA" if transparent else "L", size, "black")
    ImageDraw.Draw(mask).rectangle(box, fill=(0, 0, 0, 0) if transparent else "white")
    return saved(mask, "PNG")


def uri(content: bytes, media_type: str = "image/png") -> str:
    """Return a picture as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@dataclass(frozen=True)
class Edit:
    """An edit to ask for; `fields` are its other fields, and may replace those of the pictures in JSON."""

    pictures: Sequence[bytes] = (picture(),)
    mask: bytes | None = None
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def _fields(self) -> dict[str, Any]:
        return {"model": "nano-banana", "prompt": "Make it warm", **self.fields}

    def as_json(self) -> dict[str, Any]:
        """Return its body in JSON."""
        images = [uri(each) for each in self.pictures]
        mask = {} if self.mask is None else {"mask": uri(self.mask)}
        return {"image": images[0] if len(images) == 1 else images, **mask, **self._fields}

    def as_form(self, name: str = "image[]") -> httpx2.Request:
        """Return it as a request with a form, whose bytes can be sent again."""
        files = [(name, (f"{number}.png", each, "image/png")) for number, each in enumerate(self.pictures)]
        masks = [] if self.mask is None else [("mask", ("mask.png", self.mask, "image/png"))]
        data = {key: str(value) for key, value in self._fields.items()}
        request = httpx2.Request("POST", "http://127.0.0.1", data=data, files=[*files, *masks])
        request.read()
        return request

    def post(
        self, sandbox: Sandbox, form: str = "json", prefix: str = "/v1", headers: Mapping[str, str] = KEY
    ) -> httpx2.Response:
        """Return the answer to it; `form` is `json` or `form`."""
        if form == "json":
            url = f"{sandbox.origin}{prefix}{JSON_PATH}"
            return httpx2.post(url, json=self.as_json(), headers=headers)
        whole = self.as_form()
        more = {"Content-Type": whole.headers["content-type"], **headers}
        return httpx2.post(f"{sandbox.origin}{prefix}{FORM_PATH}", content=whole.content, headers=more)


def shown(sandbox: Sandbox, answer: httpx2.Response, number: int = 0) -> Image.Image:
    """Return a picture of an answer, by its URL."""
    return opened(sandbox.get(answer.json()["data"][number]["url"]).content).convert("RGB")
