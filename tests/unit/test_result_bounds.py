"""How large a result can become, whatever is asked for and whatever comes back."""

import json
from pathlib import Path

import pytest
from tests.support.fakes import OTHER_URL, URL, FakeGateway, FakeStore

from blockrun_image.catalog import Catalog
from blockrun_image.images import Image
from blockrun_image.results import GeneratedImages
from blockrun_image.toolset import ImageToolset


def wire_bytes(result: GeneratedImages) -> int:
    """Return the size of a result as it is sent, text and structured content together."""
    return len(json.dumps({"text": result.to_text(), "structured": result.to_dict()}, ensure_ascii=False).encode())


@pytest.mark.anyio
@pytest.mark.parametrize("letter", ["x", "犬", "🦊", "\\", "\n"])
@pytest.mark.parametrize("words", [1, 40])
@pytest.mark.parametrize("length", [200, 1_600, 4_000, 65_000])
async def test_largest_result_is_at_most_60_kilobytes(catalog: Catalog, letter: str, words: int, length: int) -> None:
    url = "https://pictures.example/"
    images = [
        Image(url + "u" * (length - len(url) - 1) + str(number), revised_prompt=f"{number} " + letter * 1_990)
        for number in range(10)
    ]
    prompt = ("a dog " + letter * (4_000 // words - 7) + " ") * words
    store = FakeStore()
    result = await ImageToolset(catalog, FakeGateway(*images, charged="9"), store).generate_image(
        prompt[:4_000], "dall-e-3", "1024x1792", n=10, art_style="x" * 120, composition="y" * 120, lighting="z" * 120
    )
    assert wire_bytes(result) <= 60_000
    told = {image.url: image.path for image in result.images}
    for image in images:
        assert image.url in told or (image.url or "").encode() in store.kept.values()


@pytest.mark.anyio
async def test_longest_prompt_does_not_inflate_the_result(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    result = await ImageToolset(catalog, gateway).generate_image("犬" * 65_536, "nano-banana-pro")
    assert gateway.requests[0].prompt == "犬" * 65_536
    assert wire_bytes(result) <= 10_000


@pytest.mark.anyio
async def test_overlong_url_goes_to_a_file_unless_it_is_the_only_one(catalog: Catalog) -> None:
    store = FakeStore()
    long = f"{URL}?{'s' * 9_000}"
    toolset = ImageToolset(catalog, FakeGateway(Image(long), Image(OTHER_URL)), store)
    result = await toolset.generate_image("a cat", "dall-e-3", n=2)
    path, fetched = Path("/pictures/1.url.txt"), result.images[0].path
    assert fetched is not None
    assert store.kept[path] == store.kept[fetched] == long.encode()  # the fake gateway's pictures are their URLs
    assert [image.url for image in result.images] == [path.as_uri(), OTHER_URL]
    assert result.warnings == [f"The URL of image 1 has {len(long):,} characters: it is in the file, in full."]
    alone = await ImageToolset(catalog, FakeGateway(Image(long)), store).generate_image("a cat", "dall-e-3")
    assert [image.url for image in alone.images] == [long]


@pytest.mark.anyio
@pytest.mark.parametrize(("n", "length"), [(1, 16_000), (2, 8_000), (10, 1_600)])
async def test_the_urls_of_a_result_share_16_000_characters(catalog: Catalog, n: int, length: int) -> None:
    store = FakeStore()
    urls = [f"{URL}?".ljust(length, "s"), f"{URL}?".ljust(length + 1, "s")]
    for url, files in zip(urls, (0, n), strict=True):
        await ImageToolset(catalog, FakeGateway(*[Image(url)] * n), store).generate_image("a cat", "dall-e-3", n=n)
        assert len([path for path in store.kept if path.name.endswith(".url.txt")]) == files


@pytest.mark.anyio
@pytest.mark.parametrize("has_store", [True, False])
async def test_overlong_url_is_returned_if_it_cannot_be_saved(catalog: Catalog, has_store: bool) -> None:
    long = f"{URL}?lost={'s' * 20_000}"
    store = FakeStore() if has_store else None
    result = await ImageToolset(catalog, FakeGateway(Image(long)), store).generate_image("a cat", "dall-e-3")
    assert [image.url for image in result.images] == [long]
    unsaved = "Image 1 could not be saved. Its URL has expired."
    assert result.warnings == (["The disk is full.", unsaved] if has_store else [])
