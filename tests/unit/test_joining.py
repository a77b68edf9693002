import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.listings import image, joined, listing, many
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError, UnknownModelError
from blockrun_image.images import ImageArguments
from blockrun_image.joining import Scope, join, without_strangers
from blockrun_image.model import PriceRange
from blockrun_image.pricing import estimate
from blockrun_image.toolset import ImageToolset

CONTRACT = ["dall-e-3", "dall-e-2", "nano-banana", "nano-banana-pro"]
ALIASES = {
    "openai/dall-e-3": "dall-e-3",
    "openai/dall-e-2": "dall-e-2",
    "google/nano-banana": "nano-banana",
    "google/nano-banana-pro": "nano-banana-pro",
}


def alone(catalog: Catalog, *entries: object) -> Catalog:
    """Return a catalogue of what a gateway lists beside nano-banana-pro."""
    return joined(catalog, image("nano-banana-pro"), *entries, scope="live")


def priced(catalog: Catalog, model: str, size: str = "", quality: str | None = None) -> str:
    return estimate(catalog, catalog.resolve(ImageArguments("a cat", model, size, quality))).price_text()


def sent(catalog: Catalog, model: str) -> object:
    return catalog.resolve(ImageArguments("a cat", model)).body()["model"]


def prefixed(contract: Catalog, **ids: str) -> Catalog:
    """Return the contract with other ids for some of its models, and without aliases."""
    models = {
        ids.get(id.replace("-", "_"), id): model.model_copy(update={"id": ids.get(id.replace("-", "_"), id)})
        for id, model in contract.models.items()
    }
    spec = type(contract.spec)({}, contract.spec.api.model_copy(update={"aliases": {}}), "a test")
    return Catalog(spec, models)


@pytest.mark.parametrize("scope", ["contract", "live", "both"])
def test_contract_is_unchanged_without_a_list(catalog: Catalog, scope: Scope) -> None:
    assert join(catalog, None, scope) is catalog


def test_list_is_ignored_in_the_contract_scope(catalog: Catalog) -> None:
    assert joined(catalog, image("flux", 0.01), image("dall-e-3", 9), scope="contract") is catalog


def test_live_scope_contains_only_listed_models(catalog: Catalog) -> None:
    live = joined(catalog, image("flux", 0.01), image("openai/dall-e-3", 0.04), scope="live")
    assert list(live.models) == ["dall-e-3", "flux"]
    assert live.unavailable == {}
    with pytest.raises(UnknownModelError, match="There is no model 'dall-e-2'"):
        live.find("dall-e-2")


def test_unlisted_models_are_retired_in_the_both_scope(catalog: Catalog) -> None:
    both = joined(catalog, image("flux", 0.01), image("openai/dall-e-3", 0.04))
    assert list(both.models) == ["dall-e-3", "flux"]
    assert list(both.unavailable) == ["dall-e-2", "nano-banana", "nano-banana-pro"]


@pytest.mark.parametrize("scope", ["live", "both"])
@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"id": "gpt-5", "categories": ["chat"]}],
        [{"id": "dall-e-3", "categories": ["chat"]}],
        [{"id": "gpt-5"}, {"id": "gpt-5-mini", "owned_by": "OpenAI"}],
        [image("flux", available=False)],
        [image("dall-e-3", available=False)],
        [None, "dall-e-3", {"id": "any"}],
    ],
)
def test_list_without_image_models_changes_nothing(catalog: Catalog, entries: list[object], scope: Scope) -> None:
    assert joined(catalog, *entries, scope=scope) is catalog


def test_list_without_categories_counts_only_the_contracts_models(catalog: Catalog) -> None:
    both = joined(catalog, {"id": "gpt-5"}, {"id": "dall-e-2"}, {"id": "google/nano-banana"}, {"id": "whisper-1"})
    assert list(both.models) == ["dall-e-2", "nano-banana"]
    assert list(both.unavailable) == ["dall-e-3", "nano-banana-pro"]
    assert priced(both, "dall-e-2") == "$0.021"


