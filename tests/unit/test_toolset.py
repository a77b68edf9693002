import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.support.fakes import OTHER_URL, URL, FakeGateway, FakeStore
from tests.support.listings import image, joined
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import enrich
from blockrun_image.errors import (
    ConfigurationError,
    ImageError,
    InvalidRequestError,
    ModelNotFoundError,
    OutcomeUnknownError,
    StorageError,
    UnknownModelError,
)
from blockrun_image.images import Defaults, Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Attempt, OnStatus
from blockrun_image.toolset import ImageToolset


@pytest.mark.anyio
async def test_a_request_reaches_the_gateway_once_with_its_defaults_filled_in(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    result = await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3")
    sent = gateway.requests[0].prompt
    assert gateway.requests == [ImageRequest(sent, "dall-e-3", "1024x1024", "standard", 1)]
    assert sent.startswith("a cat. ")
    assert (result.prompt.original, result.prompt.prompt) == ("a cat", sent)
    assert (result.request, result.gateway) == (gateway.requests[0], "pictures.example")


@pytest.mark.anyio
async def test_everything_that_is_asked_for_reaches_the_gateway(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL), Image(OTHER_URL))
    await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3", "1792x1024", "hd", 2, enrich="off")
    assert gateway.requests[0].body() == {
        "model": "dall-e-3",
        "prompt": "a cat",
        "size": "1792x1024",
        "quality": "hd",
        "n": 2,
    }


@pytest.mark.anyio
async def test_hd_of_a_model_without_a_price_for_it_goes_through_with_the_range(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    result = await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-2", quality="hd")
    assert gateway.requests[0].body()["quality"] == "hd"
    assert result.estimate.amount() == "$0.021-0.042"


@pytest.mark.anyio
async def test_a_call_tells_what_it_waits_for(catalog: Catalog) -> None:
    told: list[str] = []
    await ImageToolset(catalog, FakeGateway(Image(URL))).generate_image("a cat", "dall-e-3", on_status=told.append)
    assert told == ["waiting for dall-e-3", "drawing"]


@pytest.mark.anyio
async def test_the_default_model_is_asked_where_none_is_named(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    toolset = ImageToolset(catalog, gateway, defaults=Defaults("nano-banana"))
    await toolset.generate_image("a cat")
    await toolset.generate_image("a cat", "dall-e-2")
    assert [request.model for request in gateway.requests] == ["nano-banana", "dall-e-2"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"prompt": "a cat"},
            "There is no model ''. Models: dall-e-3 (from $0.042), dall-e-2",
        ),
        ({"prompt": "a cat", "model": "any"}, "There is no model 'any'."),
        ({"prompt": "a cat", "model": "dall-e-3", "size": "256x256"}, "Its sizes: 1024x1024, 1024x1792, 1792x1024."),
        ({"prompt": "a cat", "model": "nano-banana", "quality": "hd"}, "dall-e-3, dall-e-2 can."),
        ({"prompt": "a cat", "model": "dall-e-3", "n": 0}, "from 1 to 10"),
        ({"prompt": "a cat", "model": "dall-e-3", "n": 11}, "from 1 to 10"),
        ({"prompt": "a cat", "model": "dall-e-3", "n": 2.5}, "from 1 to 10"),
        ({"prompt": "a cat", "model": "dall-e-3", "n": True}, "from 1 to 10"),
        ({"prompt": "", "model": "dall-e-3"}, "The prompt is empty."),
        ({"prompt": "  ", "model": "dall-e-3"}, "The prompt is empty."),
        ({"prompt": "x" * 1001, "model": "dall-e-2"}, "dall-e-2 takes at most 1,000"),
        ({"prompt": "x" * 1_000_000, "model": "nano-banana-pro"}, "nano-banana-pro takes at most 65,536"),
        ({"prompt": "a \udc00 cat", "model": "dall-e-3"}, "lone surrogates"),
    ],
)
async def test_the_library_refuses_what_the_model_does_not_take_before_the_gateway(
    catalog: Catalog, arguments: dict[str, Any], says: str
) -> None:
    gateway = FakeGateway(Image(URL))
    with pytest.raises(InvalidRequestError) as caught:
        await ImageToolset(catalog, gateway).generate_image(**arguments)
    assert says in caught.value.to_text()
    assert caught.value.charged == "no"
    assert len(caught.value.to_text().encode()) <= 400
    assert gateway.requests == []


