"""Adds a few words that decide something to a prompt, or nothing, without contradicting it."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Literal

from blockrun_image.enrichment.advice import advice, refers_back
from blockrun_image.enrichment.choice import Choice
from blockrun_image.enrichment.contradictions import Statement
from blockrun_image.enrichment.enriched import MAIN_FACETS, PURPOSES, Addition, EnrichedPrompt, PromptOptions
from blockrun_image.enrichment.lexicon import words_of
from blockrun_image.enrichment.reading import Reading, read
from blockrun_image.enrichment.tips import Tips
from blockrun_image.errors import InvalidRequestError
from blockrun_image.model import Model
from blockrun_image.spec import is_size
from blockrun_image.text import choices, is_ended, quoted

_MAX_READ_CHARACTERS = 2_000
_RICH_ABOVE_WORDS = 40
_RICH_ABOVE_WORDS_WITH_TWO_FACETS = 22
_WIDE = 1.2  # the ratio of the longer side to the shorter one; below it, a picture counts as square
_ARGUMENTS: Mapping[str, Literal["art_style", "composition", "lighting"]] = {
    "style": "art_style",
    "composition": "composition",
    "lighting": "lighting",
}
_RICH = "it is detailed enough"

_MAX_REQUESTED_CHARACTERS = 120
_MAX_ADDED_CHARACTERS = 3 * (_MAX_REQUESTED_CHARACTERS + len(". "))
_ID = re.compile(r"[\w -]+")
# Words and numbers, with "f/1.8" and "d'art"; quotes, brackets and line breaks could change how the prompt is read.
_REQUESTED_PHRASE = re.compile(
    rf"[^\W_](?:[^\W_]|[ ,.&+%-]|(?<=[fF\d])/(?=\d)|(?<=\w)['’](?=\w)){{0,{_MAX_REQUESTED_CHARACTERS - 1}}}"
)
# What an image service may take for a flag or an address: "--ar", "++", "-x", "%s", "www.", "a.com".
_MISREAD = re.compile(r"--|\+\+|(?<!\w)[-+&%]\w|%(?=\w)|\bwww\.|\w\.[^\W\d_]{2}", re.IGNORECASE)
# After such punctuation, the additions continue the same sentence.
_PAUSED = re.compile(r"[,;:—–]\Z")


@dataclass(frozen=True)
class _Requested:
    """The words requested by an argument."""

    argument: str
    text: str

    @property
    def words(self) -> Sequence[str]:
        return words_of(self.text)


@dataclass(frozen=True)
class Enricher:
    """Enriches prompts for one model, size, purpose and requested words."""

    tips: Tips
    model: Model
    purpose: str
    shape: str
    requested: Mapping[str, _Requested]

    @classmethod
    def of(cls, model: Model, size: str | None, options: PromptOptions) -> "Enricher":
        """Return a call's enricher; raises `InvalidRequestError` for an unusable purpose or words."""
        tips = Tips.built_in()
        raw = {facet: (argument, options.get(argument, "").strip()) for facet, argument in _ARGUMENTS.items()}
        return cls(
            tips=tips,
            model=model,
            purpose=_known_purpose(options.get("purpose") or "auto"),
            shape=_shape(size),
            requested={
                facet: _requested(tips, facet, argument, words) for facet, (argument, words) in raw.items() if words
            },
        )

    def enrich(self, prompt: str) -> EnrichedPrompt:
        """Return the prompt, enriched with fitting words for missing facets."""
        original = read(self.tips, prompt)
        requested, asked, warnings = self._requested_additions(prompt, original) if self.requested else ((), (), ())
        reading = read(self.tips, self._join(prompt, requested)) if requested else original
        given = self._given(reading)
        rich = _is_rich(prompt, reading, given)
        own = self._own_words(prompt)
        alone = original if own == prompt else read(self.tips, own)
        choice = Choice(self.tips, replace(reading, grammar=alone.grammar), self.purpose, self.shape, given)
        reason = reading.why_untouchable or (_RICH if rich else _why_dependent(own) or alone.why_unclear)
        chosen: Sequence[Addition] = () if reason else choice.additions()
        compatible = self._without_contradictions(chosen, asked)
        applied = self._fitting(prompt, requested, compatible)
        missing = [facet for facet in choice.wanted if facet not in {each.facet for each in applied}]
        return EnrichedPrompt(
            prompt=self._join(prompt, applied),
            original=prompt,
            applied=applied,
            present=original.named_facets(),
            missing=missing,
            advice=advice(own, choice, [] if rich else missing),
            warnings=warnings,
            reason="" if applied else reason or _why_nothing(chosen, compatible, missing),
        )

    def _requested_additions(
        self, prompt: str, reading: Reading
    ) -> tuple[Sequence[Addition], Sequence[Statement], Sequence[str]]:
        """Return the requested additions, what the call asks for in all, and a warning for each rejected one.

        What the prompt says already is no addition.
        """
        additions: list[Addition] = []
        prompts_own = Statement.of(self.tips, reading)
        accepted: dict[str, Statement] = {}
        warnings: list[str] = []
        for facet, each in self.requested.items():
            addition = Addition(facet, each.text, "argument", f"arguments.{each.argument}", "the call asks for it")
            name = f"{each.argument} {quoted(each.text)}"
            statement = self._statement(each.text)
            is_in_prompt = reading.has_words(each.words) and not prompts_own.denies(statement)
            is_present = is_in_prompt or _has_near_end(prompt, each)
            others = accepted if is_present else {**accepted, "the prompt's own words": prompts_own}
            refusal = _refusal(statement, others)
            if reading.why_untouchable:
                refusal = f"the prompt was not changed, because {reading.why_untouchable}"
            elif not refusal and not is_present and not self._fits(prompt, [*additions, addition]):
                refusal = "there is no room for it"
            if refusal:
                warnings.append(f"{name} was not added: {refusal}.")
            else:
                accepted[name] = statement
                additions += [] if is_present else [addition]
        return additions, [*accepted.values()], warnings

    def _without_contradictions(self, chosen: Sequence[Addition], asked: Sequence[Statement]) -> Sequence[Addition]:
        """Return the chosen additions, without those that contradict what the call asks for."""
        return [each for each in chosen if not any(self._statement(each.text).contradicts(one) for one in asked)]

    def _statement(self, text: str) -> Statement:
        return Statement.of(self.tips, read(self.tips, text))

    def _own_words(self, prompt: str) -> str:
        """Return the prompt without what an earlier call may have added, so that enriching twice changes nothing."""
        start = max(len(prompt) - _MAX_ADDED_CHARACTERS, 0)
        end = prompt[start:].rstrip(" .\n")
        texts = [*(each.text.lower() for each in self.requested.values()), *self.tips.texts]
        is_changed = False
        while text := next((text for text in texts if end.lower().endswith(text)), None):
            end, is_changed = end[: -len(text)].rstrip(" ,.\n"), True
        return prompt[:start] + end if is_changed else prompt

    def _given(self, reading: Reading) -> AbstractSet[str]:
        """Return the facets that the prompt names, including the requested ones that it has."""
        return reading.present | {facet for facet, each in self.requested.items() if reading.has_words(each.words)}

    def _fitting(self, prompt: str, requested: Sequence[Addition], chosen: Sequence[Addition]) -> Sequence[Addition]:
        fitting = list(chosen)
        while fitting and not self._fits(prompt, [*requested, *fitting]):
            fitting.pop()  # the requested words stay: they were checked to fit
        return _in_order([*requested, *fitting])

    def _fits(self, prompt: str, additions: Sequence[Addition]) -> bool:
        max_characters = self.model.max_prompt_characters
        return max_characters is None or len(self._join(prompt, additions)) <= max_characters

    def _join(self, prompt: str, additions: Sequence[Addition]) -> str:
        """Return the prompt with the additions after it, separated to suit its last character."""
        if not additions:
            return prompt
        words = ", ".join(each.text for each in _in_order(additions))
        if self.model.prompt_form == "sentence":
            words += "."
        if _PAUSED.search(prompt):
            return f"{prompt} {words}"
        if self.model.prompt_form == "tags" and not is_ended(prompt) and not prompt[-1:].isspace():
            return f"{prompt}, {words}"
        between = "\n" if prompt[-1:].isspace() else " " if is_ended(prompt) else ". "
        return f"{prompt}{between}{_capital(words[0])}{words[1:]}"