@pytest.mark.parametrize(("alias", "id"), ALIASES.items())
def test_model_listed_by_an_alias_is_shown_by_its_id_and_sent_by_the_alias(
    catalog: Catalog, alias: str, id: str
) -> None:
    both = joined(catalog, image(alias))
    assert list(both.models) == [id]
    assert both.find(alias) is both.find(id)
    assert (sent(both, id), sent(both, alias), both.sent_as(id)) == (alias, alias, alias)


@pytest.mark.parametrize("id", CONTRACT)
def test_model_listed_by_its_own_id_is_sent_by_it_and_found_by_its_alias(catalog: Catalog, id: str) -> None:
    both = joined(catalog, image(id))
    alias = next(alias for alias, shown in ALIASES.items() if shown == id)
    assert list(both.models) == [id]
    assert (sent(both, id), sent(both, alias)) == (id, id)


def test_model_listed_in_both_spellings_is_one_model_sent_as_shown(catalog: Catalog) -> None:
    both = joined(catalog, image("google/nano-banana"), image("nano-banana"))
    assert list(both.models) == ["nano-banana"]
    assert sent(both, "google/nano-banana") == "nano-banana"


def test_available_one_of_two_spellings_is_sent(catalog: Catalog) -> None:
    both = joined(catalog, image("nano-banana", available=False), image("google/nano-banana"))
    assert list(both.models) == ["nano-banana"]
    assert sent(both, "nano-banana") == sent(both, "google/nano-banana") == "google/nano-banana"


@pytest.mark.parametrize("prices", [(0.09, 0.07), (0.07, 0.09), (0.09, None), (None, 0.09)])
def test_higher_price_of_two_spellings_counts(catalog: Catalog, prices: tuple[float | None, ...]) -> None:
    both = joined(catalog, image("nano-banana", prices[0]), image("google/nano-banana", prices[1]))
    assert priced(both, "nano-banana") == "$0.0945-0.0955"


@pytest.mark.parametrize("prices", [(0.09, 0.07), (0.07, 0.09), (None, 0.09)])
def test_higher_of_two_prices_for_one_id_counts(catalog: Catalog, prices: tuple[float | None, ...]) -> None:
    both = joined(catalog, *(image("flux", price) for price in prices))
    assert priced(both, "flux") == "$0.0945-0.0955"


def test_model_of_an_unaliased_provider_replaces_no_contract_model(catalog: Catalog) -> None:
    both = joined(catalog, image("azure/dall-e-3", 0.001))
    assert list(both.models) == ["azure/dall-e-3"]
    assert "dall-e-3" in both.unavailable


def test_name_shared_by_two_providers_needs_its_provider(catalog: Catalog) -> None:
    both = alone(catalog, image("one/flux", 0.01), image("two/flux", 0.02))
    assert list(both.models) == ["nano-banana-pro", "one/flux", "two/flux"]
    with pytest.raises(UnknownModelError):
        both.find("flux")
    assert [sent(both, id) for id in ("one/flux", "two/flux")] == ["one/flux", "two/flux"]


def test_second_provider_of_a_contract_model_is_a_separate_model(catalog: Catalog) -> None:
    both = joined(catalog, image("openai/dall-e-3", 0.04), image("azure/dall-e-3", 0.01))
    assert list(both.models) == ["dall-e-3", "azure/dall-e-3"]
    assert both.find("dall-e-3").id == both.find("openai/dall-e-3").id == "dall-e-3"
    assert sent(both, "dall-e-3") == "openai/dall-e-3"
    assert sent(both, "azure/dall-e-3") == "azure/dall-e-3"


def test_unaliased_providers_do_not_keep_a_contract_model_available(catalog: Catalog) -> None:
    both = joined(catalog, image("azure/dall-e-3", 0.01), image("other/dall-e-3", 0.02))
    assert list(both.models) == ["azure/dall-e-3", "other/dall-e-3"]
    assert "dall-e-3" in both.unavailable
    with pytest.raises(UnknownModelError, match=r"azure/dall-e-3 \(from \$0.0105\)"):
        both.find("openai/dall-e-3")


def test_bare_id_beside_two_providers_is_a_separate_model(catalog: Catalog) -> None:
    both = alone(catalog, image("flux"), image("one/flux"), image("two/flux"))
    assert [sent(both, id) for id in ("flux", "one/flux", "two/flux")] == ["flux", "one/flux", "two/flux"]


