"""The result of enrichment: the prompt to send, its additions, and missing facets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypedDict, get_args

from blockrun_image.text import within

Mode: TypeAlias = Literal["auto", "suggest", "off"]
"""Whether missing tips are added, only suggested, or not searched for."""

Purpose: TypeAlias = Literal[
    "auto",
    "photo",
    "portrait",
    "product",
    "landscape",
    "illustration",
    "childrens_illustration",
    "logo_icon",
    "diagram",
    "ui_mockup",
    "pixel_art",
    "texture_pattern",
    "poster_text",
]
"""The purpose of a picture; `auto` derives it from the prompt's own words."""

MODES: Sequence[str] = get_args(Mode)
PURPOSES: Sequence[str] = get_args(Purpose)
MAIN_FACETS = ("style", "composition", "lighting")

_SHOWN_BYTES = 6_000  # results fill an agent's context


class PromptOptions(TypedDict, total=False):
    """A call's prompt options: a purpose, and words or a preset for each facet."""

    purpose: str
    art_style: str
    composition: str
    lighting: str


@dataclass(frozen=True)
class Addition:
    """An added phrase, with its facet, source, rule and reason."""

    facet: str
    text: str
    source: Literal["argument", "purpose", "use", "subject", "light"]
    rule: str
    why: str


@dataclass(frozen=True)
class Advice:
    """What would help the prompt, told to the agent; `facet` is a main facet or `subject`.

    `example` are words that fit this prompt, or an empty text if only its author can know them.
    """

    facet: str
    say: str
    example: str = ""

    def __str__(self) -> str:
        """Return it as a sentence without its full stop."""
        return f'{self.say}, such as "{self.example}"' if self.example else self.say

    def to_dict(self) -> dict[str, str]:
        """Return it as structured content, without an empty example."""
        return {name: words for name, words in vars(self).items() if words}


@dataclass(frozen=True)
class EnrichedPrompt:
    """The prompt to send; `present` are the facets found in the original.

    `reason` says why it was left alone.
    """

    prompt: str
    original: str
    applied: Sequence[Addition] = ()
    present: Sequence[str] = ()
    missing: Sequence[str] = ()
    advice: Sequence[Advice] = ()
    warnings: Sequence[str] = ()
    reason: str = ""

    @classmethod
    def untouched(cls, prompt: str, options: PromptOptions, why: str = "enrich is off") -> "EnrichedPrompt":
        """Return an unread prompt, with a warning for each requested facet."""
        wasted = [name for name, words in options.items() if words and name != "purpose"]
        warnings = [f"{name} was not used, because {why}." for name in wasted]
        return cls(prompt, prompt, warnings=warnings, reason=why)

    @property
    def notes(self) -> Sequence[str]:
        """The warnings, and a note if the prompt is cut for display."""
        is_cut = self.shown() != self.prompt
        return [*self.warnings, *(["The prompt is sent whole; it is cut only here."] if is_cut else [])]

    @property
    def changed(self) -> bool:
        """Whether anything was added."""
        return self.prompt != self.original

    def as_advice(self) -> "EnrichedPrompt":
        """Return the original prompt unchanged, with the additions turned into advice."""
        advice = [Advice(each.facet, f"Name its {each.facet}", each.text) for each in self.applied]
        # What was added is missing again, in the usual order.
        missing = [facet for facet in MAIN_FACETS if facet in (*self.missing, *(each.facet for each in self.applied))]
        return replace(
            self,
            prompt=self.original,
            applied=(),
            missing=missing,
            advice=[*advice, *self.advice],
            reason=self.reason or "only suggestions were requested",
        )

    def to_dict(self) -> dict[str, object]:
        """Return it as structured content, without the warnings.

        A very long prompt is cut here, but sent whole. Empty fields are left out, and so is the original prompt if it
        was sent unchanged.
        """
        original = {"original": within(self.original, _SHOWN_BYTES)} if self.changed else {}
        return self._as_dict(original, [vars(each) for each in self.applied])

    def to_short_dict(self) -> dict[str, object]:
        """Return it without the original, and without the sources of its additions, for use after the call."""
        return self._as_dict({}, [{"facet": each.facet, "text": each.text} for each in self.applied])

    def _as_dict(self, original: Mapping[str, str], applied: Sequence[object]) -> dict[str, object]:
        advised = {each.facet for each in self.advice}
        lists = {
            "applied": applied,
            "missing": [facet for facet in self.missing if facet not in advised],
            "advice": [each.to_dict() for each in self.advice],
        }
        reason = {"reason": self.reason} if self.reason else {}
        return {
            "prompt": {"sent": self.shown(), **original, **reason},
            **{name: entries for name, entries in lists.items() if entries},
        }

    def shown(self) -> str:
        """Return the prompt to send, cut to 6,000 bytes."""
        return within(self.prompt, _SHOWN_BYTES)

    def to_lines(self) -> Sequence[str]:
        """Return the additions and the advice in few lines.

        The prompt itself is never among them.
        """
        return self._lines("; ".join(f"{each.text} ({each.facet})" for each in self.applied))

    def to_full_lines(self) -> Sequence[str]:
        """Return `to_lines` with the rules, for use before the call."""
        return self._lines("; ".join(f"{each.text} ({each.why}: {each.rule})" for each in self.applied))

    def _lines(self, added: str) -> Sequence[str]:
        first = f"Added to the prompt: {added}." if added else f"Nothing added to the prompt: {self.reason}."
        return [first, *(f"Advice: {each}." for each in self.advice)]