@pytest.mark.anyio
async def test_a_default_model_that_is_not_in_the_catalogue_is_refused(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    with pytest.raises(UnknownModelError, match="midjourney"):
        await ImageToolset(catalog, gateway, defaults=Defaults("midjourney")).generate_image("a cat")
    assert gateway.requests == []


@pytest.mark.anyio
async def test_without_a_gateway_no_picture_can_be_made(catalog: Catalog) -> None:
    with pytest.raises(ConfigurationError, match="no gateway") as caught:
        await ImageToolset(catalog).generate_image("a cat", "dall-e-3")
    assert caught.value.charged == "no"


@pytest.mark.anyio
async def test_a_gateways_error_comes_through_as_it_is(catalog: Catalog) -> None:
    error = OutcomeUnknownError("It fell silent.")

    class SilentGateway(FakeGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            raise error

    with pytest.raises(OutcomeUnknownError) as caught:
        await ImageToolset(catalog, SilentGateway()).generate_image("a cat", "dall-e-3")
    assert caught.value is error


@pytest.mark.anyio
@pytest.mark.parametrize(("charged", "known"), [(None, "unknown"), ("0.042", "yes")])
async def test_a_gateway_that_gives_no_picture_at_all_is_an_error_with_what_is_known_of_the_money(
    catalog: Catalog, charged: str | None, known: str
) -> None:
    with pytest.raises(ImageError) as caught:
        await ImageToolset(catalog, FakeGateway(charged=charged)).generate_image("a cat", "dall-e-3")
    assert caught.value.charged == known


def times(text: str, result: Any) -> tuple[int, int]:
    """Return how often `text` stands in the text and in the structured content of a result."""
    return result.to_text().count(text), json.dumps(result.to_dict(), ensure_ascii=False).count(f'"{text}"')


@pytest.mark.anyio
async def test_each_url_prompt_and_revision_stands_once_in_the_text_and_once_in_the_content(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL, revised_prompt="Ein Hund 🐕"), Image(OTHER_URL, revised_prompt="Ein Fuchs 🦊"))
    result = await ImageToolset(catalog, gateway).generate_image("an animal", "dall-e-3", n=2)
    for part in (URL, OTHER_URL, "Ein Hund 🐕", "Ein Fuchs 🦊"):
        assert times(part, result) == (1, 1)
    assert times(result.prompt.prompt, result) == (0, 1)


@pytest.mark.anyio
async def test_a_revision_that_all_pictures_share_is_told_once(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL, revised_prompt="Ein Hund"), Image(OTHER_URL, revised_prompt="Ein Hund"))
    result = await ImageToolset(catalog, gateway).generate_image("an animal", "dall-e-3", n=2)
    assert times("Ein Hund", result) == (1, 1)
    assert [image.revised_prompt for image in result.images] == ["Ein Hund", None]


@pytest.mark.anyio
async def test_a_revision_that_is_the_prompt_itself_is_not_told(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL, revised_prompt="an animal"), Image(OTHER_URL))
    result = await ImageToolset(catalog, gateway).generate_image("an animal", "dall-e-3", n=2, enrich="off")
    assert times("an animal", result) == (0, 1)
    assert times(OTHER_URL, result) == (1, 1)


@pytest.mark.anyio
async def test_a_revision_that_is_the_asked_or_the_sent_prompt_is_not_told(catalog: Catalog) -> None:
    sent = enrich("an animal", model="dall-e-3").prompt
    gateway = FakeGateway(Image(URL, revised_prompt="an animal"), Image(OTHER_URL, revised_prompt=sent))
    result = await ImageToolset(catalog, gateway).generate_image("an animal", "dall-e-3", n=2)
    assert result.prompt.prompt == sent != "an animal"
    assert [image.revised_prompt for image in result.images] == [None, None]


@pytest.mark.anyio
@pytest.mark.parametrize("n", [1, 2, 10])
async def test_the_revisions_of_a_result_share_4_000_bytes(catalog: Catalog, n: int) -> None:
    gateway = FakeGateway(*(Image(URL, revised_prompt=f"{number}{'犬' * 2_000}") for number in range(n)))
    result = await ImageToolset(catalog, gateway).generate_image("a dog", "dall-e-3", n=n)
    told = [(image.revised_prompt or "").encode() for image in result.images]
    assert all(0.9 * 4_000 / n < len(each) <= 4_000 / n for each in told)


@pytest.mark.anyio
async def test_an_empty_revision_is_none(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL, revised_prompt=""), Image(OTHER_URL, revised_prompt=""))
    content: Any = (await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3", n=2)).to_dict()
    assert content["images"] == [{"url": URL}, {"url": OTHER_URL}]


@pytest.mark.anyio
async def test_a_charge_over_the_estimate_is_warned_of(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL), charged="0.0421")
    result = await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3")
    warning = "$0.0421 was charged, more than the estimate of $0.042."
    assert result.warnings == [warning]
    assert times(warning, result) == (1, 1)