def test_both_forms_of_a_live_model_are_one_model_shown_bare(catalog: Catalog) -> None:
    both = alone(catalog, image("bfl/flux", 0.05), image("flux", 0.04))
    assert list(both.models) == ["nano-banana-pro", "flux"]
    assert (sent(both, "bfl/flux"), priced(both, "flux")) == ("flux", "$0.0525-0.0535")


@pytest.mark.parametrize(
    ("entry", "shown", "other"),
    [
        (image("bfl/flux"), "bfl/flux", "flux"),
        (image("a/b/flux"), "a/b/flux", "flux"),
        (image("flux", provider="BFL"), "flux", "bfl/flux"),
    ],
)
def test_live_model_is_found_in_its_other_form(catalog: Catalog, entry: object, shown: str, other: str) -> None:
    both = alone(catalog, entry)
    assert both.find(other) is both.find(shown)
    assert sent(both, other) == shown


def test_contract_model_with_a_provider_may_be_listed_by_its_bare_name(catalog: Catalog) -> None:
    both = joined(prefixed(catalog, dall_e_3="openai/dall-e-3"), image("dall-e-3", 0.04))
    assert list(both.models) == ["openai/dall-e-3"]
    assert (sent(both, "openai/dall-e-3"), sent(both, "dall-e-3")) == ("dall-e-3", "dall-e-3")
    assert both.source_of("openai/dall-e-3") == "both"


def test_bare_name_shared_by_two_contract_models_is_a_separate_model(catalog: Catalog) -> None:
    contract = prefixed(catalog, dall_e_3="openai/painter", dall_e_2="azure/painter")
    both = joined(contract, image("painter", 0.01), image("openai/painter", 0.04))
    assert list(both.models) == ["openai/painter", "painter"]


@pytest.mark.parametrize("hostile", ["foo/any", "foo/", "any"])
def test_listed_id_cannot_stand_for_any_or_for_no_model(catalog: Catalog, hostile: str) -> None:
    both = joined(catalog, image("dall-e-2"), image(hostile, 0.000001))
    assert list(both.models) == ["dall-e-2"]
    assert not {"any", ""} & set(both.spellings)
    for id in ("any", "", hostile):
        with pytest.raises(UnknownModelError):
            both.find(id)


def test_unavailable_model_is_retired(catalog: Catalog) -> None:
    both = joined(catalog, image("dall-e-3"), image("google/nano-banana", available=False), image("x", available=False))
    assert list(both.models) == ["dall-e-3"]
    assert "nano-banana" in both.unavailable
    assert both.listed == {"dall-e-3": "dall-e-3"}


@pytest.mark.parametrize("asked", ["nano-banana", "google/nano-banana"])
def test_retired_model_is_refused_with_close_alternatives_and_their_prices(catalog: Catalog, asked: str) -> None:
    both = joined(catalog, image("google/nano-banana-2", 0.03), image("flux"), image("dall-e-3", 0.04))
    with pytest.raises(UnknownModelError) as caught:
        both.find(asked)
    assert caught.value.message == (
        f"'{asked}' is not among the models that pictures.example lists (seen 2025-11-25T00:00:00Z). Models:"
        " dall-e-3 (from $0.042), google/nano-banana-2 (from $0.0315), flux (price not known)."
    )
    assert caught.value.valid_values == ("dall-e-3", "google/nano-banana-2", "flux")
    assert len(caught.value.to_text().encode()) <= 400
    assert both.known("nano-banana").id == "nano-banana"


def test_unknown_model_is_not_reported_as_retired(catalog: Catalog) -> None:
    both = joined(catalog, image("dall-e-3"))
    with pytest.raises(UnknownModelError, match="There is no model 'midjourney'"):
        both.find("midjourney")
    with pytest.raises(UnknownModelError, match="There is no model 'midjourney'"):
        both.known("midjourney")


def test_refusal_of_a_retired_model_names_the_closest_of_many(catalog: Catalog) -> None:
    both = joined(catalog, *many(300), image("openai/dall-e-4", 0.08))
    with pytest.raises(UnknownModelError) as caught:
        both.find("openai/dall-e-3")
    assert "openai/dall-e-4 (from $0.084)" in caught.value.message
    assert caught.value.message.endswith(" (the closest of 301).")
    assert len(caught.value.to_text().encode()) <= 400


