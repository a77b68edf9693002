import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import EnrichedPrompt, enrich
from blockrun_image.images import Image, ImageArguments
from blockrun_image.pricing import estimate
from blockrun_image.results import GeneratedImages, PendingImages
from blockrun_image.toolset import ImageToolset

PUBLISHED = "The published price, rounded."


def generated(
    catalog: Catalog,
    request: ImageArguments,
    *images: Image,
    charged: str | None = None,
    warnings: tuple[str, ...] = (),
) -> GeneratedImages:
    asked = catalog.resolve(request)
    charged_usd = None if charged is None else Decimal(charged)
    prompt = EnrichedPrompt.untouched(asked.prompt, {})
    return GeneratedImages(asked, prompt, images, estimate(catalog, asked), charged_usd, "pictures.example", warnings)


@pytest.fixture
def two_pictures(catalog: Catalog) -> GeneratedImages:
    return generated(
        catalog,
        ImageArguments("a cat\non a mat", "dall-e-3", "1024x1792", n=2),
        Image("https://pictures.example/1.png", revised_prompt="a black cat on a mat"),
        Image("https://pictures.example/2.png", revised_prompt="a white cat on a mat"),
        charged="0.10",
        warnings=("It rains.", "It pours."),
    )


def test_structured_content_of_pictures_is_complete(two_pictures: GeneratedImages) -> None:
    assert two_pictures.to_dict() == {
        "status": "complete",
        "images": [
            {"url": "https://pictures.example/1.png", "revised_prompt": "a black cat on a mat"},
            {"url": "https://pictures.example/2.png", "revised_prompt": "a white cat on a mat"},
        ],
        "model": "dall-e-3",
        "size": "1024x1792",
        "quality": "standard",
        "prompt": {"sent": "a cat\non a mat", "reason": "enrich is off"},
        "cost": {
            "charged_usd": "0.10",
            "estimated_usd": "0.252",
            "low_usd": "0.084",
            "exact": False,
            "basis": "No published price for dall-e-3 standard 1024x1792: list price of $0.04-0.12 plus"
            " the 5 % margin.",
        },
        "gateway": "pictures.example",
        "warnings": ["It rains.", "It pours."],
    }


def test_text_of_pictures_is_complete(two_pictures: GeneratedImages) -> None:
    assert two_pictures.to_text() == (
        "2 images by dall-e-3 standard 1024x1792, charged $0.10.\n"
        "Revised prompt of image 1: a black cat on a mat\n"
        "Revised prompt of image 2: a white cat on a mat\n"
        "Nothing added to the prompt: enrich is off.\n"
        "Warning: It rains.\n"
        "Warning: It pours.\n"
        "https://pictures.example/1.png\n"
        "https://pictures.example/2.png"
    )


def test_optional_parts_of_a_picture_are_left_out(catalog: Catalog) -> None:
    result = generated(catalog, ImageArguments("a cat", "nano-banana", ""), Image("https://pictures.example/1.png"))
    assert result.to_text() == (
        "1 image by nano-banana 1024x1024. The gateway did not report the charge (estimated $0.053).\n"
        "Nothing added to the prompt: enrich is off.\n"
        "https://pictures.example/1.png"
    )
    assert result.to_dict() == {
        "status": "complete",
        "images": [{"url": "https://pictures.example/1.png"}],
        "model": "nano-banana",
        "size": "1024x1024",
        "prompt": {"sent": "a cat", "reason": "enrich is off"},
        "cost": {"estimated_usd": "0.053", "exact": True},
        "gateway": "pictures.example",
    }


def test_zero_charge_is_reported_as_such(catalog: Catalog) -> None:
    request = ImageArguments("a cat", "nano-banana", "")
    result: Any = generated(catalog, request, Image("https://pictures.example/1.png"), charged="0")
    assert result.to_dict()["cost"]["charged_usd"] == "0.00"
    assert result.to_text().startswith("1 image by nano-banana 1024x1024, charged $0.00.\n")


@pytest.mark.parametrize(("charged", "simulated"), [("0.05", "0.05"), ("0", "0.00"), (None, None)])
def test_sandbox_charges_nothing_and_reports_what_a_real_call_costs(
    catalog: Catalog, charged: str | None, simulated: str | None
) -> None:
    plain = generated(catalog, ImageArguments("a cat", "nano-banana"), Image("http://127.0.0.1/1.png"), charged=charged)
    result: Any = replace(plain, is_sandbox=True)
    figure = "0.053" if simulated is None else simulated
    assert result.to_text().startswith(
        f"1 image by nano-banana 1024x1024. Sandbox: nothing was charged (a real call: ${figure}).\n"
    )
    cost = result.to_dict()["cost"]
    assert (cost["charged_usd"], cost.get("simulated_usd"), cost["estimated_usd"]) == ("0.00", simulated, "0.053")