@pytest.mark.anyio
@pytest.mark.parametrize(("charged", "reported"), [("0.126", "0.126"), ("0.01", "0.01"), (None, None)])
async def test_a_charge_within_the_estimate_or_unknown_is_not_warned_of(
    catalog: Catalog, charged: str | None, reported: str | None
) -> None:
    gateway = FakeGateway(Image(URL), charged=charged)
    result: Any = await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3", "1024x1792")
    assert result.warnings == []
    assert result.to_dict()["cost"].get("charged_usd") == reported


@pytest.mark.anyio
async def test_fewer_pictures_than_asked_for_are_warned_of(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL), warnings=["The gateway is slow today."])
    result = await ImageToolset(catalog, gateway).generate_image("a cat", "dall-e-3", n=3)
    assert result.warnings == ["The gateway is slow today.", "Asked for 3 images, and 1 came back."]
    assert "Warning: Asked for 3 images, and 1 came back." in result.to_text()


@pytest.mark.anyio
async def test_pictures_that_come_as_data_are_stored_and_come_back_as_file_urls(catalog: Catalog) -> None:
    store = FakeStore()
    gateway = FakeGateway(Image(data=b"png", revised_prompt="Ein Hund"), Image(OTHER_URL))
    result = await ImageToolset(catalog, gateway, store).generate_image("a dog", "dall-e-3", n=2)
    assert store.kept == {Path("/pictures/1.png"): b"png"}
    path = Path("/pictures/1.png")
    assert result.images == [Image(path.as_uri(), path, revised_prompt="Ein Hund"), Image(OTHER_URL)]
    assert result.warnings == []