def _refusal(statement: Statement, others: Mapping[str, Statement]) -> str:
    """Return why a statement is refused: it contradicts one of the others.

    The text is empty if it does not.
    """
    clashes = (name for name, other in others.items() if statement.contradicts(other))
    return next((f"it contradicts {name}" for name in clashes), "")


def _known_purpose(purpose: str) -> str:
    if purpose not in PURPOSES:
        raise InvalidRequestError(
            f"There is no purpose {quoted(purpose)}. Purposes: {choices(PURPOSES, purpose)}.", valid_values=PURPOSES
        )
    return purpose


def _requested(tips: Tips, facet: str, argument: str, words: str) -> _Requested:
    """Return the words that an argument asks for: its preset's, or its own."""
    presets = tips.presets[facet]
    preset = presets.get("_".join(words_of(words)))
    if preset and _ID.fullmatch(words):
        return _Requested(argument, preset.text)
    plain = words.replace("_", " ").strip()
    if not _REQUESTED_PHRASE.fullmatch(plain) or _MISREAD.search(plain) or not any(map(str.isalpha, plain)):
        raise InvalidRequestError(
            f"{argument} must be a short phrase or a preset, not {quoted(words)}.",
            hint=f"At most {_MAX_REQUESTED_CHARACTERS} characters: words and numbers, with , . - ' & + % between them;"
            f" no quotes, line breaks, brackets, flags or addresses. Presets: {choices(list(presets), words)}.",
        )
    return _Requested(argument, plain.rstrip(" ,.-"))