@pytest.mark.parametrize(("charged", "words"), [("0.05", " ($0.05)"), (None, "")])
def test_collected_picture_is_not_reported_as_charged_again(catalog: Catalog, charged: str | None, words: str) -> None:
    plain = generated(catalog, ImageArguments("a cat", "nano-banana"), Image("u"), charged=charged)
    first, *_ = replace(plain, is_collected=True).to_text().splitlines()
    assert first == f"1 image by nano-banana 1024x1024, paid by an earlier call{words}; nothing more was charged."


@pytest.mark.parametrize("is_sandbox", [False, True])
def test_pending_call_says_what_to_do_in_its_last_line(catalog: Catalog, is_sandbox: bool) -> None:
    plain = generated(catalog, ImageArguments("a cat", "nano-banana"))
    pending = PendingImages(
        plain.request,
        plain.prompt,
        (),
        plain.estimate,
        None,
        plain.gateway,
        is_sandbox=is_sandbox,
        held_usd=Decimal("0.053"),
    )
    first, *_, last = pending.to_text().splitlines()
    held = "sandbox: no money" if is_sandbox else "$0.053 is set aside"
    assert first == f"Pending: nano-banana 1024x1024 is still being made ({held})."
    assert last == "Repeat the call unchanged within a day to collect it without paying again."
    assert [*pending.to_dict()][:2] == ["status", "next_step"]


def test_the_fixed_part_of_ten_pictures_is_at_most_1_2_kilobytes(catalog: Catalog) -> None:
    images = [Image(f"https://pictures.example/{n}.png", revised_prompt=f"a cat, take {n}") for n in range(10)]
    request = ImageArguments("a cat on a mat", "dall-e-3", "1024x1792", n=10)
    result = generated(catalog, request, *images, charged="1.26")
    variable = [request.prompt, *(part for image in images for part in (image.url, image.revised_prompt) if part)]
    assert len(json.dumps(result.to_dict()).encode()) - sum(map(len, variable)) <= 1200


@pytest.mark.parametrize("prompt", ["A dog", "A cat at sunset", "A photo of a train, no people, not in close-up"])
def test_fixed_part_of_an_enriched_picture_is_at_most_1_2_kilobytes(catalog: Catalog, prompt: str) -> None:
    enriched = enrich(prompt, model="dall-e-3")
    plain = generated(catalog, ImageArguments(prompt, "dall-e-3", "1024x1792"), Image("u"), charged="0.126")
    result = replace(plain, prompt=enriched)
    forms = [json.dumps(result.to_dict(), separators=(",", ":")), result.to_text()]
    variable = [
        enriched.prompt,
        *([prompt] if enriched.changed else []),
        *(2 * [each.text for each in enriched.applied]),
    ]
    assert sum(map(len, forms)) - sum(map(len, variable)) <= 1200


def test_text_names_the_additions_and_not_the_prompt(catalog: Catalog) -> None:
    plain = generated(catalog, ImageArguments("A dog", "dall-e-3"), Image("https://pictures.example/1.png"))
    added = replace(plain, prompt=enrich("A dog", model="dall-e-3", art_style="ink on old paper")).to_text()
    assert "Added to the prompt: ink on old paper (style)." in added
    assert "A dog" not in added
    advised = replace(plain, prompt=enrich("A peaceful lake", model="dall-e-3")).to_text()
    assert 'Advice: Say how it is framed, such as "wide-angle view with a strong foreground".' in advised


def test_reason_for_no_addition_says_whether_something_is_missing() -> None:
    assert enrich("A dog at sunset", model="dall-e-3").reason == "no addition is certain to help"
    assert enrich("A gouache of a dog at sunset, seen from above", model="dall-e-3").reason == "it is detailed enough"


def test_original_and_sent_prompt_are_both_reported_only_if_they_differ(catalog: Catalog) -> None:
    changed: Any = enrich("A dog", model="dall-e-3").to_dict()["prompt"]
    assert changed["original"] == "A dog"
    assert changed["sent"].startswith("A dog. ")
    same: Any = enrich("A dog, exactly as written", model="dall-e-3").to_dict()["prompt"]
    assert same == {"sent": "A dog, exactly as written", "reason": "it asks to be sent unchanged"}


def test_result_does_not_repeat_the_callers_prompt(catalog: Catalog) -> None:
    prompt = "A dog " * 40
    plain = generated(catalog, ImageArguments(prompt, "dall-e-3"), Image("u"))
    told = replace(plain, prompt=enrich(prompt, model="dall-e-3", lighting="dusk")).to_dict()
    assert json.dumps(told).count(prompt.strip()) == 1


def test_facet_with_advice_is_not_also_reported_as_missing() -> None:
    told: Any = enrich("A peaceful lake", model="dall-e-3").to_dict()
    assert [each["facet"] for each in told["advice"]] == ["composition"]
    assert told["missing"] == ["style", "lighting"]


