"""The unmodified openai SDK against the sandbox, which is as compatible with it as the API says of itself."""

import base64
import io
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest
from tests.support.edits import GPT_IMAGE, mask_of, picture
from tests.support.picture_files import opened
from tests.support.sandbox import Sandbox

from blockrun_image import Catalog

MODELS = list(Catalog.load().models)


@pytest.fixture
def sdk(sandbox: Sandbox) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sandbox.base_url, api_key="brk_test", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
def test_every_model_returns_pictures_of_the_requested_size(
    sdk: openai.OpenAI, sandbox: Sandbox, catalog: Catalog, model: str
) -> None:
    for size in catalog.find(model).sizes:
        response = sdk.images.generate(model=model, prompt="A futuristic city", size=cast("Any", size))
        (image,) = response.data or []
        picture = sandbox.get(image.url or "").content
        width, height = (int.from_bytes(picture[at : at + 4]) for at in (16, 20))
        assert f"{width}x{height}" == size
        assert bool(image.revised_prompt) == (model == "dall-e-3")
    assert sandbox.charges == len(catalog.find(model).sizes)


def test_several_pictures_of_one_quality_are_made_and_charged(sdk: openai.OpenAI, sandbox: Sandbox) -> None:
    response = sdk.images.generate(model="dall-e-3", prompt="A fox", quality="hd", size="1792x1024", n=3)
    urls = {image.url for image in response.data or []}
    assert len(urls) == 3
    assert len({sandbox.get(url or "").content for url in urls}) == 3
    assert sandbox.charged_micro_usd == 3 * 126_000


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (402, openai.APIStatusError),
        (403, openai.PermissionDeniedError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_every_error_status_returns_the_documented_body(
    sdk: openai.OpenAI, sandbox: Sandbox, catalog: Catalog, status: int, error: type[openai.APIStatusError]
) -> None:
    assert set(catalog.spec.errors) == {400, 402, 403, 429, 500}
    sandbox.script([{"status": status}])
    with pytest.raises(error) as caught:
        sdk.images.generate(model="dall-e-3", prompt="A fox")
    assert caught.value.status_code == status
    assert caught.value.body == catalog.spec.errors[status].example["error"]
    assert sandbox.charges == 0


@pytest.mark.parametrize(("prefix", "status"), [("/v1", 401), ("/api/v1", 402)])
def test_non_account_key_is_refused_or_ignored_on_the_wallet_path(sandbox: Sandbox, prefix: str, status: int) -> None:
    with (
        openai.OpenAI(base_url=f"{sandbox.origin}{prefix}", api_key="0x123", max_retries=0) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.images.generate(model="dall-e-3", prompt="A fox")
    assert caught.value.status_code == status
    assert sandbox.charges == 0


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "dall-e-9"},
        {"model": "nano-banana", "size": "512x512"},
        {"model": "nano-banana", "quality": "standard"},
        {"model": "dall-e-3", "quality": "ultra"},
        {"model": "dall-e-3", "n": 11},
        {"model": "dall-e-3", "n": 0},
        {"model": "dall-e-2", "prompt": "x" * 1_001},
        {"model": "dall-e-2", "prompt": ""},
    ],
)
def test_invalid_request_is_a_400_and_not_charged(
    sdk: openai.OpenAI, sandbox: Sandbox, asked: dict[str, object]
) -> None:
    with pytest.raises(openai.BadRequestError):
        sdk.images.generate(**cast("Any", {"prompt": "A fox"} | asked))
    assert sandbox.charges == 0


def test_one_file_is_edited(sdk: openai.OpenAI, sandbox: Sandbox) -> None:
    named = io.BytesIO(picture())
    named.name = "cat.png"
    for image in (picture(), named, ("cat.jpg", picture(kind="JPEG"), "image/jpeg")):
        response = sdk.images.edit(model="nano-banana", prompt="Make it warm", image=image)
        (edited,) = response.data or []
        assert opened(sandbox.get(edited.url or "").content).size == (1024, 1024)
    assert (sandbox.charges, sandbox.charged_micro_usd) == (3, 3 * 53_000)


def test_several_files_are_edited_in_one_call(sdk: openai.OpenAI, sandbox: Sandbox) -> None:
    files = [picture("red"), picture("blue"), picture("green")]
    response = sdk.images.edit(model="nano-banana", prompt="Combine them", image=files, n=2, size="1024x1024")
    assert len({image.url for image in response.data or []}) == 2
    assert (sandbox.charges, len(sandbox.last_settlement["pictures"])) == (1, 3)


def test_only_the_masked_area_of_a_file_is_edited(sdk: openai.OpenAI, sandbox: Sandbox) -> None:
    sandbox.change_models({"add": GPT_IMAGE})
    sandbox.script([{"as": "b64_json"}])
    response = sdk.images.edit(
        model="openai/gpt-image-1",
        prompt="Make it green",
        image=picture("red"),
        mask=mask_of((128, 128, 255, 255)),
        size="1024x1024",
    )
    (edited,) = response.data or []
    image = opened(base64.b64decode(edited.b64_json or ""))
    assert (image.getpixel((500, 800)), image.getpixel((800, 500))) == ((255, 0, 0), (255, 0, 0))
    assert image.getpixel((700, 700)) != (255, 0, 0)
    assert sandbox.last_settlement["mask"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"model": "dall-e-3"}, "does not edit"),
        ({"image": b"no picture"}, "not a PNG"),
        ({"image": [picture()] * 4}, "1 to 3"),
        ({"mask": mask_of((0, 0, 9, 9))}, "mask"),
        ({"n": 11}, "maximum"),
    ],
)
def test_invalid_edit_is_a_400_and_not_charged(
    sdk: openai.OpenAI, sandbox: Sandbox, asked: dict[str, object], says: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=says):
        sdk.images.edit(**cast("Any", {"model": "nano-banana", "prompt": "x", "image": picture()} | asked))
    assert sandbox.charges == 0


@pytest.mark.parametrize(("status", "error"), [(403, openai.PermissionDeniedError), (429, openai.RateLimitError)])
def test_error_of_an_edit_has_the_documented_body(
    sdk: openai.OpenAI, sandbox: Sandbox, catalog: Catalog, status: int, error: type[openai.APIStatusError]
) -> None:
    sandbox.script([{"status": status}])
    with pytest.raises(error) as caught:
        sdk.images.edit(model="nano-banana", prompt="Make it warm", image=picture())
    assert caught.value.body == catalog.spec.errors[status].example["error"]
