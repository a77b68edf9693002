"""Arguments as agents and frameworks write them: words for nothing, and values that are nearly right."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.support.listings import image, joined

from blockrun_image.arguments import check_arguments
from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import ImageArguments
from blockrun_image.schemas import ToolSchema, tool_schemas
from blockrun_image.spellings import as_size, is_nothing, nearest

GOOD: dict[str, object] = {"prompt": "a white owl", "model": "dall-e-3"}
NOTHING = [
    *("none", "None", "NONE.", "null", "nil", "undefined", "n/a", "N/A", "any", "default", "unspecified"),
    *("not specified", " Not  Set ", "-", "--", "\u2014", "''", '"none"', "(none)", "<null>", "[]", "{}", "...", "NaN"),
    *("None, none, none", "None/None", "none\u200b", "\u200b"),
    *("No preference", "nothing", "no", "false", "\uff4e\uff4f\uff4e\uff45", "`default`", "*"),
]


def tool(catalog: Catalog, name: str) -> ToolSchema:
    return next(schema for schema in tool_schemas(catalog) if schema.name == name)


@pytest.mark.parametrize("word", [*NOTHING, "auto"])
def test_words_for_nothing_set_no_optional_argument(catalog: Catalog, word: str) -> None:
    for schema in tool_schemas(joined(catalog, *(image(f"a/{id}") for id in range(50))), live=True):
        for name in schema.properties.keys() - schema.required:
            switched_off: Mapping[str, Any] = {"enrich": "off", "live": False} if word in ("no", "false") else {}
            kept = {word} if word in schema.properties[name].get("enum", ()) else set[object]()
            given = check_arguments(schema, {key: GOOD[key] for key in schema.required} | {name: word})
            assert given.get(name) in {None, switched_off.get(name), *kept}, name


def test_all_counts_as_unset_where_the_default_is_all(catalog: Catalog) -> None:
    many = joined(catalog, *(image(f"a/{id}") for id in range(50)))
    assert check_arguments(tool(many, "list_models"), {"search": "All", "use_case": "all"}) == {}
    assert check_arguments(tool(many, "estimate_cost"), {"model": "everything"}) == {}
    assert check_arguments(tool(many, "generate_image"), GOOD | {"art_style": "all"})["art_style"] == "all"


@pytest.mark.parametrize("words", ["No-wave poster", "none of the lamps lit", "Auto-Union racing poster", "anyone's"])
def test_words_that_only_begin_like_nothing_are_kept(catalog: Catalog, words: str) -> None:
    assert check_arguments(tool(catalog, "generate_image"), GOOD | {"art_style": words})["art_style"] == words
    assert not is_nothing(words)


@pytest.mark.parametrize("prompt", ["None", "-", "auto"])
def test_required_prompt_is_never_nothing(catalog: Catalog, prompt: str) -> None:
    assert check_arguments(tool(catalog, "generate_image"), GOOD | {"prompt": prompt})["prompt"] == prompt


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"model": "DALL-E-3"}, {"model": "dall-e-3"}),
        ({"model": "dalle3"}, {"model": "dall-e-3"}),
        ({"model": " DALL\u00b7E 3 "}, {"model": "dall-e-3"}),
        ({"model": "OpenAI/dall_e_2"}, {"model": "dall-e-2"}),
        ({"model": "Nano Banana Pro"}, {"model": "nano-banana-pro"}),
        ({"size": "1024x1024 "}, {"size": "1024x1024"}),
        ({"size": "1024\u00d71792"}, {"size": "1024x1792"}),
        ({"size": "1792*1024"}, {"size": "1792x1024"}),
        ({"size": "1792 by 1024 pixels"}, {"size": "1792x1024"}),
        ({"size": "1792px X 1024px"}, {"size": "1792x1024"}),
        ({"size": "\uff11\uff10\uff12\uff14x1024"}, {"size": "1024x1024"}),
        ({"size": "AUTO"}, {}),
        ({"quality": "HD"}, {"quality": "hd"}),
        ({"quality": " Standard."}, {"quality": "standard"}),
        ({"purpose": "Logo Icon"}, {"purpose": "logo_icon"}),
        ({"enrich": "Suggest"}, {"enrich": "suggest"}),
        *(({"enrich": no}, {"enrich": "off"}) for no in (False, "No.", "'false'", " NO ")),
        ({"n": "\uff12"}, {"n": 2}),
    ],
)
def test_near_miss_becomes_the_intended_value(
    catalog: Catalog, written: dict[str, object], meant: dict[str, object]
) -> None:
    assert check_arguments(tool(catalog, "generate_image"), GOOD | written) == GOOD | meant


def test_default_model_and_free_size_may_be_misspelt(catalog: Catalog) -> None:
    both = joined(catalog, image("openai/gpt-image-2", 0.06))
    assert both.find("GPT image 2").id == "openai/gpt-image-2"
    checked = check_arguments(tool(both, "generate_image"), {"prompt": "a", "model": "gptimage2", "size": "640 x 480"})
    assert checked == {"prompt": "a", "model": "openai/gpt-image-2", "size": "640x480"}


def test_ambiguous_spelling_is_refused(catalog: Catalog) -> None:
    both = joined(catalog, image("a/paint-1.5", 0.01), image("b/paint-15", 0.01))
    with pytest.raises(InvalidRequestError, match="There is no model 'Paint 15'"):
        check_arguments(tool(both, "generate_image"), {"prompt": "a", "model": "Paint 15"})
    assert check_arguments(tool(both, "generate_image"), {"prompt": "a", "model": "paint-15"})["model"] == "b/paint-15"


def test_text_without_a_close_match_stays_unchanged() -> None:
    assert nearest("banana", ["apple"]) == "banana"
    assert nearest("A", ["a", "a."]) == "A"
    assert as_size("16:9") == "16:9"
    assert as_size("1024x1024x3") == "1024x1024x3"


def test_quality_is_passed_on_to_a_model_without_listed_qualities(catalog: Catalog) -> None:
    both = joined(catalog, image("openai/gpt-image-2.5-flare", 0.28), image("dall-e-2"))
    request = both.resolve(ImageArguments(prompt="a", model="gpt-image-2.5-flare", quality="xhigh"))
    assert request.body()["quality"] == "xhigh"
    assert "enum" not in tool(both, "generate_image").properties["quality"]
    assert "quality" not in both.resolve(ImageArguments(prompt="a", model="gpt-image-2.5-flare")).body()
    with pytest.raises(InvalidRequestError, match="dall-e-2 cannot do quality 'xhigh'"):
        both.resolve(ImageArguments(prompt="a", model="dall-e-2", quality="xhigh"))


def test_exact_id_of_an_unconfirmed_model_is_not_taken_for_another(catalog: Catalog) -> None:
    both = replace(joined(catalog, image("b/flux-1.1", 0.01), image("e/y", 0.01)), strangers=("flux-11",))
    assert both.id_of("flux-11") == "flux-11"
    assert both.id_of("Flux 1.1") == "b/flux-1.1"
    assert both.id_of("e/y+") == "e/y+"
