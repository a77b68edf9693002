"""What the sheet of a panel has about one prompt: what was done to it, and a blank for each thing that is judged."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from blockrun_image.enrichment import Advice, EnrichedPrompt
from blockrun_image.text import clean, quoted

Kind: TypeAlias = Literal["addition", "whole", "advice"]

MARKS: Mapping[Kind, Mapping[str, str]] = {
    "addition": {"H": "helps", "N": "neutral", "X": "harms"},
    "whole": {"B": "better", "S": "same", "W": "worse"},
    "advice": {"U": "useful", "V": "vague", "W": "wrong"},
}
TOLD = ("prompt:", "size:", "nothing added:")
"""How the lines begin that tell, and are not judged."""

_SHOWN_CHARACTERS = 2_000
_LEFT = "nothing added:"
_BREAK = re.compile(r"\s*(?:\r\n|[\n\v\f\r\x85\u2028\u2029])\s*")


@dataclass(frozen=True)
class Judgement:
    """A line with a blank: what is judged, and the mark that was filled in."""

    label: str
    mark: str = ""

    @property
    def kind(self) -> Kind:
        """What is judged, which tells the marks for it."""
        if self.label == "whole":
            return "whole"
        return "advice" if self.label.startswith("advice:") else "addition"

    @property
    def word(self) -> str:
        """What the mark says, or an empty text for one that says nothing."""
        return MARKS[self.kind].get(self.mark, "")

    @property
    def fault(self) -> str:
        """Why the mark says nothing."""
        mark = f"the unknown mark {quoted(self.mark)}" if self.mark else "no mark"
        return f"{quoted(self.label)} has {mark}; it takes {', '.join(MARKS[self.kind])}"

    def __str__(self) -> str:
        return f"[{self.mark or ' '}] {self.label}"


@dataclass(frozen=True)
class Block:
    """The lines about one prompt."""

    name: str
    told: Sequence[str]
    judgements: Sequence[Judgement]

    @classmethod
    def of(cls, name: str, size: str | None, enriched: EnrichedPrompt) -> "Block":
        """Return the block of a prompt, with nothing filled in."""
        told = [f"prompt: {_shown(enriched.original)}", *([f"size: {size}"] if size else [])]
        labels = [f"{each.facet}: {_shown(each.text)}" for each in enriched.applied]
        if labels:
            labels.append("whole")
        else:
            told.append(f"{_LEFT} {_shown(enriched.reason)}")
        labels += [f"advice: {_advised(each)}" for each in enriched.advice]
        return cls(name, told, [Judgement(label) for label in labels])

    @property
    def labels(self) -> Sequence[str]:
        """What is judged, in its order."""
        return [each.label for each in self.judgements]

    @property
    def is_begun(self) -> bool:
        """Whether anything was filled in."""
        return any(each.mark for each in self.judgements)

    @property
    def is_complete(self) -> bool:
        """Whether the lines agree with one another, which they cease to do when one is lost."""
        told = [next(start for start in TOLD if line.startswith(start)) for line in self.told]
        kinds = [each.kind for each in self.judgements]
        is_enriched = "addition" in kinds
        return (told.count("prompt:"), kinds.count("whole"), told.count(_LEFT)) == (1, is_enriched, not is_enriched)

    def __str__(self) -> str:
        return "\n".join([f"=== {self.name}", *self.told, *map(str, self.judgements)])


def _shown(text: str) -> str:
    """Return a text as one line without control characters; a long one is cut."""
    line = clean(_BREAK.sub(" ⏎ ", text), _SHOWN_CHARACTERS)
    return f"{line} (cut here; it has {len(text):,} characters)" if len(text) > _SHOWN_CHARACTERS else line


def _advised(advice: Advice) -> str:
    example = f" e.g. {_shown(advice.example)}" if advice.example else ""
    return f"{_shown(advice.say)}{example}"