def _has_near_end(prompt: str, requested: _Requested) -> bool:
    """Return whether the words stand near the end of a very long prompt, where an earlier call may have put them.

    A reading does not reach that far.
    """
    end = words_of(prompt[-_MAX_ADDED_CHARACTERS:]) if len(prompt) > _MAX_READ_CHARACTERS else ()
    return f" {' '.join(requested.words)} " in f" {' '.join(end)} "


def _capital(letter: str) -> str:
    """Return the letter as a capital, unless that is irreversible, as with ß."""
    return letter.upper() if letter.upper().lower() == letter.lower() else letter


def _shape(size: str | None) -> str:
    if not is_size(size):
        return ""
    width, _, height = str(size).partition("x")
    if int(width) >= _WIDE * int(height):
        return "wide"
    return "tall" if int(height) >= _WIDE * int(width) else ""


def _is_rich(prompt: str, reading: Reading, given: AbstractSet[str]) -> bool:
    facets = sum(facet in given for facet in MAIN_FACETS)
    return (
        len(prompt) > _MAX_READ_CHARACTERS
        or reading.words > _RICH_ABOVE_WORDS
        or facets == len(MAIN_FACETS)
        or (facets > 1 and reading.words > _RICH_ABOVE_WORDS_WITH_TWO_FACETS)
    )


def _why_dependent(prompt: str) -> str:
    return "it refers to an earlier picture" if refers_back(prompt) else ""


def _why_nothing(chosen: Sequence[Addition], compatible: Sequence[Addition], missing: Sequence[str]) -> str:
    if compatible:
        return "there is no room for more"
    if chosen:
        return "what would fit contradicts what the call asks for"
    return "no addition is certain to help" if missing else "it has what it needs"


def _in_order(additions: Sequence[Addition]) -> Sequence[Addition]:
    return sorted(additions, key=lambda each: MAIN_FACETS.index(each.facet))
