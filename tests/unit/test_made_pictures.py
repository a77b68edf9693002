"""What the toolset hands over of a gateway's answer: pictures, revisions, files, and warnings."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.support.fakes import OTHER_URL, URL, FakeGateway, FakeStore

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import enrich
from blockrun_image.errors import (
    ImageError,
    StorageError,
)
from blockrun_image.images import Image
from blockrun_image.toolset import ImageToolset


@pytest.mark.anyio
@pytest.mark.parametrize(("charged", "known"), [(None, "unknown"), ("0.042", "yes")])
async def test_answer_without_a_picture_is_an_error_with_its_charge(
    catalog: Catalog, charged: str | None, known: str
) -> None:
    with pytest.raises(ImageError) as caught:
        await ImageToolset(catalog, FakeGateway(charged=charged)).generate_image("a cat", "dall-e-3")
    assert caught.value.charged == known


def times(text: str, result: Any) -> tuple[int, int]:
    """Return how often `text` stands in the text and in the structured content of a result."""
    return result.to_text().count(text), json.dumps(result.to_dict(), ensure_ascii=False).count(f'"{text}"')


@pytest.mark.anyio
async def test_url_prompt_and_revision_appear_once_in_text_and_content(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL, revised_prompt="Ein Hund 🐕"), Image(OTHER_URL, revised_prompt="Ein Fuchs 🦊"))
    result = await ImageToolset(catalog, gateway).generate_image("a dog", "dall-e-3", n=2)
    for part in (URL, OTHER_URL, "Ein Hund 🐕", "Ein Fuchs 🦊"):
        assert times(part, result) == (1, 1)
    assert times(result.prompt.prompt, result) == (0, 1)


@pytest.mark.anyio
async def test_revision_shared_by_all_pictures_is_reported_once(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL, revised_prompt="Ein Hund"), Image(OTHER_URL, revised_prompt="Ein Hund"))
    result = await ImageToolset(catalog, gateway).generate_image("a dog", "dall-e-3", n=2)
    assert times("Ein Hund", result) == (1, 1)
    assert [image.revised_prompt for image in result.images] == ["Ein Hund", None]


@pytest.mark.anyio
async def test_revision_equal_to_an_unenriched_prompt_is_not_reported(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL, revised_prompt="a dog"), Image(OTHER_URL))
    result = await ImageToolset(catalog, gateway).generate_image("an animal", "dall-e-3", n=2, enrich="off")
    assert times("an animal", result) == (0, 1)
    assert times(OTHER_URL, result) == (1, 1)


@pytest.mark.anyio
async def test_revision_equal_to_the_original_or_sent_prompt_is_not_reported(catalog: Catalog) -> None:
    sent = enrich("a dog", model="dall-e-3").prompt
    gateway = FakeGateway(Image(URL, revised_prompt="a dog"), Image(OTHER_URL, revised_prompt=sent))
    result = await ImageToolset(catalog, gateway).generate_image("a dog", "dall-e-3", n=2)
    assert result.prompt.prompt == sent != "a dog"
    assert [image.revised_prompt for image in result.images] == [None, None]


@pytest.mark.anyio
@pytest.mark.parametrize("n", [1, 2, 10])
async def test_revisions_of_a_result_share_4_000_bytes(catalog: Catalog, n: int) -> None:
    gateway = FakeGateway(*(Image(URL, revised_prompt=f"{number}{'犬' * 2_000}") for number in range(n)))
    result = await ImageToolset(catalog, gateway).generate_image("a dog", "dall-e-3", n=n)
    told = [(image.revised_prompt or "").encode() for image in result.images]
    assert all(0.9 * 4_000 / n < len(each) <= 4_000 / n for each in told)


@pytest.mark.anyio
async def test_empty_revision_is_omitted(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL, revised_prompt=""), Image(OTHER_URL, revised_prompt=""))
    content: Any = (await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3", n=2)).to_dict()
    assert content["images"] == [{"url": URL}, {"url": OTHER_URL}]


@pytest.mark.anyio
async def test_charge_above_the_estimate_causes_a_warning(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL), charged="0.0421")
    result = await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3")
    warning = "$0.0421 was charged, more than the estimate of $0.042."
    assert result.warnings == [warning]
    assert times(warning, result) == (1, 1)


@pytest.mark.anyio
@pytest.mark.parametrize(("charged", "reported"), [("0.126", "0.126"), ("0.01", "0.01"), (None, None)])
async def test_charge_within_the_estimate_or_unknown_causes_no_warning(
    catalog: Catalog, charged: str | None, reported: str | None
) -> None:
    gateway = FakeGateway(Image(URL), charged=charged)
    result: Any = await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3", "1024x1792")
    assert result.warnings == []
    assert result.to_dict()["cost"].get("charged_usd") == reported


@pytest.mark.anyio
async def test_fewer_pictures_than_requested_cause_a_warning(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL), warnings=["The gateway is slow today."])
    result = await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3", n=3)
    assert result.warnings == ["The gateway is slow today.", "Asked for 3 images, received 1."]
    assert "Warning: Asked for 3 images, received 1." in result.to_text()


@pytest.mark.anyio
async def test_pictures_sent_as_data_are_saved_and_returned_as_file_urls(catalog: Catalog) -> None:
    store = FakeStore()
    gateway = FakeGateway(Image(data=b"png", revised_prompt="Ein Hund"), Image(OTHER_URL))
    result = await ImageToolset(catalog, gateway, store).generate_image("a dog", "dall-e-3", n=2)
    path, other = Path("/pictures/1.png"), Path("/pictures/2.png")
    assert store.kept == {path: b"png", other: OTHER_URL.encode()}
    assert [(each.url, each.path) for each in result.images] == [(path.as_uri(), path), (OTHER_URL, other)]
    assert result.images[0].revised_prompt == "Ein Hund"
    assert result.warnings == []


@pytest.mark.anyio
async def test_unsaved_picture_causes_a_warning_and_the_other_is_returned(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(data=b"lost"), Image(data=b"png"), charged="0.084")
    result = await ImageToolset(catalog, gateway, FakeStore()).generate_image("a cat", "dall-e-3", n=2)
    assert [image.url for image in result.images] == ["file:///pictures/2.png"]
    assert result.warnings == [
        "The disk is full. It is kept unchanged: /pictures/1.bin",
        "Asked for 2 images, received 1.",
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("lost", [Image(data=b"lost"), Image(f"{URL}?lost={'s' * 20_000}")])
async def test_shared_reason_for_unsaved_pictures_is_reported_once(catalog: Catalog, lost: Image) -> None:
    gateway = FakeGateway(*([lost] * 9), Image(URL), warnings=["The disk is full."])
    result = await ImageToolset(catalog, gateway, FakeStore()).generate_image("a cat", "dall-e-3", n=10)
    assert result.warnings.count("The disk is full.") == 1


@pytest.mark.anyio
async def test_error_says_it_was_charged_if_no_picture_could_be_saved(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(data=b"lost"), Image(data=b"lost"))
    with pytest.raises(StorageError, match="The disk is full") as caught:
        await ImageToolset(catalog, gateway, FakeStore()).generate_image("a cat", "dall-e-3", n=2)
    assert caught.value.charged == "yes"
    assert "It was charged." in caught.value.to_text()


@pytest.mark.anyio
async def test_error_says_it_was_charged_if_data_has_no_store(catalog: Catalog) -> None:
    with pytest.raises(StorageError, match="no store") as caught:
        await ImageToolset(catalog, FakeGateway(Image(data=b"png"))).generate_image("a cat", "dall-e-3")
    assert caught.value.charged == "yes"


@pytest.mark.anyio
async def test_cancelled_call_still_saves_paid_pictures(catalog: Catalog) -> None:
    store = FakeStore()
    gateway = FakeGateway(Image(data=b"one"), Image(data=b"two"))
    with anyio.CancelScope() as call:
        await ImageToolset(catalog, gateway, store).generate_image(
            "a cat", "dall-e-3", n=2, on_status=lambda status: call.cancel() if status == "drawing" else None
        )
    assert list(store.kept.values()) == [b"one", b"two"]
