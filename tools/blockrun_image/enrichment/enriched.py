"""What enriching a prompt gives: the prompt to send, what was added to it and why, and what is still missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypedDict, get_args

from blockrun_image.text import within

Mode: TypeAlias = Literal["auto", "suggest", "off"]
"""Whether missing tips are added, only said, or not looked for."""

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
"""What a picture is for; `auto` goes by the prompt's own words."""

MODES: Sequence[str] = get_args(Mode)
PURPOSES: Sequence[str] = get_args(Purpose)
MAIN_FACETS = ("style", "composition", "lighting")

_SHOWN_BYTES = 6_000


class Wishes(TypedDict, total=False):
    """What a call can say about its prompt: its purpose, and the words or the preset for each facet."""

    purpose: str
    art_style: str
    composition: str
    lighting: str


@dataclass(frozen=True)
class Addition:
    """A phrase that was added: to which facet, where it comes from, by which rule of the tips, and why."""

    facet: str
    text: str
    source: Literal["argument", "purpose", "size", "subject", "fallback"]
    rule: str
    why: str


@dataclass(frozen=True)
class Advice:
    """What the asker could say about a facet that is missing, with an example."""

    facet: str
    say: str
    example: str


@dataclass(frozen=True)
class EnrichedPrompt:
    """The prompt that is sent; `present` are the facets found in the original, `reason` says why it was left alone."""

    prompt: str
    original: str
    applied: Sequence[Addition] = ()
    present: Sequence[str] = ()
    missing: Sequence[str] = ()
    advice: Sequence[Advice] = ()
    warnings: Sequence[str] = ()
    reason: str = ""

    @classmethod
    def untouched(cls, prompt: str, wishes: Wishes) -> "EnrichedPrompt":
        """Return a prompt that was not looked at, with a warning for each facet that was wished for all the same."""
        wasted = [name for name, wish in wishes.items() if wish and name != "purpose"]
        warnings = [f"{name} was not used, because enrich is off." for name in wasted]
        return cls(prompt, prompt, warnings=warnings, reason="enrich is off")

    @property
    def notes(self) -> Sequence[str]:
        """The warnings, and one that tells it where the prompt is shown cut."""
        is_cut = self.shown() != self.prompt
        return [*self.warnings, *(["The prompt is sent whole; it is cut only here."] if is_cut else [])]

    @property
    def changed(self) -> bool:
        """Whether anything was added."""
        return self.prompt != self.original

    def as_advice(self) -> "EnrichedPrompt":
        """Return the original prompt as it is, with what would have been added as advice."""
        advice = [Advice(each.facet, "Would have been added", each.text) for each in self.applied]
        missing = [facet for facet in MAIN_FACETS if facet in (*self.missing, *(each.facet for each in self.applied))]
        return replace(
            self,
            prompt=self.original,
            applied=(),
            missing=missing,
            advice=[*advice, *self.advice],
            reason=self.reason or "only suggestions were asked for",
        )

    def to_dict(self) -> dict[str, object]:
        """Return it as structured content, without the warnings; very long prompts are cut there, never as sent.

        What is empty is left out, and the original prompt where it was sent as it is.
        """
        original = {"original": within(self.original, _SHOWN_BYTES)} if self.changed else {}
        return self._as_dict(original, [vars(each) for each in self.applied])

    def to_short_dict(self) -> dict[str, object]:
        """Return the same for who wrote the prompt and has no choice left: without the original and the reasons."""
        return self._as_dict({}, [{"facet": each.facet, "text": each.text} for each in self.applied])

    def _as_dict(self, original: Mapping[str, str], applied: Sequence[object]) -> dict[str, object]:
        advised = {each.facet for each in self.advice}
        lists = {
            "applied": applied,
            "missing": [facet for facet in self.missing if facet not in advised],
            "advice": [vars(each) for each in self.advice],
        }
        reason = {"reason": self.reason} if self.reason else {}
        return {
            "prompt": {"sent": self.shown(), **original, **reason},
            **{name: entries for name, entries in lists.items() if entries},
        }

    def shown(self) -> str:
        """Return the prompt that is sent, cut to 6,000 bytes where it is longer than that."""
        return within(self.prompt, _SHOWN_BYTES)

    def to_lines(self) -> Sequence[str]:
        """Return, in at most two lines, what was added to the prompt and what is missing; never the prompt itself."""
        added = "; ".join(f"{each.text} ({each.facet})" for each in self.applied)
        lines = [f"Added to the prompt: {added}." if added else f"Nothing added to the prompt: {self.reason}."]
        if self.advice:
            examples = "; ".join(f"{each.facet}, such as {each.example}" for each in self.advice)
            lines.append(f"Missing from the prompt: {examples}.")
        return lines

    def to_full_lines(self) -> Sequence[str]:
        """Return the same with the reason of each addition and with what to say, for who looks before the call."""
        added = "; ".join(f"{each.text} ({each.why}: {each.rule})" for each in self.applied)
        lines = [f"Added to the prompt: {added}."] if added else self.to_lines()[:1]
        missing = "; ".join(f"{each.facet}, such as {each.example} ({_small(each.say)})" for each in self.advice)
        return [*lines, *([f"Missing from the prompt: {missing}."] if missing else [])]


def _small(words: str) -> str:
    return words[:1].lower() + words[1:]
