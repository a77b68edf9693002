"""The models as a table, as text and as structured content."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.listings import image, joined, many
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image.catalog import Catalog
from blockrun_image.model_list import ModelList
from blockrun_image.toolset import ImageToolset

HEADS = ["Model", "Provider", "Sizes", "Qualities", "Price (USD)", "Requests/min", "Best for"]


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_models_table_is_markdown_with_all_distinguishing_columns(catalog: Catalog) -> None:
    heads, rule, *rows = cells(ImageToolset(catalog).list_models().to_table())
    assert heads == HEADS
    assert all(set(cell) == {"-"} and len(cell) >= 3 for cell in rule)
    assert [row[:6] for row in rows] == [
        ["dall-e-3", "OpenAI", "1024x1024, 1024x1792, 1792x1024", "standard, hd", "$0.042-0.126", "50"],
        ["dall-e-2", "OpenAI", "256x256, 512x512, 1024x1024", "standard, hd", "$0.021-0.042", "100"],
        ["nano-banana", "Google", "1024x1024", "-", "$0.053", "100"],
        ["nano-banana-pro", "Google", "1024x1024", "-", "$0.105", "-"],
    ]
    assert [row[6] for row in rows] == [
        "Highest quality (hd)",
        "Multiple variations",
        "Fast & cheap",
        "Professional quality",
    ]


def test_table_lines_have_equal_width(catalog: Catalog) -> None:
    assert len({len(line) for line in ImageToolset(catalog).list_models().to_table().splitlines()}) == 1


def test_the_cheapest_model_is_named_below_the_table(catalog: Catalog) -> None:
    table, _, cheapest = ImageToolset(catalog).list_models().to_text().rpartition("\n\n")
    assert cells(table)[0] == HEADS
    assert cheapest == "Cheapest: dall-e-2 standard 1024x1024 at $0.021 an image."


def test_structured_model_matches_the_table(catalog: Catalog) -> None:
    content: Any = ImageToolset(catalog).list_models().to_dict()
    assert content["models"][0] == {
        "id": "dall-e-3",
        "provider": "OpenAI",
        "sizes": ["1024x1024", "1024x1792", "1792x1024"],
        "qualities": ["standard", "hd"],
        "low_usd": "0.042",
        "high_usd": "0.126",
        "requests_per_minute": 50,
    }


def test_a_model_without_a_published_limit_has_no_requests_per_minute(catalog: Catalog) -> None:
    content: Any = ImageToolset(catalog).list_models().to_dict()
    limits = {model["id"]: model.get("requests_per_minute", "none") for model in content["models"]}
    assert limits == {"dall-e-3": 50, "dall-e-2": 100, "nano-banana": 100, "nano-banana-pro": "none"}


def test_recommendations_are_the_apis_own_and_the_cheapest_is_separate(catalog: Catalog) -> None:
    content: Any = ImageToolset(catalog).list_models().to_dict()
    assert content["recommendations"] == [
        {"use_case": "Highest quality", "model": "dall-e-3", "quality": "hd"},
        {"use_case": "Multiple variations", "model": "dall-e-2"},
        {"use_case": "Fast & cheap", "model": "nano-banana"},
        {"use_case": "Professional quality", "model": "nano-banana-pro"},
    ]
    assert (content["cheapest"]["model"], content["cheapest"]["estimated_usd"]) == ("dall-e-2", "0.021")


def test_empty_list_says_how_to_search_again(catalog: Catalog) -> None:
    result = ModelList(catalog, [])
    assert result.to_text() == "No model matches. Try a higher max_price_usd, or without use_case or search."
    assert result.to_dict() == {"models": []}


def test_added_model_is_a_table_row_and_may_have_no_use_case(tmp_path: Path) -> None:
    document = json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))
    document["x-models"]["flux"] = {
        "provider": "Black Forest Labs",
        "sizes": ["1440x810", "768x768"],
        "list_price_usd": {"low": "0.04", "high": "0.06"},
        "max_prompt_characters": 2000,
    }
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document), encoding="utf-8")

    listed = ImageToolset(Catalog.load(path)).list_models()

    assert cells(listed.to_table())[-1] == [
        "flux",
        "Black Forest Labs",
        "1440x810, 768x768",
        "-",
        "$0.042-0.063",
        "-",
        "-",
    ]


def test_table_of_a_live_list_shows_sources_and_retired_models(catalog: Catalog) -> None:
    result = ImageToolset(joined(catalog, image("flux"), image("openai/dall-e-3", 0.05))).list_models()
    heads, _, *rows = cells(result.to_table())
    assert heads == [*HEADS, "Source"]
    assert [[row[0], row[2], row[4], row[-1]] for row in rows] == [
        ["dall-e-3", "1024x1024, 1024x1792, 1792x1024", "from $0.0525", "both"],
        ["flux", "not listed", "unknown", "live"],
        ["dall-e-2", "256x256, 512x512, 1024x1024", "$0.021-0.042", "contract, unavailable"],
        ["nano-banana", "1024x1024", "$0.053", "contract, unavailable"],
        ["nano-banana-pro", "1024x1024", "$0.105", "contract, unavailable"],
    ]
    assert result.to_text().rpartition("\n\n")[2] == (
        "Models of pictures.example as listed at 2025-11-25T00:00:00Z."
        " No longer available: dall-e-2, nano-banana, nano-banana-pro.\n"
        "Cheapest: dall-e-3 standard 1024x1024 at $0.0525-0.0535 an image."
    )


def test_structured_live_list_shows_sources_time_and_retired_models(catalog: Catalog) -> None:
    content: Any = ImageToolset(joined(catalog, image("flux"), image("dall-e-3"))).list_models().to_dict()
    assert content["models"][1] == {"id": "flux", "provider": "not listed", "source": "live"}
    assert content["listed"] == {"gateway": "pictures.example", "seen": "2025-11-25T00:00:00Z"}
    assert [(each["id"], each["source"], each.get("available", True)) for each in content["models"]] == [
        ("dall-e-3", "both", True),
        ("flux", "live", True),
        ("dall-e-2", "contract", False),
        ("nano-banana", "contract", False),
        ("nano-banana-pro", "contract", False),
    ]
    assert content["recommendations"] == [{"use_case": "Highest quality", "model": "dall-e-3", "quality": "hd"}]
    assert content["cheapest"]["model"] == "dall-e-3"


def test_retired_models_are_not_mentioned_if_there_are_none(catalog: Catalog) -> None:
    text = ImageToolset(joined(catalog, image("flux"), scope="live")).list_models().to_text()
    assert text.endswith("\n\nModels of pictures.example as listed at 2025-11-25T00:00:00Z.")


def test_forty_of_many_models_are_listed_with_the_overall_cheapest(catalog: Catalog) -> None:
    result = ImageToolset(joined(catalog, *many(100), scope="live")).list_models()
    content: Any = result.to_dict()
    assert ([model["id"] for model in content["models"]][-1], content["more"]) == ("vendor-3/painter-0039", 60)
    assert content["cheapest"]["model"] == "vendor-0/painter-0099"
    lines = result.to_text().splitlines()
    assert lines[-3] == "60 more: narrow the list with search, use_case or max_price_usd."
    assert lines[-1] == "Cheapest: vendor-0/painter-0099 auto at $1.039605-1.040605 an image."


@pytest.mark.parametrize(
    ("search", "found"),
    [("PAINTER-0007", ["vendor-7/painter-0007"]), ("google", ["nano-banana", "nano-banana-pro"]), ("nothing", [])],
)
def test_search_finds_models_by_part_of_their_id_or_provider(catalog: Catalog, search: str, found: list[str]) -> None:
    result = ImageToolset(joined(catalog, *many(100))).list_models(search=search)
    assert ([model.id for model in result.models], result.more) == (found, 0)


def test_price_limit_excludes_models_that_may_cost_more_or_are_unpriced(catalog: Catalog) -> None:
    entries = [image("unknown"), image("free", 0), image("exact", "0.0476"), image("over", "0.048"), image("dall-e-2")]
    result = ImageToolset(joined(catalog, *entries, scope="live")).list_models(max_price_usd=0.051)
    assert [model.id for model in result.models] == ["dall-e-2", "free", "exact"]


def test_forty_of_many_prices_are_listed_cheapest_first(catalog: Catalog) -> None:
    result = ImageToolset(joined(catalog, *many(100), scope="live")).estimate_cost()
    content: Any = result.to_dict()
    assert (len(content["estimates"]), content["more"]) == (40, 60)
    assert content["estimates"][0]["model"] == "vendor-0/painter-0099"
    assert "\n60 more models, none of them known to be cheaper.\n" in result.to_text()