def test_saved_picture_is_reported_with_its_path_and_url(catalog: Catalog) -> None:
    image = Image("file:///pictures/1.png", Path("/pictures/1.png"))
    result: Any = generated(catalog, ImageArguments("a cat", "dall-e-3"), image)
    assert result.to_dict()["images"] == [{"url": "file:///pictures/1.png", "path": "/pictures/1.png"}]
    assert result.to_text().endswith("\nfile:///pictures/1.png\nSaved: /pictures/1.png")


def test_dry_run_reports_what_each_model_would_be_sent(catalog: Catalog) -> None:
    result = ImageToolset(catalog).estimate_cost(prompt="A dog")
    content: Any = result.to_dict()
    assert content["prompt"]["sent"].startswith("A dog, ")
    assert [other["models"] for other in content["other_prompts"]] == [["dall-e-3", "nano-banana", "nano-banana-pro"]]
    assert content["other_prompts"][0]["sent"].startswith("A dog. ")
    assert {each["facet"] for each in content["applied"]} == {"style", "composition", "lighting"}
    for sent in (content["prompt"]["sent"], content["other_prompts"][0]["sent"]):
        assert result.to_text().count(sent) == 1


def test_dry_run_without_additions_tells_each_of_them_as_advice(catalog: Catalog) -> None:
    result = ImageToolset(catalog).estimate_cost("dall-e-3", prompt="A cat sticker", enrich="suggest")
    content: Any = result.to_dict()
    (advice,) = content["advice"]
    assert advice == {
        "facet": "composition",
        "say": "Name its composition",
        "example": "isolated on a plain background, thick white outline",
    }
    assert f'Advice: Name its composition, such as "{advice["example"]}".' in result.to_text()


def test_advice_that_only_its_author_can_follow_has_no_example() -> None:
    told: Any = enrich("Same but at night", model="dall-e-3").to_dict()
    assert told["advice"] == [
        {"facet": "subject", "say": "Describe the whole picture again: no call knows an earlier one"}
    ]


def test_dry_run_gives_the_reason_of_each_addition_once_for_all_models(catalog: Catalog) -> None:
    result = ImageToolset(catalog).estimate_cost(prompt="A dog", lighting="at dusk")
    assert result.to_text().count("at dusk (the call asks for it: arguments.lighting)") == 1


def test_truncated_prompt_is_reported_as_sent_whole(catalog: Catalog) -> None:
    result = ImageToolset(catalog).estimate_cost("nano-banana", prompt="x" * 7_000)
    content: Any = result.to_dict()
    assert content["prompt"]["sent"].endswith("…")
    assert content["warnings"] == ["The prompt is sent whole; it is cut only here."]
    assert "Warning: The prompt is sent whole" in result.to_text()


def test_dry_run_of_one_model_includes_the_warnings(catalog: Catalog) -> None:
    result = ImageToolset(catalog).estimate_cost("dall-e-3", prompt="A dog", enrich="off", art_style="anime")
    content: Any = result.to_dict()
    assert content["warnings"] == ["art_style was not used, because enrich is off."]
    assert "other_prompts" not in content
    assert "Warning: art_style was not used" in result.to_text()


def test_comparison_has_one_line_per_model_followed_by_its_basis(catalog: Catalog) -> None:
    result = ImageToolset(catalog).estimate_cost(quality="hd", n=2)
    assert result.to_text() == (
        "dall-e-2 hd 1024x1024, n=2: $0.042-0.084\n"
        "dall-e-3 hd 1024x1024, n=2: $0.084-0.252\n"
        "No published price for dall-e-2 hd 1024x1024: list price of $0.02-0.04 plus the 5 % margin.\n"
        "No published price for dall-e-3 hd 1024x1024: list price of $0.04-0.12 plus the 5 % margin."
    )


def test_shared_basis_of_several_prices_is_stated_once(catalog: Catalog) -> None:
    assert ImageToolset(catalog).estimate_cost().to_text() == (
        "dall-e-2 standard 1024x1024, n=1: $0.021\n"
        "dall-e-3 standard 1024x1024, n=1: $0.042\n"
        "nano-banana 1024x1024, n=1: $0.053\n"
        "nano-banana-pro 1024x1024, n=1: $0.105\n"
        f"{PUBLISHED}"
    )


def test_structured_comparison_holds_every_estimate(catalog: Catalog) -> None:
    result = ImageToolset(catalog).estimate_cost("dall-e-3", n=3)
    assert result.to_dict() == {
        "estimates": [
            {
                "model": "dall-e-3",
                "size": "1024x1024",
                "quality": "standard",
                "n": 3,
                "estimated_usd": "0.126",
                "exact": True,
            }
        ]
    }
