"""Prompts that are made up from the vocabulary's own words, and calls for them, the same in every run."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.prompts.lint import packaged
from tests.prompts.vocabulary import USE_LISTS

from blockrun_image.enrichment import PURPOSES

DATA: Mapping[str, Any] = packaged("prompt_tips.json")

USES = sorted({term for use in DATA["uses"].values() for part in USE_LISTS for term in use.get(part, ())})
SUBJECTS = [
    *sorted({noun for subject in DATA["subjects"].values() for noun in subject["nouns"]}),
    *("zyxer", "old friends", "small boat on a lake", "two of them"),
]
CUES = sorted({cue for source in DATA["sources"].values() for cue in source["cues"]})
TRAITS = [
    *sorted({term for facet in DATA["facets"].values() for term in facet["terms"]}),
    *(*DATA["nouns"]["guise"], *DATA["nouns"]["material"], *DATA["nouns"]["concept"]),
]
TERMS = [*USES, *SUBJECTS, *CUES, *TRAITS, *(term for terms in DATA["tags"].values() for term in terms)]

_FORMS = (
    *(
        "{subject}",
        "a {trait} {subject}",
        "A {subject}, {trait}",
        "{trait}",
        "{subject} {cue}",
        "a {subject} with {cue}",
    ),
    *("{use}", "{use} of a {subject}", "a {use} for a {subject}", "{use}: {trait} {subject}", "a {trait} {use}"),
    *("{subject} for my {use}", "a {subject} as a {use}", "a {subject} on our {use}", "a {subject}, {use}"),
    *("please make a {use} about {trait}", "a {subject} in front of a {use}", "photo of a {subject} for our {use}"),
    *(
        "a {subject} and a {trait} {subject}",
        "set of {use}s: {subject}, {subject}, {subject}",
        "same {use} but {trait}",
    ),
)
_ENDS = ("", "", "", ".", "!", ",", ":", " - ", "\n", "…", ")", ' "')
_SIZES = (None, "1024x1024", "1792x1024", "1024x1792", "auto")
_MODELS = ("dall-e-2", "dall-e-3", "nano-banana", "nano-banana-pro")
_WISHES = ("", "", "", "ink on rough paper", "seen from the left", "at dusk", "no people in it")


@dataclass(frozen=True)
class MadeUp:
    """A prompt, with the words that it quotes and rules out, if any, and how it is called."""

    words: str
    quoted: str = ""
    negated: str = ""
    end: str = ""
    model: str = "dall-e-3"
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def prompt(self) -> str:
        """The prompt as it is sent."""
        quotation = f' that says "{self.quoted}"' if self.quoted else ""
        negation = f", no {self.negated}" if self.negated else ""
        return f"{self.words}{quotation}{negation}{self.end}"

    def saying(self, quoted: str) -> "MadeUp":
        """Return the same with other words quoted."""
        return replace(self, quoted=quoted)


def made_up(count: int, seed: int = 7) -> Sequence[MadeUp]:
    """Return so many calls for made-up prompts."""
    dice = random.Random(seed)
    return [_one(dice) for _ in range(count)]


def _one(dice: random.Random) -> MadeUp:
    words = dice.choice(_FORMS)
    for name, terms in _choices(dice):
        while name in words:
            words = words.replace(name, dice.choice(terms), 1)
    presets = {facet: ["", "", "", *_WISHES, *ids] for facet, ids in DATA["presets"].items()}
    has_wishes = dice.random() < 1 / 3
    return MadeUp(
        words,
        quoted=dice.choice(TERMS) if dice.random() < 1 / 4 else "",
        negated=dice.choice(TERMS) if dice.random() < 1 / 4 else "",
        end=dice.choice(_ENDS),
        model=dice.choice(_MODELS),
        asked={
            "size": dice.choice(_SIZES),
            "purpose": dice.choice(PURPOSES) if has_wishes else "auto",
            "art_style": dice.choice(presets["style"]) if has_wishes else "",
            "composition": dice.choice(presets["composition"]) if has_wishes else "",
            "lighting": dice.choice(presets["lighting"]) if has_wishes else "",
        },
    )


def _choices(dice: random.Random) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield what can stand for each part of a form; now and then, any word for any part."""
    for name, terms in (("{subject}", SUBJECTS), ("{use}", USES), ("{trait}", TRAITS), ("{cue}", CUES)):
        yield name, TERMS if dice.random() < 1 / 10 else terms
