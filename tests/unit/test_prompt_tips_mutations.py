"""What a damaged prompt vocabulary does: it is refused, or found faulty, or it keeps every promise all the same."""

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from textwrap import shorten
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.prompts.lint import faults, packaged
from tests.support.sandbox import contract

from blockrun_image.enrichment import PromptOptions
from blockrun_image.enrichment.enricher import Enricher
from blockrun_image.enrichment.tips import Tips

DATA: dict[str, Any] = packaged("prompt_tips.json")
CATALOG = contract()
SOME = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(SOME, max_examples=20)

OFTEN = ["uses", "uses", "subjects", "subjects", "sources", "purposes", "presets", "facets"]
"""The parts that decide what is added are changed more often than the others."""

HOSTILE: Sequence[Any] = [
    "",
    " ",
    '"',
    '" dog "',
    "it's 'quoted'",
    "soft\nlight",
    "soft light\n",
    "--no",
    "soft light --no dogs",
    "as is",
    "exactly as is",
    "without dogs",
    "no",
    "not a photo",
    "(soft light:1.2)",
    "{soft light}",
    "```",
    "soft light. A dog",
    "soft, light",
    "soft  light",
    "SOFT LIGHT",
    "photo of a dog",
    "a logo of a dog",
    "wide aerial photo at night",
    "мягкий свет",
    "con luz de la luna",
    "\ud800",
    "soft \u202elight",
    "ß",
    "light " * 1_000,
    "x" * 10_000,
    None,
    True,
    0,
    1.5,
    [],
    {},
    ["soft light"],
    {"soft light": "soft light"},
]
PROMPTS = [
    "A dog",
    "a dog, no photo",
    "a cave without any light",
    "two friends at night",
    "a logo of a fox",
    "a photo of a street",
    "portrait of a king,",
    "a landscape!",
    "a children's book owl",
    "a seamless pattern of lemons ",
    "a product shot of a bottle",
    "a dragon - ",
    "hero image for a bakery",
    "a burger photo for our menu",
    "hero image: two friends, no text",
    "an orange cat sticker",
    "an avatar of a cat",
    'a birthday card that says "SOFT LIGHT"',
    "a lego castle",
    "a glass horse",
    "a cat by the window",
    "a blacksmith, roaring fire",
    "same but at night",
    "nostalgia: ",
    "watercolor of a rose",
    "a minimalist vase on a table in the kitchen, a quiet scene",
    'a poster that says "SOFT LIGHT"',
    "a diagram of a cell",
    "Mount Fuji",
    "a fox, soft natural light",
    "spaceship",
    "soup without",
    "un chien",
]
MODELS = ["dall-e-2", "dall-e-3", "nano-banana"]
SIZES = [None, "1792x1024", "1024x1792"]
WISHES: Sequence[PromptOptions] = [
    {},
    {},
    {"purpose": "logo_icon"},
    {"purpose": "landscape"},
    {"art_style": "watercolor"},
    {"lighting": "neon glow", "composition": "aerial"},
]


def words_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:  # pyright: ignore[reportUnknownVariableType] - JSON
            yield from words_in(each)


TEXTS = sorted(set(words_in(DATA)))
IDS = sorted(
    {key for texts in DATA["presets"].values() for key in texts} | {*DATA["tags"], *DATA["subjects"], *DATA["uses"]}
)
values = st.one_of(st.sampled_from(HOSTILE), st.sampled_from(TEXTS), st.sampled_from(IDS))
keys = st.one_of(st.sampled_from(IDS), st.sampled_from([each for each in HOSTILE if isinstance(each, str)]))


@dataclass
class Mutant:
    """A vocabulary that is changed, what the changes were, and the texts that they are about."""

    data: Any = field(default_factory=lambda: copy.deepcopy(DATA), repr=False)
    changes: list[str] = field(default_factory=list[str])
    texts: list[str] = field(default_factory=list[str])

    def note(self, change: str, path: Sequence[Any], value: Any = None) -> None:
        self.changes.append(f"{change} {'.'.join(map(ascii, path))} {shorten(ascii(value), 60)}")
        self.texts += words_in(value)


@dataclass(frozen=True)
class Spot:
    """A place in a vocabulary: a container, and the key of something in it."""

    container: Any
    path: Sequence[Any]

    @property
    def key(self) -> Any:
        return self.path[-1]

    @property
    def value(self) -> Any:
        return self.container[self.key]


def keys_of(container: Any) -> list[Any]:
    return list(container if isinstance(container, dict) else range(len(container)))  # pyright: ignore[reportUnknownArgumentType] - JSON


@st.composite
def spots(draw: st.DrawFn, data: Any) -> Spot:
    container: Any = data
    path: list[Any] = [draw(st.sampled_from([*data, *(part for part in OFTEN if part in data)]))]
    while isinstance(container[path[-1]], dict | list) and container[path[-1]] and draw(st.integers(0, 5)):
        container = container[path[-1]]
        path.append(draw(st.sampled_from(keys_of(container))))
    return Spot(container, path)


def delete(draw: st.DrawFn, mutant: Mutant) -> None:
    spot = draw(spots(mutant.data))
    mutant.note("delete", spot.path, spot.container.pop(spot.key))


def rename(draw: st.DrawFn, mutant: Mutant) -> None:
    spot = draw(spots(mutant.data))
    value = spot.container.pop(spot.key)
    mutant.note("move", [*spot.path[:-1], put(draw, spot.container, value)], value)


