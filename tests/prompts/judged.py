"""Prompts with a careful judgement of each: what it names, what helps it, and what must not be added to it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from tests.prompts.groups import GROUPS

from blockrun_image.enrichment import PURPOSES

FOLDER = Path(__file__).with_name("judged")

Facet: TypeAlias = Literal["style", "composition", "lighting"]


def _known(term: str) -> str:
    if term.startswith("@") and term[1:] not in GROUPS:
        raise ValueError(f"there is no group {term}")
    if not term.strip() or term != term.strip().lower():
        raise ValueError("a term is a word or a short phrase in lower case")
    return term


def _unlike(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("it says something twice")
    return values


def _purpose(name: str) -> str:
    if name not in PURPOSES:
        raise ValueError(f"there is no purpose {name}")
    return name


Terms: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_known)], ...], AfterValidator(_unlike)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Arguments(_Data):
    """What the call says beside the prompt; what is empty is not said."""

    purpose: Annotated[str, AfterValidator(_purpose)] = "auto"
    art_style: str = ""
    composition: str = ""
    lighting: str = ""


class JudgedPrompt(_Data):
    """One prompt, how it is sent, and what a good art director would add.

    `has` are the facets that its own words name; the mere name of a kind, such as "headshot", names none. An added
    phrase harms the prompt if it says one of `never`, and helps it if it says one of `helps`. With `alone`, nothing may
    be added.
    """

    prompt: str = Field(min_length=1)
    has: Annotated[tuple[Facet, ...], AfterValidator(_unlike)]
    helps: Terms = ()
    never: Terms = ()
    alone: bool = False
    size: Literal["1024x1024", "1792x1024", "1024x1792", "512x512", "256x256"] = "1024x1024"
    model: Literal["dall-e-3", "dall-e-2", "nano-banana", "nano-banana-pro"] = "dall-e-3"
    arguments: Arguments = Arguments()
    note: str = ""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.alone and (self.helps or self.never):
            raise ValueError("nothing may be added to it, and yet it says what helps or harms")
        if not self.alone and not {"helps", "never"} <= self.model_fields_set:
            raise ValueError("something may be added to it, so it needs both helps and never")
        if both := sorted(set(self.helps) & set(self.never)):
            raise ValueError(f"{', '.join(both)} cannot both help and harm")
        return self


class JudgedKind(_Data):
    """A file of prompts that have something in common."""

    kind: str = Field(pattern=r"^[a-z0-9_]+$")
    about: str = Field(min_length=1)
    prompts: tuple[JudgedPrompt, ...] = Field(min_length=1)


def load(folder: Path = FOLDER) -> Sequence[JudgedKind]:
    """Read every kind in a folder; raises `ValueError` for whatever is unknown, misplaced or there twice."""
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise ValueError(f"{folder} has no judged prompts")
    kinds = [_read(path) for path in paths]
    twice = list(_twice(prompt for kind in kinds for prompt in kind.prompts))
    if twice:
        raise ValueError(f"there twice: {twice}")
    return kinds


def _read(path: Path) -> JudgedKind:
    try:
        kind = JudgedKind.model_validate_json(path.read_text("utf-8"))
    except ValidationError as error:
        raise ValueError(f"{path.name}: {error}") from error
    if kind.kind != path.stem:
        raise ValueError(f"{path.name} is of the kind {kind.kind}")
    return kind


def _twice(prompts: Iterable[JudgedPrompt]) -> Iterator[str]:
    """Yield the prompts that are sent in the same way as one before, apart from case and spaces."""
    seen: set[object] = set()
    for each in prompts:
        key = (
            " ".join(each.prompt.casefold().split()),
            each.size,
            each.model,
            each.arguments.model_dump_json(exclude_unset=True),
        )
        if key in seen:
            yield each.prompt
        seen.add(key)
