"""Adds a few fitting words to a prompt, without contradicting it.

The order of choice is argument, purpose, size, subject, fallback. A composition and a light are added freely; a style
only for a purpose that has one, or to a bare prompt, because the API's tips say to specify one.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from blockrun_image.enrichment.choice import Choice
from blockrun_image.enrichment.contradictions import Statement
from blockrun_image.enrichment.enriched import MAIN_FACETS, PURPOSES, Addition, Advice, EnrichedPrompt, PromptOptions
from blockrun_image.enrichment.reading import Reading, read
from blockrun_image.enrichment.tips import Tips, words_of
from blockrun_image.errors import InvalidRequestError
from blockrun_image.model import Model
from blockrun_image.spec import is_size
from blockrun_image.text import choices, is_ended, quoted

_MAX_READ_CHARACTERS = 2_000
_MAX_WORDS = 40
_MAX_WORDS_BESIDE_TWO_FACETS = 22
_WIDE = 1.2  # of the longer side to the shorter one; below it, a picture counts as square
_ARGUMENTS: Mapping[str, Literal["art_style", "composition", "lighting"]] = {
    "style": "art_style",
    "composition": "composition",
    "lighting": "lighting",
}
_RICH = "it is detailed enough"

_MAX_HINT_CHARACTERS = 120
_MAX_ADDED_CHARACTERS = 3 * (_MAX_HINT_CHARACTERS + len(". "))
_ID = re.compile(r"[\w -]+")
# Words and numbers, with "f/1.8" and "d'art"; quotes, brackets and line breaks could change how the prompt is read.
_WISH = re.compile(rf"[^\W_](?:[^\W_]|[ ,.&+%-]|(?<=[fF\d])/(?=\d)|(?<=\w)['’](?=\w)){{0,{_MAX_HINT_CHARACTERS - 1}}}")
# What an image service may take for a flag or an address: "--ar", "++", "-x", "%s", "www.", "a.com".
_MISREAD = re.compile(r"--|\+\+|(?<!\w)[-+&%]\w|%(?=\w)|\bwww\.|\w\.[^\W\d_]{2}", re.IGNORECASE)
# After such a sign, the additions continue the same sentence.
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
    """Enriches prompts for one model, size, purpose and choice of words."""

    tips: Tips
    model: Model
    purpose: str
    shape: str
    wishes: Mapping[str, _Requested]

    @classmethod
    def of(cls, model: Model, size: str | None, wishes: PromptOptions) -> "Enricher":
        """Return a call's enricher; raises `InvalidRequestError` for an unusable purpose or words."""
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
        """Return the prompt, enriched with fitting words for missing facets."""
        original = read(self.tips, prompt)
        wished, warnings = self._wished(prompt, original) if self.wishes else ((), ())
        reading = read(self.tips, self._joined(prompt, wished)) if wished else original
        given = self._given(reading)
        rich = _is_rich(prompt, reading, given)
        # A prompt with the words of an earlier call must get the same choice again.
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
        """Return the arguments' additions, and a warning for each rejected one."""
        wished: list[Addition] = []
        prompts_own = Statement.of(self.tips, reading)
        accepted: dict[str, Statement] = {}
        warnings: list[str] = []
        for facet, wish in self.wishes.items():
            addition = Addition(facet, wish.text, "argument", f"arguments.{wish.argument}", "the call asks for it")
            name = f"{wish.argument} {quoted(wish.text)}"
            statement = Statement.of(self.tips, read(self.tips, wish.text))
            is_present = _ends_in(prompt, wish) or (reading.has_words(wish.words) and not prompts_own.denies(statement))
            others = accepted if is_present else {**accepted, "the prompt's own words": prompts_own}
            refusal = _refusal(statement, others)
            if reading.untouchable:
                refusal = f"the prompt was not changed, because {reading.untouchable}"
            elif not refusal and not is_present and not self._fits(prompt, [*wished, addition]):
                refusal = "there is no room for it"
            if refusal:
                warnings.append(f"{name} was not added: {refusal}.")
            else:
                accepted[name] = statement
                wished += [] if is_present else [addition]
        return wished, warnings

    def _own(self, prompt: str, original: Reading) -> Reading:
        """Return a reading of the prompt without the arguments' words.

        An earlier call may have added them.
        """
        own = prompt
        # The longest first, as a shorter one may be a part of it.
        for wish in sorted((wish.text for wish in self.wishes.values()), key=len, reverse=True):
            own = re.sub(rf"(?<!\w){re.escape(wish)}(?!\w)", " ", own, flags=re.IGNORECASE)
        return original if own == prompt else read(self.tips, own)

    def _purpose_of(self, reading: Reading) -> str:
        if self.purpose != "auto":
            return self.purpose
        return next((name for name in self.tips.purposes if name in reading.purposes), "")

    def _given(self, reading: Reading) -> AbstractSet[str]:
        """Return the named facets, including those requested by arguments."""
        return reading.present | {facet for facet, wish in self.wishes.items() if reading.has_words(wish.words)}

    def _fitting(self, prompt: str, wished: Sequence[Addition], chosen: Sequence[Addition]) -> Sequence[Addition]:
        fitting = list(chosen)
        while fitting and not self._fits(prompt, [*wished, *fitting]):
            fitting.pop()  # the arguments' words stay: they were checked to fit
        return _in_order([*wished, *fitting])

    def _fits(self, prompt: str, additions: Sequence[Addition]) -> bool:
        max_characters = self.model.max_prompt_characters
        return max_characters is None or len(self._joined(prompt, additions)) <= max_characters

    def _joined(self, prompt: str, additions: Sequence[Addition]) -> str:
        """Return the prompt with the additions after it, separated to suit its last sign."""
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
    """Return the reason for a contradiction with the others, or an empty text."""
    clashes = (name for name, other in others.items() if statement.contradicts(other))
    return next((f"it contradicts {name}" for name in clashes), "")