def double(draw: st.DrawFn, mutant: Mutant) -> None:
    spot = draw(spots(mutant.data))
    mutant.note("double", [*spot.path[:-1], put(draw, spot.container, copy.deepcopy(spot.value))], spot.value)


def replace_value(draw: st.DrawFn, mutant: Mutant) -> None:
    spot = draw(spots(mutant.data))
    spot.container[spot.key] = copy.deepcopy(draw(values))
    mutant.note("replace", spot.path, spot.value)


def insert(draw: st.DrawFn, mutant: Mutant) -> None:
    spot, value = draw(spots(mutant.data)), copy.deepcopy(draw(values))
    mutant.note("insert", [*spot.path[:-1], put(draw, spot.container, value)], value)


def swap(draw: st.DrawFn, mutant: Mutant) -> None:
    one, other = draw(spots(mutant.data)), draw(spots(mutant.data))
    here, there = copy.deepcopy(one.value), copy.deepcopy(other.value)
    one.container[one.key], other.container[other.key] = there, here
    mutant.note("swap", one.path, there)
    mutant.note("with", other.path, here)


def misspell(draw: st.DrawFn, mutant: Mutant) -> None:
    spot = draw(spots(mutant.data))
    if isinstance(spot.value, str):
        place, gone = draw(st.integers(0, len(spot.value))), draw(st.integers(0, 1))
        spot.container[spot.key] = spot.value[:place] + draw(st.text(max_size=2)) + spot.value[place + gone :]
        mutant.note("misspell", spot.path, spot.value)


def imply(draw: st.DrawFn, mutant: Mutant) -> None:
    tags = draw(st.lists(st.sampled_from(sorted(DATA["tags"])), min_size=1, max_size=3, unique=True))
    id = draw(st.sampled_from(sorted(DATA["subjects"])))
    try:
        mutant.data["subjects"][id]["implies"] = sorted(tags)
    except (KeyError, TypeError):  # an earlier change has taken the subject away
        return
    mutant.note("imply", [id], tags)


def put(draw: st.DrawFn, container: Any, value: Any) -> Any:
    """Put a value into a container, and return the key that it has there."""
    if isinstance(container, dict):
        key = draw(keys)
        container[key] = value
    else:
        key = draw(st.integers(0, len(container)))
        container.insert(key, value)
    return key


MUTATIONS = [delete, rename, double, replace_value, insert, swap, misspell, imply]


@st.composite
def mutants(draw: st.DrawFn) -> Mutant:
    mutant = Mutant()
    for mutate in draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3)):
        mutate(draw, mutant)
    return mutant


@dataclass(frozen=True)
class Ask:
    """A prompt, and how it is to be enriched."""

    prompt: str
    model: str
    size: str | None
    wishes: PromptOptions

    def about(self, text: str) -> "Ask":
        """Return the same for a prompt that has the text in it."""
        return replace(self, prompt=f"{self.prompt} {text}")


asks = st.lists(
    st.builds(Ask, st.sampled_from(PROMPTS), st.sampled_from(MODELS), st.sampled_from(SIZES), st.sampled_from(WISHES)),
    min_size=3,
    max_size=6,
)


def broken_promises(tips: Tips, ask: Ask) -> Iterator[str]:
    """Yield the promises that an enricher with this vocabulary breaks for a prompt."""
    prompt, model = ask.prompt, CATALOG.find(ask.model)
    enricher = replace(Enricher.of(model, ask.size, ask.wishes), tips=tips)
    try:
        once, same = enricher.enrich(prompt), enricher.enrich(prompt)
        twice = enricher.enrich(once.prompt)
    except Exception as error:  # noqa: BLE001 - whatever it is, a prompt must not meet it
        yield repr(error)
        return
    if not once.prompt.startswith(prompt):
        yield f"not verbatim: {once.prompt!r}"
    if twice.prompt != once.prompt or twice.applied:
        yield f"not idempotent: {once.prompt!r}, then {twice.prompt!r}"
    if same != once:
        yield f"not deterministic: {once!r}, then {same!r}"
    if once.changed and len(once.prompt) > (model.max_prompt_characters or len(once.prompt)):
        yield f"too long: {len(once.prompt)}"
    if bool(once.applied) != once.changed:
        yield f"not honest: {once!r}"


@SOME
@given(mutants(), asks)
def test_damaged_vocabulary_is_refused_faulty_or_harmless(mutant: Mutant, asked: Sequence[Ask]) -> None:
    try:
        tips = Tips.read(mutant.data)
    except ValueError as error:
        assert re.match(r"(purposes|terms|presets|conflicts|lists of phrases): .", str(error))  # noqa: PT017 - either
        return
    about = [ask.about(text) for ask, text in zip(asked, mutant.texts, strict=False)]
    broken = [f"{ask}: {promise}" for ask in [*asked, *about] for promise in broken_promises(tips, ask)]
    assert not broken or faults(mutant.data)


@FEW
@given(mutants())
def test_unreadable_vocabulary_has_faults(mutant: Mutant) -> None:
    found = faults(mutant.data)
    assert all(isinstance(fault, str) and fault.isprintable() for fault in found)
    try:
        Tips.read(mutant.data)
    except ValueError:
        assert found
