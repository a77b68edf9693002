"""What holds of every one of ten thousand prompts that are made up from uses, subjects, traits, sizes and arguments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from tests.prompts.lint import packaged
from tests.support.made_up_prompts import MadeUp, made_up

from blockrun_image.enrichment import EnrichedPrompt, enrich
from blockrun_image.enrichment.reading import read
from blockrun_image.enrichment.tips import Tips

COUNT = 10_000
TIPS = Tips.built_in()
LIMITS = {"dall-e-2": 1_000, "dall-e-3": 4_000}
TAGS_OF_A_SCENE = {"night", "day", "sun", "no_sun", "indoors", "outdoors", "named_background"}
"""Whatever a logo, a map or a sheet is about, it shows no scene: it is lit as it is made."""
DATA: Mapping[str, Any] = packaged("prompt_tips.json")


@dataclass(frozen=True)
class Tried:
    made: MadeUp
    result: EnrichedPrompt

    @property
    def own(self) -> Sequence[str]:
        """The phrases of the enricher's own choice."""
        return [each.text for each in self.result.applied if each.source != "argument"]


def enriched(made: MadeUp, prompt: str | None = None) -> EnrichedPrompt:
    return enrich(made.prompt if prompt is None else prompt, model=made.model, **made.asked)


@pytest.fixture(scope="module")
def tried() -> list[Tried]:
    return [Tried(made, enriched(made)) for made in made_up(COUNT)]


def failing(tried: Sequence[Tried], holds: Callable[[Tried], object]) -> Sequence[tuple[str, str]]:
    """Return the first few prompts for which something does not hold, and what became of them."""
    return [(each.made.prompt, each.result.prompt) for each in tried if not holds(each)][:5]


def test_the_prompts_are_of_all_sorts(tried: list[Tried]) -> None:
    sources = [addition.source for each in tried for addition in each.result.applied]
    assert {source for source in sources if sources.count(source) > 20} == {
        *("argument", "purpose", "use", "subject", "light")
    }
    assert 0.2 < sum(bool(each.own) for each in tried) / COUNT < 0.8
    assert sum(bool(each.result.advice) for each in tried) > COUNT / 100
    assert sum(bool(each.result.warnings) for each in tried) > COUNT / 100
    assert len({each.made.prompt for each in tried}) > COUNT * 0.9


def test_words_come_first_as_they_are(tried: list[Tried]) -> None:
    assert failing(tried, lambda each: each.result.prompt.startswith(each.made.prompt)) == []
    assert failing(tried, lambda each: each.result.original == each.made.prompt) == []


def test_enriching_again_changes_nothing(tried: list[Tried]) -> None:
    assert failing(tried, lambda each: enriched(each.made, each.result.prompt).prompt == each.result.prompt) == []


def test_same_call_has_the_same_result(tried: list[Tried]) -> None:
    assert failing(tried, lambda each: enriched(each.made) == each.result) == []


def test_nothing_is_reported_exactly_if_nothing_changed(tried: list[Tried]) -> None:
    assert failing(tried, lambda each: bool(each.result.applied) == each.result.changed) == []
    assert failing(tried, lambda each: bool(each.result.reason) != each.result.changed) == []


def test_each_addition_is_appended_and_for_a_facet_of_its_own(tried: list[Tried]) -> None:
    def is_appended(each: Tried) -> bool:
        appended = each.result.prompt[len(each.made.prompt) :].lower()
        facets = [addition.facet for addition in each.result.applied]
        texts = [addition.text.lower() for addition in each.result.applied]
        return len(set(facets)) == len(facets) and all(text in appended for text in texts)

    assert failing(tried, is_appended) == []


def test_result_fits_the_model(tried: list[Tried]) -> None:
    assert failing(tried, lambda each: len(each.result.prompt) <= LIMITS.get(each.made.model, 4_000)) == []
    for each in tried[:1_000]:
        filled = "x" * (LIMITS["dall-e-2"] - len(each.made.prompt) - len(each.result.prompt) % 60) + each.made.prompt
        assert len(enrich(filled, model="dall-e-2", **each.made.asked).prompt) <= max(LIMITS["dall-e-2"], len(filled))