@pytest.mark.anyio
async def test_a_picture_that_could_not_be_stored_is_warned_of_and_the_other_comes_back(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(data=b"lost"), Image(data=b"png"), charged="0.084")
    result = await ImageToolset(catalog, gateway, FakeStore()).generate_image("a cat", "dall-e-3", n=2)
    assert [image.url for image in result.images] == ["file:///pictures/2.png"]
    assert result.warnings == [
        "The disk is full. It is kept as it came: /pictures/1.bin",
        "Asked for 2 images, and 1 came back.",
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("lost", [Image(data=b"lost"), Image(f"{URL}?lost={'s' * 20_000}")])
async def test_what_keeps_several_pictures_from_a_file_is_warned_of_once(catalog: Catalog, lost: Image) -> None:
    gateway = FakeGateway(*([lost] * 9), Image(URL), warnings=["The disk is full."])
    result = await ImageToolset(catalog, gateway, FakeStore()).generate_image("a cat", "dall-e-3", n=10)
    assert result.warnings.count("The disk is full.") == 1


@pytest.mark.anyio
async def test_when_no_picture_could_be_stored_the_error_says_that_it_was_charged(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(data=b"lost"), Image(data=b"lost"))
    with pytest.raises(StorageError, match="The disk is full") as caught:
        await ImageToolset(catalog, gateway, FakeStore()).generate_image("a cat", "dall-e-3", n=2)
    assert caught.value.charged == "yes"
    assert "It was charged." in caught.value.to_text()


@pytest.mark.anyio
async def test_data_without_a_store_is_an_error_that_says_that_it_was_charged(catalog: Catalog) -> None:
    with pytest.raises(StorageError, match="no store") as caught:
        await ImageToolset(catalog, FakeGateway(Image(data=b"png"))).generate_image("a cat", "dall-e-3")
    assert caught.value.charged == "yes"


@pytest.mark.anyio
@pytest.mark.parametrize("default", ["auto", "suggest", "off"])
@pytest.mark.parametrize("mode", [None, "auto", "suggest", "off"])
async def test_only_auto_adds_to_the_prompt_and_the_operators_default_holds_where_none_is_named(
    catalog: Catalog, default: str, mode: str | None
) -> None:
    gateway = FakeGateway(Image(URL))
    toolset = ImageToolset(catalog, gateway, defaults=Defaults(enrich=default))
    result = await toolset.generate_image("A dog", "dall-e-3", enrich=mode)
    in_force = mode or default
    assert (gateway.requests[0].prompt != "A dog") == result.prompt.changed == (in_force == "auto")
    assert bool(result.prompt.advice) == (in_force == "suggest")


@pytest.mark.anyio
async def test_a_way_to_enrich_that_does_not_exist_is_refused_before_anything_is_sent(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    with pytest.raises(InvalidRequestError, match="auto, suggest, off"):
        await ImageToolset(catalog, gateway).generate_image("A dog", "dall-e-3", enrich="always")
    assert gateway.requests == []


def test_a_dry_run_sends_what_the_generation_would(catalog: Catalog) -> None:
    asked: Any = {"prompt": "A dog", "purpose": "portrait", "enrich": "auto", "lighting": "dusk"}
    gateway = FakeGateway(Image(URL))
    toolset = ImageToolset(catalog, gateway)
    made = anyio.run(lambda: toolset.generate_image(model="dall-e-3", size="1792x1024", **asked))
    assert toolset.estimate_cost("dall-e-3", "1792x1024", **asked).prompts == {"dall-e-3": made.prompt}


def test_a_dry_run_leaves_out_the_models_that_do_not_take_the_prompt(catalog: Catalog) -> None:
    compared = ImageToolset(catalog).estimate_cost(prompt="a dog " * 500)
    assert [each.model for each in compared.estimates] == ["dall-e-3", "nano-banana", "nano-banana-pro"]


@pytest.mark.parametrize(
    ("model", "prompt", "says"),
    [
        ("dall-e-2", "x" * 1_001, "dall-e-2 takes at most 1,000"),
        ("any", "x" * 100_000, "nano-banana-pro takes at most 65,536"),
        ("any", " ", "The prompt is empty."),
        ("dall-e-3", "\ud800 dog", "lone surrogates"),
    ],
)
def test_a_dry_run_refuses_what_the_generation_would(catalog: Catalog, model: str, prompt: str, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        ImageToolset(catalog).estimate_cost(model, prompt=prompt)


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_still_stores_the_pictures_that_are_paid_for(catalog: Catalog) -> None:
    store = FakeStore()
    gateway = FakeGateway(Image(data=b"one"), Image(data=b"two"))
    with anyio.CancelScope() as call:
        await ImageToolset(catalog, gateway, store).generate_image(
            "a cat", "dall-e-3", n=2, on_status=lambda status: call.cancel() if status == "drawing" else None
        )
    assert list(store.kept.values()) == [b"one", b"two"]


ALL = ["dall-e-3", "dall-e-2", "nano-banana", "nano-banana-pro"]


def listed(toolset: ImageToolset, *filters: Any) -> list[str]:
    return [model.id for model in toolset.list_models(*filters).models]


@pytest.mark.parametrize("filters", [(), ("any",), ("any", 0), (None, 0.0), ("", Decimal(0))])
def test_without_a_filter_all_models_are_listed(catalog: Catalog, filters: tuple[Any, ...]) -> None:
    assert listed(ImageToolset(catalog), *filters) == ALL


@pytest.mark.parametrize(
    ("use_case", "model"),
    [
        ("highest_quality", "dall-e-3"),
        ("multiple_variations", "dall-e-2"),
        ("fast_and_cheap", "nano-banana"),
        ("professional_quality", "nano-banana-pro"),
    ],
)
def test_a_use_case_lists_the_model_that_the_api_recommends(catalog: Catalog, use_case: str, model: str) -> None:
    assert listed(ImageToolset(catalog), use_case) == [model]


@pytest.mark.parametrize(
    ("price", "models"),
    [
        (0.02, []),
        (0.021, ["dall-e-2"]),
        (0.042, ["dall-e-3", "dall-e-2"]),
        (Decimal("0.053"), ["dall-e-3", "dall-e-2", "nano-banana"]),
        (0.1049, ["dall-e-3", "dall-e-2", "nano-banana"]),
        (1, ALL),
    ],
)
def test_a_price_limit_lists_models_with_an_image_at_most_that_dear(
    catalog: Catalog, price: float | Decimal, models: list[str]
) -> None:
    assert listed(ImageToolset(catalog), None, price) == models


def test_both_filters_hold_together(catalog: Catalog) -> None:
    assert listed(ImageToolset(catalog), "fast_and_cheap", 0.05) == []
    assert listed(ImageToolset(catalog), "fast_and_cheap", 0.06) == ["nano-banana"]


@pytest.mark.parametrize("price", [-1, -0.01, float("nan"), float("inf"), Decimal("-Infinity")])
def test_a_price_limit_that_is_none_is_refused(catalog: Catalog, price: float | Decimal) -> None:
    with pytest.raises(InvalidRequestError, match="max_price_usd must be at least 0, not ") as caught:
        ImageToolset(catalog).list_models(max_price_usd=price)
    assert caught.value.charged == "no"


def test_an_unknown_use_case_is_refused_with_the_known_ones(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ImageToolset(catalog).list_models("logos")
    assert caught.value.message == (
        "There is no use case 'logos'."
        " Use cases: any, highest_quality, multiple_variations, fast_and_cheap, professional_quality."
    )
    assert caught.value.valid_values[:2] == ("any", "highest_quality")


@pytest.mark.parametrize("model", [None, "", "any"])
def test_without_a_model_all_that_can_do_it_are_compared_cheapest_first(catalog: Catalog, model: str | None) -> None:
    compared = ImageToolset(catalog).estimate_cost(model, "1024x1024").estimates
    assert [each.model for each in compared] == ["dall-e-2", "dall-e-3", "nano-banana", "nano-banana-pro"]


def test_with_a_model_only_that_one_is_priced(catalog: Catalog) -> None:
    (only,) = ImageToolset(catalog).estimate_cost("dall-e-3", "1792x1024", "hd", 10).estimates
    assert (only.amount(), only.exact) == ("$1.26", True)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("midjourney",), "There is no model 'midjourney'"),
        (("dall-e-3", "256x256"), "dall-e-3 has no size '256x256'"),
        (("nano-banana", None, "hd"), "nano-banana cannot do quality 'hd'"),
        (("dall-e-3", None, None, 11), "n must be a whole number from 1 to 10"),
        ((None, "256x256", None, 11), "No model can do size '256x256', n '11'."),
        ((None, "1x1"), "No model can do size '1x1'."),
    ],
)
def test_an_estimate_of_what_cannot_be_asked_for_is_refused(
    catalog: Catalog, asked: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ImageToolset(catalog).estimate_cost(*asked)
    assert says in caught.value.message
    assert caught.value.charged == "no"


@pytest.mark.anyio
async def test_an_added_model_can_be_listed_priced_and_asked_with_its_own_defaults(tmp_path: Path) -> None:
    document = json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))
    document["x-models"]["flux"] = {
        "provider": "Black Forest Labs",
        "sizes": ["1440x810", "768x768"],
        "list_price_usd": {"low": "0.01", "high": "0.01"},
        "max_images": 4,
        "max_prompt_characters": 2000,
        "recommended_for": [{"use_case": "Wide pictures"}],
    }
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    gateway = FakeGateway(Image(URL))
    toolset = ImageToolset(Catalog.load(path), gateway)

    await toolset.generate_image("a cat", "flux", enrich="off")

    assert gateway.requests == [ImageRequest("a cat", "flux", "1440x810", None, 1)]
    assert listed(toolset, "wide_pictures") == listed(toolset, None, 0.0105) == ["flux"]
    assert toolset.estimate_cost(n=4).estimates[0].to_dict()["estimated_usd"] == "0.042"
    assert toolset.estimate_cost(n=5).estimates[0].model == "dall-e-2"