def _known_purpose(purpose: str) -> str:
    if purpose not in PURPOSES:
        raise InvalidRequestError(
            f"There is no purpose {quoted(purpose)}. Purposes: {choices(PURPOSES, purpose)}.", valid_values=PURPOSES
        )
    return purpose


def _wish(tips: Tips, facet: str, argument: str, words: str) -> _Requested:
    """Return an argument's preset, or its own words."""
    presets = tips.phrases[facet]
    preset = presets.get("_".join(words_of(words)))
    if preset and _ID.fullmatch(words):
        return _Requested(argument, preset.text)
    plain = words.replace("_", " ").strip()
    if not _WISH.fullmatch(plain) or _MISREAD.search(plain) or not any(map(str.isalpha, plain)):
        raise InvalidRequestError(
            f"{argument} must be a short phrase or a preset, not {quoted(words)}.",
            hint=f"At most {_MAX_HINT_CHARACTERS} characters: words and numbers, with , . - ' & + % between them; no"
            f" quotes, line breaks, brackets, flags or addresses. Presets: {choices(list(presets), words)}.",
        )
    return _Requested(argument, plain.rstrip(" ,.-"))


def _ends_in(prompt: str, wish: _Requested) -> bool:
    """Return whether a very long prompt ends in the wish of an earlier call.

    Such a prompt is not read to its end.
    """
    end = words_of(prompt[-_MAX_ADDED_CHARACTERS:]) if len(prompt) > _MAX_READ_CHARACTERS else ()
    return f" {' '.join(wish.words)} " in f" {' '.join(end)} "


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
        or reading.words > _MAX_WORDS
        or facets == len(MAIN_FACETS)
        or (facets > 1 and reading.words > _MAX_WORDS_BESIDE_TWO_FACETS)
    )


def _why_nothing(chosen: Sequence[Addition], missing: Sequence[str], advice: Sequence[Advice]) -> str:
    if chosen:
        return "there is no room for more"
    if advice:  # it must be about a style: a composition or light that fits would have been added
        return "a style is added only to a bare prompt or for a purpose"
    return "no suitable phrase adds anything" if missing else "it has what its purpose needs"


def _in_order(additions: Sequence[Addition]) -> Sequence[Addition]:
    return sorted(additions, key=lambda each: MAIN_FACETS.index(each.facet))