def test_quoted_words_say_nothing_of_the_picture(tried: list[Tried]) -> None:
    quoting = [each for each in tried if each.made.quoted]

    def says_nothing(each: Tried) -> bool:
        other = enriched(each.made.saying(" ".join(["zyx"] * len(each.made.quoted.split()))))
        return [one.text for one in other.applied] == [one.text for one in each.result.applied]

    assert len(quoting) > 1_000
    assert failing(quoting, says_nothing) == []


def test_ruled_out_words_are_not_added(tried: list[Tried]) -> None:
    denying = [each for each in tried if each.made.negated]

    def keeps_out(each: Tried) -> bool:
        denied = read(TIPS, f"zyx, no {each.made.negated}")
        return all(
            TIPS.lexicon.content_of(text).isdisjoint(denied.negated_words)
            and read(TIPS, text).tags.isdisjoint(denied.negated_tags)
            for text in each.own
        )

    assert len(denying) > 1_000
    assert failing(denying, keeps_out) == []


def test_additions_do_not_contradict_the_prompt(tried: list[Tried]) -> None:
    def agrees(each: Tried) -> bool:
        tags = read(TIPS, each.made.prompt).tags - TAGS_OF_A_SCENE
        return not any(TIPS.conflict(read(TIPS, addition.text).tags, tags) for addition in each.result.applied)

    assert failing(tried, agrees) == []


def test_facet_that_the_prompt_names_is_not_added(tried: list[Tried]) -> None:
    def is_new(each: Tried) -> bool:
        return {addition.facet for addition in each.result.applied if addition.source != "argument"}.isdisjoint(
            each.result.present
        )

    assert failing(tried, is_new) == []


def test_one_piece_of_advice_at_most_is_given_and_never_what_was_added(tried: list[Tried]) -> None:
    def is_one(each: Tried) -> bool:
        examples = [advice.example for advice in each.result.advice if advice.example]
        return len(each.result.advice) <= 1 and not any(text in examples for text in each.own)

    assert failing(tried, is_one) == []


def test_each_wish_is_added_or_warned_of_or_there_already(tried: list[Tried]) -> None:
    def is_answered(each: Tried, argument: str) -> bool:
        if not each.made.asked[argument]:
            return True
        rules = [addition.rule for addition in each.result.applied]
        warned = [warning for warning in each.result.warnings if warning.startswith(argument)]
        wish = each.made.asked[argument]
        facet = "style" if argument == "art_style" else argument
        text = DATA["presets"][facet].get(wish, wish)
        is_there = text.lower() in each.made.prompt.lower()
        return (f"arguments.{argument}" in rules) + len(warned) + is_there >= 1

    for argument in ("art_style", "composition", "lighting"):
        assert failing(tried, lambda each, argument=argument: is_answered(each, argument)) == []


@pytest.mark.parametrize(
    "form",
    [
        "{}, as is",
        "Do not change my prompt: {}",
        "{} --ar 16:9",
        '{{"prompt": "{}"}}',
        "```{}```",
        "\u202e{}",
    ],
)
def test_opt_out_or_code_leaves_every_prompt_alone(tried: list[Tried], form: str) -> None:
    plain = [each for each in tried if not each.made.quoted]
    left = [(prompt := form.format(each.made.prompt), enriched(each.made, prompt)) for each in plain[:2_000]]
    assert [(prompt, result.prompt) for prompt, result in left if result.prompt != prompt] == []


@pytest.mark.parametrize(
    "form", ["{} 雪の中の赤い狐、夕暮れの漁村、水彩画、犬と猫と鳥と魚と花と木と山と川", "Der Hund und die Katze mit {}"]
)
def test_prompt_mostly_in_another_language_gains_nothing_of_the_enrichers_choice(form: str) -> None:
    for prompt in (form.format("dog"), form.format("logo")):
        assert enrich(prompt, model="dall-e-3").prompt == prompt


def test_very_long_prompt_gains_only_what_is_asked_for(tried: list[Tried]) -> None:
    for each in tried[:300]:
        long = f"{each.made.prompt} " * (3_000 // (len(each.made.prompt) + 1))
        result = enrich(long, model="nano-banana-pro", **each.made.asked)
        assert {addition.source for addition in result.applied} <= {"argument"}
        assert enrich(result.prompt, model="nano-banana-pro", **each.made.asked).prompt == result.prompt