@pytest.mark.anyio
@pytest.mark.parametrize("asked", ["nano-banana", "google/nano-banana"])
async def test_the_gateway_is_sent_the_spelling_that_it_lists_and_the_result_shows_the_other(
    catalog: Catalog, asked: str
) -> None:
    gateway = FakeGateway(Image(URL))
    result = await ImageToolset(joined(catalog, image("google/nano-banana")), gateway).generate_image("a cat", asked)
    assert gateway.requests[0].body()["model"] == "google/nano-banana"
    assert result.request.model == "nano-banana"


@pytest.mark.anyio
@pytest.mark.parametrize("entries", [[image("dall-e-3")], [image("dall-e-3"), image("flux")]])
async def test_a_model_that_the_gateway_no_longer_has_is_refused_with_the_others_if_there_are_any(
    catalog: Catalog, entries: list[object]
) -> None:
    class ForgetfulGateway(FakeGateway):
        async def generate(
            self, request: ImageRequest, attempt: Attempt, on_status: OnStatus, within_seconds: float
        ) -> ImagesResponse:
            raise ModelNotFoundError("There is no such model.", hint="Look at the list.")

    with pytest.raises(ModelNotFoundError) as caught:
        await ImageToolset(joined(catalog, *entries), ForgetfulGateway()).generate_image("a cat", "dall-e-3")
    others = len(entries) > 1
    assert caught.value.hint == ("Ask for another: flux (price not known)." if others else "Look at the list.")


@pytest.mark.anyio
async def test_a_call_at_a_price_that_nobody_knows_goes_through_and_warns_of_no_excess(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL), charged="0.5")
    result = await ImageToolset(joined(catalog, image("flux")), gateway).generate_image("a cat", "flux", enrich="off")
    assert gateway.requests[0].body() == {"model": "flux", "prompt": "a cat", "n": 1}
    assert (result.estimate.amount(), result.charged_usd, result.warnings) == ("unknown", Decimal("0.5"), [])