def test_single_model_has_no_alternatives(catalog: Catalog) -> None:
    assert joined(catalog, image("dall-e-3"), scope="live").alternatives("dall-e-3") == ""


SOURCES = [("dall-e-3", "both"), ("dall-e-2", "contract"), ("flux", "live")]


@pytest.mark.parametrize(("id", "source"), SOURCES)
def test_source_of_each_model_is_reported(catalog: Catalog, id: str, source: str) -> None:
    both = joined(catalog, image("openai/dall-e-3"), image("flux"))
    assert both.source_of(id) == source
    assert catalog.source_of("dall-e-3") == "contract"


def test_live_model_has_the_properties_listed_for_it(catalog: Catalog) -> None:
    told = image(
        "bfl/flux", 0.03, supportedSizes=["7x7"], supportedQualities=["draft"], maxPromptLength=100, owned_by="BFL"
    )
    flux = alone(catalog, told).find("bfl/flux")
    assert (flux.provider, flux.sizes, flux.qualities) == ("BFL", ("7x7",), ("draft",))
    assert flux.list_price_usd == PriceRange(low=Decimal("0.03"))
    assert (flux.prices, flux.max_images, flux.max_prompt_characters) == ((), 10, 100)


@pytest.mark.parametrize(("id", "provider"), [("bfl/flux", "bfl"), ("a/b/flux", "a/b"), ("flux", "not listed")])
def test_live_model_without_details_has_no_sizes_price_or_limit(catalog: Catalog, id: str, provider: str) -> None:
    flux = alone(catalog, image(id)).find(id)
    assert (flux.provider, flux.sizes, flux.qualities, flux.list_price_usd) == (provider, (), (), None)
    assert flux.max_prompt_characters is None


PRICES: list[tuple[Mapping[str, Any], Mapping[str, str]]] = [
    ({}, {"": "$0.042", "1024x1792": "$0.042-0.126"}),
    ({"pricePerImage": 0.04}, {"": "$0.042", "1024x1792": "$0.042-0.126"}),
    ({"pricePerImage": 0.08}, {"": "$0.084-0.085", "1024x1792": "from $0.084"}),
    ({"pricePerImage": 0.02}, {"": "$0.021-0.022", "1024x1792": "from $0.021"}),
    ({"pricePerImage": 0, "billing_mode": "free"}, {"": "$0.00", "1024x1792": "unknown"}),
]


@pytest.mark.parametrize(("fields", "amounts"), PRICES)
def test_published_prices_count_only_while_the_list_price_is_the_same(
    catalog: Catalog, fields: Mapping[str, Any], amounts: Mapping[str, str]
) -> None:
    both = joined(catalog, image("openai/dall-e-3", **fields))
    assert {size: priced(both, "dall-e-3", size) for size in amounts} == amounts
    assert bool(both.find("dall-e-3").prices) == (fields.get("pricePerImage", 0.04) == 0.04)


def test_listed_sizes_qualities_and_limits_replace_the_contracts(catalog: Catalog) -> None:
    told = {
        "supportedSizes": ["2048x2048", "1024x1024"],
        "supportedQualities": ["standard", "ultra"],
        "maxPromptLength": 99,
    }
    model = joined(catalog, image("dall-e-3", 0.04, **told)).find("dall-e-3")
    assert (model.sizes, model.qualities) == (("2048x2048", "1024x1024"), ("standard", "ultra"))
    assert model.max_prompt_characters == 99
    assert [(price.size, price.quality) for price in model.prices] == [("1024x1024", "standard")]
    assert (model.requests_per_minute, model.revises_prompt, model.max_images) == (50, True, 10)


