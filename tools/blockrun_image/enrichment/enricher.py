"""Adds to a prompt what it lacks and what fits it: never more than a few words, and never against its own.

The order of choice is argument, purpose, size, subject, fallback. A composition and a light are added freely; a style
only for a purpose that has one, or to a bare prompt, where the API's tips say to specify one.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from blockrun_image.enrichment.choice import Choice
from blockrun_image.enrichment.enriched import MAIN_FACETS, PURPOSES, Addition, Advice, EnrichedPrompt, Wishes
from blockrun_image.enrichment.reading import Reading, read
from blockrun_image.enrichment.tips import Tips, words_of
from blockrun_image.errors import InvalidRequestError
from blockrun_image.model import Model
from blockrun_image.text import choices, quoted

_MOST_READ_CHARACTERS = 2_000
_MOST_WORDS = 40
_MOST_WORDS_BESIDE_TWO_FACETS = 22
_WIDE = 1.2
_ARGUMENTS: Mapping[str, Literal["art_style", "composition", "lighting"]] = {
    "style": "art_style",
    "composition": "composition",
    "lighting": "lighting",
}
_RICH = "it is rich already"

_WISH = re.compile(r"\w(?:[\w ,.&+%-]|(?<=\w)['’](?=\w)){0,119}")
_ENDED = re.compile(r"[.!?…。！？]['\"”’»)\]]{0,3}\Z")
_PAUSED = re.compile(r"[,;:—–]\Z")


@dataclass(frozen=True)
class _Wish:
    """What an argument asks to be added."""

    argument: str
    text: str

    @property
    def words(self) -> Sequence[str]:
        return words_of(self.text)


@dataclass(frozen=True)
class Enricher:
    """Enriches prompts for one model, size, purpose and choice of words."""

    tips: Tips
    model: Model
    purpose: str
    shape: str
    wishes: Mapping[str, _Wish]

    @classmethod
    def of(cls, model: Model, size: str | None, wishes: Wishes) -> "Enricher":
        """Return the one for a call; raises `InvalidRequestError` for a purpose or words that cannot be used."""
        tips = Tips.built_in()
        named = {facet: (argument, wishes.get(argument, "").strip()) for facet, argument in _ARGUMENTS.items()}
        return cls(
            tips=tips,
            model=model,
            purpose=_known_purpose(wishes.get("purpose") or "auto"),
            shape=_shape(size),
            wishes={facet: _wish(tips, facet, *wish) for facet, wish in named.items() if wish[1]},
        )

    def enrich(self, prompt: str) -> EnrichedPrompt:
        """Return the prompt with what it lacks and what fits it."""
        original = read(self.tips, prompt)
        wished, warnings = self._wished(prompt, original)
        reading = read(self.tips, self._joined(prompt, wished)) if wished else original
        given = self._given(reading)
        rich = _is_rich(prompt, reading, given)
        own = reading if rich else self._own(prompt, original)
        choice = Choice(self.tips, reading, own.key_word, self._purpose_of(reading), self.shape, given)
        reason = reading.untouchable or (_RICH if rich else own.unclear)
        chosen: Sequence[Addition] = () if reason else choice.additions()
        applied = self._fitting(prompt, wished, chosen)
        missing = [facet for facet in choice.wanted if facet not in {each.facet for each in applied}]
        advice = choice.advice([] if reading.untouchable or reason == _RICH else missing)
        return EnrichedPrompt(
            prompt=self._joined(prompt, applied),
            original=prompt,
            applied=applied,
            present=original.named_facets(),
            missing=missing,
            advice=advice,
            warnings=warnings,
            reason="" if applied else reason or _why_nothing(chosen, missing, advice),
        )

    def _wished(self, prompt: str, reading: Reading) -> tuple[Sequence[Addition], Sequence[str]]:
        """Return what the arguments add, and a warning for each that cannot be added."""
        wished: list[Addition] = []
        warnings: list[str] = []
        for facet, wish in self.wishes.items():
            addition = Addition(facet, wish.text, "argument", f"arguments.{wish.argument}", "the call asks for it")
            refusal = self._refusal(wish, reading)
            if not refusal and reading.says(wish.words):
                continue
            if not refusal and not self._fits(prompt, [*wished, addition]):
                refusal = "there is no room for it"
            if refusal:
                warnings.append(f"{wish.argument} {quoted(wish.text)} was not added: {refusal}.")
            else:
                wished.append(addition)
        return wished, warnings

    def _refusal(self, wish: _Wish, reading: Reading) -> str:
        if reading.untouchable:
            return f"the prompt was left alone, because {reading.untouchable}"
        tags = read(self.tips, wish.text).tags
        clashes = self.tips.conflict(tags, reading.tags) or reading.rules_out(
            self.tips.lexicon.content_of(wish.text), tags
        )
        return "it contradicts the prompt's own words" if clashes else ""

    def _own(self, prompt: str, original: Reading) -> Reading:
        """Return what the prompt tells without what an earlier call may have added to it for an argument."""
        own = prompt
        for wish in sorted((wish.text for wish in self.wishes.values()), key=len, reverse=True):
            own = re.sub(rf"(?<!\w){re.escape(wish)}(?!\w)", " ", own, flags=re.IGNORECASE)
        return original if own == prompt else read(self.tips, own)

    def _purpose_of(self, reading: Reading) -> str:
        if self.purpose != "auto":
            return self.purpose
        return next((name for name in self.tips.purposes if name in reading.purposes), "")

    def _given(self, reading: Reading) -> AbstractSet[str]:
        """Return the facets that the words name, those among them that an argument asked for."""
        return reading.present | {facet for facet, wish in self.wishes.items() if reading.says(wish.words)}

    def _fitting(self, prompt: str, wished: Sequence[Addition], chosen: Sequence[Addition]) -> Sequence[Addition]:
        kept = list(chosen)
        while kept and not self._fits(prompt, [*wished, *kept]):
            kept.pop()
        return _in_order([*wished, *kept])

    def _fits(self, prompt: str, additions: Sequence[Addition]) -> bool:
        most = self.model.max_prompt_characters
        return most is None or len(self._joined(prompt, additions)) <= most

    def _joined(self, prompt: str, additions: Sequence[Addition]) -> str:
        """Return the prompt with the additions after it; whatever its last clause is, it ends there."""
        if not additions:
            return prompt
        words = ", ".join(each.text for each in _in_order(additions))
        if self.model.prompt_form == "sentence":
            words += "."
        if _PAUSED.search(prompt):
            return f"{prompt} {words}"
        if self.model.prompt_form == "tags" and not _ENDED.search(prompt) and not prompt[-1:].isspace():
            return f"{prompt}, {words}"
        between = "\n" if prompt[-1:].isspace() else " " if _ENDED.search(prompt) else ". "
        return f"{prompt}{between}{_capital(words[0])}{words[1:]}"


def _known_purpose(purpose: str) -> str:
    if purpose not in PURPOSES:
        raise InvalidRequestError(
            f"There is no purpose {quoted(purpose)}. Purposes: {choices(PURPOSES, purpose)}.", valid_values=PURPOSES
        )
    return purpose


def _wish(tips: Tips, facet: str, argument: str, words: str) -> _Wish:
    """Return what an argument asks for: the phrase that it is the id of, or its own words."""
    preset = tips.phrases[facet].get("_".join(words_of(words)))
    if preset:
        return _Wish(argument, preset.text)
    if not _WISH.fullmatch(words) or "--" in words or not any(map(str.isalpha, words)):
        raise InvalidRequestError(
            f"{argument} must be a short phrase, not {quoted(words)}.",
            hint="At most 120 characters: words, without quotes, line breaks, brackets or flags.",
        )
    return _Wish(argument, words.rstrip(" ,.-"))


def _capital(letter: str) -> str:
    """Return the letter as a capital, unless that could not be told for the same letter again, as with ß."""
    return letter.upper() if letter.upper().lower() == letter.lower() else letter


def _shape(size: str | None) -> str:
    width, _, height = (size or "").partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        return ""
    if int(width) >= _WIDE * int(height):
        return "wide"
    return "tall" if int(height) >= _WIDE * int(width) else ""


def _is_rich(prompt: str, reading: Reading, given: AbstractSet[str]) -> bool:
    facets = sum(facet in given for facet in MAIN_FACETS)
    return (
        len(prompt) > _MOST_READ_CHARACTERS
        or reading.words > _MOST_WORDS
        or facets == len(MAIN_FACETS)
        or (facets > 1 and reading.words > _MOST_WORDS_BESIDE_TWO_FACETS)
    )


def _why_nothing(chosen: Sequence[Addition], missing: Sequence[str], advice: Sequence[Advice]) -> str:
    if chosen:
        return "there is no room for more"
    if advice:  # a composition or a light that could be advised would have been chosen
        return "a style is added only to a bare prompt or for a purpose"
    return "nothing fits that it does not say" if missing else "it has what its purpose needs"


def _in_order(additions: Sequence[Addition]) -> Sequence[Addition]:
    return sorted(additions, key=lambda each: MAIN_FACETS.index(each.facet))