def test_size_or_quality_unknown_to_the_contract_has_no_maximum_price(catalog: Catalog) -> None:
    told = {"supportedSizes": ["1024x1024", "4096x4096"], "supportedQualities": ["standard", "hd", "ultra"]}
    both = joined(catalog, image("dall-e-3", 0.04, **told), image("nano-banana", 0.05, **told))
    assert priced(both, "dall-e-3", "1024x1024", "hd") == "$0.042-0.126"
    assert priced(both, "dall-e-3", "4096x4096") == priced(both, "dall-e-3", "", "ultra") == "from $0.042"
    assert priced(both, "nano-banana") == "$0.0525-0.0535"
    assert priced(both, "nano-banana", "", "hd") == "from $0.0525"
    models: Any = ImageToolset(both).list_models().to_dict()["models"]
    assert [(each["low_usd"], each.get("high_usd")) for each in models[:2]] == [("0.042", None), ("0.0525", None)]


def test_delisted_size_is_refused(catalog: Catalog) -> None:
    both = joined(catalog, image("dall-e-3", supportedSizes=["1024x1024"]))
    with pytest.raises(InvalidRequestError, match="Its sizes: 1024x1024"):
        both.resolve(ImageArguments("a cat", "dall-e-3", "1792x1024"))


def test_shorter_listed_prompt_limit_is_enforced(catalog: Catalog) -> None:
    both = joined(catalog, image("dall-e-3", maxPromptLength=5))
    with pytest.raises(InvalidRequestError, match="takes at most 5"):
        both.resolve(ImageArguments("a black cat", "dall-e-3"))


def test_recommendation_for_a_delisted_quality_is_dropped(catalog: Catalog) -> None:
    told = {"supportedQualities": ["standard"]}
    both = joined(catalog, image("dall-e-3", **told), image("dall-e-2", **told))
    assert both.use_cases == ["Multiple variations"]
    assert joined(catalog, image("dall-e-3")).use_cases == ["Highest quality"]


def test_contract_models_come_first_and_each_part_keeps_its_order(catalog: Catalog) -> None:
    both = joined(catalog, image("z"), image("google/nano-banana"), image("a"), image("openai/dall-e-3"))
    assert list(both.models) == ["dall-e-3", "nano-banana", "z", "a"]


def test_joining_changes_neither_the_contract_nor_the_list(catalog: Catalog) -> None:
    before, listed = dict(catalog.models), listing(image("dall-e-3", 9, supportedSizes=["7x7"]))
    both = join(catalog, listed)
    assert catalog.models == before
    assert (both.contract, both.listing) == (catalog, listed)
    assert join(both.contract or both, listed).models == both.models


def test_standard_quality_is_the_default_even_if_listed_later(catalog: Catalog) -> None:
    both = joined(catalog, image("flux", 0.04, supportedQualities=["hd", "standard"]), image("dall-e-3"))
    request = both.resolve(ImageArguments("a cat", "flux"))
    assert request.quality == "standard"
    assert [priced(both, "flux", quality=quality) for quality in ("standard", "hd")] == ["$0.042-0.043", "from $0.042"]


def test_many_models_with_only_an_id_displace_no_known_model(catalog: Catalog) -> None:
    strangers = [{"id": f"chat-{number}"} for number in range(3_000)]
    listed = listing({"id": "nano-banana"}, *strangers, {"id": "dall-e-3"}, image("flux"))
    both = join(catalog, listed)
    assert list(both.models) == ["dall-e-3", "nano-banana", "flux"]
    short = without_strangers(catalog, listed)
    assert [each.id for each in short.models] == ["nano-banana", "dall-e-3", "flux"]
    assert join(catalog, short).models == both.models


@pytest.mark.parametrize("scope", ["both", "live"])
def test_model_only_in_the_operators_file_is_not_retired(tmp_path: Path, scope: Scope) -> None:
    document = json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))
    document["x-models"]["my-paint"] = {
        "provider": "Mine",
        "prices": [{"size": "1x1", "usd": "0.01"}],
        "sizes": ["1x1"],
    }
    file = tmp_path / "own.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    both = joined(Catalog.load(file), image("dall-e-3"), scope=scope)
    assert ("my-paint" in both.models, "my-paint" in both.unavailable) == (scope == "both", False)
    assert ("dall-e-2" in both.models, "dall-e-2" in both.unavailable) == (False, scope == "both")
    if scope == "both":
        assert (both.source_of("my-paint"), both.source_of("dall-e-3")) == ("contract", "both")
        assert priced(both, "my-paint") == "$0.01"
